"""The non-profit workshop's `ngo` chaincode: donors, NGOs, donations and ratings, with its keys, checks and words.

Behaviour after ngo.js of aws-samples/non-profit-blockchain, run by fabric-shim for Node. Left out, and so unknown here:
spending (createSpend, querySpend...) and queryHistoryForKey, which fails with that shim. An unknown function gets no
answer there either.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from sandbox.fabric.chaincode import ChaincodeError, NoAnswer, Stub
from sandbox.record_type import RecordType

Function = Callable[[Stub, str], bytes]


class Ngo:
    """`invoke` takes one JSON argument a function, as the workshop's clients send it.

    For each of `record_types` it offers, too, what the workshop's has not: functions in the manner of createDonor,
    queryDonor and queryAllDonors. `added` are their names.
    """

    def __init__(self, record_types: Iterable[RecordType] = ()) -> None:
        self._functions: dict[str, Function] = {
            "Init": lambda stub, argument: b"",
            "initLedger": lambda stub, argument: b"",
            "createDonor": _create("createDonor", "donor", "donorUserName", "donor"),
            "queryDonor": _query("donor", "donorUserName"),
            "queryAllDonors": _query_all("donor"),
            "createNGO": _create("createNGO", "ngo", "ngoRegistrationNumber", "NGO"),
            "queryNGO": _query("ngo", "ngoRegistrationNumber"),
            "queryAllNGOs": _query_all("ngo"),
            "createDonation": _create_donation,
            "queryDonation": _query("donation", "donationId"),
            "queryDonationsForDonor": _query_all("donation", "donorUserName"),
            "queryDonationsForNGO": _query_all("donation", "ngoRegistrationNumber"),
            "queryAllDonations": _query_all("donation"),
            "createRating": _create_rating,
            "queryRatingsForNGO": _query_all("rating", "ngoRegistrationNumber"),
            "queryDonorRatingsForNGO": _query("rating", "ngoRegistrationNumber", "donorUserName"),
        }
        queries = {name for name in self._functions if name.startswith("query")}
        self.added: tuple[str, ...] = ()
        for record_type in record_types:
            functions = _functions_of(record_type)
            queries |= {record_type.read_function, record_type.list_function}
            self.added += tuple(name for name in functions if name not in self._functions)
            self._functions = functions | self._functions
        self.queries = frozenset(queries)

    def invoke(self, stub: Stub, function: str, args: Sequence[bytes]) -> bytes:
        """Raises ChaincodeError with the workshop's text, NoAnswer for a function that does not exist."""
        try:
            implementation = self._functions[function]
        except KeyError:
            raise NoAnswer(f"No chaincode function with name: {function} found") from None
        # JSON.parse is handed the array of arguments there, which JavaScript joins with commas.
        return implementation(stub, ",".join(arg.decode("utf-8", "replace") for arg in args))


def _functions_of(record_type: RecordType) -> dict[str, Function]:
    name = record_type.name[:1].upper() + record_type.name[1:]
    # No type's keys may begin as another's do, nor as the workshop's, which begin with a small letter.
    prefix, identifier = f"{name}:", record_type.identifying_field
    return {
        record_type.create_function: _create(record_type.create_function, name, identifier, name.lower(), prefix),
        record_type.read_function: _query(prefix, identifier),
        record_type.list_function: _query_all(prefix),
    }


def _parse(text: str, reading: str) -> Any:
    """The JSON value of `text`, never None. Raises ChaincodeError in V8's words for the commonest faults."""
    try:
        value = json.loads(text, parse_int=float, parse_constant=_no_constant)
    except ValueError as error:
        at = _stumbles(text, error.pos if isinstance(error, json.JSONDecodeError) else 0)
        if at >= len(text):
            raise ChaincodeError("Unexpected end of JSON input", kind="SyntaxError") from None
        raise ChaincodeError(
            f"Unexpected token '{text[at]}', \"{text}\" is not valid JSON", kind="SyntaxError"
        ) from None
    if value is None:
        raise ChaincodeError(f"Cannot read properties of null (reading '{reading}')", kind="TypeError")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _stumbles(text: str, start: int) -> int:
    """Where V8 stops reading: inside of a word that begins like a literal, else where Python stops."""
    for literal in ("null", "true", "false"):
        if text[start : start + 1] == literal[0]:
            word = text[start : start + len(literal)]
            same = [ours == theirs for ours, theirs in zip(word, literal, strict=False)]
            return start + (same.index(False) if False in same else len(same))
    return start


def _get(value: Any, name: str) -> str:
    """A property as JavaScript puts it into a string."""
    if not isinstance(value, dict) or name not in value:
        return "undefined"
    return _text(value[name])


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join("" if item is None else _text(item) for item in value)
    return "[object Object]" if isinstance(value, dict) else _literal(value)


def _literal(value: float | bool | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return _number(value)


def _number(value: float) -> str:
    """A number as JavaScript writes it (ECMAScript, Number::toString)."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text, point = "".join(map(str, digits)), len(digits) + int(exponent)
    if value == 0:
        return "0"
    minus = "-" if sign else ""
    if len(text) <= point <= 21:
        return minus + text.ljust(point, "0")
    if 0 < point <= 21:
        return f"{minus}{text[:point]}.{text[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    fraction = "." + text[1:] if len(text) > 1 else ""
    return f"{minus}{text[0]}{fraction}e{point - 1:+d}"


def _record(value: Any, doc_type: str) -> Any:
    """The record with its docType; what is no object refuses that as JavaScript's strict mode does."""
    if isinstance(value, dict):
        return value | {"docType": doc_type}
    if isinstance(value, list):
        return value  # an array takes the property, and loses it in JSON
    kind = {bool: "boolean", str: "string"}.get(type(value), "number")
    raise ChaincodeError(f"Cannot create property 'docType' on {kind} '{_text(value)}'", kind="TypeError")


def _json(value: Any) -> str:
    """JSON.stringify: properties whose names are array indices come first, in their order."""
    if isinstance(value, dict):
        indices = sorted((key for key in value if _is_index(key)), key=int)
        keys = indices + [key for key in value if not _is_index(key)]
        return "{" + ",".join(f"{_json(key)}:{_json(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "null" if isinstance(value, float) and math.isinf(value) else _literal(value)


def _is_index(key: str) -> bool:
    return len(key) <= 10 and key.isascii() and key.isdigit() and (key == "0" or key[0] != "0") and int(key) < 2**32 - 1


def _bytes(value: Any) -> bytes:
    return _json(value).encode("utf-8", "backslashreplace")


def _state(stub: Stub, *parts: str) -> tuple[str, bytes | None]:
    """(key, committed value)"""
    key = "".join(parts)
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ChaincodeError(
            f'GET_STATE failed: transaction ID: {stub.tx_id}: unmarshal failed: proto: field "protos.GetState.key" '
            "contains invalid UTF-8"
        ) from None
    return key, stub.get_state(key)


def _create(function: str, doc_type: str, identifier: str, noun: str, prefix: str | None = None) -> Function:
    """Keys begin with `prefix`, by default with the `doc_type`, as in the workshop."""

    def create(stub: Stub, text: str) -> bytes:
        value = _parse(text, identifier)
        record = _record(value, doc_type)
        key, found = _state(stub, prefix or doc_type, _get(value, identifier))
        if found:
            raise ChaincodeError(f"##### {function} - This {noun} already exists: {_get(value, identifier)}")
        stub.put_state(key, _bytes(record))
        return b""

    return create


def _query(prefix: str, *identifiers: str) -> Function:
    def query(stub: Stub, text: str) -> bytes:
        value = _parse(text, identifiers[0])
        key, found = _state(stub, prefix, *(_get(value, identifier) for identifier in identifiers))
        if not found:
            raise ChaincodeError(f"##### queryByKey key: {key} does not exist")
        return found

    return query


def _query_all(prefix: str, identifier: str | None = None) -> Function:
    def query(stub: Stub, text: str) -> bytes:
        wanted = _get(_parse(text, identifier), identifier) if identifier else None
        found = []
        for key, value in stub.get_state_by_range(prefix + "0", prefix + "z"):
            record, text = _listed(value.decode("utf-8", "replace"))
            if identifier is None or _get(record, identifier) == wanted:
                found.append(f'{{"Key":{_json(key)},"Record":{text}}}')
        return f"[{','.join(found)}]".encode("utf-8", "backslashreplace")

    return query


def _listed(text: str) -> tuple[Any, str]:
    """A record and its JSON, as the workshop lists it: as a string if it is not JSON."""
    try:
        record = json.loads(text, parse_int=float, parse_constant=_no_constant)
        return record, _json(record)
    except ValueError:
        return text, _json(text)
    except RecursionError:
        return None, text  # JavaScript reads more levels than Python.


def _create_donation(stub: Stub, text: str) -> bytes:
    value = _parse(text, "donationId")
    record = _record(value, "donation")
    for doc_type, identifier, noun in (("ngo", "ngoRegistrationNumber", "NGO"), ("donor", "donorUserName", "Donor")):
        if not _state(stub, doc_type, _get(value, identifier))[1]:
            raise ChaincodeError(
                f"##### createDonation - Cannot create donation as the {noun} does not exist: {_get(value, identifier)}"
            )
    key, found = _state(stub, "donation", _get(value, "donationId"))
    if found:
        raise ChaincodeError(f"##### createDonation - This Donation already exists: {_get(value, 'donationId')}")
    stub.put_state(key, _bytes(record))
    return b""


def _create_rating(stub: Stub, text: str) -> bytes:
    value = _parse(text, "ngoRegistrationNumber")
    record = _record(value, "rating")
    ngo, donor = _get(value, "ngoRegistrationNumber"), _get(value, "donorUserName")
    key, found = _state(stub, "rating", ngo, donor)
    if found:
        raise ChaincodeError(f"##### createRating - Rating by donor: {donor} for NGO: {ngo} already exists")
    stub.put_state(key, _bytes(record))
    return b""
