"""Requests of every shape that no model has checked, as behind an `ExistingMethod`: 400, and nothing is written."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from world import World

from sandbox.api import Api
from sandbox.assembly import Assembly
from sandbox.runtime import Sandbox


def without_models(assembly: Assembly) -> Assembly:
    """The assembly with an API that checks no body."""
    paths = {
        path: {verb: replace(method, models={}) for verb, method in methods.items()}
        for path, methods in assembly.rest_api.methods.items()
    }
    return replace(assembly, rest_api=replace(assembly.rest_api, methods=paths))


@pytest.fixture(scope="module")
def unchecked(session_sandbox: Sandbox) -> Iterator[Api]:
    """A second API of the sandbox, in front of the same workflow."""
    api = Api(without_models(session_sandbox.assembly), session_sandbox.workflow.start_sync_execution)
    yield api
    api.close()


class Unchecked(World):
    """Sends requests about donors past every model."""

    def __init__(self, sandbox: Sandbox, api: Api) -> None:
        super().__init__(sandbox)
        self._address = api.url.removeprefix("http://")

    def send_raw(self, body: bytes | str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        connection.request("POST", "/donors", data, {"Content-Type": "application/json"} | (headers or {}))
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def everything(self) -> tuple[int, int]:
        """How much is in the bucket and on the ledger."""
        found = self.sandbox.client("s3").list_object_versions(Bucket=self.sandbox.bucket)
        return len(found.get("Versions", [])), len(self.sandbox.ledger.transactions())


@pytest.fixture
def world(sandbox: Sandbox, unchecked: Api) -> Unchecked:
    return Unchecked(sandbox, unchecked)


def require_refused(world: Unchecked, body: bytes | str, *said: str, headers: dict[str, str] | None = None) -> None:
    before = world.everything()
    status, answer = world.send_raw(body, headers)
    assert (status, answer.get("error")) == (400, "InvalidRequest"), answer
    assert answer.keys() == {"error", "message", "requestId"}
    for part in said:
        assert part in answer["message"]
    assert world.everything() == before


def test_a_valid_request_needs_no_model(world: Unchecked) -> None:
    status, answer = world.send_raw(json.dumps({"chaincodeFunctionArgs": world.arguments()}))
    assert status == 200, answer
    assert world.record()["imageKey"] == answer["imageKey"]


@pytest.mark.parametrize("value", ["", "x", [], [{"donorUserName": "ada"}], 0, 5, -1.5, 10**400, True, False, None])
def test_arguments_that_are_no_object(world: Unchecked, value: Any) -> None:
    require_refused(
        world, json.dumps({"chaincodeFunctionArgs": value}), "chaincodeFunctionArgs: must be a JSON object."
    )


DEEP = "[" * 20_000 + "]" * 20_000
DEEP_OBJECT = '{"a":' * 20_000 + "1" + "}" * 20_000


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        "5",
        '"text"',
        "null",
        "{",
        "donorUserName=ada",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"\xff",
        "\ud800",
        "\0",
        DEEP,
        DEEP_OBJECT,
        '{"chaincodeFunctionArgs": ' + DEEP + "}",
        '{"chaincodeFunctionArgs": ' + DEEP_OBJECT + "}",
        '{"chaincodeFunctionArgs": ' + "[" * 20_000,
        '{"chaincodeFunctionArgs": ' + "[" * 150 + "]" * 150 + "}",
        '{"chaincodeFunctionArgs": ' + "9" * 5_000 + "}",
        '{"chaincodeFunctionArgs": NaN}',
        '{"chaincodeFunctionArgs": Infinity}',
        '{"chaincodeFunctionArgs": -Infinity}',
        '{"chaincodeFunctionArgs": 1e999}',
        '{"chaincodeFunctionArgs": {"donorUserName": NaN}}',
        '{"chaincodeFunctionArgs": {}, "chaincodeFunctionArgs": []}',
    ],
    ids=lambda body: repr(body)[:40],
)
def test_bodies_that_are_no_request(world: Unchecked, body: bytes | str) -> None:
    require_refused(world, body)


WRONG = [5, -1.5, True, False, None, [], ["x"], {}, {"x": 1}]


@pytest.mark.parametrize("field", ["donorUserName", "email", "image"])
@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_an_argument_of_a_wrong_type(world: Unchecked, field: str, value: Any) -> None:
    body = json.dumps({"chaincodeFunctionArgs": world.arguments(**{field: value})})
    require_refused(world, body, f"{field}: must be a text.")


@pytest.mark.parametrize("field", ["fabricUsername", "functionType", "chaincodeFunction"])
@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_a_name_of_a_wrong_type(world: Unchecked, field: str, value: Any) -> None:
    body = json.dumps({"chaincodeFunctionArgs": world.arguments(), field: value})
    require_refused(world, body, f"{field}: must be a text.")


@pytest.mark.parametrize("field", ["fabricUsername", "functionType", "chaincodeFunction"])
@pytest.mark.parametrize(
    "value", ["9" * 5_000, "1e999", DEEP, "NaN", "[" * 150 + "]" * 150], ids=lambda value: value[:9]
)
def test_a_name_that_is_no_name_at_all(world: Unchecked, field: str, value: str) -> None:
    arguments = json.dumps(world.arguments())
    require_refused(world, f'{{"chaincodeFunctionArgs": {arguments}, "{field}": {value}}}')


@pytest.mark.parametrize("length", [129, 700, 5_000, 250_000])
def test_a_name_that_is_too_long(world: Unchecked, length: int) -> None:
    body = {"chaincodeFunctionArgs": world.arguments(), "fabricUsername": "x" * length}
    require_refused(world, json.dumps(body), "fabricUsername: longer than 128 characters.")


@pytest.mark.parametrize("field", ["donorUserName", "email"])
def test_half_a_character(world: Unchecked, field: str) -> None:
    body = json.dumps({"chaincodeFunctionArgs": world.arguments(**{field: "a\ud83d"})})
    require_refused(world, body, f"{field}: contains half of a surrogate pair")


@pytest.mark.parametrize(
    "field", ["caller", "idempotencyKey", "requestId", "executionId", "submission", "docType", "\ud83d"]
)
def test_an_argument_that_is_not_known(world: Unchecked, field: str) -> None:
    require_refused(world, json.dumps({"chaincodeFunctionArgs": world.arguments(**{field: "x"})}), "unknown field")


@pytest.mark.parametrize("key", ["k" * 256, "k" * 7_000, "ключ".encode().decode("latin-1"), "\xe9", "a\tb"])
def test_an_idempotency_key_that_is_none(world: Unchecked, key: str) -> None:
    body = json.dumps({"chaincodeFunctionArgs": world.arguments()})
    require_refused(world, body, "idempotencyKey (the Idempotency-Key header)", headers={"Idempotency-Key": key})


def test_of_a_field_given_twice_the_last_one_counts_everywhere(world: Unchecked) -> None:
    arguments = json.dumps(world.arguments(donorUserName="of another"))
    twice = arguments[:-1] + f', "donorUserName": {json.dumps(world.name)}}}'
    status, answer = world.send_raw(f'{{"chaincodeFunctionArgs": 5, "chaincodeFunctionArgs": {twice}}}')
    assert status == 200, answer
    assert answer["imageKey"].startswith(f"ngo-donor-images/{world.name}/")
    assert world.record()["donorUserName"] == world.name
