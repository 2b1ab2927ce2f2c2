"""What the fault-injection tests share: a whole deployment with short time limits, faults as data, and the promise.

The promise: either the donor is on the ledger and the picture it names is in the bucket with that hash, or neither is
there, or the caller was told that the verdict is open and it settles by itself later. It is checked by reading the
bucket (all versions) and the ledger of the emulation, never by the answers alone.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, TypeVar, get_args
from uuid import uuid4

from world import png

from sandbox.assembly import Assembly
from sandbox.fabric import FabricEmulation
from sandbox.fabric.faults import Step
from sandbox.fabric.peer import Peer
from sandbox.lambda_runner import Answer, Invocation, ServiceError
from sandbox.runtime import Sandbox

T = TypeVar("T")
MINIMUM_AGE = 4
"""Seconds after which the sweep of a deployment that is not hurried looks at a version: longer than a request takes."""
PREFIX = "ngo-donor-images/"
FABRIC_TIMING = {
    "connect": 0.5,
    "endorse": 0.8,
    "agreement": 0.1,
    "silence": 0.3,
    "evaluate": 0.4,
    "broadcast": 0.4,
    "order": 0.4,
    "commit_reserve": 0.3,
    "poll": 0.15,
    "offer_again": 0.5,
    "conflict_pause": 0.02,
}
"""Of the ledger client, some ten times shorter than its defaults; what bounds what stays as it is."""

HANDLERS = {
    "upload": "upload_object.handler.handler",
    "invoke": "invoke_chaincode.handler.handler",
    "sweep": "sweep.handler.handler",
}
_TIMEOUTS = {"upload": 3.0, "invoke": 3.5}
_STEPS = get_args(Step)
NODES = ("peer0", "peer1", "peers", "orderer0", "orderers")
UNANSWERED = "No verdict in time"
"""The API's own words where Step Functions gave no answer, and so no transaction id."""

REFUSALS = (400, 403, 409, 413, 422, 429, 503)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault, as data.

    `where`: a step of the emulation's faults; a call of the sandbox's, such as `s3:PutObject`; "upload", "invoke" or
    "sweep" for the invocation of that function; one of NODES for those nodes; "shim" for the chaincode's.
    `what`: an action that may be placed there. And anywhere: "kill" (SIGKILL to the process of the function that is at
    work, or to the nodes), "freeze" (SIGSTOP to it) and "leave" (the API's client closes its connection). To peers also
    "pause_commits": they lag behind.
    `when`: "before", "started" or "after", for calls and functions. `node`: at that peer or orderer only.
    `cold`: the functions' processes are new, so that they read secrets and open streams.
    """

    where: str
    what: str | int
    when: Literal["before", "started", "after"] = "before"
    node: int | None = None
    cold: bool = False

    def __str__(self) -> str:
        when = "" if self.where in (*_STEPS, *NODES, "shim") else f" {self.when}"
        node = "" if self.node is None else f" at {self.node}"
        return f"{self.what}{when} {self.where}{node}{' cold' if self.cold else ''}"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a caller wants created, and the name it gives the wish."""

    name: str = field(default_factory=lambda: f"donor-{uuid4().hex[:12]}")
    key: str = field(default_factory=lambda: uuid4().hex)
    picture: bytes = field(default_factory=png, repr=False)

    @property
    def arguments(self) -> dict[str, str]:
        image = base64.b64encode(self.picture).decode()
        return {"donorUserName": self.name, "email": f"{self.name}@example.org", "image": image}

    @property
    def proof(self) -> dict[str, str]:
        """What names the picture on the ledger, besides its key."""
        return _proof(self.picture)


def _proof(data: bytes) -> dict[str, str]:
    return {"imageHash": hashlib.md5(data).hexdigest(), "imageSha256": hashlib.sha256(data).hexdigest()}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request and its answer; `status` is None where the client left. `since` and `until` are the ledger's heights
    when it was sent and answered, `began` and `ended` the moments."""

    submission: Submission
    status: int | None
    body: dict[str, Any]
    since: int
    until: int
    began: float
    ended: float

    def __str__(self) -> str:
        return f"{self.status} {self.body} in {self.ended - self.began:.2f} s"


@dataclass(frozen=True, kw_only=True)
class Version:
    """An object version."""

    key: str
    version_id: str
    latest: bool


@dataclass(frozen=True)
class Placed:
    """A fault that waits for its call; `met` counts the calls."""

    count: Callable[[], int]

    @property
    def met(self) -> int:
        return self.count()


class Deployment:
    """A sandbox of this repository's stack on an emulation with two peers and two orderers, from `with` to its end.

    One test at a time uses it, with as many threads as it likes. `hurried`: all time limits are short, and the sweep
    looks at versions of any age, so that it must not run beside a request; otherwise the limits are the product's and
    the sweep looks at what is MINIMUM_AGE old.
    """

    def __init__(self, *, hurried: bool = True) -> None:
        self.ledger = FabricEmulation(peers=2, orderers=2, batch_timeout=0.02, execute_timeout=1.0, election_time=0.1)
        self.sandbox = Sandbox(ledger=self.ledger, adapt=_hurried if hurried else _with_age)
        self._lock = threading.Lock()
        self._at_work: dict[str, set[int]] = {}
        self._clients: set[http.client.HTTPConnection] = set()
        self._over = threading.Event()
        self._sweeping = False
        self._warm: set[int] = set()

    def __enter__(self) -> Self:
        self.ledger.start()
        try:
            self.sandbox.__enter__()
        except BaseException:
            self.ledger.stop()
            raise
        found = {each.handler: each.name for each in self.sandbox.assembly.functions.values()}
        self.functions = {name: found[handler] for name, handler in HANDLERS.items()}
        self.sandbox.lambda_runner.hooks.append(self._follow)
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        self.sandbox.close()
        self.ledger.stop()

    def place(self, fault: Fault, *, times: int | None) -> Placed:
        """Place `fault` for so many calls, None for all until `clear`."""
        if fault.cold:
            for function in self.functions.values():
                self.sandbox.lambda_runner.kill(function)
        if fault.where == "shim":
            for peer in self.ledger.peers:
                peer.shim = str(fault.what)  # type: ignore[assignment]
            return Placed(lambda: 1)
        if fault.where in NODES:
            kind = self.ledger.peers if fault.where.startswith("peer") else self.ledger.orderers
            for node in kind if fault.where.endswith("s") else [kind[int(fault.where[-1])]]:
                getattr(node, str(fault.what))()
            return Placed(lambda: 1)
        action: Any = fault.what
        if fault.where in _STEPS:
            if fault.what in ("kill", "freeze", "leave"):
                action = self._signal_at(["sweep"] if self._sweeping else ["invoke"], str(fault.what), None)
            placed = self.ledger.faults.place(fault.where, action, node=fault.node, times=times)  # type: ignore[arg-type]
            return Placed(lambda: placed.met)
        if fault.where in self.functions:
            call = f"lambda:{self.functions[fault.where]}"
            if fault.what == "leave":
                action = self._signal_at([], "leave", None)
        else:
            call = fault.where
            # A request whose sender is dead, or has given up, arrives late or never: here never.
            late = "reset" if fault.when == "before" else None
            if fault.what in ("kill", "freeze", "leave"):
                action = self._signal_at(list(self.functions), str(fault.what), late if fault.what != "leave" else None)
            elif fault.what == "hang":
                over = self._over
                action = lambda: over.wait() and "reset"  # noqa: E731
        at = self.sandbox.faults.place(call, action, when=fault.when, times=times)
        return Placed(lambda: at.met)

    def warm(self) -> None:
        """Have processes that can take the next request, with their connections and streams."""
        runner = self.sandbox.lambda_runner
        alive = {name: set(runner.pids(self.functions[name])) for name in ("upload", "invoke")}
        if not all(pids & self._warm for pids in alive.values()):
            assert self.send(Submission()).status == 200
            self.remove_objects()
            self._warm = set().union(*(runner.pids(name) for name in self.functions.values()))

    def clear(self) -> None:
        """Take every fault away; returns when nothing is under way any more and the peers agree with the orderers."""
        self._over.set()
        self._over = threading.Event()
        self.sandbox.faults.clear()
        self.ledger.faults.clear()
        for node in (*self.ledger.orderers, *self.ledger.peers):
            node.thaw()
            node.start()
        for peer in self.ledger.peers:
            peer.shim = "2.2.3"
            peer.resume_commits()
        self.settle()

    def settle(self) -> None:
        """Wait until no execution is under way and what orderers took is on every running peer's ledger."""
        until = time.monotonic() + 40
        while self.sandbox.workflow.under_way:
            assert time.monotonic() < until, "an execution does not end"
            time.sleep(0.01)
        time.sleep(0.05)  # longer than the orderers' batch time-out
        while any(
            peer.running and not (peer.frozen or peer.lags) and peer.height < self.ledger.height
            for peer in self.ledger.peers
        ):
            assert time.monotonic() < until, "a peer does not catch up"
            time.sleep(0.01)

    def send(self, submission: Submission, *, patience: float | None = None) -> Sent:
        """Send the request and wait for the answer; with `patience`, so many seconds before the client leaves."""
        since, began = self.ledger.height, time.monotonic()
        client = http.client.HTTPConnection(self.sandbox.api_url.removeprefix("http://"), timeout=patience or 60)
        status, body = None, {}
        try:
            client.connect()
            with self._lock:
                self._clients.add(client)
            text = json.dumps({"chaincodeFunctionArgs": submission.arguments})
            headers = {"Content-Type": "application/json", "Idempotency-Key": submission.key}
            client.request("POST", "/donors", text, headers)
            response = client.getresponse()
            body = json.loads(response.read())
            status = response.status
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            with self._lock:
                left = client not in self._clients or patience is not None
            if not left:
                raise
        finally:
            with self._lock:
                self._clients.discard(client)
            client.close()
        return Sent(
            submission=submission,
            status=status,
            body=body,
            since=since,
            until=self.ledger.height,
            began=began,
            ended=time.monotonic(),
        )

    def at_once(self, send: Callable[[T], Sent], requests: Sequence[T]) -> list[Sent]:
        """Carry out all of `requests` at the same time."""
        with ThreadPoolExecutor(max(1, len(requests))) as pool:
            return list(pool.map(send, requests))

    def upload_only(self, submission: Submission) -> dict[str, Any]:
        """Write the object as an execution does that ends right after its first state."""
        event = {
            "chaincodeFunctionArgs": submission.arguments,
            "submission": {"idempotencyKey": submission.key},
            "executionId": uuid4().hex,
        }
        answer = self.sandbox.lambda_runner.invoke(self.functions["upload"], json.dumps(event).encode())
        assert answer.function_error is None, answer.payload
        uploaded: dict[str, Any] = json.loads(answer.payload)
        return uploaded

    def sweep(self, *, dry_run: bool = False) -> dict[str, Any] | None:
        """One whole sweep, of versions of any age: its batches' reports, added up. None where the function failed."""
        total: dict[str, Any] = {"objects": []}
        resume = None
        self._sweeping = True
        try:
            while True:
                event = {"dryRun": dry_run, "resumeAfter": resume, "lookBackDays": None}
                answer = self.sandbox.lambda_runner.invoke(self.functions["sweep"], json.dumps(event).encode())
                if answer.function_error:
                    return None
                report = json.loads(answer.payload)
                resume = report.pop("resumeAfter")
                for name, value in report.items():
                    total[name] = total.get(name, 0 if isinstance(value, int) else []) + value
                if resume is None:
                    return total
        except ServiceError:
            return None
        finally:
            self._sweeping = False

    def rotate_certificate(self) -> None:
        """Give every user of the deployment a new certificate and key; functions read them when they start."""
        identity = self.ledger.enroll(f"rotated-{uuid4().hex[:8]}")
        secrets = self.sandbox.client("secretsmanager")
        for secret in secrets.list_secrets()["SecretList"]:
            old = secrets.get_secret_value(SecretId=secret["Name"])["SecretString"]
            new = identity.certificate_pem if "CERTIFICATE" in old else identity.private_key_pem
            secrets.put_secret_value(SecretId=secret["Name"], SecretString=new)
        for function in self.functions.values():
            self.sandbox.lambda_runner.kill(function)

    def wait_until_old(self) -> None:
        """Wait until the sweep looks at everything that is in the bucket now."""
        time.sleep(MINIMUM_AGE + 0.1)

    @contextlib.contextmanager
    def sweeping(self) -> Iterator[None]:
        """Faults that are placed in here and kill a process at a step of the ledger kill the sweep's."""
        self._sweeping = True
        yield
        self._sweeping = False

    def versions(self, name: str = "") -> list[Version]:
        """All object versions of a donor, or of the whole bucket."""
        s3, bucket = self.sandbox.client("s3"), self.sandbox.bucket
        prefix = f"{PREFIX}{name}/" if name else ""
        found = []
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            assert "DeleteMarkers" not in page, "an object was deleted without naming its version"
            found += [
                Version(key=each["Key"], version_id=each["VersionId"], latest=each["IsLatest"])
                for each in page.get("Versions", [])
            ]
        return found

    def proof(self, version: Version) -> dict[str, str]:
        """As Submission's, of the bytes that are stored."""
        answer = self.sandbox.client("s3").get_object(
            Bucket=self.sandbox.bucket, Key=version.key, VersionId=version.version_id
        )
        return _proof(answer["Body"].read())

    def record(self, name: str) -> dict[str, Any] | None:
        """The donor on the ledger, by the peer that knows most."""
        value = self._best_peer().ledger.state.get("ngo", f"donor{name}")[0]
        return None if value is None else json.loads(value)

    def committed(self, submission: Submission) -> int | None:
        """The number of the block that brought this submission's donor to the ledger, None where it is not there."""
        record, version = self.record(submission.name), None
        if record is not None and all(record[name] == value for name, value in submission.proof.items()):
            version = self._best_peer().ledger.state.version("ngo", f"donor{submission.name}")
        return version and version[0]

    def valid_transactions(self) -> set[str]:
        """The ids of what is VALID on the ledger."""
        found = self.ledger.transactions(peer=self._best_peer().index)
        return {each.tx_id for each in found if each.validation_code == "VALID"}

    def _best_peer(self) -> Peer:
        return max(self.ledger.peers, key=lambda peer: peer.height)

    def remove_objects(self) -> None:
        """Empty the bucket, so that no later sweep has to look at what was judged."""
        s3, bucket = self.sandbox.client("s3"), self.sandbox.bucket
        for version in self.versions():
            s3.delete_object(Bucket=bucket, Key=version.key, VersionId=version.version_id)

    def _follow(self, invocation: Invocation) -> Answer | None:
        with self._lock:
            pids = self._at_work.setdefault(invocation.function, set())
            if invocation.phase == "started" and invocation.pid:
                pids.add(invocation.pid)
            elif invocation.phase == "after" and invocation.pid:
                pids.discard(invocation.pid)
        return None

    def _signal_at(self, functions: list[str], what: str, then: str | None) -> Callable[[], str | None]:
        """An action that kills or freezes the processes at work for `functions`, or makes the clients leave."""

        def act() -> str | None:
            if what == "leave":
                with self._lock:
                    leaving, self._clients = self._clients, set()
                for client in leaving:
                    with contextlib.suppress(OSError, AttributeError):
                        client.sock.shutdown(2)
                return then
            for name in functions:
                with self._lock:
                    pids = list(self._at_work.get(self.functions[name], ()))
                for pid in pids:
                    if what == "kill":
                        self.sandbox.lambda_runner.kill(self.functions[name], pid)
                    else:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGSTOP)
            return then

        return act


class Deployments:
    """Several deployments side by side: what waits for a time limit in one leaves the machine to the others."""

    def __init__(self, count: int) -> None:
        self._stack = contextlib.ExitStack()
        self._free: list[Deployment] = []
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(count)
        self._count = count

    def __enter__(self) -> Self:
        made = [Deployment() for _ in range(self._count)]
        with ThreadPoolExecutor(self._count) as starting:
            self._free = list(starting.map(self._stack.enter_context, made))
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._stack.close()

    def submit(self, run: Callable[[Deployment], None]) -> "Future[None]":
        """Run in a deployment of its own."""

        def begin() -> None:
            with self.one() as deployment:
                run(deployment)

        return self._pool.submit(begin)

    @contextlib.contextmanager
    def one(self) -> Iterator[Deployment]:
        """A deployment that is free, warm, without fault and with an empty bucket."""
        with self._changed:
            self._changed.wait_for(lambda: self._free)
            deployment = self._free.pop()
        try:
            deployment.warm()
            yield deployment
        finally:
            deployment.clear()
            deployment.remove_objects()
            with self._changed:
                self._free.append(deployment)
                self._changed.notify()


def check_answers(deployment: Deployment, answers: Iterable[Sent]) -> None:
    """No false success, no false refusal, and an open verdict that is named. Reads what is on the ledger now."""
    valid = deployment.valid_transactions()
    answers = list(answers)
    ids: dict[Submission, str] = {}
    for sent in answers:
        record, block = deployment.record(sent.submission.name), deployment.committed(sent.submission)
        if sent.status == 200:
            assert record is not None, f"false success: {sent}"
            assert block is not None, f"false success: {sent}, {record}"
            assert {name: sent.body[name] for name in sent.body if name != "transactionId"} == {
                name: record[name] for name in ("imageKey", *sent.submission.proof)
            }, sent
            assert sent.body["transactionId"] in valid, f"success without a transaction: {sent}"
            first = ids.setdefault(sent.submission, sent.body["transactionId"])
            assert first == sent.body["transactionId"], f"two transactions of one submission: {sent}, {first}"
        elif sent.status == 504 and not sent.body["message"].startswith(UNANSWERED):
            assert len(sent.body.get("transactionId", "")) == 64, f"an open verdict without its transaction: {sent}"
        elif sent.status in REFUSALS and block is not None:
            if sent.status == 429 and block < sent.since:
                continue  # a throttled request is not looked at, and says nothing of earlier ones
            assert block >= sent.since, f"false refusal of what was on the ledger before: {sent}"
            # Only another request of the same submission can have brought it there meanwhile, or since.
            others = [
                other
                for other in answers
                if other is not sent
                and other.submission == sent.submission
                and other.ended > sent.began
                and (other.began < sent.ended or block >= sent.until)
            ]
            assert others, f"false refusal of what is on the ledger: {sent}"


def check_promise(deployment: Deployment, names: Iterable[str], *, swept: bool) -> None:
    """Every record has its object; `swept`: and no object is without its record. `names` are those of all donors."""
    versions = deployment.versions()
    named = set()
    for name in dict.fromkeys(names):
        record = deployment.record(name)
        if record is None:
            continue
        named.add(record["imageKey"])
        current = [each for each in versions if each.key == record["imageKey"] and each.latest]
        assert current, f"the ledger names an object that is not there: {record}"
        proof = deployment.proof(current[0])
        assert proof == {name: record[name] for name in proof}, record
    if swept:
        left = [each for each in versions if each.key not in named]
        assert not left, f"objects that the ledger does not name remain after the sweep: {left}"


def _with_age(assembly: Assembly) -> Assembly:
    functions = dict(assembly.functions)
    for arn, function in functions.items():
        if function.handler == HANDLERS["sweep"]:
            environment = {**function.environment, "MINIMUM_AGE_SECONDS": str(MINIMUM_AGE)}
            functions[arn] = replace(function, environment=environment)
    return replace(assembly, functions=functions)


def _hurried(assembly: Assembly) -> Assembly:
    """The stack with short time-outs, and a sweep that looks at versions of any age."""
    timeouts = {HANDLERS[name]: seconds for name, seconds in _TIMEOUTS.items()}
    functions = {}
    for arn, function in assembly.functions.items():
        environment = dict(function.environment)
        if "FABRIC_NETWORK" in environment:
            environment["FABRIC_TIMING"] = json.dumps(FABRIC_TIMING)
        if function.handler == HANDLERS["sweep"]:
            environment["MINIMUM_AGE_SECONDS"] = "0"
        timeout = timeouts.get(function.handler, function.timeout)
        functions[arn] = replace(function, environment=environment, timeout=timeout)
    return replace(assembly, functions=functions)
