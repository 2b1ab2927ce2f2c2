"""Runs a state machine's own definition with moto's Amazon States Language interpreter, behind StartSyncExecution.

The interpreter is private to moto, which is pinned exactly for it. What AWS does otherwise is put right here: the
services that a task calls, the errors' names, what `States.ALL` does not match, and the unit of a state's size, bytes
of UTF-8. What stays different: it is counted with the blanks of Python's JSON, so that one just below 256 KiB is over
the limit already.
"""

import datetime
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser import quotas
from moto.stepfunctions.parser.api import SyncExecutionStatus
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.component import Component
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import LambdaFunctionErrorException
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils.encoding import _DateTimeEncoder
from moto.stepfunctions.parser.backend.execution import SyncExecution
from moto.stepfunctions.parser.backend.execution_worker import SyncExecutionWorker
from moto.stepfunctions.parser.utils import TMP_THREADS

from . import aws_json
from .assembly import Assembly, StateMachine
from .errors import SandboxError
from .lambda_runner import Answer, ServiceError

MAX_INPUT = 262144
"""Bytes of an execution's input (quotas of AWS Step Functions)."""

logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)


def _counted(value: Any) -> str:
    """The text by whose bytes moto measures a state. Half of a surrogate pair stays an escape."""
    text = json.dumps(value, cls=_DateTimeEncoder, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


vars(quotas)["to_json_str"] = _counted


class Services(Protocol):
    """What tasks call. `invoke` as LambdaRunner's; `client` gives a boto3 client that reaches the sandbox's AWS."""

    def invoke(self, function: str, event: bytes) -> Answer: ...

    def client(self, service: str) -> Any: ...


class Workflow:
    """The state machines of one assembly, parsed once. Thread-safe.

    `hooks` are called with the request before anything runs; one that raises ServiceError refuses it. `under_way` is
    the number of executions that have begun and not ended, those whose caller has left included.
    """

    def __init__(self, assembly: Assembly, services: Services) -> None:
        self.hooks: list[Callable[[Mapping[str, Any]], None]] = []
        self.under_way = 0
        self._counting = threading.Lock()
        self._assembly = assembly
        self._programs = {
            arn: (machine, _program(machine, services)) for arn, machine in assembly.state_machines.items()
        }

    def start_sync_execution(self, request: Any) -> dict[str, Any]:
        """StartSyncExecution: takes and answers its JSON body. An execution that fails is an answer like any other.

        Raises ServiceError where Step Functions itself refuses the request.
        """
        machine, _ = self._found(request)
        if machine.kind != "EXPRESS":
            raise ServiceError("StateMachineTypeNotSupported", 400, "This operation is not supported by this type")
        return self.run(request)

    def run(self, request: Any) -> dict[str, Any]:
        """Run a state machine of either type to its end. Takes and answers as `start_sync_execution`; what AWS offers
        for a STANDARD one, starting it and asking for its outcome later, is not emulated."""
        machine, program = self._found(request)
        self._validate(request)
        for hook in list(self.hooks):
            hook(request)
        name = request.get("name") or str(uuid.uuid4())
        assembly, started = self._assembly, datetime.datetime.now(datetime.UTC)
        execution = _Execution(
            program,
            name=name,
            sm_type=machine.kind,
            role_arn=machine.role_arn,
            exec_arn=(
                f"arn:aws:states:{assembly.region}:{assembly.account}:express:{machine.name}:{name}:{uuid.uuid4()}"
            ),
            account_id=assembly.account,
            region_name=assembly.region,
            state_machine=SimpleNamespace(
                arn=machine.arn, name=machine.name, sm_type=machine.kind, definition=machine.definition
            ),
            start_date=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            cloud_watch_logging_session=None,
            activity_store={},
            input_data=request.get("input", "{}"),
        )
        self._count(1)
        try:
            execution.start()
        finally:
            self._count(-1)
        TMP_THREADS.clear()
        return _answer(execution, started, request.get("input", "{}"))

    def _count(self, change: int) -> None:
        with self._counting:
            self.under_way += change

    def _found(self, request: Any) -> tuple[StateMachine, Any]:
        if not isinstance(request, dict) or not all(isinstance(value, str) for value in request.values()):
            raise ServiceError("SerializationException", 400, "The request is not a JSON object of strings.")
        found = self._programs.get(request.get("stateMachineArn", ""))
        if found is None:
            arn = request.get("stateMachineArn")
            raise ServiceError("StateMachineDoesNotExist", 400, f"State Machine Does Not Exist: '{arn}'")
        return found

    def _validate(self, request: Mapping[str, str]) -> None:
        if not re.fullmatch(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}", request.get("name", "unnamed")):
            raise ServiceError("InvalidName", 400, f"Invalid Name: '{request['name']}'")
        text = request.get("input", "{}")
        if len(text.encode("utf-8", "surrogatepass")) > MAX_INPUT:
            raise ServiceError(
                "ValidationException",
                400,
                "1 validation error detected: Value at 'input' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_INPUT}",
            )
        try:
            aws_json.loads(text)
        except ValueError as error:
            raise ServiceError("InvalidExecutionInput", 400, "Invalid State Machine Execution Input") from error


def _answer(execution: "_Execution", started: datetime.datetime, text: str) -> dict[str, Any]:
    stopped = execution.stop_date or datetime.datetime.now(datetime.UTC)
    milliseconds = (stopped - started).total_seconds() * 1000
    answer: dict[str, Any] = {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine.arn,
        "name": execution.name,
        "startDate": started.timestamp(),
        "stopDate": stopped.timestamp(),
        "status": str((execution.sync_execution_status or SyncExecutionStatus.FAILED).value),
        "input": text,
        "inputDetails": {"included": True},
        "billingDetails": {
            "billedDurationInMilliseconds": int(milliseconds // 100 + 1) * 100,
            "billedMemoryUsedInMB": 64,
        },
    }
    if execution.sync_execution_status == SyncExecutionStatus.SUCCEEDED:
        answer["output"] = json.dumps(execution.output, ensure_ascii=False, separators=(",", ":"))
        answer["outputDetails"] = {"included": True}
    for key in ("error", "cause"):
        if getattr(execution, key) is not None:
            answer[key] = getattr(execution, key)
    return answer


class _Execution(SyncExecution):
    def __init__(self, program: Any, **details: Any) -> None:
        super().__init__(**details)
        self._program = program

    def _get_start_execution_worker(self) -> SyncExecutionWorker:
        worker: Any = super()._get_start_execution_worker()
        worker.__class__, worker.program = _Worker, self._program
        return cast(SyncExecutionWorker, worker)


class _Worker(SyncExecutionWorker):
    program: Any

    def _get_evaluation_entrypoint(self) -> Any:
        return self.program


def _program(machine: StateMachine, services: Services) -> Any:
    program = AmazonStateLanguageParser.parse(machine.definition)[0]
    for component in _components(program, set()):
        if isinstance(component, StateTask):
            task: Any = component
            kind = next((ours for ours in (_LambdaTask, _AwsSdkTask) if type(component) in ours.__bases__), None)
            if kind is None:
                raise SandboxError(
                    f"the sandbox cannot run {component.resource.resource_arn}, of state {component.name}: "
                    "it knows lambda:invoke and aws-sdk:s3"
                )
            task.__class__, task.services = kind, services
        elif type(component) is ErrorEqualsDecl:
            component.__class__ = _ErrorEquals
        if isinstance(component, EvalComponent):
            # Made at first use otherwise, by whichever of two executions comes first.
            _ = component.heap_key
    return program


def _components(value: object, seen: set[int]) -> Iterator[Any]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Component):
        yield value
        value = list(vars(value).values())
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _components(part, seen)


class _ErrorEquals(ErrorEqualsDecl):
    """`States.ALL` does not match these two (AWS Step Functions, "Handling errors"): they end the execution."""

    _NEVER_BY_ALL = ("States.DataLimitExceeded", "States.Runtime")

    def _eval_body(self, env: Environment) -> None:
        name = env.stack[-1].error_name
        super()._eval_body(env)
        if name in self._NEVER_BY_ALL and all(each.error_name != name for each in self.error_names):
            env.stack[-1] = False


class _LambdaTask(StateTaskServiceLambda):
    services: Services

    def _eval_service_task(
        self, env: Environment, resource_runtime_part: object, normalised_parameters: Any, state_credentials: object
    ) -> None:
        try:
            answer = self.services.invoke(
                normalised_parameters["FunctionName"], normalised_parameters.get("Payload", b"{}")
            )
        except ServiceError as error:
            raise _client_error(error, "Invoke") from error
        if answer.function_error:
            raise LambdaFunctionErrorException(answer.function_error, answer.payload.decode())
        env.stack.append(_LAMBDAS_OWN | {"Payload": json.loads(answer.payload)})


_METADATA = {
    "Connection": "keep-alive",
    "Content-Type": "application/json",
    "Date": "Sun, 29 Nov 2026 12:00:00 GMT",
} | dict.fromkeys(("Content-Length", "X-Amzn-Trace-Id", "x-amzn-RequestId", "X-Amz-Executed-Version"), "0" * 36)
_LAMBDAS_OWN = {
    "ExecutedVersion": "$LATEST",
    "SdkHttpMetadata": {
        "AllHttpHeaders": {name: [value] for name, value in _METADATA.items()},
        "HttpHeaders": _METADATA,
        "HttpStatusCode": 200,
    },
    "SdkResponseMetadata": {"RequestId": _METADATA["x-amzn-RequestId"]},
    "StatusCode": 200,
}
"""What stands beside the payload, in about the length that it has on AWS, and counts for the state's size."""


class _AwsSdkTask(StateTaskServiceAwsSdk):
    services: Services

    @staticmethod
    def _normalise_service_error_name(service_name: str) -> str:
        return {"s3": "S3"}.get(service_name, service_name)

    def _from_error(self, env: Environment, ex: Exception) -> FailureEvent:
        if isinstance(ex, BotoCoreError):
            name = f"{self._normalise_service_error_name(self.resource.api_name)}.SdkClientException"
            return self._get_task_failure_event(env=env, error=name, cause=f"Unable to execute HTTP request: {ex}")
        if isinstance(ex, ClientError):
            # An error that is no answer of S3's has no id, and moto needs one.
            ex.response["ResponseMetadata"].setdefault("RequestId", "")
        return super()._from_error(env=env, ex=ex)

    def _eval_service_task(
        self, env: Environment, resource_runtime_part: object, normalised_parameters: Any, state_credentials: object
    ) -> None:
        if self.resource.api_name != "s3":
            raise SandboxError(f"the sandbox has no {self.resource.api_name} for state {self.name}")
        call = getattr(self.services.client("s3"), self._get_boto_service_action())
        response = call(**normalised_parameters)
        response.pop("ResponseMetadata", None)
        env.stack.append(response)


def _client_error(error: ServiceError, operation: str) -> ClientError:
    response = {
        "Error": {"Code": error.code, "Message": error.message},
        "ResponseMetadata": {"HTTPStatusCode": error.status, "RequestId": str(uuid.uuid4())},
    }
    return ClientError(response, operation)
