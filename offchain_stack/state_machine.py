"""A state machine of ours: with a role and a log group of its own, and the same rules for retries."""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .acknowledgements import ANY_RESOURCE, acknowledge_policy
from .log_group import kept_log_group
from .trust import states_service

THROTTLED = "Lambda.TooManyRequestsException"
"""Lambda's refusal to start an invocation: the function's code did not run."""

SERVICE_ERRORS = (
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
)
"""Lambda's own failures, after which the function's code may have run or not."""

API_TIMEOUT = cdk.Duration.seconds(28)
"""Of a workflow that the API waits for: API Gateway waits 29 seconds."""


class Workflow(Construct):
    """The base of the workflows. `role` may invoke the functions, in their unqualified form, and deliver logs
    and traces. Logs hold no execution data.

    * `log_retention`: how long the logs are kept.

    Exposes `state_machine`, `role` and `log_group`.
    """

    state_machine: sfn.StateMachine

    def __init__(self, scope: Construct, id: str, *, log_retention: logs.RetentionDays) -> None:
        super().__init__(scope, id)
        self.log_group = kept_log_group(self, "Logs", retention=log_retention, name=self._log_group_name())
        self.role = iam.Role(self, "Role", assumed_by=states_service(self))

    def _log_group_name(self) -> str:
        """Of those that AWS may deliver logs to without an entry of their own in the account's policy of 5,120
        characters. What is kept of a stack that is gone is in nobody's way: the stack's own id is part of it."""
        name = cdk.Names.unique_resource_name(self, max_length=100, separator="-")
        of_stack = cdk.Fn.select(2, cdk.Fn.split("/", cdk.Stack.of(self).stack_id))
        return f"/aws/vendedlogs/states/{name}-{of_stack}"

    def grant_start_sync_execution(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` run the workflow, an EXPRESS one, and wait for its end."""
        return self.state_machine.grant_start_sync_execution(grantee)

    def grant_start_execution(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` start the workflow."""
        return self.state_machine.grant_start_execution(grantee)

    def metric(self, name: str, **options: Any) -> cloudwatch.Metric:
        """Step Functions' metric `name` of the workflow, such as `ExecutionsFailed`; `options` are those of
        `aws_cloudwatch.MetricOptions`."""
        return self.state_machine.metric(name, **options)

    def _make(
        self,
        definition: sfn.IChainable,
        *,
        functions: Sequence[lambda_.IFunction],
        timeout: cdk.Duration,
        kind: sfn.StateMachineType | None = None,
    ) -> None:
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"], resources=[function.function_arn for function in functions]
            )
        )
        self._allow_logs_and_traces()
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_type=kind,
            definition_body=sfn.DefinitionBody.from_chainable(definition),
            timeout=timeout,
            # CDK would grant each function's every version, too.
            role=self.role.without_policy_updates(),
            logs=sfn.LogOptions(destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
            tracing_enabled=True,
        )
        self.state_machine.node.add_dependency(self.role)

    def _allow_logs_and_traces(self) -> None:
        self.role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "logs:CreateLogDelivery",
                    "logs:DeleteLogDelivery",
                    "logs:DescribeLogGroups",
                    "logs:DescribeResourcePolicies",
                    "logs:GetLogDelivery",
                    "logs:ListLogDeliveries",
                    "logs:PutResourcePolicy",
                    "logs:UpdateLogDelivery",
                    "xray:GetSamplingRules",
                    "xray:GetSamplingTargets",
                    "xray:PutTelemetryRecords",
                    "xray:PutTraceSegments",
                ],
                resources=["*"],
            )
        )
        acknowledge_policy(self.role, {ANY_RESOURCE: "Log delivery and X-Ray have no resource to name."})


def retry(state: sfn.TaskStateBase, errors: Sequence[str]) -> None:
    """Let `state` try twice more after one of `errors`, a little later each time and never all at once."""
    state.add_retry(
        errors=list(errors),
        interval=cdk.Duration.seconds(1),
        max_attempts=2,
        backoff_rate=2,
        jitter_strategy=sfn.JitterType.FULL,
    )
