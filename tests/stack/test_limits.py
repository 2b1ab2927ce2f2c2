"""What operators set: memory, time-outs, concurrency, log retention, the sweep's ages, alarm thresholds, the bucket."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from stack_template import Template, flat, of_type

from conftest import ROOT
from offchain_stack import (
    AlarmThresholds,
    Endpoint,
    FabricNetwork,
    FabricUser,
    FunctionLimits,
    OffChainMonitoring,
    OffChainRecords,
    OffChainStack,
    OffChainStore,
    Settings,
)
from offchain_stack.settings import settings_schema

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]

FOLDERS = {
    "upload": "upload_object",
    "chaincode": "invoke_chaincode",
    "query": "query_ledger",
    "verify": "verify_object",
    "sweep": "sweep",
    "verify_all": "verify_all",
}
"""Of each function's handler, by its name in props."""


def records(stack: cdk.Stack, **props: Any) -> OffChainRecords:
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    network = FabricNetwork(
        stack,
        "Network",
        msp_id="Org1MSP",
        channel="mychannel",
        chaincode="ngo",
        tls_roots="s3://chains/tls.pem",
        peers=[Endpoint(address="peer0.org1.example.com:7051")],
        orderers=[Endpoint(address="orderer.example.com:7050")],
        users=[FabricUser.from_secret_names("lambdaUser", member="org1")],
    )
    return OffChainRecords(stack, "Records", vpc=vpc, network=network, **props)


def unbundled() -> cdk.Stack:
    return cdk.Stack(cdk.App(context={"aws:cdk:bundling-stacks": []}), "Stack")


@pytest.fixture
def made(synthesize: Synthesize) -> Callable[..., Template]:
    def made(**props: Any) -> Template:
        return synthesize(lambda app: records(cdk.Stack(app, "Limits"), **props) and None)["Limits"]

    return made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Template:
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path_factory.mktemp("plain")))
    records(cdk.Stack(app, "Limits"))
    return app.synth().get_stack_by_name("Limits").template  # type: ignore[no-any-return]


def function(template: Template, name: str) -> Any:
    handler = f"{FOLDERS[name]}.handler.handler"
    (found,) = [each for each in of_type(template, "AWS::Lambda::Function").values() if each["Handler"] == handler]
    return found


def retention_of(template: Template, name: str) -> int:
    group = function(template, name)["LoggingConfig"]["LogGroup"]["Ref"]
    days: int = template["Resources"][group]["Properties"]["RetentionInDays"]
    return days


def batch_timeouts(template: Template) -> set[int]:
    machines = of_type(template, "AWS::StepFunctions::StateMachine").values()
    states = [json.loads(flat(each["DefinitionString"]))["States"] for each in machines]
    batches = [state for each in states for name, state in each.items() if name in ("SweepBatch", "VerifyBatch")]
    return {state["TimeoutSeconds"] for state in batches}


def test_each_function_has_limits_of_its_own(made: Callable[..., Template]) -> None:
    limits = {
        f"{name}_limits": FunctionLimits(
            memory_size=300 + number,
            timeout=cdk.Duration.seconds(5 + number),
            reserved_concurrency=number,
            log_retention=logs.RetentionDays.ONE_WEEK if number else None,
        )
        for number, name in enumerate(FOLDERS)
    }
    template = made(**limits, log_retention=logs.RetentionDays.ONE_YEAR)
    for number, name in enumerate(FOLDERS):
        properties = function(template, name)
        found = properties["MemorySize"], properties["Timeout"], properties["ReservedConcurrentExecutions"]
        assert found == (300 + number, 5 + number, number)
        assert retention_of(template, name) == (7 if number else 365)


def test_limits_that_say_nothing_change_nothing(made: Callable[..., Template], plain: Template) -> None:
    said = {f"{name}_limits": FunctionLimits() for name in FOLDERS} | {
        "minimum_age": cdk.Duration.minutes(15),
        "unretirable_age": cdk.Duration.days(1),
        "look_back": cdk.Duration.days(14),
        "alarm_thresholds": AlarmThresholds(),
    }
    assert made(**said) == plain


def test_a_workflow_waits_for_a_longer_batch(made: Callable[..., Template], plain: Template) -> None:
    assert batch_timeouts(plain) == {360}
    limits = FunctionLimits(timeout=cdk.Duration.minutes(15))
    template = made(
        sweep_limits=limits,
        verify_all_limits=limits,
        minimum_age=cdk.Duration.hours(1),
        unretirable_age=cdk.Duration.days(3),
        look_back=cdk.Duration.days(30),
    )
    assert (function(template, "sweep")["Timeout"], function(template, "verify_all")["Timeout"]) == (900, 900)
    assert batch_timeouts(template) == {960}
    # The ages by which the sweep decides.
    variables = function(template, "sweep")["Environment"]["Variables"]
    ages = [variables[name] for name in ("MINIMUM_AGE_SECONDS", "UNRETIRABLE_AGE_SECONDS", "LOOK_BACK_DAYS")]
    assert ages == ["3600", "259200", "30"]


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "seconds"), [("upload", 11), ("chaincode", 19), ("query", 23), ("verify", 23), ("sweep", 901)]
    )
    def test_more_time_than_the_workflow_waits(self, name: str, seconds: int) -> None:
        def make() -> OffChainRecords:
            limits = FunctionLimits(timeout=cdk.Duration.seconds(seconds))
            return records(unbundled(), **{f"{name}_limits": limits})

        with pytest.raises(ValueError, match=rf"^(timeout|{name}_limits): .*{seconds} seconds"):
            make()

    @pytest.mark.parametrize(
        "prop",
        [
            {"memory_size": 127},
            {"memory_size": 10_241},
            {"reserved_concurrency": -1},
            {"timeout": cdk.Duration.seconds(0)},
        ],
    )
    def test_what_lambda_does_not_take(self, prop: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=rf"^{next(iter(prop))}: "):
            FunctionLimits(**prop)

    def test_limits_of_somebody_elses_function(self) -> None:
        stack = unbundled()
        arn = "arn:aws:lambda:us-east-1:111122223333:function:ngo-lambda"
        theirs = lambda_.Function.from_function_arn(stack, "Theirs", arn)
        with pytest.raises(ValueError, match=r"^chaincode_limits: existing_chaincode_function has its own"):
            records(stack, existing_chaincode_function=theirs, chaincode_limits=FunctionLimits())

    @pytest.mark.parametrize(
        ("prop", "ages"),
        [
            ("unretirable_age", {"unretirable_age": cdk.Duration.minutes(14)}),
            ("look_back", {"look_back": cdk.Duration.days(1)}),
            ("look_back", {"unretirable_age": cdk.Duration.days(14)}),
            ("minimum_age", {"minimum_age": cdk.Duration.seconds(59)}),
        ],
    )
    def test_ages_that_contradict_each_other(self, prop: str, ages: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=rf"^{prop}: "):
            records(unbundled(), **ages)

    def test_all_thresholds_that_are_out_of_range(self) -> None:
        with pytest.raises(ValueError, match=r"^sweep_open: ") as caught:
            AlarmThresholds(sweep_open=-1, slow_seconds=29, sweep_overdue_hours=0)
        props = [line.partition(":")[0] for line in str(caught.value).splitlines()]
        assert props == ["sweep_open", "slow_seconds", "sweep_overdue_hours"]


def test_a_record_type_has_alarm_thresholds_of_its_own(synthesize: Synthesize) -> None:
    def build(app: cdk.App) -> None:
        stack = cdk.Stack(app, "Alarms")
        own = AlarmThresholds(outcome_unknown=3, sweep_overdue_hours=5)
        watched = records(stack, alarm_thresholds=own)
        OffChainMonitoring(
            stack,
            "Monitoring",
            records=[watched],
            access_log_group=watched.api.access_log_group,
            thresholds=AlarmThresholds(outcome_unknown=9, api_failed=4),
        )

    template = synthesize(build)["Alarms"]
    assert threshold(template, "OutcomeUnknown") == 3
    assert threshold(template, "ApiFailed") == 4
    assert period(template, "SweepOverdue") == 5 * 3600


def alarm(template: Template, name: str) -> Any:
    alarms = of_type(template, "AWS::CloudWatch::Alarm").values()
    (found,) = [each for each in alarms if flat(each["AlarmName"]).endswith(f"-{name}")]
    return found


def threshold(template: Template, name: str) -> float:
    value: float = alarm(template, name)["Threshold"]
    return value


def period(template: Template, name: str) -> int:
    (seconds,) = {each["MetricStat"]["Period"] for each in alarm(template, name)["Metrics"] if "MetricStat" in each}
    return int(seconds)


# Settings


@pytest.fixture
def deployed(values: dict[str, Any], synthesize: Synthesize) -> Callable[..., Template]:
    def deployed(**given: Any) -> Template:
        settings = Settings.from_values(values | given)
        return synthesize(lambda app: OffChainStack(app, "Deployed", settings=settings) and None)["Deployed"]

    return deployed


def test_settings_set_all_of_it(deployed: Callable[..., Template]) -> None:
    template = deployed(
        functions={
            "query": {"memoryMb": 2048},
            "chaincode": {"reservedConcurrency": 50, "timeoutSeconds": 17},
            "verifyAll": {"timeoutSeconds": 600},
        },
        logRetention="TWO_WEEKS",
        minimumAgeMinutes=20,
        unretirableAgeDays=2,
        lookBackDays=10,
        alarmThresholds={"ledgerUnavailable": 20, "slowSeconds": 10.5},
        sweepIntervalMinutes=120,
    )
    chaincode = function(template, "chaincode")
    assert function(template, "query")["MemorySize"] == 2048
    assert (chaincode["ReservedConcurrentExecutions"], chaincode["Timeout"], chaincode["MemorySize"]) == (50, 17, 512)
    assert function(template, "verify_all")["Timeout"] == 600
    assert batch_timeouts(template) == {360, 660}
    assert {each["RetentionInDays"] for each in of_type(template, "AWS::Logs::LogGroup").values()} == {14}
    variables = function(template, "sweep")["Environment"]["Variables"]
    assert (variables["MINIMUM_AGE_SECONDS"], variables["UNRETIRABLE_AGE_SECONDS"]) == ("1200", "172800")
    assert variables["LOOK_BACK_DAYS"] == "10"
    assert (threshold(template, "LedgerUnavailable"), threshold(template, "Slow")) == (20, 10_500)
    # What is not given is as before: three intervals of the sweep.
    assert period(template, "SweepOverdue") == 6 * 3600


def test_settings_set_how_long_every_log_is_kept(values: dict[str, Any]) -> None:
    for name in ("mspId", "peers", "orderers", "tlsRoots"):
        values = {key: value for key, value in values.items() if key != name}
    member = {"networkId": "n-A", "memberId": "m-A", "nodeIds": ["nd-A"]}
    settings = Settings.from_values(values | {"managedBlockchain": member, "logRetention": "INFINITE"})
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    groups = [
        each
        for each in OffChainStack(app, "Kept", settings=settings).node.find_all()
        if isinstance(each, logs.CfnLogGroup)
    ]
    assert len(groups) > 10
    assert {each.retention_in_days for each in groups} == {None}


def test_settings_set_when_a_sweep_is_overdue(deployed: Callable[..., Template]) -> None:
    template = deployed(sweepIntervalMinutes=120, alarmThresholds={"sweepOverdueHours": 3})
    assert period(template, "SweepOverdue") == 3 * 3600


# The store


def bucket(template: Template) -> Any:
    (found,) = [each for each in template["Resources"].values() if each["Type"] == "AWS::S3::Bucket"]
    return found


def test_the_bucket_is_retained_unless_the_app_says_otherwise(synthesize: Synthesize) -> None:
    def build(app: cdk.App) -> None:
        for name, props in {
            "Kept": {},
            "Removed": {"removal_policy": cdk.RemovalPolicy.DESTROY, "noncurrent_expiration": cdk.Duration.days(7)},
        }.items():
            stack = cdk.Stack(app, name)
            OffChainStore(stack, "Store", vpc=ec2.Vpc(stack, "Vpc", max_azs=2), **props)  # type: ignore[arg-type]

    templates = synthesize(build)
    kept, removed = bucket(templates["Kept"]), bucket(templates["Removed"])
    assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert (removed["DeletionPolicy"], removed["UpdateReplacePolicy"]) == ("Delete", "Delete")
    days = [
        rule["NoncurrentVersionExpiration"]["NoncurrentDays"]
        for each in (kept, removed)
        for rule in each["Properties"]["LifecycleConfiguration"]["Rules"]
    ]
    assert days == [30, 7]
    # Nothing empties it: CloudFormation fails to delete a bucket that holds something.
    assert not [kind for each in templates["Removed"]["Resources"].values() if "Custom::" in (kind := each["Type"])]


@pytest.mark.parametrize(
    ("prop", "props"),
    [
        ("bucket", {"removal_policy": cdk.RemovalPolicy.DESTROY}),
        ("noncurrent_days", {"noncurrent_days": 7, "noncurrent_expiration": cdk.Duration.days(7)}),
    ],
)
def test_props_of_the_store_that_contradict_each_other(prop: str, props: dict[str, Any]) -> None:
    stack = unbundled()
    if prop == "bucket":
        props = props | {"bucket": s3.Bucket.from_bucket_name(stack, "Bucket", "my-images")}
    with pytest.raises(ValueError, match=rf"^{prop}: "):
        OffChainStore(stack, "Store", vpc=ec2.Vpc(stack, "Vpc", max_azs=2), **props)


# The runbook


def paths(schema: Any, within: str = "") -> Iterable[str]:
    """The settings and what they hold, as `functions.query.memoryMb`."""
    if "$ref" in schema:
        schema = settings_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    for name, part in schema.get("properties", {}).items():
        yield f"{within}{name}"
        yield from paths(part, f"{within}{name}.")


SAID_BY_LOGS_AND_ANSWERS = {"correlationId", "requestId", "submissionId", "transactionId", "goodVersion"}
OF_AWS = {"extendedRequestId", "platform.report"}


def test_the_runbook_recommends_what_can_be_set() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z]+(?:[A-Z_.]\w*)+)`", text)) - SAID_BY_LOGS_AND_ANSWERS - OF_AWS
    assert named >= {"functions.query.memoryMb", "unretirableAgeDays", "throttlingRateLimit", "alarmThresholds"}
    assert named <= set(paths(settings_schema()))
