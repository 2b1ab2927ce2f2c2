"""The pictures against the template that they are made from."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from stack_template import Template, of_type
from test_records import shared

from conftest import ROOT
from offchain_stack import OffChainStack, Settings
from offchain_stack.__main__ import main
from offchain_stack.description import Template as Described
from offchain_stack.description import pages, with_pictures

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
Arrows = set[tuple[str, str, str]]


def described(template: Template) -> dict[str, str]:
    return pages(Described(template["Resources"]))


def arrows(picture: str) -> Arrows:
    """Source, target and text of every arrow."""
    found = re.findall(r'^ +(\S+) -\.?->(?:\|"(.*)"\|)? (\w+)$', picture, re.MULTILINE)
    return {(source, target, text) for source, text, target in found}


def schedules(template: Template) -> list[str]:
    """Of the sweep: nothing else has one by default."""
    return sorted(each["ScheduleExpression"] for each in of_type(template, "AWS::Events::Rule").values())


def section(page: str, title: str) -> str:
    """The part of a page under a heading."""
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_committed_pages_are_current(template: Template) -> None:
    committed = {name: (ROOT / "docs" / name).read_text("utf-8") for name in ("architecture.md", "state-machines.md")}
    made = described(template)
    assert {name: made[name] for name in committed} == committed, "run: make docs"


def test_the_readmes_pictures_are_current(template: Template) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert with_pictures(Described(template["Resources"]), readme) == readme, "run: make docs"
    assert re.findall(r"<!-- picture: (\w+) -->", readme) == ["Architecture", "Workflow"]
    assert readme.count("```mermaid") == 2


class TestStateMachines:
    def test_every_state_and_every_way_is_shown(self, template: Template) -> None:
        page = described(template)["state-machines.md"]
        machines = of_type(template, "AWS::StepFunctions::StateMachine")
        assert len(machines) == page.count("\n## ")
        for name, properties in machines.items():
            title = re.sub(r"StateMachine[0-9A-F]{8}$", "", name)
            picture = section(page, title)
            text = "".join(
                each if isinstance(each, str) else "_" for each in properties["DefinitionString"]["Fn::Join"][1]
            )
            definition = json.loads(text)
            expected = {("start((", definition["StartAt"])}
            for state, body in definition["States"].items():
                assert f"{state}" in picture
                ways = [*body.get("Choices", ()), *body.get("Catch", ())]
                expected |= {(state, way["Next"]) for way in ways}
                expected |= {(state, body[key]) for key in ("Next", "Default") if key in body}
                for catch in body.get("Catch", ()):
                    for error in set(catch["ErrorEquals"]) - {"States.ALL"}:
                        assert error in picture
            shown = set(re.findall(r"^ +(\S+)(?: \)\))? -\.?->(?:\|\".*\"\|)? (\w+)$", picture, re.MULTILINE))
            assert shown == expected

    def test_what_the_create_flow_does_after_an_error(self, template: Template) -> None:
        picture = section(described(template)["state-machines.md"], "Workflow")
        invoke = {(target, text) for source, target, text in arrows(picture) if source == "InvokeCreateDonorChaincode"}
        assert invoke == {
            ("Succeed", ""),
            ("DeleteObject", "an error of A"),
            ("InvokeThrottled", "Lambda.TooManyRequestsException"),
            ("Fail", "OutcomeUnknown"),
            ("SettleTransaction", "any other error"),
        }
        (certain,) = re.findall(r"^A: (.*)\.$", picture, re.MULTILINE)
        assert "DonorAlreadyExists" in certain.split(", ")
        assert "OutcomeUnknown" not in certain
        assert 'S3Upload["S3Upload<br/>upload_object"]' in picture
        assert 'DeleteObject["DeleteObject<br/>s3:deleteObject"]' in picture

    def test_says_what_starts_them(self, template: Template) -> None:
        page = described(template)["state-machines.md"]
        assert "EXPRESS, ends after 28 seconds at most. Started by `POST /donors`." in section(page, "Workflow")
        assert "STANDARD" in section(page, "Sweep")
        started = ", ".join(f"`{each}`" for each in schedules(template))
        assert f"Started by {started}." in section(page, "Sweep")
        assert "Started by hand." in section(page, "VerifyAll")

    def test_of_two_types_share_what_is_the_same(self, synthesize: Synthesize) -> None:
        page = described(synthesize(shared)["Shared"])["state-machines.md"]
        assert re.findall(r"^## (.*)$", page, re.MULTILINE) == [
            "DonorsWorkflow",
            "DonorsRead, InvoicesRead",
            "DonorsSweep, InvoicesSweep",
            "DonorsVerifyAll, InvoicesVerifyAll",
            "InvoicesWorkflow",
        ]
        assert "InvokeCreateInvoiceChaincode" in section(page, "InvoicesWorkflow")


ROLES = {
    ("run_Workflow", "bucket", "deletes"),
    ("upload_object", "bucket", "reads, writes"),
    ("verify_object", "bucket", "reads"),
    ("sweep", "bucket", "reads, tags, deletes"),
    ("verify_all", "bucket", "reads"),
    ("upload_object", "identities", ""),
    ("signing", "identities", ""),
    ("signing", "ledger", ""),
}
"""Who reaches what, as DESIGN and README say: the function that reads the bucket for a caller cannot sign."""


class TestArchitecture:
    def test_shows_what_calls_and_reaches_what(self, template: Template) -> None:
        page = described(template)["architecture.md"]
        reads = "GET /donors<br/>GET /donors/{donorUserName}<br/>GET /transactions/{transactionId}"
        assert arrows(page) == ROLES | {
            ("caller", "api", "IAM (SigV4)"),
            ("api", "run_Workflow", "POST /donors"),
            ("api", "run_Read", reads),
            ("run_Workflow", "upload_object", ""),
            ("run_Workflow", "invoke_chaincode", ""),
            ("run_Read", "query_ledger", ""),
            ("run_Read", "verify_object", ""),
            ("run_Sweep", "sweep", ""),
            ("run_VerifyAll", "verify_all", ""),
        } | {(re.sub(r"\W", "_", each), "run_Sweep", "") for each in schedules(template)}
        grouped = page.split("subgraph signing")[1].split(" end\n")[0]
        assert re.findall(r"^ +(\w+)\[", grouped, re.MULTILINE) == [
            "invoke_chaincode",
            "query_ledger",
            "sweep",
            "verify_all",
        ]
        assert 'bucket[("S3 bucket<br/>(gateway endpoint)")]' in page
        assert "(interface endpoint)" in page

    def test_two_types_add_no_arrow(self, template: Template, synthesize: Synthesize) -> None:
        one, two = described(template)["architecture.md"], described(synthesize(shared)["Shared"])["architecture.md"]
        assert len(arrows(two)) == len(arrows(one))
        assert '"upload_object<br/>Donor, Invoice"' in two
        assert '"DonorsWorkflow<br/>InvoicesWorkflow<br/>EXPRESS"' in two
        assert "POST /donors<br/>POST /invoices" in two

    def test_an_existing_bucket_and_endpoints_of_yours(self, synthesize: Synthesize, values: dict[str, Any]) -> None:
        changes = {"bucketName": "archive", "s3Endpoint": "keep", "secretsManagerEndpoint": "keep"}

        def build(app: cdk.App) -> None:
            OffChainStack(app, "Kept", settings=Settings.from_values(values | changes))

        page = described(synthesize(build)["Kept"])["architecture.md"]
        assert arrows(page) >= ROLES
        assert "endpoint" not in page

    def test_an_existing_chaincode_function(self, synthesize: Synthesize, values: dict[str, Any]) -> None:
        arn = "arn:aws:lambda:us-east-1:111122223333:function:ngo"

        def build(app: cdk.App) -> None:
            OffChainStack(app, "Existing", settings=Settings.from_values(values | {"chaincodeFunctionArn": arn}))

        made = described(synthesize(build)["Existing"])
        assert "invoke_chaincode" not in made["architecture.md"]
        invoke = section(made["state-machines.md"], "Workflow")
        assert 'InvokeCreateDonorChaincode["InvokeCreateDonorChaincode<br/>another function"]' in invoke


def test_without_an_api_of_its_own_there_are_the_pictures_alone(template: Template) -> None:
    resources = {
        name: each for name, each in template["Resources"].items() if not each["Type"].startswith("AWS::ApiGateway::")
    }
    made = described({"Resources": resources})
    assert made.keys() == {"architecture.md", "state-machines.md"}
    assert "API Gateway" not in made["architecture.md"]
    assert "Started by hand." in section(made["state-machines.md"], "Workflow")


class TestCommand:
    def test_writes_pages_and_puts_pictures_into_a_page(
        self, assembly: Path, template: Template, tmp_path: Path
    ) -> None:
        page = tmp_path / "README.md"
        page.write_text("Before.\n<!-- picture: Read -->\nold\n<!-- end of picture -->\nAfter.\n")
        folder = tmp_path / "new" / "docs"
        assert main(["describe", str(assembly), "--out", str(folder), "--pictures-in", str(page)]) == 0
        assert {each.name: each.read_text() for each in folder.iterdir()} == described(template)
        before, picture, after = re.split(r"<!-- .* -->\n", page.read_text())
        assert (before, after) == ("Before.\n", "After.\n")
        assert picture.startswith("```mermaid\nflowchart TD\n")
        assert "QueryRecord" in picture

    def test_says_which_pictures_there_are(
        self, assembly: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        page = tmp_path / "page.md"
        page.write_text("<!-- picture: Raed -->\n<!-- end of picture -->\n")
        assert main(["describe", str(assembly), "--out", str(tmp_path), "--pictures-in", str(page)]) == 1
        says = "Raed: there is no such picture; known are Architecture, Workflow, Read, Sweep, VerifyAll"
        assert says in capsys.readouterr().err
