"""The sweep over a bucket: finds versions without a settled verdict, and settles each one."""

import datetime
import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError
from shared import aws
from shared.observability import logger
from shared.record_type import RecordType

from .verdict import Judge, StoredSubmission, Verdict

VERDICT_TAG = "ledger-verdict"
"""The tag of a version whose verdict is settled; its value is `committed`."""


_PER_VERSION = 12.0
_TO_ANSWER = 5.0
_RESERVE = _PER_VERSION + _TO_ANSWER
"""Seconds: with less left, no further key is begun."""


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
    `{"key", "versionId", "verdict"}`. `resume_after` is the last key examined, or None at the bucket's end."""

    examined: int = 0
    committed: int = 0
    dead: int = 0
    open: int = 0
    foreign: int = 0
    objects: list[dict[str, str]] = field(default_factory=list)
    resume_after: str | None = None


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

    def run(self, *, start_after: str | None, limit: int, time_left: Callable[[], float]) -> Report:
        """Examine the versions of the keys behind `start_after`, until some `limit` of them or `time_left` (seconds) is
        used up.

        Raises botocore's ClientError where S3 cannot be listed; a version that cannot be settled is reported as open.
        """
        report = Report()
        now = datetime.datetime.now(datetime.UTC)
        versions = itertools.chain.from_iterable(page.get("Versions", []) for page in self._pages(start_after))
        for key, versions_of_key in itertools.groupby(versions, key=lambda version: version["Key"]):
            if report.examined >= limit or time_left() < _RESERVE:
                return report
            for version in versions_of_key:
                age = now - version["LastModified"]
                if age >= self.ages.minimum and (self.ages.look_back is None or age <= self.ages.look_back):
                    within = min(_PER_VERSION, time_left() - _TO_ANSWER)
                    self._examine(version, age, time.monotonic() + within, report)
            report.resume_after = key
        report.resume_after = None
        return report

    def _pages(self, start_after: str | None) -> Iterator[dict[str, Any]]:
        """Pages of versions, each listed before one of the page before it is deleted, for S3 goes on at a version."""
        arguments = {"Bucket": self.bucket, "Prefix": self.record_type.key_prefix}
        list_versions = aws.client("s3").list_object_versions
        page = list_versions(**arguments, **({"KeyMarker": start_after} if start_after else {}))
        while page["IsTruncated"]:
            following = list_versions(
                **arguments, KeyMarker=page["NextKeyMarker"], VersionIdMarker=page["NextVersionIdMarker"]
            )
            yield page
            page = following
        yield page

    def _examine(self, version: dict[str, Any], age: datetime.timedelta, deadline: float, report: Report) -> None:
        s3 = aws.client("s3")
        place = {"Bucket": self.bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        report.examined += 1
        try:
            tags = s3.get_object_tagging(**place)["TagSet"]
            if any(tag["Key"] == VERDICT_TAG for tag in tags):
                return
            metadata = s3.head_object(**place)["Metadata"]
            stored = read_submission(version["Key"], metadata, self.record_type)
            if stored is None or unquote(metadata.get("ledger", "")) != self.ledger:
                report.foreign += 1
                return
            verdict = self.judge.judge(stored, old=age >= self.ages.unretirable, deadline=deadline)
            if not self.dry_run and verdict is Verdict.COMMITTED:
                tagging = {"TagSet": [*tags, {"Key": VERDICT_TAG, "Value": verdict.value}]}
                s3.put_object_tagging(**place, Tagging=tagging)
            elif not self.dry_run and verdict is Verdict.DEAD:
                s3.delete_object(**place)
        except ClientError as error:
            logger.warning("A version could not be settled", extra={"key": version["Key"], "error": str(error)[:300]})
            verdict = Verdict.OPEN
        name = verdict.value
        setattr(report, name, getattr(report, name) + 1)
        if verdict is not Verdict.COMMITTED:
            report.objects.append({"key": version["Key"], "versionId": version["VersionId"], "verdict": name})


def read_submission(key: str, metadata: dict[str, str], record_type: RecordType) -> StoredSubmission | None:
    """The submission of an object that the upload function wrote; None for every other object."""
    match = re.fullmatch(re.escape(record_type.key_prefix) + r"([^/]+)/([0-9a-f]{32})\.[a-z]+", key)
    if match is None or match[2] != metadata.get("submission-id") or "nonces" not in metadata:
        return None
    return StoredSubmission(
        key=key,
        identifier=match[1],
        fabric_username=unquote(metadata["fabric-username"]),
        nonces=tuple(bytes.fromhex(nonce) for nonce in metadata["nonces"].split(",")),
        transaction_ids=tuple(metadata["transaction-ids"].split(",")),
    )
