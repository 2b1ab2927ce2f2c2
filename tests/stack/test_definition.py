"""The state machine's definition, read: what it deletes after, and that its times fit. Running it: tests/sandbox."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shared import errors
from stack_template import Template, create_method, create_workflow, definition, flat, of_type, read_workflow

from offchain_stack.answers import create_answers
from offchain_stack.record_type import DONOR


@pytest.fixture(scope="module")
def states(template: Template) -> dict[str, Any]:
    return definition(template)["States"]  # type: ignore[no-any-return]


def error_class(name: str) -> type[errors.OffchainError]:
    renamed = {
        DONOR.already_exists_error: errors.RecordAlreadyExists,
        DONOR.invalid_data_error: errors.InvalidData,
        DONOR.data_too_large_error: errors.DataTooLarge,
    }
    return renamed.get(name) or getattr(errors, name)  # type: ignore[no-any-return]


def followers(state: dict[str, Any]) -> Iterator[str]:
    if "Next" in state:
        yield state["Next"]
    if "Default" in state:
        yield state["Default"]
    for branch in (*state.get("Catch", []), *state.get("Choices", [])):
        yield branch["Next"]


def test_has_the_blog_posts_states(states: dict[str, Any]) -> None:
    assert {"S3Upload", "InvokeCreateDonorChaincode", "DeleteObject", "Fail"} <= set(states)
    assert states["S3Upload"]["Next"] == "InvokeCreateDonorChaincode"
    assert list(followers(states["DeleteObject"])) == ["Fail", "Fail"]


def test_deletes_only_after_errors_that_make_it_certain(states: dict[str, Any]) -> None:
    for name in ("InvokeCreateDonorChaincode", "SettleTransaction"):
        caught = [each["ErrorEquals"] for each in states[name]["Catch"] if each["Next"] == "DeleteObject"]
        assert len(caught) == 1
        assert all(error_class(error).certain for error in caught[0])
    before = {name for name, state in states.items() if "DeleteObject" in followers(state)}
    assert before == {"InvokeCreateDonorChaincode", "SettleTransaction", "IsFirstExecution"}
    assert [name for name, state in states.items() if "IsFirstExecution" in followers(state)] == ["InvokeThrottled"]


def test_every_certain_error_of_the_ledger_takes_the_object_back(states: dict[str, Any]) -> None:
    certain = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.OffchainError) and value.certain
    }
    of_upload = {"InvalidData", "DataTooLarge"}
    expected = certain - of_upload - {"RecordAlreadyExists"} | {DONOR.already_exists_error}
    assert set(states["InvokeCreateDonorChaincode"]["Catch"][0]["ErrorEquals"]) == expected


def test_what_is_not_named_is_asked_again_and_then_kept(states: dict[str, Any]) -> None:
    invoke, settle = states["InvokeCreateDonorChaincode"], states["SettleTransaction"]
    assert invoke["Catch"][-1]["ErrorEquals"] == settle["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
    assert invoke["Catch"][-1]["Next"] == "SettleTransaction"
    assert settle["Catch"][-1]["Next"] == "DescribeOutcome"
    assert list(followers(states["DescribeOutcome"])) == ["OutcomeUnknown"]
    assert list(followers(states["OutcomeUnknown"])) == ["Fail"]
    # A retry of this one could not know whether the first call ordered a transaction.
    assert [each["ErrorEquals"] for each in invoke["Retry"]] == [["Lambda.TooManyRequestsException"]]


def test_deletes_exactly_this_executions_version(states: dict[str, Any]) -> None:
    delete = states["DeleteObject"]
    assert delete["Resource"].endswith(":states:::aws-sdk:s3:deleteObject")
    assert delete["Parameters"]["Key.$"] == "$.object.imageKey"
    assert delete["Parameters"]["VersionId.$"] == "$.versionId"


def test_does_not_carry_the_data_past_the_upload(states: dict[str, Any]) -> None:
    upload = states["S3Upload"]
    assert "ResultPath" not in upload, "the result must take the place of the input"
    assert {each["ResultPath"] for each in upload["Catch"]} == {"$"}


def test_retries_are_jittered(states: dict[str, Any]) -> None:
    retries = [each for state in states.values() for each in state.get("Retry", [])]
    assert len(retries) == 4
    assert {each["JitterStrategy"] for each in retries} == {"FULL"}


def test_answers_before_the_api_gives_up(template: Template, states: dict[str, Any]) -> None:
    whole = definition(template)["TimeoutSeconds"]
    integration = create_method(template)["Integration"]["TimeoutInMillis"] / 1000
    assert whole < integration <= 29
    lambdas = {each["Handler"]: each["Timeout"] for each in of_type(template, "AWS::Lambda::Function").values()}
    assert lambdas["upload_object.handler.handler"] < states["S3Upload"]["TimeoutSeconds"]
    assert lambdas["invoke_chaincode.handler.handler"] < states["SettleTransaction"]["TimeoutSeconds"]


@pytest.mark.parametrize("workflow", [create_workflow, read_workflow])
def test_logs_hold_no_execution_data(template: Template, workflow: Callable[[Template], Any]) -> None:
    machine = workflow(template)
    assert machine["StateMachineType"] == "EXPRESS"
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
    assert machine["LoggingConfiguration"]["Level"] == "ALL"
    assert machine["TracingConfiguration"] == {"Enabled": True}


def test_reading_ends_before_the_api_gives_up(template: Template) -> None:
    read = json.loads(flat(read_workflow(template)["DefinitionString"]))
    lambdas = {each["Handler"]: each["Timeout"] for each in of_type(template, "AWS::Lambda::Function").values()}
    assert read["TimeoutSeconds"] < 29
    for name, state in read["States"].items():
        if state["Type"] == "Task":
            function = "verify_object" if name == "VerifyObject" else "query_ledger"
            assert lambdas[f"{function}.handler.handler"] < state["TimeoutSeconds"]


def test_reading_names_no_service_but_lambda(template: Template) -> None:
    read = json.loads(flat(read_workflow(template)["DefinitionString"]))
    resources = {state["Resource"] for state in read["States"].values() if state["Type"] == "Task"}
    assert resources == {"arn:<AWS::Partition>:states:::lambda:invoke"}


def test_the_api_knows_every_error_whose_message_a_caller_may_read(template: Template) -> None:
    known = create_answers(DONOR)
    only_read = {"RecordNotFound", "RecordUnreadable", "ObjectTampered", "ObjectMissing"}
    silent = {"OffchainError", "InternalError", "StorageUnavailable"}
    silent |= {"InvalidData", "DataTooLarge", "RecordAlreadyExists"}
    named = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == "shared.errors"
    }
    renamed = {DONOR.already_exists_error, DONOR.invalid_data_error, DONOR.data_too_large_error}
    assert set(known) == named - silent - only_read | renamed | {"TooManyRequests"}
    integration = create_method(template)["Integration"]
    result = json.dumps(integration["IntegrationResponses"][0])
    assert all(name in result for name in known)
