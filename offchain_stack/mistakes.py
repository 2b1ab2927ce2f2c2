"""Mistakes in plain values, such as settings: each says in one line where it is, what was found and what is allowed."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]

_LONGEST_VALUE = 80
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?:.*?-----END [A-Z0-9 ]*PRIVATE KEY-----|.*)"
    # How base64 of one begins: PKCS#8 of P-256, P-384 and RSA, and SEC 1 of the first two.
    r"|(?:MIGHAgEAMBMGByqGSM49|MIG2AgEAMBAGByqGSM49|MHcCAQEEI|MIGkAgEBBD|MII[A-Za-z0-9+/]{2}[A-Za-z]IBADANBgkqhkiG9w0B)"
    r"[A-Za-z0-9+/=\\\s]*",
    re.DOTALL,
)
_SECRET_KEYS = frozenset({"privateKey"})
_RULES = {
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "too_short": "must have at least one",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "must have {max_length} characters or less",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One mistake. `path` leads to it from the outermost object; `what` says what is wrong and what would be right.
    `kind` is "missing", "unknown" or "wrong"."""

    path: Path
    what: str
    kind: str = "wrong"

    def __str__(self) -> str:
        return one_line(f"{place(self.path)}: {self.what}" if self.path else self.what)


class Mistakes(ValueError):
    """Plain values cannot be read. Its text has a line for each of `mistakes`."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


def camel_case(name: str) -> str:
    """The name that a prop has as JSON: `key_prefix` as `keyPrefix`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def place(path: Path) -> str:
    """A path as people write it: `peers[0].endpoint`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_name(part)}" for part in path]
    return "".join(parts).removeprefix(".")


def one_line(text: str) -> str:
    """`text` without line breaks, and without a private key that came into it from a value."""
    return " ".join(_PRIVATE_KEY.sub("<a private key>", text).split())


def found(value: object) -> str:
    """A value as a message shows it: as JSON, shortened, and never a private key."""
    return _shortened(json.dumps(value, ensure_ascii=False))


def quoted(value: str) -> str:
    """A text as `found` shows it, in Python's quotes."""
    return _shortened(repr(value))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `name` was most likely meant to be, if any is like it."""
    plain = {_plain(each): each for each in known}
    wanted = _plain(name.removeprefix("offchain."))
    return next((plain[each] for each in difflib.get_close_matches(wanted, plain, n=1, cutoff=0.6)), None)


def mistakes_of(error: "ValidationError", schema: Schema) -> list[Mistake]:
    """What pydantic found in values that should be as `schema`, a JSON schema, says."""
    return [each for details in error.errors(include_url=False) for each in _mistakes(details, schema)]


def _mistakes(details: "ErrorDetails", schema: Schema) -> Iterator[Mistake]:
    # A tag says which alternative pydantic took, and is not in the file.
    path = tuple(part for part in details["loc"] if not str(part).startswith("<"))
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        yield Mistake(path=path, what="missing", kind="missing")
    elif kind == "unexpected_keyword_argument":
        known = _keys(_nodes(schema, path[:-1]))
        yield Mistake(path=path, what=_unknown(str(path[-1]), known), kind="unknown")
    elif kind == "value_error":
        yield from _of_value_error(str(context["error"]), path, schema)
    # Pydantic counts only those that are right, and has said before what is wrong with the others.
    elif kind != "too_short" or not value:
        yield Mistake(path=path, what=_wrong(details, path, schema))


def _unknown(name: str, known: Sequence[str]) -> str:
    guess = nearest(name, known)
    return f"there is no such key; known are {', '.join(known)}" + (f". Did you mean {guess}?" if guess else "")


def _of_value_error(text: str, path: Path, schema: Schema) -> Iterator[Mistake]:
    """An object's own check says a line for each mistake, which may begin with the key that is meant."""
    keys = _keys(_nodes(schema, path))
    # It calls a key as the constructs' prop is called.
    names = {camel_case(name): name for name in re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", text)}
    for key in names.keys() & {*keys}:
        text = re.sub(rf"\b{names[key]}\b", key, text)
    for line in text.splitlines():
        key, separator, rest = line.partition(": ")
        if separator and key in keys:
            yield Mistake(path=(*path, key), what=rest)
        else:
            yield Mistake(path=path, what=line)


def _wrong(details: "ErrorDetails", path: Path, schema: Schema) -> str:
    kind, value = details["type"], details["input"]
    nodes = _nodes(schema, path)
    if kind == "string_pattern_mismatch":
        pattern = details["ctx"]["pattern"]
        rule = f"must match {pattern.removeprefix('^(?:').removesuffix(')$')}"
    elif kind in ("dataclass_type", "union_tag_not_found", "union_tag_invalid"):
        text = "a text or " * any(node.get("type") == "string" for node in nodes)
        rule = f"must be {text}an object with {', '.join(_keys(nodes))}"
    else:
        rule = _RULES.get(kind, details["msg"]).format(**details.get("ctx", {}))
    if value is None:
        return f"has no value, and {rule}: give one, or leave the name out"
    shown = "<not shown>" if _SECRET_KEYS & set(path) else found(value)
    quotes = "; put it in quotes" * (kind == "string_type" and isinstance(value, int | float))
    allowed = [each for node in nodes for each in node.get("enum", ())]
    guess = nearest(value, allowed) if isinstance(value, str) else None
    return f"{rule}, not {shown}{quotes}" + (f"; did you mean {guess}?" if guess else "")


def _nodes(schema: Schema, path: Path) -> list[Schema]:
    """The parts of `schema` that say what may be at `path`: several if there are alternatives."""
    nodes = _alternatives(schema, schema)
    for part in path:
        below = [
            node.get("items")
            if isinstance(part, int)
            else node.get("properties", {}).get(part) or node.get("additionalProperties")
            for node in nodes
        ]
        nodes = [each for node in below if isinstance(node, Mapping) for each in _alternatives(node, schema)]
    return nodes


def _alternatives(node: Schema, schema: Schema) -> list[Schema]:
    if "$ref" in node:
        return _alternatives(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    parts = node.get("oneOf") or node.get("anyOf")
    return [each for part in parts for each in _alternatives(part, schema)] if parts else [node]


def _keys(nodes: Iterable[Schema]) -> list[str]:
    return list(dict.fromkeys(key for node in nodes for key in node.get("properties", {})))


def _shortened(text: str) -> str:
    text = _PRIVATE_KEY.sub("<a private key>", text)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _name(part: str) -> str:
    return part if re.fullmatch(r"[\w.:@-]*", part) else found(part)
