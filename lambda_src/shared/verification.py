"""Holds an object in S3 against what the ledger proves of it. Reads; changes nothing.

Needed of the bucket: `s3:GetObject` and `s3:GetObjectVersion` on the record type's prefix, `s3:ListBucketVersions` for
it, and `kms:Decrypt` where it is encrypted with a customer key.
"""

import base64
import enum
import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import aws, errors
from .observability import logger
from .record_type import RecordType

_CHUNK = 1024 * 1024
_LONGEST_KEY = 1024
"""Bytes of a key in UTF-8, as S3 has it."""
_MOST_VERSIONS = 1000
"""Of one key, looked at when the newest is not as the ledger says."""
_OLDER_READS = 20
"""Of them, read to find one that still is."""
_TRY_AGAIN = "Try again later."
_NULL = "null"
"""How S3 names the version of an object that was written while the bucket kept none."""
_SHA256 = "[0-9A-Fa-f]{64}"
_MD5 = '[0-9A-Fa-f]{32}|"[0-9A-Fa-f]{32}"'


class VerifiedBy(enum.Enum):
    """What was compared with the ledger: the hash of the bytes, or the SHA-256 that S3 computed when it took them."""

    SHA256 = "SHA-256"
    MD5 = "MD5"
    CHECKSUM = "S3-CHECKSUM-SHA-256"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a record says of its object. `sha256` and `md5` are lower-case hex; None where the record has none."""

    identifier: str
    key: str
    sha256: str | None
    md5: str | None


@dataclass(frozen=True, kw_only=True)
class Verified:
    """An object version as the ledger proves it. `data` are its bytes, where they were to be kept and few enough.
    `verified_by` None: the record has no hash, so that nothing is proved. `version_id` None: the bucket kept no
    versions when this one was written, so that other bytes can take its place under the same name."""

    version_id: str | None
    size: int
    verified_by: VerifiedBy | None
    metadata: Mapping[str, str]
    data: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class _Version:
    """`version_id` is "null" if the bucket kept no versions then."""

    version_id: str
    latest: bool
    etag: str


@dataclass(frozen=True, kw_only=True)
class _Checked:
    matches: bool
    verified: Verified


def proof_of(record: Mapping[str, Any], identifier: str, record_type: RecordType) -> Proof:
    """What a ledger record, which names an object, proves of it.

    A hash may be absent: the blog's flow stored the MD5 alone, as S3's ETag is written, in quotes. One that is there
    and is not one, in hex of either case, raises the record type's object-tampered error: a weaker proof must not take
    its place.
    """
    key = record[record_type.key_field]
    return Proof(
        identifier=identifier,
        key=key if isinstance(key, str) else "",  # which no object has
        sha256=_digest(record, record_type.sha256_field, _SHA256, record_type),
        md5=_digest(record, record_type.hash_field, _MD5, record_type),
    )


def _digest(record: Mapping[str, Any], field: str, form: str, record_type: RecordType) -> str | None:
    value = record.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(form, value):
        logger.error("A record has a hash that is not one", extra={"field": field})
        raise record_type.object_tampered(
            f"{field}: what the ledger has here is not a hash, so that nothing proves the stored object. It is not "
            "handed out. Ask whoever wrote the record."
        )
    return value.strip('"').lower()


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """Verifies objects of one bucket. Safe for use by several threads. `log_keys`: logs name objects by their keys, in
    which is the record's identifier as its creator wrote it, and not by the submission in the key alone."""

    bucket: str
    record_type: RecordType
    log_keys: bool = False

    def verify(
        self, proof: Proof, *, by_checksum: bool, keep: int = 0, deadline: float, when_slow: str = _TRY_AGAIN
    ) -> Verified:
        """Compare the newest version of the object with `proof`, by `deadline` (a `time.monotonic()` value).

        The bytes are read in pieces and hashed: SHA-256 where the record has one, else MD5. `by_checksum`: the SHA-256
        that S3 keeps is compared and nothing is read, unless S3 or the record has none. `keep`: up to so many bytes are
        returned. `when_slow`: what a caller is told to do where the time does not suffice, as a sentence.

        Raises the record type's object-tampered error where the newest version is another, its object-missing error
        where there is none or the record names an object that is not the record's own (which is never looked at), both
        with the version that is still good, if one is; StorageUnavailable where S3 could not be read in time.
        """
        self._require_own(proof)
        newest = self._check(proof, None, by_checksum, keep, deadline, when_slow)
        if newest and newest.matches:
            return newest.verified
        versions, hidden = self._versions(proof.key)
        seen = newest and (newest.verified.version_id or _NULL)
        others = [each for each in versions if each.version_id != seen]
        for version in self._most_promising_first(others, proof):
            if time.monotonic() > deadline:
                raise _unavailable(when_slow)
            checked = self._check(proof, version.version_id, by_checksum, keep, deadline, when_slow)
            if checked and checked.matches:
                if version.latest and not hidden:
                    # It came, or became readable, after the first look.
                    return checked.verified
                raise self._refused(proof, newest, len(versions), hidden, version.version_id)
        raise self._refused(proof, newest, len(versions), hidden, None)

    def _require_own(self, proof: Proof) -> None:
        """A key is the record's own below `<prefix><identifier>/`, or, as the blog's flow named it,
        `<prefix><identifier>.<extension>`. Any other would make a record a way to read other objects. One that is too
        long for S3 is no object's."""
        own = re.escape(f"{self.record_type.key_prefix}{proof.identifier}")
        is_text = not re.search(r"[\ud800-\udfff]", proof.key)  # JSON can carry half of a surrogate pair
        if (
            not is_text
            or len(proof.key.encode()) > _LONGEST_KEY
            or not re.fullmatch(rf"{own}(/[^/\x00-\x1f]+|\.[A-Za-z0-9]+)", proof.key)
        ):
            raise self.record_type.object_missing(
                f"{self.record_type.key_field}: the ledger names an object that is not this record's own. "
                "It is not read.",
                versions=0,
                deleteMarker=False,
            )

    def _refused(
        self, proof: Proof, newest: _Checked | None, versions: int, hidden: bool, good: str | None
    ) -> errors.OffchainError:
        field = self.record_type.data_field
        still = f" Version {good} is still good." if good else ""
        named: dict[str, str | int | bool] = {"versionId": good} if good else {}
        logger.error(
            "An object is not what the ledger proves",
            extra={**self._named(proof), "missing": newest is None, "versions": versions, "goodVersion": good},
        )
        if newest:
            return self.record_type.object_tampered(
                f"{field}: the stored object is not the one whose hash is on the ledger.{still}", **named
            )
        remain = f"{versions} version{'s' * (versions != 1)} of it remain{'s' * (versions == 1)}"
        marker = "behind a delete marker" if hidden else "and no delete marker"
        return self.record_type.object_missing(
            f"{field}: the object that the ledger names is not in the store; {remain} {marker}.{still}",
            versions=versions,
            deleteMarker=hidden,
            **named,
        )

    def _check(
        self, proof: Proof, version_id: str | None, by_checksum: bool, keep: int, deadline: float, when_slow: str
    ) -> _Checked | None:
        """Compare one version, None for the newest; None where it is not there."""
        for last in (False, True):
            try:
                if by_checksum and proof.sha256:
                    checked = self._check_checksum(proof, version_id)
                    if checked is None or checked.verified.verified_by is VerifiedBy.CHECKSUM:
                        return checked
                return self._check_bytes(proof, version_id, keep, deadline, when_slow)
            except BotoCoreError as error:
                # An answer may break off in the middle, which boto3 does not try again.
                logger.warning("S3 did not answer", extra={**self._named(proof), "error": type(error).__name__})
                if last:
                    raise _unavailable() from error
        raise AssertionError("unreachable")

    def _check_checksum(self, proof: Proof, version_id: str | None) -> _Checked | None:
        place = self._place(proof.key, version_id)
        head = self._ask(lambda: aws.client("s3").head_object(**place, ChecksumMode="ENABLED"), version_id)
        if head is None:
            return None
        # Of an object in parts S3 keeps a checksum of checksums, with the number of parts behind a hyphen.
        checksum = head.get("ChecksumSHA256", "")
        comparable = bool(checksum) and "-" not in checksum
        return _Checked(
            matches=comparable and base64.b64decode(checksum).hex() == proof.sha256,
            verified=Verified(
                version_id=self._kept_version(head, proof),
                size=head["ContentLength"],
                verified_by=VerifiedBy.CHECKSUM if comparable else None,
                metadata=head["Metadata"],
            ),
        )

    def _check_bytes(
        self, proof: Proof, version_id: str | None, keep: int, deadline: float, when_slow: str
    ) -> _Checked | None:
        place = self._place(proof.key, version_id)
        answer = self._ask(lambda: aws.client("s3").get_object(**place), version_id)
        if answer is None:
            return None
        expected, by, digest = None, None, hashlib.sha256()
        if proof.sha256:
            expected, by = proof.sha256, VerifiedBy.SHA256
        elif proof.md5:
            expected, by, digest = proof.md5, VerifiedBy.MD5, hashlib.md5(usedforsecurity=False)
        size: int = answer["ContentLength"]
        kept: bytearray | None = bytearray() if size <= keep else None
        if expected:
            for chunk in answer["Body"].iter_chunks(_CHUNK):
                digest.update(chunk)
                if kept is not None:
                    kept += chunk
                if time.monotonic() > deadline:
                    raise _unavailable(when_slow)
        answer["Body"].close()
        return _Checked(
            matches=expected is None or digest.hexdigest() == expected,
            verified=Verified(
                version_id=self._kept_version(answer, proof),
                size=size,
                verified_by=by,
                metadata=answer["Metadata"],
                data=bytes(kept) if kept is not None and expected else None,
            ),
        )

    def _kept_version(self, answer: Mapping[str, Any], proof: Proof) -> str | None:
        """The version that S3 answered with, or None where it keeps none: it names that one "null", or not at all."""
        version_id: str = answer.get("VersionId", _NULL)
        if version_id != _NULL:
            return version_id
        logger.warning(
            "S3 keeps no version of an object: switch the bucket's versioning on, and copy the object onto itself",
            extra=self._named(proof),
        )
        return None

    def _named(self, proof: Proof) -> dict[str, str]:
        """What names an object in a log."""
        found = re.search(r"/([0-9a-f]{32})\.[a-z]+$", proof.key)
        return ({"submissionId": found[1]} if found else {}) | ({"key": proof.key} if self.log_keys else {})

    def _place(self, key: str, version_id: str | None) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": key} | ({"VersionId": version_id} if version_id else {})

    def _ask(self, call: Callable[[], dict[str, Any]], version_id: str | None) -> dict[str, Any] | None:
        """S3's answer, or None where the object is not there. Without s3:ListBucket S3 says 403 for that, too, but not
        of a version that it has just listed."""
        try:
            return call()
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status in (404, 405) or (status == 403 and version_id is None):
                return None
            logger.error("S3 refused", extra={"code": error.response["Error"]["Code"]})
            raise _unavailable() from error

    def _versions(self, key: str) -> tuple[list[_Version], bool]:
        """The versions of `key`, newest first, and whether a delete marker hides them."""
        try:
            page = aws.client("s3").list_object_versions(Bucket=self.bucket, Prefix=key, MaxKeys=_MOST_VERSIONS)
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error
        versions = [
            _Version(version_id=each["VersionId"], latest=each["IsLatest"], etag=each["ETag"].strip('"'))
            for each in page.get("Versions", [])
            if each["Key"] == key
        ]
        hidden = any(each["IsLatest"] for each in page.get("DeleteMarkers", []) if each["Key"] == key)
        return versions, hidden

    def _most_promising_first(self, versions: list[_Version], proof: Proof) -> Iterator[_Version]:
        """The newest, which may have come since; those whose ETag is the MD5; and then from the oldest on, since what
        was put over the object came later."""
        latest = [each for each in versions if each.latest]
        older = [each for each in reversed(versions) if not each.latest]
        older.sort(key=lambda each: each.etag != proof.md5)
        yield from (latest + older)[:_OLDER_READS]


def _unavailable(advice: str = _TRY_AGAIN) -> errors.StorageUnavailable:
    return errors.StorageUnavailable(f"The storage could not be read in time. {advice}")
