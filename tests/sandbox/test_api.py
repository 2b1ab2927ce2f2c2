"""The API alone: the product's mapping templates and model, with Step Functions scripted."""

import http.client
import json
import re
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from sandbox import request_model
from sandbox.api import Api
from sandbox.assembly import Assembly
from sandbox.errors import SandboxError
from sandbox.lambda_runner import ServiceError

pytestmark = pytest.mark.usefixtures("velocity")

GOOD = {"donorUserName": "ada", "email": "ada@example.org", "image": "aGk="}


class StepFunctions:
    """Keeps what it was asked and answers what it is told."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.answer: Any = {"status": "SUCCEEDED", "output": "{}"}

    def start_sync_execution(self, request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        if callable(self.answer):
            self.answer()
            return {"status": "SUCCEEDED", "output": "{}"}
        return dict(self.answer)

    @property
    def input(self) -> Any:
        (request,) = self.requests
        return json.loads(request["input"])


@pytest.fixture(scope="module")
def shared(assembly: Assembly) -> Iterator[tuple[Api, StepFunctions]]:
    step_functions = StepFunctions()
    api = Api(assembly, step_functions.start_sync_execution)
    yield api, step_functions
    api.close()


@pytest.fixture
def api(shared: tuple[Api, StepFunctions]) -> Api:
    return shared[0]


@pytest.fixture
def step_functions(shared: tuple[Api, StepFunctions]) -> StepFunctions:
    shared[1].__init__()  # type: ignore[misc]
    return shared[1]


def send(
    api: Api,
    body: object,
    headers: Mapping[str, str] | None = None,
    *,
    path: str = "/donors",
    method: str = "POST",
) -> tuple[int, Any, http.client.HTTPMessage]:
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=40)
    connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer, response.headers


NASTY = [
    "O'Brien",
    'Jane "JJ" Doe',
    "back\\slash\\",
    "\\'",
    "$x ${x} $!x $input.json('$') $context.requestId",
    "#if(true) #set($x = 1) ## #end",
    "@@",
    "</script>",
    "Zoë Łukasz 李",
    "😀👩‍👩‍👧",
    "line\nbreak\ttab\r",
    "\x00\x7f\u2028\u2029",
    "{}[]%\\u0041",
]


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_what_the_caller_wrote_reaches_the_workflow_as_it_is(
    api: Api, step_functions: StepFunctions, text: str, ascii_only: bool
) -> None:
    arguments = GOOD | {"donorUserName": text, "email": f"{text}@example.org"}
    body = {"fabricUsername": text, "functionType": text, "chaincodeFunction": text, "chaincodeFunctionArgs": arguments}
    assert send(api, json.dumps(body, ensure_ascii=ascii_only))[0] == 200
    sent = step_functions.input
    assert sent["chaincodeFunctionArgs"] == arguments
    assert [sent["submission"][name] for name in ("fabricUsername", "functionType", "chaincodeFunction")] == [text] * 3


def test_the_request_names_the_state_machine_and_what_is_not_given_is_empty(
    assembly: Assembly, api: Api, step_functions: StepFunctions
) -> None:
    _, _, headers = send(api, {"chaincodeFunctionArgs": GOOD})
    (request,) = step_functions.requests
    assert set(request) == {"stateMachineArn", "input"}
    assert assembly.state_machines[request["stateMachineArn"]].kind == "EXPRESS"
    assert step_functions.input == {
        "submission": {
            "correlationId": headers["x-amzn-RequestId"],
            "idempotencyKey": "",
            "fabricUsername": "",
            "functionType": "",
            "chaincodeFunction": "",
            "caller": "",
        },
        "chaincodeFunctionArgs": GOOD,
    }


@pytest.mark.parametrize("text", NASTY)
def test_a_reads_parameters_reach_the_workflow_as_they_are(api: Api, step_functions: StepFunctions, text: str) -> None:
    """The path's are not decoded before."""
    quoted = urllib.parse.quote(text, safe="")
    _, _, headers = send(api, "", path=f"/donors/{quoted}?verify={quoted}", method="GET")
    assert step_functions.input == {
        "correlationId": headers["x-amzn-RequestId"],
        "query": "record",
        "identifier": quoted,
        "verify": text,
        "inline": "",
    }


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"])
@pytest.mark.parametrize("key", ["a-1", "x\"y\\z'", "$k#if", "k" * 255])
def test_the_idempotency_key_is_found_in_any_case(api: Api, step_functions: StepFunctions, name: str, key: str) -> None:
    send(api, {"chaincodeFunctionArgs": GOOD}, {name: key})
    assert step_functions.input["submission"]["idempotencyKey"] == key


def test_the_idempotency_key_comes_from_headers_only(api: Api, step_functions: StepFunctions) -> None:
    send(api, {"chaincodeFunctionArgs": GOOD}, path="/donors?Idempotency-Key=from-the-query")
    assert step_functions.input["submission"]["idempotencyKey"] == ""


def test_too_large_data_is_left_out_and_said_so(api: Api, step_functions: StepFunctions) -> None:
    send(api, {"chaincodeFunctionArgs": GOOD | {"image": "A" * 300_000}})
    sent = step_functions.input
    assert sent.keys() == {"submission", "dataTooLarge"}
    assert sent["dataTooLarge"] is True


def test_each_request_has_ids_of_its_own(api: Api, step_functions: StepFunctions) -> None:
    answers = [send(api, {"chaincodeFunctionArgs": GOOD})[2] for _ in range(3)]
    for header in ("x-amzn-RequestId", "x-amz-apigw-id"):
        assert len({headers[header] for headers in answers}) == 3


def test_a_success_is_the_executions_output(api: Api, step_functions: StepFunctions) -> None:
    output = {"transactionId": "0" * 64, "imageKey": 'ngo-donor-images/O\'Brien "😀"/1.png', "imageHash": "1"}
    step_functions.answer = {"status": "SUCCEEDED", "output": json.dumps(output)}
    status, answer, headers = send(api, {"chaincodeFunctionArgs": GOOD})
    assert (status, answer) == (200, output)
    assert headers.get_content_type() == "application/json"


ERRORS = [
    ("InvalidRequest", 400, "InvalidRequest"),
    ("IdempotencyKeyReused", 400, "InvalidRequest"),
    ("InvalidImage", 400, "InvalidImage"),
    ("Forbidden", 403, "Forbidden"),
    ("DonorAlreadyExists", 409, "DonorAlreadyExists"),
    ("ImageTooLarge", 413, "ImageTooLarge"),
    ("ChaincodeRejected", 422, "ChaincodeRejected"),
    ("EndorsementFailed", 503, "LedgerUnavailable"),
    ("TransactionInvalid", 503, "LedgerUnavailable"),
    ("LedgerUnavailable", 503, "LedgerUnavailable"),
    ("OutcomeUnknown", 504, "OutcomeUnknown"),
    ("TooManyRequests", 429, "TooManyRequests"),
]


@pytest.mark.parametrize(("error", "status", "code"), ERRORS)
@pytest.mark.parametrize("wrapped", [True, False], ids=["function", "workflow"])
def test_each_error_has_its_status_code_and_message(
    api: Api, step_functions: StepFunctions, error: str, status: int, code: str, wrapped: bool
) -> None:
    message = 'it\'s "so" \\ \n 😀 $x #if'
    cause = json.dumps({"message": message, "transactionId": "0" * 64})
    if wrapped:
        cause = json.dumps({"errorType": error, "errorMessage": cause, "stackTrace": ["secret"]})
    step_functions.answer = {"status": "FAILED", "error": error, "cause": cause}
    got, answer, headers = send(api, {"chaincodeFunctionArgs": GOOD})
    assert got == status
    assert answer == {
        "error": code,
        "message": message,
        "transactionId": "0" * 64,
        "requestId": headers["x-amzn-RequestId"],
    }


@pytest.mark.parametrize(("error", "status", "code"), ERRORS)
@pytest.mark.parametrize("wrapped", [True, False], ids=["function", "workflow"])
def test_what_a_failure_does_not_say_is_left_out_of_the_answer(
    api: Api, step_functions: StepFunctions, error: str, status: int, code: str, wrapped: bool
) -> None:
    cause = json.dumps({"message": "m"})
    if wrapped:
        cause = json.dumps({"errorType": error, "errorMessage": cause})
    step_functions.answer = {"status": "FAILED", "error": error, "cause": cause}
    got, answer, headers = send(api, {"chaincodeFunctionArgs": GOOD})
    assert got == status
    assert answer == {"error": code, "message": "m", "requestId": headers["x-amzn-RequestId"]}


@pytest.mark.parametrize("failure", [{}, {"cause": ""}, {"cause": "{}"}, {"cause": '{"message": ""}'}])
def test_a_failure_without_words_still_has_a_message(
    api: Api, step_functions: StepFunctions, failure: dict[str, str]
) -> None:
    step_functions.answer = {"status": "FAILED", "error": "ChaincodeRejected", **failure}
    status, answer, _ = send(api, {"chaincodeFunctionArgs": GOOD})
    assert (status, answer["error"]) == (422, "ChaincodeRejected")
    assert answer["message"].startswith("The request failed")
    assert answer.keys() == {"error", "message", "requestId"}


@pytest.mark.parametrize(
    "details",
    [
        {"versions": 0, "deleteMarker": False},
        {"versions": 3, "deleteMarker": True, "versionId": "null"},
        {"versions": 3},
        {"deleteMarker": False},
        {"versionId": "v"},
        {},
    ],
)
def test_numbers_and_truth_values_of_a_missing_object_are_told_as_they_are(
    api: Api, step_functions: StepFunctions, details: dict[str, Any]
) -> None:
    cause = json.dumps({"errorType": "ImageMissing", "errorMessage": json.dumps({"message": "m"} | details)})
    step_functions.answer = {"status": "FAILED", "error": "ImageMissing", "cause": cause}
    status, answer, headers = send(api, "", path="/donors/ada", method="GET")
    assert status == 410
    assert answer == {"error": "ImageMissing", "message": "m", "requestId": headers["x-amzn-RequestId"]} | details


CHOSEN = ['r", "error": "x', "back\\slash", "it's", "$x #if ${y}", "\xe9"]


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize(
    "ended",
    [
        {"status": "TIMED_OUT"},
        {"status": "FAILED"},
        {"status": "FAILED", "error": "Forbidden", "cause": '{"message": "m"}'},
        ServiceError("ThrottlingException", 400, ""),
        ServiceError("ValidationException", 400, ""),
        ServiceError("InvalidExecutionInput", 400, ""),
        ServiceError("AccessDeniedException", 400, ""),
        ServiceError("InternalServerException", 500, ""),
    ],
    ids=str,
)
def test_a_request_id_of_the_clients_own_is_text_in_every_answer(
    api: Api, step_functions: StepFunctions, ended: Any, chosen: str
) -> None:
    step_functions.answer = ended
    for request in ({"body": {"chaincodeFunctionArgs": GOOD}}, {"body": "", "path": "/donors/ada", "method": "GET"}):
        _, answer, _ = send(api, headers={"x-amzn-RequestId": chosen}, **request)
        assert (answer.keys(), answer["requestId"]) == ({"error", "message", "requestId"}, chosen)
    assert [
        json.loads(each["input"]).get("submission", {}).get("correlationId", chosen) for each in step_functions.requests
    ] == [chosen] * 2


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize(
    "request_",
    [
        {"body": {}},
        {"body": "{"},
        {"body": {}, "path": "/nowhere"},
        {"body": {}, "headers": {"Content-Type": "text/plain"}},
    ],
    ids=str,
)
def test_api_gateways_own_refusals_name_the_request_by_an_id_that_no_client_chooses(
    api: Api, chosen: str, request_: dict[str, Any]
) -> None:
    """Gateway responses have no function that escapes."""
    given = request_ | {"headers": {"x-amzn-RequestId": chosen} | request_.get("headers", {})}
    _, answer, headers = send(api, **given)
    assert answer.keys() == {"error", "message", "requestId"}
    assert answer["requestId"] == headers["x-amz-apigw-id"]


def test_an_unknown_outcome_names_its_transaction(api: Api, step_functions: StepFunctions) -> None:
    cause = json.dumps({"message": "m", "transactionId": "7" * 64})
    step_functions.answer = {"status": "FAILED", "error": "OutcomeUnknown", "cause": cause}
    assert send(api, {"chaincodeFunctionArgs": GOOD})[1]["transactionId"] == "7" * 64


@pytest.mark.parametrize(
    "failure",
    [
        {"error": "Sandbox.Timedout", "cause": json.dumps({"errorMessage": "secret"})},
        {"error": "StorageUnavailable", "cause": json.dumps({"errorMessage": json.dumps({"message": "secret"})})},
        {"error": "States.DataLimitExceeded", "cause": "secret"},
        {"error": "KeyError", "cause": json.dumps({"errorMessage": "'secret'", "stackTrace": ["secret"]})},
        {},
    ],
)
def test_any_other_failure_is_an_internal_error_that_tells_nothing(
    api: Api, step_functions: StepFunctions, failure: dict[str, str]
) -> None:
    step_functions.answer = {"status": "FAILED", **failure}
    status, answer, _ = send(api, {"chaincodeFunctionArgs": GOOD})
    assert (status, answer["error"]) == (500, "InternalError")
    assert "secret" not in json.dumps(answer)


def test_an_execution_over_its_time_is_an_unknown_outcome(api: Api, step_functions: StepFunctions) -> None:
    step_functions.answer = {"status": "TIMED_OUT"}
    status, answer, _ = send(api, {"chaincodeFunctionArgs": GOOD})
    assert (status, answer["error"]) == (504, "OutcomeUnknown")


@pytest.mark.parametrize(
    ("refusal", "status", "error"),
    [
        (ServiceError("ThrottlingException", 400, "Rate exceeded"), 429, "TooManyRequests"),
        (ServiceError("ValidationException", 400, "secret"), 413, "ImageTooLarge"),
        (ServiceError("InvalidExecutionInput", 400, "secret"), 400, "InvalidRequest"),
        (ServiceError("StateMachineDoesNotExist", 400, "secret"), 500, "InternalError"),
        (ServiceError("InternalServerException", 500, "secret"), 504, "OutcomeUnknown"),
    ],
)
def test_step_functions_own_refusals_have_the_same_form(
    api: Api, step_functions: StepFunctions, refusal: ServiceError, status: int, error: str
) -> None:
    step_functions.answer = refusal
    got, answer, _ = send(api, {"chaincodeFunctionArgs": GOOD})
    assert (got, answer["error"]) == (status, error)
    assert answer.keys() == {"error", "message", "requestId"}
    assert "secret" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "chaincodeFunctionArgs"),
        ("{", "Invalid JSON"),
        (b'{"chaincodeFunctionArgs": "\xff"}', "Invalid JSON"),
        ('{"chaincodeFunctionArgs": NaN}', "Invalid JSON"),
        ('{"chaincodeFunctionArgs": ' + "[" * 20_000 + "]" * 20_000 + "}", "Invalid JSON"),
        ('{"chaincodeFunctionArgs": ' + "9" * 5_000 + "}", "Invalid JSON"),
        (b'\xef\xbb\xbf{"chaincodeFunctionArgs": {}}', "Invalid JSON"),
        (b"\xff\xfe{\0}\0", "Invalid JSON"),
        ([], 'instance type (array) does not match any allowed primitive type (allowed: ["object"])'),
        ({}, 'object has missing required properties (["chaincodeFunctionArgs"])'),
        ({"chaincodeFunctionArgs": {}}, '(["donorUserName","email","image"])'),
        ({"chaincodeFunctionArgs": GOOD, "admin": 1}, 'properties which are not allowed by the schema: ["admin"]'),
        ({"chaincodeFunctionArgs": GOOD | {"docType": "x"}}, '["docType"]'),
        ({"chaincodeFunctionArgs": GOOD | {"email": 5}}, "instance type (integer)"),
        ({"chaincodeFunctionArgs": GOOD | {"email": None}}, "instance type (null)"),
        ({"chaincodeFunctionArgs": GOOD | {"donorUserName": ""}}, "is too short (length: 0, required minimum: 1)"),
        (
            {"chaincodeFunctionArgs": GOOD | {"donorUserName": "x" * 65}},
            "is too long (length: 65, maximum allowed: 64)",
        ),
    ],
)
def test_a_body_that_does_not_fit_the_model_is_refused_before_the_workflow(
    api: Api, step_functions: StepFunctions, body: object, says: str
) -> None:
    status, answer, headers = send(api, body)
    assert (status, answer["error"]) == (400, "InvalidRequest")
    assert says in answer["message"]
    assert answer["requestId"] == headers["x-amz-apigw-id"]
    assert step_functions.requests == []


@pytest.fixture(scope="module")
def without_a_model(assembly: Assembly, shared: tuple[Api, StepFunctions]) -> Iterator[Api]:
    """The API with no body checked, as behind an ExistingMethod."""
    method = replace(assembly.rest_api.methods["/donors"]["POST"], models={})
    methods = assembly.rest_api.methods | {"/donors": assembly.rest_api.methods["/donors"] | {"POST": method}}
    api = Api(replace(assembly, rest_api=replace(assembly.rest_api, methods=methods)), shared[1].start_sync_execution)
    yield api
    api.close()


VALUES = ["", "a", [], [1, {"a": None}], {}, {"caller": "x"}, 0, 5, -1.5, 10**40, True, False, None]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_arguments_of_any_shape_reach_the_workflow_as_they_are(
    without_a_model: Api, step_functions: StepFunctions, value: Any
) -> None:
    assert send(without_a_model, {"chaincodeFunctionArgs": value})[0] == 200
    assert step_functions.input["chaincodeFunctionArgs"] == value


@pytest.mark.parametrize(
    "body",
    [
        *("", "{}", "[]", "5", '"text"', "null", "true", "{", "no JSON", "\ufeff{}", '{"chaincodeFunctionArgs": NaN}'),
        '{"chaincodeFunctionArgs": ' + "[" * 20_000 + "]" * 20_000 + "}",
        '{"chaincodeFunctionArgs": ' + "9" * 5_000 + "}",
        "[" * 20_000,
        '{"a":' * 20_000 + "1" + "}" * 20_000,
    ],
    ids=lambda body: body[:30],
)
def test_arguments_that_are_not_there_reach_the_workflow_as_null(
    without_a_model: Api, step_functions: StepFunctions, body: str
) -> None:
    assert send(without_a_model, body)[0] == 200
    assert step_functions.input["chaincodeFunctionArgs"] is None


@pytest.mark.parametrize("name", ["fabricUsername", "functionType", "chaincodeFunction"])
@pytest.mark.parametrize("value", [*VALUES, 'x", "caller": "admin', "\\", "it's"], ids=repr)
def test_a_name_of_any_type_reaches_the_workflow_as_it_is(
    without_a_model: Api, step_functions: StepFunctions, name: str, value: Any
) -> None:
    """The function refuses by name what is no text."""
    assert send(without_a_model, {name: value, "chaincodeFunctionArgs": GOOD})[0] == 200
    assert step_functions.input["submission"][name] == value
    assert step_functions.input["submission"]["caller"] == ""


@pytest.mark.parametrize("name", ["fabricUsername", "functionType", "chaincodeFunction"])
@pytest.mark.parametrize(
    "value", ["x" * 100_000, '"' * 5_000, ["x" * 400] * 3, "😀" * 500], ids=lambda value: str(value)[:9]
)
def test_a_name_that_is_too_long_is_cut_and_stays_too_long(
    without_a_model: Api, step_functions: StepFunctions, name: str, value: Any
) -> None:
    assert send(without_a_model, {name: value, "chaincodeFunctionArgs": GOOD})[0] == 200
    cut = step_functions.input["submission"][name]
    assert len(cut) > 128
    assert json.dumps(value, ensure_ascii=False, separators=(",", ":")).startswith(cut[:-1])


@pytest.mark.parametrize(
    ("value", "fits"), [("A-12", True), ("A-", False), ("A-12\n", False), ("A-\uff11", False), ("É-12", False)]
)
def test_a_models_pattern_is_read_as_ecma_262_reads_it(value: str, fits: bool) -> None:
    problem = request_model.problem(json.dumps(value), {"type": "string", "pattern": r"^(?:\w-\d+)$"})
    quoted = json.dumps(value, ensure_ascii=False)
    assert problem == (None if fits else f'[ECMA 262 regex "^(?:\\\\w-\\\\d+)$" does not match input string {quoted}]')


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused(api: Api, step_functions: StepFunctions, content_type: str) -> None:
    status, answer, _ = send(api, {"chaincodeFunctionArgs": GOOD}, {"Content-Type": content_type})
    assert (status, answer["error"]) == (400, "InvalidRequest")
    assert step_functions.requests == []


def test_a_charset_beside_the_content_type_is_taken(api: Api, step_functions: StepFunctions) -> None:
    assert send(api, {"chaincodeFunctionArgs": GOOD}, {"Content-Type": "application/json; charset=utf-8"})[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/donor"),
        ("POST", "/prod/donors"),
        ("GET", "/transactions"),
        ("PUT", "/donors"),
        ("POST", "/donors/ada"),
        ("OPTIONS", "/donors"),
        ("GET", "/" + "x" * 2000 + '"'),
    ],
)
def test_what_the_api_does_not_serve_is_not_found_and_the_answer_names_all_that_it_serves(
    api: Api, step_functions: StepFunctions, method: str, path: str
) -> None:
    status, answer, headers = send(api, {"chaincodeFunctionArgs": GOOD}, method=method, path=path)
    assert (status, answer["error"]) == (404, "NotFound")
    assert answer.keys() == {"error", "message", "requestId"}
    assert answer["requestId"] == headers["x-amz-apigw-id"]
    assert answer["message"].startswith(f"The sandbox serves no {method} {path[:200]}")
    for route in ("POST /donors", "GET /donors", "GET /donors/{donorUserName}", "GET /transactions/{transactionId}"):
        assert re.search(rf"{re.escape(route)}[,.]", answer["message"])
    assert len(answer["message"]) < 400
    assert "authori" not in json.dumps(answer)
    assert step_functions.requests == []


def test_a_body_over_ten_megabytes_is_too_large(api: Api, step_functions: StepFunctions) -> None:
    head = f"POST /donors HTTP/1.1\r\nHost: x\r\nContent-Length: {10 * 2**20 + 1}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(api.url.rpartition(":")[2]))) as connection:
        connection.sendall(head.encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 413
        assert json.loads(response.read())["error"] == "ImageTooLarge"
    assert step_functions.requests == []


def test_a_workflow_over_the_integrations_time_is_an_unknown_outcome(assembly: Assembly) -> None:
    method = assembly.rest_api.methods["/donors"]["POST"]
    assert method.timeout == 29
    methods = {"/donors": {"POST": replace(method, timeout=0.1)}}
    step_functions, release = StepFunctions(), threading.Event()
    step_functions.answer = release.wait
    impatient = replace(assembly, rest_api=replace(assembly.rest_api, methods=methods))
    api = Api(impatient, step_functions.start_sync_execution)
    try:
        status, answer, _ = send(api, {"chaincodeFunctionArgs": GOOD})
    finally:
        release.set()
        api.close()
    assert (status, answer["error"]) == (504, "OutcomeUnknown")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_workflow_that_breaks_is_an_unknown_outcome(api: Api, step_functions: StepFunctions) -> None:
    step_functions.answer = KeyError("secret")
    status, answer, _ = send(api, {"chaincodeFunctionArgs": GOOD})
    assert (status, answer["error"]) == (504, "OutcomeUnknown")
    assert "secret" not in json.dumps(answer)


def test_a_port_in_use_is_one_clear_line(api: Api, assembly: Assembly) -> None:
    port = int(api.url.rpartition(":")[2])
    with pytest.raises(SandboxError, match=f"port {port} of 127.0.0.1 cannot be had"):
        Api(assembly, StepFunctions().start_sync_execution, port=port)
