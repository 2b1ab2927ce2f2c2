"""OffChainMonitoring: a dashboard, and an alarm for each thing that somebody has to act on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import aws_cdk as cdk
import cdk_monitoring_constructs as monitoring
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .function import METRIC_NAMESPACE
from .record_type import RecordType

_MINUTES_5 = cdk.Duration.minutes(5)
_HOUR = cdk.Duration.hours(1)
_DIED = logs.FilterPattern.all(
    logs.FilterPattern.string_value("$.type", "=", "platform.report"),
    logs.FilterPattern.any(
        logs.FilterPattern.string_value("$.record.status", "=", "timeout"),
        # Out of memory, or the process ended. A refusal, which the function raises, has another name.
        logs.FilterPattern.string_value("$.record.errorType", "=", "Runtime.*"),
    ),
)


class MonitoredFunction(Protocol):
    """A function and where it logs, such as `UploadFunction`."""

    @property
    def function(self) -> lambda_.Function: ...
    @property
    def log_group(self) -> logs.LogGroup: ...
    def metric_emitted(self, name: str, **options: Any) -> cloudwatch.Metric: ...


class MonitoredWorkflow(Protocol):
    """A state machine and where it logs, such as `CreateWorkflow`."""

    @property
    def state_machine(self) -> sfn.StateMachine: ...
    @property
    def log_group(self) -> logs.LogGroup: ...


class MonitoredBatches(MonitoredWorkflow, Protocol):
    """A workflow that a rule starts, if it has one, such as `SweepWorkflow`."""

    @property
    def rule(self) -> events.Rule | None: ...


class MonitoredRecords(Protocol):
    """What serves one record type, such as `OffChainRecords`."""

    @property
    def record_type(self) -> RecordType: ...
    @property
    def upload_function(self) -> MonitoredFunction: ...
    @property
    def chaincode_function(self) -> MonitoredFunction | None: ...
    @property
    def workflow(self) -> MonitoredWorkflow: ...
    @property
    def query_function(self) -> MonitoredFunction: ...
    @property
    def verify_function(self) -> MonitoredFunction: ...
    @property
    def read_workflow(self) -> MonitoredWorkflow: ...
    @property
    def sweep_function(self) -> MonitoredFunction: ...
    @property
    def sweep(self) -> MonitoredBatches: ...
    @property
    def verify_all_function(self) -> MonitoredFunction: ...
    @property
    def verify_all(self) -> MonitoredBatches: ...


@dataclass(frozen=True, kw_only=True)
class AlarmThresholds:
    """When alarms go off. A count goes off when it is exceeded, within five minutes unless it says otherwise.

    * `outcome_unknown`: creates that ended without a verdict; by default 0.
    * `ledger_unavailable`: refusals because no peer, orderer or identity could be reached; by default 5.
    * `endorsement_failed`: refusals because the peers denied or disagreed; by default 0.
    * `transaction_invalid`: transactions that the ledger marked invalid; by default 5.
    * `storage_unavailable`: refusals because S3 did not answer; by default 5.
    * `internal_errors`: failures that have no name of their own; by default 0.
    * `functions_died`: invocations that timed out or whose process ended; by default 0.
    * `workflows_timed_out`: executions of the create and read flows that were stopped after 28 seconds; by default 0.
    * `throttled`: invocations and state transitions that AWS refused; by default 0.
    * `slow_seconds`: what one of 100 executions may exceed, in three of three periods; by default 20. The API gives up
      after 29.
    * `objects_tampered`, `objects_missing`: objects that are not what the ledger proves, or not there; by default 0.
    * `sweep_overdue_hours`: within which a sweep must have succeeded, longer than its schedule's interval, 1 to 24; by
      default 3. Also the period of the next two.
    * `sweep_open`: versions that sweeps could not settle, in two of two periods; by default 0.
    * `sweep_dead`: versions that sweeps deleted because the ledger will never refer to them; by default 10.
    * `certificate_days_left`: days before a Fabric user's certificate expires; by default 30.
    * `api_throttled`: requests that the API answered with 429; by default 10.
    * `api_failed`: requests that the API answered with 500; by default 0.

    Raises ValueError that names the threshold which is out of range.
    """

    outcome_unknown: int = 0
    ledger_unavailable: int = 5
    endorsement_failed: int = 0
    transaction_invalid: int = 5
    storage_unavailable: int = 5
    internal_errors: int = 0
    functions_died: int = 0
    workflows_timed_out: int = 0
    throttled: int = 0
    slow_seconds: float = 20
    objects_tampered: int = 0
    objects_missing: int = 0
    sweep_overdue_hours: int = 3
    sweep_open: int = 0
    sweep_dead: int = 10
    certificate_days_left: int = 30
    api_throttled: int = 10
    api_failed: int = 0

    def __post_init__(self) -> None:
        mistakes = [f"{name}: {value} must not be below 0" for name, value in vars(self).items() if value < 0]
        if not self.slow_seconds < 29 or self.slow_seconds == 0:
            mistakes.append(f"slow_seconds: {self.slow_seconds} must lie below the 29 seconds that the API waits")
        if self.sweep_overdue_hours == 0 or self.sweep_overdue_hours > 24:
            mistakes.append(f"sweep_overdue_hours: {self.sweep_overdue_hours} must be from 1 to 24")
        if mistakes:
            raise ValueError("\n".join(mistakes))


_Metric = cloudwatch.Metric | cloudwatch.MathExpression


@dataclass(frozen=True, kw_only=True)
class _Alarm:
    """`name` is also the runbook's section; `says` is the middle of the description's one sentence. None is made of no
    metric."""

    name: str
    says: str
    metric: _Metric | None
    threshold: float
    periods: int = 1
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING
    below: bool = False


class OffChainMonitoring(Construct):
    """Watches what serves one record type or several, and the API in front of it.

    * `records`: each record type's functions and workflows, such as `OffChainRecords`.
    * `rest_api`: shown on the dashboard; by default none is.
    * `access_log_group`: the API's access log as `OffChainApi` writes it: JSON with `status`. Without it nothing tells
      which requests the API itself throttled or answered with 500; by default there is none.
    * `alarm_topic`: told when an alarm goes off and when it is over; by default nobody is. CloudWatch needs to use the
      key of an encrypted one.
    * `thresholds`: when alarms go off; by default as `AlarmThresholds` has it. Those that one of `records` has, as
      `alarm_thresholds`, count for its own alarms.
    * `runbook`: where docs/runbook.md is for those who read an alarm, such as a URL; by default its path.

    Each alarm's name begins with the construct's own, so that no two of an account and region clash. Its description
    is one sentence and names its section of the runbook: what is certain about the data, and what to do.

    Exposes `dashboard` and `alarms` (by record type, or `Api`, and the section's name, such as `Donor-OutcomeUnknown`).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        records: Sequence[MonitoredRecords],
        rest_api: apigateway.IRestApi | None = None,
        access_log_group: logs.ILogGroup | None = None,
        alarm_topic: sns.ITopic | None = None,
        thresholds: AlarmThresholds | None = None,
        runbook: str = "docs/runbook.md",
    ) -> None:
        super().__init__(scope, id)
        names = [each.record_type.name for each in records]
        if len(set(names)) < len(names):
            raise ValueError(f"records: {', '.join(names)} name a record type twice")
        self._thresholds = thresholds or AlarmThresholds()
        self._runbook = runbook
        self._name = cdk.Names.unique_resource_name(self, max_length=100, separator="-")
        dashboards = monitoring.DefaultDashboardFactory(
            self,
            "Dashboards",
            # Dashboards are the account's, in whichever region they are made; alarms are the region's.
            dashboard_name_prefix=f"{self._name}-{cdk.Stack.of(self).region}",
            detail_dashboard_range=cdk.Duration.days(1),
        )
        self._facade = monitoring.MonitoringFacade(
            self,
            "Facade",
            alarm_factory_defaults=monitoring.AlarmFactoryDefaults(
                actions_enabled=True,
                alarm_name_prefix=self._name,
                action=monitoring.SnsAlarmActionStrategy(on_alarm_topic=alarm_topic, on_ok_topic=alarm_topic)
                if alarm_topic
                else None,
            ),
            dashboard_factory=dashboards,
        )
        for each in records:
            self._watch(_Watched(each, self))
        if access_log_group:
            self._watch_access_log(access_log_group)
        if rest_api:
            self._facade.monitor_api_gateway(api=rest_api)
        self.dashboard = cast("cloudwatch.Dashboard", dashboards.dashboard)
        prefix = f"{self._name}-"
        # What created_alarms() returns is asked of CDK value by value, which takes as long as all else of a stack.
        self.alarms = {
            each.node.id.removeprefix(prefix): each
            for each in self._facade.node.find_all()
            if isinstance(each, cloudwatch.Alarm)
        }

    def _watch(self, watched: "_Watched") -> None:
        limits = watched.thresholds or self._thresholds
        period = cdk.Duration.hours(limits.sweep_overdue_hours)
        self._add_section(
            watched.name,
            {
                "How creates end": [
                    *(watched.outcome(("chaincode",), each) for each in _ENDS_AT_THE_LEDGER),
                    *(watched.outcome(("upload",), each) for each in _ENDS_AT_THE_UPLOAD),
                ],
                "No verdict": [
                    _Alarm(
                        name="OutcomeUnknown",
                        says="a create ended without a verdict, and its object is kept",
                        metric=watched.unknown_outcomes(),
                        threshold=limits.outcome_unknown,
                    )
                ],
                "The ledger's failures": [
                    _Alarm(
                        name="LedgerUnavailable",
                        says="requests are refused because the ledger cannot be reached",
                        metric=watched.outcome(("upload", "chaincode", "query", "verify-all"), "LedgerUnavailable"),
                        threshold=limits.ledger_unavailable,
                    ),
                    _Alarm(
                        name="EndorsementFailed",
                        says="the ledger's peers deny the Fabric user, or disagree",
                        metric=watched.outcome(("chaincode", "query", "verify-all"), "EndorsementFailed"),
                        threshold=limits.endorsement_failed,
                    ),
                    _Alarm(
                        name="TransactionInvalid",
                        says="the ledger marks transactions as invalid",
                        metric=watched.outcome(("chaincode",), "TransactionInvalid"),
                        threshold=limits.transaction_invalid,
                    ),
                ],
                "Other failures": [
                    _Alarm(
                        name="StorageUnavailable",
                        says="requests are refused because S3 does not answer",
                        metric=watched.outcome(("upload", "verify", "verify-all"), "StorageUnavailable"),
                        threshold=limits.storage_unavailable,
                    ),
                    _Alarm(
                        name="InternalError",
                        says="a function failed in a way that has no name",
                        metric=watched.internal_errors(),
                        threshold=limits.internal_errors,
                    ),
                    _Alarm(
                        name="FunctionDied",
                        says="a function timed out, ran out of memory or ended",
                        metric=watched.died(),
                        threshold=limits.functions_died,
                    ),
                ],
                "Limits": [
                    _Alarm(
                        name="WorkflowTimedOut",
                        says="an execution was stopped after 28 seconds",
                        metric=watched.of_workflows("ExecutionsTimedOut"),
                        threshold=limits.workflows_timed_out,
                    ),
                    _Alarm(
                        name="Throttled",
                        says="AWS refuses to run functions or state transitions",
                        metric=watched.throttled(),
                        threshold=limits.throttled,
                    ),
                ],
                "How long it takes (ms)": [
                    *(watched.ledger_latency(statistic) for statistic in ("p50", "p99")),
                    _Alarm(
                        name="Slow",
                        says="executions come near the 29 seconds after which the API gives up",
                        metric=watched.slowest(),
                        threshold=limits.slow_seconds * 1000,
                        periods=3,
                    ),
                ],
                "How reads end": [
                    watched.outcome(("query",), "RecordNotFound"),
                    watched.outcome(("verify",), "Verified"),
                    watched.outcome(("verify",), "Unverifiable"),
                ],
                "Integrity": [
                    _Alarm(
                        name="ObjectTampered",
                        says="an object is not the one whose hash is on the ledger",
                        metric=watched.found("ObjectTampered", "ObjectsTampered"),
                        threshold=limits.objects_tampered,
                    ),
                    _Alarm(
                        name="ObjectMissing",
                        says="an object that the ledger names is not in the bucket",
                        metric=watched.found("ObjectMissing", "ObjectsMissing"),
                        threshold=limits.objects_missing,
                    ),
                    watched.outcome(("verify-all",), "ObjectsUnreadable"),
                    _Alarm(
                        name="VerifyAllFailed",
                        says="a verification of all objects did not come to its end",
                        metric=watched.verify_all_failures(),
                        threshold=0,
                    ),
                ],
                "Sweep": [
                    watched.outcome(("sweep",), "SweepCommitted"),
                    watched.outcome(("sweep",), "SweepForeign"),
                    _Alarm(
                        name="SweepOpen",
                        says="sweeps cannot settle whether the ledger refers to an object",
                        metric=watched.outcome(("sweep",), "SweepOpen", period),
                        threshold=limits.sweep_open,
                        periods=2,
                    ),
                    _Alarm(
                        name="SweepDead",
                        says="sweeps delete many objects that creates left behind",
                        metric=watched.outcome(("sweep",), "SweepDead", period),
                        threshold=limits.sweep_dead,
                    ),
                ],
                "Sweeps that succeeded": self._sweeps(watched, period),
                "Certificates": [
                    _Alarm(
                        name="CertificateExpiry",
                        says="a Fabric user's certificate expires soon, or nothing tells when it does",
                        metric=watched.certificate_days_left(period),
                        threshold=limits.certificate_days_left,
                        below=True,
                        missing=cloudwatch.TreatMissingData.BREACHING
                        if watched.is_swept
                        else cloudwatch.TreatMissingData.NOT_BREACHING,
                    ),
                    _Alarm(
                        name="CertificateUnreadable",
                        says="a Fabric user's certificate cannot be read",
                        metric=watched.outcome(("sweep",), "CertificateUnreadable", period),
                        threshold=0,
                    ),
                ],
                "Functions at once": [watched.concurrent(service) for service in watched.functions],
            },
        )

    def _sweeps(self, watched: "_Watched", period: cdk.Duration) -> list[_Alarm | _Metric]:
        succeeded = watched.sweeps_succeeded(period)
        if not watched.is_swept:
            return [succeeded]
        overdue = _Alarm(
            name="SweepOverdue",
            says="no sweep has succeeded in time",
            metric=succeeded,
            threshold=1,
            below=True,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )
        return [overdue]

    def _watch_access_log(self, log_group: logs.ILogGroup) -> None:
        limits = self._thresholds
        self._add_section(
            "Api",
            {
                "Refused by AWS": [
                    _Alarm(
                        name="ApiThrottled",
                        says="requests are answered with 429 because there are too many",
                        metric=self.counted(log_group, "ApiThrottled", _status("429")),
                        threshold=limits.api_throttled,
                    )
                ],
                "Failed": [
                    _Alarm(
                        name="ApiFailed",
                        says="requests are answered with 500",
                        metric=self.counted(log_group, "ApiFailed", _status("500")),
                        threshold=limits.api_failed,
                    )
                ],
            },
        )

    def counted(self, log_group: logs.ILogGroup, name: str, pattern: logs.IFilterPattern) -> cloudwatch.Metric:
        """The lines of a log that match, as a metric of this construct alone."""
        return logs.MetricFilter(
            self,
            f"{name}Filter",
            log_group=log_group,
            metric_namespace=f"{METRIC_NAMESPACE}/{self._name}",
            metric_name=name,
            filter_pattern=pattern,
        ).metric(label=name, statistic="Sum", period=_MINUTES_5)

    def _add_section(self, name: str, widgets: Mapping[str, Sequence[_Alarm | _Metric | None]]) -> None:
        self._facade.monitor_custom(
            human_readable_name=name,
            alarm_friendly_name=name,
            metric_groups=[
                monitoring.CustomMetricGroup(
                    title=title,
                    metrics=[made for each in metrics if (made := self._with_alarm(name, each))],
                )
                for title, metrics in widgets.items()
            ],
        )

    def _with_alarm(
        self, section: str, alarm: _Alarm | _Metric | None
    ) -> monitoring.CustomMetricWithAlarm | _Metric | None:
        if not isinstance(alarm, _Alarm):
            return alarm
        if alarm.metric is None:
            return None
        operator = cloudwatch.ComparisonOperator
        threshold = monitoring.CustomThreshold(
            threshold=alarm.threshold,
            comparison_operator=operator.LESS_THAN_THRESHOLD if alarm.below else operator.GREATER_THAN_THRESHOLD,
            alarm_name_override=f"{self._name}-{section}-{alarm.name}",
            alarm_description_override=f"{section}: {alarm.says}; see {self._runbook}#{alarm.name.lower()}.",
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.periods,
            treat_missing_data_override=alarm.missing,
        )
        return monitoring.CustomMetricWithAlarm(
            metric=alarm.metric, alarm_friendly_name=alarm.name, add_alarm={alarm.name: threshold}
        )


_ENDS_AT_THE_LEDGER = ("Created", "RecordAlreadyExists", "ChaincodeRejected", "IdempotencyKeyReused")
_ENDS_AT_THE_UPLOAD = ("InvalidRequest", "InvalidData", "DataTooLarge", "Forbidden")


class _Watched:
    """The metrics of what serves one record type. Functions go by their service names, without `offchain-`."""

    def __init__(self, records: MonitoredRecords, owner: OffChainMonitoring) -> None:
        self.name = records.record_type.name
        self.thresholds: AlarmThresholds | None = getattr(records, "alarm_thresholds", None)
        self._records, self._owner = records, owner
        functions = {
            "upload": records.upload_function,
            "chaincode": records.chaincode_function,
            "query": records.query_function,
            "verify": records.verify_function,
            "sweep": records.sweep_function,
            "verify-all": records.verify_all_function,
        }
        self.functions = {service: each for service, each in functions.items() if each}

    @property
    def is_swept(self) -> bool:
        return self._records.sweep.rule is not None

    def outcome(
        self, services: Sequence[str], name: str, period: cdk.Duration = _MINUTES_5
    ) -> cloudwatch.MathExpression | None:
        """How often these functions counted `name`; None where there is none of them."""
        metrics = self._counts(services, name)
        return _sum(name, metrics, period) if metrics else None

    def unknown_outcomes(self) -> cloudwatch.MathExpression:
        """Told by a function, or found by the workflow when no function could tell."""
        entered = self._owner.counted(
            self._records.workflow.log_group,
            f"{self.name}OutcomeUnknown",
            logs.FilterPattern.all(
                logs.FilterPattern.string_value("$.type", "=", "PassStateEntered"),
                logs.FilterPattern.string_value("$.details.name", "=", "OutcomeUnknown"),
            ),
        )
        told = self._counts(("upload", "chaincode"), "OutcomeUnknown")
        return _sum("OutcomeUnknown", {**told, "workflow OutcomeUnknown": entered})

    def internal_errors(self) -> cloudwatch.MathExpression:
        unnamed = self._counts(self.functions, "InternalError")
        return _sum("InternalError", unnamed | self._counts(("query", "verify-all"), "RecordUnreadable"))

    def died(self) -> cloudwatch.MathExpression:
        metrics = {
            f"{service} died": self._owner.counted(each.log_group, f"{self.name}{_camel(service)}Died", _DIED)
            for service, each in self.functions.items()
        }
        return _sum("FunctionDied", metrics)

    def of_workflows(self, name: str) -> cloudwatch.MathExpression:
        return _sum(name, self._workflows(name))

    def throttled(self) -> cloudwatch.MathExpression:
        functions = {
            f"{service} throttled": each.function.metric_throttles(period=_MINUTES_5, label=f"{service} throttled")
            for service, each in self.functions.items()
        }
        return _sum("Throttled", functions | self._workflows("ExecutionThrottled"))

    def slowest(self) -> cloudwatch.MathExpression:
        return _combined("MAX", "slowest flow p99", self._workflows("ExecutionTime", "p99"))

    def ledger_latency(self, statistic: str) -> cloudwatch.Metric | None:
        if "chaincode" not in self.functions:
            return None
        return self._own("chaincode", "LedgerLatency", statistic=statistic, label=f"ledger {statistic}")

    def found(self, by_read: str, by_verify_all: str) -> cloudwatch.MathExpression:
        return _sum(by_read, self._counts(("verify",), by_read) | self._counts(("verify-all",), by_verify_all))

    def verify_all_failures(self) -> cloudwatch.MathExpression:
        machine = self._records.verify_all.state_machine
        return _sum(
            "VerifyAllFailed",
            {
                f"verify-all {name}": machine.metric(name, statistic="Sum", period=_HOUR, label=f"verify-all {name}")
                for name in ("ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted")
            },
            _HOUR,
        )

    def sweeps_succeeded(self, period: cdk.Duration) -> cloudwatch.MathExpression:
        machine = self._records.sweep.state_machine
        succeeded = machine.metric("ExecutionsSucceeded", statistic="Sum", period=period, label="sweeps")
        return _sum("sweeps", {"sweeps": succeeded}, period)

    def certificate_days_left(self, period: cdk.Duration) -> cloudwatch.Metric:
        return self._own("sweep", "CertificateDaysLeft", statistic="Minimum", period=period, label="days left")

    def concurrent(self, service: str) -> cloudwatch.Metric:
        function = self.functions[service].function
        return function.metric("ConcurrentExecutions", statistic="Maximum", period=_MINUTES_5, label=service)

    def _workflows(self, name: str, statistic: str = "Sum") -> dict[str, cloudwatch.IMetric]:
        flows = {"create": self._records.workflow, "read": self._records.read_workflow}
        return {
            f"{flow} {name}": each.state_machine.metric(
                name, statistic=statistic, period=_MINUTES_5, label=f"{flow} {name}"
            )
            for flow, each in flows.items()
        }

    def _counts(self, services: Iterable[str], name: str) -> dict[str, cloudwatch.IMetric]:
        """What those of these functions that there are count as `name`, by label."""
        return {f"{each} {name}": self._own(each, name) for each in services if each in self.functions}

    def _own(
        self,
        service: str,
        name: str,
        *,
        statistic: str = "Sum",
        period: cdk.Duration = _MINUTES_5,
        label: str | None = None,
    ) -> cloudwatch.Metric:
        """A metric that a function emits itself."""
        return self.functions[service].metric_emitted(
            name, statistic=statistic, period=period, label=label or f"{service} {name}"
        )


def _sum(
    label: str, metrics: Mapping[str, cloudwatch.IMetric], period: cdk.Duration = _MINUTES_5
) -> cloudwatch.MathExpression:
    return _combined("SUM", label, metrics, period)


def _combined(
    function: str, label: str, metrics: Mapping[str, cloudwatch.IMetric], period: cdk.Duration = _MINUTES_5
) -> cloudwatch.MathExpression:
    """Where one has no value, the others count."""
    return cloudwatch.MathExpression(
        expression=f"{function}([{','.join(f'FILL({_id(each)},0)' for each in metrics)}])",
        using_metrics={_id(each): metric for each, metric in metrics.items()},
        label=label,
        period=period,
    )


def _id(label: str) -> str:
    """An identifier of metric math: unique on its widget, it begins with a small letter."""
    name = _camel(label)
    return name[:1].lower() + name[1:]


def _camel(label: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in label.replace("-", " ").split())


def _status(status: str) -> logs.IFilterPattern:
    return logs.FilterPattern.string_value("$.status", "=", status)
