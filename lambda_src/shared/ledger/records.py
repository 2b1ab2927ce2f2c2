"""The records of a record type on the ledger: how the chaincode is asked for them, and what is known of one.

Whoever may invoke the chaincode can write records, so that a record may hold anything. It is readable if it is a JSON
object with numbers that a double can hold and with at most 64 levels: every reader of an answer takes that. If an
object has a name twice, the last one counts, as in JavaScript and Go.
"""

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

from .. import errors
from ..record_type import RecordType
from .interface import Call

_MOST_LEVELS = 64
_BLANKS = " \t\n\r"
_TEXT = r'"(?:[^"\\]|\\.)*+"'
_TOKEN = re.compile(rf"{_TEXT}|[\[\]{{}},]", re.DOTALL)
_NAME = re.compile(rf"[{_BLANKS}]*({_TEXT})[{_BLANKS}]*:", re.DOTALL)

_Number = TypeVar("_Number", int, float)


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
    record = _readable(_parsed_or_none(_decoded(text)), record_type)
    if record is None:
        raise errors.RecordUnreadable(
            f"{record_type.identifying_field}: the ledger's record under this name cannot be read. It is not a JSON "
            f"object, or it has numbers that no double can hold, or more than {_MOST_LEVELS} levels. Read it from the "
            "ledger itself."
        )
    return record


def read_list(text: bytes, record_type: RecordType) -> dict[str, dict[str, Any] | None]:
    """All records by ledger key, in the keys' order: `[{"Key", "Record"}]` is how the workshop's chaincode lists them.
    None stands for a record that is not readable: it must not hide the others. Raises RecordUnreadable."""
    entries = _entries(_decoded(text) or "[]")
    found = {
        entry["Key"]: _readable(entry["Record"], record_type)
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("Key"), str) and "Record" in entry
    }
    if len(found) != len(entries):
        raise errors.RecordUnreadable(f"The chaincode's {record_type.path} are not a list of keys and records.")
    return dict(sorted(found.items()))


def names_object(record: Mapping[str, Any], record_type: RecordType) -> bool:
    """Whether a record, as it was read here, names an object: its key field is there and not the empty text."""
    return bool(record.get(record_type.key_field, "") != "")


def _readable(value: Any, record_type: RecordType) -> dict[str, Any] | None:
    if not isinstance(value, dict) or _is_deep(value):
        return None
    about_object = (record_type.key_field, record_type.hash_field, record_type.sha256_field)
    names = (*(field.name for field in record_type.ledger_fields), *about_object)
    return {name: value[name] for name in names if value.get(name) is not None}


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MOST_LEVELS + 1):
        level = [inner for each in level for inner in _inside(each)]
    return bool(level)


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _decoded(text: bytes) -> str:
    """Bytes that are not UTF-8 become U+FFFD, as in JavaScript."""
    return text.decode("utf-8-sig", errors="replace")


def _entries(text: str) -> list[Any]:
    """The entries of a list; what cannot be read is None: an entry, or a value in it."""
    entries = _parsed_or_none(text)
    if entries is None:
        # One record that cannot be read fails the whole text. Now each is read by itself.
        with contextlib.suppress(ValueError):
            entries = [dict(map(_member, _parts(entry, "{}"))) for entry in _parts(text, "[]")]
    return entries if isinstance(entries, list) else [None]


def _parts(text: str, brackets: str) -> Iterator[str]:
    """The members of a JSON array or object, one at least, as texts, which are not read. Raises ValueError."""
    text = text.strip(_BLANKS)
    if not (text.startswith(brackets[0]) and text.endswith(brackets[1])):
        raise ValueError(f"not between {brackets}")
    depth, start, last = 0, 1, len(text) - 1
    for token in _TOKEN.finditer(text):
        mark = token[0]
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if (depth == 0) != (token.start() == last):
            raise ValueError("brackets that do not match")
        if depth == 0 or (depth == 1 and mark == ","):
            yield text[start : token.start()]
            start = token.end()


def _member(text: str) -> tuple[str, Any]:
    name = _NAME.match(text)
    if name is None:
        raise ValueError("a member without a name")
    return json.loads(name[1]), _parsed_or_none(text[name.end() :])


def _parsed_or_none(text: str) -> Any:
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            # Half of a surrogate pair is no character: no function could return it. It becomes a question mark.
            value = _DECODER.decode(json.dumps(value, ensure_ascii=False).encode(errors="replace").decode())
        return value
    except (ValueError, RecursionError):
        return None


def _finite(kind: Callable[[str], _Number]) -> Callable[[str], _Number]:
    def number(text: str) -> _Number:
        if math.isinf(float(text)):
            raise ValueError("beyond a double")
        return kind(text)

    return number


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_finite(int), parse_float=_finite(float), parse_constant=_no_number)
