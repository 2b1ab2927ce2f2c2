"""`python -m costs.measure`: what one create, one read, and the work over the whole bucket take of each function.

Runs the sandbox: the deployed code in processes of its own, S3 and Secrets Manager by moto on this machine. The ledger
is the network that OFFCHAIN_FABRIC_PROFILE and OFFCHAIN_FABRIC_MSP name, as for `bench`, or with --emulation the
sandbox's own. Writes one entry into a file of them. Needs Linux, which tells a process's CPU time and memory.

With --memory the processes of the chaincode function also get just the share of a processor that Lambda gives a
function of so much memory (1 at 1,769 MB), by the cpu controller of cgroup v1, which takes root.
"""

import argparse
import base64
import contextlib
import datetime
import functools
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import machine, network
from sandbox.assembly import ROOT, Assembly
from sandbox.faults import Fault
from sandbox.lambda_runner import Answer, Invocation
from sandbox.ledger import Network
from sandbox.runtime import Sandbox

from .bill import FULL_PROCESSOR, MEASURED

_PICTURE = ROOT / "sandbox" / "demo.png"
_CHAINCODE = "invoke_chaincode"
_LISTING = "s3:GetBucket*Versions*"
"""How the sandbox names ListObjectVersions, whose parameters are in the query."""
_COUNTED = {
    call: call
    for call in (
        *("s3:PutObject", "s3:HeadObject", "s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging"),
        "secretsmanager:GetSecretValue",
    )
} | {"s3:ListObjectVersions": _LISTING}
_CGROUP = Path("/sys/fs/cgroup/cpu")
_PERIOD = 20_000
_MOST_COLD = 3
"""New environments of a function, each measured at its first invocation."""


@dataclass(kw_only=True)
class _Use:
    """What the invocations of one function took in one operation. Seconds of wall and CPU time."""

    durations: list[float] = field(default_factory=list)
    cpu: float = 0.0


class _Recorder:
    """Watches a sandbox's functions, logs and requests. The functions are named by their folders in `lambda_src`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._folders = {each.name: each.handler.partition(".")[0] for each in sandbox.assembly.functions.values()}
        self._begun: dict[str, tuple[float, float]] = {}
        self._uses: dict[str, _Use] = {}
        self._requests = {call: self._count(pattern) for call, pattern in _COUNTED.items()}
        self._others = [self._count(f"{service}:*") for service in ("s3", "secretsmanager")]
        self.most_memory: dict[str, float] = {}
        sandbox.lambda_runner.hooks.append(self._hook)

    def _count(self, call: str) -> Fault:
        return self._sandbox.faults.place(call, lambda: None, times=None)

    def _hook(self, invocation: Invocation) -> Answer | None:
        if invocation.phase == "started" and invocation.pid:
            self._begun[invocation.request_id] = (time.perf_counter(), _cpu_seconds(invocation.pid))
        elif invocation.phase == "after" and invocation.pid:
            ended = time.perf_counter()
            began, cpu = self._begun.pop(invocation.request_id)
            folder = self._folders[invocation.function]
            use = self._uses.setdefault(folder, _Use())
            use.durations.append(ended - began)
            use.cpu += _cpu_seconds(invocation.pid) - cpu
            self.most_memory[folder] = max(self.most_memory.get(folder, 0), _most_memory(invocation.pid))
        return None

    def measure(self, operation: Callable[[], object], times: int) -> dict[str, Any]:
        """What one of `times` operations took: milliseconds of wall and CPU time, requests, bytes and entries of log.

        Wall times are medians; an operation that invokes a function twice has their sum.
        """
        self._uses = {}
        requests = {call: fault.met for call, fault in self._requests.items()}
        logs = self._logs()
        walls = []
        for _ in range(times):
            began = time.perf_counter()
            operation()
            walls.append(time.perf_counter() - began)
        if any(fault.met for fault in self._others):
            raise RuntimeError("a request was made that is not among those counted: name it in _COUNTED")
        written = {folder: lines[len(logs[folder]) :] for folder, lines in self._logs().items()}
        functions = {}
        for folder, use in sorted(self._uses.items()):
            each = len(use.durations) // times
            sums = [sum(use.durations[first : first + each]) for first in range(0, len(use.durations), each)]
            functions[folder] = {
                "invocations": each,
                "ms": _ms(statistics.median(sums)),
                "cpuMs": _ms(use.cpu / times),
                "logBytes": round(sum(len(line.encode()) for line in written[folder]) / times),
                "logEntries": round(len(written[folder]) / times, 2),
            }
        made = {call: (fault.met - requests[call]) / times for call, fault in self._requests.items()}
        return {
            "ms": _ms(statistics.median(walls)),
            "functions": functions,
            "requests": {call: round(number, 3) for call, number in made.items() if number},
            "customMetrics": len({metric for lines in written.values() for line in lines for metric in _metrics(line)}),
        }

    def _logs(self) -> dict[str, list[str]]:
        """Each function's log, in lines."""
        files = {folder: self._sandbox.logs / f"{name}.log" for name, folder in self._folders.items()}
        return {
            folder: file.read_text("utf-8").splitlines(keepends=True) if file.exists() else []
            for folder, file in files.items()
        }


class _Client:
    """Creates and reads donors over HTTP; raises RuntimeError for any answer but 200."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._host = sandbox.api_url.removeprefix("http://")
        self._prefix = f"costs-{uuid.uuid4().hex[:8]}"
        self._picture = base64.b64encode(_PICTURE.read_bytes()).decode()
        self._created = 0
        self._read = 0

    def create(self) -> None:
        self._created += 1
        arguments = {"donorUserName": self._name(self._created), "email": "a@example.org", "image": self._picture}
        self._request("POST", "/donors", json.dumps({"chaincodeFunctionArgs": arguments}))

    def read(self) -> None:
        self._read += 1
        self._request("GET", f"/donors/{self._name(self._read)}", None)

    def _name(self, number: int) -> str:
        return f"{self._prefix}-{number}"

    def _request(self, method: str, path: str, body: str | None) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=60)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m costs.measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", help="of the entry")
    parser.add_argument("--output", type=Path, default=MEASURED, help="default: costs/measured.json")
    parser.add_argument("--emulation", action="store_true", help="measure on the sandbox's emulation")
    parser.add_argument(
        "--batch-timeout", type=float, default=2.0, help="of the emulation, seconds (default: Fabric's)"
    )
    parser.add_argument("--creates", type=int, default=30)
    parser.add_argument("--memory", type=int, nargs="*", default=[], help="MB; see above")
    parser.add_argument("--note", help="more about the network, such as its version")
    options = parser.parse_args()
    try:
        with _ledger(options) as (ledger, facts):
            entry = facts | _measure(ledger, options)
    except network.NotUsable as error:
        print(error, file=sys.stderr)
        return 2
    entries = json.loads(options.output.read_text("utf-8")) if options.output.exists() else {}
    entries[options.name] = entry
    options.output.write_text(json.dumps(entries, indent=1) + "\n", "utf-8")
    print(json.dumps(entry, indent=1))
    return 0


@contextlib.contextmanager
def _ledger(options: argparse.Namespace) -> Iterator[tuple[Any, dict[str, Any]]]:
    if options.emulation:
        from sandbox.fabric import FabricEmulation

        settings = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]["offchain"]
        with FabricEmulation(
            peers=1, msp_id=settings["mspId"], channel=settings["channel"], batch_timeout=options.batch_timeout
        ) as emulation:
            yield emulation, {"network": "the sandbox's emulation", "batchTimeout": f"{options.batch_timeout:g}s"}
        return
    from bench.channel_config import batches

    target = network.named()
    yield target.network, {"network": options.note or "a Fabric network", "batchTimeout": batches(target)}


def _measure(ledger: "Network | Any", options: argparse.Namespace) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "measured": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "how": f"costs/measure.py, {options.creates} of each, one at a time; medians of wall, means of CPU time; "
        f"pictures of {_PICTURE.stat().st_size:,} bytes; S3 and Secrets Manager by moto on the same machine",
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip(),
        "machine": machine.describe(),
        "loadAverage": [round(os.getloadavg()[0], 1)],
    }
    with Sandbox(
        ledger=ledger, adapt=_sweep_at_once, max_environments=2 + _MOST_COLD * (1 + len(options.memory))
    ) as sandbox:
        client, recorder = _Client(sandbox), _Recorder(sandbox)
        names = {each.handler.partition(".")[0]: each.name for each in sandbox.assembly.functions.values()}

        def invoke(function: str) -> dict[str, Any]:
            answer = sandbox.client("lambda").invoke(FunctionName=names[function], Payload=b"{}")
            report: dict[str, Any] = json.loads(answer["Payload"].read())
            if "FunctionError" in answer:
                raise RuntimeError(f"{function}: {report}")
            return report

        times = min(_MOST_COLD, options.creates)
        cold = {"sweep": _cold(sandbox, recorder, lambda: invoke("sweep"), names["sweep"], "sweep", times)}
        invoke("verify_all")
        client.create()
        client.read()
        invoke("sweep")
        nothing_new = {name: recorder.measure(functools.partial(invoke, name), 3) for name in ("sweep", "verify_all")}
        operations = {
            "create": recorder.measure(client.create, options.creates),
            "read": recorder.measure(client.read, options.creates),
        }
        settling = recorder.measure(lambda: invoke("sweep"), 1)
        settled = recorder.measure(lambda: invoke("sweep"), 3)
        verifying = recorder.measure(lambda: invoke("verify_all"), 3)
        operations |= {
            "sweep": nothing_new["sweep"],
            "verifyAll": nothing_new["verify_all"],
            "settleOne": _difference(settling, nothing_new["sweep"], options.creates),
            "passOverOne": _difference(settled, nothing_new["sweep"], options.creates),
            "verifyOne": _difference(verifying, nothing_new["verify_all"], options.creates),
        }
        for name in ("upload_object", _CHAINCODE):
            cold[name] = _cold(sandbox, recorder, client.create, names[name], name, times)
        most_memory = {name: round(size) for name, size in sorted(recorder.most_memory.items())}
        limited = {
            str(memory): _limited(sandbox, recorder, client, names[_CHAINCODE], memory, options.creates)
            for memory in options.memory
        }
        facts["loadAverage"].append(round(os.getloadavg()[0], 1))
    return facts | {"operations": operations, "cold": cold, "mostMemoryMiB": most_memory, "limitedTo": limited}


def _difference(many: Mapping[str, Any], none: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What each of `number` objects adds to an invocation."""
    ((folder, with_objects),) = many["functions"].items()
    without = none["functions"][folder]
    added = {key: round((with_objects[key] - without[key]) / number, 3) for key in ("ms", "cpuMs", "logBytes")}
    requests = {
        call: round((met - none["requests"].get(call, 0)) / number, 3) for call, met in many["requests"].items()
    }
    return {"functions": {folder: added}, "requests": {call: met for call, met in requests.items() if met}}


def _cold(
    sandbox: Sandbox, recorder: _Recorder, operation: Callable[[], object], name: str, folder: str, times: int
) -> dict[str, float]:
    """A new environment's start until it takes an event, and its first invocation, by `operation`."""
    inits, firsts, init_cpu = [], [], []
    for _ in range(times):
        before = set(sandbox.lambda_runner.pids(name))
        began = time.perf_counter()
        sandbox.lambda_runner.warm([name])
        inits.append(time.perf_counter() - began)
        (new,) = set(sandbox.lambda_runner.pids(name)) - before
        init_cpu.append(_cpu_seconds(new))
        # The runner takes the environment that became free last.
        firsts.append(recorder.measure(operation, 1)["functions"][folder]["ms"])
    return {
        "initMs": _ms(statistics.median(inits)),
        "initCpuMs": _ms(statistics.median(init_cpu)),
        "firstMs": statistics.median(firsts),
    }


def _limited(
    sandbox: Sandbox, recorder: _Recorder, client: _Client, name: str, memory: int, creates: int
) -> dict[str, float]:
    """First and later invocations of the chaincode function with the share of a processor that Lambda gives it with
    `memory` MB."""
    group = _CGROUP / f"offchain-costs-{os.getpid()}-{memory}"
    if not (_CGROUP / "cpu.shares").exists():
        raise network.NotUsable(f"--memory needs the cpu controller of cgroup v1 at {_CGROUP}")
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(_PERIOD * memory // FULL_PROCESSOR))
        inits, firsts = [], []
        for _ in range(min(_MOST_COLD, creates)):
            before = set(sandbox.lambda_runner.pids(name))
            began = time.perf_counter()
            start = threading.Thread(target=sandbox.lambda_runner.warm, args=([name],))
            start.start()
            while not (new := set(sandbox.lambda_runner.pids(name)) - before):
                time.sleep(0.001)
            (group / "cgroup.procs").write_text(str(new.pop()))
            start.join()
            inits.append(time.perf_counter() - began)
            firsts.append(recorder.measure(client.create, 1)["functions"][_CHAINCODE]["ms"])
        warm = recorder.measure(client.create, creates)
        cold = {"initMs": _ms(statistics.median(inits)), "firstMs": statistics.median(firsts)}
        return {**cold, **warm["functions"][_CHAINCODE], "requestMs": warm["ms"]}
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (_CGROUP / "cgroup.procs").write_text(pid)
        group.rmdir()


def _sweep_at_once(assembly: Assembly) -> Assembly:
    """What was just written is otherwise too young for the sweep."""
    functions = {
        arn: replace(each, environment={**each.environment, "MINIMUM_AGE_SECONDS": "0"})
        if "MINIMUM_AGE_SECONDS" in each.environment
        else each
        for arn, each in assembly.functions.items()
    }
    return replace(assembly, functions=functions)


def _metrics(line: str) -> Iterator[tuple[str, ...]]:
    """What a line in CloudWatch's embedded metric format publishes: each combination of name and dimensions, which is
    what CloudWatch bills."""
    if '"_aws"' not in line:
        return
    entry = json.loads(line)
    for directive in entry["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            for metric in directive["Metrics"]:
                dimensions = (f"{name}={entry[name]}" for name in sorted(names))
                yield (directive["Namespace"], metric["Name"], *dimensions)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads so far, in the kernel's ticks of some 10 ms."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _most_memory(pid: int) -> float:
    """The most resident memory a process has had, MiB."""
    (line,) = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


if __name__ == "__main__":
    sys.exit(main())
