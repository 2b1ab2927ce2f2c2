"""What a policy has to name so that it admits a secret, of which only its name or part of its ARN may be known.

Secrets Manager ends each secret's ARN with a hyphen and six characters of its own, which no name tells.
"""

import re
from typing import cast

import aws_cdk as cdk
from constructs import IConstruct

_SUFFIX = "-??????"
_SECRET = re.compile(r"arn:[^:]+:secretsmanager:.*:secret:.+")
_WHOLE = re.compile(r".+-[A-Za-z0-9]{6}")
_PERHAPS_WHOLE = re.compile(r".+(-([a-z]{6}|[0-9]{6})|\})")
"""Ends as a name may, too: with a word or a date of six characters, or with a token."""


def secret_arns(scope: IConstruct, secret: str) -> list[str]:
    """The ARNs that stand for `secret`: its name, its ARN, its ARN without the six characters, or a text of tokens that
    is one of the three. A text that begins with a token is of a secret in the stack's account and region.

    Raises ValueError for the ARN of something else.
    """
    if secret.startswith("arn:"):
        return _of_arn(secret)
    if not secret.startswith("${Token["):
        return [_arn(scope, secret) + _SUFFIX]
    if _is_secret(secret):
        return [secret]
    # The part behind ":secret:" where there is one, else the whole: appended to itself, the text has one in any case.
    name = cdk.Fn.select(1, cdk.Fn.split(":secret:", f"{secret}:secret:{secret}"))
    return [_arn(scope, name), _arn(scope, name) + _SUFFIX]


def _of_arn(arn: str) -> list[str]:
    if not _SECRET.fullmatch(arn):
        raise ValueError(f"{arn!r} is not the ARN of a secret; give a secret's name or ARN")
    if _PERHAPS_WHOLE.fullmatch(arn):
        return [arn, arn + _SUFFIX]
    return [arn] if _WHOLE.fullmatch(arn) else [arn + _SUFFIX]


def _is_secret(text: str) -> bool:
    """Whether the text is a reference to a secret of the app: what it refers to is the whole ARN."""
    fragments = cdk.Tokenization.reverse_string(text)
    token = fragments.first_token
    if fragments.length != 1 or not cdk.Reference.is_reference(token):
        return False
    target = cast("cdk.Reference", token).target
    return isinstance(target, cdk.CfnResource) and target.cfn_resource_type == "AWS::SecretsManager::Secret"


def _arn(scope: IConstruct, name: str) -> str:
    return cdk.Stack.of(scope).format_arn(
        service="secretsmanager", resource="secret", resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
