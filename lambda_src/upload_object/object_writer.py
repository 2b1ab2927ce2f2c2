"""The write to S3: an object version that belongs to one invocation, proved before it is reported.

All executions of a submission write the same bytes under the same key, but each stands on a version of its own, so that
a failed one can delete its version while another relies on its own. So does each invocation of one execution: Step
Functions may run an EXPRESS execution that was started asynchronously twice. Needed of the bucket: versioning, and
`s3:PutObject` and `s3:GetObject` on the key (HeadObject asks for the latter).
"""

import base64
import functools
import hashlib
import re
import time
from dataclasses import dataclass
from random import SystemRandom
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from shared import aws
from shared.errors import StorageUnavailable
from shared.observability import logger, subsegment

_ATTEMPTS = 4
_SAFE = "!#$&'()*+,/:;=?@[]^`{|}"
_PATIENCE = 6.0
"""Seconds after which no further attempt begins; one attempt takes up to about 16 where S3 never answers."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """The bytes to store and their true media type."""

    data: bytes
    content_type: str

    @functools.cached_property
    def md5(self) -> str:
        """Hex MD5: the ETag that S3 gives these bytes in one part, unless it encrypts with KMS."""
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    @functools.cached_property
    def sha256(self) -> str:
        """Hex SHA-256."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """Who writes: `request_id` is Lambda's, which nobody can repeat, and `execution_id` Step Functions' own, or empty.
    `nonces` and `transaction_ids`: hex, in the order in which they may be used; empty if none is planned, and the sweep
    then leaves the object alone."""

    request_id: str
    execution_id: str
    submission_id: str
    nonces: tuple[str, ...]
    transaction_ids: tuple[str, ...]
    fabric_username: str
    ledger: str
    data_field: str

    @functools.cached_property
    def mark(self) -> str:
        """What the metadata says of the two ids, which are long and name the account: 32 hex digits."""
        return hashlib.sha256(f"{self.execution_id} {self.request_id}".encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """The version that an invocation owns.

    `created` is False if the writer met another invocation's version of this submission. `transaction_ids` are the
    invocation's; `earlier_transaction_ids` are those of other invocations that differ.
    """

    version_id: str
    created: bool
    transaction_ids: tuple[str, ...]
    earlier_transaction_ids: tuple[str, ...]


class ObjectWriter:
    """Writes to one bucket. Safe for use by several threads."""

    def __init__(self, *, bucket: str) -> None:
        self._bucket = bucket

    def write(self, *, key: str, content: Content, invocation: Invocation) -> StoredObject:
        """Make sure that `invocation` owns a version with `content` under `key`, and return it.

        A repeated call finds the version of the first and writes nothing. If another invocation's version has come
        between the two, the repeated call writes once more and the first version is left to the sweep.

        Raises StorageUnavailable where S3 did not confirm the write, whether or not it took place.
        """
        begun = time.monotonic()
        met: dict[str, str] | None = None
        for attempt in range(_ATTEMPTS):
            time.sleep(SystemRandom().uniform(0, 0.05 * attempt))
            try:
                return self._put(key, content, invocation, met)
            except (BotoCoreError, ClientError) as error:
                failure = error
            logger.warning("PutObject failed", extra={"code": _code(failure), "attempt": attempt})
            # Even a refusal may follow an attempt of the SDK that arrived, its answer lost. What lies there tells.
            found = self._head(key)
            if found is not None:
                met = found["Metadata"]
                if (met.get("invocation-id"), met.get(_sha256_name(invocation))) == (
                    invocation.mark,
                    content.sha256,
                ):
                    return _confirmed(found, met, content, invocation)
            if not _may_pass(failure) or time.monotonic() - begun > _PATIENCE:
                break
        raise _unavailable() from failure

    def planned(self, key: str) -> tuple[str, ...]:
        """The transaction ids of the newest version under `key`, hex; empty where nothing lies there.

        Raises StorageUnavailable where S3 does not say.
        """
        found = self._head(key)
        return _transaction_ids(found["Metadata"]) if found is not None else ()

    def _put(self, key: str, content: Content, invocation: Invocation, met: dict[str, str] | None) -> StoredObject:
        """Write, only if nothing is there unless another invocation's version was `met` (its metadata)."""
        earlier = () if met is None else _transaction_ids(met)
        metadata = {
            "submission-id": invocation.submission_id,
            "invocation-id": invocation.mark,
            "created": "true" if met is None else "false",
            # With its nonces the sweep can use up transaction ids that must not commit any more.
            **({"nonces": ",".join(invocation.nonces)} if invocation.nonces else {}),
            # The own ones first, then those of other invocations.
            "transaction-ids": ",".join(dict.fromkeys([*invocation.transaction_ids, *earlier])),
            "fabric-username": quote(invocation.fabric_username, safe=_SAFE),
            # After a move to another network its sweep leaves the object alone.
            "ledger": quote(invocation.ledger, safe=_SAFE),
            _sha256_name(invocation): content.sha256,
        }
        # The condition makes the SDK's own retry safe; without it a retry could leave two versions of one invocation.
        client = aws.client("s3") if met is None else aws.client("s3", attempts=1)
        with subsegment("PutObject"):
            answer = client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content.data,
                ContentType=content.content_type,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(bytes.fromhex(content.sha256)).decode(),
                Metadata=metadata,
                **({"IfNoneMatch": "*"} if met is None else {}),
            )
        return _confirmed(answer, metadata, content, invocation)

    def _head(self, key: str) -> dict[str, Any] | None:
        """What lies under `key`, or None. Without s3:ListBucket S3 says 403 for nothing there."""
        try:
            answer: dict[str, Any] = aws.client("s3").head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if _status(error) in (403, 404):
                return None
            raise _unavailable(f"HeadObject: {_code(error)}") from error
        except BotoCoreError as error:
            raise _unavailable(f"HeadObject: {_code(error)}") from error
        return answer


def _confirmed(
    answer: dict[str, Any], metadata: dict[str, str], content: Content, invocation: Invocation
) -> StoredObject:
    """Read S3's answer to PutObject or HeadObject, or raise StorageUnavailable where it does not prove our content."""
    version_id = answer.get("VersionId", "null")
    if version_id == "null":
        raise _unavailable("the bucket is not versioned")
    etag = answer["ETag"].strip('"')
    encrypted_with_kms = answer.get("ServerSideEncryption", "").startswith("aws:kms")
    if not encrypted_with_kms and re.fullmatch(r"[0-9a-f]{32}", etag) and etag != content.md5:
        raise _unavailable("the ETag is not the MD5 of what was sent")
    own = len(invocation.transaction_ids)
    transaction_ids = _transaction_ids(metadata)
    return StoredObject(
        version_id=version_id,
        created=metadata["created"] == "true",
        transaction_ids=transaction_ids[:own],
        earlier_transaction_ids=transaction_ids[own:],
    )


def _sha256_name(invocation: Invocation) -> str:
    """S3 keeps metadata names in lower case."""
    return f"{invocation.data_field.lower()}-sha256"


def _transaction_ids(metadata: dict[str, str]) -> tuple[str, ...]:
    return tuple(re.findall(r"\b[0-9a-f]{64}\b", metadata.get("transaction-ids", "")))


def _may_pass(error: BotoCoreError | ClientError) -> bool:
    """True for a failure that another attempt may not meet: no answer, a conflict, throttling, an error of S3's."""
    if isinstance(error, ClientError):
        return _status(error) in (409, 412, 429) or _status(error) >= 500 or _code(error) == "RequestTimeout"
    return True


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _code(error: BotoCoreError | ClientError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def _unavailable(reason: str | None = None) -> StorageUnavailable:
    if reason:
        logger.error("S3 did not confirm the write", extra={"reason": reason})
    return StorageUnavailable("The storage did not confirm the write; nothing was sent to the ledger. Try again later.")
