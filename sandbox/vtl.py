"""API Gateway's mapping templates: Velocity rendered by airspeed, with `$input`, `$util`, `$context`, stage variables.

Where API Gateway is known to differ from plain Velocity 1.7, this module does as API Gateway: a reference without a
value renders as nothing (Velocity prints the reference), and an empty body reads as `{}`.
"""

import base64
import functools
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import airspeed

# Velocity knows no backslash escapes inside a string literal; airspeed's own patterns would turn `\\` into `\`, which
# changes the meaning of `.replaceAll("\\'", "'")`. airspeed has no other place to say so.
_NO_ESCAPES = re.compile(r"(?!)")
airspeed.StringLiteral.STRING = re.compile(r"'([^']*)'")
airspeed.StringLiteral.ESCAPED_CHAR = _NO_ESCAPES
airspeed.InterpolatedStringLiteral.STRING = re.compile(r'"([^"]*)"')
airspeed.InterpolatedStringLiteral.ESCAPED_CHAR = _NO_ESCAPES
# In Velocity `\$` escapes only a reference that has a value: anything else keeps its backslash.
airspeed.Text.ESCAPED_CHAR = re.compile(r"\\([$#](?=[!{a-zA-Z_])\S+)")
# Velocity takes the line's end with `#else` and `#foreach`, and reads `#{elseif}` as `#elseif`.
airspeed.ForeachDirective.CLOSE_PAREN = re.compile(r"\s*\)(?:[ \t]*\r?\n)?")
airspeed.ElseBlock.START = re.compile(r"#(?:else\b|\{else\})(?:[ \t]*\r?\n)?")
airspeed.ElseifBlock.START = re.compile(r"#(?:elseif\b|\{elseif\})\s*")
# Velocity's `#set` takes the blanks before it, unless they continue a text.
airspeed.Text.PLAIN = re.compile(rf"(?![ \t]+#set\s*\(){airspeed.Text.PLAIN.pattern}", airspeed.Text.PLAIN.flags)
airspeed.SetDirective.START = re.compile(r"[ \t]*#set\s*\(")


class TemplateError(Exception):
    """A template that API Gateway could not parse or render; the text says where."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `$input` reads. `body` is the text as received; `header`, `querystring` and `path` are the parameters."""

    body: str
    header: Mapping[str, str] = field(default_factory=dict)
    querystring: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)


def render(
    template: str,
    *,
    request: Request,
    context: dict[str, Any],
    stage_variables: Mapping[str, str] | None = None,
    print_missing: bool = False,
) -> str:
    """Render `template`. `context` is `$context` and keeps what the template sets in it, such as
    `context["responseOverride"]["status"]`. `print_missing` prints a reference without a value, as plain Velocity does.
    Raises TemplateError.
    """
    names = {
        "input": _Input(request),
        "util": _Util(),
        "context": context,
        "stageVariables": _JavaMap(stage_variables or {}),
    }
    try:
        return str(_parsed(template, print_missing).merge(names))
    except airspeed.TemplateError as error:
        raise TemplateError(str(error)) from error


@functools.lru_cache(maxsize=128)
def _parsed(template: str, print_missing: bool) -> airspeed.Template:
    parsed = airspeed.Template(template)
    parsed.ensure_compiled()
    if not print_missing:
        for element in _elements(parsed.root_element):
            if isinstance(element, airspeed.FormalReference):
                element.silent = "!"
    return parsed


def _elements(value: object) -> Iterator[object]:
    if isinstance(value, airspeed._Element):
        yield value
        value = list(vars(value).values())
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        for part in value:
            yield from _elements(part)


class _JavaMap(dict[str, Any]):
    def __str__(self) -> str:
        return "{" + ", ".join(f"{key}={_java_text(value)}" for key, value in self.items()) + "}"


class _JavaList(list[Any]):
    def __str__(self) -> str:
        return _json_text(self)


class _JavaBoolean(int):
    def __str__(self) -> str:
        return "true" if self else "false"


def _java(value: Any) -> Any:
    if isinstance(value, dict):
        return _JavaMap({key: _java(part) for key, part in value.items()})
    if isinstance(value, list):
        return _JavaList(_java(part) for part in value)
    if isinstance(value, bool):
        return _JavaBoolean(value)
    return value


def _java_text(value: Any) -> str:
    return "null" if value is None else str(value)


def _json_text(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return bool(value) if isinstance(value, _JavaBoolean) else value


_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")


def json_path(value: Any, path: str) -> Any:
    """The value at a JSONPath made of `$`, `.name`, `['name']` and `[index]`; None where there is none.

    Raises ValueError for any other JSONPath: the sandbox does not know it.
    """
    if not path.startswith("$"):
        path = f"$.{path}"
    position = 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ValueError(f"the sandbox does not know the JSONPath {path!r}")
        name, index, *quoted = step.groups()
        if index is not None:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        else:
            key = next(part for part in (name, *quoted) if part is not None)
            value = value.get(key) if isinstance(value, dict) else None
        position = step.end()
    return value


class _Input:
    def __init__(self, request: Request) -> None:
        self._request = request
        self.body = request.body or "{}"

    @functools.cached_property
    def _document(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body

    def json(self, path: str) -> str:
        value = json_path(self._document, path)
        return "" if value is None else _json_text(value)

    def path(self, path: str) -> Any:
        return _java(json_path(self._document, path))

    def params(self, name: str | None = None) -> Any:
        groups = {kind: _JavaMap(getattr(self._request, kind)) for kind in ("path", "querystring", "header")}
        if name is None:
            return _JavaMap(groups)
        return next((group[name] for group in groups.values() if name in group), "")


def _of_text(function: Callable[[str], Any]) -> Callable[[object, Any], Any]:
    return lambda _self, value: None if value is None else function(str(value))


class _Util:
    escapeJavaScript = _of_text(lambda text: "".join(map(_escaped, text)))
    parseJson = _of_text(lambda text: _java(json.loads(text)))
    urlEncode = _of_text(lambda text: urllib.parse.quote_plus(text, safe="*-._"))
    urlDecode = _of_text(urllib.parse.unquote_plus)
    base64Encode = _of_text(lambda text: base64.b64encode(text.encode()).decode())
    base64Decode = _of_text(lambda text: base64.b64decode(text).decode())


_ESCAPES = {
    "'": "\\'",
    '"': '\\"',
    "\\": "\\\\",
    "/": "\\/",
    "\b": "\\b",
    "\n": "\\n",
    "\t": "\\t",
    "\f": "\\f",
    "\r": "\\r",
}


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if " " <= character <= "\x7f":
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02X}{units[at + 1]:02X}" for at in range(0, len(units), 2))


def _java_replacement(text: str) -> str:
    return re.sub(r"\\(.)|\$(\d)", lambda m: re.escape(m[1]) if m[1] else f"\\{m[2]}", text)


_OBJECT = {
    "toString": _java_text,
    "equals": lambda self, other: _JavaBoolean(type(self) is type(other) and self == other),
}
_TEXT = {
    "length": len,
    "replaceAll": lambda self, pattern, new: re.sub(pattern, _java_replacement(new), self),
    "startsWith": lambda self, prefix: _JavaBoolean(self.startswith(prefix)),
    "endsWith": lambda self, suffix: _JavaBoolean(self.endswith(suffix)),
    "matches": lambda self, pattern: _JavaBoolean(re.fullmatch(pattern, self) is not None),
    "contains": lambda self, part: _JavaBoolean(part in self),
    "substring": lambda self, start, end=None: self[start:end],
    "indexOf": lambda self, part: self.find(part),
    "toUpperCase": str.upper,
    "toLowerCase": str.lower,
    "trim": str.strip,
    "isEmpty": lambda self: _JavaBoolean(not self),
    "equalsIgnoreCase": lambda self, other: _JavaBoolean(isinstance(other, str) and self.lower() == other.lower()),
}
_MAP = {
    "keySet": lambda self: _JavaList(self.keys()),
    "entrySet": lambda self: _JavaList(_JavaMap(key=key, value=value) for key, value in self.items()),
    "containsKey": lambda self, key: _JavaBoolean(key in self),
    "isEmpty": lambda self: _JavaBoolean(not self),
    "size": len,
    "put": lambda self, key, value: self.update({key: value}) or "",
}
_LIST = {
    "size": len,
    "isEmpty": lambda self: _JavaBoolean(not self),
    "get": lambda self, index: self[index],
    "contains": lambda self, value: _JavaBoolean(value in self),
    "add": lambda self, value: _JavaBoolean(self.append(value) is None),
}
airspeed.__additional_methods__.update(
    {
        str: _OBJECT | _TEXT,
        dict: _OBJECT | _MAP,
        _JavaMap: _OBJECT | _MAP,
        list: _OBJECT | _LIST,
        _JavaList: _OBJECT | _LIST,
        int: _OBJECT,
        float: _OBJECT,
        bool: _OBJECT,
        _JavaBoolean: _OBJECT,
    }
)
