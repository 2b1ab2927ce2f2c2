"""Validation of an event against the record type."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.errors import InvalidRequest
from shared.record_type import RecordType
from upload_object import request
from upload_samples import RECORD_TYPE, event

DONOR = RecordType.from_json(json.dumps(RECORD_TYPE))
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


def parse(event: object) -> request.Request:
    return request.parse(event, DONOR, ("createDonor", "importDonor"))


def test_an_empty_string_means_not_given() -> None:
    parsed = parse(event())
    assert parsed.record == {"donorUserName": "ada", "email": "ada@example.org"}
    assert (parsed.idempotency_key, parsed.fabric_username) == ("", "")
    assert parsed.chaincode_function == "createDonor"
    absent = dict.fromkeys(("requestId", "idempotencyKey", "fabricUsername", "functionType"))
    assert parse(event(chaincodeFunction=None, **absent)).chaincode_function == "createDonor"


def test_what_is_given_is_taken() -> None:
    parsed = parse(
        event(idempotencyKey="k 1", fabricUsername="auditor", functionType="invoke", chaincodeFunction="importDonor")
    )
    assert (parsed.idempotency_key, parsed.fabric_username) == ("k 1", "auditor")
    assert parsed.chaincode_function == "importDonor"
    assert parsed.request_id == "JKJaXmPLvHcESHA="


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"donorUserName": None}, "donorUserName: missing"),
        ({"email": None}, "email: missing"),
        ({"image": None}, "image: missing"),
        ({"donorUserName": ""}, "donorUserName: must not be empty"),
        ({"email": ""}, "email: must not be empty"),
        ({"donorUserName": 7}, "donorUserName: must be a text"),
        ({"email": ["a@b"]}, "email: must be a text"),
        ({"image": {"x": 1}}, "image: must be a text"),
        ({"image": True}, "image: must be a text"),
        ({"donorUserName": "x" * 65}, "donorUserName: 65 characters; at most 64"),
        ({"email": "x" * 255}, "email: 255 characters; at most 254"),
        ({"donorUserName": "a/b"}, "donorUserName: must not contain"),
        ({"donorUserName": "."}, "donorUserName: must not contain"),
        ({"donorUserName": ".."}, "donorUserName: must not contain"),
        ({"donorUserName": " ada"}, "donorUserName: must not begin or end with white space"),
        ({"donorUserName": "ada\u2028"}, "donorUserName: must not begin or end with white space"),
        ({"donorUserName": "a\x00b"}, "donorUserName: must not contain control"),
        ({"donorUserName": "a\nb"}, "donorUserName: must not contain control"),
        ({"donorUserName": "a\x85b"}, "donorUserName: must not contain control"),
        ({"donorUserName": "a\uffffb"}, "donorUserName: must not contain control"),
        ({"donorUserName": "a\ud83d"}, "donorUserName: contains half of a surrogate pair"),
        ({"email": "\udc00@x"}, "email: contains half of a surrogate pair"),
        ({"requestId": "a b"}, "requestId: "),
        ({"requestId": "ä"}, "requestId: "),
        ({"requestId": "x" * 129}, "requestId: "),
        ({"requestId": 1}, "requestId: must be a text"),
        ({"idempotencyKey": "x" * 256}, "idempotencyKey "),
        ({"idempotencyKey": "a\tb"}, "idempotencyKey "),
        ({"idempotencyKey": "a\n"}, "idempotencyKey "),
        ({"idempotencyKey": "ключ"}, "idempotencyKey "),
        ({"fabricUsername": 5}, "fabricUsername: must be a text"),
        ({"fabricUsername": "x" * 129}, "fabricUsername: longer"),
        ({"functionType": "queryString"}, "functionType: "),
        ({"chaincodeFunction": "deleteAll"}, 'chaincodeFunction: "deleteAll" is not one of createDonor, importDonor'),
        ({"chaincodeFunction": "queryDonor"}, "chaincodeFunction: "),
        ({"Email": "x"}, '"Email": unknown field'),
        ({'x"\n' + "y" * 500: "x"}, r'"x\"\nyyy'),
        ({"": "x"}, '"": unknown field'),
    ],
)
def test_a_refusal_names_the_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse(event(**changes))
    assert refusal.value.message.startswith(named)
    assert len(refusal.value.message) < 400


@pytest.mark.parametrize("event", [None, [], "x", 5])
def test_an_event_that_is_no_object_is_refused(event: object) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object"):
        parse(event)


def test_the_identifier_is_bounded_in_bytes_too() -> None:
    assert parse(event(donorUserName="😀" * 64)).record["donorUserName"] == "😀" * 64
    wide = RecordType.from_json(json.dumps(RECORD_TYPE).replace('"maxLength": 64', '"maxLength": 100'))
    with pytest.raises(InvalidRequest, match="longer than 256 bytes"):
        request.parse(event(donorUserName="😀" * 65), wide, ())


def test_a_field_that_is_not_required_may_be_absent_or_empty() -> None:
    optional = RecordType.from_json(
        json.dumps(RECORD_TYPE | {"ledgerFields": [*DONOR_FIELDS, {"name": "note", "required": False, "maxLength": 3}]})
    )
    assert "note" not in request.parse(event(), optional, ()).record
    assert request.parse(event(note=""), optional, ()).record["note"] == ""
    with pytest.raises(InvalidRequest, match="note: 4 characters"):
        request.parse(event(note="four"), optional, ())


DONOR_FIELDS = RECORD_TYPE["ledgerFields"]


@pytest.mark.parametrize(
    "name", ["O'Brien", 'a"b', "a\\b", "ü", "e\u0301", "日本", "👩‍👩‍👧", "a b", "$x #y @@", "...", "a%2Fb"]
)
def test_names_that_people_have_pass_unchanged(name: str) -> None:
    assert parse(event(donorUserName=name)).record["donorUserName"] == name


@given(name=TEXT, email=TEXT)
def test_every_accepted_field_is_unchanged_and_every_refusal_is_typed(name: str, email: str) -> None:
    with suppress(InvalidRequest):
        record = parse(event(donorUserName=name, email=email)).record
        assert record == {"donorUserName": name, "email": email}


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=3)


@given(st.dictionaries(st.sampled_from(sorted(event())) | st.text(), JSON))
def test_no_event_gets_anything_but_a_typed_refusal(changes: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        parse(event(**changes))
