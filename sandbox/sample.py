"""A request that creates a record, whatever the record type, to try the API with."""

import base64
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_DATA = (
    ("image/png", _FOLDER / "demo.png"),
    *(
        (media_type, _FOLDER / "samples" / f"sample.{extension}")
        for media_type, extension in (
            ("image/png", "png"),
            ("image/jpeg", "jpg"),
            ("image/webp", "webp"),
            ("image/svg+xml", "svg"),
            ("application/pdf", "pdf"),
            ("application/octet-stream", "bin"),
        )
    ),
)
_TEXTS = {"donorUserName": "ada", "email": "ada@example.org"}
_TEXT = "sample"
# The parser of the standard library's own regular expressions.
_parse: Any = importlib.import_module("re._parser").parse


def arguments(record_type: Mapping[str, Any]) -> dict[str, str] | None:
    """The `chaincodeFunctionArgs` of a request for a record type, the object in a function's `RECORD_TYPE`: what is
    required, and data of an allowed type. None if no sample is small enough for it."""
    data = next((data for data in _allowed(record_type) if len(data) <= record_type["maxDataBytes"]), None)
    if data is None:
        return None
    fields = {field["name"]: _text(field) for field in record_type["ledgerFields"] if field["required"]}
    return fields | {record_type["dataField"]: base64.b64encode(data).decode()}


def _allowed(record_type: Mapping[str, Any]) -> Iterable[bytes]:
    return (file.read_bytes() for media_type, file in _DATA if media_type in record_type["contentTypes"])


def _text(field: Mapping[str, Any]) -> str:
    """A text that is not empty and not longer than the field may be, and matches its pattern."""
    if "pattern" not in field:
        return _TEXTS.get(field["name"], _TEXT)[: field["maxLength"]]
    parsed = _parse(field["pattern"])
    return _matching(parsed, 0) or _matching(parsed, 1)


def _matching(parsed: Iterable[tuple[Any, Any]], least: int) -> str:
    """A short text that a pattern of a LedgerField matches, in which each repetition is there `least` times or more."""
    return "".join(_part(str(operation), value, least) for operation, value in parsed)


def _part(operation: str, value: Any, least: int) -> str:
    """The text for one part, as the parser names its operation and what it holds."""
    match operation:
        case "LITERAL":
            return chr(value)
        case "RANGE":
            return chr(value[0])
        case "CATEGORY":
            return {"CATEGORY_DIGIT": "0", "CATEGORY_WORD": "a"}[str(value)]
        case "IN":
            return _part(str(value[0][0]), value[0][1], least)
        case "MAX_REPEAT":
            low, high, repeated = value
            times: int = min(max(low, least), high)
            return _matching(repeated, least) * times
        case "SUBPATTERN":
            return _matching(value[-1], least)
        case "BRANCH":
            return min((_matching(branch, least) for branch in value[1]), key=len)
    raise ValueError(f"a pattern of a LedgerField has no {operation}")
