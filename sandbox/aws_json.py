"""JSON as the services of AWS read it, where Python's reader takes more."""

import json
import re
from typing import Any

MAX_DEPTH = 200
"""Levels of arrays and objects. AWS documents no bound; moto's interpreter is good for some 400."""

_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.S)


def loads(text: str) -> Any:
    """The value of `text`. Raises ValueError if it is not JSON, has a number that is none (NaN, Infinity) or is nested
    too deep."""
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
