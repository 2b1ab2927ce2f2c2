"""The blog post's own step: `POST /donors` of the workshop's REST API gets the workflow as its integration.

What was there is put back when the stack is removed.
"""

from offchain_stack import ExistingMethod

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn


def build(app: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(app, "Example")
    ExistingMethod(
        stack,
        "Donors",
        rest_api=apigateway.RestApi.from_rest_api_id(stack, "Ngo", "abcde12345"),
        stage_name="prod",
        state_machine=sfn.StateMachine.from_state_machine_name(stack, "Workflow", "create-donor"),
        backup_bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "example-donor-images"),
    )
    return stack


if __name__ == "__main__":
    example = cdk.App()
    build(example)
    example.synth()
