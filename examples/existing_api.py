"""The blog post's own step: `POST /donors` of the workshop's REST API gets the workflow as its integration.

Everything behind it is made here: bucket, functions, workflows, and an API of its own for reading. What the workshop's
method had is put back when the stack is removed.
"""

from offchain_stack import Endpoint, ExistingMethod, FabricNetwork, FabricUser, OffChainRecords

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
    donors = OffChainRecords(stack, "Donors", vpc=vpc, network=network)
    ExistingMethod(
        stack,
        "PostDonors",
        rest_api=apigateway.RestApi.from_rest_api_id(stack, "Ngo", "abcde12345"),
        stage_name="prod",
        state_machine=donors.workflow.state_machine,
        backup_bucket=donors.store.bucket,
    )
    return stack


if __name__ == "__main__":
    example = cdk.App()
    build(example)
    example.synth()
