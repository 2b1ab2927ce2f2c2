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
from upload_samples import EXECUTION_ID, RECORD_TYPE, event

DONOR = RecordType.from_json(json.dumps(RECORD_TYPE))
TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


def parse(event: object) -> request.Request:
    return request.parse(event, DONOR, ("createDonor", "importDonor"))


def test_an_empty_string_means_not_given() -> None:
    parsed = parse(event())
    assert parsed.record == {"donorUserName": "ada", "email": "ada@example.org"}
    assert (parsed.idempotency_key, parsed.fabric_username) == ("", "")
    assert parsed.chaincode_function == "createDonor"
    absent = dict.fromkeys(("idempotencyKey", "fabricUsername", "functionType", "executionId"))
    assert parse(event(chaincodeFunction=None, **absent)) == parse(event(executionId="", submission=None))


def test_what_is_given_is_taken() -> None:
    parsed = parse(
        event(idempotencyKey="k 1", fabricUsername="auditor", functionType="invoke", chaincodeFunction="importDonor")
    )
    assert (parsed.idempotency_key, parsed.fabric_username) == ("k 1", "auditor")
    assert parsed.chaincode_function == "importDonor"
    assert parsed.execution_id == EXECUTION_ID


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
        ({"executionId": "a b"}, "executionId: "),
        ({"executionId": "ä"}, "executionId: "),
        ({"executionId": "x" * 513}, "executionId: "),
        ({"executionId": 1}, "executionId: must be a text"),
        ({"submission": "admin"}, "submission: must be a JSON object"),
        ({"submission": {"user": "admin"}}, "submission has an unknown field. Known are caller,"),
        ({"caller": 7}, "caller: must be a text"),
        ({"idempotencyKey": "x" * 256}, "idempotencyKey "),
        ({"idempotencyKey": "a\tb"}, "idempotencyKey "),
        ({"idempotencyKey": "a\n"}, "idempotencyKey "),
        ({"idempotencyKey": "ключ"}, "idempotencyKey "),
        ({"fabricUsername": 5}, "fabricUsername: must be a text"),
        ({"fabricUsername": "x" * 129}, "fabricUsername: longer"),
        ({"functionType": "queryString"}, "functionType: "),
        ({"chaincodeFunction": "deleteAll"}, "chaincodeFunction: this API allows createDonor, importDonor"),
        ({"chaincodeFunction": "queryDonor"}, "chaincodeFunction: "),
        ({"Email": "x"}, "chaincodeFunctionArgs has an unknown field. Known are donor"),
        ({'x"\n' + "y" * 500: "x"}, "chaincodeFunctionArgs has an unknown field."),
        ({"": "x"}, "chaincodeFunctionArgs has an unknown field."),
    ],
)
def test_a_refusal_names_the_field(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse(event(**changes))
    assert refusal.value.message.startswith(named)
    assert len(refusal.value.message) < 400


@pytest.mark.parametrize("wrong", [None, [], [{"donorUserName": "ada"}], "x", "{}", "", 5, 2.5, True, False])
def test_arguments_that_are_no_object_are_refused_by_name(wrong: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse({"chaincodeFunctionArgs": wrong, "submission": {}, "executionId": "e"})
    assert refusal.value.message == "chaincodeFunctionArgs: must be a JSON object."
    with pytest.raises(InvalidRequest, match="The request must be a JSON object"):
        parse(wrong)


def test_an_event_without_arguments_or_with_a_field_beside_them_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="chaincodeFunctionArgs: missing"):
        parse(event(chaincodeFunctionArgs=None))
    with pytest.raises(InvalidRequest) as refusal:
        parse(event() | {"donorUserName": "eve"})
    assert refusal.value.message.startswith("The request has an unknown field.")


@pytest.mark.parametrize("name", ["caller", "fabricUsername", "idempotencyKey", "requestId", "executionId"])
def test_an_argument_does_not_pass_for_what_the_workflow_says(name: str) -> None:
    sent = event()
    sent["chaincodeFunctionArgs"][name] = "admin"
    with pytest.raises(InvalidRequest) as refusal:
        parse(sent)
    assert refusal.value.message == "chaincodeFunctionArgs has an unknown field. Known are donorUserName, email, image."


@pytest.mark.parametrize(
    "place",
    ["chaincodeFunctionArgs", "submission", "executionId", "donorUserName", "image", "idempotencyKey", "caller"],
)
@pytest.mark.parametrize(
    "wrap", [lambda inner: [inner], lambda inner: {"donorUserName": inner}], ids=["list", "object"]
)
def test_a_value_of_20_000_levels_is_refused_like_any_other(place: str, wrap: Any) -> None:
    deep: Any = "x"
    for _ in range(20_000):
        deep = wrap(deep)
    with pytest.raises(InvalidRequest):
        parse(event(**{place: deep}))


def test_a_request_id_is_ignored() -> None:
    assert parse(event(requestId="a b")) == parse(event())


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
