"""The state machine's own definition, driven into every branch: scripted functions, S3 by moto."""

import dataclasses
import functools
import json
import random
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sandbox.assembly import Assembly, Bucket, StateMachine
from sandbox.aws import Aws
from sandbox.faults import Faults
from sandbox.lambda_runner import Answer, ServiceError
from sandbox.workflow import Workflow

CERTAIN = [
    "InvalidRequest",
    "IdempotencyKeyReused",
    "Forbidden",
    "ChaincodeRejected",
    "DonorAlreadyExists",
    "EndorsementFailed",
    "TransactionInvalid",
    "LedgerUnavailable",
]
NOT_CERTAIN = ["Sandbox.Timedout", "Runtime.ExitError", "Runtime.ImportModuleError", "StorageUnavailable", "KeyError"]
THROTTLED = ServiceError("TooManyRequestsException", 429, "Rate Exceeded.")
SERVICE_ERROR = ServiceError("ServiceException", 500, "Internal")
IDS = [f"{n:064x}" for n in range(3)]
KEY = "ngo-donor-images/ada/0123.png"
COMMITTED = {"transactionId": IDS[0]}

Step = dict[str, Any] | str | ServiceError | Answer


def create_machine(assembly: Assembly) -> StateMachine:
    """The state machine that POST /donors starts."""
    (template,) = assembly.rest_api.methods["/donors"]["POST"].request_templates.values()
    (machine,) = [each for arn, each in assembly.state_machines.items() if arn in template]
    return machine


def failed(name: str, message: str = "the original failure") -> Answer:
    cause = {"errorType": name, "errorMessage": json.dumps({"message": message, "transactionId": IDS[0]})}
    return Answer(payload=json.dumps(cause).encode(), function_error="Unhandled")


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults()


@pytest.fixture(scope="module")
def aws(assembly: Assembly, faults: Faults) -> Iterator[Aws]:
    endpoint = Aws(faults)
    endpoint.wait_ready()
    for bucket in assembly.buckets:
        endpoint.create_bucket(bucket)
    yield endpoint
    endpoint.close()


class Current:
    """The services of the execution that runs: parsing a definition anew for each test would take most of the time."""

    run: "Run"

    def invoke(self, function: str, event: bytes) -> Answer:
        return self.run.invoke(function, event)

    def client(self, service: str) -> Any:
        return self.run.client(service)


@functools.cache
def parsed(definition: str) -> tuple[Current, list[Workflow]]:
    return Current(), []


class Run:
    """One execution with scripted functions and a bucket that holds two versions of its object."""

    def __init__(self, assembly: Assembly, aws: Aws, faults: Faults) -> None:
        self._aws, self._faults, self._assembly = aws, faults, assembly
        (self._bucket,) = assembly.buckets
        self._script: dict[str, list[Step]] = {}
        self.events: dict[str, list[Any]] = {"upload": [], "chaincode": []}
        self.other, self.ours = self._put(b"another execution's"), self._put(b"this execution's")
        self.upload = {
            "imageKey": KEY,
            "imageHash": "0" * 32,
            "imageSha256": "1" * 64,
            "versionId": self.ours,
            "contentType": "image/png",
            "size": 16,
            "created": True,
            "callerNamed": False,
            "submissionId": "2" * 32,
            "nonces": ["3" * 48] * 3,
            "transactionIds": IDS,
            "earlierTransactionIds": [],
            "fabricUsername": "lambdaUser",
            "chaincodeFunction": "createDonor",
            "record": {"donorUserName": "ada", "email": "ada@example.org"},
        }

    def _put(self, body: bytes) -> str:
        return str(self._aws.client("s3").put_object(Bucket=self._bucket.name, Key=KEY, Body=body)["VersionId"])

    def client(self, service: str) -> Any:
        return self._aws.client(service)

    def invoke(self, function: str, event: bytes) -> Answer:
        handler = self._assembly.functions[function].handler
        name = "upload" if handler.startswith("upload_object.") else "chaincode"
        self.events[name].append(json.loads(event))
        step = self._script[name].pop(0)
        if isinstance(step, ServiceError):
            raise step
        return step if isinstance(step, Answer) else Answer(payload=json.dumps(step).encode())

    def __call__(
        self, *, upload: list[Step] | None = None, chaincode: list[Step] | None = None, **changes: Any
    ) -> dict[str, Any]:
        self._script = {"upload": [self.upload] if upload is None else upload, "chaincode": chaincode or []}
        request = {
            "submission": {
                "correlationId": "api-1",
                "idempotencyKey": "",
                "fabricUsername": "",
                "functionType": "invoke",
                "chaincodeFunction": "",
            },
            "chaincodeFunctionArgs": {"donorUserName": "ada", "email": "ada@example.org", "image": "aGk="},
        } | changes
        answer = self.start({"input": json.dumps(request)})
        assert not any(self._script.values()), "the workflow called less often than scripted"
        return answer

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        machine = create_machine(self._assembly)
        current, workflows = parsed(machine.definition)
        current.run = self
        if not workflows:
            workflows.append(Workflow(self._assembly, current))
        return workflows[0].start_sync_execution({"stateMachineArn": machine.arn, **request})

    @property
    def versions(self) -> list[str]:
        found = self._aws.client("s3").list_object_versions(Bucket=self._bucket.name, Prefix=KEY)
        assert "DeleteMarkers" not in found
        return [each["VersionId"] for each in found.get("Versions", [])]

    @property
    def kept(self) -> bool:
        assert self.other in self.versions, "another execution's version was deleted"
        return self.ours in self.versions


@pytest.fixture
def run(assembly: Assembly, aws: Aws, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    # The retries' full jitter may choose any pause up to its bound: here it chooses none.
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    yield Run(assembly, aws, faults)
    faults.clear()


def with_definition(assembly: Assembly, change: Any) -> Assembly:
    machine = create_machine(assembly)
    definition = json.loads(machine.definition)
    change(definition)
    changed = dataclasses.replace(machine, definition=json.dumps(definition))
    return dataclasses.replace(assembly, state_machines={machine.arn: changed})


def message(answer: Mapping[str, Any]) -> str:
    cause = json.loads(answer["cause"])
    return str(json.loads(cause["errorMessage"])["message"] if "errorMessage" in cause else cause["message"])


def test_success_answers_the_transaction_and_the_object_and_drops_the_picture(run: Run) -> None:
    answer = run(chaincode=[COMMITTED])
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"]) == {
        "transactionId": IDS[0],
        "imageKey": KEY,
        "imageHash": "0" * 32,
        "imageSha256": "1" * 64,
    }
    assert run.events["upload"] == [
        {
            "correlationId": "api-1",
            "executionId": answer["executionArn"],
            "submission": {
                "correlationId": "api-1",
                "idempotencyKey": "",
                "fabricUsername": "",
                "functionType": "invoke",
                "chaincodeFunction": "",
            },
            "chaincodeFunctionArgs": {"donorUserName": "ada", "email": "ada@example.org", "image": "aGk="},
        }
    ]
    (event,) = run.events["chaincode"]
    assert event.pop("executionStartTime").endswith("Z")
    assert event == {
        "fabricUsername": "lambdaUser",
        "functionType": "invoke",
        "chaincodeFunction": "createDonor",
        "chaincodeFunctionArgs": {
            "donorUserName": "ada",
            "email": "ada@example.org",
            "imageKey": KEY,
            "imageHash": "0" * 32,
            "imageSha256": "1" * 64,
        },
        "submission": {
            "submissionId": "2" * 32,
            "nonces": ["3" * 48] * 3,
            "transactionIds": IDS,
            "earlierTransactionIds": [],
            "created": True,
            "callerNamed": False,
        },
        "attempt": "first",
        "correlationId": "api-1",
    }
    assert run.kept


def test_a_transaction_that_cannot_be_named_is_absent_from_the_answer(run: Run) -> None:
    answer = run(chaincode=[{}])
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"]) == {name: run.upload[name] for name in ("imageKey", "imageHash", "imageSha256")}
    assert run.kept


def test_too_large_data_is_refused_without_any_call(run: Run) -> None:
    answer = run(upload=[], dataTooLarge=True)
    assert (answer["status"], answer["error"]) == ("FAILED", "ImageTooLarge")
    assert "180 KiB" in message(answer)


@pytest.mark.parametrize(
    "name",
    ["InvalidRequest", "InvalidImage", "ImageTooLarge", "Forbidden", "LedgerUnavailable", "StorageUnavailable"],
)
def test_a_refused_upload_fails_with_its_own_error_and_asks_no_ledger(run: Run, name: str) -> None:
    answer = run(upload=[failed(name)])
    assert (answer["status"], answer["error"]) == ("FAILED", name)
    assert message(answer) == "the original failure"


@pytest.mark.parametrize("name", ["Sandbox.Timedout", "Runtime.ExitError"])
def test_an_upload_that_dies_fails_and_asks_no_ledger(run: Run, name: str) -> None:
    answer = run(upload=[failed(name)])
    assert (answer["status"], answer["error"]) == ("FAILED", name)


@pytest.mark.parametrize("error", [THROTTLED, SERVICE_ERROR])
def test_an_upload_that_did_not_run_is_tried_again(run: Run, error: ServiceError) -> None:
    answer = run(upload=[error, error, run.upload], chaincode=[COMMITTED])
    assert answer["status"] == "SUCCEEDED"


def test_an_upload_throttled_to_the_end_is_too_many_requests(run: Run) -> None:
    answer = run(upload=[THROTTLED] * 3)
    assert (answer["status"], answer["error"]) == ("FAILED", "TooManyRequests")
    assert message(answer)


@pytest.mark.parametrize("name", CERTAIN)
def test_a_certain_failure_deletes_just_this_executions_version(run: Run, name: str) -> None:
    answer = run(chaincode=[failed(name)])
    assert (answer["status"], answer["error"]) == ("FAILED", name)
    assert message(answer) == "the original failure"
    assert not run.kept


def test_an_unknown_outcome_keeps_the_object(run: Run) -> None:
    answer = run(chaincode=[failed("OutcomeUnknown")])
    assert (answer["status"], answer["error"]) == ("FAILED", "OutcomeUnknown")
    assert json.loads(json.loads(answer["cause"])["errorMessage"])["transactionId"] == IDS[0]
    assert run.kept


def test_a_throttled_invocation_is_tried_again_as_a_first_attempt(run: Run) -> None:
    answer = run(chaincode=[THROTTLED, THROTTLED, COMMITTED])
    assert answer["status"] == "SUCCEEDED"
    assert [event["attempt"] for event in run.events["chaincode"]] == ["first"] * 3


def test_an_invocation_throttled_to_the_end_is_taken_back_where_no_earlier_one_can_have_been_sent(run: Run) -> None:
    answer = run(chaincode=[THROTTLED] * 3)
    assert (answer["status"], answer["error"]) == ("FAILED", "TooManyRequests")
    assert not run.kept


def test_an_invocation_throttled_to_the_end_is_unknown_where_an_earlier_execution_wrote(run: Run) -> None:
    run.upload["created"] = False
    answer = run(chaincode=[THROTTLED] * 3)
    assert (answer["status"], answer["error"]) == ("FAILED", "OutcomeUnknown")
    assert json.loads(answer["cause"])["transactionId"] == IDS[0]
    assert run.kept


@pytest.mark.parametrize("first", [*map(failed, NOT_CERTAIN), SERVICE_ERROR], ids=[*NOT_CERTAIN, "ServiceException"])
def test_anything_unnamed_is_settled_by_asking_the_ledger(run: Run, first: Step) -> None:
    answer = run(chaincode=[first, COMMITTED])
    assert answer["status"] == "SUCCEEDED"
    assert json.loads(answer["output"])["transactionId"] == IDS[0]
    assert [event["attempt"] for event in run.events["chaincode"]] == ["first", "settle"]
    assert run.kept


@pytest.mark.parametrize("name", CERTAIN)
def test_a_certain_failure_found_by_settling_deletes(run: Run, name: str) -> None:
    answer = run(chaincode=[failed("Runtime.ExitError"), failed(name)])
    assert (answer["status"], answer["error"]) == ("FAILED", name)
    assert not run.kept


def test_an_unknown_outcome_found_by_settling_keeps(run: Run) -> None:
    answer = run(chaincode=[failed("Runtime.ExitError"), failed("OutcomeUnknown")])
    assert (answer["status"], answer["error"]) == ("FAILED", "OutcomeUnknown")
    assert run.kept


def test_settling_is_tried_again_where_it_did_not_run(run: Run) -> None:
    answer = run(chaincode=[failed("Runtime.ExitError"), THROTTLED, SERVICE_ERROR, COMMITTED])
    assert answer["status"] == "SUCCEEDED"


@pytest.mark.parametrize("last", [[failed("Runtime.ExitError")], [THROTTLED] * 3], ids=["dies", "throttled"])
def test_what_cannot_be_settled_is_unknown_and_names_the_transaction(run: Run, last: list[Step]) -> None:
    answer = run(chaincode=[failed("Sandbox.Timedout"), *last])
    assert (answer["status"], answer["error"]) == ("FAILED", "OutcomeUnknown")
    assert json.loads(answer["cause"])["transactionId"] == IDS[0]
    assert run.kept


def test_a_roll_back_that_fails_once_is_tried_again(run: Run, faults: Faults) -> None:
    faults.place("s3:DeleteObject", "refuse", times=2)
    answer = run(chaincode=[failed("ChaincodeRejected")])
    assert answer["error"] == "ChaincodeRejected"
    assert not run.kept


@pytest.mark.parametrize("action", ["refuse", "reset"])
def test_a_roll_back_that_fails_to_the_end_still_tells_the_original_failure(
    run: Run, faults: Faults, action: Any
) -> None:
    fault = faults.place("s3:DeleteObject", action, times=None)
    answer = run(chaincode=[failed("ChaincodeRejected")])
    assert (answer["status"], answer["error"]) == ("FAILED", "ChaincodeRejected")
    assert message(answer) == "the original failure"
    assert fault.met == 3
    assert run.kept


def test_states_all_does_not_catch_a_state_over_the_limit(run: Run) -> None:
    answer = run(upload=[run.upload | {"contentType": "x" * 262144}])
    assert (answer["status"], answer["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_a_task_over_its_time_is_settled(assembly: Assembly, aws: Aws, faults: Faults) -> None:
    def shorten(definition: Any) -> None:
        definition["States"]["InvokeCreateDonorChaincode"]["TimeoutSeconds"] = 1

    release = threading.Event()

    class Slow(Run):
        def invoke(self, function: str, event: bytes) -> Answer:
            answer = super().invoke(function, event)
            if b'"first"' in event:
                release.wait()
            return answer

    slow = Slow(with_definition(assembly, shorten), aws, faults)
    answer = slow(chaincode=[COMMITTED, COMMITTED])
    release.set()
    assert answer["status"] == "SUCCEEDED"
    assert [event["attempt"] for event in slow.events["chaincode"]] == ["first", "settle"]


def test_an_execution_over_its_time_is_timed_out_and_deletes_nothing(
    assembly: Assembly, aws: Aws, faults: Faults
) -> None:
    release = threading.Event()

    class Slow(Run):
        def invoke(self, function: str, event: bytes) -> Answer:
            answer = super().invoke(function, event)
            if b'"attempt"' in event:
                release.wait()
            return answer

    slow = Slow(with_definition(assembly, lambda definition: definition.update(TimeoutSeconds=1)), aws, faults)
    answer = slow(chaincode=[failed("ChaincodeRejected")])
    release.set()
    assert answer["status"] == "TIMED_OUT"
    assert slow.kept


def test_an_event_that_lambda_cannot_read_is_an_invalid_request_and_asks_no_ledger(run: Run) -> None:
    """Nested too deep, or with a number of 5,000 digits: the function did not run."""
    cause = {"errorType": "Runtime.UnmarshalError", "errorMessage": "Unable to unmarshal input: secret"}
    unreadable = Answer(payload=json.dumps(cause).encode(), function_error="Unhandled")
    answer = run(upload=[unreadable], chaincodeFunctionArgs=[])
    assert (answer["error"], "secret" in answer["cause"]) == ("InvalidRequest", False)
    assert message(answer).startswith("The request is not valid.")


@pytest.mark.parametrize("sent", ["admin", ["a", {"b": 1}], 5, 2.5, True, False, None, {}, "", {"caller": "admin"}])
def test_arguments_of_any_shape_reach_the_function_that_refuses_them(sent: Any, run: Run) -> None:
    answer = run(
        upload=[failed("InvalidRequest", "chaincodeFunctionArgs: must be a JSON object.")], chaincodeFunctionArgs=sent
    )
    assert (answer["error"], message(answer)) == ("InvalidRequest", "chaincodeFunctionArgs: must be a JSON object.")
    (event,) = run.events["upload"]
    assert event["chaincodeFunctionArgs"] == sent
    assert "caller" not in event["submission"]


def test_executions_at_once_do_not_mix(assembly: Assembly, aws: Aws, faults: Faults) -> None:
    arn, template = create_machine(assembly).arn, Run(assembly, aws, faults).upload

    class Services:
        client = staticmethod(aws.client)

        def invoke(self, function: str, event: bytes) -> Answer:
            value = json.loads(event)
            if assembly.functions[function].handler.startswith("upload_object."):
                value = template | {"imageKey": value["chaincodeFunctionArgs"]["donorUserName"]}
            else:
                value = {"transactionId": value["chaincodeFunctionArgs"]["imageKey"]}
            return Answer(payload=json.dumps(value).encode())

    workflow, answers = Workflow(assembly, Services()), {}

    def execute(name: str) -> None:
        submission = {"correlationId": name}
        text = json.dumps({"submission": submission, "chaincodeFunctionArgs": {"donorUserName": name}})
        answer = workflow.start_sync_execution({"stateMachineArn": arn, "input": text})
        answers[name] = json.loads(answer["output"])["transactionId"]

    names = [f"donor-{n}" for n in range(16)]
    threads = [threading.Thread(target=execute, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {name: name for name in names}


def test_a_task_may_take_any_part_of_the_executions_input(assembly: Assembly, aws: Aws, faults: Faults) -> None:
    def tell(definition: Any) -> None:
        arguments = definition["States"]["S3Upload"]["Parameters"]
        arguments["Payload"] = {"name.$": "$$.Execution.Input.submission.names[1]", "all.$": "$$.Execution.Input"}
        # By then the state is another.
        definition["States"]["InvokeCreateDonorChaincode"]["Parameters"]["Payload"] = arguments["Payload"]

    run, submission = Run(with_definition(assembly, tell), aws, faults), {"names": ["", 'O\'Łukasz "😀"']}
    assert run(chaincode=[COMMITTED], submission=submission)["status"] == "SUCCEEDED"
    (event,) = run.events["upload"]
    assert event["name"] == submission["names"][1]
    assert (event["all"]["submission"], event["all"]["chaincodeFunctionArgs"]["image"]) == (submission, "aGk=")
    assert run.events["chaincode"] == [event]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"input": json.dumps("x" * 262144)}, "ValidationException"),
        ({"input": "{"}, "InvalidExecutionInput"),
        ({"input": '{"a": NaN}'}, "InvalidExecutionInput"),
        ({"input": "[" * 20_000 + "]" * 20_000}, "InvalidExecutionInput"),
        ({"input": "9" * 5_000}, "InvalidExecutionInput"),
        ({"stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:other"}, "StateMachineDoesNotExist"),
        ({"name": "a name"}, "InvalidName"),
        ({"input": {}}, "SerializationException"),
    ],
)
def test_step_functions_own_refusals(run: Run, change: dict[str, Any], code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        run.start({"input": "{}"} | change)
    assert (refused.value.code, refused.value.status) == (code, 400)


def test_a_standard_state_machine_runs_but_not_by_start_sync_execution(assembly: Assembly, run: Run) -> None:
    machine = create_machine(assembly)
    standard = {machine.arn: dataclasses.replace(machine, kind="STANDARD")}
    workflow = Workflow(dataclasses.replace(assembly, state_machines=standard), run)
    request = {"stateMachineArn": machine.arn, "input": json.dumps({"dataTooLarge": True})}
    with pytest.raises(ServiceError, match="not supported"):
        workflow.start_sync_execution(request)
    assert workflow.run(request)["error"] == "ImageTooLarge"


def test_an_input_of_the_greatest_size_is_taken(run: Run) -> None:
    text = json.dumps({"dataTooLarge": True, "x": ""})
    greatest = text.replace('""', json.dumps("x" * (262144 - len(text))))
    assert len(greatest) == 262144
    assert run.start({"input": greatest})["status"] == "FAILED"
    with pytest.raises(ServiceError, match="262144"):
        run.start({"input": greatest + " "})


def test_a_missing_bucket_is_named_as_aws_names_it(assembly: Assembly, aws: Aws, faults: Faults) -> None:
    def tell(definition: Any) -> None:
        del definition["States"]["DeleteObject"]["Catch"], definition["States"]["DeleteObject"]["Retry"]
        definition["States"]["DeleteObject"]["Parameters"]["Bucket"] = "no-such-bucket"

    answer = Run(with_definition(assembly, tell), aws, faults)(chaincode=[failed("ChaincodeRejected")])
    assert answer["error"] == "S3.NoSuchBucketException"


def test_a_bucket_of_the_template_is_versioned(assembly: Assembly, aws: Aws) -> None:
    (bucket,) = assembly.buckets
    assert bucket == Bucket(name=bucket.name, versioned=True)
    assert aws.client("s3").get_bucket_versioning(Bucket=bucket.name)["Status"] == "Enabled"
