"""The Lambda runner with small functions of its own, through AWS's runtime client and through the sandbox's."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from sandbox.assembly import Function
from sandbox.errors import SandboxError
from sandbox.lambda_runner import Answer, Invocation, LambdaRunner, ServiceError

CODE = """
    import json, os, sys, time

    class ChaincodeRejected(Exception):
        pass

    def handler(event, context):
        if event["do"] == "echo":
            return {"got": event["value"], "pid": os.getpid(), "variable": os.environ["VARIABLE"]}
        if event["do"] == "context":
            return {"request": context.aws_request_id, "function": context.function_name,
                    "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis()}
        if event["do"] == "raise":
            raise ChaincodeRejected(json.dumps({"message": "no"}))
        if event["do"] == "exit":
            os._exit(event["code"])
        if event["do"] == "sleep":
            time.sleep(event["seconds"])
            return "slept"
        if event["do"] == "import":
            __import__(event["module"])
            return sys.modules[event["module"]].__file__
        if event["do"] == "large":
            return "x" * (7 * 1024 * 1024)
        return object()
"""

RUNTIMES = [
    pytest.param(
        "awslambdaric",
        marks=pytest.mark.skipif(util.find_spec("awslambdaric") is None, reason="awslambdaric has no wheel here"),
    ),
    "own",
]
Make = Callable[..., LambdaRunner]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(tmp_path: Path, cache: Path, runtime: str) -> Iterator[Make]:
    made: list[LambdaRunner] = []

    def make_runner(
        code: str = CODE, *, lock: str = "", timeout: float = 10, max_environments: int = 2
    ) -> LambdaRunner:
        asset = tmp_path / "asset"
        (asset / "package").mkdir(parents=True)
        (asset / "package" / "code.py").write_text(textwrap.dedent(code))
        (asset / "package" / "requirements.txt").write_text(lock)
        function = Function(
            name="echo",
            arn="arn:aws:lambda:us-east-1:123456789012:function:echo",
            handler="package.code.handler",
            runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
            asset=asset,
            environment={"VARIABLE": "from the template"},
            timeout=timeout,
            memory=128,
        )
        runner = LambdaRunner(
            [function],
            environment=lambda _: {},
            cache=cache,
            logs=tmp_path,
            max_environments=max_environments,
            runtime=runtime,
        )
        made.append(runner)
        return runner

    yield make_runner
    for runner in made:
        runner.close()


def call(runner: LambdaRunner, **event: Any) -> Any:
    answer = runner.invoke("echo", json.dumps(event).encode())
    assert answer.function_error is None, answer.payload
    return json.loads(answer.payload)


def fail(runner: LambdaRunner, **event: Any) -> Any:
    answer = runner.invoke("echo", json.dumps(event).encode())
    assert answer.function_error == "Unhandled"
    return json.loads(answer.payload)


def test_an_environment_is_reused_and_has_the_templates_variables_and_nothing_of_ours(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIABLE", "from our own environment")
    runner = make()
    first = call(runner, do="echo", value="ü 😀 \"'\\")
    assert first["got"] == "ü 😀 \"'\\"
    assert first["variable"] == "from the template"
    assert call(runner, do="echo", value=None)["pid"] == first["pid"] != os.getpid()


def test_the_context_tells_request_function_and_time_left(make: Make) -> None:
    runner = make(timeout=7)
    seen = []
    runner.hooks.append(lambda invocation: seen.append(invocation.request_id))
    context = call(runner, do="context")
    assert context["request"] == seen[0]
    assert context["function"] == "echo"
    assert context["arn"].endswith(":function:echo")
    assert 0 < context["left"] <= 7000


@pytest.mark.parametrize("event", ["[" * 200_000 + "]" * 200_000, "9" * 5_000, "{"], ids=["depth", "number", "no JSON"])
def test_an_event_that_python_cannot_read_is_an_unmarshal_error(make: Make, event: str) -> None:
    runner = make()
    answer = runner.invoke("echo", event.encode())
    assert answer.function_error == "Unhandled"
    assert json.loads(answer.payload)["errorType"] == "Runtime.UnmarshalError"
    assert call(runner, do="echo", value=1)["got"] == 1


def test_an_exception_becomes_a_function_error_with_its_class_as_type(make: Make) -> None:
    runner = make()
    pid = call(runner, do="echo", value=1)["pid"]
    error = fail(runner, do="raise")
    assert error["errorType"] == "ChaincodeRejected"
    assert json.loads(error["errorMessage"]) == {"message": "no"}
    assert call(runner, do="echo", value=1)["pid"] == pid


def test_an_answer_that_is_no_json_is_a_marshal_error(make: Make) -> None:
    assert fail(make(), do="something else")["errorType"] == "Runtime.MarshalError"


def test_an_answer_over_six_megabytes_is_refused(make: Make) -> None:
    assert fail(make(), do="large")["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_process_that_exits_is_reported_and_replaced(make: Make) -> None:
    runner = make()
    first = call(runner, do="echo", value=1)["pid"]
    error = fail(runner, do="exit", code=3)
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")
    assert call(runner, do="echo", value=1)["pid"] != first


def test_the_templates_timeout_ends_the_process_and_says_so_as_lambda_does(make: Make) -> None:
    runner = make(timeout=0.3)
    runner.warm(["echo"])
    (pid,) = runner.pids("echo")
    error = fail(runner, do="sleep", seconds=30)
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Error: Task timed out after 0.30 seconds")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_killed_in_the_middle_is_an_exit_error(make: Make) -> None:
    runner = make()

    def kill(invocation: Invocation) -> None:
        if invocation.phase == "started" and b"sleep" in invocation.event:
            assert invocation.pid is not None
            os.kill(invocation.pid, signal.SIGKILL)

    runner.hooks.append(kill)
    error = fail(runner, do="sleep", seconds=30)
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("signal: killed")
    assert call(runner, do="echo", value=1)["got"] == 1


def test_a_frozen_process_times_out(make: Make) -> None:
    runner = make(timeout=0.3)
    runner.warm(["echo"])
    runner.hooks.append(
        lambda invocation: os.kill(invocation.pid, signal.SIGSTOP) if invocation.phase == "started" else None
    )
    assert fail(runner, do="echo", value=1)["errorType"] == "Sandbox.Timedout"


def test_hooks_can_stand_in_replace_the_answer_and_refuse(make: Make) -> None:
    runner = make()
    stand_in = Answer(payload=b'"instead"')
    runner.hooks.append(lambda invocation: stand_in if invocation.phase == "before" else None)
    assert call(runner, do="echo", value=1) == "instead"
    assert runner.pids("echo") == []
    runner.hooks[0] = lambda invocation: stand_in if invocation.phase == "after" else None
    assert call(runner, do="echo", value=1) == "instead"

    def throttle(invocation: Invocation) -> None:
        raise ServiceError("TooManyRequestsException", 429, "Rate Exceeded.")

    runner.hooks[0] = throttle
    with pytest.raises(ServiceError, match="Rate Exceeded"):
        runner.invoke("echo", b"{}")


def test_concurrent_requests_get_environments_up_to_the_bound_and_wait_beyond_it(make: Make) -> None:
    runner = make(max_environments=2)
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(call(runner, do="echo", value=n)), daemon=True)
        for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["got"] for answer in answers) == list(range(6))
    assert len({answer["pid"] for answer in answers}) <= 2
    assert len(runner.pids("echo")) <= 2


def test_what_the_lock_leaves_out_is_missing_though_installed_here(make: Make) -> None:
    runner = make("import defusedxml\n" + textwrap.dedent(CODE))
    error = fail(runner, do="echo", value=1)
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'defusedxml'" in error["errorMessage"]
    assert fail(runner, do="echo", value=1)["errorType"] == "Runtime.ImportModuleError"


def test_what_the_lock_names_and_what_the_managed_runtime_brings_is_there(make: Make) -> None:
    runner = make(lock="defusedxml==0.7.1 \\\n    --hash=sha256:00\n")
    assert "defusedxml" in call(runner, do="import", module="defusedxml")
    assert "boto3" in call(runner, do="import", module="boto3")
    assert fail(runner, do="import", module="yaml")["errorType"] == "ModuleNotFoundError"
    assert fail(runner, do="import", module="sandbox")["errorType"] == "ModuleNotFoundError"


@pytest.mark.parametrize("runtime", ["own"])
def test_a_lock_that_differs_from_this_environment_is_refused(make: Make, runtime: str) -> None:
    with pytest.raises(SandboxError, match=r"names defusedxml 0\.6\.0, but this environment has 0\.7\.1"):
        make(lock="defusedxml==0.6.0\n")


@pytest.mark.parametrize("runtime", ["own"])
def test_an_unknown_function_and_a_too_large_event_are_refused(make: Make, runtime: str) -> None:
    runner = make()
    with pytest.raises(ServiceError) as unknown:
        runner.invoke("arn:aws:lambda:us-east-1:123456789012:function:other", b"{}")
    assert (unknown.value.code, unknown.value.status) == ("ResourceNotFoundException", 404)
    with pytest.raises(ServiceError) as too_large:
        runner.invoke("echo", b" " * (6 * 1024 * 1024 + 1))
    assert too_large.value.code == "RequestTooLargeException"


def test_closing_ends_every_process(make: Make) -> None:
    runner = make()
    runner.warm(["echo"])
    (pid,) = runner.pids("echo")
    runner.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ServiceError, match="stopping"):
        call(runner, do="echo", value=1)


def test_a_process_ends_when_the_sandbox_is_killed(tmp_path: Path, cache: Path, make: Make, runtime: str) -> None:
    make().close()
    script = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from sandbox.assembly import Function
from sandbox.lambda_runner import LambdaRunner
function = Function(name="echo", arn="echo", handler="package.code.handler", runtime="python3", timeout=60, memory=128,
                    asset=Path({str(tmp_path / "asset")!r}), environment={{"VARIABLE": ""}})
runner = LambdaRunner([function], environment=lambda _: {{}}, cache=Path({str(cache)!r}), logs=Path({str(tmp_path)!r}),
                      runtime={runtime!r})
runner.warm(["echo"])
print(runner.pids("echo")[0], flush=True)
runner.invoke("echo", b'{{"do": "sleep", "seconds": 60}}')
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the function's process outlived the sandbox")
