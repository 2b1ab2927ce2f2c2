"""What a synthesized stack says of its own running costs."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offchain_stack.description import Template
from offchain_stack.description.functions import FUNCTION, function_name, variables
from offchain_stack.description.starts import MACHINE
from offchain_stack.description.template import text
from sandbox.assembly import ROOT

HOURS = 730
"""Of a month, as AWS counts it."""

_SUCCESS = {
    "create": ("CheckSize", "S3Upload", "InvokeCreateDonorChaincode", "Succeed"),
    "read": ("WhatIsAsked", "QueryRecord", "HasObject", "VerifyObject", "HasTransaction", "FindTransaction", "Answer"),
}
"""The states that an execution passes through when nothing goes wrong."""

_LOG_EVENTS = {"Task": 5, "Choice": 2, "Pass": 2}
"""Events that Step Functions logs of a state: entered and exited; of a task also scheduled, started and succeeded."""

_METHOD_METRICS = 5
"""Of each method where detailed metrics are on: Count, Latency, IntegrationLatency, 4XXError, 5XXError (API Gateway's
guide, "Amazon API Gateway dimensions and metrics")."""


@dataclass(frozen=True, kw_only=True)
class Function:
    """`memory` in MB; `architecture` as Lambda names it, such as `x86_64`."""

    memory: int
    architecture: str


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The quantities that a template states.

    * `functions`: by their folder in `lambda_src`.
    * `endpoint_zones`: availability zones of the interface endpoints, by what they lead to.
    * `runs`: a month, of the function that a schedule starts, by its folder.
    * `looks_at_a_version`: how often the sweep examines a version before it is too old for it.
    * `log_events`: of an execution, by operation.
    * `kms_requests_per_object`: of each time that S3 writes or reads one.
    * `alarm_metrics`: that alarms read.
    * `request_metrics`: CloudWatch metrics of the API's methods and of metric filters, in hours with requests.
    * `traced`: whether the API starts X-Ray traces.
    """

    functions: Mapping[str, Function]
    endpoint_zones: Mapping[str, int]
    runs: Mapping[str, float]
    looks_at_a_version: float
    log_events: Mapping[str, int]
    secrets: int
    customer_keys: int
    kms_requests_per_object: float
    alarm_metrics: int
    composite_alarms: int
    dashboards: int
    request_metrics: int
    traced: bool


def read(template: Template) -> Deployment:
    """Raises ValueError for a stack of several record types, whose functions it cannot tell apart."""
    all_functions = template.of_type(FUNCTION)
    ours = {name: each for name, each in all_functions.items() if "RECORD_TYPE" in variables(template, name)}
    folders = {name: function_name(template, name) for name in ours}
    if len(set(folders.values())) != len(folders):
        raise ValueError("the stack has several record types: read one that has one")
    (sweep,) = (name for name in ours if folders[name] == "sweep")
    runs: dict[str, float] = {}
    looks = 0.0
    for folder, number, event in _schedules(template, folders):
        runs[folder] = runs.get(folder, 0) + number
        if folder == "sweep":
            days = float(event.get("lookBackDays", variables(template, sweep)["LOOK_BACK_DAYS"]))
            looks += number * days * 24 / HOURS
    identities = next(found for each in ours if (found := variables(template, each).get("FABRIC_IDENTITIES")))
    resources = json.dumps(template.resources)
    return Deployment(
        functions={
            folders[name]: Function(memory=each["MemorySize"], architecture=each["Architectures"][0])
            for name, each in ours.items()
        },
        endpoint_zones=_endpoint_zones(template),
        runs=runs,
        looks_at_a_version=looks,
        log_events={operation: _log_events(template, states) for operation, states in _SUCCESS.items()},
        secrets=2 * len(json.loads(text(identities))["users"]),
        customer_keys=len(set(re.findall(r":kms:[^:\"]*:[^:\"]*:key/[\w-]+", resources))),
        kms_requests_per_object=_kms_requests(resources),
        alarm_metrics=sum(map(_metrics_of_alarm, template.of_type("AWS::CloudWatch::Alarm").values())),
        composite_alarms=len(template.of_type("AWS::CloudWatch::CompositeAlarm")),
        dashboards=len(template.of_type("AWS::CloudWatch::Dashboard")),
        request_metrics=_method_metrics(template) + len(template.of_type("AWS::Logs::MetricFilter")),
        traced=any(each.get("TracingEnabled") for each in template.of_type("AWS::ApiGateway::Stage").values()),
    )


def synthesize(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Deployment]:
    """The deployments that `cdk.json` gives with each of `settings`, by name: their values take the place of those
    there, and None takes one away. Bundles no Lambda packages and asks AWS for nothing."""
    from offchain_stack import OffChainStack, Settings

    # isort: split
    # CDK takes seconds to load; after offchain_stack, which keeps it from a banner about Node.
    import aws_cdk as cdk

    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    with tempfile.TemporaryDirectory() as folder:
        app = cdk.App(context=context | {"aws:cdk:bundling-stacks": []}, outdir=folder)
        for number, changes in enumerate(settings.values()):
            values = {name: value for name, value in (context["offchain"] | changes).items() if value is not None}
            OffChainStack(app, f"Costs{number}", settings=Settings.from_values(values))
        app.synth()
        templates = [Template.load(Path(folder) / f"Costs{number}.template.json") for number in range(len(settings))]
    return {name: read(template) for name, template in zip(settings, templates, strict=True)}


def _endpoint_zones(template: Template) -> dict[str, int]:
    """One subnet of each zone is named, as AWS demands."""
    zones: dict[str, int] = {}
    for each in template.of_type("AWS::EC2::VPCEndpoint").values():
        if each["VpcEndpointType"] == "Interface":
            service = text(each["ServiceName"])
            leads_to = "Secrets Manager" if service.endswith(".secretsmanager") else "Managed Blockchain"
            zones[leads_to] = zones.get(leads_to, 0) + len(each["SubnetIds"])
    return zones


def _kms_requests(resources: str) -> float:
    """With a bucket key S3 asks KMS for one in a hundred at most (S3's guide, "Reducing the cost of SSE-KMS")."""
    if "kms:GenerateDataKey" not in resources:
        return 0
    return 0.01 if '"BucketKeyEnabled": true' in resources else 1


def _schedules(template: Template, folders: Mapping[str, str]) -> Iterator[tuple[str, float, Mapping[str, Any]]]:
    """The function that a rule starts by its state machine, how often a month, and with which event."""
    machines = template.of_type(MACHINE)
    for rule in template.of_type("AWS::Events::Rule").values():
        matched = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", rule["ScheduleExpression"])
        if matched is None:
            raise ValueError(f"a schedule of another kind: {rule['ScheduleExpression']}")
        hours = int(matched[1]) * {"minute": 1 / 60, "hour": 1, "day": 24}[matched[2]]
        (target,) = rule["Targets"]
        (machine,) = template.references(target["Arn"], MACHINE)
        (function,) = template.references(machines[machine]["DefinitionString"], FUNCTION)
        folder = folders[function]
        yield folder, HOURS / hours, json.loads(target.get("Input", "{}"))


def _log_events(template: Template, states: tuple[str, ...]) -> int:
    """Of the execution that passes through `states`, with those of its start and end."""
    for machine in template.of_type(MACHINE).values():
        defined = json.loads(text(machine["DefinitionString"]))["States"]
        if set(states) <= set(defined):
            return 2 + sum(_LOG_EVENTS[defined[state]["Type"]] for state in states)
    raise ValueError(f"no state machine has the states {', '.join(states)}")


def _metrics_of_alarm(alarm: Mapping[str, Any]) -> int:
    """CloudWatch bills an alarm by the metrics it reads."""
    return max(1, sum("MetricStat" in each for each in alarm.get("Metrics", [])))


def _method_metrics(template: Template) -> int:
    stages = template.of_type("AWS::ApiGateway::Stage").values()
    detailed = any(each.get("MetricsEnabled") for stage in stages for each in stage.get("MethodSettings", []))
    methods = template.of_type("AWS::ApiGateway::Method").values()
    return _METHOD_METRICS * sum(each["HttpMethod"] != "OPTIONS" for each in methods) if detailed else 0
