"""The Lambda functions of a template, named as newcomers find them in the sources."""

import json
from collections.abc import Mapping
from typing import Any

from .template import Template, short_name, text

FUNCTION = "AWS::Lambda::Function"


def variables(template: Template, function: str) -> Mapping[str, Any]:
    """A function's environment."""
    found: Mapping[str, Any] = template.resources[function]["Properties"].get("Environment", {}).get("Variables", {})
    return found


def record_type(template: Template, function: str) -> Mapping[str, Any] | None:
    """The record type that a function is for, as it has it in `RECORD_TYPE`."""
    found = variables(template, function).get("RECORD_TYPE")
    return json.loads(text(found)) if found else None


def function_name(template: Template, function: str) -> str:
    """The folder of its sources, for a function of this project; else its logical id."""
    if record_type(template, function) is None:
        return short_name(function)
    handler: str = template.resources[function]["Properties"]["Handler"]
    return handler.partition(".")[0]
