"""What tests of the whole flow share: requests to the sandbox's API, and a look into its bucket and its ledger."""

import base64
import http.client
import json
import os
import struct
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
    """Sends requests and reads what is in the bucket and on the ledger."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        calls = {each.handler: f"lambda:{each.name}" for each in sandbox.assembly.functions.values()}
        self.upload = calls["upload_image.handler.handler"]
        self.chaincode = calls["invoke_chaincode.handler.handler"]
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
        connection = http.client.HTTPConnection(self.sandbox.api_url.removeprefix("http://"), timeout=60)
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        connection.request("POST", "/donors", body if isinstance(body, str) else json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def versions(self, name: str | None = None) -> list[tuple[str, str]]:
        found = self.sandbox.client("s3").list_object_versions(
            Bucket=self.sandbox.bucket, Prefix=f"ngo-donor-images/{name or self.name}/"
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


def refused(answer: Answer, status: int, error: str) -> str:
    got, body = answer
    assert (got, body["error"]) == (status, error), body
    assert body.keys() == {"error", "message", "requestId"}
    return str(body["message"])
