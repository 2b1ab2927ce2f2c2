"""OffChainApi: a REST API of its own, which the record types share."""

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from .access import Access
from .acknowledgements import acknowledge, managed_policy
from .answers import GATEWAY_ANSWERS, request_too_large
from .fabric import FabricNetwork
from .log_group import kept_log_group
from .record_type import RecordType

_PUSH_TO_LOGS = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"

_WEB_ACL = re.compile(r"arn:[a-z-]+:wafv2:[a-z0-9-]+:\d{12}:regional/webacl/[^/]+/[^/]+")

_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "extendedRequestId": "$context.extendedRequestId",
    "requestTime": "$context.requestTime",
    "sourceIp": "$context.identity.sourceIp",
    "caller": "$context.identity.caller",
    "subject": "$context.authorizer.claims.sub",
    "apiKeyId": "$context.identity.apiKeyId",
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
    * `usage_plan`: `throttle` and `quota` of each API key, such as `apigateway.UsagePlanProps(throttle=...)`. Every
      request then needs a key beside its authorization; `add_api_key` makes one. None by default. A key authenticates
      nobody, and API Gateway counts by best effort.
    * `web_acl_arn`: ARN of a regional AWS WAF web ACL (v2) that looks at every request first; none by default. The rule
      `SizeRestrictions_BODY` of `AWSManagedRulesCommonRuleSet` blocks bodies over 8 KB, which most pictures are: set it
      to count in the web ACL.
    * `vpc_endpoints`: interface endpoints of `execute-api`. The API is then private: only requests through these are
      admitted, and it has no address in the internet. By default it is public (regional).
    * `resource_policy`: a policy of your own in place of the one that a private API has. With IAM credentials, whom of
      this account it allows needs no right of its own any more (`grant_create`). None by default.
    * `cloud_watch_role`: sets the role by which API Gateway writes logs, one for the account and region; False where
      the account has one. True by default.
    * `log_retention`: how long access logs are kept; three months by default.

    Access logs hold ids, codes and times; no body, no header, no name. Exposes `rest_api`, `access`, `usage_plan` and
    `web_acl_association` (None where there is none), `access_log_group`, `gateway_responses`, and `transactions` (the
    method `GET /transactions/{transactionId}`, once a `RecordApi` has made it).

    Raises ValueError that names the prop which is wrong.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        access: Access | None = None,
        throttling_rate_limit: float = 50,
        throttling_burst_limit: int = 100,
        usage_plan: apigateway.UsagePlanProps | None = None,
        web_acl_arn: str | None = None,
        vpc_endpoints: Sequence[ec2.IVpcEndpoint] | None = None,
        resource_policy: iam.PolicyDocument | None = None,
        cloud_watch_role: bool = True,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(scope, id)
        if vpc_endpoints is not None and not vpc_endpoints:
            raise ValueError("vpc_endpoints: give one at least, or leave it out for a public API")
        if web_acl_arn and not cdk.Token.is_unresolved(web_acl_arn) and not _WEB_ACL.fullmatch(web_acl_arn):
            raise ValueError(
                f"web_acl_arn: {web_acl_arn!r} is no regional web ACL, such as "
                "'arn:aws:wafv2:us-east-1:111122223333:regional/webacl/name/id'"
            )
        self._needs_key = usage_plan is not None
        self._is_private = bool(vpc_endpoints)
        self.access = self._with_key(access or Access())
        self.transactions: apigateway.Method | None = None
        self._record_types: list[RecordType] = []
        self._network: FabricNetwork | None = None
        self.access_log_group = kept_log_group(self, "AccessLogs", retention=log_retention)
        self.rest_api = apigateway.RestApi(
            self,
            "RestApi",
            rest_api_name=cdk.Names.unique_resource_name(self, max_length=64),
            description="Creates and reads records: data off the chain, its proof on it",
            endpoint_configuration=apigateway.EndpointConfiguration(
                types=[apigateway.EndpointType.PRIVATE if vpc_endpoints else apigateway.EndpointType.REGIONAL],
                vpc_endpoints=vpc_endpoints,
            ),
            policy=resource_policy or (self._private_policy(vpc_endpoints) if vpc_endpoints else None),
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
        self.usage_plan = self._make_usage_plan(usage_plan) if usage_plan else None
        self.web_acl_association: wafv2.CfnWebACLAssociation | None = None
        if web_acl_arn:
            self.web_acl_association = wafv2.CfnWebACLAssociation(
                self,
                "WebAcl",
                resource_arn=self.rest_api.deployment_stage.stage_arn,
                web_acl_arn=web_acl_arn,
            )
        else:
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

    def add(self, record_type: RecordType, access: Access | None = None) -> Access:
        """What `RecordApi` calls. Returns who may call the record type's methods: `access`, by default the API's.
        Raises ValueError where the path is another record type's, or a private API were to ask some callers for IAM
        credentials and others not."""
        access = self._with_key(access) if access else self.access
        if self._is_private and access.is_iam != self.access.is_iam:
            raise ValueError(
                "access: the policy of a private API is for callers with IAM credentials or for others; give these "
                "records an API of their own"
            )
        if any(record_type.path == each.path for each in self._record_types):
            raise ValueError(f"record_type: the API has /{record_type.path} already; give the second one another path")
        self._record_types.append(record_type)
        return access

    def add_api_key(self, id: str, *, name: str | None = None, description: str | None = None) -> apigateway.IApiKey:
        """Make an API key of the usage plan; `name` is shown in the console and made up by default. API Gateway makes
        its value, which is in no template: read it with `aws apigateway get-api-key --include-value`. Raises ValueError
        where the API has no usage plan."""
        if not self.usage_plan:
            raise ValueError("usage_plan: give the API one before it has keys")
        key = apigateway.ApiKey(self, id, api_key_name=name, description=description)
        # Not by the plan's own method: its logical ids depend on which key comes first.
        apigateway.CfnUsagePlanKey(
            key, "OfPlan", key_id=key.key_id, key_type="API_KEY", usage_plan_id=self.usage_plan.usage_plan_id
        )
        return key

    def use_network(self, network: FabricNetwork) -> None:
        """Let the API's records be on `network`. Raises ValueError where others of this API are on another one, which
        `GET /transactions/{transactionId}` would not ask."""
        if self._network not in (None, network):
            raise ValueError("network: the API's other records are on another one; give these an API of their own")
        self._network = network

    def _with_key(self, access: Access) -> Access:
        return dataclasses.replace(access, api_key_required=True) if self._needs_key else access

    def _make_usage_plan(self, given: apigateway.UsagePlanProps) -> apigateway.UsagePlan:
        if given.api_stages:
            raise ValueError("usage_plan: api_stages is this API's own stage; leave it out")
        return apigateway.UsagePlan(
            self,
            "UsagePlan",
            name=given.name,
            description=given.description,
            throttle=given.throttle,
            quota=given.quota,
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.rest_api, stage=self.rest_api.deployment_stage)],
        )

    def _private_policy(self, vpc_endpoints: Sequence[ec2.IVpcEndpoint]) -> iam.PolicyDocument:
        ids = [each.vpc_endpoint_id for each in vpc_endpoints]
        # API Gateway wants an explicit Allow. One for everybody would admit every IAM principal of the account,
        # whatever its own policies say; the account as principal leaves that to them. A token is no IAM principal.
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
        callers = iam.AccountRootPrincipal() if self.access.is_iam else iam.AnyPrincipal()
        return iam.PolicyDocument(
            statements=[
                iam.PolicyStatement(
                    effect=effect,
                    principals=[principal],
                    actions=["execute-api:Invoke"],
                    resources=["execute-api:/*"],
                    conditions={operator: {"aws:SourceVpce": ids}},
                )
                for effect, principal, operator in (
                    (iam.Effect.ALLOW, callers, "StringEquals"),
                    (iam.Effect.DENY, iam.AnyPrincipal(), "StringNotEquals"),
                )
            ]
        )

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
    # Not Velocity: API Gateway puts in $context values and nothing else, validationErrorString already escaped. Here
    # nothing can escape $context.requestId, which a client may choose; the access log has both ids.
    return json.dumps({"error": error, "message": message, "requestId": "$context.extendedRequestId"})
