"""API Gateway's mapping templates: Velocity rendered by airspeed, with `$input`, `$util`, `$context`, stage variables.

Where API Gateway is known to differ from plain Velocity 1.7, this module does as API Gateway: a reference without a
value is an empty string, which is true in `#if` (in Velocity it is null, which is false and prints as the reference
itself), and an empty body reads as `{}`.
"""

import base64
import contextvars
import functools
import json
import operator
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import airspeed

from . import aws_json

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


_Calculate = Callable[[Any, Any], Any]


def _true(value: object) -> bool:
    """Velocity takes nothing for false but false and null: an empty string, 0 and an empty list are true."""
    return value is not None and not (isinstance(value, bool | _JavaBoolean) and not value)


def _of_numbers(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Of anything else Velocity says false, and goes on."""
    return lambda left, right: isinstance(left, int | float) and isinstance(right, int | float) and compare(left, right)


class _Condition(airspeed.Condition):  # type: ignore[misc]
    calculate: _Calculate

    def parse(self) -> None:
        super().parse()
        calculate = self.calculate
        self.calculate = lambda namespace, loader: _true(calculate(namespace, loader))


class _SetDirective(airspeed.SetDirective):  # type: ignore[misc]
    def evaluate_raw(self, stream: Any, namespace: Any, loader: Any) -> None:
        value = self.value.calculate(namespace, loader)
        *parents, name = self.terms
        # Velocity leaves a variable as it is if null would be put into it.
        if value is not None and parents:
            functools.reduce(operator.getitem, parents, namespace)[name] = value
        elif value is not None:
            namespace.set_inherited(name, value)


class _NameOrCall(airspeed.NameOrCall):  # type: ignore[misc]
    def calculate(self, current_object: Any, loader: Any, top_namespace: Any) -> Any:
        """As Java's beans have it, `$text.empty` is `$text.isEmpty()`."""
        value = super().calculate(current_object, loader, top_namespace)
        if value is None and self.parameters is None:
            methods = airspeed.__additional_methods__.get(type(current_object), {})
            getter = methods.get(f"is{self.name[:1].upper()}{self.name[1:]}")
            value = getter and getter(current_object)
        return value


class _FormalReference(airspeed.FormalReference):  # type: ignore[misc]
    calculate: _Calculate | None

    def parse(self) -> None:
        super().parse()
        if self.calculate and not _plain_velocity.get():
            calculate = self.calculate
            self.silent = "!"
            self.calculate = lambda namespace, loader: _text_if_null(calculate(namespace, loader))


def _text_if_null(value: Any) -> Any:
    return "" if value is None else value


_plain_velocity: contextvars.ContextVar[bool] = contextvars.ContextVar("plain", default=False)
"""Of the template that is parsed now: airspeed's elements take no argument."""

airspeed.Condition, airspeed.SetDirective = _Condition, _SetDirective
airspeed.NameOrCall, airspeed.FormalReference = _NameOrCall, _FormalReference
airspeed.UnaryOperatorValue.OPERATORS = dict.fromkeys(("!", "not"), lambda value: not _true(value))
airspeed.BinaryOperator.OPERATORS |= (
    dict.fromkeys(("&&", "and"), lambda left, right: _true(left) and _true(right))
    | dict.fromkeys(("||", "or"), lambda left, right: _true(left) or _true(right))
    | dict.fromkeys((">", "gt"), _of_numbers(operator.gt))
    | dict.fromkeys((">=", "ge"), _of_numbers(operator.ge))
    | dict.fromkeys(("<", "lt"), _of_numbers(operator.lt))
    | dict.fromkeys(("<=", "le"), _of_numbers(operator.le))
)


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
    plain: bool = False,
) -> str:
    """Render `template`. `context` is `$context` and keeps what the template sets in it, such as
    `context["responseOverride"]["status"]`. `plain`: a reference without a value is null, as in plain Velocity, and not
    an empty string. Raises TemplateError.
    """
    names = {
        "input": _Input(request),
        "util": _Util(),
        "context": context,
        "stageVariables": _JavaMap(stage_variables or {}),
    }
    try:
        return str(_parsed(template, plain).merge(names))
    except airspeed.TemplateError as error:
        raise TemplateError(str(error)) from error


@functools.lru_cache(maxsize=128)
def _parsed(template: str, plain: bool) -> airspeed.Template:
    token = _plain_velocity.set(plain)
    try:
        parsed = airspeed.Template(template)
        parsed.ensure_compiled()
    finally:
        _plain_velocity.reset(token)
    return parsed


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


MISSING = object()


def json_path(value: Any, path: str, missing: Any = None) -> Any:
    """The value at a JSONPath made of `$`, `.name`, `['name']` and `[index]`; `missing` if there is none.

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
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else missing
        else:
            key = next(part for part in (name, *quoted) if part is not None)
            value = value.get(key, missing) if isinstance(value, dict) else missing
        position = step.end()
    return value


class _Input:
    def __init__(self, request: Request) -> None:
        self._request = request
        self.body = request.body or "{}"

    @functools.cached_property
    def _document(self) -> Any:
        try:
            return aws_json.loads(self.body)
        except ValueError:
            return self.body

    def json(self, path: str) -> str:
        value = json_path(self._document, path, MISSING)
        return "" if value is MISSING else _json_text(value)

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


def _units(text: str) -> bytes:
    """Java's characters, two bytes each: a character beyond U+FFFF is two of them."""
    return text.encode("utf-16-le", "surrogatepass")


def _of_units(units: bytes) -> str:
    return units.decode("utf-16-le", "surrogatepass")


_OBJECT = {
    "toString": _java_text,
    "equals": lambda self, other: _JavaBoolean(type(self) is type(other) and self == other),
}
_TEXT = {
    "length": lambda self: len(_units(self)) // 2,
    "replaceAll": lambda self, pattern, new: re.sub(pattern, _java_replacement(new), self),
    "startsWith": lambda self, prefix: _JavaBoolean(self.startswith(prefix)),
    "endsWith": lambda self, suffix: _JavaBoolean(self.endswith(suffix)),
    "matches": lambda self, pattern: _JavaBoolean(re.fullmatch(pattern, self) is not None),
    "contains": lambda self, part: _JavaBoolean(part in self),
    "substring": lambda self, start, end=None: _of_units(_units(self)[2 * start : None if end is None else 2 * end]),
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
