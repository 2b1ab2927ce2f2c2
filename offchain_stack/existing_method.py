"""ExistingMethod: the workflow behind a method of a REST API that is there already."""

import hashlib
import json
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .acknowledgements import acknowledge_policy, resource
from .callers import Callers
from .custom_resource import CustomResourceProvider
from .integration import CONTENT_TYPE, WorkflowIntegration, create_integration
from .keys import grant_key
from .record_type import DONOR, RecordType
from .same_callers import require_same_callers
from .trust import api_gateway_service

_METHODS = ("ANY", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class ExistingMethod(Construct):
    """Makes a method that a REST API has already, such as the workshop's `POST /donors`, run the workflow.

    When it is deployed, a custom resource saves what the method is, gives it the integration that `DonorApi` makes, and
    deploys the API to the stage. When it is removed, or the deployment rolls back, it puts back exactly what was there.
    The method's authorization, API key, models and validator stay as they are, and so do all other methods; what the
    API's owner has changed and not deployed yet goes live with it. A deployment fails, and changes nothing, where the
    API, the path, the method or the stage does not exist; the error names those that do.

    What somebody changes by hand while the method is adopted stays when this is removed, and the function's log says
    so; only a change of the adopted integration itself, which cannot outlive its role, is put back all the same.

    * `rest_api`: an imported one (`RestApi.from_rest_api_id`); where it is of your own app, use `DonorApi`.
    * `stage_name`: the stage to deploy to.
    * `path`, `http_method`: the method; by default `POST` on the record type's path.
    * `record_type`: what the workflow creates; donors by default.
    * `state_machine`: an EXPRESS one with the input and output of `CreateWorkflow`.
    * `callers`: binds callers to Fabric users. None by default. The `UploadFunction` behind `state_machine` must have
      the same; if that is of no `CreateWorkflow` in this app, synth warns. It fits the method's authorization, which is
      not looked at here: else every caller is refused.
    * `backup_bucket`: where what was there is saved, under `adopted-methods/`, as long as the method is adopted. It
      cannot change in that time. Versioned is safer.
    * `original_role`: the role that the method's integration uses now; by default it uses none. To put that integration
      back, the function must be allowed to hand this role to API Gateway.
    * `log_retention`: how long the function's logs are kept; three months by default.

    A change of API, stage, path or method makes a new custom resource, and the former one puts its method back. That
    needs values known to CDK: a token whose value changes leaves the function without rights on the former method.

    Raises ValueError naming the argument that is wrong. Exposes `role` (API Gateway's, which may start the workflow),
    `handler` (the function behind the custom resource), `custom_resource` and `backup_key`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        rest_api: apigateway.IRestApi,
        stage_name: str,
        state_machine: sfn.IStateMachine,
        backup_bucket: s3.IBucket,
        path: str | None = None,
        http_method: str = "POST",
        record_type: RecordType = DONOR,
        callers: Callers | None = None,
        original_role: iam.IRole | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(scope, id)
        self._rest_api = rest_api
        self._stage_name = stage_name
        self._path = path or f"/{record_type.path}"
        self._http_method = http_method
        if not self._path.startswith("/"):
            raise ValueError(f"path: {path!r} must start with '/', such as '/donors'")
        if http_method not in _METHODS:
            raise ValueError(f"http_method: {http_method!r} is not one of {', '.join(_METHODS)}")
        require_same_callers(self, state_machine, callers)
        self.backup_key = f"adopted-methods/{rest_api.rest_api_id}/{stage_name}/{http_method}{self._path}.json"
        # Another target gets resources of its own: the former ones keep the rights to put the former method back.
        target = Construct(self, f"Target{self._digest()}")
        self.role = iam.Role(target, "Role", assumed_by=api_gateway_service())
        state_machine.grant_start_sync_execution(self.role)
        self.handler = CustomResourceProvider(
            target,
            "Handler",
            source="adopt_method",
            exclude=["shared/ledger"],
            description="Makes a REST API's method run the workflow, and puts back what it was",
            # API Gateway throttles hard; the provider framework waits a minute longer.
            timeout=cdk.Duration.minutes(14),
            log_retention=log_retention,
            environment={"POWERTOOLS_SERVICE_NAME": "offchain-adopt-method", "POWERTOOLS_LOG_LEVEL": "INFO"},
        )
        self._grant(backup_bucket, [self.role, original_role] if original_role else [self.role])
        self.custom_resource = cdk.CustomResource(
            target,
            "Method",
            resource_type="Custom::AdoptedMethod",
            service_token=self.handler.provider.service_token,
            properties={
                "RestApiId": rest_api.rest_api_id,
                "StageName": stage_name,
                "ResourcePath": self._path,
                "HttpMethod": http_method,
                **self._integration_properties(
                    create_integration(record_type, state_machine.state_machine_arn, callers=callers)
                ),
                "Backup": {"Bucket": backup_bucket.bucket_name, "Key": self.backup_key},
                "PassableRoles": [original_role.role_arn] if original_role else [],
            },
        )
        # Live at once: the rights to start the workflow, and to put back, must be there before and go after.
        self.custom_resource.node.add_dependency(self.role, self.handler.function_role)

    def grant_create(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` call the method on the stage, where the method's authorization is IAM."""
        arn = self._rest_api.arn_for_execute_api(self._http_method, self._path, self._stage_name)
        return iam.Grant.add_to_principal(grantee=grantee, actions=["execute-api:Invoke"], resource_arns=[arn])

    def _digest(self) -> str:
        target = [self._rest_api.rest_api_id, self._stage_name, self._path, self._http_method]
        return hashlib.sha256(json.dumps(cdk.Stack.of(self).resolve(target)).encode()).hexdigest()[:8]

    def _grant(self, bucket: s3.IBucket, passable: list[iam.IRole]) -> None:
        """Exactly the calls that the function makes. A resource's id is not known before; the API and the verb are."""
        role = self.handler.function_role
        api = f"/restapis/{self._rest_api.rest_api_id}"
        method = f"{api}/resources/*/methods/{self._http_method}"
        stage, deployments = f"{api}/stages/{self._stage_name}", f"{api}/deployments"
        changed = [f"{method}/integration", f"{method}/integration/responses/*", f"{method}/responses/*"]
        calls = {
            "GET": [f"{api}/resources", method, f"{api}/stages", stage, f"{deployments}/*"],
            "PUT": changed,
            "DELETE": [*changed, f"{deployments}/*"],
            "POST": [deployments],
            "PATCH": [stage],
        }
        for verb, paths in calls.items():
            role.add_to_policy(
                iam.PolicyStatement(
                    actions=[f"apigateway:{verb}"], resources=[self._api_gateway(path) for path in paths]
                )
            )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[each.role_arn for each in passable],
                conditions={"StringEquals": {"iam:PassedToService": "apigateway.amazonaws.com"}},
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                resources=[bucket.arn_for_objects(self.backup_key)],
            )
        )
        # Whether it is there: without this right S3 answers "access denied" for an object that is not.
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket.bucket_arn],
                conditions={"StringEquals": {"s3:prefix": self.backup_key}},
            )
        )
        if bucket.encryption_key:
            grant_key(bucket.encryption_key, role, "kms:Decrypt", "kms:GenerateDataKey", service="s3")
        unknown = "Ids that API Gateway gives; the API and the method's verb are named."
        acknowledge_policy(
            role,
            {resource(self, self._api_gateway(path)): unknown for path in [method, *changed, f"{deployments}/*"]},
        )

    def _api_gateway(self, path: str) -> str:
        return cdk.Stack.of(self).format_arn(
            service="apigateway", account="", resource=path, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )

    def _integration_properties(self, integration: WorkflowIntegration) -> dict[str, Any]:
        """The integration as the function takes it, in the names of AWS::ApiGateway::Method."""
        return {
            "Integration": {
                "Type": "AWS",
                "IntegrationHttpMethod": integration.http_method,
                "Uri": cdk.Stack.of(self).format_arn(
                    service="apigateway",
                    account=integration.service,
                    resource="action",
                    resource_name=integration.action,
                ),
                "Credentials": self.role.role_arn,
                "RequestTemplates": {CONTENT_TYPE: integration.request_template},
                "PassthroughBehavior": integration.passthrough_behavior,
                "TimeoutInMillis": integration.timeout_seconds * 1000,
            },
            "IntegrationResponses": [
                {
                    "StatusCode": str(answer.status),
                    "ResponseTemplates": {CONTENT_TYPE: answer.template},
                    **({"SelectionPattern": answer.selection_pattern} if answer.selection_pattern else {}),
                }
                for answer in integration.answers
            ],
            "MethodResponses": [str(status) for status in integration.statuses],
        }
