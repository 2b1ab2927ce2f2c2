"""What the constructs let others do, and the metrics that they name: each exactly, in the words of the service."""

import dataclasses
import json
import os
import re
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
from offchain_stack import DONOR, OffChainRecords, OffChainStore

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


INVOICE = dataclasses.replace(DONOR, name="Invoice", path="invoices", key_prefix="invoices/")
STORE_GRANTS = {
    "write": OffChainStore.grant_write,
    "delete": OffChainStore.grant_delete_version,
    "read": OffChainStore.grant_read,
    "sweep": OffChainStore.grant_sweep,
}
StoreGrant = Callable[..., iam.Grant]


class Store:
    """A store in somebody's stack, and the role of somebody who may do nothing yet."""

    def __init__(self, **props: Any) -> None:
        self.stack = cdk.Stack(cdk.App(context={"aws:cdk:bundling-stacks": []}), "Stack")
        self.store = OffChainStore(self.stack, "Store", vpc=ec2.Vpc(self.stack, "Vpc", max_azs=2), **props)
        self.role = iam.Role(self.stack, "Somebody", assumed_by=iam.AccountRootPrincipal())

    def objects(self) -> set[str]:
        """The prefixes under which the role may do something with objects."""
        policies = [each for each in self.stack.node.find_all() if isinstance(each, iam.CfnPolicy)]
        text = json.dumps([self.stack.resolve(each.policy_document) for each in policies])
        return set(re.findall(r'"/([^"]*?)\*"', text))


@pytest.mark.parametrize("grant", STORE_GRANTS.values(), ids=STORE_GRANTS)
class TestGrantsOnAStore:
    def test_are_about_its_only_record_type(self, grant: StoreGrant) -> None:
        for record_type in (DONOR, INVOICE):
            made = Store(record_types=[record_type])
            grant(made.store, made.role)
            assert made.objects() == {record_type.key_prefix}

    def test_name_one_of_several(self, grant: StoreGrant) -> None:
        made = Store(record_types=[DONOR, INVOICE])
        with pytest.raises(ValueError, match=r"^record_type: the store's record types are Donor, Invoice; say which"):
            grant(made.store, made.role)
        grant(made.store, made.role, INVOICE)
        assert made.objects() == {"invoices/"}

    def test_name_one_where_another_comes_later(self, grant: StoreGrant) -> None:
        made = Store()
        grant(made.store, made.role)
        with pytest.raises(ValueError, match=r"^record_type: a grant on the store named none while Donor was the only"):
            made.store.admit_create(INVOICE)
        named = Store()
        grant(named.store, named.role, DONOR)
        named.store.admit_create(INVOICE)

    def test_need_a_record_type(self, grant: StoreGrant) -> None:
        made = Store(record_types=[])
        with pytest.raises(
            ValueError, match=r"^record_type: the store's record types are none; say which one is meant"
        ):
            grant(made.store, made.role)


def test_what_an_endpoint_admits_is_of_a_record_type_that_is_known() -> None:
    several = Store(record_types=[DONOR, INVOICE]).store
    for admit in (several.admit_read, several.admit_sweep):
        with pytest.raises(ValueError, match=r"^record_type: the store's record types are Donor, Invoice"):
            admit()


def test_two_record_types_do_not_share_a_prefix() -> None:
    other = dataclasses.replace(INVOICE, key_prefix=DONOR.key_prefix)
    with pytest.raises(ValueError, match=r"^record_type: key_prefix 'ngo-donor-images/' of Invoice and"):
        Store(record_types=[DONOR, other])


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
