"""The schemas of what callers send and get, as they follow from a record type and are in no template."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Schema = dict[str, Any]

RecordType = Mapping[str, Any]
"""As functions have it in `RECORD_TYPE`."""


class Answer(NamedTuple):
    """The body of a success; `name` is its schema's."""

    name: str
    description: str
    schema: Schema


def identifier(record_type: RecordType) -> Schema:
    """What the path may name a record with."""
    (field,) = [each for each in record_type["ledgerFields"] if each["name"] == record_type["identifyingField"]]
    pattern = f"^(?:{field['pattern']})$" if "pattern" in field else _OBJECT_NAME
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": field["maxLength"],
        "pattern": pattern,
        "description": "At most 256 bytes in UTF-8",
    }


_OBJECT_NAME = r"^(?!\.\.?$)(?!\s)[^/\x00-\x1f\x7f-\x9f\ufffe\uffff]+(?<!\s)$"
"""What can be part of an object key: no "/", no control character, no white space at the ends, not "." nor ".."."""

TRANSACTION_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}

PARAMETERS: dict[str, Schema] = {
    "verify": {
        "type": "string",
        "enum": ["checksum"],
        "description": "checksum: compare the SHA-256 that S3 computed, and read nothing",
    },
    "inline": {
        "type": "string",
        "enum": ["false", "true"],
        "description": "true: put the data into the answer, as a data URL",
    },
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    "nextToken": {"type": "string", "description": "Of the page before"},
    "transactionId": TRANSACTION_ID,
}

API_GATEWAY_ERROR: Schema = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": ["string", "null"]}},
}


def summary(query: str, record_type: RecordType) -> str:
    """What a method does, in a line; `query` as in ANSWERS."""
    name = record_type["name"]
    return {
        "": f"Create a {name}: both, data and ledger record, or neither",
        "record": f"Read a {name} and verify its data",
        "list": f"List the ledger's {record_type['path']}, without their data",
        "transaction": "What became of a transaction",
    }[query]


def body_description(record_type: RecordType) -> str:
    """What the request model does not say of the data."""
    types = ", ".join(record_type["contentTypes"])
    return (
        f"`{record_type['dataField']}` is base64 or a data URL of one of {types}; at most "
        f"{record_type['maxDataBytes']} bytes when decoded."
    )


def refusal(error: str, record_type: RecordType, *, transaction: bool) -> Schema:
    """The body of a refusal with this code; `transaction`: it may name one."""
    details: Schema = {"transactionId": TRANSACTION_ID} if transaction else {}
    required = ["error", "message", "requestId"]
    if error in (record_type["objectTamperedError"], record_type["objectMissingError"]):
        details["versionId"] = {"type": "string", "description": "A version that is still good"}
    if error == record_type["objectMissingError"]:
        details["versions"] = {"type": "integer", "minimum": 0, "description": "How many versions remain"}
        details["deleteMarker"] = {"type": "boolean", "description": "Whether a delete marker hides them"}
        required += ["versions", "deleteMarker"]
    common: Schema = {
        "error": {"const": error},
        "message": {"type": "string", "description": "What is wrong, and how to mend it"},
        "requestId": {"type": "string"},
    }
    return _object(common | details, required)


def _object_fields(record_type: RecordType) -> dict[str, Schema]:
    data = record_type["dataField"]
    return {
        f"{data}Key": {"type": "string", "description": "The object's key in the bucket"},
        f"{data}Hash": {"type": "string", "description": "MD5, in hex"},
        f"{data}Sha256": {"type": "string", "description": "SHA-256, in hex"},
    }


def _object(properties: Schema, required: Iterable[str], description: str = "") -> Schema:
    schema = {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}
    return schema | ({"description": description} if description else {})


def _created(record_type: RecordType) -> Answer:
    properties = {"transactionId": TRANSACTION_ID} | _object_fields(record_type)
    return Answer(
        f"Created{record_type['name']}",
        "The transaction is committed as VALID, and the data is stored. `transactionId` is absent if the record is "
        "this request's, but the ledger could not say by which transaction.",
        _object(properties, _object_fields(record_type)),
    )


def _record_fields(record_type: RecordType) -> Schema:
    return {field["name"]: {"type": "string"} for field in record_type["ledgerFields"]} | _object_fields(record_type)


def _record(record_type: RecordType) -> Answer:
    data = record_type["dataField"]
    text_ = {"type": "string"}
    verified = _object(
        {
            "integrity": {"const": "VERIFIED"},
            "verifiedBy": {"enum": ["SHA-256", "MD5", "S3-CHECKSUM-SHA-256"]},
            "contentType": text_,
            "size": {"type": "integer", "minimum": 0, "description": "In bytes"},
            "versionId": text_,
            "url": {
                "type": "string",
                "format": "uri",
                "description": "A presigned GET of the version that was verified",
            },
            "expiresAt": {"type": "string", "format": "date-time"},
            "dataUrl": {"type": "string", "pattern": "^data:"},
        },
        ["integrity", "verifiedBy", "contentType", "size"],
        "Without versionId, url and expiresAt the bucket keeps no version of the data.",
    )
    unverifiable = _object(
        {"integrity": {"const": "UNVERIFIABLE"}}, ["integrity"], "The record has no hash: nothing is handed out."
    )
    properties = _record_fields(record_type) | {
        "transactionId": TRANSACTION_ID,
        data: {"oneOf": [verified, unverifiable, {"type": "null", "description": "The record names no object."}]},
    }
    return Answer(
        record_type["name"],
        "The fields that the ledger has, and what the store has for them",
        _object(properties, [data], "A record that something else wrote to the ledger may lack fields."),
    )


def _records(record_type: RecordType) -> Answer:
    path = record_type["path"]
    records = {"type": "array", "items": _object(_record_fields(record_type), [])}
    properties = {path: records, "nextToken": {"type": "string", "description": "Absent on the last page"}}
    return Answer(
        f"{record_type['name']}List", "A page, in the order of the ledger's keys", _object(properties, [path])
    )


def _transaction(_: RecordType) -> Answer:
    properties = {
        "transactionId": TRANSACTION_ID,
        "status": {"enum": ["VALID", "INVALID", "NOT_FOUND"], "description": "NOT_FOUND may still commit."},
        "validationCode": {"type": ["string", "null"], "description": "Fabric's own, such as MVCC_READ_CONFLICT"},
        "blockNumber": {"type": ["integer", "null"], "minimum": 0},
        "timestamp": {"type": ["string", "null"], "format": "date-time", "description": "What the submitter wrote"},
    }
    return Answer("LedgerTransaction", "What the ledger says of it", _object(properties, properties))


ANSWERS = {"": _created, "record": _record, "list": _records, "transaction": _transaction}
"""By what is asked of the read workflow; empty: a record is created."""
