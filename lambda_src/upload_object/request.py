"""Checks an event against the record type, field by field."""

import json
import re
from dataclasses import dataclass

from shared.errors import InvalidRequest
from shared.fields import check_identifier, ledger_text, text
from shared.record_type import RecordType

_SUBMISSION_FIELDS = ("requestId", "idempotencyKey", "fabricUsername", "functionType", "chaincodeFunction", "caller")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that names only what exists. `data` is still base64 or a data URL; "" stands for "not given"."""

    record: dict[str, str]
    data: str
    request_id: str
    idempotency_key: str
    fabric_username: str
    chaincode_function: str
    caller: str


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
        field.name: ledger_text(event[field.name], field) for field in record_type.ledger_fields if field.name in event
    }
    check_identifier(record_type.identifying_field, record[record_type.identifying_field])
    request_id, idempotency_key, fabric_username, function_type, chaincode_function, caller = (
        text(name, event.get(name, "")) for name in _SUBMISSION_FIELDS
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
        data=text(record_type.data_field, event[record_type.data_field]),
        request_id=request_id,
        idempotency_key=idempotency_key,
        fabric_username=fabric_username,
        chaincode_function=chaincode_function or record_type.create_function,
        caller=caller,
    )


def _shown(value: object) -> str:
    shown = str(value)
    return json.dumps(shown if len(shown) <= 64 else shown[:64] + "…")
