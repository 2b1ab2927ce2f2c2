"""What a method was before its adoption, as one JSON object in S3."""

import json
from typing import Any

from botocore.exceptions import ClientError

from .rest_api import AdoptionError, State, Target

_FORMAT = 1


class Backup:
    """The saved state of `target` at one place of a bucket. Methods raise AdoptionError or botocore's errors."""

    def __init__(self, client: Any, target: Target, *, bucket: str, key: str) -> None:
        self._client = client
        self._target = target
        self._bucket = bucket
        self._key = key

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._key}"

    def load(self) -> tuple[State, str] | None:
        """The saved state and the object's ETag; None where nothing is saved."""
        # Listed, since without the right to list the bucket S3 answers 403 to the read of an object that is not there.
        listed = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._key, MaxKeys=1).get("Contents", [])
        if not listed or listed[0]["Key"] != self._key:
            return None
        answer = self._client.get_object(Bucket=self._bucket, Key=self._key)
        try:
            saved = json.loads(answer["Body"].read())
            if saved["format"] != _FORMAT:
                raise ValueError(f"format {saved['format']}")
            return State(method=saved["method"], deployment_id=saved["deploymentId"]), answer["ETag"]
        except (ValueError, KeyError, TypeError) as error:
            raise AdoptionError(
                f"{self} does not hold what {self._target} was before ({error!r}). Put an earlier version of the "
                "object back, and deploy or delete again."
            ) from error

    def create(self, state: State) -> bool:
        """Save `state` unless something is saved already; whether it was."""
        try:
            self._put(state, IfNoneMatch="*")
        except ClientError as error:
            if _code(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            raise
        return True

    def replace(self, state: State, etag: str) -> None:
        """Save `state` in the place of what `load` gave with `etag`. An older version stays in a versioned bucket."""
        try:
            self._put(state, IfMatch=etag)
        except ClientError as error:
            if _code(error) in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                raise AdoptionError(f"{self} was changed by somebody else at the same time. Deploy again.") from error
            raise

    def remove(self) -> None:
        """Remove what is saved; nothing happens where nothing is."""
        self._client.delete_object(Bucket=self._bucket, Key=self._key)

    def _put(self, state: State, **condition: str) -> None:
        saved = {
            "format": _FORMAT,
            "target": self._target.physical_id,
            "deploymentId": state.deployment_id,
            "method": state.method,
        }
        body = json.dumps(saved, indent=2, ensure_ascii=False).encode()
        self._client.put_object(
            Bucket=self._bucket, Key=self._key, Body=body, ContentType="application/json", **condition
        )


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
