"""Walks all records and verifies each one's object, several at a time."""

import enum
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from shared import aws, payload
from shared.errors import ObjectMissing, ObjectTampered, OffchainError, RecordNotFound, StorageUnavailable
from shared.identities import Identities, Identity
from shared.ledger.interface import Ledger
from shared.ledger.records import list_call, names_object, read_call, read_list, read_record
from shared.record_type import RecordType
from shared.verification import Verifier, proof_of

_LISTING = 60.0
_PER_OBJECT = 60.0
_RESERVE = _PER_OBJECT + 10.0
"""Seconds: with less left to the deadline no further object is begun."""
_AT_A_TIME = aws.CONNECTIONS
_LONGEST_NAME = 4_096
"""Bytes of a name in the report, and of the one to go on after."""
_LONGEST_KEY = 1_024
"""Characters of an object key in the report: S3 has no longer ones."""
_MOST_OF_A_NAME = 4
"""Findings about one name, which many records may have if the chaincode allows it."""


class Outcome(enum.Enum):
    """What was found of one identifier. TAMPERED, MISSING and UNREADABLE are findings; UNRECORDED, objects without a
    record, are the sweep's."""

    VERIFIED = "verified"
    WITHOUT_OBJECT = "withoutObject"
    UNVERIFIABLE = "unverifiable"
    TAMPERED = "tampered"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNRECORDED = "unrecorded"


_WORST_FIRST = (
    Outcome.TAMPERED,
    Outcome.MISSING,
    Outcome.UNREADABLE,
    Outcome.UNVERIFIABLE,
    Outcome.VERIFIED,
    Outcome.WITHOUT_OBJECT,
    Outcome.UNRECORDED,
)
"""What counts for a name that several records have."""

_Found = tuple[Outcome, dict[str, Any]]
"""An outcome, and what a finding says besides; empty if it is none."""


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A record that the chaincode lists. `record` is None if it cannot be read, or names no identifier as text."""

    identifier: str
    record: dict[str, Any] | None

    def read(self) -> dict[str, Any] | None:
        return self.record


@dataclass(kw_only=True)
class Report:
    """Of one batch. `findings`: `{"identifier", "outcome", "key"?, "message", ...}`, with the error's details. If a
    record names no identifier as text, it is the ledger's key. It is shortened beyond 4,096 bytes."""

    total: int
    examined: int = 0
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    findings: list[dict[str, Any]] = field(default_factory=list)
    resume_after: str | None
    size: int = 0

    def add(self, name: str, found: list[_Found]) -> bool:
        """Add what was found of a name, worst first; False if the report has no room for it."""
        findings = [{"identifier": name, "outcome": outcome.value} | finding for outcome, finding in found if finding]
        size = payload.size_of(findings[:_MOST_OF_A_NAME])
        if self.examined and self.size + size > payload.MOST_BYTES:
            return False
        self.size += size
        self.examined += 1
        self.counts[found[0][0]] += 1
        self.findings += findings[:_MOST_OF_A_NAME]
        self.resume_after = name
        return True


@dataclass(frozen=True, kw_only=True)
class Audit:
    """`by_checksum`: see `Verifier.verify`."""

    ledger: Ledger
    identities: Identities
    record_type: RecordType
    verifier: Verifier
    by_checksum: bool

    def run(self, *, resume_after: str, limit: int | None, deadline: float) -> Report:
        """Verify the objects of the identifiers behind `resume_after`, in their order, until `limit` of them, the
        time to `deadline` (a `time.monotonic()` value) or the space for findings is used up.

        Identifiers come from the chaincode's list and from the bucket: the workshop's list leaves out those that begin
        with `z`, with most punctuation or with a letter beyond ASCII, since it ends at `donorz`.

        Raises ChaincodeRejected, EndorsementFailed, LedgerUnavailable or RecordUnreadable where the records cannot be
        listed, botocore's errors where the bucket cannot.
        """
        user = self.identities.default_user
        identity = self.identities.identity(user)
        call = list_call(self.record_type)
        with self.identities.forget_if_denied(user):
            text = self.ledger.evaluate(identity, call, deadline=time.monotonic() + _LISTING, patience=_LISTING)
        listed = self._by_name(read_list(text, self.record_type))
        names = sorted(listed.keys() | set(self._in_bucket()) - {""})
        report = Report(total=len(names), resume_after=resume_after)
        waiting = [each for each in names if each > resume_after][:limit]

        def examine(name: str) -> list[_Found] | None:
            now = time.monotonic()
            if now > deadline - _RESERVE:
                return None
            share = now + _PER_OBJECT
            if name not in listed:
                return [self._examine(name, lambda: self._read(identity, name, share), share)]
            found = [self._examine(each.identifier, each.read, share) for each in listed[name]]
            return sorted(found, key=lambda each: _WORST_FIRST.index(each[0]))

        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            for name, found in zip(waiting, pool.map(examine, waiting), strict=True):
                if found is None or not report.add(name, found):
                    break
            pool.shutdown(cancel_futures=True)
        if waiting and not report.examined:
            raise StorageUnavailable("Listing all records and objects took the whole time. Give the function more.")
        if report.examined == len(waiting) and (not waiting or waiting[-1] == names[-1]):
            report.resume_after = None
        return report

    def _read(self, identity: Identity, identifier: str, deadline: float) -> dict[str, Any]:
        """The record of an identifier that only the bucket told of. Raises RecordNotFound where the ledger has none."""
        text = self.ledger.read(identity, read_call(self.record_type, identifier), deadline=deadline)
        if text is None:
            raise RecordNotFound("The ledger has no record under this name.")
        return read_record(text, self.record_type)

    def _by_name(self, records: Mapping[str, dict[str, Any] | None]) -> dict[str, list[_Entry]]:
        """The records by the name that they are reported under. No two share one with the workshop's chaincode, unless
        one of them names no identifier as text."""
        listed: dict[str, list[_Entry]] = {}
        for key, record in records.items():
            identifier = (record or {}).get(self.record_type.identifying_field, key)
            entry = _Entry(identifier=identifier, record=record)
            if not isinstance(identifier, str) or not identifier:
                entry = _Entry(identifier=key, record=None)
            listed.setdefault(_short(entry.identifier), []).append(entry)
        return listed

    def _examine(self, identifier: str, read: Callable[[], dict[str, Any] | None], deadline: float) -> _Found:
        key: dict[str, Any] = {}
        try:
            record = read()
            if record is None:
                return Outcome.UNREADABLE, {
                    "message": "What the ledger has under this key is not a record that can be read, or its "
                    f"{self.record_type.identifying_field} is not a text."
                }
            if not names_object(record, self.record_type):
                return Outcome.WITHOUT_OBJECT, {}
            key = {"key": str(record[self.record_type.key_field])[:_LONGEST_KEY]}
            proof = proof_of(record, identifier, self.record_type)
            verified = self.verifier.verify(
                proof,
                by_checksum=self.by_checksum,
                deadline=deadline,
                when_slow="Try again later" + ("." if self.by_checksum else ", or with byChecksum if it is large."),
            )
            return (Outcome.VERIFIED if verified.verified_by else Outcome.UNVERIFIABLE), {}
        except RecordNotFound:
            return Outcome.UNRECORDED, {}
        except ObjectTampered as error:
            return Outcome.TAMPERED, key | {"message": error.message} | error.details
        except ObjectMissing as error:
            return Outcome.MISSING, key | {"message": error.message} | error.details
        except OffchainError as error:
            return Outcome.UNREADABLE, key | {"message": error.message}

    def _in_bucket(self) -> Iterator[str]:
        """The identifiers that object keys begin with, those of objects behind a delete marker included: keys are
        `<prefix><identifier>/...` or, as the blog's flow named them, `<prefix><identifier>.<extension>`."""
        prefix = self.record_type.key_prefix
        pages = (
            aws.client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self.verifier.bucket, Prefix=prefix, Delimiter="/")
        )
        for page in pages:
            for each in page.get("CommonPrefixes", []):
                yield each["Prefix"].removeprefix(prefix).rstrip("/")
            for each in page.get("Versions", []) + page.get("DeleteMarkers", []):
                yield each["Key"].removeprefix(prefix).rpartition(".")[0]


def _short(name: str) -> str:
    data = name.encode()
    if len(data) <= _LONGEST_NAME:
        return name
    return f"{data[:200].decode(errors='ignore')}… {hashlib.sha256(data).hexdigest()}"
