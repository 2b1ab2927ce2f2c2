"""RecordApi: the methods of a record type on a REST API."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .access import Access
from .acknowledgements import acknowledge
from .callers import Callers
from .integration import CONTENT_TYPE, RequestParameter, WorkflowIntegration, create_integration, read_integration
from .record_type import DONOR, RecordType
from .rest_api import OffChainApi
from .same_callers import require_same_callers
from .trust import api_gateway_service


class RecordApi(Construct):
    """`POST /donors` (the record type's path), which runs the create workflow and answers with its outcome; and
    `GET /donors/{donorUserName}`, `GET /donors` and `GET /transactions/{transactionId}` where records are to be read,
    too.

    * `state_machine`: an EXPRESS one with the input and output of `CreateWorkflow`.
    * `read_state_machine`: one with those of `ReadWorkflow`; by default nothing can be read through the API.
    * `record_type`: what is recorded; donors by default.
    * `api`: the API to add the methods to, shared with other record types; by default one is made.
    * `rest_api`: one that is none of ours, in place of `api`; none by default. Its stage, logs, throttling and gateway
      responses stay its own. One of another stack has to be imported (`RestApi.from_rest_api_attributes`), and its
      stage deployed afterwards by its owner.
    * `resource`: adds the methods to this resource of `rest_api`, which must not have them; by default one is made. One
      whose `POST` is to be changed is for `ExistingMethod`.
    * `access`: who may call; by default as the `api` has it, and callers with IAM credentials on a `rest_api`.
    * `callers`: binds callers to Fabric users, by what the access knows of them; by default a request names any user of
      the network. The `UploadFunction` behind `state_machine` must have the same.
    * `with_transactions`: False where a `rest_api` has `GET /transactions/{transactionId}` already; True by default. An
      `api` gets it once.

    Raises ValueError that names the prop which is wrong. If `callers` cannot be compared, because `state_machine` is of
    no `CreateWorkflow` in this app, synth warns.

    Exposes `api` (None on a `rest_api`), `rest_api`, `resource`, `method`, `read_methods`, `role`, `model` and `url`
    (where to POST; None on a `rest_api`).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        state_machine: sfn.IStateMachine,
        read_state_machine: sfn.IStateMachine | None = None,
        record_type: RecordType = DONOR,
        api: OffChainApi | None = None,
        rest_api: apigateway.IRestApi | None = None,
        resource: apigateway.IResource | None = None,
        access: Access | None = None,
        callers: Callers | None = None,
        with_transactions: bool = True,
    ) -> None:
        super().__init__(scope, id)
        if api and rest_api:
            raise ValueError("rest_api: contradicts api; give one of them")
        if resource and not rest_api:
            raise ValueError("resource: give the rest_api that it belongs to, too")
        self._record_type = record_type
        self.api: OffChainApi | None = None
        if rest_api:
            self.rest_api: apigateway.IRestApi = rest_api
            self.access = access or Access()
        else:
            self.api = api or OffChainApi(self, "Default", access=access)
            self.rest_api = self.api.rest_api
            self.access = self.api.add(record_type, access)
        if callers:
            callers.require_access(self.access)
        require_same_callers(self, state_machine, callers)
        self.role = iam.Role(self, "Role", assumed_by=api_gateway_service())
        state_machine.grant_start_sync_execution(self.role)
        self.model = apigateway.Model(
            self,
            "Request",
            rest_api=self.rest_api,
            content_type=CONTENT_TYPE,
            schema=_json_schema(record_type.request_schema()),
        )
        self.resource: apigateway.IResource = resource or apigateway.Resource(
            self, "Resource", parent=self.rest_api.root, path_part=record_type.path
        )
        # Told because an API made here has the id "Default", which keeps its logical ids those of the first release.
        self.node.default_child = self.resource.node.default_child
        self._validator = apigateway.RequestValidator(
            self, "Validator", rest_api=self.rest_api, validate_request_body=True, validate_request_parameters=True
        )
        self.method = self._add_method(
            self.resource,
            "POST",
            f"Create{record_type.name}",
            create_integration(record_type, state_machine.state_machine_arn, callers=callers),
            self.access,
            request_models={CONTENT_TYPE: self.model},
        )
        self.read_methods: list[apigateway.Method] = []
        if read_state_machine:
            read_state_machine.grant_start_sync_execution(self.role)
            self.read_methods += self._add_reads(read_state_machine)
            if with_transactions:
                self.read_methods.append(self._transactions(read_state_machine))
        self.url = self.api.rest_api.url_for_path(self.resource.path) if self.api else None

    def grant_create(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` call `POST` on the resource, where the method's authorization is IAM."""
        return self._grant(grantee, [self.method])

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` call the `GET` methods, where their authorization is IAM."""
        return self._grant(grantee, self.read_methods)

    @staticmethod
    def _grant(grantee: iam.IGrantable, methods: list[apigateway.Method]) -> iam.Grant:
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["execute-api:Invoke"],
            resource_arns=[method.method_arn for method in methods],
        )

    def _add_reads(self, state_machine: sfn.IStateMachine) -> list[apigateway.Method]:
        name, identifier = self._record_type.name, self._record_type.identifying_field
        return [
            self._add_read(
                self.resource.add_resource(f"{{{identifier}}}"),
                f"Read{name}",
                state_machine,
                self.access,
                query="record",
                parameters=[RequestParameter("identifier", "path", identifier), _query("verify"), _query("inline")],
            ),
            self._add_read(
                self.resource,
                f"List{name}s",
                state_machine,
                self.access,
                query="list",
                parameters=[_query("limit"), _query("nextToken")],
            ),
        ]

    def _transactions(self, state_machine: sfn.IStateMachine) -> apigateway.Method:
        """`GET /transactions/{transactionId}`, which a shared API has once: neither its logical ids nor who may call it
        depend on which record type comes first."""
        if self.api and self.api.transactions:
            return self.api.transactions
        method = self._add_read(
            apigateway.Resource(
                self.api or self, "Transactions", parent=self.rest_api.root, path_part="transactions"
            ).add_resource("{transactionId}"),
            "ReadTransaction",
            state_machine,
            self.api.access if self.api else self.access,
            query="transaction",
            parameters=[RequestParameter("transactionId", "path", "transactionId")],
        )
        if self.api:
            self.api.transactions = method
        return method

    def _add_read(
        self,
        resource: apigateway.IResource,
        operation: str,
        state_machine: sfn.IStateMachine,
        access: Access,
        *,
        query: str,
        parameters: list[RequestParameter],
    ) -> apigateway.Method:
        integration = read_integration(
            self._record_type, state_machine.state_machine_arn, query=query, parameters=parameters
        )
        required = {f"method.request.{each.place}.{each.name}": each.place == "path" for each in parameters}
        return self._add_method(resource, "GET", operation, integration, access, request_parameters=required)

    def _add_method(
        self,
        resource: apigateway.IResource,
        verb: str,
        operation: str,
        integration: WorkflowIntegration,
        access: Access,
        **request: Any,
    ) -> apigateway.Method:
        method = resource.add_method(
            verb,
            self._aws_integration(integration),
            operation_name=operation,
            method_responses=[apigateway.MethodResponse(status_code=str(status)) for status in integration.statuses],
            request_validator=self._validator,
            **access.method_options(),
            **request,
        )
        if access.authorization_type != apigateway.AuthorizationType.COGNITO:
            acknowledge(method, {"COG4": "Callers are authorised by IAM (SigV4) or by a Lambda authorizer."})
        return method

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


DonorApi = RecordApi
"""The blog post's records are donors, and so is the default record type."""


def _query(name: str) -> RequestParameter:
    return RequestParameter(name, "querystring", name)


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
        pattern=schema.get("pattern"),
        properties={name: _json_schema(part) for name, part in schema["properties"].items()}
        if "properties" in schema
        else None,
    )
