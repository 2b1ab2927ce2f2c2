"""Runs Lambda functions in processes of their own, through the Lambda Runtime API.

Different from AWS, besides IAM and the network: a bounded number of environments per function, beyond which requests
wait instead of being throttled; environments are not frozen between invocations; memory is not limited.
"""

import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import util
from pathlib import Path

from . import packages
from .assembly import Function
from .errors import SandboxError
from .faults import When
from .runtime_api import RuntimeApi

INIT_SECONDS = 10.0
MAX_PAYLOAD = 6 * 1024 * 1024
_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What Lambda's Invoke answers: `payload` is JSON; `function_error` "Unhandled" where the function failed."""

    payload: bytes
    function_error: str | None = None


class ServiceError(Exception):
    """An answer of the Lambda service itself: nothing ran. `code` such as TooManyRequestsException, with its status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, message


@dataclass(kw_only=True)
class Invocation:
    """What a hook sees. `phase` is "before" (nothing runs yet), "started" (the process has the event) or "after"."""

    function: str
    request_id: str
    event: bytes
    phase: When = "before"
    answer: Answer | None = None
    pid: int | None = None


Hook = Callable[[Invocation], Answer | None]
"""Called in each phase. An Answer returned "before" stands in for the function, one returned "after" replaces its
answer. A ServiceError raised "before" or "after" reaches the caller. A hook may kill or stop `invocation.pid`."""


class LambdaRunner:
    """The functions of one assembly. Thread-safe. Close it to end every process.

    `environment` gives variables for each function, on top of the template's. `cache` holds the links to packages,
    `logs` one file per function. `runtime` is `awslambdaric` or `own`; by default AWS's where it is installed.
    """

    def __init__(
        self,
        functions: Iterable[Function],
        *,
        environment: Callable[[Function], Mapping[str, str]],
        cache: Path,
        logs: Path,
        max_environments: int = 4,
        runtime: str | None = None,
    ) -> None:
        runtime = runtime or ("awslambdaric" if util.find_spec("awslambdaric") else "own")
        self.hooks: list[Hook] = []
        managed = packages.linked(packages.managed_runtime(), cache)
        self._pools = {}
        for function in functions:
            variables = _variables(function) | dict(function.environment) | dict(environment(function))
            folders = [function.asset, *_locked(function, cache), managed]
            command = [sys.executable, "-I", "-S", str(_BOOTSTRAP), runtime, *map(str, folders)]
            self._pools[function.arn] = _Pool(
                function, command, variables, logs / f"{function.name}.log", max_environments
            )
        self._by_name = {pool.function.name: pool for pool in self._pools.values()}

    def warm(self, functions: Iterable[str]) -> None:
        """Start one environment of each of `functions` and wait until it can take an event.

        A function that fails to start is left to fail at its first invocation, as on AWS.
        """
        environments = [self._pool(function).add() for function in functions]
        for environment in environments:
            environment.wait_ready()

    def invoke(self, function: str, event: bytes) -> Answer:
        """Invoke `function` (a name or an ARN, also with a qualifier) and wait for its answer.

        Raises ServiceError where the Lambda service would refuse.
        """
        pool = self._pool(function)
        if len(event) > MAX_PAYLOAD:
            raise ServiceError("RequestTooLargeException", 413, f"{len(event)} byte payload is over {MAX_PAYLOAD}.")
        invocation = Invocation(function=pool.function.name, request_id=str(uuid.uuid4()), event=event)
        answer = self._call_hooks(invocation)
        if answer is None:
            answer = pool.invoke(invocation, self._call_hooks)
        after = replace(invocation, phase="after", answer=answer)
        return self._call_hooks(after) or answer

    def pids(self, function: str) -> list[int]:
        """The processes of `function` that live now."""
        return [environment.process.pid for environment in self._pool(function).living()]

    def kill(self, function: str, pid: int | None = None) -> None:
        """Kill the process `pid` of `function`, by default every one, in the middle of whatever it does; returns when
        it has ended."""
        for environment in self._pool(function).living():
            if pid in (None, environment.process.pid):
                environment.kill()

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _pool(self, function: str) -> "_Pool":
        name = function.split(":function:")[-1].split(":")[0]
        pool = self._by_name.get(name)
        if pool is None:
            raise ServiceError("ResourceNotFoundException", 404, f"Function not found: {function}")
        return pool

    def _call_hooks(self, invocation: Invocation) -> Answer | None:
        answers = [hook(invocation) for hook in list(self.hooks)]
        return next((answer for answer in answers if answer is not None), None)


def _locked(function: Function, cache: Path) -> list[Path]:
    if any(function.asset.glob("*.dist-info")):
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        if function.runtime != version or sys.platform != "linux":
            raise SandboxError(
                f"the code of {function.name} is bundled for {function.runtime} on Linux, and this is {version} on "
                f"{sys.platform}: synthesize with the context aws:cdk:bundling-stacks=[] for the sandbox."
            )
        return []
    candidates = [function.asset / function.handler.split(".")[0], function.asset]
    lock = next((folder / "requirements.txt" for folder in candidates if (folder / "requirements.txt").is_file()), None)
    return [packages.linked(packages.locked(lock), cache)] if lock else []


def _variables(function: Function) -> dict[str, str]:
    return {
        "_HANDLER": function.handler,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "sandbox",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LAMBDA_TASK_ROOT": str(function.asset),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
    }


class _Pool:
    def __init__(
        self, function: Function, command: list[str], variables: dict[str, str], log: Path, max_environments: int
    ) -> None:
        self.function = function
        self._command, self._variables, self._log = command, variables, log
        self._max = max_environments
        self._changed = threading.Condition()
        self._idle: list[_Environment] = []
        self._all: list[_Environment] = []
        self._closed = False

    def add(self) -> "_Environment":
        with self._changed:
            environment = self._start()
            self._idle.append(environment)
        return environment

    def invoke(self, invocation: Invocation, hook: Hook) -> Answer:
        environment = self._take()
        invocation.pid = environment.process.pid
        try:
            return environment.invoke(invocation, hook)
        finally:
            self._give_back(environment)

    def living(self) -> "list[_Environment]":
        with self._changed:
            return [environment for environment in self._all if environment.alive]

    def close(self) -> None:
        with self._changed:
            self._closed = True
            environments, self._all, self._idle = self._all, [], []
            self._changed.notify_all()
        for environment in environments:
            environment.close()

    def _take(self) -> "_Environment":
        with self._changed:
            while True:
                if self._closed:
                    raise ServiceError("ServiceException", 500, "The sandbox is stopping.")
                while self._idle:
                    environment = self._idle.pop()
                    if environment.alive:
                        return environment
                    self._drop(environment)
                if len(self._all) < self._max:
                    return self._start()
                self._changed.wait()

    def _give_back(self, environment: "_Environment") -> None:
        with self._changed:
            if environment.alive and not self._closed:
                self._idle.append(environment)
            else:
                self._drop(environment)
            self._changed.notify()

    def _start(self) -> "_Environment":
        environment = _Environment(self.function, self._command, self._variables, self._log)
        self._all.append(environment)
        return environment

    def _drop(self, environment: "_Environment") -> None:
        if environment in self._all:
            self._all.remove(environment)
        environment.close()


@dataclass
class _State:
    """What the process reported about the invocation that it has."""

    request_id: str = ""
    ready: bool = False
    exited: bool = False
    init_error: bytes | None = None
    answer: Answer | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)


class _Environment:
    """One execution environment: a process and its Runtime API."""

    def __init__(self, function: Function, command: list[str], variables: dict[str, str], log: Path) -> None:
        self._function = function
        self._state = _State()
        self._api = RuntimeApi(self._report)
        with log.open("ab") as file:
            self.process = subprocess.Popen(  # noqa: S603 our own interpreter and bootstrap
                command,
                cwd=function.asset,
                env=variables | {"AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                # Ctrl-C is for us alone; they end when we close their standard input.
                start_new_session=True,
            )
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_ready(self) -> bool:
        state = self._state
        with state.changed:
            state.changed.wait_for(lambda: state.ready or state.exited, INIT_SECONDS)
            return state.ready and not state.exited

    def invoke(self, invocation: Invocation, hook: Hook) -> Answer:
        state, function = self._state, self._function
        if not self.wait_ready():
            self.kill()
            if state.init_error is not None:
                return Answer(payload=state.init_error, function_error="Unhandled")
            if state.exited:
                return self._exit_error(invocation)
            return self._timed_out(invocation, INIT_SECONDS)
        deadline = time.time() + function.timeout
        with state.changed:
            state.request_id, state.answer = invocation.request_id, None
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": function.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        self._api.hand_over(headers, invocation.event)
        hook(replace(invocation, phase="started"))
        with state.changed:
            state.changed.wait_for(lambda: state.answer or state.exited, deadline - time.time())
            if state.answer:
                return state.answer
        if state.exited:
            return self._exit_error(invocation)
        self.kill()
        return self._timed_out(invocation, function.timeout)

    def kill(self) -> None:
        if self.alive:
            self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        if self.process.stdin:
            self.process.stdin.close()
        self._api.close()

    def _watch(self) -> None:
        self.process.wait()
        with self._state.changed:
            self._state.exited = True
            self._state.changed.notify_all()

    def _report(self, kind: str, request_id: str, body: bytes) -> None:
        state = self._state
        with state.changed:
            if kind == "ready":
                state.ready = True
            elif kind == "init-error":
                state.init_error = body
            elif request_id == state.request_id:
                if len(body) > MAX_PAYLOAD:
                    body = _error(
                        "Function.ResponseSizeTooLarge",
                        f"Response payload size exceeded maximum ({MAX_PAYLOAD} bytes).",
                    )
                    kind = "error"
                state.answer = Answer(payload=body, function_error="Unhandled" if kind == "error" else None)
            state.changed.notify_all()

    def _timed_out(self, invocation: Invocation, seconds: float) -> Answer:
        text = f"RequestId: {invocation.request_id} Error: Task timed out after {seconds:.2f} seconds"
        return Answer(payload=_error("Sandbox.Timedout", text), function_error="Unhandled")

    def _exit_error(self, invocation: Invocation) -> Answer:
        code = self.process.wait()
        if code == 0:
            reason = "Runtime exited without providing a reason"
        elif code > 0:
            reason = f"Runtime exited with error: exit status {code}"
        else:
            names = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGABRT: "aborted"}
            reason = (
                f"Runtime exited with error: signal: {names.get(signal.Signals(-code), signal.Signals(-code).name)}"
            )
        text = f"RequestId: {invocation.request_id} Error: {reason}"
        return Answer(payload=_error("Runtime.ExitError", text), function_error="Unhandled")


def exit_error(request_id: str, code: int) -> Answer:
    """What Lambda answers where the process ended with `code`, negative for a signal, as in subprocess."""
    if code == 0:
        reason = "Runtime exited without providing a reason"
    elif code > 0:
        reason = f"Runtime exited with error: exit status {code}"
    else:
        reason = f"Runtime exited with error: signal: {(signal.strsignal(-code) or str(-code)).lower()}"
    payload = _error("Runtime.ExitError", f"RequestId: {request_id} Error: {reason}")
    return Answer(payload=payload, function_error="Unhandled")


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()
