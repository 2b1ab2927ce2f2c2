"""`POST` and `GET` on a resource of somebody else's REST API that has no such methods yet.

The API belongs to another stack, so its owner deploys its stage afterwards.
"""

from offchain_stack import DonorApi, Endpoint, FabricNetwork, FabricUser, OffChainRecords

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2


def build(app: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(app, "Example")
    vpc = ec2.Vpc.from_vpc_attributes(
        stack,
        "Vpc",
        vpc_id="vpc-0123456789abcdef0",
        availability_zones=["us-east-1a", "us-east-1b"],
        private_subnet_ids=["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        private_subnet_route_table_ids=["rtb-0123456789abcdef0", "rtb-0123456789abcdef0"],
    )
    network = FabricNetwork(
        stack,
        "Network",
        vpc=vpc,
        msp_id="Org1MSP",
        channel="mychannel",
        chaincode="ngo",
        peers=[Endpoint(address="peer0.org1.example.com:7051")],
        orderers=[Endpoint(address="orderer.example.com:7050")],
        tls_roots="s3://example-fabric-tls/chain.pem",
        users=[FabricUser.from_secret_names("lambdaUser", member="org1")],
    )
    records = OffChainRecords(stack, "Records", vpc=vpc, network=network)
    rest_api = apigateway.RestApi.from_rest_api_attributes(
        stack, "RestApi", rest_api_id="abcde12345", root_resource_id="fghij67890"
    )
    donors = apigateway.Resource.from_resource_attributes(
        stack, "Donors", rest_api=rest_api, resource_id="klmno12345", path="/donors"
    )
    DonorApi(
        stack,
        "Api",
        state_machine=records.workflow.state_machine,
        read_state_machine=records.read_workflow.state_machine,
        rest_api=rest_api,
        resource=donors,
    )
    return stack


if __name__ == "__main__":
    example = cdk.App()
    build(example)
    example.synth()
