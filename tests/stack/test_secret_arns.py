"""However a user's secrets are given, the policy admits what exists under that, and nothing else."""

from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from ec2 import ACCOUNT, REGION, admits
from stack_template import Template, of_type
from test_constructs import network

from offchain_stack import FabricUser
from sandbox.intrinsics import Resolver

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
Given = Callable[[cdk.Stack], str]
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
READ = "secretsmanager:GetSecretValue"


def by_name(name: str) -> Given:
    return lambda stack: secretsmanager.Secret.from_secret_name_v2(stack, "Secret", name).secret_arn


def parameter(value: str) -> Given:
    return lambda stack: cdk.CfnParameter(stack, "Given", default=value).value_as_string


# What is given, and the secret that exists.
FORMS: dict[str, tuple[Given, str]] = {
    "a name": (lambda _: "dev/user/pk", "dev/user/pk-a1B2c3"),
    "a name that ends as an ARN may": (lambda _: "dev/secret", "dev/secret-a1B2c3"),
    "a whole ARN": (lambda _: f"{SECRET}key-AbCdEf", "key-AbCdEf"),
    "a partial ARN": (lambda _: f"{SECRET}key", "key-a1B2c3"),
    "a partial ARN that ends with a word of six letters": (lambda _: f"{SECRET}my-secret", "my-secret-a1B2c3"),
    "a partial ARN that ends with a date": (lambda _: f"{SECRET}key-202611", "key-202611-a1B2c3"),
    "from_secret_name_v2": (by_name("dev/user/pk"), "dev/user/pk-a1B2c3"),
    "from_secret_name_v2, with a word of six letters": (by_name("the-secret"), "the-secret-a1B2c3"),
    "a name with account and region": (
        lambda stack: f"{stack.account}/{stack.region}/pk",
        f"{ACCOUNT}/{REGION}/pk-a1B2c3",
    ),
    "a name with a parameter in it": (
        lambda stack: f"dev/{parameter('org1')(stack)}/pk",
        "dev/org1/pk-a1B2c3",
    ),
    "a name that begins with a parameter": (
        lambda stack: f"{parameter('dev')(stack)}/pk",
        "dev/pk-a1B2c3",
    ),
    "a parameter that is a name": (parameter("dev/user/pk"), "dev/user/pk-a1B2c3"),
    "a parameter that is a whole ARN": (parameter(f"{SECRET}dev/pk-a1B2c3"), "dev/pk-a1B2c3"),
    "a parameter that is a partial ARN": (parameter(f"{SECRET}dev/pk"), "dev/pk-a1B2c3"),
    "an ARN that ends with a parameter": (
        lambda stack: f"{SECRET}{parameter('dev/pk')(stack)}",
        "dev/pk-a1B2c3",
    ),
}


def policy(template: Template) -> Any:
    (found,) = of_type(template, "AWS::IAM::Policy").values()
    resolver = Resolver(template, region=REGION, account=ACCOUNT, stack_name="Foreign")
    return resolver.resolve(found["PolicyDocument"])


def granted(synthesize: Synthesize, given: Given) -> Any:
    def build(app: cdk.App) -> None:
        stack = cdk.Stack(app, "Foreign")
        user = FabricUser(name="u", certificate="certificate", private_key=given(stack))
        role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
        network(stack, users=[user]).grant_read_identities(role)

    return policy(synthesize(build)["Foreign"])


@pytest.mark.parametrize(("given", "name"), FORMS.values(), ids=FORMS)
def test_the_policy_admits_what_exists(synthesize: Synthesize, given: Given, name: str) -> None:
    document = granted(synthesize, given)
    assert admits(document, READ, f"{SECRET}{name}")
    assert not admits(document, READ, f"{SECRET}{name}/other-a1B2c3")
    assert not admits(document, READ, f"{SECRET}another-a1B2c3")


def test_a_secret_of_the_app_is_named_by_its_own_arn(synthesize: Synthesize) -> None:
    document = granted(synthesize, lambda stack: secretsmanager.Secret(stack, "Made").secret_arn)
    resources = [each for statement in document["Statement"] for each in statement["Resource"]]
    assert f"{SECRET}certificate-??????" in resources
    assert len(resources) == 2
    assert not resources[1].endswith("?")


def test_a_member_may_be_a_parameter(synthesize: Synthesize) -> None:
    def build(app: cdk.App) -> None:
        stack = cdk.Stack(app, "Foreign")
        member = cdk.CfnParameter(stack, "Member", default="org7").value_as_string
        role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
        network(stack, users=[FabricUser.from_secret_names("u", member=member)]).grant_read_identities(role)

    document = policy(synthesize(build)["Foreign"])
    for part in ("signcert", "pk"):
        assert admits(document, READ, f"{SECRET}dev/fabricOrgs/org7/u/{part}-a1B2c3")
        assert not admits(document, READ, f"{SECRET}dev/fabricOrgs/org8/u/{part}-a1B2c3")


@pytest.mark.parametrize("secret", ["arn:aws:s3:::bucket/key", "arn:aws:kms:us-east-1:111122223333:key/k"])
def test_the_arn_of_something_else_is_refused_with_the_props_name(secret: str) -> None:
    user = FabricUser(name="u", certificate="certificate", private_key=secret)
    with pytest.raises(ValueError, match=r"^users: private_key: 'arn:aws:.*is not the ARN of a secret"):
        network(cdk.Stack(), users=[user])
