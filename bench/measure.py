"""Runs the clients, each in processes of its own, in turn over several rounds."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import donor
from .network import Target

ROOT = Path(__file__).resolve().parent.parent
NODE_CLIENT = ROOT / "bench" / "fabric-network"
AT_A_TIME = (1, 4, 16)
_LIMIT = 120.0
"""Seconds after which a client's process is ended."""


class Failed(Exception):
    """A client could not be measured; the text says which and why."""


@dataclass(kw_only=True)
class Round:
    """What one client did in one round. Seconds, and transactions a second by calls at a time; `errors` are calls that
    failed while others were measured."""

    cold: float
    warm: float
    throughput: dict[int, float]
    errors: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Plan:
    """`cold`: processes measured from their start to their first commit, a client and round. `seconds`: how long each
    number of calls at a time is kept up."""

    rounds: int
    seconds: float
    cold: int
    warm_up: int = 5


def fabric_network() -> str | None:
    """Install fabric-network as its lock file has it; None where it can be run, or why it is left out."""
    missing = [name for name in ("node", "npm") if not shutil.which(name)]
    if missing:
        return f"{' and '.join(missing)} not found: install Node 22 or newer (20 will do)"
    lock, installed = NODE_CLIENT / "package-lock.json", NODE_CLIENT / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return None
    # Without the add-on for hardware keys, which is compiled.
    command = ["npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, cwd=NODE_CLIENT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return f"npm ci failed: {' '.join(done.stderr.split())[:200]}"
    os.utime(installed)
    return None


def run(
    clients: Sequence[str], target: Target, plan: Plan, tell: Callable[[str], None]
) -> tuple[dict[str, list[Round]], list[float]]:
    """The rounds of each client, and the machine's load average at the beginning of each round. Raises Failed."""
    rounds: dict[str, list[Round]] = {client: [] for client in clients}
    loads = []
    for number in range(1, plan.rounds + 1):
        loads.append(os.getloadavg()[0])
        for client in clients:
            found = _round(client, target, plan)
            rounds[client].append(found)
            speeds = " ".join(f"{speed:.0f}" for speed in found.throughput.values())
            tell(
                f"round {number} of {plan.rounds}  {client:15}  cold {found.cold * 1000:.0f} ms  "
                f"warm {found.warm * 1000:.1f} ms  {speeds} tx/s"
                + (f"  {len(found.errors)} FAILED" * bool(found.errors))
            )
    return rounds, loads


def _round(client: str, target: Target, plan: Plan) -> Round:
    cold = [_process(client, target, plan, ())[0] for _ in range(plan.cold - 1)]
    last, measured = _process(client, target, plan, AT_A_TIME)
    errors = [error for answer in measured for error in answer["errors"]]
    for answer in measured:
        if not answer["latencies"]:
            raise Failed(f"{client}: nothing committed: {errors[0] if errors else 'no call ended in time'}")
    return Round(
        cold=statistics.median([*cold, last]),
        warm=statistics.median(measured[0]["latencies"]),
        throughput={answer["atATime"]: len(answer["latencies"]) / answer["seconds"] for answer in measured},
        errors=errors,
    )


def _process(client: str, target: Target, plan: Plan, at_a_time: Sequence[int]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds from the start of a process to its first commit, and what it measured after that."""
    order = {
        "client": client,
        "network": target.as_json(),
        "function": donor.FUNCTION,
        "argument": donor.ARGUMENT,
        "prefix": f"bench-{uuid.uuid4().hex[:12]}",
        "warmUp": plan.warm_up,
        "seconds": plan.seconds,
        "most": int(400 * plan.seconds),
        "atATime": at_a_time,
    }
    command = [sys.executable, "-m", "bench.worker"]
    if client == "fabric-network":
        command = ["node", str(NODE_CLIENT / "bench.js")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "lambda_src")])}
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as noise:
        given.write(json.dumps(order) + "\n")
        given.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603
            command, stdin=given, stdout=subprocess.PIPE, stderr=noise, text=True, cwd=ROOT, env=environment
        )
        watchdog = threading.Timer(_LIMIT, process.kill)
        watchdog.start()
        answers = []
        cold = 0.0
        try:
            for line in process.stdout or ():
                cold = cold or time.perf_counter() - began
                answers.append(json.loads(line))
            process.wait()
        finally:
            watchdog.cancel()
            process.kill()
        if process.returncode or len(answers) != 1 + len(at_a_time):
            noise.seek(0)
            raise Failed(f"{client}: its process ended with {process.returncode}: {noise.read()[-2000:].strip()}")
    return cold, answers[1:]
