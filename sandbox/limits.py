"""What the sandbox does not emulate, said by name."""

from .assembly import Assembly

_EMULATED = frozenset(
    {
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::GatewayResponse",
        "AWS::ApiGateway::Method",
        "AWS::ApiGateway::Model",
        "AWS::ApiGateway::RequestValidator",
        "AWS::ApiGateway::Resource",
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGateway::Stage",
        "AWS::CDK::Metadata",
        "AWS::Lambda::Function",
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
        "AWS::StepFunctions::StateMachine",
    }
)

_ALWAYS = (
    ("IAM", "every request counts as authorised; roles and policies are not checked"),
    ("VPC", "subnets, security groups and endpoints; the functions reach whatever this machine reaches"),
    ("KMS and encryption", "objects lie unencrypted in memory"),
    ("S3 beyond objects and versions", "no bucket policy, lifecycle or TLS; moto does not verify checksums"),
    ("Throttling and quotas", "of API Gateway, Step Functions and Lambda; requests beyond four at a time wait"),
    ("Lambda's limits", "memory and CPU are not bounded, and environments are not frozen between requests"),
    ("Schedules", "no EventBridge rule fires; Lambda's Invoke at the AWS endpoint runs any function by hand"),
    ("CloudWatch and X-Ray", "no log groups, metrics, alarms or traces"),
)


def not_emulated(assembly: Assembly) -> list[tuple[str, str]]:
    """(name, what that means) of everything left out, the template's own resource types included."""
    types = sorted(assembly.resource_types - _EMULATED)
    return [*_ALWAYS, ("Resources of the template", f"{', '.join(types)}")] if types else list(_ALWAYS)
