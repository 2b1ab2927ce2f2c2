"""API Gateway's check of a request body against its model, with the messages that API Gateway gives."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft4Validator, ValidationError, validators

from . import aws_json


def _pattern(_validator: object, pattern: str, value: object, _schema: object) -> Iterator[ValidationError]:
    """As ECMA 262 reads it: classes are ASCII's, and `$` is not satisfied before a last line break."""
    if isinstance(value, str) and not re.search(re.sub(r"\$\Z", r"\\Z", pattern), value, re.ASCII):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


_Validator = validators.extend(Draft4Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


def problem(body: str, schema: Mapping[str, Any]) -> str | None:
    """What is wrong with `body`, as `$context.error.validationErrorString` says it; None where nothing is."""
    try:
        value = aws_json.loads(body or "{}")
    except ValueError:
        return "Invalid JSON"
    errors = sorted(_Validator(dict(schema)).iter_errors(value), key=lambda error: list(map(str, error.path)))
    messages = list(dict.fromkeys(_message(error) for error in errors))
    return f"[{', '.join(messages)}]" if messages else None


def _message(error: ValidationError) -> str:
    """The words of the Java validator that API Gateway uses (github.com/java-json-tools/json-schema-validator)."""
    value: Any = error.instance
    limit: Any = error.validator_value
    schema: Any = error.schema
    match error.validator:
        case "required":
            missing = sorted(name for name in limit if name not in value)
            return f"object has missing required properties ({_json(missing)})"
        case "additionalProperties":
            known = schema.get("properties", {})
            unknown = ",".join(_json(name) for name in sorted(value) if name not in known)
            return f"object instance has properties which are not allowed by the schema: [{unknown}]"
        case "type":
            allowed = limit if isinstance(limit, list) else [limit]
            return (
                f"instance type ({_type(value)}) does not match any allowed primitive type (allowed: {_json(allowed)})"
            )
        case "maxLength":
            return f"string {_json(value)} is too long (length: {len(value)}, maximum allowed: {limit})"
        case "minLength":
            return f"string {_json(value)} is too short (length: {len(value)}, required minimum: {limit})"
        case "pattern":
            return f"ECMA 262 regex {_json(limit)} does not match input string {_json(value)}"
        case "enum":
            return f"instance value ({_json(value)}) not found in enum (possible values: {_json(limit)})"
    return str(error.message)


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number"}
    return names[type(value)]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
