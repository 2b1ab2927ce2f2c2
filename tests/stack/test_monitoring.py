"""The dashboard and the alarms, each with its section in the runbook, on metrics that the functions really emit."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import cfnlint.api
import pytest
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from cdk_nag import AwsSolutionsChecks
from cfnlint.config import ManualArgs
from shared.observability import Metric
from stack_template import Template, flat, of_type

from conftest import ROOT
from offchain_stack import (
    Endpoint,
    FabricNetwork,
    FabricUser,
    LedgerField,
    OffChainApi,
    OffChainRecords,
    OffChainStore,
    RecordType,
)
from offchain_stack.monitoring import AlarmThresholds, OffChainMonitoring

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
Alarms = dict[str, dict[str, Any]]

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text("utf-8")
NO_ALARM = {"Where to look", "Metrics"}
SECTIONS = set(re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)) - NO_ALARM
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:ngo"
NO_BUNDLING = {"aws:cdk:bundling-stacks": []}
ABOUT_THE_API = {"ApiThrottled", "ApiFailed"}

INVOICE = RecordType(
    name="Invoice",
    identifying_field="invoiceNumber",
    ledger_fields=(LedgerField(name="invoiceNumber", max_length=40),),
    data_field="document",
    content_types=("application/pdf",),
    create_function="createInvoice",
    read_function="queryInvoice",
    list_function="queryAllInvoices",
)


class Stack(cdk.Stack):
    """Somebody's stack, with an API and a network; records are added."""

    def __init__(self, scope: cdk.App, name: str = "Stack") -> None:
        super().__init__(scope, name)
        self.vpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id="vpc-0123456789abcdef0",
            availability_zones=["us-east-1a"],
            private_subnet_ids=["subnet-0123456789abcdef0"],
            private_subnet_route_table_ids=["rtb-0123456789abcdef0"],
        )
        self.api = OffChainApi(self, "Api")
        self.network = FabricNetwork(
            self,
            "Network",
            msp_id="Org1MSP",
            channel="mychannel",
            chaincode="ngo",
            tls_roots="s3://chains/tls.pem",
            peers=[Endpoint(address="peer0.org1.example.com:7051")],
            orderers=[Endpoint(address="orderer.example.com:7050")],
            users=[FabricUser.from_secret_names("lambdaUser", member="org1")],
        )
        self.store = OffChainStore(self, "Store", vpc=self.vpc)

    def records(self, id: str = "Donors", **props: Any) -> OffChainRecords:
        common = {"vpc": self.vpc, "network": self.network, "store": self.store, "api": self.api}
        return OffChainRecords(self, id, **(common | props))  # type: ignore[arg-type]


def alarms(template: Template) -> Alarms:
    """The template's alarms, by the part of their name after the construct's."""
    return {each["AlarmName"].split("-", 3)[-1]: each for each in of_type(template, "AWS::CloudWatch::Alarm").values()}


def metrics(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What an alarm looks at: `{"Namespace", "MetricName", "Dimensions"}`."""
    for each in alarm.get("Metrics", [alarm]):
        if "Expression" not in each:
            yield each["MetricStat"]["Metric"] if "MetricStat" in each else each


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Two record types behind one API, and a topic."""
    app = cdk.App(context=NO_BUNDLING, outdir=str(tmp_path_factory.mktemp("two")))
    stack = Stack(app)
    OffChainMonitoring(
        stack,
        "Monitoring",
        records=[stack.records(), stack.records("Invoices", record_type=INVOICE)],
        rest_api=stack.api.rest_api,
        access_log_group=stack.api.access_log_group,
        alarm_topic=sns.Topic(stack, "Topic", master_key=kms.Key(stack, "Key", enable_key_rotation=True)),
    )
    app.synth()
    return json.loads(Path(app.outdir, "Stack.template.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture
def build(synthesize: Synthesize) -> Callable[..., Alarms]:
    """Monitor one record type that is made with `records`, and return the alarms."""

    def build(records: dict[str, Any] | None = None, **props: Any) -> Alarms:
        def make(app: cdk.App) -> None:
            stack = Stack(app)
            OffChainMonitoring(stack, "Monitoring", records=[stack.records(**(records or {}))], **props)

        return alarms(synthesize(make)["Stack"])

    return build


class TestAlarms:
    def test_each_has_its_section_and_each_section_its_alarm(self, template: Template) -> None:
        found = {name.split("-", 1)[1] for name in alarms(template)}
        assert found == SECTIONS
        for name, alarm in alarms(template).items():
            record_type, section = name.split("-")
            description = alarm["AlarmDescription"]
            assert description.startswith(f"{record_type}: ")
            assert description.endswith(f"; see docs/runbook.md#{section.lower()}.")
            assert description.count(".") == description.count(".md") + 1

    def test_each_section_says_what_is_meant_what_is_certain_and_what_to_do(self) -> None:
        for section in SECTIONS:
            text = RUNBOOK.split(f"\n## {section}\n")[1].split("\n## ")[0]
            assert [re.findall(r"^\*\*(\w+)\.\*\*", part)[:1] for part in text.strip().split("\n\n")] == [
                ["Means"],
                ["Certain"],
                ["Do"],
            ], section

    def test_each_record_type_has_all_of_its_own(self, template: Template) -> None:
        by_type: dict[str, set[str]] = {}
        for name in alarms(template):
            record_type, section = name.split("-")
            by_type.setdefault(record_type, set()).add(section)
        assert by_type == {
            "Donor": SECTIONS - ABOUT_THE_API,
            "Invoice": SECTIONS - ABOUT_THE_API,
            "Api": ABOUT_THE_API,
        }

    def test_names_are_unique_also_between_stacks_and_constructs(self, synthesize: Synthesize) -> None:
        def make(app: cdk.App) -> None:
            for name in ("First", "Second"):
                stack = Stack(app, name)
                records = stack.records()
                for id in ("Monitoring", "Again"):
                    OffChainMonitoring(stack, id, records=[records])

        templates = synthesize(make).values()
        names = [
            each["AlarmName"] for template in templates for each in of_type(template, "AWS::CloudWatch::Alarm").values()
        ]
        assert len(names) == len(set(names)) == 4 * len(SECTIONS - ABOUT_THE_API)
        dashboards = [
            flat(each["DashboardName"])
            for template in templates
            for each in of_type(template, "AWS::CloudWatch::Dashboard").values()
        ]
        assert len(set(dashboards)) == 4

    def test_the_topic_is_told_when_it_begins_and_when_it_is_over(self, template: Template) -> None:
        (topic,) = of_type(template, "AWS::SNS::Topic")
        for alarm in alarms(template).values():
            assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}]

    def test_without_a_topic_nobody_is_told(self, build: Callable[..., Alarms]) -> None:
        for alarm in build().values():
            assert "AlarmActions" not in alarm
            assert "OKActions" not in alarm

    def test_only_what_must_happen_again_and_again_is_missed(self, template: Template) -> None:
        missed = {name for name, alarm in alarms(template).items() if alarm["TreatMissingData"] == "breaching"}
        assert missed == {f"{t}-{n}" for t in ("Donor", "Invoice") for n in ("SweepOverdue", "CertificateExpiry")}
        assert {alarm["TreatMissingData"] for alarm in alarms(template).values()} == {"breaching", "notBreaching"}

    def test_they_are_exposed_by_record_type_and_section(self) -> None:
        stack = Stack(cdk.App(context=NO_BUNDLING))
        made = OffChainMonitoring(stack, "Monitoring", records=[stack.records()])
        assert set(made.alarms) == {f"Donor-{section}" for section in SECTIONS - ABOUT_THE_API}
        assert made.alarms["Donor-OutcomeUnknown"].alarm_arn
        assert made.dashboard.dashboard_arn


class TestMetrics:
    def test_alarms_look_at_what_that_function_of_that_record_type_emits(self, template: Template) -> None:
        functions = of_type(template, "AWS::Lambda::Function")
        emitted = {metric.value for metric in Metric}
        seen = set()
        for name, alarm in alarms(template).items():
            for metric in metrics(alarm):
                if metric["Namespace"] != "OffChainStack":
                    continue
                dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
                variables = functions[dimensions["FunctionName"]["Ref"]]["Environment"]["Variables"]
                assert metric["MetricName"] in emitted
                assert dimensions["service"] == variables["POWERTOOLS_SERVICE_NAME"]
                assert dimensions["RecordType"] == json.loads(variables["RECORD_TYPE"])["name"] == name.split("-")[0]
                assert set(dimensions) == {"FunctionName", "RecordType", "service"}
                seen.add(metric["MetricName"])
        assert {"OutcomeUnknown", "InternalError", "ObjectTampered", "ObjectsTampered", "SweepOpen"} <= seen

    def test_whatever_a_function_emits_is_on_the_dashboard_or_described_as_a_mere_count(
        self, template: Template
    ) -> None:
        (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
        shown = set(re.findall(r'"OffChainStack","(\w+)"', flat(dashboard["DashboardBody"])))
        mere_counts = {"Stored", "Answered", "SweepExamined"}
        mere_counts |= {f"Objects{each}" for each in ("Verified", "WithoutObject", "Unverifiable", "Unrecorded")}
        assert shown == {metric.value for metric in Metric} - mere_counts

    def test_the_runbook_describes_every_metric(self) -> None:
        table = RUNBOOK.split("\n## Metrics\n")[1]
        described = set(
            re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if "|" in line))
        )
        assert described == {metric.value for metric in Metric}

    def test_an_outcome_that_no_function_could_tell_counts_too(self, template: Template) -> None:
        filters = of_type(template, "AWS::Logs::MetricFilter")
        (found,) = [each for each in filters.values() if "DonorOutcomeUnknown" in json.dumps(each)]
        assert found["FilterPattern"] == '{ ($.type = "PassStateEntered") && ($.details.name = "OutcomeUnknown") }'
        (transformation,) = found["MetricTransformations"]
        looked_at = [
            (metric["Namespace"], metric["MetricName"]) for metric in metrics(alarms(template)["Donor-OutcomeUnknown"])
        ]
        assert (transformation["MetricNamespace"], transformation["MetricName"]) in looked_at
        machines = of_type(template, "AWS::StepFunctions::StateMachine").values()
        (logged,) = [
            json.loads(flat(each["DefinitionString"]))
            for each in machines
            if found["LogGroupName"]["Ref"] in json.dumps(each["LoggingConfiguration"])
        ]
        assert logged["States"]["OutcomeUnknown"]["Type"] == "Pass"

    def test_the_end_of_any_function_counts(self, template: Template) -> None:
        groups = {
            each["LoggingConfig"]["LogGroup"]["Ref"] for each in of_type(template, "AWS::Lambda::Function").values()
        }
        filters = [
            each
            for each in of_type(template, "AWS::Logs::MetricFilter").values()
            if "platform.report" in each["FilterPattern"]
        ]
        assert {each["LogGroupName"]["Ref"] for each in filters} == groups
        for record_type in ("Donor", "Invoice"):
            looked_at = {metric["MetricName"] for metric in metrics(alarms(template)[f"{record_type}-FunctionDied"])}
            counted = {each["MetricTransformations"][0]["MetricName"] for each in filters}
            assert looked_at == {name for name in counted if name.startswith(record_type)}
            assert len(looked_at) == 6

    def test_the_apis_own_answers_are_read_from_its_access_log(self, template: Template) -> None:
        stage = next(iter(of_type(template, "AWS::ApiGateway::Stage").values()))
        logged = json.loads(stage["AccessLogSetting"]["Format"])
        assert logged["status"] == "$context.status"
        patterns = {
            each["MetricTransformations"][0]["MetricName"]: (each["FilterPattern"], each["LogGroupName"]["Ref"])
            for each in of_type(template, "AWS::Logs::MetricFilter").values()
        }
        group = flat(stage["AccessLogSetting"]["DestinationArn"]).strip("<>").removesuffix(".Arn")
        assert patterns["ApiThrottled"] == ('{ $.status = "429" }', group)
        assert patterns["ApiFailed"] == ('{ $.status = "500" }', group)


class TestWhatIsWatched:
    def test_an_existing_chaincode_function_emits_nothing(self, synthesize: Synthesize) -> None:
        def make(app: cdk.App) -> None:
            stack = Stack(app)
            existing = lambda_.Function.from_function_arn(stack, "Existing", FUNCTION)
            OffChainMonitoring(stack, "Monitoring", records=[stack.records(existing_chaincode_function=existing)])

        found = alarms(synthesize(make)["Stack"])
        assert set(found) == {f"Donor-{section}" for section in SECTIONS - ABOUT_THE_API - {"TransactionInvalid"}}
        assert "offchain-chaincode" not in json.dumps(found)

    def test_a_sweep_that_only_a_person_starts_is_not_overdue(self, synthesize: Synthesize) -> None:
        class Unscheduled:
            def __init__(self, records: OffChainRecords) -> None:
                self._records = records
                self.sweep = type("Sweep", (), {"rule": None, "state_machine": records.sweep.state_machine})()

            def __getattr__(self, name: str) -> Any:
                return getattr(self._records, name)

        def make(app: cdk.App) -> None:
            stack = Stack(app)
            OffChainMonitoring(stack, "Monitoring", records=[Unscheduled(stack.records())])

        found = alarms(synthesize(make)["Stack"])
        assert "Donor-SweepOverdue" not in found
        assert found["Donor-CertificateExpiry"]["TreatMissingData"] == "notBreaching"

    def test_without_its_access_log_an_api_is_only_shown(self, build: Callable[..., Alarms]) -> None:
        assert not {name for name in build() if name.startswith("Api-")}

    def test_somebody_elses_api_is_shown(self, synthesize: Synthesize) -> None:
        def make(app: cdk.App) -> None:
            stack = Stack(app)
            api = apigateway.RestApi.from_rest_api_attributes(
                stack, "Theirs", rest_api_id="a1b2c3", root_resource_id="r", rest_api_name="their-api"
            )
            OffChainMonitoring(stack, "Monitoring", records=[stack.records()], rest_api=api)

        (dashboard,) = of_type(synthesize(make)["Stack"], "AWS::CloudWatch::Dashboard").values()
        assert "their-api" in flat(dashboard["DashboardBody"])

    def test_one_record_type_is_watched_once(self) -> None:
        stack = Stack(cdk.App(context=NO_BUNDLING))
        records = stack.records()
        with pytest.raises(ValueError, match=r"^records: Donor, Donor name a record type twice$"):
            OffChainMonitoring(stack, "Monitoring", records=[records, records])

    def test_the_runbook_may_be_elsewhere(self, build: Callable[..., Alarms]) -> None:
        for alarm in build(runbook="https://wiki.example.org/offchain").values():
            assert re.search(r"; see https://wiki\.example\.org/offchain#[a-z]+\.$", alarm["AlarmDescription"])


class TestThresholds:
    def test_each_is_an_alarms(self, synthesize: Synthesize) -> None:
        changed = {
            "outcome_unknown": ("OutcomeUnknown", 3),
            "ledger_unavailable": ("LedgerUnavailable", 7),
            "endorsement_failed": ("EndorsementFailed", 4),
            "transaction_invalid": ("TransactionInvalid", 6),
            "storage_unavailable": ("StorageUnavailable", 8),
            "internal_errors": ("InternalError", 2),
            "functions_died": ("FunctionDied", 1),
            "workflows_timed_out": ("WorkflowTimedOut", 9),
            "throttled": ("Throttled", 11),
            "objects_tampered": ("ObjectTampered", 12),
            "objects_missing": ("ObjectMissing", 13),
            "sweep_open": ("SweepOpen", 14),
            "sweep_dead": ("SweepDead", 15),
            "certificate_days_left": ("CertificateExpiry", 60),
            "api_throttled": ("ApiThrottled", 16),
            "api_failed": ("ApiFailed", 17),
        }
        thresholds = AlarmThresholds(
            **{name: value for name, (_, value) in changed.items()},  # type: ignore[arg-type]
            slow_seconds=12.5,
            sweep_overdue_hours=6,
        )

        def make(app: cdk.App) -> None:
            stack = Stack(app)
            log_group = stack.api.access_log_group
            OffChainMonitoring(
                stack, "Monitoring", records=[stack.records()], access_log_group=log_group, thresholds=thresholds
            )

        found = alarms(synthesize(make)["Stack"])
        by_section = {name.split("-")[1]: alarm["Threshold"] for name, alarm in found.items()}
        assert {section: by_section[section] for section, _ in changed.values()} == dict(changed.values())
        assert found["Donor-Slow"]["Threshold"] == 12_500
        for alarm in ("SweepOverdue", "SweepOpen", "SweepDead", "CertificateExpiry", "CertificateUnreadable"):
            periods = {
                each["MetricStat"]["Period"] for each in found[f"Donor-{alarm}"]["Metrics"] if "MetricStat" in each
            }
            assert periods == {6 * 3600}, alarm

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"slow_seconds": 29}, "slow_seconds: 29 must lie below the 29 seconds"),
            ({"slow_seconds": 0}, "slow_seconds: 0"),
            ({"sweep_overdue_hours": 0}, "sweep_overdue_hours: 0 must be from 1 to 24"),
            ({"sweep_overdue_hours": 25}, "sweep_overdue_hours: 25"),
            ({"sweep_dead": -1}, "sweep_dead: -1 must not be below 0"),
        ],
    )
    def test_what_is_out_of_range_is_named(self, wrong: dict[str, Any], named: str) -> None:
        with pytest.raises(ValueError, match=f"^{named}"):
            AlarmThresholds(**wrong)


def test_no_rule_is_broken(tmp_path: Path) -> None:
    app = cdk.App(context=NO_BUNDLING, outdir=str(tmp_path))
    stack = Stack(app)
    OffChainMonitoring(
        stack,
        "Monitoring",
        records=[stack.records(sweep_schedule=events.Schedule.rate(cdk.Duration.hours(2)))],
        rest_api=stack.api.rest_api,
        access_log_group=stack.api.access_log_group,
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    (report,) = json.loads((tmp_path / "validation-report.json").read_text())["pluginReports"]
    assert report["violations"] == []
    template = json.loads((tmp_path / "Stack.template.json").read_text())
    arguments = ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"])
    assert cfnlint.api.lint(json.dumps(template), config=arguments) == []
