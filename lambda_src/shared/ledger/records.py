"""The records of a record type on the ledger: how the chaincode is asked for them, and what is known of one."""

import json
from collections.abc import Mapping
from typing import Any

from .. import errors
from ..record_type import RecordType
from .interface import Call


def read_call(record_type: RecordType, identifier: str) -> Call:
    """The call that returns the record of `identifier`."""
    argument = json.dumps({record_type.identifying_field: identifier}, ensure_ascii=False, separators=(",", ":"))
    return Call(function=record_type.read_function, arguments=(argument,))


def list_call(record_type: RecordType) -> Call:
    """The call that returns every record."""
    return Call(function=record_type.list_function, arguments=("{}",))


def read_record(text: bytes, record_type: RecordType) -> dict[str, Any]:
    """The fields of a record that the record type names, as the chaincode's JSON text has them. Raises
    RecordUnreadable."""
    return _known(_json(text, dict), record_type)


def read_list(text: bytes, record_type: RecordType) -> dict[str, dict[str, Any] | None]:
    """All records by ledger key, in the keys' order: `[{"Key", "Record"}]` is how the workshop's chaincode lists them.
    None stands for what is under a key and no JSON object: whoever may invoke the chaincode can write such a thing, and
    it must not hide the others. Raises RecordUnreadable."""
    entries = _json(text or b"[]", list)
    found = {
        entry["Key"]: _known(entry["Record"], record_type) if isinstance(entry["Record"], dict) else None
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("Key"), str) and "Record" in entry
    }
    if len(found) != len(entries):
        raise errors.RecordUnreadable(f"The chaincode's {record_type.path} are not a list of keys and records.")
    return dict(sorted(found.items()))


def _json(text: bytes, kind: type) -> Any:
    try:
        value = json.loads(text)
        if rb"\u" in text:
            # Half of a surrogate pair is no character: no function could return it. It becomes a question mark.
            value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise errors.RecordUnreadable("The chaincode's answer is not the JSON that was expected.")
    return value


def _known(record: Mapping[str, Any], record_type: RecordType) -> dict[str, Any]:
    about_object = (record_type.key_field, record_type.hash_field, record_type.sha256_field)
    names = (*(field.name for field in record_type.ledger_fields), *about_object)
    return {name: record[name] for name in names if record.get(name) is not None}
