"""The verify-all function, through its Lambda handler, on moto and the Fabric emulation."""

import base64
import hashlib
import itertools
import json
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared import errors
from shared.ledger import environment
from verify_all import audit
from verify_all import handler as verify_all

from tests.unit.deployment import (
    CACHES,
    Context,
    forget_all_records,
    ledger_environment,
    store_identity,
    write_as_another_client,
)
from tests.unit.fabric_fixtures import Fabric, fabric, fabric_of_module
from tests.unit.s3_faults import S3Faults
from tests.unit.signals import CORRELATION_ID, Signals
from tests.unit.upload_samples import JPEG, PNG

__all__ = ["fabric", "fabric_of_module"]

PREFIX = "ngo-donor-images/"
MINUTES_5 = 300.0
RESERVE = 70.0
"""Seconds that the function keeps for the objects under way."""
UNREADABLE_NUMBER = b'{"donorUserName": "zoe", "email": ' + b"1" * 5_000 + b"}"
NONE = {
    "verified": 0,
    "withoutObject": 0,
    "unverifiable": 0,
    "tampered": 0,
    "missing": 0,
    "unreadable": 0,
    "unrecorded": 0,
}


class Deployment:
    """The function as deployed on a ledger without records and an empty bucket."""

    def __init__(self, fabric: Fabric, bucket: Any) -> None:
        self.fabric, self.bucket = fabric, bucket

    def put(self, name: str, data: bytes = PNG, key: str = "") -> str:
        """Write an object of a donor; returns its version."""
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        arguments = {"ChecksumSHA256": checksum, "ChecksumAlgorithm": "SHA256"}
        return self.bucket.put_object(Key=key or f"{PREFIX}{name}/1.png", Body=data, **arguments).version_id  # type: ignore[no-any-return]

    def record(self, name: str, **changes: Any) -> None:
        """Write a donor's record; a change to None leaves the field out."""
        fields = {
            "docType": "donor",
            "donorUserName": name,
            "email": "ada@example.org",
            "imageKey": f"{PREFIX}{name}/1.png",
            "imageHash": hashlib.md5(PNG).hexdigest(),
            "imageSha256": hashlib.sha256(PNG).hexdigest(),
        } | changes
        kept = {field: value for field, value in fields.items() if value is not None}
        write_as_another_client(self.fabric, name, json.dumps(kept).encode())

    def donor(self, name: str) -> str:
        self.record(name)
        return self.put(name)

    def run(self, *, remaining: float = MINUTES_5, **event: Any) -> dict[str, Any]:
        return verify_all.handler(event, Context(remaining))  # type: ignore[no-any-return]


@pytest.fixture
def deployment(fabric: Fabric, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    forget_all_records(fabric)
    monkeypatch.setenv("S3_BUCKET", bucket.name)
    for name, text in ledger_environment(fabric).items():
        monkeypatch.setenv(name, text)
    store_identity(fabric.identity)
    for cache in CACHES:
        cache.cache_clear()
    yield Deployment(fabric, bucket)
    environment.ledger().close()
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture
def s3(deployment: Deployment) -> Iterator[S3Faults]:
    faults = S3Faults()
    yield faults
    faults.clear()


def counts(report: dict[str, Any]) -> dict[str, int]:
    """Those that are not 0."""
    assert report["counts"].keys() == NONE.keys()
    assert sum(report["counts"].values()) == report["examined"]
    return {name: number for name, number in report["counts"].items() if number}


def found(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["identifier"], finding["outcome"]) for finding in report["findings"]]


# What is found


def test_without_records_and_objects_there_is_nothing_to_find(deployment: Deployment) -> None:
    assert deployment.run() == {"total": 0, "examined": 0, "counts": NONE, "findings": [], "resumeAfter": None}


def test_good_records_are_counted_and_not_listed(deployment: Deployment) -> None:
    deployment.donor("ada")
    deployment.donor("bob")
    deployment.record("cleo", imageKey=None)
    deployment.put("dora")
    deployment.record("dora", imageHash=None, imageSha256=None)
    assert deployment.run() == {
        "total": 4,
        "examined": 4,
        "counts": NONE | {"verified": 2, "withoutObject": 1, "unverifiable": 1},
        "findings": [],
        "resumeAfter": None,
    }


def test_findings_say_what_is_wrong_and_what_is_still_good(deployment: Deployment) -> None:
    deployment.donor("ada")
    good = deployment.donor("bob")
    deployment.put("bob", JPEG)
    deployment.record("cleo")
    hidden = deployment.donor("dora")
    deployment.bucket.Object(f"{PREFIX}dora/1.png").delete()
    deployment.record("eve", imageKey=f"{PREFIX}ada/1.png")
    report = deployment.run()
    assert counts(report) == {"verified": 1, "tampered": 1, "missing": 3}
    messages = [finding.pop("message") for finding in report["findings"]]
    assert report["findings"] == [
        {"identifier": "bob", "outcome": "tampered", "key": f"{PREFIX}bob/1.png", "versionId": good},
        {
            "identifier": "cleo",
            "outcome": "missing",
            "key": f"{PREFIX}cleo/1.png",
            "versions": 0,
            "deleteMarker": False,
        },
        {
            "identifier": "dora",
            "outcome": "missing",
            "key": f"{PREFIX}dora/1.png",
            "versions": 1,
            "deleteMarker": True,
            "versionId": hidden,
        },
        {
            "identifier": "eve",
            "outcome": "missing",
            "key": f"{PREFIX}ada/1.png",
            "versions": 0,
            "deleteMarker": False,
        },
    ]
    assert [good in messages[0], hidden in messages[2], "not this record's own" in messages[3]] == [True] * 3


@pytest.mark.parametrize(
    ("operation", "within", "expected"),
    [
        ("GetObject", "ada/1.png", [("ada", "unreadable"), ("bob", "missing")]),
        ("ListObjectVersions", "bob", [("bob", "unreadable")]),
    ],
)
def test_an_object_that_s3_refuses_is_unreadable_and_stops_no_other(
    operation: str, within: str, expected: list[tuple[str, str]], deployment: Deployment, s3: S3Faults
) -> None:
    deployment.donor("ada")
    deployment.record("bob")
    deployment.donor("cleo")
    s3.refuse(operation, 403, "AccessDenied", within=within)
    report = deployment.run()
    assert found(report) == expected
    assert (report["examined"], report["resumeAfter"]) == (3, None)
    assert report["findings"][0]["key"] == f"{PREFIX}{expected[0][0]}/1.png"
    assert "AccessDenied" not in json.dumps(report)


def test_checksums_are_compared_without_reading_where_asked(deployment: Deployment, s3: S3Faults) -> None:
    deployment.donor("ada")
    deployment.record("bob")
    deployment.put("bob", JPEG)
    assert counts(deployment.run(byChecksum=True)) == {"verified": 1, "tampered": 1}
    assert s3.count("GetObject") == 0
    assert counts(deployment.run(byChecksum=False)) == {"verified": 1, "tampered": 1}
    assert s3.count("GetObject") == 2


@pytest.mark.parametrize("by_checksum", [True, False])
def test_an_object_that_takes_too_long_is_told_with_this_functions_own_parameter(
    by_checksum: bool, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.donor("ada")
    deployment.put("ada", JPEG)
    monkeypatch.setattr("verify_all.audit._PER_OBJECT", -1.0)
    (finding,) = deployment.run(byChecksum=by_checksum)["findings"]
    assert finding["outcome"] == "unreadable"
    assert finding["message"].endswith("later." if by_checksum else "later, or with byChecksum if it is large.")


# Names that the chaincode does not list


@pytest.mark.parametrize("name", ["zoe", "z", "{curly}", "~", "(x)", "Ünï", 'Zoë "x"', "a b+c%2F", "\U0001f600"])
def test_every_record_with_an_object_is_found_through_the_bucket(name: str, deployment: Deployment) -> None:
    deployment.donor("ada")
    deployment.donor(name)
    assert counts(deployment.run()) == {"verified": 2}
    deployment.put(name, JPEG)
    assert found(deployment.run()) == [(name, "tampered")]
    deployment.bucket.Object(f"{PREFIX}{name}/1.png").delete()
    assert found(deployment.run()) == [(name, "missing")]


@pytest.mark.parametrize("name", ["ada", "zoe", "a.b", "z.png", "Ünï"])
def test_objects_of_the_blogs_flow_are_found_through_the_bucket(name: str, deployment: Deployment) -> None:
    key = f"{PREFIX}{name}.png"
    deployment.record(name, imageKey=key, imageSha256=None, imageHash=f'"{hashlib.md5(PNG).hexdigest()}"')
    version = deployment.put(name, key=key)
    assert counts(deployment.run()) == {"verified": 1}
    deployment.bucket.Object(key).delete()
    assert found(deployment.run()) == [(name, "missing")]
    deployment.bucket.Object(key).Version(version).delete()
    assert found(deployment.run()) == [(name, "missing")]


def test_objects_without_a_record_are_counted_once_a_name(deployment: Deployment) -> None:
    deployment.donor("ada")
    for number in range(3):
        deployment.put("zoe", key=f"{PREFIX}zoe/{number}.png")
    deployment.put("", key=f"{PREFIX}/nameless.png")
    deployment.put("", key="elsewhere/x/1.png")
    report = deployment.run()
    assert (counts(report), report["findings"]) == ({"verified": 1, "unrecorded": 1}, [])


def test_a_record_outside_the_list_may_lag_at_one_peer(deployment: Deployment) -> None:
    deployment.donor("zoe")
    deployment.fabric.emulation.peers[0].ledger.state.write("ngo", "donorzoe", None, (0, 0))
    assert counts(deployment.run()) == {"verified": 1}


@pytest.mark.parametrize(
    ("claimed", "key", "hidden"),
    [
        (True, "true", "True"),
        (True, "true", "true"),
        (False, "false", "False"),
        (7, "7", "7"),
        (1.5, "1.5", "1.5"),
        (["ada"], "ada", "['ada']"),
        ([], "", "[]"),
        ({"a": 1}, "[object Object]", "{'a': 1}"),
        (None, "null", "None"),
        (None, "null", "null"),
        ("", "", "x"),
    ],
)
def test_a_name_that_is_no_text_hides_no_donor(claimed: Any, key: str, hidden: str, deployment: Deployment) -> None:
    deployment.donor("ada" if hidden != "ada" else "bob")
    deployment.record(hidden)
    deployment.put(hidden, JPEG)
    fields = {"donorUserName": claimed, "email": "a@example.org", "docType": "donor"}
    write_as_another_client(deployment.fabric, f"k{key}", json.dumps(fields).encode())
    report = deployment.run()
    by_name = dict(found(report))
    assert by_name.pop(hidden) == "tampered"
    # Without any name it is a record like others, under its key.
    assert by_name == ({} if claimed is None else {f"donork{key}": "unreadable"})
    assert counts(report).get("withoutObject", 0) == (1 if claimed is None else 0)
    assert report["total"] == report["examined"] == 3


@pytest.mark.parametrize("outcome", ["tampered", "missing", "verified"])
def test_a_donor_called_like_the_key_of_an_unreadable_record_is_verified_beside_it(
    outcome: str, deployment: Deployment
) -> None:
    name = "donorodd"
    deployment.record(name)
    if outcome != "missing":
        deployment.put(name, PNG if outcome == "verified" else JPEG)
    write_as_another_client(deployment.fabric, "odd", b"7")
    report = deployment.run()
    others = [] if outcome == "verified" else [(name, outcome)]
    assert found(report) == [*others, (name, "unreadable")]
    assert counts(report) == {outcome if others else "unreadable": 1}
    assert report["resumeAfter"] is None


ODD: dict[str, tuple[bytes, str]] = {
    "a number of 5,000 digits": (b'{"donorUserName": "odd", "x": ' + b"1" * 5_000 + b"}", "withoutObject"),
    "NaN": (b'{"donorUserName": "odd", "x": NaN}', "unreadable"),
    "5,000 levels": (b'{"donorUserName": "odd", "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "unreadable"),
    "100 levels": (b'{"donorUserName": "odd", "x": ' + b"[" * 100 + b"]" * 100 + b"}", "unreadable"),
    "a name twice": (b'{"donorUserName": "ada", "donorUserName": "odd"}', "withoutObject"),
    "half a surrogate pair": (b'{"donorUserName": "ad\\ud800"}', "withoutObject"),
    "not JSON": (b'{"donorUserName": "odd"', "unreadable"),
    "not UTF-8": (b'{"donorUserName": "\xff"}', "withoutObject"),
}
"""Records, and what they are to the workshop's chaincode, which lists a number beyond a double as null."""


@pytest.mark.parametrize(("record", "outcome"), ODD.values(), ids=ODD)
def test_an_odd_record_hides_no_other(record: bytes, outcome: str, deployment: Deployment) -> None:
    for name in ("a", "z"):
        deployment.donor(name)
    deployment.donor("ad?")
    deployment.donor("ada")
    deployment.put("ada", JPEG)
    write_as_another_client(deployment.fabric, "odd", record)
    report = deployment.run()
    assert ("ada", "tampered") in found(report)
    assert counts(report)["verified"] == 3
    assert report["examined"] == 5 - (b"ad\\ud800" in record)
    assert len(found(report)) == 1 + (outcome == "unreadable")


def test_a_hash_that_is_none_is_trouble(deployment: Deployment) -> None:
    deployment.donor("ada")
    for name, no_hash in (("bob", {"imageSha256": ""}), ("cleo", {"imageHash": 7})):
        deployment.put(name)
        deployment.record(name, **no_hash)
    for by_checksum in (True, False):
        report = deployment.run(byChecksum=by_checksum)
        assert found(report) == [("bob", "tampered"), ("cleo", "tampered")]
        assert [finding["key"] for finding in report["findings"]] == [
            f"{PREFIX}{name}/1.png" for name in ("bob", "cleo")
        ]


@pytest.mark.parametrize("key", [0, False, [], {}, 7])
def test_whatever_stands_in_the_keys_place_is_no_missing_key(key: Any, deployment: Deployment) -> None:
    deployment.record("ada", imageKey=key)
    (finding,) = deployment.run()["findings"]
    assert (finding["outcome"], finding["key"]) == ("missing", str(key))


def test_an_object_without_a_version_is_verified_and_the_operator_told(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.bucket.Versioning().suspend()
    deployment.donor("ada")
    deployment.bucket.Versioning().enable()
    deployment.donor("bob")
    for by_checksum in (True, False):
        caplog.clear()
        assert counts(deployment.run(byChecksum=by_checksum)) == {"verified": 2}
        told = [vars(entry)["key"] for entry in caplog.records if "keeps no version" in entry.message]
        assert told == [f"{PREFIX}ada/1.png"]


@pytest.mark.parametrize("text", [b"no JSON", b"[]", b"[" * 100_000, UNREADABLE_NUMBER])
def test_a_record_outside_the_list_that_is_no_object_is_unreadable(text: bytes, deployment: Deployment) -> None:
    deployment.donor("ada")
    deployment.put("zoe")
    write_as_another_client(deployment.fabric, "zoe", text)
    report = deployment.run()
    assert found(report) == [("zoe", "unreadable")]
    assert "key" not in report["findings"][0]


def test_the_bucket_is_listed_to_its_end(deployment: Deployment, s3: S3Faults) -> None:
    s3.ask_with("ListObjectVersions", MaxKeys=2)
    names = [f"z{number}" for number in range(5)]
    for name in names:
        deployment.put(name)
    assert counts(deployment.run()) == {"unrecorded": 5}
    assert s3.count("ListObjectVersions") == 3


# Whom it cannot ask


def test_without_peers_nothing_is_examined(deployment: Deployment, s3: S3Faults) -> None:
    deployment.donor("ada")
    for peer in deployment.fabric.emulation.peers:
        peer.kill()
    with pytest.raises(errors.LedgerUnavailable):
        deployment.run()
    assert s3.sent == []


def test_a_slow_list_is_awaited(deployment: Deployment) -> None:
    deployment.donor("ada")
    deployment.fabric.emulation.faults.place("query", "hang", times=None, hold=0.4, function="queryAllDonors")
    assert counts(deployment.run()) == {"verified": 1}


# Batches


def batches(deployment: Deployment, limits: Iterator[int | None], **event: Any) -> Iterator[dict[str, Any]]:
    """The reports of one run over everything, each batch beginning where the last one ended."""
    report = deployment.run(limit=next(limits), **event)
    yield report
    while report["resumeAfter"] is not None:
        report = deployment.run(limit=next(limits), resumeAfter=report["resumeAfter"], **event)
        yield report


NAMES = ["A", "a", "a b", "aa", "zz", "~", "\U0001f600"]


@pytest.fixture
def all_missing(deployment: Deployment) -> Deployment:
    """Every name is a finding; those that the chaincode lists are not all known to the bucket."""
    for name in NAMES:
        deployment.record(name)
        if name not in ("A", "a"):
            deployment.put(name, key=f"{PREFIX}{name}/2.png")
    return deployment


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits=st.lists(st.integers(1, len(NAMES) + 1), min_size=1, max_size=4))
def test_whatever_the_batches_every_name_is_examined_once_and_in_order(
    limits: list[int], all_missing: Deployment
) -> None:
    sizes = [*limits, *[limits[-1]] * len(NAMES)]
    reports = list(batches(all_missing, iter(sizes)))
    assert [entry for report in reports for entry in found(report)] == [(name, "missing") for name in sorted(NAMES)]
    assert {report["total"] for report in reports} == {len(NAMES)}
    assert all(0 < report["examined"] <= limit for report, limit in zip(reports, sizes, strict=False))


@pytest.mark.parametrize(
    ("limit", "resume_points"),
    [(1, ["ada", "bob", None]), (2, ["bob", None]), (3, [None]), (4, [None]), (None, [None])],
)
def test_the_last_batch_says_that_it_is(
    limit: int | None, resume_points: list[str | None], deployment: Deployment
) -> None:
    for name in ("ada", "bob", "zoe"):
        deployment.donor(name)
    reports = list(batches(deployment, itertools.repeat(limit, 9)))
    assert [report["resumeAfter"] for report in reports] == resume_points
    assert sum(report["examined"] for report in reports) == 3


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_would_leave_names_out_is_refused(limit: int, deployment: Deployment) -> None:
    deployment.donor("ada")
    with pytest.raises(errors.InvalidRequest, match="limit: "):
        deployment.run(limit=limit)


def test_a_resume_point_that_is_gone_is_none_to_lose(deployment: Deployment) -> None:
    for name in ("ada", "cleo"):
        deployment.record(name)
    assert found(deployment.run(resumeAfter="bob")) == [("cleo", "missing")]
    assert deployment.run(resumeAfter="dora") == {
        "total": 2,
        "examined": 0,
        "counts": NONE,
        "findings": [],
        "resumeAfter": None,
    }


@pytest.mark.parametrize("resume_after", ["", "ada"])
@pytest.mark.parametrize("remaining", [0.0, RESERVE])
def test_without_time_for_an_object_it_fails_rather_than_go_round_for_ever(
    remaining: float, resume_after: str, deployment: Deployment, s3: S3Faults
) -> None:
    for name in ("ada", "bob"):
        deployment.donor(name)
    with pytest.raises(errors.StorageUnavailable, match="took the whole time"):
        deployment.run(remaining=remaining, resumeAfter=resume_after)
    assert (s3.count("GetObject"), s3.count("HeadObject")) == (0, 0)


def test_a_batch_ends_in_time_and_the_next_one_goes_on(
    deployment: Deployment, s3: S3Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"n{number:02}" for number in range(40)]
    for name in names:
        deployment.record(name)
    passed = [0.0]
    lock = threading.Lock()

    def spend() -> None:
        with lock:
            passed[0] += 10.0

    monkeypatch.setattr(audit, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0]))
    s3.at_each("GetObject", spend)
    first = deployment.run(remaining=RESERVE + 200.0)
    s3.clear()
    assert 20 <= first["examined"] < 40
    assert first["resumeAfter"] == names[first["examined"] - 1]
    passed[0] = 0.0
    second = deployment.run(resumeAfter=first["resumeAfter"])
    assert [name for name, _ in found(first) + found(second)] == names
    assert second["resumeAfter"] is None


def test_a_batch_ends_before_its_findings_are_more_than_step_functions_takes(deployment: Deployment) -> None:
    names = [f"{number:02}{'n' * 3000}" for number in range(90)]
    for name in names:
        deployment.record(name, imageKey=f"{PREFIX}another's/1.png")
    deployment.donor("fits-beside-all-others")
    first = deployment.run()
    assert 195_000 < len(json.dumps(first["findings"])) <= 200_000
    second = deployment.run(resumeAfter=first["resumeAfter"])
    assert [name for name, _ in found(first) + found(second)] == names
    assert second["resumeAfter"] is None


@pytest.mark.parametrize(("length", "is_whole"), [(4_096, True), (4_097, False)])
def test_a_name_is_reported_whole_up_to_its_limit(length: int, is_whole: bool, deployment: Deployment) -> None:
    name = "a." * (length // 2) + "a" * (length % 2)
    deployment.record(name, imageKey="k." * 2_000)
    (finding,) = deployment.run()["findings"]
    assert finding["key"] == "k." * 512
    assert (finding["identifier"] == name) == is_whole
    assert finding["identifier"].startswith("a." * 100)
    if not is_whole:
        assert finding["identifier"][200:] == f"… {hashlib.sha256(name.encode()).hexdigest()}"


@pytest.mark.parametrize("letter", [".", "ü", "\x01", "\U0001f600"])
def test_names_and_keys_of_any_length_are_reported_shortened_and_none_stops_the_run(
    letter: str, deployment: Deployment
) -> None:
    names = [f"{number}{letter * 90_000}" for number in range(8)]
    for name in names:
        deployment.record(name, imageKey=f"{PREFIX}{name}/1.png")
    reports = list(batches(deployment, itertools.repeat(None)))
    assert all(len(json.dumps(report, ensure_ascii=False).encode()) < 262_144 for report in reports)
    reported = [name for report in reports for name, _ in found(report)]
    assert [name[0] for name in reported] == [name[0] for name in sorted(names)]
    assert len(set(reported)) == len(names)
    assert sum(counts(report)["missing"] for report in reports) == len(names)


def test_of_many_records_of_one_name_the_worst_count_and_are_reported(deployment: Deployment) -> None:
    """A chaincode may make keys of something else than the name."""
    deployment.donor("ada")
    deployment.donor("bob")
    own = {"donorUserName": "ada", "imageKey": f"{PREFIX}ada/1.png"}
    changes: list[dict[str, Any]] = [
        {"imageKey": None},
        {"imageSha256": None},
        {"imageKey": f"{PREFIX}bob/1.png"},
        {"imageSha256": "0" * 64},
        {"imageKey": f"{PREFIX}ada/2.png"},
        {"imageKey": f"{PREFIX}ada/3.png"},
        {"imageKey": f"{PREFIX}ada/4.png"},
    ]
    for number, change in enumerate(changes):
        record = {key: value for key, value in (own | change).items() if value is not None}
        write_as_another_client(deployment.fabric, f"x{number}", json.dumps(record).encode())
        report = deployment.run()
        assert (report["total"], report["examined"], report["resumeAfter"]) == (2, 2, None)
        expected = {"verified": 2} if number < 1 else {"verified": 1}
        assert counts(report) == expected | {0: {}, 1: {"unverifiable": 1}, 2: {"missing": 1}}.get(
            number, {"tampered": 1}
        )
    assert found(report) == [("ada", "tampered")] + [("ada", "missing")] * 3


# What operators see


def test_counts_are_metrics(deployment: Deployment, signals: Signals) -> None:
    deployment.donor("ada")
    deployment.record("bob")
    deployment.run(correlationId=CORRELATION_ID)
    none = {f"Objects{name[0].upper()}{name[1:]}": [0.0] for name in NONE}
    assert signals.metrics() == none | {"ObjectsVerified": [1.0], "ObjectsMissing": [1.0]}
    signals.require_correlated("invocation")


def test_findings_are_logged(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    deployment.record("bob")
    report = deployment.run()
    (entry,) = [vars(entry) for entry in caplog.records if entry.message == "Verified"]
    assert (entry["findings"], entry["examined"], entry["missing"]) == (report["findings"], 1, 1)


@pytest.mark.parametrize("value", [b'"text"', b"[]", b"7"])
def test_what_is_no_object_on_the_ledger_is_a_finding_and_hides_no_other(value: bytes, deployment: Deployment) -> None:
    deployment.donor("ada")
    write_as_another_client(deployment.fabric, "odd", value)
    report = deployment.run()
    assert (report["counts"]["verified"], report["counts"]["unreadable"]) == (1, 1)
    (finding,) = report["findings"]
    assert (finding["identifier"], finding["outcome"]) == ("donorodd", "unreadable")
