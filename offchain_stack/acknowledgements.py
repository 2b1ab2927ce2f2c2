"""Findings of cdk-nag's AwsSolutions rules that are meant, recorded where they arise, with the reason."""

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import IConstruct

ANY_RESOURCE = "IAM5[Resource::*]"
"""The finding that a policy statement names every resource."""


def acknowledge(construct: IConstruct, findings: Mapping[str, str]) -> None:
    """Record that `findings` (reason by rule, such as `S1`) on `construct` and what is in it are meant."""
    cdk.Validations.of(construct).acknowledge(
        *(
            cdk.Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
            for rule, reason in findings.items()
        )
    )


def acknowledge_policy(role: iam.Role, findings: Mapping[str, str]) -> None:
    """As `acknowledge`, on the statements added to `role` so far and later."""
    acknowledge(role.node.find_child("DefaultPolicy"), findings)


def resource(scope: IConstruct, arn: str) -> str:
    """The finding that a policy names `arn`, which has a wildcard."""
    return f"IAM5[Resource::{_text(cdk.Stack.of(scope).resolve(arn))}]"


def managed_policy(name: str) -> str:
    """The finding that a role uses AWS's managed policy `name`, which CDK names without the stack's partition."""
    return f"IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{name}]"


def _text(value: Any) -> str:
    """A resolved value as cdk-nag writes it: references in angle brackets."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_text, parts))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case _:
            return str(value)
