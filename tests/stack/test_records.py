"""Several record types in one stack, sharing its store, network and API."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from stack_template import Template, of_type

from offchain_stack import (
    DONOR,
    Endpoint,
    FabricNetwork,
    FabricUser,
    LedgerField,
    OffChainApi,
    OffChainRecords,
    OffChainStack,
    OffChainStore,
    RecordType,
    Settings,
)

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]

INVOICE = RecordType(
    name="Invoice",
    identifying_field="invoiceNumber",
    ledger_fields=(LedgerField(name="invoiceNumber", max_length=40), LedgerField(name="supplier", max_length=80)),
    data_field="document",
    content_types=("application/pdf",),
    create_function="createInvoice",
    read_function="queryInvoice",
    list_function="queryAllInvoices",
)


def network(scope: cdk.Stack, id: str = "Network") -> FabricNetwork:
    return FabricNetwork(
        scope,
        id,
        msp_id="Org1MSP",
        channel="mychannel",
        chaincode="ngo",
        tls_roots="s3://chains/tls.pem",
        peers=[Endpoint(address="peer0.org1.example.com:7051")],
        orderers=[Endpoint(address="orderer.example.com:7050")],
        users=[FabricUser.from_secret_names("lambdaUser", member="org1")],
    )


def alone(app: cdk.App) -> None:
    stack = cdk.Stack(app, "Alone")
    OffChainRecords(
        stack, "Invoices", vpc=ec2.Vpc(stack, "Vpc", max_azs=2), network=network(stack), record_type=INVOICE
    )


def test_another_type_says_nothing_of_donors(synthesize: Synthesize) -> None:
    text = json.dumps(synthesize(alone)["Alone"])
    assert "InvokeCreateInvoiceChaincode" in text
    assert "donor" not in text.lower()
    assert "image:" not in text


def shared(app: cdk.App) -> None:
    stack = cdk.Stack(app, "Shared")
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    common: dict[str, Any] = {
        "vpc": vpc,
        "store": OffChainStore(stack, "Store", vpc=vpc),
        "network": network(stack),
        "api": OffChainApi(stack, "Api"),
    }
    OffChainRecords(stack, "Donors", **common)
    OffChainRecords(stack, "Invoices", record_type=INVOICE, **common)


@pytest.fixture(scope="module")
def two_types(tmp_path_factory: pytest.TempPathFactory) -> Template:
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path_factory.mktemp("shared")))
    shared(app)
    app.synth()
    return json.loads(Path(app.outdir, "Shared.template.json").read_text())  # type: ignore[no-any-return]


class TestTwoTypes:
    def test_share_store_network_and_api(self, two_types: Template) -> None:
        for kind in ("AWS::S3::Bucket", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage"):
            assert len(of_type(two_types, kind)) == 1
        paths = sorted(each["PathPart"] for each in of_type(two_types, "AWS::ApiGateway::Resource").values())
        assert paths == [
            "donors",
            "invoices",
            "transactions",
            "{donorUserName}",
            "{invoiceNumber}",
            "{transactionId}",
        ]

    def test_each_keeps_to_its_prefix(self, two_types: Template) -> None:
        for name, policy in of_type(two_types, "AWS::IAM::Policy").items():
            text = json.dumps(policy["PolicyDocument"])
            assert not ("ngo-donor-images/" in text and "invoices/" in text), name

    def test_the_endpoint_admits_both(self, two_types: Template) -> None:
        gateway = next(
            each
            for each in of_type(two_types, "AWS::EC2::VPCEndpoint").values()
            if each["VpcEndpointType"] == "Gateway"
        )
        text = json.dumps(gateway["PolicyDocument"])
        assert "ngo-donor-images/*" in text
        assert "invoices/*" in text

    def test_a_body_over_10_mb_has_no_types_code(self, two_types: Template) -> None:
        (body,) = (
            each["ResponseTemplates"]["application/json"]
            for each in of_type(two_types, "AWS::ApiGateway::GatewayResponse").values()
            if each["ResponseType"] == "REQUEST_TOO_LARGE"
        )
        assert json.loads(body)["error"] == "RequestTooLarge"


def test_a_type_alone_has_its_own_code_for_a_body_over_10_mb(synthesize: Synthesize) -> None:
    (body,) = (
        each["ResponseTemplates"]["application/json"]
        for each in of_type(synthesize(alone)["Alone"], "AWS::ApiGateway::GatewayResponse").values()
        if each["ResponseType"] == "REQUEST_TOO_LARGE"
    )
    assert json.loads(body)["error"] == "DocumentTooLarge"


def test_settings_add_a_type_and_change_nothing_else(synthesize: Synthesize, values: dict[str, Any]) -> None:
    invoice = {
        "name": "Invoice",
        "identifyingField": "invoiceNumber",
        "ledgerFields": [{"name": "invoiceNumber", "maxLength": 40}],
        "dataField": "document",
        "contentTypes": ["application/pdf"],
        "createFunction": "createInvoice",
        "readFunction": "queryInvoice",
        "listFunction": "queryAllInvoices",
    }

    def resources(record_types: list[Any]) -> dict[str, str]:
        def build(app: cdk.App) -> None:
            OffChainStack(app, "Types", settings=Settings.from_values(values | {"recordTypes": record_types}))

        resources = synthesize(build)["Types"]["Resources"]
        return {name: each["Type"] for name, each in resources.items()}

    donors, invoices = resources(["donors"]), resources([invoice])
    for both in (resources(["donors", invoice]), resources([invoice, "donors"])):
        for one in (donors, invoices):
            gone = {kind for name, kind in one.items() if name not in both}
            assert gone <= {"AWS::ApiGateway::Deployment"}


class TestRefused:
    @pytest.fixture
    def stack(self) -> cdk.Stack:
        return cdk.Stack(cdk.App(context={"aws:cdk:bundling-stacks": []}), "Refused")

    @pytest.fixture
    def common(self, stack: cdk.Stack) -> dict[str, Any]:
        vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
        return {"vpc": vpc, "store": OffChainStore(stack, "Store", vpc=vpc), "api": OffChainApi(stack, "Api")}

    def test_prefixes_that_lie_in_each_other(self, common: dict[str, Any]) -> None:
        inner = dataclasses.replace(INVOICE, key_prefix=f"{DONOR.key_prefix}invoices/")
        with pytest.raises(ValueError, match=r"^record_type: key_prefix "):
            common["store"].admit_create(inner)

    def test_two_networks_behind_one_api(self, stack: cdk.Stack, common: dict[str, Any]) -> None:
        OffChainRecords(stack, "Donors", network=network(stack), **common)
        other = network(stack, "Other")
        with pytest.raises(ValueError, match=r"^network: "):
            OffChainRecords(stack, "Invoices", network=other, record_type=INVOICE, **common)

    def test_one_type_twice(self, stack: cdk.Stack, common: dict[str, Any]) -> None:
        ledger = network(stack)
        OffChainRecords(stack, "Donors", network=ledger, **common)
        with pytest.raises(ValueError, match=r"^record_type: the API has /donors already"):
            OffChainRecords(stack, "Again", network=ledger, **common)


def test_the_sweep_looks_at_the_last_day_each_hour_and_at_all_each_day(two_types: Template) -> None:
    rules = of_type(two_types, "AWS::Events::Rule").values()
    started = sorted((rule["ScheduleExpression"], rule["Targets"][0]["Input"]) for rule in rules)
    assert started == [
        *[("rate(1 day)", '{"dryRun":false}')] * 2,
        *[("rate(1 hour)", '{"dryRun":false,"lookBackDays":1}')] * 2,
    ]
