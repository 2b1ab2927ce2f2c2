"""OffChainApi: a REST API of its own, which the record types share."""

import json
from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from .access import Access
from .acknowledgements import acknowledge, managed_policy
from .answers import GATEWAY_ANSWERS, request_too_large
from .fabric import FabricNetwork
from .record_type import RecordType

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


class OffChainApi(Construct):
    """A REST API for one record type or several, each added by a `RecordApi`.

    * `access`: who may call; callers with IAM credentials by default.
    * `throttling_rate_limit`, `throttling_burst_limit`: requests a second, and at once, for the whole stage; 50 and 100
      by default.
    * `cloud_watch_role`: sets the role by which API Gateway writes logs, one for the account and region; False where
      the account has one. True by default.
    * `log_retention`: how long access logs are kept; three months by default.

    Access logs hold ids, codes and times; no body, no header, no name. Exposes `rest_api`, `access`,
    `access_log_group` and `gateway_responses`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        access: Access | None = None,
        throttling_rate_limit: float = 50,
        throttling_burst_limit: int = 100,
        cloud_watch_role: bool = True,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(scope, id)
        self.access = access or Access()
        self._record_types: list[RecordType] = []
        self._network: FabricNetwork | None = None
        self.access_log_group = logs.LogGroup(self, "AccessLogs", retention=log_retention)
        self.rest_api = apigateway.RestApi(
            self,
            "RestApi",
            rest_api_name=cdk.Names.unique_resource_name(self, max_length=64),
            description="Creates and reads records: data off the chain, its proof on it",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=cloud_watch_role,
            deploy_options=apigateway.StageOptions(
                access_log_destination=apigateway.LogGroupLogDestination(self.access_log_group),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,
                metrics_enabled=True,
                tracing_enabled=True,
                throttling_rate_limit=throttling_rate_limit,
                throttling_burst_limit=throttling_burst_limit,
            ),
        )
        acknowledge(
            self.rest_api.deployment_stage,
            {"APIG3": "Callers are authenticated before anything runs; a web ACL is the operator's to choose."},
        )
        if cloud_watch_role:
            acknowledge(
                self.rest_api.node.find_child("CloudWatchRole"),
                {managed_policy(_PUSH_TO_LOGS): "The account's one role for API Gateway's logs, as AWS has it."},
            )
        self.gateway_responses = [
            apigateway.GatewayResponse(
                self,
                f"Gateway{name}",
                rest_api=self.rest_api,
                type=apigateway.ResponseType.of(name),
                status_code=str(status) if status else None,
                templates={"application/json": body},
            )
            for name, (status, body) in self._gateway_bodies().items()
        ]

    def add(self, record_type: RecordType) -> None:
        """What `RecordApi` calls. Raises ValueError where the path is another record type's."""
        if any(record_type.path == each.path for each in self._record_types):
            raise ValueError(f"record_type: the API has /{record_type.path} already; give the second one another path")
        self._record_types.append(record_type)

    def use_network(self, network: FabricNetwork) -> None:
        """Let the API's records be on `network`. Raises ValueError where others of this API are on another one, which
        `GET /transactions/{transactionId}` would not ask."""
        if self._network not in (None, network):
            raise ValueError("network: the API's other records are on another one; give these an API of their own")
        self._network = network

    def _gateway_bodies(self) -> dict[str, tuple[int | None, str]]:
        """Status and body by response type."""
        bodies = {name: (status, _body(error, message)) for name, (status, error, message) in GATEWAY_ANSWERS.items()}
        # Known when the record types are.
        return bodies | {"REQUEST_TOO_LARGE": (413, cdk.Lazy.string(_RequestTooLarge(self._record_types)))}

    def metric(self, name: str, **options: Any) -> cloudwatch.Metric:
        """API Gateway's metric `name` of the stage, such as `5XXError`; `options` are those of
        `aws_cloudwatch.MetricOptions`."""
        return self.rest_api.deployment_stage.metric(name, **options)


@jsii.implements(cdk.IStableStringProducer)
class _RequestTooLarge:
    def __init__(self, record_types: Sequence[RecordType]) -> None:
        self._record_types = record_types

    def produce(self) -> str:
        return _body(*request_too_large(self._record_types))


def _body(error: str, message: str) -> str:
    # Not Velocity: API Gateway puts in $context values and nothing else, validationErrorString already escaped.
    return json.dumps({"error": error, "message": message, "requestId": "$context.requestId"})
