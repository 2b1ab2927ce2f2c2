"""What tests of the whole flow share: requests to the sandbox's API, and a look into its bucket and its ledger."""

import base64
import http.client
import json
import os
import struct
import urllib.parse
import zlib
from typing import Any
from uuid import uuid4

from sandbox.runtime import Sandbox

Answer = tuple[int, dict[str, Any]]


def png(width: int = 8, height: int = 8) -> bytes:
    """A valid PNG of random pixels, about `width * height * 3` bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = b"".join(b"\0" + os.urandom(width * 3) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels, 0)) + chunk(b"IEND", b"")
    )


class World:
    """Sends requests about donors, and reads what is in the bucket and on the ledger."""

    records = "donors"
    key_prefix = "ngo-donor-images/"

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        calls = {folder: f"lambda:{each.name}" for folder, each in sandbox.assembly.functions_of(self.records).items()}
        self.upload, self.chaincode = calls["upload_object"], calls["invoke_chaincode"]
        self.query, self.verify = calls["query_ledger"], calls["verify_object"]
        self.name = f"donor-{uuid4().hex[:8]}"
        self.picture = png()

    def arguments(self, **changes: Any) -> dict[str, Any]:
        return {
            "donorUserName": self.name,
            "email": f"{self.name}@example.org",
            "image": base64.b64encode(self.picture).decode(),
        } | changes

    def create(self, *, key: str | None = None, **changes: Any) -> Answer:
        return self.send({"chaincodeFunctionArgs": self.arguments(**changes)}, key=key)

    def send(self, body: Any, *, key: str | None = None) -> Answer:
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        return self._request("POST", f"/{self.records}", body if isinstance(body, str) else json.dumps(body), headers)

    def get(self, target: str) -> Answer:
        """`target` is path and query, sent as they are."""
        return self._request("GET", target)

    def read(self, name: str | None = None, query: str = "") -> Answer:
        return self.get(f"/{self.records}/{urllib.parse.quote(name or self.name, safe='')}{query}")

    def _request(
        self, method: str, target: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(self.sandbox.api_url.removeprefix("http://"), timeout=60)
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def put_record(self, **fields: Any) -> str:
        """Put a donor on the ledger as whoever may invoke the chaincode; the transaction's id. `fields` are added to
        name and mail."""
        event = {
            "functionType": "invoke",
            "chaincodeFunction": "createDonor",
            "chaincodeFunctionArgs": {"donorUserName": self.name, "email": f"{self.name}@example.org"} | fields,
        }
        answer = self.sandbox.client("lambda").invoke(
            FunctionName=self.chaincode.removeprefix("lambda:"), Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer
        return str(json.loads(answer["Payload"].read())["transactionId"])

    def put_object(self, key: str, data: bytes, **options: Any) -> str:
        """Put an object into the bucket past the API; its version id."""
        return str(
            self.sandbox.client("s3").put_object(Bucket=self.sandbox.bucket, Key=key, Body=data, **options)["VersionId"]
        )

    def copy_object(self, source: dict[str, str], key: str, **options: Any) -> str:
        """Copy `source` (`Key` and perhaps `VersionId`) to `key`; the new version's id."""
        bucket = self.sandbox.bucket
        return str(
            self.sandbox.client("s3").copy_object(
                Bucket=bucket, Key=key, CopySource={"Bucket": bucket} | source, **options
            )["VersionId"]
        )

    def stored(self, key: str, version_id: str) -> bytes:
        answer = self.sandbox.client("s3").get_object(Bucket=self.sandbox.bucket, Key=key, VersionId=version_id)
        return bytes(answer["Body"].read())

    def versions(self, name: str | None = None) -> list[tuple[str, str]]:
        found = self.sandbox.client("s3").list_object_versions(
            Bucket=self.sandbox.bucket, Prefix=f"{self.key_prefix}{name or self.name}/"
        )
        assert "DeleteMarkers" not in found
        return [(each["Key"], each["VersionId"]) for each in found.get("Versions", [])]

    def record(self, name: str | None = None) -> Any:
        value = self.sandbox.ledger.record("ngo", f"donor{name or self.name}")
        return None if value is None else json.loads(value)

    def transactions(self) -> dict[str, str]:
        """Each id's validation code: VALID where one transaction under it is, for the others are duplicates."""
        codes: dict[str, str] = {}
        for each in self.sandbox.ledger.transactions():
            if codes.get(each.tx_id) != "VALID":
                codes[each.tx_id] = each.validation_code
        return codes


def refused(answer: Answer, status: int, error: str, **details: Any) -> str:
    """The message of a refusal, which has the fields of every refusal and `details`, and no other."""
    got, body = answer
    assert (got, body.get("error")) == (status, error), body
    assert body.keys() == {"error", "message", "requestId"} | details.keys()
    assert {name: body[name] for name in details} == details
    return str(body["message"])
