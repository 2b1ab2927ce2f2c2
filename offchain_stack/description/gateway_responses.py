"""What API Gateway itself answers with, in place of an integration."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .template import Template, text

_Condition = Callable[[Mapping[str, Any], Template], bool]


def _always(method: Mapping[str, Any], template: Template) -> bool:
    return True


def _authorized(*kinds: str) -> _Condition:
    return lambda method, _: method.get("AuthorizationType", "NONE") in kinds


def _with_api_key(method: Mapping[str, Any], template: Template) -> bool:
    return bool(method.get("ApiKeyRequired"))


def _validated(what: str, checked: str) -> _Condition:
    def validated(method: Mapping[str, Any], template: Template) -> bool:
        validators = template.references(method.get("RequestValidatorId"), "AWS::ApiGateway::RequestValidator")
        return any(template.resources[each]["Properties"].get(what) for each in validators) and bool(
            method.get(checked)
        )

    return validated


_IAM = _authorized("AWS_IAM")
_AUTHORIZER = _authorized("CUSTOM", "COGNITO_USER_POOLS")

_TYPES: dict[str, tuple[int, _Condition]] = {
    "ACCESS_DENIED": (403, _authorized("AWS_IAM", "CUSTOM")),
    "API_CONFIGURATION_ERROR": (500, _always),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, _AUTHORIZER),
    "AUTHORIZER_FAILURE": (500, _AUTHORIZER),
    "BAD_REQUEST_BODY": (400, _validated("ValidateRequestBody", "RequestModels")),
    "BAD_REQUEST_PARAMETERS": (400, _validated("ValidateRequestParameters", "RequestParameters")),
    "EXPIRED_TOKEN": (403, _IAM),
    "INTEGRATION_FAILURE": (504, _always),
    "INTEGRATION_TIMEOUT": (504, _always),
    "INVALID_API_KEY": (403, _with_api_key),
    "INVALID_SIGNATURE": (403, _IAM),
    "MISSING_AUTHENTICATION_TOKEN": (403, _IAM),
    "QUOTA_EXCEEDED": (429, _with_api_key),
    "REQUEST_TOO_LARGE": (413, _always),
    "THROTTLED": (429, _always),
    "UNAUTHORIZED": (401, _AUTHORIZER),
    "UNSUPPORTED_MEDIA_TYPE": (415, _always),
    "WAF_FILTERED": (403, _always),
}
"""Status by default, and the methods that answer so, by type; RESOURCE_NOT_FOUND is of no method. See
https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html"""


@dataclass(frozen=True)
class GatewayResponse:
    """`error` is the code in the template's body; None where API Gateway's own body, `{"message"}`, is sent."""

    type: str
    status: int
    error: str | None

    def answers(self, method: Mapping[str, Any], template: Template) -> bool:
        """Whether the method with these properties may answer so."""
        return _TYPES[self.type][1](method, template)


def gateway_responses(template: Template, api: str) -> list[GatewayResponse]:
    """Of the REST API with this logical id: every type, as the template has it or as it is by default."""
    given = {
        each["ResponseType"]: each
        for each in template.of_type("AWS::ApiGateway::GatewayResponse").values()
        if api in template.references(each["RestApiId"])
    }
    found = []
    for name, (status, _) in _TYPES.items():
        response = given.get(name) or given.get("DEFAULT_4XX" if status < 500 else "DEFAULT_5XX") or {}
        body = response.get("ResponseTemplates", {}).get("application/json")
        found.append(
            GatewayResponse(
                type=name,
                status=int(response.get("StatusCode", status)),
                error=json.loads(text(body)).get("error") if body else None,
            )
        )
    return found
