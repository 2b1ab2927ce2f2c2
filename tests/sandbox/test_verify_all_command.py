"""`python -m sandbox verify-all` against a running sandbox. In a process of its own it runs in test_cli.py.

OFFCHAIN_DONORS says how many donors the last test walks; with it the times for a quarter, half and all are printed.
"""

import hashlib
import io
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import raw_fabric
from world import World

from sandbox.__main__ import main, ready_line
from sandbox.runtime import Sandbox

MEASURED = "OFFCHAIN_DONORS" in os.environ
DONORS = int(os.environ.get("OFFCHAIN_DONORS", "100"))
MOST_MEMORY = 200
"""MiB of the function's process."""
LEFT_OUT = ["zed", "Łukasz", "_ada", "😀"]
"""Names that are not between donor0 and donorz, where the workshop's queryAllDonors looks."""
NONE = dict.fromkeys(
    ["verified", "withoutObject", "unverifiable", "tampered", "missing", "unreadable", "unrecorded"], 0
)
SOUND = NONE | {"verified": 6, "withoutObject": 1, "unrecorded": 1}
GONE = {"versions": 0, "deleteMarker": False}


@dataclass(frozen=True)
class Donor:
    """`record` is what the ledger has of the donor."""

    name: str
    key: str
    picture: bytes
    record: dict[str, str]


def donor(name: str, *, key: str | None = None, **fields: str) -> Donor:
    """A donor with a picture like no other; `fields` are put over those that prove it."""
    picture = os.urandom(600)
    key = key or f"ngo-donor-images/{name}/{os.urandom(16).hex()}.png"
    hashes = {"imageHash": hashlib.md5(picture).hexdigest(), "imageSha256": hashlib.sha256(picture).hexdigest()}
    named = {"donorUserName": name, "email": "donor@example.org", "imageKey": key}
    return Donor(name=name, key=key, picture=picture, record=named | hashes | fields)


class Store:
    """A sandbox's bucket and ledger, written to directly: thousands of donors would take the API minutes."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self._s3, self._bucket = sandbox.client("s3"), sandbox.bucket
        self._ready = folder / "ready.json"
        self._ready.write_text(json.dumps(ready_line(sandbox)))
        self.function = ready_line(sandbox)["functions"]["verify_all"]

    def create(self, donors: Iterable[Donor]) -> dict[str, str]:
        """Create donors with their pictures; returns each name's version of the picture."""
        donors = list(donors)
        with ThreadPoolExecutor(4) as pool:
            versions = list(pool.map(lambda each: self.put(each.key, each.picture), donors))
        self.record(*(each.record for each in donors))
        return {each.name: version for each, version in zip(donors, versions, strict=True)}

    def record(self, *records: dict[str, str]) -> None:
        """Create donors on the ledger: endorsed one by one, ordered on one stream."""
        network = raw_fabric.of(self.sandbox.ledger)

        def endorsed(record: dict[str, str]) -> Any:
            proposal = network.propose("createDonor", json.dumps(record))
            response = network.endorse(proposal)
            assert response.response.status == 200, response.response.message
            return proposal, raw_fabric.envelope(proposal, [response])

        with ThreadPoolExecutor(4) as pool:
            *most, (last, envelope) = pool.map(endorsed, records)
        network.broadcast(*(each for _, each in most), timeout=60)
        assert network.order(last, envelope) == "VALID"
        network.close()
        assert all(self.sandbox.ledger.record("ngo", f"donor{each['donorUserName']}") for each in records)

    def put(self, key: str, data: bytes) -> str:
        """Put an object, with the checksum that S3 keeps. Returns the version."""
        version: str = self._s3.put_object(Bucket=self._bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256")[
            "VersionId"
        ]
        return version

    def versions(self) -> dict[str, tuple[str, str]]:
        """Key and version of each donor's picture, where it has one version."""
        found = self._s3.list_object_versions(Bucket=self._bucket)["Versions"]
        return {re.split("[/.]", each["Key"])[1]: (each["Key"], each["VersionId"]) for each in found}

    def delete(self, key: str, version: str | None = None) -> str:
        """Delete one version for good, or hide all behind a delete marker. Returns the version or the marker."""
        named = {"VersionId": version} if version else {}
        deleted: str = self._s3.delete_object(Bucket=self._bucket, Key=key, **named)["VersionId"]
        return deleted

    def verify_all(self, *options: str) -> "Ended":
        return verify_all("--ready", str(self._ready), *options)


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    errors: str

    @property
    def report(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1, self.out + self.errors
        report: dict[str, Any] = json.loads(self.out)
        assert report.keys() == {"total", "examined", "counts", "findings", "seconds"}
        assert report["examined"] == report["total"] == sum(report["counts"].values())
        return report


def verify_all(*options: str) -> Ended:
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(signal, "signal", lambda *_: None)
        code = main(["verify-all", *options])
    return Ended(code, out.getvalue(), errors.getvalue())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A sandbox in which nothing is wrong: donors of many names, one stored as the blog's flow did, one without
    picture, and an object without donor."""
    with Sandbox() as running:
        store, world = Store(running, tmp_path_factory.mktemp("sound")), World(running)
        assert world.create(donorUserName="ada")[0] == 200
        store.create([*map(donor, LEFT_OUT), donor("zoe", key="ngo-donor-images/zoe.png")])
        store.record({"donorUserName": "grace", "email": "grace@example.org"})
        store.put("ngo-donor-images/nobody/picture.png", b"an object that no record names")
        yield store


@pytest.mark.parametrize("options", [[], ["--checksum"]])
def test_nothing_wrong_ends_with_0_whatever_the_names_and_with_donors_or_objects_alone(
    sound: Store, options: list[str]
) -> None:
    ended = sound.verify_all(*options)
    assert ended.code == 0, ended
    assert (ended.report["counts"], ended.report["findings"]) == (SOUND, [])
    assert "Nothing is wrong" in ended.errors
    assert re.search(r"^without object +1 *$", ended.errors, re.MULTILINE)


def test_each_thing_wrong_is_one_finding_and_ends_with_1_until_it_is_mended(sound: Store) -> None:
    versions = sound.versions()
    with ExitStack() as mending:
        for name in [*LEFT_OUT, "zoe"]:
            key, _ = versions[name]
            mending.callback(sound.delete, key, sound.put(key, b"other bytes"))
        hidden, good = versions["ada"]
        mending.callback(sound.delete, hidden, sound.delete(hidden))

        for options in ([], ["--checksum"]):
            ended = sound.verify_all(*options)
            assert ended.code == 1, ended
            assert ended.report["counts"] == SOUND | {"verified": 0, "tampered": 5, "missing": 1}
            findings = {each["identifier"]: each for each in ended.report["findings"]}
            assert len(ended.report["findings"]) == len(findings) == 6
            for name in [*LEFT_OUT, "zoe"]:
                assert findings[name]["outcome"] == "tampered"
                assert (findings[name]["key"], findings[name]["versionId"]) == versions[name]
            ada = findings["ada"]
            assert (ada["outcome"], ada["versions"], ada["deleteMarker"]) == ("missing", 1, True)
            assert (ada["key"], ada["versionId"]) == (hidden, good)
            assert all(f"\n{name} " in ended.errors for name in findings)
            assert "6 findings" in ended.errors
    assert sound.verify_all().code == 0


def test_no_sandbox_ends_with_2_and_says_how_to_start_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    stale, other = tmp_path / "stale.json", tmp_path / "other.json"
    stale.write_text(json.dumps({"aws": nobody, "functions": {"verify_all": "VerifyAll"}}))
    other.write_text('{"ready": true}')
    for file, says in (
        (tmp_path / "none.json", "no sandbox is running"),
        (stale, "no sandbox is running"),
        (other, "is no ready line"),
    ):
        ended = verify_all("--ready", str(file))
        assert (ended.code, ended.out) == (2, "")
        assert says in ended.errors
        assert "python -m sandbox up" in ended.errors


@pytest.mark.parametrize("fault", [("kill", "started"), ("reset", "before"), ("throttle", "before")])
def test_a_batch_without_answer_is_tried_again(sound: Store, fault: tuple[Any, Any]) -> None:
    action, when = fault
    sound.sandbox.faults.place(f"lambda:{sound.function}", action, when=when, times=2)
    ended = sound.verify_all()
    assert ended.code == 0, ended
    assert ended.report["counts"] == SOUND


def test_a_batch_that_never_answers_ends_with_2(sound: Store) -> None:
    fault = sound.sandbox.faults.place(f"lambda:{sound.function}", "refuse", times=None)
    ended = sound.verify_all()
    sound.sandbox.faults.clear()
    assert (ended.code, ended.out, fault.met) == (2, "", 3)
    assert re.search(r"gave no answer, 3 times; at last: .*A fault was placed here", ended.errors)


def test_a_ledger_that_does_not_answer_ends_with_2(sound: Store) -> None:
    sound.sandbox.ledger.chaincode_down(True)
    ended = sound.verify_all()
    sound.sandbox.ledger.chaincode_down(False)
    assert (ended.code, ended.out) == (2, "")
    assert "LedgerUnavailable: No peer of the ledger answered. Try again later." in ended.errors


def test_it_finds_exactly_what_is_wrong_among_many_donors_in_little_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    donors = [donor(f"donor-{number:06}") for number in range(DONORS)]
    wrong = donors[DONORS // 8 :: DONORS // max(4, DONORS // 100)]
    thief = donor("thief\x1b[2J", key=donors[0].key)
    seconds = {}
    with Sandbox() as running:
        store = Store(running, tmp_path)
        good: dict[str, str] = {}
        for stage in (DONORS // 4, DONORS // 2) if MEASURED else ():
            good |= store.create(donors[len(good) : stage])
            ended = store.verify_all()
            assert (ended.code, ended.report["examined"]) == (0, stage), ended
            seconds[stage] = ended.report["seconds"]
        good |= store.create(donors[len(good) :])
        store.record(thief.record)
        expected = [spoil(store, each, good[each.name], number) for number, each in enumerate(wrong)]
        expected.append({"identifier": thief.name, "key": thief.key, "outcome": "missing"} | GONE)

        ended = store.verify_all()
        assert ended.code == 1, ended
        found = [
            {name: value for name, value in each.items() if name != "message"} for each in ended.report["findings"]
        ]
        assert found == expected
        assert ended.report["counts"]["verified"] == DONORS - len(wrong)
        assert "not this record's own" in ended.report["findings"][-1]["message"]
        assert "thief\\x1b[2J" in ended.errors
        seconds[DONORS] = ended.report["seconds"]
        memory = peaks(store)
    assert all(peak < MOST_MEMORY for peak in memory)
    if MEASURED:
        times = ", ".join(f"{number} donors in {taken:.1f} s" for number, taken in seconds.items())
        with capsys.disabled():
            print(f"\nverify-all: {times}; the function's process took {max(memory, default=0):.0f} MiB at most")


def spoil(store: Store, each: Donor, good: str, number: int) -> dict[str, Any]:
    """Do one of four things to a donor's picture, whose only version is `good`; returns the finding that it must lead
    to, without the message."""
    finding = {"identifier": each.name, "key": each.key}
    match number % 4:
        case 0:  # one byte is another
            store.put(each.key, each.picture[:-1] + bytes([each.picture[-1] ^ 1]))
            return finding | {"outcome": "tampered", "versionId": good}
        case 1:  # another's picture stands in its place, and the good one is gone
            store.put(each.key, os.urandom(600))
            store.delete(each.key, good)
            return finding | {"outcome": "tampered"}
        case 2:
            store.delete(each.key)
            return finding | {"outcome": "missing", "versions": 1, "deleteMarker": True, "versionId": good}
        case _:
            store.delete(each.key, good)
            return finding | {"outcome": "missing"} | GONE


def peaks(store: Store) -> list[float]:
    """The most memory that each of the function's processes has had, in MiB; nothing where there is no /proc."""
    if sys.platform != "linux":
        return []
    pids = store.sandbox.lambda_runner.pids(store.function)
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return [int(re.findall(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)[0]) / 1024 for text in texts]
