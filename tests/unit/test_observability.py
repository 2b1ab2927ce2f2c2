"""What every handler's invocation leaves behind: log lines, metrics and the trace."""

import json
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from shared import errors, record_type
from shared.observability import Metric, count, identify, logger, observed, subsegment

from tests.unit.deployment import Context
from tests.unit.signals import CORRELATION_ID, Signals, trace
from tests.unit.upload_samples import ENVIRONMENT

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
EVENT = {"correlationId": CORRELATION_ID, "email": "ada@example.org"}


@pytest.fixture(autouse=True)
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORD_TYPE", ENVIRONMENT["RECORD_TYPE"])
    record_type.from_environment.cache_clear()


def raising(error: Exception, **options: bool) -> Callable[[Any, Any], Any]:
    @observed(**options)
    def handler(event: Any, context: Any) -> Any:
        raise error

    return handler


@observed(lambda _event, answer: Metric(answer["as"]))
def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    assert "correlationId" not in event
    logger.info("Began")
    identify(submissionId="sub", transactionId="tx")
    logger.info("Done", extra={"versionId": "v"})
    return {"as": "Created"}


def test_each_line_carries_the_ids_that_are_known(signals: Signals) -> None:
    handler(EVENT, Context(aws_request_id="invocation-1"))
    signals.require_correlated("invocation-1")
    assert "submissionId" not in signals.message("Began")
    for line in (signals.message("Done"), *signals.metric_lines):
        assert (line["submissionId"], line["transactionId"]) == ("sub", "tx")


def test_names_are_camel_case_and_times_rfc_3339(signals: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-2-3;Sampled=0")
    with pytest.raises(errors.InternalError):
        raising(ZeroDivisionError())(EVENT, Context())
    names = set(signals.log[0])
    assert {"xrayTraceId", "exceptionName", "functionRequestId"} <= names
    assert not [name for name in names if "_" in name or name[0].isupper()]
    assert signals.log[0]["timestamp"].endswith("+00:00")


def test_nothing_is_left_of_the_invocation_before(signals: Signals) -> None:
    handler(EVENT, Context(aws_request_id="invocation-1"))
    with pytest.raises(errors.LedgerUnavailable):
        raising(errors.LedgerUnavailable("no peer"))({}, Context(aws_request_id="invocation-2"))
    for line in (signals.log[-1], signals.metric_lines[-1]):
        assert (line["correlationId"], line["functionRequestId"]) == ("invocation-2", "invocation-2")
        assert "submissionId" not in line
        assert "transactionId" not in line
    assert "Created" not in signals.metric_lines[-1]


@pytest.mark.parametrize(
    ("error", "metric"),
    [
        (errors.OutcomeUnknown("no verdict", transaction_id="tx"), "OutcomeUnknown"),
        (errors.IdempotencyKeyReused("another content"), "IdempotencyKeyReused"),
        (errors.named(errors.RecordAlreadyExists, "DonorAlreadyExists")("exists"), "RecordAlreadyExists"),
        (ZeroDivisionError(), "InternalError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_counted_by_its_class(error: Exception, metric: str, signals: Signals) -> None:
    with pytest.raises(errors.OffchainError):
        raising(error)(EVENT, Context())
    assert signals.metrics() == {metric: [1.0]}
    signals.require_correlated("invocation")


def test_every_error_has_a_metric() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    named = {each.__name__ for each in classes if issubclass(each, errors.OffchainError)} - {"OffchainError"}
    assert named <= {metric.value for metric in Metric}


def test_an_error_names_its_transaction(signals: Signals) -> None:
    with pytest.raises(errors.OutcomeUnknown):
        raising(errors.OutcomeUnknown("no verdict", transaction_id="tx"))(EVENT, Context())
    refused = signals.message("Refused")
    assert (refused["error"], refused["reason"], refused["transactionId"]) == ("OutcomeUnknown", "no verdict", "tx")


@pytest.mark.parametrize(
    "kind",
    [errors.InvalidRequest, errors.InvalidData, errors.DataTooLarge, errors.Forbidden, errors.IdempotencyKeyReused],
)
def test_what_is_wrong_with_a_request_is_the_callers_to_read(
    kind: type[errors.OffchainError], signals: Signals
) -> None:
    with trace() as sent, pytest.raises(kind):
        raising(kind("secret of the caller"))(EVENT, Context())
    assert signals.message("Refused")["error"] == kind.__name__
    assert "secret of the caller" not in signals.text + json.dumps(sent)


def runtimes_line(error: Exception) -> str:
    """What Lambda's runtime logs and hands to Step Functions of an error that a handler raised."""
    return f"[ERROR] {type(error).__name__}: {error}\n" + "".join(traceback.format_exception(error))


def unexpected() -> Exception:
    """An error whose own text, and that of what it followed, quotes a request."""
    try:
        try:
            raise KeyError("secret of the caller")
        except KeyError as first:
            raise ValueError("b'secret of the caller'") from first
    except ValueError as error:
        return error


S3_ERROR = ClientError({"Error": {"Code": "AccessDenied", "Message": "secret of the caller"}}, "PutObject")


@pytest.mark.parametrize("error", [unexpected(), S3_ERROR], ids=["with a cause", "of AWS"])
def test_an_error_that_is_not_ours_is_logged_by_class_and_places_and_its_text_goes_nowhere(
    error: Exception, signals: Signals
) -> None:
    with pytest.raises(errors.InternalError) as raised:
        raising(error)(EVENT, Context())
    assert json.loads(str(raised.value)) == {
        "message": "The request failed for a reason of ours. Give the requestId to the operator."
    }
    assert "secret of the caller" not in signals.text + runtimes_line(raised.value)
    failed = signals.message("Failed")
    assert failed["level"] == "ERROR"
    assert "test_observability.py:" in failed["exception"]
    if error is S3_ERROR:
        assert failed["exceptionName"] == "ClientError AccessDenied in PutObject"
    else:
        assert (failed["exceptionName"], failed["exception"].splitlines()[1]) == ("ValueError", "KeyError")


def test_what_led_to_a_refusal_does_not_reach_the_runtime(signals: Signals) -> None:
    @observed()
    def refusing(event: Any, context: Any) -> None:
        try:
            raise KeyError("secret of the caller")
        except KeyError as error:
            raise errors.InvalidRequest("a field is missing") from error

    with pytest.raises(errors.InvalidRequest) as raised:
        refusing(EVENT, Context())
    assert "secret of the caller" not in signals.text + runtimes_line(raised.value)


def test_who_deploys_reads_the_errors_of_functions_that_have_no_requests(signals: Signals) -> None:
    with pytest.raises(ValueError, match="networkId: n-1 is no Fabric network"):
        raising(ValueError("networkId: n-1 is no Fabric network"), has_requests=False)(EVENT, Context())
    assert "networkId: n-1" in signals.message("Failed")["exception"]


def test_dimensions_keep_functions_and_record_types_apart(signals: Signals) -> None:
    handler(EVENT, Context(function_name="stack-upload"))
    (line,) = signals.metric_lines
    assert (line["service"], line["RecordType"], line["FunctionName"]) == ("offchain-stack", "Donor", "stack-upload")


def test_a_function_without_a_record_type_has_no_metrics(signals: Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECORD_TYPE")
    assert observed()(lambda event, context: "done")(EVENT, Context()) == "done"
    with pytest.raises(errors.InternalError):
        raising(ZeroDivisionError())(EVENT, Context())
    assert signals.metric_lines == []
    signals.require_correlated("invocation")


def test_the_trace_names_the_ids_and_the_outcome(signals: Signals) -> None:
    @observed(lambda _event, _answer: Metric.CREATED)
    def traced(event: Any, context: Any) -> str:
        with subsegment("Endorse"):
            identify(transactionId="tx")
        return "answer"

    with trace() as sent:
        traced(EVENT, Context())
    assert [part["name"] for part in sent] == ["Endorse", "Handler"]
    assert sent[1]["annotations"] == {
        "correlationId": CORRELATION_ID,
        "functionRequestId": "invocation",
        "transactionId": "tx",
        "outcome": "Created",
    }
    assert not any("metadata" in part or "cause" in part for part in sent)


def test_the_trace_knows_an_error_by_its_class_alone(signals: Signals) -> None:
    with trace() as sent, pytest.raises(errors.InternalError):
        raising(ZeroDivisionError("b'a whole picture'"))(EVENT, Context())
    (part,) = sent
    assert (part["error"], part["annotations"]["error"]) == (True, "ZeroDivisionError")
    assert part["annotations"]["outcome"] == "InternalError"
    assert "picture" not in json.dumps(sent)
    assert "example.org" not in json.dumps(sent)


PROGRAM = """
from types import SimpleNamespace
from shared.observability import Metric, observed, subsegment
@observed(lambda _event, _answer: Metric.ANSWERED)
def handler(event, context):
    with subsegment("Part"):
        return "done"
context = SimpleNamespace(aws_request_id="1", function_name="f")
print(handler({"correlationId": "c"}, context))
"""


def run_in_lambda(**variables: str) -> subprocess.CompletedProcess[str]:
    """The program in a process that sees what one in Lambda does."""
    environment = os.environ | {
        "PYTHONPATH": str(LAMBDA_SRC),
        "LAMBDA_TASK_ROOT": "/var/task",
        "RECORD_TYPE": ENVIRONMENT["RECORD_TYPE"],
        "POWERTOOLS_SERVICE_NAME": "offchain-query",
    }
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=True, timeout=60)


def test_in_lambda_subsegments_go_to_the_daemon() -> None:
    trace_id = "1-5e645f3e-1dfad076a177c5ccc5de12f5"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(20)
        run_in_lambda(
            AWS_XRAY_DAEMON_ADDRESS=f"127.0.0.1:{daemon.getsockname()[1]}",
            _X_AMZN_TRACE_ID=f"Root={trace_id};Parent=03ae46e3f3a0a2f0;Sampled=1",
        )
        received = [json.loads(daemon.recv(65_000).splitlines()[1]) for _ in range(2)]
    assert {part["name"] for part in received} == {"Part", "Handler"}
    assert {part["trace_id"] for part in received} == {trace_id}


@pytest.mark.parametrize(
    "variables",
    [
        {"LAMBDA_TASK_ROOT": ""},
        {"POWERTOOLS_TRACE_DISABLED": "true"},
        {"_X_AMZN_TRACE_ID": "Root=1-5e645f3e-1dfad076a177c5ccc5de12f5;Sampled=0"},
        {"_X_AMZN_TRACE_ID": "Root=1-5e645f3e-1dfad076a177c5ccc5de12f5;Parent=03ae46e3f3a0a2f0;Sampled=1"},
    ],
    ids=["not in Lambda", "disabled", "not sampled", "no daemon"],
)
def test_without_a_trace_nothing_fails_and_nothing_is_said(variables: dict[str, str]) -> None:
    ran = run_in_lambda(**variables)
    emitted, answer = ran.stdout.splitlines()
    assert answer == "done"
    assert json.loads(emitted)["service"] == "offchain-query"
    assert ran.stderr == ""


def test_counts_add_up_within_an_invocation(signals: Signals) -> None:
    @observed()
    def counting(event: Any, context: Any) -> None:
        count(Metric.SWEEP_DEAD, 2)
        count(Metric.SWEEP_DEAD, 3)

    counting(EVENT, Context())
    assert signals.metrics() == {"SweepDead": [2.0, 3.0]}
