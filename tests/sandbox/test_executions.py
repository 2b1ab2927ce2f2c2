"""An execution is told from every other one, whatever a caller, a test console or an operator repeats."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fault_injection import Deployment, Deployments, Fault, Submission, check_promise

pytestmark = pytest.mark.long

CONSOLE_ID = "test-invoke-extendedRequestId"
"""What API Gateway's console sends as `extendedRequestId` with every test."""

FAULTS = [
    Fault(where="invoke", what="throttle"),
    Fault(where="peers", what="kill"),
    Fault(where="secretsmanager:*", what="refuse", cold=True),
]


@pytest.fixture
def deployment(deployments: Deployments) -> Iterator[Deployment]:
    with deployments.one() as free:
        yield free


def start(deployment: Deployment, submission: Submission, *, key: str, **request: Any) -> dict[str, Any]:
    """Start the create workflow by hand; its answer as an object."""
    (machine,) = [each for each in deployment.sandbox.assembly.state_machines.values() if "S3Upload" in each.definition]
    names = ("fabricUsername", "functionType", "chaincodeFunction", "caller")
    text = {
        "submission": dict.fromkeys(names, "")
        | {"correlationId": CONSOLE_ID, "requestId": CONSOLE_ID, "idempotencyKey": key},
        "chaincodeFunctionArgs": submission.arguments,
    }
    answer = deployment.sandbox.workflow.run({"stateMachineArn": machine.arn, "input": json.dumps(text)} | request)
    deployment.settle()
    return answer


@pytest.mark.parametrize("request_", [{}, {"name": "by-hand"}], ids=["unnamed", "named"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_an_execution_never_takes_back_what_an_equal_one_has_stored(
    fault: Fault, request_: dict[str, str], deployment: Deployment
) -> None:
    submission = Submission()
    first = start(deployment, submission, key=submission.key, **request_)
    assert first["status"] == "SUCCEEDED"
    deployment.place(fault, times=None)
    again = start(deployment, submission, key=submission.key, **request_)
    assert (again["status"], again["error"]) == ("FAILED", "OutcomeUnknown")
    deployment.clear()
    check_promise(deployment, [submission.name], swept=False)
    last = start(deployment, submission, key=submission.key, **request_)
    assert json.loads(last["output"]) == json.loads(first["output"])
    deployment.sweep()
    check_promise(deployment, [submission.name], swept=True)


@pytest.mark.parametrize("request_", [{}, {"name": "by-hand"}], ids=["unnamed", "named"])
def test_two_executions_without_a_key_are_two_submissions(request_: dict[str, str], deployment: Deployment) -> None:
    submission = Submission()
    first, second = (start(deployment, submission, key="", **request_) for _ in range(2))
    assert first["status"] == "SUCCEEDED"
    assert (second["status"], second["error"]) == ("FAILED", "DonorAlreadyExists")
    check_promise(deployment, [submission.name], swept=True)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_an_execution_without_a_key_takes_back_only_what_it_has_stored(fault: Fault, deployment: Deployment) -> None:
    submission = Submission()
    assert start(deployment, submission, key="")["status"] == "SUCCEEDED"
    deployment.place(fault, times=None)
    again = start(deployment, submission, key="")
    assert again["error"] in ("TooManyRequests", "LedgerUnavailable")
    deployment.clear()
    check_promise(deployment, [submission.name], swept=True)
