"""No text of a request reaches a log: every refusal of the README's table, with MARK in every part of the request."""

import base64
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from test_cli import up
from world import Answer, World

from sandbox.fabric import FabricEmulation
from sandbox.fabric.chaincode import ChaincodeError, Stub
from sandbox.fabric.ngo import Ngo
from sandbox.runtime import Sandbox
from tests.log_check import MARK, broken, code_of

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
TABLE = {(int(status), error) for status, error in re.findall(r"^\| (\d{3}) \| (\w+) \|", README, re.MULTILINE)}
SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><title>{MARK}</title>{{}}</svg>'


class Quoting(Ngo):
    """Refuses in words that quote the request, and returns records that are none."""

    def invoke(self, stub: Stub, function: str, args: Sequence[bytes]) -> bytes:
        text = args[0].decode()
        if "-refuse-" in text:
            raise ChaincodeError(f"{function} - this donor is not welcome: {text}")
        if "-pretend-" in text:
            raise ChaincodeError(f"failed to execute transaction: channel '{text}' not found: make sure the chaincode")
        if function == "queryDonor" and "-unreadable-" in text:
            return f"no JSON: {text}".encode()
        return super().invoke(stub, function, args)


class Marked(World):
    """Sends MARK in every field that may hold any text."""

    def __init__(self, sandbox: Any, ledger: FabricEmulation) -> None:
        super().__init__(sandbox)
        self.ledger = ledger
        self.logs: Logs
        self.rename("")

    def rename(self, kind: str) -> None:
        self.name = f"{MARK}{kind}-{random.getrandbits(48):x}"

    def arguments(self, **changes: Any) -> dict[str, Any]:
        image = base64.b64encode(SVG.format(f"<g id='{random.random()}'/>").encode()).decode()
        return {"donorUserName": self.name, "email": f"{MARK}@example.org", "image": image} | changes

    def create(self, *, key: str | None = None, **changes: Any) -> Answer:
        return super().create(key=key or f"{self.name} {MARK}", **changes)

    def svg(self, inside: str) -> Answer:
        return self.create(image=base64.b64encode(SVG.format(inside).encode()).decode())

    def named(self, **names: str) -> Answer:
        return self.send(names | {"chaincodeFunctionArgs": self.arguments()}, key=MARK)

    def created(self) -> dict[str, Any]:
        status, answer = self.create()
        assert status == 200, answer
        return answer


@dataclass(frozen=True, kw_only=True)
class Case:
    """A way to a refusal. `in_process`: it takes faults that are placed within the sandbox's process."""

    answer: tuple[int, str]
    provoke: Callable[[Marked], Answer]
    in_process: bool = False


def _exists(world: Marked) -> Answer:
    world.created()
    return world.create(key=f"{MARK} again {world.name}")


def _reused(world: Marked) -> Answer:
    world.created()
    world_key = f"{world.name} {MARK}"
    world.rename("")
    return world.create(key=world_key)


def _tampered(world: Marked) -> Answer:
    world.put_object(world.created()["imageKey"], b"other")
    return world.read()


def _missing(world: Marked) -> Answer:
    key = world.created()["imageKey"]
    for _, version in world.versions():
        world.sandbox.client("s3").delete_object(Bucket=world.sandbox.bucket, Key=key, VersionId=version)
    return world.read()


def _refused(kind: str) -> Callable[[Marked], Answer]:
    def provoke(world: Marked) -> Answer:
        world.rename(kind)
        return world.create()

    return provoke


def _read(kind: str) -> Callable[[Marked], Answer]:
    def provoke(world: Marked) -> Answer:
        world.rename(kind)
        return world.read()

    return provoke


def _with_ledger_fault(step: str, action: Any, ask: Callable[[Marked], Answer]) -> Callable[[Marked], Answer]:
    def provoke(world: Marked) -> Answer:
        world.ledger.faults.place(step, action, times=None)
        return ask(world)

    return provoke


def _with_fault(call: str, action: Any, ask: Callable[[Marked], Answer], **placed: Any) -> Callable[[Marked], Answer]:
    def provoke(world: Marked) -> Answer:
        if ask is World.read:
            world.created()
        world.sandbox.faults.place(getattr(world, call, call), action, **placed)
        return ask(world)

    return provoke


INVALID, FORBIDDEN, IMAGE = (400, "InvalidRequest"), (403, "Forbidden"), (400, "InvalidImage")
UNAVAILABLE, THROTTLED, UNKNOWN = (503, "LedgerUnavailable"), (429, "TooManyRequests"), (504, "OutcomeUnknown")
CASES = {
    "no JSON": Case(answer=INVALID, provoke=lambda world: world.send(f'{{"{MARK}": ')),
    "an unknown field": Case(answer=INVALID, provoke=lambda world: world.create(**{MARK: MARK})),
    "an unknown field at the top": Case(
        answer=INVALID, provoke=lambda world: world.send({MARK: MARK, "chaincodeFunctionArgs": world.arguments()})
    ),
    "no arguments": Case(answer=INVALID, provoke=lambda world: world.send({"fabricUsername": MARK})),
    "a name that no object can have": Case(
        answer=INVALID, provoke=lambda world: world.create(donorUserName=f"{MARK}/{MARK}")
    ),
    "a mail address that is too long": Case(answer=INVALID, provoke=lambda world: world.create(email=MARK * 30)),
    "a key that is too long": Case(answer=INVALID, provoke=lambda world: world.create(key=MARK * 30)),
    "a key of another content": Case(answer=INVALID, provoke=_reused),
    "functionType": Case(answer=INVALID, provoke=lambda world: world.named(functionType=MARK)),
    "chaincodeFunction": Case(answer=INVALID, provoke=lambda world: world.named(chaincodeFunction=MARK)),
    "a name in the path": Case(answer=INVALID, provoke=lambda world: world.get(f"/donors/{MARK}%2F")),
    "verify": Case(answer=INVALID, provoke=lambda world: world.read(query=f"?verify={MARK}")),
    "inline": Case(answer=INVALID, provoke=lambda world: world.read(query=f"?inline={MARK}")),
    "limit": Case(answer=INVALID, provoke=lambda world: world.get(f"/donors?limit={MARK}")),
    "nextToken": Case(answer=INVALID, provoke=lambda world: world.get(f"/donors?nextToken={MARK}")),
    "transactionId": Case(answer=INVALID, provoke=lambda world: world.get(f"/transactions/{MARK}")),
    "a credential for a user": Case(answer=FORBIDDEN, provoke=lambda world: world.named(fabricUsername=MARK)),
    "a path that is not there": Case(answer=(404, "NotFound"), provoke=lambda world: world.get(f"/{MARK}")),
    "not base64": Case(answer=IMAGE, provoke=lambda world: world.create(image=f"{MARK}*")),
    "another type": Case(answer=IMAGE, provoke=lambda world: world.create(image=f"data:image/{MARK};base64,{MARK}==")),
    "an element": Case(answer=IMAGE, provoke=lambda world: world.svg(f"<{MARK}/>")),
    "an attribute": Case(answer=IMAGE, provoke=lambda world: world.svg(f'<g on{MARK}="1"/>')),
    "a namespace": Case(answer=IMAGE, provoke=lambda world: world.svg(f'<g xmlns="http://{MARK}"/>')),
    "an instruction": Case(answer=IMAGE, provoke=lambda world: world.svg(f"<?{MARK} 1?>")),
    "a reference": Case(answer=IMAGE, provoke=lambda world: world.svg(f'<a href="https://{MARK}"/>')),
    "XML cut short": Case(answer=IMAGE, provoke=lambda world: world.svg(f"<{MARK}>")),
    "an unknown donor": Case(answer=(404, "DonorNotFound"), provoke=_read("")),
    "a donor that is there": Case(answer=(409, "DonorAlreadyExists"), provoke=_exists),
    "a tampered picture": Case(answer=(409, "ImageTampered"), provoke=_tampered),
    "a missing picture": Case(answer=(410, "ImageMissing"), provoke=_missing),
    "a large picture": Case(
        answer=(413, "ImageTooLarge"),
        provoke=lambda world: world.create(image=base64.b64encode(MARK.encode() * 14_000).decode()),
    ),
    "a picture that the workflow cannot carry": Case(
        answer=(413, "ImageTooLarge"), provoke=lambda world: world.create(image=MARK * 30_000)
    ),
    "a refusal that quotes the record": Case(answer=(422, "ChaincodeRejected"), provoke=_refused("-refuse-")),
    "a refusal that looks like a peer's": Case(answer=(422, "ChaincodeRejected"), provoke=_refused("-pretend-")),
    "a query's refusal that looks like a peer's": Case(answer=(404, "DonorNotFound"), provoke=_read("-pretend-")),
    "a record that cannot be read": Case(answer=(422, "RecordUnreadable"), provoke=_read("-unreadable-")),
    "peers that are down": Case(
        answer=UNAVAILABLE, provoke=_with_ledger_fault("before-endorsement", "refuse", Marked.create)
    ),
    "chaincode that is down": Case(answer=UNAVAILABLE, provoke=_with_ledger_fault("chaincode", "refuse", World.read)),
    "throttled": Case(
        answer=THROTTLED,
        provoke=_with_fault("states:StartSyncExecution", "throttle", Marked.create),
        in_process=True,
    ),
    "a throttled function": Case(
        answer=THROTTLED, provoke=_with_fault("upload", "throttle", Marked.create, times=None), in_process=True
    ),
    "a store that does not answer": Case(
        answer=(503, "StorageUnavailable"),
        provoke=_with_fault("s3:GetObject", "reset", World.read, times=None),
        in_process=True,
    ),
    "a store that refuses the write": Case(
        answer=(500, "InternalError"),
        provoke=_with_fault("s3:PutObject", "refuse", Marked.create, times=None),
        in_process=True,
    ),
    "a verdict that nobody told": Case(
        answer=UNKNOWN, provoke=_with_fault("chaincode", "kill", Marked.create, when="after", times=2), in_process=True
    ),
}


class Logs:
    """What is written to a sandbox's logs from here on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun = {path: path.stat().st_size for path in folder.glob("*.log")}

    def broken(self) -> list[str]:
        """Which rules the lines break, and where; not the lines."""
        return [
            f"{path.name}: {rule}{code_of(line)}"
            for path in sorted(self._folder.glob("*.log"))
            for line in path.read_bytes()[self._begun.get(path, 0) :].decode(errors="replace").splitlines()
            if (rule := broken(line))
        ]


@pytest.fixture(scope="module")
def ledger() -> Iterator[FabricEmulation]:
    with FabricEmulation(chaincodes={"ngo": Quoting()}) as emulation:
        yield emulation


@pytest.fixture(scope="module")
def marked(ledger: FabricEmulation) -> Iterator[Sandbox]:
    with Sandbox(ledger=ledger) as running:
        yield running


@pytest.fixture
def world(marked: Sandbox, ledger: FabricEmulation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Marked]:
    # The workflow's retries wait for a random time up to a bound: here not at all.
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    made = Marked(marked, ledger)
    made.logs = Logs(marked.logs)
    yield made
    marked.faults.clear()
    ledger.faults.clear()


def test_every_refusal_of_the_readmes_table_is_among_the_cases() -> None:
    assert {case.answer for case in CASES.values()} >= TABLE
    assert len(TABLE) > 10


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_text_of_a_refused_request_reaches_a_log(case: Case, world: Marked) -> None:
    status, body = case.provoke(world)
    assert (status, body["error"]) == case.answer, body
    assert world.logs.broken() == []


def _with(key: str, value: object) -> dict[str, Any]:
    return {"functionType": "", "chaincodeFunctionArgs": {"donorUserName": MARK}, key: value}


SHAPES = {
    "upload": [MARK, [MARK], {MARK: MARK}, {"donorUserName": {MARK: MARK}, "email": MARK, "image": [MARK]}],
    "chaincode": [
        _with("submission", {"submissionId": MARK}),
        _with("submission", {"submissionId": "0" * 32, "transactionIds": ["0" * 64], "nonces": [MARK]}),
        _with("chaincodeFunctionArgs", MARK),
        _with("executionStartTime", MARK),
        _with("fabricUsername", [MARK]),
        {"functionType": MARK},
        {"functionType": [MARK]},
        MARK,
    ],
    "query": [{"query": MARK}, {"query": "record"}, {"query": "committed", "transactionIds": MARK, "key": MARK}, MARK],
    "verify": [
        MARK,
        {"answer": {"imageKey": MARK}},
        {"answer": MARK, "identifier": MARK, "byChecksum": 1, "inline": 1},
    ],
}


@pytest.mark.parametrize(
    ("function", "event"), [(function, event) for function, events in SHAPES.items() for event in events]
)
def test_an_event_of_another_shape_is_no_text_for_the_log_either(function: str, event: object, world: Marked) -> None:
    answer = world.sandbox.client("lambda").invoke(
        FunctionName=getattr(world, function).removeprefix("lambda:"), Payload=json.dumps(event)
    )
    failure = json.loads(answer["Payload"].read())
    if function != "query" or event != SHAPES["query"][2]:  # this one asks for nothing that is there
        assert answer["FunctionError"] == "Unhandled"
        assert MARK not in json.dumps(failure)
        assert json.loads(failure["errorMessage"])["message"]
    assert world.logs.broken() == []


@pytest.mark.long
def test_no_text_of_a_request_reaches_a_log_of_the_sandbox_in_its_own_process(
    ledger: FabricEmulation, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(ledger.connection_profile()))
    msp = ledger.write_msp(tmp_path / "msp", ledger.enroll("user"))
    with up("--fabric", str(profile), "--identity", str(msp), "--ready", str(tmp_path / "up")) as (process, ready):
        assert process.stderr is not None
        introduction = list(iter(process.stderr.readline, "Ctrl-C ends it.\n"))
        (logs,) = [Path(line.split()[1]) for line in introduction if line.startswith("  Logs ")]
        running = SimpleNamespace(
            api_url=ready["api"],
            bucket=ready["bucket"],
            client=lambda service: boto3.client(
                service, endpoint_url=ready["aws"], aws_access_key_id="any", aws_secret_access_key="any"
            ),
            assembly=SimpleNamespace(
                functions_of=lambda _: {
                    folder: SimpleNamespace(name=name) for folder, name in ready["functions"].items()
                }
            ),
        )
        written = Logs(logs)
        for name, case in CASES.items():
            if not case.in_process:
                status, body = case.provoke(Marked(running, ledger))
                ledger.faults.clear()
                assert (status, body["error"]) == case.answer, (name, body)
        assert len(list(logs.glob("*.log"))) >= 3
        assert written.broken() == []
        process.terminate()
        out, errors = process.communicate(timeout=30)
    assert [line for line in (out + errors).splitlines() if broken(line)] == []
