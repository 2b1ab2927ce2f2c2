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

_AUTHORIZERS = ("Authorizers", "every request counts as authorised; tokens are not read, --claim says what they tell")
_API_KEYS = ("API keys", "methods that ask for one take requests without it, too")
_POLICY = ("The API's resource policy", "every request counts as admitted")


def not_emulated(assembly: Assembly) -> list[tuple[str, str]]:
    """(name, what that means) of everything left out, the template's own resource types included."""
    api = assembly.rest_api
    methods = [method for methods in api.methods.values() for method in methods.values()]
    types = sorted(assembly.resource_types - _EMULATED)
    present = {
        _AUTHORIZERS: any(method.authorization in ("COGNITO_USER_POOLS", "CUSTOM") for method in methods),
        _API_KEYS: any(method.api_key_required for method in methods),
        _POLICY: api.has_policy,
        ("Resources of the template", ", ".join(types)): bool(types),
    }
    return [*_ALWAYS, *(limit for limit, is_present in present.items() if is_present)]
