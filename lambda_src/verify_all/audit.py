"""Walks all records and verifies each one's object, several at a time."""

import enum
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from shared import aws
from shared.errors import ObjectMissing, ObjectTampered, OffchainError, RecordNotFound, StorageUnavailable
from shared.identities import Identities, Identity
from shared.ledger.interface import Ledger
from shared.ledger.records import list_call, read_call, read_list, read_record
from shared.record_type import RecordType
from shared.verification import Verifier, proof_of

_LISTING = 60.0
_PER_OBJECT = 60.0
_RESERVE = _PER_OBJECT + 10.0
"""Seconds: with less left to the deadline no further object is begun."""
_AT_A_TIME = aws.CONNECTIONS
_MOST_BYTES = 200_000
"""Of a batch's findings as JSON, after which it ends: Step Functions takes 262,144 bytes from a function."""


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


@dataclass(kw_only=True)
class Report:
    """Of one batch. `findings`: `{"identifier", "outcome", "key"?, "message", ...}`, with the error's details."""

    total: int
    examined: int = 0
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    findings: list[dict[str, Any]] = field(default_factory=list)
    resume_after: str | None


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
        listed = {
            str((record or {}).get(self.record_type.identifying_field, key)): record
            for key, record in read_list(text, self.record_type).items()
        }
        identifiers = sorted(listed.keys() | set(self._in_bucket()) - {""})
        report = Report(total=len(identifiers), resume_after=resume_after)
        waiting = [each for each in identifiers if each > resume_after][:limit]

        def examine(identifier: str) -> tuple[Outcome, dict[str, Any]] | None:
            if time.monotonic() > deadline - _RESERVE:
                return None
            if identifier in listed:
                return self._examine(identifier, lambda _: listed[identifier])
            return self._examine(identifier, lambda share: self._read(identity, identifier, share))

        size = 0
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            for identifier, found in zip(waiting, pool.map(examine, waiting), strict=True):
                if found is None:
                    break
                outcome, finding = found
                report.examined += 1
                report.counts[outcome] += 1
                report.resume_after = identifier
                if finding:
                    report.findings.append({"identifier": identifier, "outcome": outcome.value} | finding)
                    size += len(json.dumps(report.findings[-1]))
                if size > _MOST_BYTES:
                    break
            pool.shutdown(cancel_futures=True)
        if waiting and not report.examined:
            raise StorageUnavailable("Listing all records and objects took the whole time. Give the function more.")
        if report.examined == len(waiting) and (not waiting or waiting[-1] == identifiers[-1]):
            report.resume_after = None
        return report

    def _read(self, identity: Identity, identifier: str, deadline: float) -> dict[str, Any]:
        """The record of an identifier that only the bucket told of. Raises RecordNotFound where the ledger has none."""
        text = self.ledger.read(identity, read_call(self.record_type, identifier), deadline=deadline)
        if text is None:
            raise RecordNotFound("The ledger has no record under this name.")
        return read_record(text, self.record_type)

    def _examine(
        self, identifier: str, read: Callable[[float], dict[str, Any] | None]
    ) -> tuple[Outcome, dict[str, Any]]:
        key: dict[str, Any] = {}
        try:
            deadline = time.monotonic() + _PER_OBJECT
            record = read(deadline)
            if record is None:
                return Outcome.UNREADABLE, {"message": "What the ledger has under this key is no JSON object."}
            if not record.get(self.record_type.key_field):
                return Outcome.WITHOUT_OBJECT, {}
            proof = proof_of(record, identifier, self.record_type)
            key = {"key": proof.key}
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
