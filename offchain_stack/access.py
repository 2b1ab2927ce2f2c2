"""Who may call the API."""

from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_apigateway as apigateway


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may call the methods.

    * `authorizer`: a Cognito or Lambda authorizer; by default callers sign with IAM credentials (SigV4).
    * `scopes`: OAuth scopes, one of which a Cognito access token must have; none by default.
    * `api_key_required`: whether a request needs an API key of a usage plan, too; False by default.
    """

    authorizer: apigateway.IAuthorizer | None = None
    scopes: tuple[str, ...] = ()
    api_key_required: bool = False

    @property
    def is_iam(self) -> bool:
        """Whether callers sign with IAM credentials."""
        return self.authorizer is None

    def method_options(self) -> dict[str, Any]:
        """What `apigateway.MethodOptions` takes of it."""
        return {
            "authorization_type": self.authorizer.authorization_type
            if self.authorizer
            else apigateway.AuthorizationType.IAM,
            "authorizer": self.authorizer,
            "authorization_scopes": list(self.scopes) or None,
            "api_key_required": self.api_key_required or None,
        }
