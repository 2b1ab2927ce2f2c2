"""DonorApi: the REST API in front of the workflow."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .acknowledgements import acknowledge, managed_policy
from .record_type import DONOR, RecordType

_TEMPLATES = Path(__file__).parent / "templates"

_OUTCOME_UNKNOWN = (
    "No verdict in time: the record may be on the ledger or not. Send the request again with the same Idempotency-Key."
)
_INTERNAL_ERROR = "The request failed for a reason of ours. Give the requestId to the operator."
_TOO_MANY_REQUESTS = "Too many requests at once. Wait a little and send it again."
_FORBIDDEN = "Not authorised for this method and path. Sign the request (SigV4) with credentials that may call it."
_INVALID_REQUEST = "The request is not valid. Send the body as JSON, as the documentation shows."
_MEDIA_TYPE = "Content-Type: send the body as application/json."


@dataclass(frozen=True)
class _Answer:
    status: int
    error: str


def answers(record_type: RecordType) -> dict[str, _Answer]:
    """The HTTP status and public error code of each error name that an execution may end with and that a caller may
    read the message of. Any other is 500 InternalError."""
    return {
        "InvalidRequest": _Answer(400, "InvalidRequest"),
        "IdempotencyKeyReused": _Answer(400, "InvalidRequest"),
        record_type.invalid_data_error: _Answer(400, record_type.invalid_data_error),
        "Forbidden": _Answer(403, "Forbidden"),
        record_type.already_exists_error: _Answer(409, record_type.already_exists_error),
        record_type.data_too_large_error: _Answer(413, record_type.data_too_large_error),
        "ChaincodeRejected": _Answer(422, "ChaincodeRejected"),
        "TooManyRequests": _Answer(429, "TooManyRequests"),
        "EndorsementFailed": _Answer(503, "LedgerUnavailable"),
        "TransactionInvalid": _Answer(503, "LedgerUnavailable"),
        "LedgerUnavailable": _Answer(503, "LedgerUnavailable"),
        "OutcomeUnknown": _Answer(504, "OutcomeUnknown"),
    }


def _gateway_answers(record_type: RecordType) -> dict[str, tuple[int | None, str, str]]:
    """API Gateway's own refusals: status (None: as it is), error code and message, by response type."""
    forbidden = (403, "Forbidden", _FORBIDDEN)
    unknown = (504, "OutcomeUnknown", _OUTCOME_UNKNOWN)
    throttled = (429, "TooManyRequests", _TOO_MANY_REQUESTS)
    internal = (500, "InternalError", _INTERNAL_ERROR)
    return {
        "DEFAULT_4XX": (None, "InvalidRequest", _INVALID_REQUEST),
        "DEFAULT_5XX": (500, "InternalError", _INTERNAL_ERROR),
        "BAD_REQUEST_BODY": (400, "InvalidRequest", "$context.error.validationErrorString"),
        "BAD_REQUEST_PARAMETERS": (400, "InvalidRequest", _INVALID_REQUEST),
        "UNSUPPORTED_MEDIA_TYPE": (400, "InvalidRequest", _MEDIA_TYPE),
        "REQUEST_TOO_LARGE": (413, record_type.data_too_large_error, record_type.too_large_message),
        "ACCESS_DENIED": forbidden,
        "EXPIRED_TOKEN": forbidden,
        "INVALID_API_KEY": forbidden,
        "INVALID_SIGNATURE": forbidden,
        "MISSING_AUTHENTICATION_TOKEN": forbidden,
        "RESOURCE_NOT_FOUND": forbidden,
        "UNAUTHORIZED": forbidden,
        "WAF_FILTERED": forbidden,
        "THROTTLED": throttled,
        "QUOTA_EXCEEDED": throttled,
        "API_CONFIGURATION_ERROR": internal,
        "AUTHORIZER_CONFIGURATION_ERROR": internal,
        "AUTHORIZER_FAILURE": internal,
        "INTEGRATION_FAILURE": unknown,
        "INTEGRATION_TIMEOUT": unknown,
    }


class DonorApi(Construct):
    """A REST API with `POST /donors` (the record type's path) that runs the workflow and answers with its outcome.

    * `state_machine`: an EXPRESS one with the input and output of `CreateWorkflow`.
    * `rest_api`: adds the resource to this API and makes none. Its stage, logs, throttling and gateway responses stay
      its own. One of another stack has to be imported (`RestApi.from_rest_api_attributes`), and its stage deployed
      afterwards by its owner.
    * `authorization_type`, `authorizer`: IAM (SigV4) by default.
    * `throttling_rate_limit`, `throttling_burst_limit`: requests a second, and at once, for the whole stage.
    * `cloud_watch_role`: sets the role by which API Gateway writes logs, one for the account and region; False where
      the account has one.

    Access logs hold ids, codes and times; no body, no header. Exposes `rest_api`, `resource`, `method`, `role`,
    `model`, and for an API of its own `url`, `access_log_group` and `gateway_responses`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        state_machine: sfn.IStateMachine,
        rest_api: apigateway.IRestApi | None = None,
        record_type: RecordType = DONOR,
        authorization_type: apigateway.AuthorizationType = apigateway.AuthorizationType.IAM,
        authorizer: apigateway.IAuthorizer | None = None,
        throttling_rate_limit: float = 50,
        throttling_burst_limit: int = 100,
        cloud_watch_role: bool = True,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(scope, id)
        self._record_type = record_type
        self.access_log_group: logs.LogGroup | None = None
        self.gateway_responses: list[apigateway.GatewayResponse] = []
        own_api = None
        if rest_api is None:
            rest_api = own_api = self._make_api(
                throttling_rate_limit, throttling_burst_limit, cloud_watch_role, log_retention
            )
        self.rest_api: apigateway.IRestApi = rest_api
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"))
        state_machine.grant_start_sync_execution(self.role)
        self.model = apigateway.Model(
            self,
            "Request",
            rest_api=self.rest_api,
            content_type="application/json",
            schema=_json_schema(record_type.request_schema()),
        )
        self.resource = apigateway.Resource(self, "Resource", parent=self.rest_api.root, path_part=record_type.path)
        self.method = self.resource.add_method(
            "POST",
            self._integration(state_machine),
            operation_name=f"Create{record_type.name}",
            authorization_type=authorization_type,
            authorizer=authorizer,
            request_models={"application/json": self.model},
            request_validator=apigateway.RequestValidator(
                self, "Validator", rest_api=self.rest_api, validate_request_body=True, validate_request_parameters=True
            ),
            method_responses=[
                apigateway.MethodResponse(status_code=str(status))
                for status in sorted({200, 500, *(answer.status for answer in answers(record_type).values())})
            ],
        )

        if authorization_type == apigateway.AuthorizationType.IAM:
            acknowledge(self.method, {"COG4": "Callers are authorised by IAM: they sign requests with SigV4."})
        self.url = own_api.url_for_path(self.resource.path) if own_api else None
        """Where to POST; None on an API that was handed in."""

    def grant_create(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` call `POST` on the resource, where the method's authorization is IAM."""
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["execute-api:Invoke"], resource_arns=[self.method.method_arn]
        )

    def _make_api(
        self, rate_limit: float, burst_limit: int, cloud_watch_role: bool, log_retention: logs.RetentionDays
    ) -> apigateway.RestApi:
        self.access_log_group = logs.LogGroup(self, "AccessLogs", retention=log_retention)
        api = apigateway.RestApi(
            self,
            "RestApi",
            rest_api_name=cdk.Names.unique_resource_name(self, max_length=64),
            description=f"Creates a {self._record_type.name}: data off the chain, its proof on it",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=cloud_watch_role,
            deploy_options=apigateway.StageOptions(
                access_log_destination=apigateway.LogGroupLogDestination(self.access_log_group),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,
                metrics_enabled=True,
                tracing_enabled=True,
                throttling_rate_limit=rate_limit,
                throttling_burst_limit=burst_limit,
            ),
        )
        acknowledge(
            api.deployment_stage,
            {"APIG3": "Callers are authenticated before anything runs; a web ACL is the operator's to choose."},
        )
        if cloud_watch_role:
            acknowledge(
                api.node.find_child("CloudWatchRole"),
                {managed_policy(_PUSH_TO_LOGS): "The account's one role for API Gateway's logs, as AWS has it."},
            )
        for name, (status, error, message) in _gateway_answers(self._record_type).items():
            # Not Velocity: API Gateway puts in $context values and nothing else, validationErrorString already escaped.
            body = {"error": error, "message": message, "requestId": "$context.requestId"}
            self.gateway_responses.append(
                apigateway.GatewayResponse(
                    self,
                    f"Gateway{name}",
                    rest_api=api,
                    type=apigateway.ResponseType.of(name),
                    status_code=str(status) if status else None,
                    templates={"application/json": json.dumps(body)},
                )
            )
        return api

    def _integration(self, state_machine: sfn.IStateMachine) -> apigateway.AwsIntegration:
        fixed = {
            "internalError": _INTERNAL_ERROR,
            "outcomeUnknown": _OUTCOME_UNKNOWN,
            "tooManyRequests": _TOO_MANY_REQUESTS,
            "invalidRequest": _INVALID_REQUEST,
            "dataTooLarge": self._record_type.too_large_message,
            "dataTooLargeError": self._record_type.data_too_large_error,
            "errors": _error_branches(self._record_type),
        }
        request = _template(
            "request",
            {
                "stateMachineArn": state_machine.state_machine_arn,
                "maxArgumentsLength": str(self._record_type.max_arguments_length),
            },
        )
        return apigateway.AwsIntegration(
            service="states",
            action="StartSyncExecution",
            options=apigateway.IntegrationOptions(
                credentials_role=self.role,
                passthrough_behavior=apigateway.PassthroughBehavior.NEVER,
                request_templates={"application/json": request},
                timeout=cdk.Duration.seconds(29),
                integration_responses=[
                    _response("200", "200", _template("result", fixed)),
                    _response("4\\d{2}", "500", _template("refused", fixed)),
                    _response(None, "504", _template("unanswered", fixed)),
                ],
            ),
        )


_PUSH_TO_LOGS = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"

_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "extendedRequestId": "$context.extendedRequestId",
    "requestTime": "$context.requestTime",
    "sourceIp": "$context.identity.sourceIp",
    "caller": "$context.identity.caller",
    "httpMethod": "$context.httpMethod",
    "resourcePath": "$context.resourcePath",
    "status": "$context.status",
    "errorType": "$context.error.responseType",
    "integrationStatus": "$context.integration.status",
    "integrationLatency": "$context.integration.latency",
    "responseLatency": "$context.responseLatency",
    "xrayTraceId": "$context.xrayTraceId",
}


def _error_branches(record_type: RecordType) -> str:
    return "\n".join(
        f'#elseif($execution.error == "{name}")\n#set($status = {answer.status})\n#set($error = "{answer.error}")'
        for name, answer in answers(record_type).items()
    )


def _template(name: str, values: dict[str, str]) -> str:
    text = (_TEMPLATES / f"{name}.vtl").read_text("utf-8")
    for placeholder, value in values.items():
        text = text.replace(f"<<{placeholder}>>", value)
    return text


def _response(pattern: str | None, status: str, template: str) -> apigateway.IntegrationResponse:
    return apigateway.IntegrationResponse(
        selection_pattern=pattern, status_code=status, response_templates={"application/json": template}
    )


def _json_schema(schema: dict[str, Any]) -> apigateway.JsonSchema:
    """The schema as CDK's own type, which writes it into the template unchanged."""
    types = {"object": apigateway.JsonSchemaType.OBJECT, "string": apigateway.JsonSchemaType.STRING}
    return apigateway.JsonSchema(
        title=schema.get("title"),
        type=types[schema["type"]],
        additional_properties=schema.get("additionalProperties"),
        required=schema.get("required"),
        min_length=schema.get("minLength"),
        max_length=schema.get("maxLength"),
        properties={name: _json_schema(part) for name, part in schema["properties"].items()}
        if "properties" in schema
        else None,
    )
