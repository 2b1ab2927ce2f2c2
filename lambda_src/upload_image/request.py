"""Checks an event against the record type, field by field."""

import json
import re
import unicodedata
from dataclasses import dataclass

from shared.errors import InvalidRequest
from shared.record_type import LedgerField, RecordType

_SUBMISSION_FIELDS = ("requestId", "idempotencyKey", "fabricUsername", "functionType", "chaincodeFunction")
_IDENTIFIER_MAX_BYTES = 256
"""With prefix, submission id and extension the object key then stays below S3's 1,024 bytes."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that names only what exists. `data` is still base64 or a data URL; "" stands for "not given"."""

    record: dict[str, str]
    data: str
    request_id: str
    idempotency_key: str
    fabric_username: str
    chaincode_function: str


def parse(event: object, record_type: RecordType, chaincode_functions: tuple[str, ...]) -> Request:
    """Read an event; raises InvalidRequest naming the first field that is missing, wrong or unknown."""
    if not isinstance(event, dict):
        raise InvalidRequest("The request must be a JSON object.")
    known = {field.name for field in record_type.ledger_fields} | {record_type.data_field, *_SUBMISSION_FIELDS}
    for name in event:
        if name not in known:
            raise InvalidRequest(f"{_shown(name)}: unknown field. Known are {', '.join(sorted(known))}.")

    for name in [field.name for field in record_type.ledger_fields if field.required] + [record_type.data_field]:
        if name not in event:
            raise InvalidRequest(f"{name}: missing.")

    record = {
        field.name: _ledger_text(event[field.name], field) for field in record_type.ledger_fields if field.name in event
    }
    _check_identifier(record_type.identifying_field, record[record_type.identifying_field])
    request_id, idempotency_key, fabric_username, function_type, chaincode_function = (
        _text(name, event.get(name, "")) for name in _SUBMISSION_FIELDS
    )
    if not re.fullmatch(r"[!-~]{0,128}", request_id):
        raise InvalidRequest("requestId: use at most 128 printable ASCII characters without spaces.")
    if not re.fullmatch(r"[ -~]{0,255}", idempotency_key):
        raise InvalidRequest("idempotencyKey (the Idempotency-Key header): use 1 to 255 printable ASCII characters.")
    if len(fabric_username) > 128:
        raise InvalidRequest("fabricUsername: longer than 128 characters.")
    if function_type not in ("", "invoke"):
        raise InvalidRequest('functionType: must be "invoke" here, or left out.')
    if chaincode_function and chaincode_function not in chaincode_functions:
        raise InvalidRequest(
            f"chaincodeFunction: {_shown(chaincode_function)} is not one of {', '.join(chaincode_functions)}. "
            f"Leave it out for {record_type.create_function}."
        )
    return Request(
        record=record,
        data=_text(record_type.data_field, event[record_type.data_field]),
        request_id=request_id,
        idempotency_key=idempotency_key,
        fabric_username=fabric_username,
        chaincode_function=chaincode_function or record_type.create_function,
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: must be a text.")
    return value


def _ledger_text(value: object, field: LedgerField) -> str:
    text = _text(field.name, value)
    if field.required and not text:
        raise InvalidRequest(f"{field.name}: must not be empty.")
    if len(text) > field.max_length:
        raise InvalidRequest(f"{field.name}: {len(text)} characters; at most {field.max_length} are allowed.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field.name}: contains half of a surrogate pair, which is no character.") from None
    return text


def _check_identifier(name: str, text: str) -> None:
    """The identifier becomes part of an object key, which URLs, XML listings and consoles must carry unchanged."""
    if text in (".", "..") or "/" in text:
        raise InvalidRequest(f'{name}: must not contain "/" nor be "." or "..", since it is part of the object key.')
    if text != text.strip():
        raise InvalidRequest(f"{name}: must not begin or end with white space.")
    if any(unicodedata.category(character) == "Cc" or character in "\ufffe\uffff" for character in text):
        raise InvalidRequest(f"{name}: must not contain control characters.")
    if len(text.encode()) > _IDENTIFIER_MAX_BYTES:
        raise InvalidRequest(f"{name}: longer than {_IDENTIFIER_MAX_BYTES} bytes in UTF-8.")


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text if len(text) <= 64 else text[:64] + "…")
