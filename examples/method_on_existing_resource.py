"""`POST /donors` on a resource of somebody else's REST API that has no such method yet.

The API belongs to another stack, so its owner deploys its stage afterwards.
"""

from offchain_stack import DonorApi

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_stepfunctions as sfn


def build(app: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(app, "Example")
    rest_api = apigateway.RestApi.from_rest_api_attributes(
        stack, "RestApi", rest_api_id="abcde12345", root_resource_id="fghij67890"
    )
    donors = apigateway.Resource.from_resource_attributes(
        stack, "Donors", rest_api=rest_api, resource_id="klmno12345", path="/donors"
    )
    workflow = sfn.StateMachine.from_state_machine_name(stack, "Workflow", "create-donor")
    DonorApi(stack, "Api", state_machine=workflow, rest_api=rest_api, resource=donors)
    return stack


if __name__ == "__main__":
    example = cdk.App()
    build(example)
    example.synth()
