"""Prices times quantities, by examples calculated by hand; what options change; and the README's tables."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch

from costs import __main__, bill, report
from costs.deployment import Deployment, Function, read, synthesize
from offchain_stack import OffChainStack, Settings
from offchain_stack.description import Template
from sandbox.assembly import ROOT


def use(**operations: Any) -> dict[str, Any]:
    """An entry of measured.json in which nothing takes anything but what `operations` say."""
    nothing: dict[str, Any] = {"ms": 0, "functions": {}, "requests": {}, "customMetrics": 0}
    none = {"invocations": 1, "ms": 0, "cpuMs": 0, "logBytes": 0, "logEntries": 0}
    batches = {
        name: nothing | {"functions": {folder: none}}
        for folder, names in (
            ("sweep", ("sweep", "settleOne", "passOverOne")),
            ("verify_all", ("verifyAll", "verifyOne")),
        )
        for name in names
    }
    return {
        "operations": {"create": nothing, "read": nothing} | batches | operations,
        "cold": {"sweep": {"initMs": 0, "firstMs": 0}},
    }


def function(ms: float, cpu: float = 0, invocations: int = 1) -> dict[str, float]:
    return {"invocations": invocations, "ms": ms, "cpuMs": cpu, "logBytes": 0, "logEntries": 0}


DEPLOYMENT = Deployment(
    functions={
        name: Function(memory=1024, architecture="x86_64")
        for name in ("upload_object", "invoke_chaincode", "query_ledger", "verify_object", "sweep", "verify_all")
    },
    endpoint_zones={"Secrets Manager": 2},
    runs={"sweep": 730},
    looks_at_a_version=336,
    log_events={"create": 0, "read": 0},
    secrets=2,
    customer_keys=0,
    kms_requests_per_object=0,
    alarm_metrics=0,
    composite_alarms=0,
    dashboards=0,
    request_metrics=0,
    traced=True,
)


class TestBill:
    def test_a_create(self) -> None:
        functions = {"upload_object": function(100), "invoke_chaincode": function(2000)}
        requests = {"s3:PutObject": 1.0}
        lines = bill.bill(
            DEPLOYMENT,
            use(create={"ms": 2110, "functions": functions, "requests": requests, "customMetrics": 0}),
        )
        assert {line: usd["create"] for line, usd in lines.items() if usd["create"]} == pytest.approx(
            {
                "API Gateway": 3.5,
                # 2.2 s of 64 MB, at 0.06 an hour and GB
                "Step Functions": 1 + 1e6 * 2.2 * 0.0625 * 0.06 / 3600,
                "Lambda, upload_object": 0.2 + 1e6 * 0.1 * 0.0000166667,
                "Lambda, invoke_chaincode": 0.2 + 1e6 * 2 * 0.0000166667,
                "S3, requests": 5,
                # One environment of each, twelve times an hour: a certificate, and a certificate with its key.
                "Secrets Manager": 730 * 12 * 3 * 0.05 / 1e4,
                "CloudWatch Logs": (526 + 2 * 752) * 1e6 / 1e9 * 0.5,
                "X-Ray": 5,
                # 335 times, a thousand at once: three transitions and one invocation.
                "Sweep, looks at each picture again": 335 * 1e3 * (3 * 0.025 / 1e3 + 0.2 / 1e6),
            }
        )

    def test_cpu_time_takes_longer_with_less_memory_and_waiting_does_not(self) -> None:
        measured = {"ms": 2000, "cpuMs": 20}
        assert bill.milliseconds(measured, 1769) == 2000
        assert bill.milliseconds(measured, 3538) == 2000
        # A quarter of a processor: four times 20 ms.
        assert bill.milliseconds(measured, 1769 // 4) == pytest.approx(2060, abs=0.1)

    def test_a_read_calls_a_function_twice(self) -> None:
        functions = {"query_ledger": function(50, invocations=2)}
        requests = {"s3:GetObject": 1.0}
        lines = bill.bill(
            DEPLOYMENT, use(read={"ms": 90, "functions": functions, "requests": requests, "customMetrics": 0})
        )
        assert lines["Lambda, query_ledger"]["read"] == pytest.approx(2 * 0.2 + 1e6 * 0.05 * 0.0000166667)
        assert lines["S3, requests"]["read"] == pytest.approx(0.4)
        assert lines["Step Functions"]["read"] == pytest.approx(1 + 1e6 * 0.1 * 0.0625 * 0.06 / 3600)

    def test_the_sweep(self) -> None:
        requests = {"s3:GetObjectTagging": 1.0, "s3:HeadObject": 1.0, "s3:PutObjectTagging": 1.0}
        settle = {"functions": {"sweep": function(30)}, "requests": requests}
        again = {"functions": {"sweep": function(6)}, "requests": {"s3:GetObjectTagging": 1.0}}
        runs = {"functions": {"sweep": function(0)}, "requests": {}, "customMetrics": 5}
        measured = use(settleOne=settle, passOverOne=again, sweep=runs)
        measured["cold"] = {"sweep": {"initMs": 700, "firstMs": 300}}
        lines = bill.bill(DEPLOYMENT, measured)
        assert lines["Sweep, settles each picture"]["create"] == pytest.approx(
            0.4 + 0.4 + 5 + 1e6 * 0.03 * 0.0000166667
        )
        assert lines["Sweep, looks at each picture again"]["create"] == pytest.approx(
            335 * (0.4 + 1e6 * 0.006 * 0.0000166667) + 335 * 1e3 * (3 * 0.025 / 1e3 + 0.2 / 1e6)
        )
        assert lines["Sweep, its runs"]["idle"] == pytest.approx(
            730 * (0.0000166667 + 5e-6 + 0.005 / 1e3 + 2 * 0.05 / 1e4 + 3 * 0.025 / 1e3 + 0.2 / 1e6)
        )
        assert lines["Sweep, its metrics"]["idle"] == pytest.approx(1.5)
        # A thousand pages, each 0.2 s.
        assert lines["Sweep, lists the bucket"]["kept"] == pytest.approx(730 * (5 + 200 * 0.0000166667 * 1e3) / 1e3)

    def test_an_idle_month(self) -> None:
        deployment = dataclasses.replace(
            DEPLOYMENT, runs={}, alarm_metrics=12, composite_alarms=1, dashboards=1, customer_keys=2
        )
        lines = bill.bill(deployment, use())
        assert {line: usd["idle"] for line, usd in lines.items() if usd["idle"]} == pytest.approx(
            {
                "Secrets Manager": 0.8,
                "Interface endpoint to Secrets Manager, 2 zones": 14.6,
                "KMS": 2,
                "CloudWatch alarms": 1.7,
                "CloudWatch dashboards": 3,
            }
        )

    def test_kms_is_asked_for_objects_and_secrets(self) -> None:
        functions = {"upload_object": function(100)}
        create = {"ms": 100, "functions": functions, "requests": {"s3:PutObject": 1.0}, "customMetrics": 0}
        deployment = dataclasses.replace(DEPLOYMENT, customer_keys=1, kms_requests_per_object=0.01)
        assert bill.bill(deployment, use(create=create))["KMS"]["create"] == pytest.approx(
            (1e4 + 730 * 12) * 0.03 / 1e4
        )

    def test_without_traces_none_is_paid_for(self) -> None:
        lines = bill.bill(dataclasses.replace(DEPLOYMENT, traced=False), use())
        assert "X-Ray" not in lines


@pytest.fixture(scope="module")
def deployments() -> dict[str, Deployment]:
    return synthesize(report.SETTINGS)


@pytest.fixture(scope="module")
def bills(deployments: dict[str, Deployment]) -> dict[str, bill.Bill]:
    measured = bill.measured(report.MEASURED)
    return {name: bill.bill(each, measured) for name, each in deployments.items()}


@pytest.mark.long
def test_what_a_template_states(deployments: dict[str, Deployment]) -> None:
    default = deployments[""]
    assert default.runs == {"sweep": pytest.approx(730 + 730 / 24)}
    # A day, every hour, and two weeks, every day.
    assert default.looks_at_a_version == 24 + 14
    assert default.endpoint_zones == {"Secrets Manager": 2}
    assert (default.secrets, default.customer_keys, default.kms_requests_per_object) == (2, 0, 0)
    # Start and end; a choice, two tasks and a pass state; three choices, three tasks and a pass state.
    assert default.log_events == {"create": 2 + 2 + 2 * 5 + 2, "read": 2 + 3 * 2 + 3 * 5 + 2}
    # Five each of POST and three GET, and the metric filters.
    assert default.request_metrics == 20 + 9
    assert default.traced
    (weekly,) = (each.runs for name, each in deployments.items() if "verifyAll" in name)
    assert weekly["verify_all"] == pytest.approx(730 / 168)
    (own_keys,) = (each for name, each in deployments.items() if "kmsKeyArn" in name)
    assert (own_keys.customer_keys, own_keys.kms_requests_per_object) == (2, 0.01)


def test_alarms_count_by_the_metrics_that_they_read(tmp_path: Path) -> None:
    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    app = cdk.App(context=context | {"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path))
    plain = OffChainStack(app, "Plain", settings=Settings.from_context(app.node))
    stack = OffChainStack(app, "Alarms", settings=Settings.from_context(app.node))
    metrics = {name: cloudwatch.Metric(namespace="AWS/S3", metric_name=name) for name in ("a", "b")}
    simple = cloudwatch.Alarm(stack, "Simple", metric=metrics["a"], threshold=1, evaluation_periods=1)
    rate = cloudwatch.MathExpression(expression="a / b", using_metrics=metrics)
    of_two = cloudwatch.Alarm(stack, "OfTwo", metric=rate, threshold=1, evaluation_periods=1)
    cloudwatch.CompositeAlarm(stack, "Both", alarm_rule=cloudwatch.AlarmRule.all_of(simple, of_two))
    cloudwatch.Dashboard(stack, "Dashboard")
    app.synth()
    without, found = (read(Template.load(tmp_path / f"{each.artifact_id}.template.json")) for each in (plain, stack))
    assert found.alarm_metrics == without.alarm_metrics + 3
    assert found.composite_alarms == without.composite_alarms + 1
    assert found.dashboards == without.dashboards + 1


@pytest.mark.long
class TestOptions:
    """Each changes its own lines and nothing else."""

    @pytest.mark.parametrize(
        ("option", "lines"),
        [
            ("secretsManagerEndpoint", {"Interface endpoint to Secrets Manager, 2 zones"}),
            ("managedBlockchain", {"Interface endpoint to Managed Blockchain, 2 zones"}),
            (
                "one availability zone",
                {"Interface endpoint to Secrets Manager, 2 zones", "Interface endpoint to Secrets Manager, 1 zone"},
            ),
            ("kmsKeyArn", {"KMS"}),
            (
                "sweepIntervalMinutes",
                {
                    "Sweep, looks at each picture again",
                    "Sweep, its runs",
                    "Sweep, its metrics",
                    "Sweep, lists the bucket",
                },
            ),
            ("monitoring", {"CloudWatch alarms", "CloudWatch dashboards"}),
            ("verifyAllIntervalHours", {"Verifying everything"}),
        ],
    )
    def test_changes(self, bills: dict[str, bill.Bill], option: str, lines: set[str]) -> None:
        (name,) = (name for name in bills if option in name)
        default, other = bills[""], bills[name]
        assert {line for line in default.keys() | other.keys() if default.get(line) != other.get(line)} == lines

    def test_every_option_is_tested(self, bills: dict[str, bill.Bill]) -> None:
        (mark,) = (each for each in TestOptions.test_changes.pytestmark if each.name == "parametrize")  # type: ignore[attr-defined]
        assert len(mark.args[1]) == len(bills) - 1


def test_what_is_assumed_of_the_functions_is_so() -> None:
    from shared.identities import REFRESH_SECONDS
    from sweep import handler

    assert bill.assumed()["secrets_refresh_seconds"] == REFRESH_SECONDS
    assert bill.assumed()["sweep_batch"] == handler._BATCH


def test_every_price_says_where_and_when_it_was_seen() -> None:
    for price in bill.prices().values():
        assert price.source.startswith(("https://aws.amazon.com/", "https://docs.aws.amazon.com/"))
        assert price.item
        assert price.unit
        assert price.stated_by
        assert price.looked_up


@pytest.mark.long
def test_the_readme_says_what_is_computed() -> None:
    readme = __main__.README.read_text("utf-8")
    assert report.put_into(readme, report.document()) == readme, "run: make costs"


@pytest.mark.long
def test_measures_on_the_emulation(tmp_path: Path) -> None:
    file = tmp_path / "measured.json"
    command = [sys.executable, "-m", "costs.measure", "short", "--emulation", "--output", str(file)]
    options = ["--batch-timeout", "0.2", "--creates", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    entry = json.loads(file.read_text("utf-8"))["short"]
    create, read = entry["operations"]["create"], entry["operations"]["read"]
    assert create["requests"] == {"s3:PutObject": 1}
    assert read["requests"] == {"s3:GetObject": 1}
    # It awaits its batch.
    assert create["functions"]["invoke_chaincode"]["ms"] > 200
    assert read["functions"]["query_ledger"]["invocations"] == 2
    assert entry["operations"]["passOverOne"]["requests"] == {"s3:GetObjectTagging": 1}
    assert entry["mostMemoryMiB"]["invoke_chaincode"] > 20
    bill.bill(DEPLOYMENT, entry)
