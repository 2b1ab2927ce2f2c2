"""The non-profit workshop's `ngo` chaincode: donors, NGOs, donations and ratings, with its keys, checks and words.

Behaviour after ngo.js of aws-samples/non-profit-blockchain, run by fabric-shim for Node. Spending (createSpend) is left
out: those functions are unknown here, and an unknown function gets no answer there either.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.fabric.chaincode import ChaincodeError, NoAnswer, Stub

Function = Callable[[Stub, Any], bytes]


class Ngo:
    """`invoke` takes one JSON argument a function, as the workshop's clients send it."""

    def __init__(self) -> None:
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
        self.queries = frozenset(name for name in self._functions if name.startswith("query"))

    def invoke(self, stub: Stub, function: str, args: Sequence[bytes]) -> bytes:
        """Raises ChaincodeError with the workshop's text, NoAnswer for a function that does not exist."""
        try:
            implementation = self._functions[function]
        except KeyError:
            raise NoAnswer(f"No chaincode function with name: {function} found") from None
        # JSON.parse is handed the array of arguments there, which JavaScript joins with commas.
        return implementation(stub, ",".join(arg.decode("utf-8", "replace") for arg in args))


def _parse(text: str, reading: str) -> Any:
    """The JSON value of `text`, never None. Raises ChaincodeError in V8's words for the commonest faults."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
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
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, list):
        return ",".join("" if item is None else _text(item) for item in value)
    return "[object Object]"


def _number(value: int | float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e21 else repr(value)


def _record(value: Any, doc_type: str) -> dict[str, Any]:
    """Gives the record its docType; what is no object refuses that as JavaScript's strict mode does."""
    if isinstance(value, dict):
        return {**value, "docType": doc_type}
    if isinstance(value, list):
        return value  # type: ignore[return-value]  # an array takes the property and loses it again in JSON
    kind = "boolean" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
    raise ChaincodeError(f"Cannot create property 'docType' on {kind} '{_text(value)}'", kind="TypeError")


def _json(value: Any) -> bytes:
    def plain(item: Any) -> Any:
        if isinstance(item, float) and item == int(item) and abs(item) < 1e21:
            return int(item)
        if isinstance(item, dict):
            return {key: plain(each) for key, each in item.items()}
        return [plain(each) for each in item] if isinstance(item, list) else item

    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _key(*parts: str) -> str:
    """A state key; a lone surrogate becomes U+FFFD as it does in Node's UTF-8."""
    return "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _create(function: str, doc_type: str, identifier: str, noun: str) -> Function:
    def create(stub: Stub, text: Any) -> bytes:
        value = _parse(text, identifier)
        key = _key(doc_type, _get(value, identifier))
        record = _record(value, doc_type)
        if stub.get_state(key):
            raise ChaincodeError(f"##### {function} - This {noun} already exists: {_get(value, identifier)}")
        stub.put_state(key, _json(record))
        return b""

    return create


def _query(doc_type: str, *identifiers: str) -> Function:
    def query(stub: Stub, text: Any) -> bytes:
        value = _parse(text, identifiers[0])
        key = _key(doc_type, *(_get(value, identifier) for identifier in identifiers))
        found = stub.get_state(key)
        if not found:
            raise ChaincodeError(f"##### queryByKey key: {key} does not exist")
        return found

    return query


def _query_all(doc_type: str, identifier: str | None = None) -> Function:
    def query(stub: Stub, text: Any) -> bytes:
        wanted = _get(_parse(text, identifier), identifier) if identifier else None
        found = []
        for key, value in stub.get_state_by_range(doc_type + "0", doc_type + "z"):
            record = json.loads(value)
            if identifier is None or _get(record, identifier) == wanted:
                found.append({"Key": key, "Record": record})
        return _json(found)

    return query


def _create_donation(stub: Stub, text: Any) -> bytes:
    value = _parse(text, "donationId")
    record = _record(value, "donation")
    for doc_type, identifier, noun in (("ngo", "ngoRegistrationNumber", "NGO"), ("donor", "donorUserName", "Donor")):
        if not stub.get_state(_key(doc_type, _get(value, identifier))):
            raise ChaincodeError(
                f"##### createDonation - Cannot create donation as the {noun} does not exist: {_get(value, identifier)}"
            )
    key = _key("donation", _get(value, "donationId"))
    if stub.get_state(key):
        raise ChaincodeError(f"##### createDonation - This Donation already exists: {_get(value, 'donationId')}")
    stub.put_state(key, _json(record))
    return b""


def _create_rating(stub: Stub, text: Any) -> bytes:
    value = _parse(text, "ngoRegistrationNumber")
    record = _record(value, "rating")
    ngo, donor = _get(value, "ngoRegistrationNumber"), _get(value, "donorUserName")
    key = _key("rating", ngo, donor)
    if stub.get_state(key):
        raise ChaincodeError(f"##### createRating - Rating by donor: {donor} for NGO: {ngo} already exists")
    stub.put_state(key, _json(record))
    return b""
