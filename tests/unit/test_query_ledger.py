"""The query function, through its Lambda handler, on the Fabric emulation."""

import base64
import datetime
import json
import os
import string
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from query_ledger import handler as query_ledger
from shared import errors
from shared.ledger import environment, messages
from shared.ledger.interface import Call
from shared.ledger.transport import Connection
from shared.payload import MOST_BYTES

from sandbox.fabric import FabricEmulation
from sandbox.fabric.chaincode import ChaincodeError, Stub
from tests.unit.deployment import (
    CACHES,
    Context,
    forget_all_records,
    ledger_environment,
    store_identity,
    write_as_another_client,
)
from tests.unit.fabric_fixtures import (
    TIMING,
    Donor,
    Fabric,
    client_identity,
    fabric,
    fabric_of_module,
    network_of,
)
from tests.unit.signals import CORRELATION_ID, Signals

__all__ = ["fabric", "fabric_of_module"]

EMPTY_EVENT = {"limit": "", "nextToken": "", "verify": "", "inline": ""}
NOTHING = {"validationCode": None, "blockNumber": None, "timestamp": None}


def ask(query: str, *, remaining: float = 3.0, **event: Any) -> dict[str, Any]:
    return query_ledger.handler({"query": query} | event, Context(remaining))  # type: ignore[no-any-return]


def deploy(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in ledger_environment(fabric).items():
        monkeypatch.setenv(name, text)
    store_identity(fabric.identity)
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture
def ledger(fabric: Fabric, aws_emulation: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fabric]:
    """The workshop's chaincode without records, and the function deployed on it."""
    forget_all_records(fabric)
    deploy(fabric, monkeypatch)
    yield fabric
    environment.ledger().close()
    for cache in CACHES:
        cache.cache_clear()


def create(fabric: Fabric, donor: Donor) -> str:
    """Returns the id of the transaction that created `donor`, which every peer has."""
    transaction_id = fabric.submit(environment.ledger(), donor.request()).transaction_id  # type: ignore[arg-type]
    while not all(fabric.record(donor, peer=peer.index) for peer in fabric.emulation.peers):
        time.sleep(0.005)
    return transaction_id


class Scripted:
    """A chaincode that answers every query with `answer`, and without one refuses."""

    queries = frozenset({"queryDonor", "queryAllDonors"})

    def __init__(self) -> None:
        self.answer: bytes | None = None

    def invoke(self, stub: Stub, function: str, args: Sequence[bytes]) -> bytes:
        if self.answer is None:
            raise ChaincodeError("no answer")
        return self.answer


@pytest.fixture(scope="module")
def network_of_another_chaincode() -> Iterator[tuple[Fabric, Scripted]]:
    scripted = Scripted()
    with FabricEmulation(chaincodes={"ngo": scripted}) as emulation:
        yield Fabric(emulation, client_identity(emulation)), scripted


@pytest.fixture
def another_chaincode(
    network_of_another_chaincode: tuple[Fabric, Scripted], aws_emulation: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scripted]:
    """The function deployed where another chaincode stands in the workshop's place."""
    fabric, scripted = network_of_another_chaincode
    deploy(fabric, monkeypatch)
    yield scripted
    environment.ledger().close()
    for cache in CACHES:
        cache.cache_clear()


# One record


def test_a_record_has_the_fields_that_the_record_type_names(ledger: Fabric) -> None:
    donor = Donor(name="ada")
    create(ledger, donor)
    assert ledger.record(donor) == donor.fields | {"docType": "donor"}
    assert ask("record", identifier="ada", verify="", inline="") == {
        "answer": donor.fields,
        "hasObject": True,
        "identifier": "ada",
        "byChecksum": False,
        "inline": False,
    }


@pytest.mark.parametrize(
    ("options", "by_checksum", "inline"),
    [
        ({}, False, False),
        ({"verify": None, "inline": None}, False, False),
        ({"verify": "checksum", "inline": "false"}, True, False),
        ({"verify": "", "inline": "true"}, False, True),
        ({"verify": "checksum", "inline": "true"}, True, True),
    ],
)
def test_what_is_asked_of_the_object_is_handed_on(
    options: dict[str, Any], by_checksum: bool, inline: bool, ledger: Fabric
) -> None:
    write_as_another_client(ledger, "ada", json.dumps(Donor(name="ada").fields).encode())
    found = ask("record", identifier="ada", **options)
    assert (found["byChecksum"], found["inline"]) == (by_checksum, inline)


@pytest.mark.parametrize("key", [0, False, [], {}, 7, "x"])
def test_whatever_else_stands_in_the_keys_place_names_an_object(key: Any, ledger: Fabric) -> None:
    write_as_another_client(ledger, "ada", json.dumps({"donorUserName": "ada", "imageKey": key}).encode())
    found = ask("record", identifier="ada")
    assert found["hasObject"] is True
    assert found["answer"] == {"donorUserName": "ada", "imageKey": key}


def record_of(size: int, letter: str = "x") -> bytes:
    """A donor's record of `size` bytes as JSON, as nearly as `letter` allows; more in other fields."""
    fields = {"donorUserName": "ada", "email": ""}
    length = len(letter.encode())
    fields["email"] = letter * ((size - len(json.dumps(fields))) // length)
    return json.dumps(fields | {"notes": "x" * 300_000}, ensure_ascii=False).encode()


@pytest.mark.parametrize("letter", ["x", "ü", "\U0001f600"])
def test_a_record_is_answered_up_to_its_limit_in_bytes_and_refused_beyond(letter: str, ledger: Fabric) -> None:
    write_as_another_client(ledger, "ada", record_of(MOST_BYTES, letter))
    assert set(ask("record", identifier="ada")["answer"]["email"]) == {letter}
    write_as_another_client(ledger, "ada", record_of(MOST_BYTES + len(letter.encode()), letter))
    with pytest.raises(errors.DataTooLarge) as raised:
        ask("record", identifier="ada")
    assert type(raised.value).__name__ == "ImageTooLarge"
    assert raised.value.message.startswith("donorUserName: ")
    assert str(MOST_BYTES) in raised.value.message


@pytest.mark.parametrize("key", [{}, {"imageKey": ""}, {"imageKey": None}])
def test_a_record_that_names_no_object_says_so(key: dict[str, Any], ledger: Fabric) -> None:
    fields = {"donorUserName": "ada", "email": "ada@example.org"}
    write_as_another_client(ledger, "ada", json.dumps(fields | key).encode())
    found = ask("record", identifier="ada")
    assert found["hasObject"] is False
    assert found["answer"]["image"] is None
    assert found["answer"].items() >= fields.items()


@pytest.mark.parametrize(
    ("encoded", "name"),
    [
        ("ada", "ada"),
        ("%61da", "ada"),
        ("%C3%9Cn%C3%AF%20%22x%22", 'Ünï "x"'),
        ("Ünï", "Ünï"),
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("100%25", "100%"),
        ("%2561da", "%61da"),
        ("%", "%"),
        ("%F0%9F%98%80", "\U0001f600"),
        ("%5C%27", "\\'"),
    ],
)
def test_the_identifier_is_percent_decoded_once(encoded: str, name: str, ledger: Fabric) -> None:
    donor = Donor(name=name)
    create(ledger, donor)
    found = ask("record", identifier=encoded)
    assert (found["identifier"], found["answer"]) == (name, donor.fields)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20).filter(
        lambda name: "/" not in name and name.strip(".")
    )
)
def test_every_name_that_a_record_may_have_is_read_by_it(name: str, ledger: Fabric) -> None:
    fields = Donor(name=name).fields
    write_as_another_client(ledger, name, json.dumps(fields).encode())
    assert ask("record", identifier=quote(name, safe=""))["answer"] == fields


def test_an_absent_record_is_not_found(ledger: Fabric) -> None:
    with pytest.raises(errors.RecordNotFound) as raised:
        ask("record", identifier="nobody")
    assert type(raised.value).__name__ == "DonorNotFound"
    assert "donorUserName" in raised.value.message


@pytest.mark.parametrize("lagging", [0, 1])
def test_a_record_is_found_while_a_peer_lags_behind(lagging: int, ledger: Fabric) -> None:
    ledger.emulation.peers[lagging].pause_commits()
    donor = Donor(name="ada")
    ledger.submit(environment.ledger(), donor.request())  # type: ignore[arg-type]
    assert ledger.record(donor, peer=lagging) is None
    assert ask("record", identifier="ada")["answer"] == donor.fields


@pytest.mark.parametrize("event", [{"query": "record", "identifier": "ada"}, {"query": "list"}])
@pytest.mark.parametrize("unable", [0, 1])
def test_the_other_peer_is_asked_where_one_cannot_run_the_chaincode(
    unable: int, event: dict[str, str], ledger: Fabric
) -> None:
    donor = Donor(name="ada")
    create(ledger, donor)
    ledger.emulation.faults.place("chaincode", "refuse", node=unable, times=None)
    answer = ask(**event)
    assert donor.fields in (answer.get("answer"), *answer.get("donors", ()))


EVERY_QUERY = [
    {"query": "record", "identifier": "ada"},
    {"query": "list"},
    {"query": "transaction", "transactionId": "ab" * 32},
    {"query": "committed", "transactionIds": ["ab" * 32], "key": "k"},
]


@pytest.mark.parametrize("event", EVERY_QUERY, ids=lambda event: event["query"])
def test_without_peers_the_ledger_is_unavailable(event: dict[str, Any], ledger: Fabric) -> None:
    for peer in ledger.emulation.peers:
        peer.kill()
    with pytest.raises(errors.LedgerUnavailable):
        ask(**event)


@pytest.mark.parametrize("event", EVERY_QUERY[:2], ids=lambda event: event["query"])
def test_a_chaincode_that_no_peer_can_run_is_no_absent_record(event: dict[str, Any], ledger: Fabric) -> None:
    ledger.emulation.chaincode_down(True)
    with pytest.raises(errors.LedgerUnavailable):
        ask(**event)


@pytest.mark.parametrize("event", EVERY_QUERY, ids=lambda event: event["query"])
def test_an_answer_comes_before_lambda_stops_the_function(
    event: dict[str, Any], ledger: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FABRIC_TIMING")
    environment.ledger.cache_clear()
    ledger.emulation.faults.place("query", "hang", times=None)
    began = time.monotonic()
    with pytest.raises(errors.LedgerUnavailable):
        ask(**event, remaining=1.1)
    assert time.monotonic() - began < 1.0


# Refusals


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"query": "record", "identifier": ""}, "donorUserName"),
        ({"query": "record", "identifier": "a%2Fb"}, "donorUserName"),
        ({"query": "record", "identifier": "a/b"}, "donorUserName"),
        ({"query": "record", "identifier": "%2E%2E"}, "donorUserName"),
        ({"query": "record", "identifier": "."}, "donorUserName"),
        ({"query": "record", "identifier": "%FF"}, "donorUserName"),
        ({"query": "record", "identifier": "%ED%A0%80"}, "donorUserName"),
        ({"query": "record", "identifier": "\ud800"}, "donorUserName"),
        ({"query": "record", "identifier": "a%00b"}, "donorUserName"),
        ({"query": "record", "identifier": "a%0A"}, "donorUserName"),
        ({"query": "record", "identifier": "%20a"}, "donorUserName"),
        ({"query": "record", "identifier": "a" * 65}, "donorUserName"),
        ({"query": "record", "identifier": "ada", "verify": "bytes"}, "verify"),
        ({"query": "record", "identifier": "ada", "verify": "Checksum"}, "verify"),
        ({"query": "record", "identifier": "ada", "inline": "1"}, "inline"),
        ({"query": "record", "identifier": "ada", "inline": "TRUE"}, "inline"),
        *(
            ({"query": "list", "limit": text}, "limit")
            for text in ("0", "01", "1001", "99999", "-1", "1e2", " 1", "1٣")
        ),
        *(
            ({"query": "list", "nextToken": text}, "nextToken")
            for text in ("!", "=", "ZA==", "ZB", "_w", "ü", "\ud800")
        ),
        *(
            ({"query": "transaction", "transactionId": text}, "transactionId")
            for text in ("", "ab" * 31, "ab" * 33, "AB" * 32, "xy" * 32, "ab" * 32 + "\n")
        ),
    ],
)
def test_a_wrong_field_is_refused_by_name_before_the_ledger_is_asked(
    event: dict[str, str], field: str, ledger: Fabric
) -> None:
    asked = ledger.emulation.faults.place("query", "refuse", times=None)
    with pytest.raises(errors.InvalidRequest) as raised:
        ask(**event)
    assert raised.value.message.startswith(f"{field}: ")
    assert asked.met == 0


def test_a_query_that_there_is_not_is_a_fault_of_the_deployment(ledger: Fabric) -> None:
    with pytest.raises(errors.InternalError):
        ask("everything")


# The list


def fill(fabric: Fabric, names: Sequence[str], **fields: str) -> None:
    for name in names:
        write_as_another_client(fabric, name, json.dumps({"donorUserName": name} | fields).encode())


def pages(limit: str = "") -> list[list[str]]:
    """The names of all pages, each asked for with the token of the one before."""
    found: list[list[str]] = []
    token = ""
    while len(found) < 99:
        page = ask("list", limit=limit, nextToken=token)
        assert page.keys() <= {"donors", "nextToken"}
        found.append([record["donorUserName"] for record in page["donors"]])
        if "nextToken" not in page:
            return found
        token = page["nextToken"]
        assert set(token) <= set(string.ascii_letters + string.digits + "-_")
    raise AssertionError("the pages do not end")


def test_an_empty_ledger_lists_nothing(ledger: Fabric) -> None:
    assert ask("list") == {"donors": []}


def test_the_list_has_the_fields_that_the_record_type_names(ledger: Fabric) -> None:
    donors = [Donor(name="ada"), Donor(name="bob")]
    for donor in donors:
        create(ledger, donor)
    assert ask("list") == {"donors": [donor.fields for donor in donors]}


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [("1", [1] * 7), ("2", [2, 2, 2, 1]), ("6", [6, 1]), ("7", [7]), ("8", [7]), ("1000", [7]), ("", [7])],
)
def test_pages_are_as_long_as_asked_and_together_the_list(limit: str, sizes: list[int], ledger: Fabric) -> None:
    names = ["Zed", "ada", "bob", "cécile", "dora d", "yü", "y\U0001f600"]
    fill(ledger, names)
    found = pages(limit)
    assert [len(page) for page in found] == sizes
    assert [name for page in found for name in page] == sorted(names)


def test_a_page_has_a_hundred_records_where_nothing_is_asked(ledger: Fabric) -> None:
    fill(ledger, [f"n{number:03}" for number in range(101)])
    assert [len(page) for page in pages()] == [100, 1]


@pytest.mark.parametrize(("length", "sizes"), [(60_000, [3, 3, 1]), (150_000, [1] * 7)])
def test_a_page_carries_no_more_than_the_workflow_can(length: int, sizes: list[int], ledger: Fabric) -> None:
    names = [f"n{number}" for number in range(7)]
    fill(ledger, names, email="x" * length)
    found = pages("5")
    assert [len(page) for page in found] == sizes
    assert [name for page in found for name in page] == names


@pytest.mark.parametrize(("letter", "size"), [("x", 1), ("ü", 2), ("李", 3), ("\U0001f600", 4), ("\x01", 6), ('"', 2)])
def test_a_page_counts_bytes_of_utf_8_and_jsons_own_escapes(letter: str, size: int, ledger: Fabric) -> None:
    letters, rest = divmod(MOST_BYTES // 2 - len(json.dumps({"donorUserName": "ada", "email": ""})), size)
    fill(ledger, ["ada", "bob"], email=letter * letters + "x" * rest)
    assert pages() == [["ada", "bob"]]
    fill(ledger, ["bob"], email=letter * letters + "x" * (rest + 1))
    assert pages() == [["ada"], ["bob"]]


def test_the_largest_record_that_is_answered_is_listed_too(ledger: Fabric) -> None:
    rest = len(json.dumps({"donorUserName": "ada", "email": ""}))
    fill(ledger, ["ada"], email="x" * (MOST_BYTES - rest))
    fill(ledger, ["bob"], email="x" * (MOST_BYTES - rest + 1))
    fill(ledger, ["cleo"])
    assert pages() == [["ada"], ["cleo"]]


LONGEST_KEY = 1024


def test_a_page_never_ends_with_a_key_that_no_url_could_carry(ledger: Fabric) -> None:
    fits, too_long = "b" * (LONGEST_KEY - len("donor")), "c" * (LONGEST_KEY - len("donor") + 1)
    fill(ledger, ["a", fits, too_long, "d"])
    assert pages("1") == [["a"], [fits], ["d"]]
    assert pages() == [["a", fits, "d"]]


def test_records_that_come_and_go_between_pages_shift_no_other(ledger: Fabric) -> None:
    fill(ledger, ["b", "d", "f"])
    first = ask("list", limit="2")
    fill(ledger, ["a", "e"])
    for peer in ledger.emulation.peers:
        peer.ledger.state.write("ngo", "donord", None, (0, 0))
    second = ask("list", limit="2", nextToken=first["nextToken"])
    assert [record["donorUserName"] for record in second["donors"]] == ["e", "f"]
    assert "nextToken" not in second


TOKENS = st.one_of(
    st.text(max_size=12),
    st.text(string.ascii_letters + string.digits + "-_+/=", max_size=24),
    st.binary(max_size=12).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")),
    st.sampled_from(["donor", "donorb", "donorc", "donorzz"]).map(
        lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=TOKENS)
def test_no_token_yields_more_than_an_end_of_the_list(token: str, ledger: Fabric) -> None:
    names = ["a", "b", "c"]
    fill(ledger, names)
    try:
        page = [record["donorUserName"] for record in ask("list", nextToken=token)["donors"]]
    except errors.InvalidRequest as error:
        assert error.message.startswith("nextToken: ")  # noqa: PT017
        return
    assert page == names[len(names) - len(page) :]


def test_a_changed_token_is_refused(ledger: Fabric) -> None:
    fill(ledger, ["ada", "bob", "cleo"])
    token = ask("list", limit="1")["nextToken"]
    assert base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)) == b"donorada"
    for changed in (f"{token}=", token[:-1] + "F", f" {token}", f"{token}\n"):
        with pytest.raises(errors.InvalidRequest):
            ask("list", nextToken=changed)


@pytest.mark.parametrize("slow", [0, 1])
def test_a_list_is_awaited_for_longer_than_other_queries(slow: int, ledger: Fabric) -> None:
    fill(ledger, ["ada"])
    ledger.emulation.faults.place("query", "hang", node=slow, times=None, hold=TIMING.evaluate + 0.1)
    ledger.emulation.faults.place("query", "refuse", node=1 - slow, times=None)
    assert ask("list") == {"donors": [{"donorUserName": "ada"}]}


# A chaincode whose answers are not what is expected


DEEP = b"[" * 100_000
NO_RECORDS = [b"not JSON", b"", b'"ada"', b"null", b"7", b"[]", b'{"donorUserName": "ada"', b"\xff", DEEP]


def nested(levels: int) -> bytes:
    """A record of so many levels."""
    return b'{"donorUserName": "b", "email": ' + b"[" * (levels - 1) + b"7" + b"]" * (levels - 1) + b"}"


def with_mail(value: bytes) -> bytes:
    return b'{"donorUserName": "b", "email": ' + value + b"}"


UNREADABLE = {
    "a number of 5,000 digits": with_mail(b"1" * 5_000),
    "a negative one": with_mail(b"-" + b"1" * 5_000),
    "a number of 309 digits": with_mail(b"9" * 309),
    "a fraction beyond a double": with_mail(b"1e309"),
    "such a number in a field of no interest": b'{"donorUserName": "b", "x": {"y": [1e309]}}',
    "NaN": with_mail(b"NaN"),
    "Infinity": with_mail(b"Infinity"),
    "-Infinity": with_mail(b"-Infinity"),
    "65 levels": nested(65),
    "900 levels": nested(900),
    "5,000 levels": nested(5_000),
    "200,000 levels": nested(200_000),
    "65 levels of objects": b'{"a":' * 65 + b"7" + b"}" * 65,
    "a text": b'"b"',
    "a list": b"[]",
    "null": b"null",
}
"""Records that are no JSON objects which every reader takes."""

READABLE: dict[str, tuple[bytes, Any]] = {
    "a number of 308 digits": (with_mail(b"9" * 308), int("9" * 308)),
    "64 levels": (nested(64), json.loads(nested(64))["email"]),
    "a name twice": (b'{"donorUserName": "x", "email": "x", "donorUserName": "b", "email": "y"}', "y"),
    "half a surrogate pair": (with_mail(b'"a\\ud800"'), "a?"),
    "half a surrogate pair in capitals": (with_mail(b'{"\\uDC00": ["\\uD83D"]}'), {"?": ["?"]}),
    "a whole pair": (with_mail(b'"\\ud83d\\ude00"'), "\U0001f600"),
    "bytes that are not UTF-8": (with_mail(b'"a\xed\xa0\x80\xffb"'), "a\ufffd\ufffd\ufffd\ufffdb"),
    "brackets in a text": (with_mail(rb'"]}, {\"[\\"'), ']}, {"[\\'),
    "a byte order mark in a text": (with_mail("\ufeff".encode().join([b'"', b'"'])), "\ufeff"),
}
"""Odd records, and what is read as their mail address."""


@pytest.mark.parametrize("answer", [each for each in NO_RECORDS if each], ids=lambda answer: repr(answer[:10]))
def test_a_record_that_is_no_object_is_unreadable(answer: bytes, another_chaincode: Scripted) -> None:
    another_chaincode.answer = answer
    with pytest.raises(errors.RecordUnreadable) as raised:
        ask("record", identifier="ada")
    assert answer.decode(errors="replace") not in str(raised.value)


@pytest.mark.parametrize("record", UNREADABLE.values(), ids=UNREADABLE)
def test_a_record_that_not_every_reader_takes_is_refused_by_the_name_it_is_under(
    record: bytes, another_chaincode: Scripted
) -> None:
    another_chaincode.answer = record
    with pytest.raises(errors.RecordUnreadable, match="donorUserName: ") as raised:
        ask("record", identifier="b")
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(("record", "mail"), READABLE.values(), ids=READABLE)
def test_an_odd_record_is_read_alike_by_itself_and_in_the_list(
    record: bytes, mail: Any, another_chaincode: Scripted
) -> None:
    another_chaincode.answer = record
    fields = {"donorUserName": "b", "email": mail}
    assert ask("record", identifier="b")["answer"] == fields | {"image": None}
    another_chaincode.answer = b'[{"Key": "b", "Record": ' + record + b"}]"
    assert ask("list") == {"donors": [fields]}
    another_chaincode.answer = b'[{"Key": "a", "Record": NaN}, {"Key": "b", "Record": ' + record + b"}]"
    assert ask("list") == {"donors": [fields]}


@pytest.mark.parametrize("answer", [b"", None])
def test_a_chaincode_that_returns_nothing_or_refuses_has_no_record(
    answer: bytes | None, another_chaincode: Scripted
) -> None:
    another_chaincode.answer = answer
    with pytest.raises(errors.RecordNotFound):
        ask("record", identifier="ada")


@pytest.mark.parametrize(
    "answer",
    [
        *(each for each in NO_RECORDS if each not in (b"", b"[]")),
        b"{}",
        b"[7]",
        b"[null]",
        b'[{"donorUserName": "ada"}]',
        b'[{"Key": "donorada"}]',
        b'[{"Key": 7, "Record": {}}]',
        b'[{"Key": "donorada", "Record": {}}, {"Key": "donorada", "Record": {}}]',
        b'[{"Key": "donorada", "Record": NaN}, 7]',
        b'[{"Key": "donorada", "Record": NaN}',
        b'[{"Key": "donorada", "Record": NaN}}]',
        b'[{"Key": "donorada", "Record": NaN}] []',
        b'[{"Key": "donorada", "Record": NaN}], []',
        b'[{"Key": "donorada", "Record": NaN}, ]',
        b'[{"Key": NaN, "Record": {}}]',
        b'[{"Key": 1e999, "Record": NaN}]',
        b'[{"Record": NaN}]',
        b'[{"Key" "donorada", "Record": NaN}]',
        b'[{"Key": "donorada", NaN}]',
        b'{"Key": "donorada", "Record": NaN}',
        b'[{"Key": "donorada", "Record": NaN}, {"Key": "donorada", "Record": {}}]',
    ],
    ids=lambda answer: repr(answer[:40]),
)
def test_a_list_of_anything_but_keys_and_records_is_unreadable(answer: bytes, another_chaincode: Scripted) -> None:
    another_chaincode.answer = answer
    with pytest.raises(errors.RecordUnreadable):
        ask("list")


@pytest.mark.parametrize("odd", [None, "{}", [], 7, {"donorUserName": "x" * 200_000}], ids=lambda odd: str(odd)[:9])
def test_a_record_that_cannot_be_listed_hides_no_other(odd: Any, another_chaincode: Scripted) -> None:
    entries = [{"Key": key, "Record": {"donorUserName": key}} for key in ("a", "c")] + [{"Key": "b", "Record": odd}]
    another_chaincode.answer = json.dumps(entries).encode()
    assert pages("1") == [["a"], ["c"]]


@pytest.mark.parametrize("odd", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_record_that_not_every_reader_takes_hides_no_other(
    place: int, odd: bytes, another_chaincode: Scripted
) -> None:
    entries = [b'{"Key":"%b","Record":{"donorUserName":"%b"}}' % (key, key) for key in (b"a", b"c")]
    entries.insert(place, b' { "Record" : ' + odd + b' , "Key" : "b" } ')
    another_chaincode.answer = b"\n[ " + b" ,\t".join(entries) + b" ]\r\n"
    assert pages("1") == [["a"], ["c"]]


def test_a_list_in_another_order_comes_in_the_keys_order(another_chaincode: Scripted) -> None:
    entries = [{"Key": key, "Record": {"donorUserName": key}, "More": 1} for key in ("b", "é", "a", "B")]
    another_chaincode.answer = json.dumps(entries).encode()
    assert pages("1") == [["B"], ["a"], ["b"], ["é"]]


def test_a_list_that_the_chaincode_refuses_is_refused(another_chaincode: Scripted) -> None:
    another_chaincode.answer = None
    with pytest.raises(errors.ChaincodeRejected):
        ask("list")


def test_no_answer_at_all_is_an_empty_list(another_chaincode: Scripted) -> None:
    another_chaincode.answer = b""
    assert ask("list") == {"donors": []}


# Transactions


def order(fabric: Fabric, call: Call) -> str:
    """Order a transaction that no peer endorsed; returns its id as soon as all peers have it."""
    network = network_of(fabric.emulation)
    proposal = messages.propose(fabric.identity, network.channel, network.chaincode, call, os.urandom(24))
    orderer = Connection(network.orderers[0], network.tls_roots, TIMING)
    orderer.call(messages.BROADCAST, messages.assemble_unendorsed(proposal), 1.0)
    while proposal.transaction_id not in {t.tx_id for t in fabric.emulation.transactions()}:
        time.sleep(0.005)
    return proposal.transaction_id


def test_a_committed_transaction_is_valid(ledger: Fabric) -> None:
    before = datetime.datetime.now(datetime.UTC)
    transaction_id = create(ledger, Donor())
    found = ask("transaction", transactionId=transaction_id)
    (block,) = {t.block_number for t in ledger.emulation.transactions() if t.tx_id == transaction_id}
    time_of_it = found.pop("timestamp")
    assert found == {
        "transactionId": transaction_id,
        "status": "VALID",
        "validationCode": "VALID",
        "blockNumber": block,
    }
    assert time_of_it.endswith("Z")
    assert len(time_of_it) == len("2026-11-29T12:00:00.000Z")
    passed = datetime.datetime.fromisoformat(time_of_it) - before
    assert -0.002 < passed.total_seconds() < 5


def test_an_invalid_transaction_says_why(ledger: Fabric) -> None:
    transaction_id = order(ledger, Call(function="createDonor", arguments=("{}",)))
    found = ask("transaction", transactionId=transaction_id)
    assert (found["status"], found["validationCode"]) == ("INVALID", "INVALID_CHAINCODE")
    assert found["blockNumber"] == ledger.emulation.height - 1


def test_a_transaction_that_the_ledger_does_not_have_is_not_found(ledger: Fabric) -> None:
    found = ask("transaction", transactionId="ab" * 32)
    assert found == {"transactionId": "ab" * 32, "status": "NOT_FOUND"} | NOTHING


def test_a_transaction_that_claims_no_real_time_has_none(ledger: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    create(ledger, Donor())  # opens the stream of blocks, whose request has a time too
    monkeypatch.setattr(messages, "_now", lambda: messages.Timestamp(seconds=253_402_300_800))
    transaction_id = create(ledger, Donor())
    found = ask("transaction", transactionId=transaction_id)
    assert (found["status"], found["timestamp"]) == ("VALID", None)


def test_the_transaction_that_committed_an_object_is_named(ledger: Fabric) -> None:
    donor, other = Donor(), Donor()
    created, others = create(ledger, donor), create(ledger, other)
    key = donor.fields["imageKey"]
    assert ask("committed", transactionIds=["ab" * 32, others, created], key=key) == {"transactionId": created}
    for ids in ([], ["ab" * 32], [others], ["ab" * 32, others]):
        assert ask("committed", transactionIds=ids, key=key) == {}


def test_an_invalid_transaction_commits_no_object(ledger: Fabric) -> None:
    donor = Donor()
    transaction_id = order(ledger, donor.request().call)
    assert ask("committed", transactionIds=[transaction_id], key=donor.fields["imageKey"]) == {}


# What operators see


def test_its_lines_name_the_request_and_the_transaction(ledger: Fabric, signals: Signals) -> None:
    transaction_id = create(ledger, Donor(name="ada"))
    for answered in ({"transactionId": transaction_id}, {"transactionId": "f" * 64}):
        ask("transaction", correlationId=CORRELATION_ID, **answered)
    with pytest.raises(errors.RecordNotFound):
        ask("record", identifier="bob", correlationId=CORRELATION_ID, **EMPTY_EVENT)
    signals.require_correlated("invocation")
    named = [line["transactionId"] for line in signals.log if line["message"] == "Answered"]
    assert named == [transaction_id, "f" * 64]
    assert signals.message("Refused")["error"] == "DonorNotFound"
    assert signals.metrics() == {"Answered": [1.0, 1.0], "RecordNotFound": [1.0]}
