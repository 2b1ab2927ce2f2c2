"""Checks an event against the record type, field by field."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import InvalidRequest
from shared.fields import check_identifier, ledger_text, text
from shared.record_type import RecordType

_ARGUMENTS = "chaincodeFunctionArgs"
_EVENT_FIELDS = (_ARGUMENTS, "submission", "executionId")
_SUBMISSION_FIELDS = ("idempotencyKey", "fabricUsername", "functionType", "chaincodeFunction", "caller")
_IGNORED = ("correlationId", "requestId")
"""Of a submission: the first is read from the event, the second identifies nothing."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that names only what exists. `data` is still base64 or a data URL; "" stands for "not given"."""

    record: dict[str, str]
    data: str
    execution_id: str
    idempotency_key: str
    fabric_username: str
    chaincode_function: str
    caller: str


def parse(event: object, record_type: RecordType, chaincode_functions: tuple[str, ...]) -> Request:
    """Read an event; raises InvalidRequest naming the first field that is missing or wrong, or those that are known."""
    given = _object("The request", event, _EVENT_FIELDS)
    submission = _object("submission", given.get("submission", {}), (*_SUBMISSION_FIELDS, *_IGNORED))
    record, data = _record(_arguments(given, record_type), record_type)
    execution_id = text("executionId", given.get("executionId", ""))
    idempotency_key, fabric_username, function_type, chaincode_function, caller = (
        text(name, submission.get(name, "")) for name in _SUBMISSION_FIELDS
    )
    if not re.fullmatch(r"[!-~]{0,512}", execution_id):
        raise InvalidRequest("executionId: use at most 512 printable ASCII characters without spaces.")
    if not re.fullmatch(r"[ -~]{0,255}", idempotency_key):
        raise InvalidRequest("idempotencyKey (the Idempotency-Key header): use 1 to 255 printable ASCII characters.")
    if len(fabric_username) > 128:
        raise InvalidRequest("fabricUsername: longer than 128 characters.")
    if function_type not in ("", "invoke"):
        raise InvalidRequest('functionType: must be "invoke" here, or left out.')
    if chaincode_function and chaincode_function not in chaincode_functions:
        raise InvalidRequest(
            f"chaincodeFunction: this API allows {', '.join(chaincode_functions)}. "
            f"Leave it out for {record_type.create_function}."
        )
    return Request(
        record=record,
        data=data,
        execution_id=execution_id,
        idempotency_key=idempotency_key,
        fabric_username=fabric_username,
        chaincode_function=chaincode_function or record_type.create_function,
        caller=caller,
    )


def _arguments(event: Mapping[str, Any], record_type: RecordType) -> Mapping[str, Any]:
    fields = [field.name for field in record_type.ledger_fields] + [record_type.data_field]
    if _ARGUMENTS not in event:
        raise InvalidRequest(f"{_ARGUMENTS}: missing.")
    return _object(_ARGUMENTS, event[_ARGUMENTS], fields)


def _record(arguments: Mapping[str, Any], record_type: RecordType) -> tuple[dict[str, str], str]:
    """The ledger's fields that are given, and the data."""
    for name in [field.name for field in record_type.ledger_fields if field.required] + [record_type.data_field]:
        if name not in arguments:
            raise InvalidRequest(f"{name}: missing.")
    record = {
        field.name: ledger_text(arguments[field.name], field)
        for field in record_type.ledger_fields
        if field.name in arguments
    }
    check_identifier(record_type.identifying_field, record[record_type.identifying_field])
    return record, text(record_type.data_field, arguments[record_type.data_field])


def _object(name: str, value: object, known: Collection[str]) -> Mapping[str, Any]:
    """Return `value`, or raise InvalidRequest where it is no JSON object or has an unknown field."""
    if not isinstance(value, dict):
        separator = " " if name == "The request" else ": "
        raise InvalidRequest(f"{name}{separator}must be a JSON object.")
    for field in value:
        if field not in known:
            raise InvalidRequest(f"{name} has an unknown field. Known are {', '.join(sorted(known))}.")
    return value
