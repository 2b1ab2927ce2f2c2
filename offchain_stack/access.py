"""Who may call the API."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_apigateway as apigateway

_TYPES = (
    apigateway.AuthorizationType.IAM,
    apigateway.AuthorizationType.COGNITO,
    apigateway.AuthorizationType.CUSTOM,
)


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may call the methods.

    * `authorizer`: a `CognitoUserPoolsAuthorizer`, `TokenAuthorizer` or `RequestAuthorizer`; by default callers sign
      with IAM credentials (SigV4). One authorizer serves all record types of an API, and of one API only.
    * `scopes`: OAuth scopes, one of which a Cognito access token must have. By default there are none, and API Gateway
      takes ID tokens of the pool, of any of its app clients.
    * `api_key_required`: whether a request needs an API key of a usage plan, too; False by default, True on an
      `OffChainApi` with a `usage_plan`. A key meters a caller; it authenticates nobody.

    API Gateway keeps what a Lambda authorizer returned, five minutes by default, and takes it for *every* method of the
    API whose request has the same identity sources (the token alone, of a `TokenAuthorizer`). A policy that names only
    the method of the first request would then refuse the next one. Let the function return a policy for all that the
    caller may call; or give the authorizer `results_cache_ttl=Duration.seconds(0)`; or give a `RequestAuthorizer` the
    identity sources `IdentitySource.context("httpMethod")` and `IdentitySource.context("path")`, too.

    Raises ValueError where `scopes` are given without a Cognito authorizer, or an authorizer does not say its type.
    """

    authorizer: apigateway.IAuthorizer | None = None
    scopes: tuple[str, ...] = ()
    api_key_required: bool = False

    def __post_init__(self) -> None:
        if self.authorization_type not in _TYPES:
            raise ValueError(
                "authorizer: says no authorization type; give a CognitoUserPoolsAuthorizer, TokenAuthorizer or "
                "RequestAuthorizer"
            )
        if self.scopes and self.authorization_type != apigateway.AuthorizationType.COGNITO:
            raise ValueError("scopes: only a CognitoUserPoolsAuthorizer looks at them; give one as authorizer")

    @property
    def authorization_type(self) -> apigateway.AuthorizationType | None:
        """`IAM`, or the authorizer's."""
        return self.authorizer.authorization_type if self.authorizer else apigateway.AuthorizationType.IAM

    @property
    def is_iam(self) -> bool:
        """Whether callers sign with IAM credentials."""
        return self.authorizer is None

    def method_options(self) -> dict[str, Any]:
        """What `apigateway.MethodOptions` takes of it."""
        return {
            "authorization_type": self.authorization_type,
            "authorizer": self.authorizer,
            "authorization_scopes": list(self.scopes) or None,
            "api_key_required": self.api_key_required or None,
        }
