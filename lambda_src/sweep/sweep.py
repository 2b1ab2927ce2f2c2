"""The sweep over a bucket: finds versions without a settled verdict, and settles each one."""

import datetime
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import BotoCoreError, ClientError
from shared import aws
from shared.observability import logger
from shared.record_type import RecordType

from .verdict import Judge, StoredSubmission, Verdict

VERDICT_TAG = "ledger-verdict"
"""The tag of a version whose verdict is settled; its value is `committed`."""


_PER_VERSION = 12.0
_TO_ANSWER = 5.0
_RESERVE = _PER_VERSION + _TO_ANSWER
"""Seconds: with less left, no further version is begun."""
_MOST_BYTES = 200_000
"""Of a batch's `objects` as JSON, after which it ends: Step Functions takes 262,144 bytes from a function."""

_VERSION_ID = "?versionId="


@dataclass(frozen=True, kw_only=True)
class Ages:
    """`minimum`: younger versions may belong to an execution under way. `unretirable`: see `Judge.judge`, `old`.
    `look_back`: older versions were settled by earlier sweeps and are passed over; None looks at all."""

    minimum: datetime.timedelta
    unretirable: datetime.timedelta
    look_back: datetime.timedelta | None


@dataclass(kw_only=True)
class Report:
    """Counts of one batch. `objects` lists the versions that the ledger does not refer to, as
    `{"key", "versionId", "verdict"}`. `resume_after` is where the next batch goes on: behind a key, or behind a version
    of one as `<key>?versionId=<version id>`; "" at the bucket's beginning, None at its end."""

    examined: int = 0
    committed: int = 0
    dead: int = 0
    open: int = 0
    foreign: int = 0
    objects: list[dict[str, str]] = field(default_factory=list)
    resume_after: str | None

    def add(self, version: dict[str, Any], verdict: str | None) -> int:
        """Count a version that was examined; None: an earlier sweep had settled it. Returns the bytes that it takes."""
        self.examined += 1
        if verdict:
            setattr(self, verdict, getattr(self, verdict) + 1)
        if verdict not in (Verdict.DEAD.value, Verdict.OPEN.value):
            return 0
        self.objects.append({"key": version["Key"], "versionId": version["VersionId"], "verdict": str(verdict)})
        return len(json.dumps(self.objects[-1]))


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Sweeps the versions under the record type's prefix of one bucket whose records go to `ledger`. With `dry_run` it
    changes nothing anywhere."""

    bucket: str
    record_type: RecordType
    ledger: str
    judge: Judge
    ages: Ages
    dry_run: bool

    def run(self, *, start_after: str, limit: int, time_left: Callable[[], float]) -> Report:
        """Examine the versions behind `start_after` (a report's `resume_after`, or a key), until `limit` of them,
        `time_left` (seconds) or the space for `objects` is used up.

        Raises botocore's ClientError if S3 cannot be listed; a version that cannot be settled is reported as open.
        """
        report = Report(resume_after=start_after)
        now = datetime.datetime.now(datetime.UTC)
        room = _MOST_BYTES
        for key, versions_of_key in itertools.groupby(self._versions(start_after), key=lambda each: each["Key"]):
            for version in versions_of_key:
                if report.examined >= limit or time_left() < _RESERVE or room < 0:
                    return report
                verdict = None
                age = now - version["LastModified"]
                if age >= self.ages.minimum and (self.ages.look_back is None or age <= self.ages.look_back):
                    within = min(_PER_VERSION, time_left() - _TO_ANSWER)
                    verdict = self._settle(version, age, time.monotonic() + within)
                    room -= report.add(version, verdict)
                if verdict != Verdict.DEAD.value or self.dry_run:
                    # A listing goes on only at a version that is there.
                    report.resume_after = f"{key}{_VERSION_ID}{version['VersionId']}"
            report.resume_after = key
        report.resume_after = None
        return report

    def _versions(self, start_after: str) -> Iterator[dict[str, Any]]:
        """Versions, each page listed before one of the page before it is deleted, for S3 goes on at a version."""
        arguments = {"Bucket": self.bucket, "Prefix": self.record_type.key_prefix}
        list_versions = aws.client("s3").list_object_versions
        page = list_versions(**arguments, **_markers(start_after))
        while page["IsTruncated"]:
            following = list_versions(
                **arguments, KeyMarker=page["NextKeyMarker"], VersionIdMarker=page["NextVersionIdMarker"]
            )
            yield from page.get("Versions", [])
            page = following
        yield from page.get("Versions", [])

    def _settle(self, version: dict[str, Any], age: datetime.timedelta, deadline: float) -> str | None:
        """What became of one version: a verdict, or `foreign`; None if an earlier sweep has settled it."""
        try:
            return self._settled(version, age, deadline)
        except (BotoCoreError, ClientError) as error:
            logger.warning("A version could not be settled", extra={"key": version["Key"], "error": str(error)[:300]})
            return Verdict.OPEN.value

    def _settled(self, version: dict[str, Any], age: datetime.timedelta, deadline: float) -> str | None:
        s3 = aws.client("s3")
        place = {"Bucket": self.bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        tags = s3.get_object_tagging(**place)["TagSet"]
        if any(tag["Key"] == VERDICT_TAG for tag in tags):
            return None
        metadata = s3.head_object(**place)["Metadata"]
        stored = read_submission(version["Key"], metadata, self.record_type)
        if stored is None or unquote(metadata.get("ledger", "")) != self.ledger:
            return "foreign"
        verdict = self.judge.judge(stored, old=age >= self.ages.unretirable, deadline=deadline)
        if not self.dry_run and verdict is Verdict.COMMITTED:
            tagging = {"TagSet": [*tags, {"Key": VERDICT_TAG, "Value": verdict.value}]}
            s3.put_object_tagging(**place, Tagging=tagging)
        elif not self.dry_run and verdict is Verdict.DEAD:
            s3.delete_object(**place)
        return verdict.value


def _markers(place: str) -> dict[str, str]:
    """Where S3's listing goes on after a report's `resume_after`, or after all versions of a key."""
    key, has_version, version_id = place.rpartition(_VERSION_ID)
    if has_version:
        return {"KeyMarker": key, "VersionIdMarker": version_id}
    return {"KeyMarker": place} if place else {}


def read_submission(key: str, metadata: dict[str, str], record_type: RecordType) -> StoredSubmission | None:
    """The submission of an object that the upload function wrote; None for every other object, and for one whose
    metadata is damaged."""
    match = re.fullmatch(re.escape(record_type.key_prefix) + r"([^/]+)/([0-9a-f]{32})\.[a-z]+", key)
    if match is None or match[2] != metadata.get("submission-id"):
        return None
    nonces, transaction_ids = metadata.get("nonces", ""), metadata.get("transaction-ids", "")
    fabric_username = unquote(metadata.get("fabric-username", ""))
    if not (_NONCES.fullmatch(nonces) and _TRANSACTION_IDS.fullmatch(transaction_ids) and fabric_username):
        logger.error("The metadata of an object is damaged; it is left alone", extra={"key": key})
        return None
    return StoredSubmission(
        key=key,
        identifier=match[1],
        fabric_username=fabric_username,
        nonces=tuple(bytes.fromhex(nonce) for nonce in nonces.split(",")),
        transaction_ids=tuple(transaction_ids.split(",")),
    )


_NONCES = re.compile(r"[0-9a-f]{48}(,[0-9a-f]{48})*")
_TRANSACTION_IDS = re.compile(r"[0-9a-f]{64}(,[0-9a-f]{64})*")
