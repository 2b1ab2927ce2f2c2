"""Inputs for the tests of the upload function: a deployment's settings, pictures, documents, events."""

import base64
import json
import struct
import zlib
from types import SimpleNamespace
from typing import Any

RECORD_TYPE = {
    "name": "Donor",
    "path": "donors",
    "identifyingField": "donorUserName",
    "ledgerFields": [
        {"name": "donorUserName", "required": True, "maxLength": 64},
        {"name": "email", "required": True, "maxLength": 254},
    ],
    "dataField": "image",
    "keyPrefix": "ngo-donor-images/",
    "contentTypes": ["image/png", "image/jpeg", "image/webp", "image/svg+xml"],
    "maxDataBytes": 184320,
    "createFunction": "createDonor",
    "readFunction": "queryDonor",
    "listFunction": "queryAllDonors",
    "alreadyExistsError": "DonorAlreadyExists",
    "invalidDataError": "InvalidImage",
    "dataTooLargeError": "ImageTooLarge",
    "notFoundError": "DonorNotFound",
    "objectTamperedError": "ImageTampered",
    "objectMissingError": "ImageMissing",
}
IDENTITIES = {
    "mspId": "Org1MSP",
    "users": {
        "lambdaUser": {"certificate": "org/lambdaUser/signcert", "privateKey": "org/lambdaUser/pk"},
        "auditor": {"certificate": "org/auditor/signcert", "privateKey": "org/auditor/pk"},
    },
}
ENVIRONMENT = {
    "RECORD_TYPE": json.dumps(RECORD_TYPE),
    "FABRIC_IDENTITIES": json.dumps(IDENTITIES),
    "LEDGER": "Org1MSP/mychannel/ngo",
    "CHAINCODE_FUNCTIONS": json.dumps({"invoke": ["createDonor", "importDonor"], "query": ["queryDonor"]}),
}
CONTEXT = SimpleNamespace(
    aws_request_id="4f0e-invocation",
    function_name="upload",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:upload",
    get_remaining_time_in_millis=lambda: 10_000,
)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int = 4, height: int = 3, color: bytes = b"\x10\x80\xf0") -> bytes:
    """A PNG of one colour."""
    rows = (b"\0" + color * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PNG = png()
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8yb"
    "qmx5moq6T/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAABP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AI//Z"
)
WEBP = base64.b64decode("UklGRjoAAABXRUJQVlA4IC4AAACwAQCdASoBAAEAAUAmJaACdLoABDAAAP7x3I/4DdfFtMv/vYL/3YL/3YL/WwAA")
WEBP_LOSSLESS = base64.b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvAAAAAAdQjyLXo/+BiOh/AAA=")
WEBP_ANIMATED = base64.b64decode(
    "UklGRqoAAABXRUJQVlA4WAoAAAACAAAAAAAAAAAAQU5JTQYAAAAAAAAAAABBTk1GRgAAAAAAAAAAAAAAAAAAAAAAAAJWUDggLgAAADABAJ0BKgEA"
    "AQABQCYloAADcAD+8dyP/+xfytfytUv//+9gv/9xn//3Gf/T4ABBTk1GMAAAAAAAAAAAAAAAAAAAAAAAAABWUDggGAAAADQBAJ0BKgEAAQAAACYl"
    "oAADcAD+/TZoAA=="
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="3" fill="teal"/></svg>\n'


def pdf(before: bytes = b"", *, counted_from_header: bool = True, stream: bool = False) -> bytes:
    """A PDF of one empty page with a cross-reference table, or a cross-reference stream; `before` stands before its
    header."""
    parts = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << >> >>",
    ]
    start = 0 if counted_from_header else len(before)
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(start + sum(map(len, parts)))
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    references = start + sum(map(len, parts))
    if stream:
        rows = b"".join(b"\1" + offset.to_bytes(2) for offset in [*offsets, references])
        parts.append(
            b"4 0 obj\n<< /Type /XRef /Size 5 /W [1 2 0] /Index [1 4] /Root 1 0 R /Length %d >>\nstream\n" % len(rows)
        )
        parts.append(rows + b"\nendstream\nendobj\n")
    else:
        parts.append(b"xref\n0 4\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % each for each in offsets))
        parts.append(b"trailer\n<< /Size 4 /Root 1 0 R >>\n")
    return before + b"".join(parts) + b"startxref\n%d\n%%%%EOF\n" % references


PDF = pdf()


def encoded(data: bytes) -> str:
    """Bare base64."""
    return base64.b64encode(data).decode()


EXECUTION_ID = "arn:aws:states:us-east-1:123456789012:express:Create:one:0b5e"
_SUBMISSION = ("requestId", "idempotencyKey", "fabricUsername", "functionType", "chaincodeFunction", "caller")
_OUTSIDE = ("executionId", "correlationId", "submission", "chaincodeFunctionArgs")


def event(**changes: Any) -> dict[str, Any]:
    """An event as the workflow sends it. A change is put where its field belongs, among the arguments if it is none of
    the workflow's own; None leaves the field out."""
    given = {
        "donorUserName": "ada",
        "email": "ada@example.org",
        "image": encoded(PNG),
        "executionId": EXECUTION_ID,
        "idempotencyKey": "",
        "fabricUsername": "",
        "functionType": "",
        "chaincodeFunction": "",
    } | changes
    outside: dict[str, Any] = {"submission": {}, "chaincodeFunctionArgs": {}}
    for name, value in given.items():
        if value is not None and name not in _OUTSIDE:
            outside["submission" if name in _SUBMISSION else "chaincodeFunctionArgs"][name] = value
    outside |= {name: value for name, value in given.items() if name in _OUTSIDE}
    return {name: value for name, value in outside.items() if name not in changes or changes[name] is not None}
