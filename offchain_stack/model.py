"""What the models of the settings share: how plain values, as in a file, are read into dataclasses by pydantic."""

import functools
import json
import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetPydanticSchema,
    Tag,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from .mistakes import Mistake, Mistakes, camel_case, mistakes_of

T = TypeVar("T")


MODEL = ConfigDict(alias_generator=camel_case, extra="forbid", strict=True)
"""Of each dataclass that is read: names in camelCase, no unknown ones, and no value of another type."""


def _without_none(source: Any) -> Any:
    if get_origin(source) not in (Union, types.UnionType):
        return source
    return Union[tuple(kind for kind in get_args(source) if kind is not type(None))]  # noqa: UP007


IfGiven = Annotated[T | None, GetPydanticSchema(lambda source, handler: handler(_without_none(source)))]
"""None if it was left out, which differs from a null in the file."""


def described(text: str, example: Any, **more: Any) -> Any:
    """What a setting means, and a value that it may have."""
    return Field(description=text, examples=[example], json_schema_extra=more or None)


def matching(pattern: str) -> Any:
    """A text that `pattern`, a regular expression of Rust and of JavaScript, matches as a whole."""
    return Field(pattern=f"^(?:{pattern})$")


def made_of(form: Any, make: Callable[[Any], Any]) -> GetPydanticSchema:
    """A value that is written as `form`, and which `make` makes of that."""
    return GetPydanticSchema(
        lambda _, handler: core_schema.no_info_after_validator_function(make, handler.generate_schema(form))
    )


def text_or(text: Any, kind: type[Any]) -> Any:
    """A `text`, or an object that is read into the dataclass `kind`."""

    def which(value: Any) -> str | None:
        return "<text>" if isinstance(value, str) else "<object>" if isinstance(value, dict | kind) else None

    return Annotated[
        Annotated[text, Tag("<text>")] | Annotated[kind, Tag("<object>")],
        Discriminator(which),
    ]


def distinct(key: Callable[[Any], str] = str) -> AfterValidator:
    """A list no two of which have the same `key`."""

    def require(values: tuple[Any, ...]) -> tuple[Any, ...]:
        keys = [key(value) for value in values]
        if twins := [each for each in keys if keys.count(each) > 1]:
            raise ValueError(f"{twins[0]!r} is there twice; give each once")
        return values

    return AfterValidator(require)


class _InOrder(GenerateJsonSchema):
    """Keeps the keys of examples in the order in which they are written."""

    def sort(self, value: dict[str, Any], parent_key: str | None = None) -> dict[str, Any]:
        return value


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@functools.cache
def json_schema(kind: Any) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what is read into the dataclass `kind`."""
    return _adapter(kind).json_schema(mode="validation", schema_generator=_InOrder)


def read(kind: Callable[..., T], values: object) -> T:
    """A `kind`, which is a dataclass, of plain `values`: texts, numbers, booleans, lists and objects. Raises Mistakes,
    which has all of them."""
    try:
        # As JSON, and not as Python: there a strict model would refuse a list for a tuple.
        value: T = _adapter(kind).validate_json(json.dumps(values))
    except ValidationError as error:
        raise Mistakes(mistakes_of(error, json_schema(kind))) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise Mistakes([Mistake(path=(), what=f"must be plain values, as JSON has them: {error}")]) from error
    return value
