"""What a reader gets of a record's object, once it is verified; runs without Lambda."""

import base64
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared import aws, media_types, payload
from shared.errors import OffchainError
from shared.record_type import RecordType
from shared.verification import Proof, Verified, Verifier, proof_of

_ADDED = 2_048
"""Bytes that the workflow adds to its state: what Lambda's answer says of itself, and the transaction."""


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
        those that the object's metadata claims. If S3 keeps no version, `versionId`, `url` and `expiresAt` are absent:
        a URL would give whatever takes the object's place.

        Raises what `proof_of` and `Verifier.verify` raise, and the record type's data-too-large error if the data do
        not fit into the answer with `inline`, alone or beside the record.
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
        media_type = media_types.of_key(proof.key)
        described = {
            "integrity": "VERIFIED",
            "verifiedBy": verified.verified_by.value,
            "contentType": media_type.name,
            "size": verified.size,
        } | self._link(proof, verified, media_type)
        if not inline:
            return self._answer(proof.key, verified, described)
        if verified.data is None:
            raise self._too_large(verified, f"an answer carries {limit}")
        described["dataUrl"] = f"data:{media_type.name};base64,{base64.b64encode(verified.data).decode()}"
        answer = self._answer(proof.key, verified, described)
        if payload.size_of({**event, "object": answer}) > payload.CARRIED - _ADDED:
            raise self._too_large(verified, "beside this record an answer does not carry that many")
        return answer

    def _too_large(self, verified: Verified, limit: str) -> OffchainError:
        field = self.record_type.data_field
        way_out = f"Leave inline out and fetch {field}.url."
        if verified.version_id is None:
            way_out = "There is no URL, since S3 keeps no version of them: ask the operator to switch versioning on."
        return self.record_type.data_too_large(f"{field}: {verified.size} bytes, and {limit}. {way_out}")

    def _answer(self, key: str, verified: Verified, described: dict[str, Any]) -> dict[str, Any]:
        ids = re.findall(r"\b[0-9a-f]{64}\b", verified.metadata.get("transaction-ids", ""))
        return {"answer": {self.record_type.data_field: described}, "key": key, "transactionIds": ids}

    def _link(self, proof: Proof, verified: Verified, media_type: media_types.MediaType) -> dict[str, Any]:
        if verified.version_id is None:
            return {}
        expires_at = datetime.datetime.now(datetime.UTC) + self.expires
        return {
            "versionId": verified.version_id,
            "url": self._url(proof.key, verified.version_id, media_type, proof.identifier),
            "expiresAt": expires_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }

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
