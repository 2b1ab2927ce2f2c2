"""What the query function does with an event; runs without Lambda."""

import base64
import binascii
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from shared import fields, payload
from shared.errors import InvalidRequest
from shared.identities import Identities
from shared.ledger.interface import Ledger
from shared.ledger.records import list_call, names_object, read_call, read_list, read_record
from shared.observability import logger
from shared.record_type import RecordType

DEFAULT_LIMIT = 100
MOST_RECORDS = 1000
LONGEST_KEY = 1_024
"""Bytes of a ledger key that a page can end with: it becomes a token in a URL."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """Answers queries in the name of the deployment's first Fabric user, by `deadline` (a `time.monotonic()` value)."""

    ledger: Callable[[], Ledger]
    identities: Identities
    record_type: RecordType
    deadline: float

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the event's `query`; an absent or empty optional field is not given.

        * `record`: `identifier` (percent-encoded, as in the URL's path), `verify`? ("checksum") and `inline`? ("true",
          "false"): see `record`.
        * `list`: `limit`?, `nextToken`?: see `list_records`.
        * `transaction`: `transactionId`: see `transaction`.
        * `committed`: `transactionIds`, `key`: see `committed`.

        Raises InvalidRequest before the ledger is asked, the record type's not-found and data-too-large errors,
        ChaincodeRejected, EndorsementFailed, LedgerUnavailable and RecordUnreadable.
        """
        match event["query"]:
            case "record":
                return self.record(event["identifier"], event.get("verify") or "", event.get("inline") or "")
            case "list":
                return self.list_records(event.get("limit") or "", event.get("nextToken") or "")
            case "transaction":
                return self.transaction(event["transactionId"])
            case "committed":
                return self.committed(event["transactionIds"], event["key"])
        raise ValueError(f"unknown query {event['query']!r}")

    def record(self, encoded: str, verify: str, inline: str) -> dict[str, Any]:
        """The record of an identifier, and what is asked of its object: `{"answer": {...}, "hasObject", "identifier",
        "byChecksum", "inline"}`. `answer` has the record type's fields that the ledger has, and the data field as null
        where the record names no object. Raises the record type's data-too-large error for a record that is larger than
        an answer."""
        name = self.record_type.identifying_field
        identifier = fields.ledger_text(_decoded(name, encoded), self.record_type.identifying)
        fields.check_identifier(name, identifier)
        if verify not in ("", "checksum"):
            raise InvalidRequest("verify: use checksum, or leave it out to have the bytes read.")
        if inline not in ("", "false", "true"):
            raise InvalidRequest("inline: use true or false.")
        text = self.ledger().read(self._identity(), read_call(self.record_type, identifier), deadline=self.deadline)
        if text is None:
            raise self.record_type.not_found(f"{name}: the ledger has no record under this name.")
        found = read_record(text, self.record_type)
        if (size := payload.size_of(found)) > payload.MOST_BYTES:
            raise self.record_type.data_too_large(
                f"{name}: the ledger's record under this name has {size} bytes, and an answer carries "
                f"{payload.MOST_BYTES}. Read it from the ledger itself."
            )
        has_object = names_object(found, self.record_type)
        return {
            "answer": found | ({} if has_object else {self.record_type.data_field: None}),
            "hasObject": has_object,
            "identifier": identifier,
            "byChecksum": verify == "checksum",
            "inline": inline == "true",
        }

    def list_records(self, limit: str, token: str) -> dict[str, Any]:
        """A page of all records, in the order of their ledger keys: `{"<path>": [...], "nextToken"?}`.

        A record that cannot be read, or is too large for an answer, is left out, and one whose key is too long for a
        token. The workshop's chaincode has no pages. So each page asks for all records and keeps those after the last
        key that the page before it gave; a record that is created meanwhile is neither lost nor given twice.
        """
        most, after = _limit(limit), _token_key(token)
        text = self.ledger().evaluate(
            self._identity(),
            list_call(self.record_type),
            deadline=self.deadline,
            # A long list takes long, and another peer is as slow.
            patience=self.deadline - time.monotonic(),
        )
        page: list[dict[str, Any]] = []
        size, last = 0, ""
        for key, record in read_list(text, self.record_type).items():
            if key <= after:
                continue
            length = payload.size_of(record)
            if record is None or length > payload.MOST_BYTES or len(key.encode()) > LONGEST_KEY:
                logger.warning("A record is left out of the list", extra={"key": key[:100], "bytes": length})
                continue
            if len(page) == most or (page and size + length > payload.MOST_BYTES):
                return {self.record_type.path: page, "nextToken": _token(last)}
            page.append(record)
            size, last = size + length, key
        return {self.record_type.path: page}

    def transaction(self, transaction_id: str) -> dict[str, Any]:
        """What became of a transaction: `{"transactionId", "status", "validationCode", "blockNumber", "timestamp"}`.
        `status` is VALID, INVALID, or NOT_FOUND with null for the other three: it may still be under way."""
        if not re.fullmatch(r"[0-9a-f]{64}", transaction_id):
            raise InvalidRequest("transactionId: use the 64 lower-case hex digits of an answer.")
        found = self.ledger().status(self._identity(), transaction_id, deadline=self.deadline)
        if found is None:
            nothing = dict.fromkeys(("validationCode", "blockNumber", "timestamp"))
            return {"transactionId": transaction_id, "status": "NOT_FOUND", **nothing}
        return {
            "transactionId": transaction_id,
            "status": "VALID" if found.code == "VALID" else "INVALID",
            "validationCode": found.code,
            "blockNumber": found.block_number,
            "timestamp": found.timestamp and found.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def committed(self, transaction_ids: list[str], key: str) -> dict[str, str]:
        """Which of `transaction_ids` committed the record that names the object `key`: `{"transactionId"}`, or `{}`
        where none did."""
        for transaction_id in transaction_ids:
            found = self.ledger().find(self._identity(), transaction_id, deadline=self.deadline)
            if found and found.code == "VALID" and found.carries(self.record_type.key_field, key):
                return {"transactionId": transaction_id}
        return {}

    def _identity(self) -> Any:
        return self.identities.identity(self.identities.default_user)


def _decoded(name: str, encoded: str) -> str:
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name}: not UTF-8 when percent-decoded.") from None


def _limit(text: str) -> int:
    if not text:
        return DEFAULT_LIMIT
    if not re.fullmatch(r"[1-9]\d{0,3}", text, re.ASCII) or int(text) > MOST_RECORDS:
        raise InvalidRequest(f"limit: use a number from 1 to {MOST_RECORDS}.")
    return int(text)


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _token_key(token: str) -> str:
    try:
        key = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        key = ""
    if token and (not key or _token(key) != token):
        raise InvalidRequest("nextToken: use the one of the page before, unchanged.")
    return key
