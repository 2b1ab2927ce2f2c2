"""The record type as a deployment describes it, and as its functions read it."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import fields, record_type
from shared.errors import InvalidRequest

from offchain_stack.record_type import DONOR, LedgerField, RecordType
from tests.unit.upload_samples import RECORD_TYPE

INVOICE: dict[str, Any] = {
    "name": "Invoice",
    "identifying_field": "invoiceNumber",
    "ledger_fields": (
        LedgerField(name="invoiceNumber", max_length=40),
        LedgerField(name="note", max_length=9, required=False),
    ),
    "data_field": "document",
    "content_types": ("application/pdf",),
    "create_function": "createInvoice",
    "read_function": "queryInvoice",
    "list_function": "queryAllInvoices",
}
INVOICE_VALUES: dict[str, Any] = {
    "name": "Invoice",
    "identifyingField": "invoiceNumber",
    "ledgerFields": [
        {"name": "invoiceNumber", "maxLength": 40},
        {"name": "note", "maxLength": 9, "required": False},
    ],
    "dataField": "document",
    "contentTypes": ["application/pdf"],
    "createFunction": "createInvoice",
    "readFunction": "queryInvoice",
    "listFunction": "queryAllInvoices",
}


def with_field(**props: Any) -> dict[str, Any]:
    """Props of an invoice with one more field."""
    return {"ledger_fields": (*INVOICE["ledger_fields"], LedgerField(max_length=1, **props))}


def test_a_short_description_is_completed() -> None:
    invoice = RecordType(**INVOICE)
    assert (invoice.path, invoice.key_prefix, invoice.max_data_bytes) == ("invoices", "invoices/", 184_320)
    assert invoice.query_functions == ("queryInvoice", "queryAllInvoices")
    assert json.loads(invoice.to_environment()["RECORD_TYPE"]) == INVOICE_VALUES | {
        "path": "invoices",
        "ledgerFields": [
            {"name": "invoiceNumber", "required": True, "maxLength": 40},
            {"name": "note", "required": False, "maxLength": 9},
        ],
        "keyPrefix": "invoices/",
        "maxDataBytes": 184_320,
        "alreadyExistsError": "InvoiceAlreadyExists",
        "notFoundError": "InvoiceNotFound",
        "invalidDataError": "InvalidDocument",
        "dataTooLargeError": "DocumentTooLarge",
        "objectTamperedError": "DocumentTampered",
        "objectMissingError": "DocumentMissing",
    }


def test_what_is_given_is_not_derived() -> None:
    given = {
        "path": "bills",
        "max_data_bytes": 1_000,
        "query_functions": ("queryInvoice",),
        "not_found_error": "NoSuchInvoice",
        "invalid_data_error": "NoPdf",
    }
    invoice = RecordType(**INVOICE | given)
    assert {name: getattr(invoice, name) for name in given} == given
    assert invoice.key_prefix == "bills/"


def test_the_donor_is_what_its_functions_have_always_read() -> None:
    assert json.loads(DONOR.to_environment()["RECORD_TYPE"]) == RECORD_TYPE
    assert json.loads(DONOR.callable_environment()["CHAINCODE_FUNCTIONS"]) == {
        "invoke": ["createDonor"],
        "query": ["queryDonor", "queryAllDonors"],
    }


def test_the_functions_read_what_the_deployment_wrote() -> None:
    described = RecordType(**INVOICE | with_field(name="currency", pattern="[A-Z]{3}"))
    read = record_type.RecordType.from_json(described.to_environment()["RECORD_TYPE"])
    for name in record_type.RecordType.__dataclass_fields__:
        if name != "ledger_fields":
            assert getattr(read, name) == getattr(described, name)
    assert [vars(field) for field in read.ledger_fields] == [vars(field) for field in described.ledger_fields]
    assert (read.key_field, read.hash_field, read.sha256_field) == described.object_fields


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "invoice"}, "name: 'invoice' must be"),
        ({"name": "In voice"}, "name: 'In voice' must be"),
        ({"name": "I" * 41}, "name: "),
        ({"path": "invoices/paid"}, "path: 'invoices/paid' must be one segment"),
        ({"path": "invoices\n"}, "path: "),
        ({"path": "{id}"}, "path: "),
        ({"path": "transactions"}, "path: 'transactions' is the API's own"),
        ({"path": "nextToken"}, "path: 'nextToken' is the API's own"),
        ({"key_prefix": "invoices"}, "key_prefix: 'invoices' must be"),
        ({"key_prefix": "/"}, "key_prefix: "),
        ({"key_prefix": "/invoices/"}, "key_prefix: "),
        ({"key_prefix": "a//b/"}, "key_prefix: "),
        ({"key_prefix": "../a/"}, "key_prefix: "),
        ({"key_prefix": "a*/"}, "key_prefix: "),
        ({"key_prefix": "${aws:username}/"}, "key_prefix: "),
        ({"key_prefix": "a" * 512 + "/"}, "key_prefix: "),
        ({"create_function": "create invoice"}, "create_function: 'create invoice' must be"),
        ({"create_function": "c" * 65}, "create_function: "),
        ({"read_function": ""}, "read_function: '' must be"),
        ({"list_function": 'a"b'}, "list_function: "),
        ({"query_functions": ("queryInvoice", "a b")}, "query_functions: 'a b' must be"),
        ({"ledger_fields": ()}, "identifying_field: 'invoiceNumber' is not one of ledger_fields []"),
        ({"identifying_field": "number"}, "identifying_field: 'number' is not one of ledger_fields ['invoiceNumber'"),
        ({"identifying_field": "note"}, "identifying_field: 'note' must be required"),
        (with_field(name="note"), "ledger_fields: 'note' stands there twice"),
        (with_field(name="document"), "data_field: 'document' is one of ledger_fields, too"),
        (with_field(name="documentKey"), "ledger_fields: 'documentKey' is made of data_field 'document'"),
        (with_field(name="documentHash"), "ledger_fields: 'documentHash' is made of"),
        (with_field(name="documentSha256"), "ledger_fields: 'documentSha256' is made of"),
        *(
            (with_field(name=name), f"ledger_fields: '{name}' has a meaning of its own")
            for name in (
                "correlationId",
                "requestId",
                "idempotencyKey",
                "fabricUsername",
                "functionType",
                "chaincodeFunction",
                "caller",
                "transactionId",
            )
        ),
        ({"data_field": "transactionId"}, "data_field: 'transactionId' makes 'transactionId', which"),
        ({"data_field": "idempotency"}, "data_field: 'idempotency' makes 'idempotencyKey', which"),
        ({"data_field": "the document"}, "data_field: 'the document' must be"),
        ({"data_field": ""}, "data_field: '' must be"),
        ({"not_found_error": "Forbidden"}, "not_found_error: 'Forbidden' means the same for every record type"),
        ({"invalid_data_error": "InvalidRequest"}, "invalid_data_error: 'InvalidRequest' means"),
        ({"object_missing_error": "InvoiceNotFound"}, "not_found_error: 'InvoiceNotFound' is the object_missing_error"),
        ({"object_missing_error": "document missing"}, "object_missing_error: 'document missing' must be"),
        ({"content_types": ()}, "content_types: give one at least of image/png, image/jpeg"),
        ({"content_types": ("text/csv",)}, "content_types: 'text/csv' is not known; known are image/png, image/jpeg"),
        ({"content_types": ("application/pdf",) * 2}, "content_types: 'application/pdf' stands there twice"),
        ({"max_data_bytes": -1}, "max_data_bytes: -1 bytes hold no data"),
        ({"max_data_bytes": 200_000}, "max_data_bytes: 200000 bytes in base64"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        RecordType(**INVOICE | change)


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"name": "invoice number"}, "name: 'invoice number' must be"),
        ({"name": "9lives"}, "name: "),
        ({"name": "a" * 65}, "name: "),
        ({"max_length": 0}, "max_length: 0 characters"),
        ({"pattern": ""}, "pattern: '' must be made of what means the same"),
        ({"pattern": "a)("}, "pattern: 'a)(' is no regular expression: unbalanced"),
        ({"pattern": "a{2,1}"}, "pattern: 'a{2,1}' is no regular expression: min repeat"),
        ({"pattern": "[b-a]"}, "pattern: '[b-a]' is no regular expression: bad character range"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        LedgerField(**{"name": "a", "max_length": 1} | props)


# Patterns

DIFFERENT = [
    *(".", "^a$", "a$", "[^a]", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?P<n>a)", "(?<n>a)", "(?i)a", "(?#a)", "(?>a)"),
    *(r"(a)\1", "a+?", "a++", "a{2}{3}", "a{,3}", "(*)", "{", "a]", "[]a]", "[]", "[[a]", "[a&&b]", "[+--]", "[😀]"),
    *(r"\s", r"\S", r"\D", r"\W", r"\b", r"\B", r"\A", r"\Z", r"\n", r"\x41", r"\u0041", r"\p{L}", "\n", "😀", "\\"),
]


@pytest.mark.parametrize("pattern", DIFFERENT)
def test_a_pattern_that_could_mean_another_thing_to_api_gateway_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^pattern: .* must be made of what means the same to API Gateway"):
        LedgerField(name="a", max_length=1, pattern=pattern)


MATCHING = {
    r"INV-\d{4}": (["INV-2026"], ["INV-2026\n", "INV-202", "xINV-2026", "INV-\u0662026", "inv-2026"]),
    "a|bc": (["a", "bc"], ["ac", "abc", "a\n", "bcbc"]),
    r"[A-Za-z0-9._%+-]+@(?:[a-z]+\.)+[a-z]{2,}": (["a.b+c@x.example.org"], ["a@b", "a b@x.org", "a@x.org\n"]),
    r"\w+(-\w+)*": (["a_1-b"], ["a-", "ä", "a--b", "\u017f"]),
    r"\(\d+(?:,\d{2})?\)": (["(12)", "(12,50)"], ["12", "(12,5)"]),
    r"[äöü]?[\]\[\^\\-]": (["ä]", "^", "\\", "-"], ["ä", "a]"]),
}


def api_gateway_matches(pattern: str, values: list[str]) -> list[str]:
    """Those of `values` in which `pattern` finds something, as ECMA 262 has it, which API Gateway follows."""
    node = shutil.which("node")
    assert node, "constructs need Node, too"
    script = (
        "const [p, ...v] = process.argv.slice(1); console.log(JSON.stringify(v.filter(t => new RegExp(p).test(t))))"
    )
    return json.loads(subprocess.check_output([node, "-e", script, "--", pattern, *values]))  # type: ignore[no-any-return]


@pytest.mark.parametrize("pattern", MATCHING)
def test_api_and_functions_hold_a_whole_value_against_the_pattern(pattern: str) -> None:
    number = LedgerField(name="number", max_length=40, pattern=pattern)
    described = RecordType(**INVOICE | {"identifying_field": "number", "ledger_fields": (number,)})
    field = record_type.RecordType.from_json(described.to_environment()["RECORD_TYPE"]).identifying
    anchored = described.request_schema()["properties"]["chaincodeFunctionArgs"]["properties"]["number"]["pattern"]
    good, bad = MATCHING[pattern]
    for value in good:
        assert fields.ledger_text(value, field) == value
    for value in bad:
        with pytest.raises(InvalidRequest) as refusal:
            fields.ledger_text(value, field)
        assert refusal.value.message == f"number: must match the pattern {pattern} as a whole."
    assert api_gateway_matches(anchored, good + bad) == good


@given(st.text(r"ab01_-.\\[](){}|?*+,^$&~ dwsS", max_size=12))
def test_an_accepted_pattern_compiles_with_its_anchors(pattern: str) -> None:
    try:
        field = LedgerField(name="a", max_length=1, pattern=pattern)
    except ValueError:
        return
    schema = RecordType(**INVOICE | {"ledger_fields": (*INVOICE["ledger_fields"], field)}).request_schema()
    anchored = schema["properties"]["chaincodeFunctionArgs"]["properties"]["a"]["pattern"]
    assert re.compile(anchored).groups == re.compile(pattern).groups


# Settings


def test_a_record_type_is_read_from_settings() -> None:
    assert RecordType.from_values(INVOICE_VALUES) == RecordType(**INVOICE)
    everything = json.loads(DONOR.to_environment()["RECORD_TYPE"]) | {"queryFunctions": list(DONOR.query_functions)}
    assert RecordType.from_values(everything) == DONOR
    with_pattern = {"ledgerFields": [{"name": "invoiceNumber", "maxLength": 40, "pattern": "[0-9]+"}]}
    assert RecordType.from_values(INVOICE_VALUES | with_pattern).ledger_fields[0].pattern == "[0-9]+"


@pytest.mark.parametrize("absent", INVOICE_VALUES)
def test_a_missing_key_is_named(absent: str) -> None:
    with pytest.raises(ValueError, match=f"^{absent}: missing$"):
        RecordType.from_values({name: value for name, value in INVOICE_VALUES.items() if name != absent})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "colour: there is no such key; known are name, path, identifyingField"),
        ({"key_prefix": "a/"}, "key_prefix: there is no such key"),
        ({"name": 7}, "name: must be a text"),
        ({"path": None}, "path: has no value, and must be a text"),
        ({"maxDataBytes": "1000"}, "maxDataBytes: must be a whole number"),
        ({"maxDataBytes": True}, "maxDataBytes: must be a whole number"),
        ({"contentTypes": "application/pdf"}, 'contentTypes: must be a list, not "application/pdf"'),
        ({"contentTypes": [7]}, "contentTypes[0]: must be 'image/png', 'image/jpeg'"),
        ({"ledgerFields": {"name": "a"}}, "ledgerFields: must be a list, not {"),
        ({"ledgerFields": ["invoiceNumber"]}, "ledgerFields[0]: must be an object with name, maxLength, required"),
        ({"ledgerFields": [{"name": "a"}]}, "ledgerFields[0].maxLength: missing"),
        ({"ledgerFields": [{"name": "a", "maxLength": 1, "required": 1}]}, "ledgerFields[0].required: must be true or"),
        ({"ledgerFields": [{"name": "a", "maxLength": 1, "size": 1}]}, "ledgerFields[0].size: there is no such key"),
        ({"ledgerFields": [{"name": "a", "maxLength": 0}]}, "ledgerFields[0].maxLength: must be 1 or more, not 0"),
        ({"keyPrefix": "invoices"}, "keyPrefix: 'invoices' must be"),
        ({"identifyingField": "x"}, "identifyingField: 'x' is not one of ledgerFields ["),
        ({"objectMissingError": "InvoiceNotFound"}, "notFoundError: 'InvoiceNotFound' is the objectMissingError, too"),
    ],
)
def test_a_wrong_value_in_settings_is_refused_by_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        RecordType.from_values(INVOICE_VALUES | change)


def test_all_mistakes_are_named_at_once() -> None:
    change = {"path": "a/b", "createFunction": "create()", "keyPrefix": "invoices", "identifyingField": "x"}
    with pytest.raises(ValueError, match=r"^path: ") as caught:
        RecordType.from_values(INVOICE_VALUES | change)
    keys = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert keys == ["path", "keyPrefix", "createFunction"]
    with pytest.raises(ValueError, match=r"^identifyingField: ") as caught:
        RecordType.from_values(INVOICE_VALUES | {"identifyingField": "x", "notFoundError": "Forbidden"})
    keys = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert keys == ["identifyingField", "notFoundError"]


def test_what_is_no_object_is_no_record_type() -> None:
    with pytest.raises(ValueError, match=r"^must be an object with name, path"):
        RecordType.from_values(["Invoice"])  # type: ignore[arg-type]
