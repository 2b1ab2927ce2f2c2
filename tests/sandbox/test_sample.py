"""The sample request that `up` offers: what a record type demands is in it, whatever the type."""

import base64
import json
import re
from typing import Any

import pytest
from shared.record_type import RecordType as Functions
from upload_object import content_type, request

from offchain_stack import LedgerField, RecordType
from sandbox import request_model, sample

PATTERNS = (
    r"INV-\d{4}-\d{1,7}",
    r"[A-Z_]{3,5}",
    r"(?:abc|b)+\w?",
    r"a?b?c?",
    r"[a-z]*",
    r"\.\-[\w.]+",
    r"(ab|)?x{0,2}",
    r"[-a]b",
    r"x{3}|y",
    r"[0-9]{4}(-[0-9]{2}){2}",
    r"\(\d\)",
)
CONTENT_TYPES = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/svg+xml",
    "application/pdf",
    "application/octet-stream",
)


def record_type(*fields: LedgerField, content_types: tuple[str, ...] = ("image/png",), **props: Any) -> RecordType:
    return RecordType(
        name="Thing",
        identifying_field=fields[0].name,
        ledger_fields=fields,
        data_field="scan",
        content_types=content_types,
        create_function="createThing",
        read_function="queryThing",
        list_function="queryAllThings",
        **props,
    )


def accepted(of: RecordType) -> dict[str, str]:
    """The sample for a record type, once the API's model and the upload function's own checks have taken it."""
    environment = of.to_environment()["RECORD_TYPE"]
    arguments = sample.arguments(json.loads(environment))
    assert arguments is not None
    assert request_model.problem(json.dumps({"chaincodeFunctionArgs": arguments}), of.request_schema()) is None
    functions = Functions.from_json(environment)
    parsed = request.parse({"chaincodeFunctionArgs": arguments}, functions, (of.create_function,))
    content_type.determine(base64.b64decode(parsed.data), None, functions)
    return parsed.record


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_text_matches_the_fields_pattern(pattern: str) -> None:
    record = accepted(record_type(LedgerField(name="number", max_length=20, pattern=pattern)))
    assert re.fullmatch(pattern, record["number"], re.ASCII)


def test_what_is_required_is_there_and_no_longer_than_it_may_be() -> None:
    fields = (
        LedgerField(name="number", max_length=3),
        LedgerField(name="email", max_length=254),
        LedgerField(name="note", max_length=9, required=False),
    )
    assert accepted(record_type(*fields)) == {"number": "sam", "email": "ada@example.org"}


@pytest.mark.parametrize("name", CONTENT_TYPES)
def test_there_is_data_of_each_type(name: str) -> None:
    accepted(record_type(LedgerField(name="number", max_length=9), content_types=(name,)))


def test_the_data_is_no_larger_than_it_may_be() -> None:
    field = LedgerField(name="number", max_length=9)
    accepted(record_type(field, max_data_bytes=100))
    environment = record_type(field, max_data_bytes=10).to_environment()["RECORD_TYPE"]
    assert sample.arguments(json.loads(environment)) is None
