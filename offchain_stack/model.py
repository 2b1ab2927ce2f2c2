"""What the models of the settings share: how plain values, as in a file, are read into dataclasses by pydantic.

Each part of a type's metadata is a Marker, so that the reference shows the types in a readable form.
"""

import functools
import json
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import ConfigDict, Discriminator, GetCoreSchemaHandler, GetJsonSchemaHandler, Tag, TypeAdapter
from pydantic import ValidationError as PydanticError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from .mistakes import Mistake, Mistakes, camel_case, mistakes_of, quoted

T = TypeVar("T")

MODEL = ConfigDict(alias_generator=camel_case, extra="forbid", strict=True)
"""Of each dataclass that is read: names in camelCase, no unknown ones, and no value of another type."""


@dataclass(frozen=True, eq=False, repr=False)
class Marker:
    """Metadata of a type: `text` for the reference, what pydantic makes of the type, and what its JSON schema adds."""

    text: str
    core: Callable[[Any, GetCoreSchemaHandler], Any] = lambda source, handler: handler(source)
    schema: Mapping[str, Any] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        made: CoreSchema = self.core(source, handler)
        return made

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | dict(self.schema or {})

    def __repr__(self) -> str:
        return self.text


def _bounded(text: str, **bounds: Any) -> Marker:
    return Marker(text, lambda source, handler: {**handler(source), **bounds})


def _without_none(source: Any) -> Any:
    if get_origin(source) not in (Union, types.UnionType):
        return source
    return Union[tuple(kind for kind in get_args(source) if kind is not type(None))]  # noqa: UP007


IfGiven = Annotated[T | None, Marker("if given", lambda source, handler: handler(_without_none(source)))]
"""None if it was left out, which differs from a null in the file."""

Many = Annotated[tuple[T, ...], _bounded("one at least", min_length=1)]
Count = Annotated[int, _bounded("1 or more", ge=1)]


def between(least: int, most: int) -> Marker:
    """A number from `least` to `most`."""
    return _bounded(f"{least} to {most}", ge=least, le=most)


def at_least(number: int) -> Marker:
    """A number from `number` on."""
    return _bounded(f"at least {number}", ge=number)


def at_most(number: int) -> Marker:
    """A number up to `number`."""
    return _bounded(f"at most {number}", le=number)


def length(least: int, most: int) -> Marker:
    """A text of `least` to `most` characters."""
    return _bounded(f"{least} to {most} characters", min_length=least, max_length=most)


def matching(pattern: str) -> Marker:
    """A text that `pattern`, a regular expression of Rust and of JavaScript, matches as a whole."""
    return _bounded(f"matches {pattern}", pattern=f"^(?:{pattern})$")


def one_of(values: Sequence[str | int]) -> Marker:
    """One of `values`."""
    text = f"one of {', '.join(map(str, values))}"
    return Marker(text, lambda source, handler: core_schema.literal_schema(list(values)))


def described(text: str, example: Any, **more: Any) -> Marker:
    """What a setting means, and a value that it may have; `more` for its JSON schema."""
    shown = f"{text}, such as {json.dumps(example)}"
    return Marker(shown, schema={"description": text, "examples": [example], **more})


def checked(check: Callable[[Any], T], *, text: str = "checked", **schema: Any) -> Marker:
    """What `check` returns for a value; it raises ValueError for a wrong one. `schema` says the same to editors."""
    return Marker(
        text,
        lambda source, handler: core_schema.no_info_after_validator_function(check, handler(source)),
        schema,
    )


def made_of(form: Any, make: Callable[[Any], Any]) -> Marker:
    """A value that is written as `form`, and which `make` makes of that."""
    return Marker(
        "made of what is written",
        lambda _, handler: core_schema.no_info_after_validator_function(make, handler.generate_schema(form)),
    )


def text_or(text: Any, kind: type[Any]) -> Any:
    """A `text`, or an object that is read into the dataclass `kind`."""

    def which(value: Any) -> str | None:
        return "<text>" if isinstance(value, str) else "<object>" if isinstance(value, dict | kind) else None

    return Annotated[
        Annotated[text, Tag("<text>")] | Annotated[kind, Tag("<object>")],
        Discriminator(which),
    ]


def distinct(key: Callable[[Any], str] = str) -> Marker:
    """A list no two of which have the same `key`."""

    def require(values: tuple[Any, ...]) -> tuple[Any, ...]:
        keys = [key(value) for value in values]
        if twins := [each for each in keys if keys.count(each) > 1]:
            raise ValueError(f"{quoted(twins[0])} is there twice; give each once")
        return values

    return checked(require, text="no two alike")


@dataclass(frozen=True, repr=False)
class Form:
    """The form of a text: a regular expression of Python and of JavaScript for the whole, and how a message says it."""

    pattern: str
    rule: str
    or_empty: bool = False

    def require(self, value: str) -> str:
        """`value`, if it has this form. Raises ValueError."""
        if not re.fullmatch(self.pattern, value) and (value or not self.or_empty):
            raise ValueError(f"{quoted(value)} {self.rule}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.require, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core) | {"pattern": f"^(?:{self.pattern}){'?' * self.or_empty}$"}

    def __repr__(self) -> str:
        return f"{self.rule}, or empty" if self.or_empty else self.rule


class _Readable(GenerateJsonSchema):
    """Without titles that only repeat names and defaults that stand for none, and with examples as they are written."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        default = schema.get("default")
        known = default in (None, "", ()) or "default" in inner
        return inner if known else inner | {"default": self.encode_default(default)}


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@functools.cache
def json_schema(kind: Any) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what is read into the dataclass `kind`."""
    return _adapter(kind).json_schema(mode="validation", schema_generator=_Readable)


def read(kind: Callable[..., T], values: object) -> T:
    """A `kind`, which is a dataclass, of plain `values`: texts, numbers, booleans, lists and objects. Raises Mistakes,
    which has all of them."""
    try:
        # As JSON, and not as Python: there a strict model would refuse a list for a tuple.
        value: T = _adapter(kind).validate_json(json.dumps(values))
    except PydanticError as error:
        raise Mistakes(mistakes_of(error, json_schema(kind))) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise Mistakes([Mistake(path=(), what=f"must be plain values, as JSON has them: {error}")]) from error
    return value
