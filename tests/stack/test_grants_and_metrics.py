"""What the constructs let others do, and the metrics that they name: each exactly, in the words of the service."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from stack_template import Template, aslist, flat, of_type
from test_records import network

from conftest import ROOT
from offchain_stack import DONOR, OffChainRecords

GRANTS: dict[str, tuple[Callable[[OffChainRecords, iam.Role], Any], set[tuple[str, str]]]] = {
    "create": (
        OffChainRecords.grant_create,
        {("execute-api:Invoke", "<Stage>/POST/donors")},
    ),
    "read": (
        OffChainRecords.grant_read,
        {
            ("execute-api:Invoke", "<Stage>/GET/donors"),
            ("execute-api:Invoke", "<Stage>/GET/donors/*"),
            ("execute-api:Invoke", "<Stage>/GET/transactions/*"),
        },
    ),
    "run a workflow": (
        lambda records, role: records.workflow.grant_start_sync_execution(role),
        {("states:StartSyncExecution", "<Workflow>")},
    ),
    "start the verification of everything": (
        lambda records, role: records.verify_all.grant_start_execution(role),
        {("states:StartExecution", "<VerifyAll>")},
    ),
    "invoke a function": (
        lambda records, role: records.sweep_function.grant_invoke(role),
        {("lambda:InvokeFunction", "<SweepFunction.Arn>")},
    ),
}


class Records:
    """Donors in somebody's stack, and the role of somebody who may do nothing yet."""

    def __init__(self) -> None:
        self.app = cdk.App(context={"aws:cdk:bundling-stacks": []})
        self.stack = cdk.Stack(self.app, "Stack")
        vpc = ec2.Vpc(self.stack, "Vpc", max_azs=2)
        self.records = OffChainRecords(self.stack, "Records", vpc=vpc, network=network(self.stack))
        self.role = iam.Role(self.stack, "Somebody", assumed_by=iam.AccountRootPrincipal())

    def template(self) -> Template:
        return self.app.synth().get_stack_by_name("Stack").template  # type: ignore[no-any-return]

    def name(self, construct: cdk.Resource) -> str:
        return str(self.stack.get_logical_id(construct.node.default_child))


@pytest.mark.parametrize(("grant", "expected"), GRANTS.values(), ids=GRANTS)
def test_a_grant_is_what_it_says_and_no_more(
    grant: Callable[[OffChainRecords, iam.Role], Any], expected: set[tuple[str, str]]
) -> None:
    made = Records()
    records = made.records
    grant(records, made.role)
    api = records.api.rest_api
    stage = f"arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<{made.name(api)}>"
    names = {
        f"{stage}/<{made.name(api.deployment_stage)}>": "<Stage>",
        f"<{made.name(records.workflow.state_machine)}>": "<Workflow>",
        f"<{made.name(records.verify_all.state_machine)}>": "<VerifyAll>",
        f"<{made.name(records.sweep_function.function)}.Arn>": "<SweepFunction.Arn>",
    }

    def known(resource: str) -> str:
        for long, short in names.items():
            resource = resource.replace(long, short)
        return resource

    (policy,) = [
        each["PolicyDocument"]
        for each in of_type(made.template(), "AWS::IAM::Policy").values()
        if flat(each["Roles"][0]) == f"<{made.name(made.role)}>"
    ]
    assert {
        (action, known(flat(resource)))
        for statement in policy["Statement"]
        for action in aslist(statement["Action"])
        for resource in aslist(statement["Resource"])
    } == expected


def described(made: Records, metric: cloudwatch.Metric) -> dict[str, Any]:
    return made.stack.resolve(metric.to_metric_config().metric_stat)  # type: ignore[no-any-return]


def test_metrics_of_the_services() -> None:
    made = Records()
    records = made.records
    names = {
        "AWS/Lambda": ("FunctionName", made.name(records.upload_function.function)),
        "AWS/States": ("StateMachineArn", made.name(records.workflow.state_machine)),
        "AWS/ApiGateway": ("Stage", made.name(records.api.rest_api.deployment_stage)),
    }
    for metric in (
        records.upload_function.metric("Errors", statistic="p99"),
        records.workflow.metric("ExecutionsFailed", statistic="p99"),
        records.api.metric("5XXError", statistic="p99"),
    ):
        found = described(made, metric)
        assert (found["metricName"], found["statistic"]) == (metric.metric_name, "p99")
        dimension, name = names[found["namespace"]]
        assert {each["name"]: each["value"] for each in found["dimensions"]}[dimension] == {"Ref": name}


COUNT = """
from shared.observability import Metric, observed

class Context:
    aws_request_id, function_name = "request", "the-function"

observed(lambda event, answer: Metric.CREATED)(lambda event, context: {})({}, Context)
"""


def test_a_metric_that_a_function_emits_is_found_where_the_function_puts_it() -> None:
    made = Records()
    chaincode = made.records.chaincode_function
    assert chaincode
    metric = described(made, chaincode.metric_emitted("Created", label="creates"))
    variables = next(
        each["Environment"]["Variables"]
        for name, each in of_type(made.template(), "AWS::Lambda::Function").items()
        if name == made.name(chaincode.function)
    )
    environment = {name: value for name, value in variables.items() if isinstance(value, str)}
    emitted = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=os.environ | environment | {"PYTHONPATH": str(ROOT / "lambda_src")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (line,) = [json.loads(line) for line in emitted.splitlines() if '"CloudWatchMetrics"' in line]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert metric["namespace"] == directive["Namespace"]
    assert metric["metricName"] in [each["Name"] for each in directive["Metrics"]]
    named = {each["name"]: each["value"] for each in metric["dimensions"]}
    assert named.pop("FunctionName") == {"Ref": made.name(chaincode.function)}
    assert named | {"FunctionName": "the-function"} in [
        {name: line[name] for name in dimensions} for dimensions in directive["Dimensions"]
    ]
    assert (metric["statistic"], named["RecordType"]) == ("Sum", DONOR.name)
