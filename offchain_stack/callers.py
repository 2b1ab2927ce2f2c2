"""Callers: which Fabric users a caller of the API may act as."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam

from .access import Access

LONGEST_USER = 64
"""Characters of a Fabric user's name that a request may carry. API Gateway counts one beyond U+FFFF twice."""

_LONGEST_ARN = 256
_PRINCIPAL = re.compile(
    r"arn:[a-z-]+:(?:iam::\d{12}:(?:role|user)|sts::\d{12}:(?:assumed-role|federated-user))/[^*?\s]+"
)
_NEEDED = {
    apigateway.AuthorizationType.IAM: "callers with IAM credentials, that is an access without an authorizer",
    apigateway.AuthorizationType.COGNITO: "an access whose authorizer is a CognitoUserPoolsAuthorizer",
    apigateway.AuthorizationType.CUSTOM: "an access whose authorizer is a TokenAuthorizer or RequestAuthorizer",
}


@dataclass(frozen=True, kw_only=True)
class Callers:
    """Binds the callers of `POST` to Fabric users. Made by `by_claim`, `by_authorizer_value` or `by_principal`.

    What is known of a caller is what API Gateway has authenticated (`$context`); nothing in a request can set it. A
    caller without a Fabric user, and one who names another's, is answered 403 before anything is written. Without a
    binding every caller may name every user of the deployment.

    Reads name no user: they run as the deployment's first one.

    * `source`: the mapping template's reference to what is known of a caller.
    * `longest`: characters of it; a longer one is nobody's.
    * `authorization_type`: the kind of access that knows it.
    * `principals`: the ARNs that may act as each Fabric user; None, the default, where what is known is a user's name.
    """

    source: str
    longest: int
    authorization_type: apigateway.AuthorizationType
    principals: Mapping[str, Sequence[str]] | None = None

    @classmethod
    def by_claim(cls, name: str) -> "Callers":
        """The claim `name` of a Cognito token, such as `cognito:username` or `custom:fabricUsername`, is the caller's
        one Fabric user.

        Let it be a claim that callers cannot choose: no app client may write the attribute, also not at sign-up. A
        token has custom attributes where it is an ID token (an access without `scopes`); into an access token a pre
        token generation trigger must put them. Raises ValueError where `name` cannot be a claim's.
        """
        if not re.fullmatch(r"[A-Za-z0-9_:./-]{1,128}", name):
            raise ValueError(f"name: {name!r} is no claim, such as 'custom:fabricUsername'")
        # A name with a colon is not reached with a dot: "Integrate a REST API with an Amazon Cognito user pool",
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-enable-cognito-user-pool.html
        return cls(
            source=f"$context.authorizer.claims['{name}']",
            longest=LONGEST_USER,
            authorization_type=apigateway.AuthorizationType.COGNITO,
        )

    @classmethod
    def by_authorizer_value(cls, key: str) -> "Callers":
        """What a Lambda authorizer returns under `key` of its `context`, or its `principalId`, is the caller's one
        Fabric user. Raises ValueError where `key` is not a letter and up to 63 letters, digits and `_`."""
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", key):
            raise ValueError(f"key: {key!r} must be letters, digits and '_', such as 'fabricUsername'")
        return cls(
            source=f"$context.authorizer.{key}",
            longest=LONGEST_USER,
            authorization_type=apigateway.AuthorizationType.CUSTOM,
        )

    @classmethod
    def by_principal(cls, users: Mapping[str, Sequence[str | iam.IRole | iam.IUser]]) -> "Callers":
        """The IAM principals that may act as each Fabric user, by the user's name, such as `{"lambdaUser": [role,
        "arn:aws:iam::111122223333:user/ada"]}`. A principal of several users may name any of them in a request; the
        first is its default. A role stands for all its sessions.

        Who may call at all is said by IAM policies (`grant_create`). Raises ValueError where a user has no principal,
        or a principal is no role, user or session, has a wildcard or is longer than 256 characters.
        """
        if not users:
            raise ValueError("users: give one Fabric user at least, such as {'lambdaUser': [role]}")
        principals = {user: tuple(map(_arn, given)) for user, given in users.items()}
        for user, arns in principals.items():
            if not arns:
                raise ValueError(f"users: {user!r} has no principal; give one or leave the user out")
            for arn in arns:
                if not cdk.Token.is_unresolved(arn) and not (len(arn) <= _LONGEST_ARN and _PRINCIPAL.fullmatch(arn)):
                    raise ValueError(
                        f"users: {arn!r} of {user!r} is no role, user or session without wildcards, such as "
                        "'arn:aws:iam::111122223333:role/donor-desk'"
                    )
        return cls(
            source="$context.identity.userArn",
            longest=_LONGEST_ARN,
            authorization_type=apigateway.AuthorizationType.IAM,
            principals=principals,
        )

    def to_environment(self) -> dict[str, str]:
        """The upload function's environment: `FABRIC_CALLERS`."""
        rule: dict[str, Any] = {"kind": "claim"}
        if self.principals is not None:
            rule = {"kind": "principals", "users": self.principals}
        return {"FABRIC_CALLERS": json.dumps(rule)}

    def require_access(self, access: Access) -> None:
        """Raises ValueError where `access` does not know what this asks of a caller, so that everyone were refused."""
        if access.authorization_type != self.authorization_type:
            raise ValueError(f"callers: {self.source} needs {_NEEDED[self.authorization_type]}")

    def require_users(self, users: Collection[str]) -> None:
        """Raises ValueError where one of them is not among `users`, the network's, or cannot be named."""
        for user in self.principals or ():
            if user not in users:
                raise ValueError(f"callers: the network has no user {user!r}; it has {', '.join(users)}")
        if self.principals is None and (overlong := [user for user in users if _length(user) > LONGEST_USER]):
            raise ValueError(f"callers: the user {overlong[0]!r} is longer than the {LONGEST_USER} characters compared")


def _length(text: str) -> int:
    """As Java counts it, which renders API Gateway's templates."""
    return len(text.encode("utf-16-le")) // 2


def _arn(principal: str | iam.IRole | iam.IUser) -> str:
    if isinstance(principal, str):
        return principal
    return principal.role_arn if hasattr(principal, "role_arn") else principal.user_arn
