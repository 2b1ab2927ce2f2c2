"""What the chaincode function does with an event; runs without Lambda."""

import datetime
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared import errors, submission
from shared.identities import Identities, Identity
from shared.ledger.interface import Call, CreatedRecord, Ledger, Submit
from shared.observability import Metric, milliseconds
from shared.record_type import RecordType

ANSWER_WITHIN = 25.0
"""Seconds after an execution's start by which the function has answered, so that the API can within its 29."""

_QUERIES: Mapping[str, Callable[[str], Any]] = {
    "queryString": str,
    "queryObject": lambda text: json.loads(text) if text else {},
    "queryArray": lambda text: json.loads(text) if text else [],
}


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """The event's `submission`: what was planned before the object was written."""

    nonces: tuple[bytes, ...]
    transaction_ids: tuple[str, ...]
    earlier_transaction_ids: tuple[str, ...]
    first_attempt: bool
    caller_named: bool


def run(
    event: Mapping[str, Any],
    *,
    ledger: Callable[[], Ledger],
    identities: Identities,
    record_type: RecordType,
    functions: Mapping[str, Sequence[str]],
    deadline: float,
) -> Any:
    """Submit or query, as `functionType` says; `functions` lists the chaincode functions that callers may name, under
    "invoke" and "query"; `deadline` is a `time.monotonic()` value.

    Event: `{"fabricUsername"?, "functionType", "chaincodeFunction"?, "chaincodeFunctionArgs"}` and, from the workflow,
    `{"submission": {"nonces", "transactionIds", "earlierTransactionIds", "created", "callerNamed"}, "attempt": "first"
    | "settle", "executionStartTime"}`. The chaincode receives the arguments as one JSON text.

    Returns `{"transactionId"?, "result"?}` for `invoke` once the transaction is committed as VALID; for `queryString`
    the chaincode's text; for `queryObject` and `queryArray` the JSON value in it (`{}`, `[]` where it is empty).
    `transactionId` is absent if the record is this submission's, but the ledger could not say by which transaction;
    `result` is there if the chaincode returned something and the event has no submission.

    Raises InvalidRequest, Forbidden, and what `Ledger.submit` and `Ledger.evaluate` raise. Without certainty that no
    earlier attempt ordered something, a failure of any kind before the ledger was asked is OutcomeUnknown.
    """
    if not is_submit(event):
        return _query(event, ledger=ledger, identities=identities, functions=functions, deadline=deadline)

    planned = _planned(event)
    deadline = min(deadline, _answer_by(event))
    try:
        call = _call(event, functions.get("invoke", ()), default=record_type.create_function)
        identity, nonces = _identity(event, identities, planned)
        connected = ledger()
    except errors.OffchainError as error:
        if planned is None or planned.first_attempt:
            raise
        raise errors.OutcomeUnknown(
            "The ledger could not be asked yet whether the request succeeded. Ask again with the same Idempotency-Key.",
            transaction_id=planned.transaction_ids[0],
        ) from error

    began = time.monotonic()
    with identities.forget_if_denied(_user(event, identities)):
        committed = connected.submit(
            identity,
            Submit(
                call=call,
                nonces=nonces,
                first_attempt=planned is None or planned.first_attempt,
                earlier_transaction_ids=(*planned.transaction_ids, *planned.earlier_transaction_ids) if planned else (),
                created_record=_created_record(event, call, record_type, planned),
                caller_named=planned is not None and planned.caller_named,
            ),
            deadline=deadline,
        )
    milliseconds(Metric.LEDGER_LATENCY, (time.monotonic() - began) * 1000)
    answer = {"transactionId": committed.transaction_id} if committed.transaction_id else {}
    # The workflow does not need it, and a large one would exceed what a state may hold.
    if committed.result and planned is None:
        answer["result"] = committed.result.decode(errors="replace")
    return answer


def is_submit(event: Mapping[str, Any]) -> bool:
    """Whether the event asks for a transaction, and not for a query."""
    return (event.get("functionType") or "invoke") == "invoke"


def _query(
    event: Mapping[str, Any],
    *,
    ledger: Callable[[], Ledger],
    identities: Identities,
    functions: Mapping[str, Sequence[str]],
    deadline: float,
) -> Any:
    kind = event["functionType"]
    if kind not in _QUERIES:
        raise errors.InvalidRequest(f"functionType: use invoke or one of {', '.join(_QUERIES)}.")
    call = _call(event, functions.get("query", ()), default="")
    user = _user(event, identities)
    identity = identities.identity(user)
    with identities.forget_if_denied(user):
        text = ledger().evaluate(identity, call, deadline=deadline).decode(errors="replace")
    try:
        return _QUERIES[kind](text)
    except ValueError as error:
        raise errors.InvalidRequest("functionType: the chaincode's answer is not JSON. Use queryString.") from error


def _call(event: Mapping[str, Any], allowed: Sequence[str], *, default: str) -> Call:
    function = event.get("chaincodeFunction") or default
    if function not in allowed:
        raise errors.InvalidRequest(f"chaincodeFunction: this API allows {', '.join(allowed) or 'none'}.")
    arguments = event.get("chaincodeFunctionArgs") or {}
    if not isinstance(arguments, dict):
        raise errors.InvalidRequest("chaincodeFunctionArgs: must be an object.")
    return Call(function=function, arguments=(_json(arguments),))


def _json(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise errors.InvalidRequest("chaincodeFunctionArgs: a text holds half a surrogate pair.") from error
    return text


def _planned(event: Mapping[str, Any]) -> _Planned | None:
    value = event.get("submission")
    if not value:
        return None
    return _Planned(
        nonces=tuple(bytes.fromhex(nonce) for nonce in value["nonces"]),
        transaction_ids=tuple(value["transactionIds"]),
        earlier_transaction_ids=tuple(value.get("earlierTransactionIds", ())),
        first_attempt=event.get("attempt") == "first" and value.get("created") is True,
        caller_named=value.get("callerNamed") is not False,
    )


def _identity(
    event: Mapping[str, Any], identities: Identities, planned: _Planned | None
) -> tuple[Identity, tuple[bytes, ...]]:
    """The identity to sign with, and the nonces to use: none where only a lookup of the planned ids is safe."""
    user = _user(event, identities)
    identity = identities.identity(user)
    if planned is None:
        return identity, tuple(os.urandom(24) for _ in range(submission.NONCE_COUNT))
    if _ids(identity, planned.nonces) == planned.transaction_ids:
        return identity, planned.nonces
    # The certificate was rotated, and one of the two functions has not read the new one yet: perhaps this one.
    identities.forget(user)
    identity = identities.identity(user)
    if _ids(identity, planned.nonces) == planned.transaction_ids:
        return identity, planned.nonces
    if not planned.first_attempt:
        # A transaction under an id that the object does not carry could not be found again.
        return identity, ()
    previous = identities.previous_identity(user)
    if previous and _ids(previous, planned.nonces) == planned.transaction_ids:
        return previous, planned.nonces
    raise errors.LedgerUnavailable("The ledger identity changed during the request; nothing was ordered. Try again.")


def _user(event: Mapping[str, Any], identities: Identities) -> str:
    return event.get("fabricUsername") or identities.default_user


def _ids(identity: Identity, nonces: Sequence[bytes]) -> tuple[str, ...]:
    creator = submission.creator(identity.msp_id, identity.certificate)
    return tuple(submission.transaction_id(nonce, creator) for nonce in nonces)


def _created_record(
    event: Mapping[str, Any], call: Call, record_type: RecordType, planned: _Planned | None
) -> CreatedRecord | None:
    if call.function != record_type.create_function:
        return None
    arguments = event["chaincodeFunctionArgs"]
    identifier = record_type.identifying_field
    own = {name: arguments[name] for name in (record_type.key_field, record_type.hash_field) if name in arguments}
    sha256 = record_type.sha256_field
    return CreatedRecord(
        read=Call(function=record_type.read_function, arguments=(_json({identifier: arguments.get(identifier)}),)),
        # Without a submission nothing marks a record as this call's.
        required=own if planned else {},
        where_present={sha256: arguments[sha256]} if sha256 in arguments else {},
        already_exists=record_type.already_exists,
    )


def _answer_by(event: Mapping[str, Any]) -> float:
    started = event.get("executionStartTime")
    if not started:
        return float("inf")
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(started)
    return time.monotonic() + ANSWER_WITHIN - age.total_seconds()
