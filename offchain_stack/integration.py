"""How API Gateway runs a workflow: one integration, as a plain value, for a new method or one that is there already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .answers import (
    CREATE_TIMED_OUT,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    NOT_READ_IN_TIME,
    OUTCOME_UNKNOWN,
    READ_TIMED_OUT,
    TOO_MANY_REQUESTS,
    Answer,
    create_answers,
    read_answers,
)
from .callers import Callers
from .record_type import RecordType

CONTENT_TYPE = "application/json"
"""The media type of requests and answers; a request of another is refused (passthrough `NEVER`)."""

_TEMPLATES = Path(__file__).parent / "templates"

_REQUEST_FIELDS = ("fabricUsername", "functionType", "chaincodeFunction")


@dataclass(frozen=True, kw_only=True)
class IntegrationAnswer:
    """An integration response: what becomes of an answer of Step Functions whose HTTP status matches
    `selection_pattern` (None: any other). `status` is a method response's; `template` may override it."""

    selection_pattern: str | None
    status: int
    template: str


@dataclass(frozen=True, kw_only=True)
class WorkflowIntegration:
    """An integration of type AWS with `service`'s `action`; `statuses` are the method responses that it needs."""

    request_template: str
    answers: tuple[IntegrationAnswer, ...]
    statuses: tuple[int, ...]
    service: str = "states"
    action: str = "StartSyncExecution"
    http_method: str = "POST"
    passthrough_behavior: str = "NEVER"
    timeout_seconds: int = 29


class RequestParameter(NamedTuple):
    """A request parameter, handed to the workflow as `field`; `place` is "path" or "querystring"."""

    field: str
    place: str
    name: str


def create_integration(
    record_type: RecordType, state_machine_arn: str, *, callers: Callers | None = None
) -> WorkflowIntegration:
    """Runs the state machine of `CreateWorkflow` with the request's body and `Idempotency-Key`, and with what is known
    of the caller where `callers` are bound to Fabric users."""
    # There in any case: what a body might bring under this name is then overwritten.
    caller = '#set($caller = "")'
    if callers:
        # Quiet: Velocity prints a reference without a value, and API Gateway an empty text.
        source = callers.source.replace("$", "$!", 1)
        caller = _template("caller", {"source": source, "longest": str(callers.longest)}).rstrip()
    request = _template(
        "request",
        {
            "stateMachineArn": state_machine_arn,
            "correlationId": _correlation_id(),
            "caller": caller,
            "fields": "".join(_template("request_field", {"field": name}) for name in _REQUEST_FIELDS).rstrip(),
            "maxArgumentsLength": str(record_type.max_arguments_length),
        },
    )
    return _integration(record_type, request, create_answers(record_type), CREATE_TIMED_OUT, OUTCOME_UNKNOWN)


def read_integration(
    record_type: RecordType, state_machine_arn: str, *, query: str, parameters: Sequence[RequestParameter]
) -> WorkflowIntegration:
    """Runs the state machine of `ReadWorkflow` with `query` and the request's parameters."""
    request = _template(
        "read",
        {
            "stateMachineArn": state_machine_arn,
            "correlationId": _correlation_id(),
            "query": query,
            "parameters": "".join(_template("read_parameter", each._asdict()) for each in parameters).rstrip(),
            "fields": "".join(_template("read_field", each._asdict()).rstrip() for each in parameters),
        },
    )
    return _integration(record_type, request, read_answers(record_type), READ_TIMED_OUT, NOT_READ_IN_TIME)


def _integration(
    record_type: RecordType, request: str, known: Mapping[str, Answer], timed_out: Answer, timed_out_message: str
) -> WorkflowIntegration:
    fixed = {
        "correlationId": _correlation_id(),
        "internalError": INTERNAL_ERROR,
        "timedOut": timed_out_message,
        "timedOutStatus": str(timed_out.status),
        "timedOutError": timed_out.error,
        "tooManyRequests": TOO_MANY_REQUESTS,
        "invalidRequest": INVALID_REQUEST,
        "dataTooLarge": record_type.too_large_message,
        "dataTooLargeError": record_type.data_too_large_error,
        "objectMissingError": record_type.object_missing_error,
        "errors": _error_branches(known),
    }
    return WorkflowIntegration(
        request_template=request,
        answers=(
            IntegrationAnswer(selection_pattern="200", status=200, template=_template("result", fixed)),
            IntegrationAnswer(selection_pattern="4\\d{2}", status=500, template=_template("refused", fixed)),
            IntegrationAnswer(selection_pattern=None, status=timed_out.status, template=_template("unanswered", fixed)),
        ),
        statuses=tuple(sorted({200, 500, *(answer.status for answer in known.values())})),
    )


def _error_branches(known: Mapping[str, Answer]) -> str:
    return "\n".join(
        f'#elseif($execution.error == "{name}")\n#set($status = {answer.status})\n#set($error = "{answer.error}")'
        for name, answer in known.items()
    )


def _correlation_id() -> str:
    return _template("correlation_id", {}).rstrip()


def _template(name: str, values: Mapping[str, str]) -> str:
    text = (_TEMPLATES / f"{name}.vtl").read_text("utf-8")
    for placeholder, value in values.items():
        text = text.replace(f"<<{placeholder}>>", value)
    return text
