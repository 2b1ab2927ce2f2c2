"""A private API behind a Lambda authorizer of your own, which says as which Fabric user a caller acts, and a web ACL.

The authorizer's function returns for a valid token
`{"principalId": "...", "policyDocument": {...}, "context": {"fabricUsername": "auditor"}}`, and its policy allows all
methods that the caller may use: API Gateway keeps the answer for all of them.
"""

from offchain_stack import Access, Callers, Endpoint, FabricNetwork, FabricUser, OffChainApi, OffChainRecords

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_

AUTHORIZER = "arn:aws:lambda:us-east-1:111122223333:function:token-authorizer"
WEB_ACL = "arn:aws:wafv2:us-east-1:111122223333:regional/webacl/offchain/1234abcd-12ab-34cd-56ef-1234567890ab"


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
        users=[FabricUser.from_secret_names(name, member="org1") for name in ("lambdaUser", "auditor")],
    )
    handler = lambda_.Function.from_function_attributes(
        stack, "AuthorizerFunction", function_arn=AUTHORIZER, same_environment=True
    )
    authorizer = apigateway.TokenAuthorizer(stack, "Authorizer", handler=handler)
    api = OffChainApi(
        stack,
        "Api",
        access=Access(authorizer=authorizer),
        web_acl_arn=WEB_ACL,
        vpc_endpoints=[
            ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(
                stack, "ExecuteApi", vpc_endpoint_id="vpce-0123456789abcdef0", port=443
            )
        ],
    )
    OffChainRecords(
        stack, "Donors", vpc=vpc, network=network, api=api, callers=Callers.by_authorizer_value("fabricUsername")
    )
    return stack


if __name__ == "__main__":
    example = cdk.App()
    build(example)
    example.synth()
