"""Every policy of the default stack and of every example, walked: what is wide is in one table, with the reason.

The walked templates are the snapshots, which test_stack.py and test_examples.py hold against what is synthesized.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from stack_template import Template, aslist, flat, reviewed
from test_examples import BUILDS

NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
TRACES = ("xray:PutTelemetryRecords", "xray:PutTraceSegments")
LOG_DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
OBJECTS = (
    "s3:DeleteObjectVersion",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
    "s3:PutObject",
    "s3:PutObjectVersionTagging",
)
BELOW_A_PREFIX = r"(<\w*Bucket\w*\.Arn>|arn:<AWS::Partition>:s3:::[a-z0-9.-]+)/[\w-]+/\*"
SECRET_BY_NAME = r"arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:[\w/+=.@-]+-\?{6}"
REST_API = r"arn:<AWS::Partition>:apigateway:<AWS::Region>::/restapis/[a-z0-9]{10}"
ANYBODY = r"AWS:\*"
OF_THIS_ACCOUNT = "StringEquals aws:PrincipalAccount"
MANAGED = "managed policy"


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What one Allow lets do. `principal` is empty in an identity policy; `conditions` are operator and key.

    An AWS managed policy is a grant, too: MANAGED on its ARN. What it allows is not in the template, so it is wide.
    """

    action: str
    resource: str
    principal: str = ""
    conditions: frozenset[str] = frozenset()

    @property
    def wide(self) -> bool:
        return (
            "*" in self.action
            or self.action == MANAGED
            or any(sign in self.resource for sign in "*?")
            or bool(re.fullmatch(r"AWS:(\*|\d{12}|<AWS::AccountId>|.*:root)", self.principal))
            # A service may come for anybody's account, except to take on the role that was made for it.
            or (self.principal.startswith("Service:") and self.action != "sts:AssumeRole" and not self.conditions)
        )


@dataclass(frozen=True, kw_only=True)
class Reasoned:
    """Wide grants, and why they can be no narrower. `resource` and `principal` are regular expressions."""

    actions: tuple[str, ...]
    resource: str
    why: str
    principal: str = ""
    condition: str | None = None

    def covers(self, grant: Grant) -> bool:
        return (
            grant.action in self.actions
            and bool(re.fullmatch(self.resource, grant.resource))
            and bool(re.fullmatch(self.principal, grant.principal))
            and (self.condition is None or self.condition in grant.conditions)
        )


TABLE = [
    Reasoned(
        actions=("s3:*",),
        resource=r"arn:<AWS::Partition>:s3:::[a-z0-9.*-]+(/\*)?",
        principal=ANYBODY,
        why="The S3 endpoint's policy admits by name what others in the same subnets need; it gives nobody a right, "
        "which the policies of identity and bucket still have to.",
    ),
    Reasoned(
        actions=NETWORK_INTERFACES,
        resource=r"\*",
        why="Lambda makes a function's network interfaces with its role, and their ids do not exist before; each "
        "function's own code is denied ec2:* by lambda:SourceFunctionArn.",
    ),
    Reasoned(
        actions=(*TRACES, "xray:GetSamplingRules", "xray:GetSamplingTargets"),
        resource=r"\*",
        why="X-Ray's traces and sampling rules are no resources that a policy could name.",
    ),
    Reasoned(
        actions=LOG_DELIVERY,
        resource=r"\*",
        why="Log deliveries, through which an Express workflow writes its log, support no resource in a policy (Step "
        "Functions' documentation, Logging using CloudWatch Logs).",
    ),
    Reasoned(
        actions=OBJECTS,
        resource=BELOW_A_PREFIX,
        why="A record type's objects have keys that are made up by request; they all lie below its key prefix.",
    ),
    Reasoned(
        actions=OBJECTS,
        resource=BELOW_A_PREFIX,
        principal=ANYBODY,
        condition=OF_THIS_ACCOUNT,
        why="The S3 endpoint lets nobody in from another account; who of this one may do it, their own roles say.",
    ),
    Reasoned(
        actions=("s3:ListBucketVersions",),
        resource=r"<\w*Bucket\w*\.Arn>",
        principal=ANYBODY,
        condition=OF_THIS_ACCOUNT,
        why="As for the objects: the endpoint names the bucket, the roles name who may list it.",
    ),
    Reasoned(
        actions=("s3:GetObject",),
        resource=r"arn:<AWS::Partition>:s3:::[\w.<:>-]+/[\w/.-]+\.pem",
        principal=ANYBODY,
        condition=OF_THIS_ACCOUNT,
        why="As for the objects: the endpoint names the one file of TLS roots.",
    ),
    Reasoned(
        actions=("secretsmanager:GetSecretValue",),
        resource=SECRET_BY_NAME,
        why="A secret that is given by name has six random characters at its ARN's end, which only AWS knows.",
    ),
    Reasoned(
        actions=("secretsmanager:GetSecretValue",),
        resource=rf"{SECRET_BY_NAME}|arn:aws:secretsmanager:[\w:/+=.@-]+",
        principal=ANYBODY,
        condition=OF_THIS_ACCOUNT,
        why="As for the objects: the endpoint names the secrets, the roles name who may read which.",
    ),
    Reasoned(
        actions=("execute-api:Invoke",),
        resource=r"execute-api:/\*",
        principal=r"AWS:arn:<AWS::Partition>:iam::<AWS::AccountId>:root",
        condition="StringEquals aws:SourceVpce",
        why="A private API's policy must allow something: its own methods, through the named endpoints, to whom of the "
        "account has the right himself.",
    ),
    Reasoned(
        actions=("execute-api:Invoke",),
        resource=r"execute-api:/\*",
        principal=ANYBODY,
        condition="StringEquals aws:SourceVpce",
        why="As above, for callers with a token: they are no IAM principals, and the authorizer says who may call.",
    ),
    Reasoned(
        actions=("apigateway:DELETE", "apigateway:GET", "apigateway:PUT"),
        resource=rf"{REST_API}/resources/\*/methods/POST(/integration)?(/responses/\*)?",
        why="The adopted method's resource id is known only when the API is asked for its path.",
    ),
    Reasoned(
        actions=("apigateway:DELETE", "apigateway:GET"),
        resource=rf"{REST_API}/deployments/\*",
        why="The function makes the deployment that it later reads and deletes; its id comes from API Gateway.",
    ),
    Reasoned(
        actions=(MANAGED,),
        resource=r"arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
        why="API Gateway demands this policy of the account's role that writes access logs.",
    ),
    Reasoned(
        actions=(MANAGED,),
        resource=r"arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        why="CDK's own custom resource providers, and cdk-hyperledger-fabric-network's functions, get it from CDK: it "
        "lets them write logs and nothing else.",
    ),
    Reasoned(
        actions=(MANAGED,),
        resource=r"arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole",
        why="cdk-hyperledger-fabric-network's function in the VPC gets it from CDK, which makes network interfaces.",
    ),
    Reasoned(
        actions=("logs:DeleteRetentionPolicy", "logs:PutRetentionPolicy"),
        resource=r"\*",
        why="CDK's LogRetention function, which cdk-hyperledger-fabric-network uses, serves all log groups of a stack.",
    ),
    Reasoned(
        actions=("lambda:InvokeFunction",),
        resource=r"<Managed(Identity|User)\w*Function\w*\.Arn>:\*",
        why="CDK's provider framework, used by cdk-hyperledger-fabric-network, calls any version of its function.",
    ),
    Reasoned(
        actions=(
            "s3:GetObject",
            "secretsmanager:CreateSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
        ),
        resource=r"arn:aws:s3:::us-east-1\.managedblockchain/\*",
        why="cdk-hyperledger-fabric-network reads Managed Blockchain's public files; its one statement pairs them with "
        "the actions on its secrets, which S3 does not know.",
    ),
]


TEMPLATES = reviewed()


def documents(value: Any) -> Iterator[dict[str, Any]]:
    """Each policy document anywhere in a resource's properties, as JSON in a string, too."""
    match value:
        case {"Statement": _}:
            yield value
        case {"Fn::Join": _} | {"Fn::Sub": _} | str():
            if '"Statement"' in flat(value):
                yield json.loads(flat(value))
        case dict():
            for each in value.values():
                yield from documents(each)
        case list():
            for each in value:
                yield from documents(each)


def principals(statement: dict[str, Any]) -> list[str]:
    given = statement.get("Principal", {"AWS": "*"} if "NotPrincipal" in statement else "")
    if not isinstance(given, dict):
        return [f"AWS:{given}" if given else ""]
    return [f"{kind}:{flat(each)}" for kind, values in given.items() for each in aslist(values)]


def grants(template: Template) -> Iterator[Grant]:
    """Every Allow of the template. One that allows all but what it names counts as one that allows all."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for arn in properties.get("ManagedPolicyArns", []):
            yield Grant(action=MANAGED, resource=flat(arn))
        if resource["Type"] == "AWS::Lambda::Permission":
            yield permission(properties)
        for document in documents(properties):
            for statement in aslist(document["Statement"]):
                if statement["Effect"] != "Allow":
                    continue
                conditions = frozenset(
                    f"{operator} {key}" for operator, keys in statement.get("Condition", {}).items() for key in keys
                )
                for action in aslist(statement.get("Action", "*")):
                    for named in aslist(statement.get("Resource", "*" if "NotResource" in statement else "itself")):
                        for principal in principals(statement):
                            yield Grant(action=action, resource=flat(named), principal=principal, conditions=conditions)


def permission(properties: dict[str, Any]) -> Grant:
    """A Lambda function's permission; the caller's ARN is part of the resource, so that a wide one is seen."""
    principal = flat(properties["Principal"])
    kind = "Service" if principal.endswith(".amazonaws.com") else "AWS"
    source = {name: flat(properties[name]) for name in ("SourceArn", "SourceAccount") if name in properties}
    return Grant(
        action=properties["Action"],
        resource=" from ".join([flat(properties["FunctionName"]), *source.values()]),
        principal=f"{kind}:{principal}",
        conditions=frozenset(source),
    )


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_is_wide_without_a_reason(name: str) -> None:
    wide = [grant for grant in grants(TEMPLATES[name]) if grant.wide]
    assert not [grant for grant in wide if not any(each.covers(grant) for each in TABLE)]


def test_every_example_and_the_default_stack_are_walked() -> None:
    assert TEMPLATES.keys() == BUILDS.keys() | {"default"}


@pytest.mark.parametrize("reasoned", TABLE, ids=lambda reasoned: f"{reasoned.principal}{reasoned.actions[0]}")
def test_every_reason_is_needed(reasoned: Reasoned) -> None:
    met = [grant for template in TEMPLATES.values() for grant in grants(template) if grant.wide]
    assert {grant.action for grant in met if reasoned.covers(grant)} == set(reasoned.actions)
