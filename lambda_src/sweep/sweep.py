"""The sweep over a bucket: finds versions without a settled verdict, and settles each one."""

import datetime
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

_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in the bucket's order of versions: that after this key and version."""

    key: str
    version_id: str


@dataclass(frozen=True, kw_only=True)
class Ages:
    """`minimum`: younger versions may belong to an execution under way. `unretirable`: see `Judge.judge`, `old`.
    `look_back`: older versions were settled by earlier sweeps and are passed over; None looks at all."""

    minimum: datetime.timedelta
    unretirable: datetime.timedelta
    look_back: datetime.timedelta | None


@dataclass(kw_only=True)
class Report:
    """Counts of one batch. `settled` and `open` list what was found out, as `{"key", "versionId", "verdict"}`; of the
    versions that the ledger refers to only the count is kept. `resume_after` is None at the bucket's end."""

    examined: int = 0
    committed: int = 0
    dead: int = 0
    open: int = 0
    foreign: int = 0
    objects: list[dict[str, str]] = field(default_factory=list)
    resume_after: Position | None = None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Sweeps the versions under the record type's prefix of one bucket. With `dry_run` it changes nothing anywhere."""

    bucket: str
    record_type: RecordType
    judge: Judge
    ages: Ages
    dry_run: bool

    def run(self, *, start_after: Position | None, limit: int, time_left: Callable[[], float]) -> Report:
        """Examine up to `limit` versions from `start_after` on, and stop early where `time_left` (seconds) gets short.

        Raises botocore's ClientError where S3 cannot be listed; a version that cannot be settled is reported as open.
        """
        report = Report()
        now = datetime.datetime.now(datetime.UTC)
        for version in self._versions(start_after):
            if report.examined >= limit or time_left() < _RESERVE:
                return report
            report.resume_after = Position(key=version["Key"], version_id=version["VersionId"])
            age = now - version["LastModified"]
            if age < self.ages.minimum or (self.ages.look_back is not None and age > self.ages.look_back):
                continue
            self._examine(version, age, time.monotonic() + min(_PER_OBJECT, time_left()), report)
        report.resume_after = None
        return report

    def _versions(self, start_after: Position | None) -> Iterator[dict[str, Any]]:
        markers = (
            {"KeyMarker": start_after.key, "VersionIdMarker": start_after.version_id} if start_after is not None else {}
        )
        while True:
            page = aws.client("s3").list_object_versions(
                Bucket=self.bucket, Prefix=self.record_type.key_prefix, MaxKeys=_PAGE, **markers
            )
            yield from page.get("Versions", [])
            if not page["IsTruncated"]:
                return
            markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def _examine(self, version: dict[str, Any], age: datetime.timedelta, deadline: float, report: Report) -> None:
        s3 = aws.client("s3")
        place = {"Bucket": self.bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        report.examined += 1
        try:
            tags = s3.get_object_tagging(**place)["TagSet"]
            if any(tag["Key"] == VERDICT_TAG for tag in tags):
                return
            stored = read_submission(version["Key"], s3.head_object(**place)["Metadata"], self.record_type)
            if stored is None:
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


_RESERVE = 20.0
"""Seconds that one version may take and the answer needs: with less left, no further one is begun."""
_PER_OBJECT = 12.0


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
