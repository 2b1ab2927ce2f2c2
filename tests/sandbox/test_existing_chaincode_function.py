"""The create flow with the workshop's chaincode function in place of ours: of a failure it says nothing certain."""

import json
from dataclasses import replace
from typing import Any

import aws_cdk as cdk
import pytest
from test_workflow import THROTTLED, Run, Step, aws, faults, message, run

from offchain_stack import OffChainStack, Settings
from sandbox.assembly import ROOT, Assembly, load
from sandbox.lambda_runner import Answer

__all__ = ["aws", "faults", "run"]

ARN = "arn:aws:lambda:us-east-1:111122223333:function:ngo-lambda"
FAILURES: dict[str, Step] = {
    "refused": Answer(payload=b'{"errorMessage": "This donor already exists"}', function_error="Unhandled"),
    "timed out": Answer(payload=b'{"errorType": "Sandbox.Timedout"}', function_error="Unhandled"),
}


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    folder = tmp_path_factory.mktemp("assembly")
    settings = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]["offchain"]
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(folder))
    OffChainStack(app, "Existing", settings=Settings.from_values(settings | {"chaincodeFunctionArn": ARN}))
    app.synth()
    loaded = load(folder)
    assert not [each for each in loaded.functions.values() if each.handler.startswith("invoke_chaincode.")]
    (some,) = [each for each in loaded.functions.values() if each.handler.startswith("query_ledger.")]
    existing = replace(some, arn=ARN, name="ngo-lambda", handler="index.handler")
    return replace(loaded, functions={**loaded.functions, ARN: existing})


def test_it_receives_the_blogs_event_and_its_transaction_is_answered(run: Run) -> None:
    answer = run(chaincode=[{"transactionId": "f" * 64}])
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"])["transactionId"] == "f" * 64
    (event,) = run.events["chaincode"]
    assert set(event) == {"fabricUsername", "functionType", "chaincodeFunction", "chaincodeFunctionArgs"}
    assert set(event["chaincodeFunctionArgs"]) == {"donorUserName", "email", "imageKey", "imageHash", "imageSha256"}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_any_failure_is_an_unknown_outcome_that_keeps_the_object(run: Run, failure: Step) -> None:
    answer = run(chaincode=[failure])
    assert (answer["status"], answer["error"]) == ("FAILED", "OutcomeUnknown")
    assert "Look it up" in message(answer)
    assert "transactionId" not in json.loads(answer["cause"])
    assert run.kept


@pytest.mark.parametrize("created", [True, False])
def test_only_what_never_ran_is_taken_back(run: Run, created: bool) -> None:
    run.upload["created"] = created
    answer = run(chaincode=[THROTTLED] * 3)
    assert answer["error"] == ("TooManyRequests" if created else "OutcomeUnknown")
    assert run.kept != created


def test_the_upload_plans_no_transaction_and_reads_no_certificate(assembly: Assembly) -> None:
    (upload,) = [each for each in assembly.functions.values() if each.handler.startswith("upload_object.")]
    assert upload.environment["PLAN_TRANSACTIONS"] == "false"


def test_synth_says_what_is_not_guaranteed(tmp_path: Any) -> None:
    settings = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]["offchain"]
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path))
    OffChainStack(app, "Existing", settings=Settings.from_values(settings | {"chaincodeFunctionArn": ARN}))
    app.synth()
    assert "Not guaranteed then" in "".join(file.read_text() for file in tmp_path.glob("*metadata.json"))
