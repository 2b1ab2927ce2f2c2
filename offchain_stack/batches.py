"""The work over the whole bucket: a function, batch after batch, by schedule or by hand."""

import functools
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from .state_machine import SERVICE_ERRORS, THROTTLED, Workflow, retry
from .trust import events_service


class _BatchWorkflow(Workflow):
    """A STANDARD state machine that runs a function batch by batch, each beginning where the last one ended, and the
    rule that starts it. Step Functions keeps 25,000 events of an execution, some 2,500 batches."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        function: lambda_.IFunction,
        batch: str,
        end: str,
        schedule: events.Schedule | None,
        event: Mapping[str, Any],
        batch_timeout: cdk.Duration | None,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id, log_retention=log_retention)
        one = tasks.LambdaInvoke(
            self,
            batch,
            state_name=batch,
            lambda_function=function,
            result_selector={"resumeAfter.$": "$.Payload.resumeAfter"},
            result_path="$.batch",
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(batch_timeout or cdk.Duration.minutes(6)),
        )
        retry(one, [THROTTLED, *SERVICE_ERRORS])
        one.next(
            sfn.Choice(self, "IsEnd")
            .when(sfn.Condition.is_null("$.batch.resumeAfter"), sfn.Succeed(self, end))
            .otherwise(
                sfn.Pass(self, "NextBatch", input_path="$.batch.resumeAfter", result_path="$.resumeAfter").next(one)
            )
        )
        # Each batch's log has the id that the run has in Step Functions.
        name = sfn.Pass(self, "NameRun", input_path="$$.Execution.Name", result_path="$.correlationId")
        self._make(name.next(one), functions=[function], timeout=cdk.Duration.hours(24))
        self.rule = self._start("Schedule", schedule, event) if schedule else None

    @functools.cached_property
    def _starter(self) -> iam.Role:
        """The role by which the rules start the state machine, under the id that CDK itself would give it."""
        return iam.Role(self.state_machine, "EventsRole", assumed_by=events_service(self))

    def _start(self, id: str, schedule: events.Schedule, event: Mapping[str, Any]) -> events.Rule:
        start = targets.SfnStateMachine(
            self.state_machine, input=events.RuleTargetInput.from_object(dict(event)), role=self._starter
        )
        return events.Rule(self, id, schedule=schedule, targets=[start])


class SweepWorkflow(_BatchWorkflow):
    """Runs the sweep function over the whole bucket.

    Its input is the function's event, so that a person may start it with `{"dryRun": true}`. One run takes some 2,500
    batches of 1,000 unsettled versions.

    * `sweep_function`: a `SweepFunction`.
    * `schedule`: when it starts by itself; never by default.
    * `thorough_schedule`: when it looks at all that the function's `look_back` admits, while `schedule` is for the last
      day alone, which costs a tenth. By default each run looks at all.
    * `batch_timeout`: how long it waits for one batch, longer than the function's own time-out; six minutes by default.
    * `log_retention`: how long the logs are kept; three months by default.

    Exposes `state_machine`, `role`, `log_group`, `rule` and `thorough_rule` (None without their schedules).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        sweep_function: lambda_.IFunction,
        schedule: events.Schedule | None = None,
        thorough_schedule: events.Schedule | None = None,
        batch_timeout: cdk.Duration | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        everything = {"dryRun": False}
        super().__init__(
            scope,
            id,
            function=sweep_function,
            batch="SweepBatch",
            end="Swept",
            schedule=schedule,
            event=everything | {"lookBackDays": 1} if thorough_schedule else everything,
            batch_timeout=batch_timeout,
            log_retention=log_retention,
        )
        self.thorough_rule = (
            self._start("ThoroughSchedule", thorough_schedule, everything) if thorough_schedule else None
        )


class VerifyAllWorkflow(_BatchWorkflow):
    """Runs the verify-all function over all records. Its findings are in the function's log and metrics.

    Its input is the function's event, so that a person may start it with `{"byChecksum": true}`.

    * `verify_all_function`: a `VerifyAllFunction`.
    * `schedule`: when it starts by itself; never by default.
    * `batch_timeout`: how long it waits for one batch, longer than the function's own time-out; six minutes by default.
    * `log_retention`: how long the logs are kept; three months by default.

    Exposes `state_machine`, `role`, `log_group` and `rule` (None without schedule).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        verify_all_function: lambda_.IFunction,
        schedule: events.Schedule | None = None,
        batch_timeout: cdk.Duration | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        super().__init__(
            scope,
            id,
            function=verify_all_function,
            batch="VerifyBatch",
            end="Verified",
            schedule=schedule,
            event={"byChecksum": False},
            batch_timeout=batch_timeout,
            log_retention=log_retention,
        )
