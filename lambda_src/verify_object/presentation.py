"""What a reader gets of a record's object, once it is verified; runs without Lambda."""

import base64
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared import aws, media_types
from shared.record_type import RecordType
from shared.verification import Verified, Verifier, proof_of


@dataclass(frozen=True, kw_only=True)
class Presenter:
    """`expires`: how long a URL is good for."""

    verifier: Verifier
    record_type: RecordType
    expires: datetime.timedelta

    def present(self, event: Mapping[str, Any], *, deadline: float) -> dict[str, Any]:
        """Verify the object that a record names, by `deadline` (a `time.monotonic()` value).

        `event`: `{"answer", "identifier", "byChecksum", "inline"}` as the query function returns them.

        Returns `{"answer": {"<data field>": {...}}, "key", "transactionIds"}`: `integrity` VERIFIED with `verifiedBy`,
        `contentType`, `size` (bytes), `versionId`, `url` (a presigned GET of that version) and `expiresAt`, and with
        `inline` also `dataUrl`; or `integrity` UNVERIFIABLE alone, where the record has no hash. `transactionIds` are
        those that the object's metadata claims.

        Raises what `Verifier.verify` raises, and the record type's data-too-large error where `inline` does not fit.
        """
        proof = proof_of(event["answer"], event["identifier"], self.record_type)
        limit = self.record_type.max_data_bytes
        by_checksum, inline = event["byChecksum"], event["inline"]
        shorter = " and ".join(["with verify=checksum"] * (not by_checksum) + ["without inline"] * inline)
        verified = self.verifier.verify(
            proof,
            # What is handed out inline is read anyway.
            by_checksum=by_checksum and not inline,
            keep=limit if inline else 0,
            deadline=deadline,
            when_slow="Try again later" + (f", or {shorter} if the object is large." if shorter else "."),
        )
        if verified.verified_by is None:
            return self._answer(proof.key, verified, {"integrity": "UNVERIFIABLE"})
        field = self.record_type.data_field
        if inline and verified.data is None:
            raise self.record_type.data_too_large(
                f"{field}: {verified.size} bytes, and an answer carries {limit}. "
                f"Leave inline out and fetch {field}.url."
            )
        media_type = media_types.of_key(proof.key)
        expires_at = datetime.datetime.now(datetime.UTC) + self.expires
        described: dict[str, Any] = {
            "integrity": "VERIFIED",
            "verifiedBy": verified.verified_by.value,
            "contentType": media_type.name,
            "size": verified.size,
            "versionId": verified.version_id,
            "url": self._url(proof.key, verified.version_id, media_type, event["identifier"]),
            "expiresAt": expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        if verified.data is not None:
            described["dataUrl"] = f"data:{media_type.name};base64,{base64.b64encode(verified.data).decode()}"
        return self._answer(proof.key, verified, described)

    def _answer(self, key: str, verified: Verified, described: dict[str, Any]) -> dict[str, Any]:
        ids = re.findall(r"\b[0-9a-f]{64}\b", verified.metadata.get("transaction-ids", ""))
        return {"answer": {self.record_type.data_field: described}, "key": key, "transactionIds": ids}

    def _url(self, key: str, version_id: str, media_type: media_types.MediaType, identifier: str) -> str:
        disposition = "attachment" if media_type.may_run else "inline"
        name = quote(f"{identifier}.{media_type.extension}", safe="")
        bucket = self.verifier.bucket
        # The name of a bucket with dots is in no certificate.
        s3 = aws.client("s3", addressing="path" if "." in bucket else "virtual")
        url: str = s3.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "VersionId": version_id,
                "ResponseContentType": media_type.name,
                "ResponseContentDisposition": f"{disposition}; filename*=UTF-8''{name}",
            },
            ExpiresIn=int(self.expires.total_seconds()),
        )
        return url
