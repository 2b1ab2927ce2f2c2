"""Plain values from JSON and YAML. Of a key that an object has twice only one value would count, so it is an error."""

import codecs
import json
import re
from collections.abc import Iterable
from typing import Any

import yaml


class RepeatedKeyError(ValueError):
    """An object has a key twice."""


class _Loader(yaml.SafeLoader):
    """Refuses repeated keys, and leaves a date as the text that it is."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in keys:
                    raise RepeatedKeyError(_twice(key.value) + _where(key.start_mark))
                keys.add(key.value)
        return node


_NOT_PLAIN = ("binary", "omap", "pairs", "set")
_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag not in [f"tag:yaml.org,2002:{name}" for name in _NOT_PLAIN]
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_plain(data: bytes) -> Any:
    """The value of a JSON or YAML document. Raises ValueError, which says in one line what is wrong and where."""
    text = _text(data)
    try:
        # YAML's reader refuses tabs, with which JSON may be indented.
        return read_json(text)
    except RepeatedKeyError:
        raise
    except ValueError:
        return _read_yaml(text)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not text in UTF-8: {error.reason}, at position {error.start}; save it as such") from error


def _read_yaml(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        if (spaces := _without_tabs(text)) is not None:
            return _read_yaml(spaces)
        # Without the lines of the file that the error would show, as these may hold a secret.
        mark = error.problem_mark or error.context_mark
        what = f"{error.context or ''} {error.problem or ''}{_where(mark) if mark else ''}"
        raise ValueError(f"is neither JSON nor YAML: {' '.join(what.split())}; correct that line") from error
    except yaml.reader.ReaderError as error:
        raise ValueError(
            f"is not text in UTF-8: {error.reason}, at position {error.position}; save it as such"
        ) from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def _without_tabs(text: str) -> str | None:
    """The same YAML with spaces, which is all that YAML itself takes; None if there are no tabs, or if some lines are
    indented with tabs and others with spaces: which of them belong together would be a guess."""
    lines = [line.rstrip() for line in text.split("\n")]
    indents = "".join(line[: len(line) - len(line.lstrip())] for line in lines)
    if "\t" not in text or ("\t" in indents and " " in indents):
        return None
    return "\n".join(re.sub(r"^\t+", lambda tabs: "  " * len(tabs[0]), line).replace("\t", " ") for line in lines)


def read_json(text: str) -> Any:
    """The value of a JSON document. Raises ValueError, which says in one line what is wrong and where."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise RepeatedKeyError(_twice(key))
        values[key] = value
    return values


def _twice(key: str) -> str:
    return f"has the key {key!r} twice; leave one of them out"


def _where(mark: yaml.Mark) -> str:
    return f" (line {mark.line + 1}, column {mark.column + 1})"
