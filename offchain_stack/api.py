"""DonorApi: the REST API in front of the workflow."""

import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .acknowledgements import acknowledge, managed_policy
from .answers import gateway_answers
from .integration import CONTENT_TYPE, RequestParameter, WorkflowIntegration, create_integration, read_integration
from .record_type import DONOR, RecordType


class DonorApi(Construct):
    """A REST API with `POST /donors` (the record type's path) that runs the workflow and answers with its outcome, and
    with `GET /donors/{donorUserName}`, `GET /donors` and `GET /transactions/{transactionId}` where it is to read, too.

    * `state_machine`: an EXPRESS one with the input and output of `CreateWorkflow`.
    * `read_state_machine`: one with those of `ReadWorkflow`; None: nothing can be read through the API.
    * `rest_api`: adds the resource to this API and makes none. Its stage, logs, throttling and gateway responses stay
      its own. One of another stack has to be imported (`RestApi.from_rest_api_attributes`), and its stage deployed
      afterwards by its owner.
    * `resource`: adds the methods to this resource of `rest_api`, which must not have them, and makes none. One whose
      `POST` is to be changed is for `ExistingMethod`.
    * `authorization_type`, `authorizer`: IAM (SigV4) by default.
    * `throttling_rate_limit`, `throttling_burst_limit`: requests a second, and at once, for the whole stage.
    * `cloud_watch_role`: sets the role by which API Gateway writes logs, one for the account and region; False where
      the account has one.

    Access logs hold ids, codes and times; no body, no header, no name. Exposes `rest_api`, `resource`, `method`,
    `read_methods`, `role`, `model`, and for an API of its own `url`, `access_log_group` and `gateway_responses`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        state_machine: sfn.IStateMachine,
        read_state_machine: sfn.IStateMachine | None = None,
        rest_api: apigateway.IRestApi | None = None,
        resource: apigateway.IResource | None = None,
        record_type: RecordType = DONOR,
        authorization_type: apigateway.AuthorizationType = apigateway.AuthorizationType.IAM,
        authorizer: apigateway.IAuthorizer | None = None,
        throttling_rate_limit: float = 50,
        throttling_burst_limit: int = 100,
        cloud_watch_role: bool = True,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(scope, id)
        if resource and not rest_api:
            raise ValueError("resource: give the rest_api that it belongs to, too")
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
        self.resource: apigateway.IResource = resource or apigateway.Resource(
            self, "Resource", parent=self.rest_api.root, path_part=record_type.path
        )
        self._authorization: dict[str, Any] = {
            "authorization_type": authorization_type,
            "authorizer": authorizer,
            "request_validator": apigateway.RequestValidator(
                self, "Validator", rest_api=self.rest_api, validate_request_body=True, validate_request_parameters=True
            ),
        }
        self.method = self._add_method(
            self.resource,
            "POST",
            f"Create{record_type.name}",
            create_integration(record_type, state_machine.state_machine_arn),
            request_models={CONTENT_TYPE: self.model},
        )
        self.read_methods: list[apigateway.Method] = []
        if read_state_machine:
            read_state_machine.grant_start_sync_execution(self.role)
            self._add_reads(read_state_machine)
        self.url = own_api.url_for_path(self.resource.path) if own_api else None
        """Where to POST; None on an API that was handed in."""

    def grant_create(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` call `POST` on the resource, where the method's authorization is IAM."""
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=["execute-api:Invoke"], resource_arns=[self.method.method_arn]
        )

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` call the `GET` methods, where their authorization is IAM."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["execute-api:Invoke"],
            resource_arns=[method.method_arn for method in self.read_methods],
        )

    def _add_reads(self, state_machine: sfn.IStateMachine) -> None:
        record_type, arn = self._record_type, state_machine.state_machine_arn
        transactions = apigateway.Resource(
            self, "Transactions", parent=self.rest_api.root, path_part="transactions"
        ).add_resource("{transactionId}")
        one = self.resource.add_resource(f"{{{record_type.identifying_field}}}")
        identifier = RequestParameter("identifier", "path", record_type.identifying_field)
        reads = [
            (one, f"Read{record_type.name}", "record", [identifier, _query("verify"), _query("inline")]),
            (self.resource, f"List{record_type.name}s", "list", [_query("limit"), _query("nextToken")]),
            (
                transactions,
                "ReadTransaction",
                "transaction",
                [RequestParameter("transactionId", "path", "transactionId")],
            ),
        ]
        for resource, operation, query, parameters in reads:
            self.read_methods.append(
                self._add_method(
                    resource,
                    "GET",
                    operation,
                    read_integration(record_type, arn, query=query, parameters=parameters),
                    request_parameters={
                        f"method.request.{each.place}.{each.name}": each.place == "path" for each in parameters
                    },
                )
            )

    def _add_method(
        self,
        resource: apigateway.IResource,
        verb: str,
        operation: str,
        integration: WorkflowIntegration,
        **request: Any,
    ) -> apigateway.Method:
        method = resource.add_method(
            verb,
            self._aws_integration(integration),
            operation_name=operation,
            method_responses=[apigateway.MethodResponse(status_code=str(status)) for status in integration.statuses],
            **self._authorization,
            **request,
        )
        if self._authorization["authorization_type"] == apigateway.AuthorizationType.IAM:
            acknowledge(method, {"COG4": "Callers are authorised by IAM: they sign requests with SigV4."})
        return method

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
        for name, (status, error, message) in gateway_answers(self._record_type).items():
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

    def _aws_integration(self, integration: WorkflowIntegration) -> apigateway.AwsIntegration:
        return apigateway.AwsIntegration(
            service=integration.service,
            action=integration.action,
            integration_http_method=integration.http_method,
            options=apigateway.IntegrationOptions(
                credentials_role=self.role,
                passthrough_behavior=apigateway.PassthroughBehavior[integration.passthrough_behavior],
                request_templates={CONTENT_TYPE: integration.request_template},
                timeout=cdk.Duration.seconds(integration.timeout_seconds),
                integration_responses=[
                    apigateway.IntegrationResponse(
                        selection_pattern=answer.selection_pattern,
                        status_code=str(answer.status),
                        response_templates={CONTENT_TYPE: answer.template},
                    )
                    for answer in integration.answers
                ],
            ),
        )


def _query(name: str) -> RequestParameter:
    return RequestParameter(name, "querystring", name)


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
