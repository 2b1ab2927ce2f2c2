"""Which service may take on a role, and for whose sake: a service of AWS acts for every account's customers."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import IConstruct


def lambda_service(scope: IConstruct) -> iam.IPrincipal:
    """Lambda, for functions of the stack's account."""
    # No aws:SourceArn: a function is made after its role, and Lambda tries the role first.
    return iam.ServicePrincipal("lambda.amazonaws.com", conditions=_of_account(scope))


def states_service(scope: IConstruct) -> iam.IPrincipal:
    """Step Functions, for state machines of the stack's account and region."""
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
    machines = cdk.Stack.of(scope).format_arn(
        service="states", resource="stateMachine", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
    return iam.ServicePrincipal(
        "states.amazonaws.com", conditions=_of_account(scope) | {"ArnLike": {"aws:SourceArn": machines}}
    )


def api_gateway_service() -> iam.IPrincipal:
    """API Gateway. When it takes on the role of an integration it names no source: with a condition on
    aws:SourceAccount or aws:SourceArn every request is answered 500."""
    # https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/pull/479
    return iam.ServicePrincipal("apigateway.amazonaws.com")


def events_service(scope: IConstruct) -> iam.IPrincipal:
    """EventBridge, for rules of the stack's account and region."""
    # As the console makes such a role. The rule's own ARN would make a circle: the rule names the role.
    rules = cdk.Stack.of(scope).format_arn(service="events", resource="rule", resource_name="*")
    return iam.ServicePrincipal(
        "events.amazonaws.com", conditions=_of_account(scope) | {"ArnLike": {"aws:SourceArn": rules}}
    )


def _of_account(scope: IConstruct) -> dict[str, dict[str, str]]:
    return {"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}}
