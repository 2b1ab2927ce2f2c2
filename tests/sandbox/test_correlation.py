"""One id from the API's answer through every function's log and metrics to the ledger's transaction."""

import base64
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.runtime import Sandbox
from tests.sandbox.world import World


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return World(sandbox)


def call(world: World, method: str, target: str, body: Any = None) -> tuple[str, dict[str, Any]]:
    """The answer's request id and its body."""
    connection = http.client.HTTPConnection(world.sandbox.api_url.removeprefix("http://"), timeout=60)
    connection.request(method, target, body and json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return str(response.headers["x-amzn-RequestId"]), answer


def lines(world: World) -> Iterator[dict[str, Any]]:
    """What all functions have written, but for what the runtime itself says."""
    for log in world.sandbox.logs.iterdir():
        for line in log.read_text().splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def of_request(world: World, request_id: str) -> list[dict[str, Any]]:
    return [line for line in lines(world) if line.get("correlationId") == request_id]


def test_a_create_and_a_read_can_be_followed_by_the_id_that_the_caller_has(world: World) -> None:
    arguments = world.arguments()
    request_id, created = call(world, "POST", "/donors", {"chaincodeFunctionArgs": arguments})
    followed = of_request(world, request_id)
    assert {line["service"] for line in followed} == {"offchain-upload", "offchain-chaincode"}
    (done,) = [line for line in followed if line.get("message") == "Done"]
    assert done["transactionId"] == created["transactionId"]
    (counted,) = [line for line in followed if "Created" in line]
    assert counted["transactionId"] == created["transactionId"]
    assert {line["submissionId"] for line in followed} == {created["imageKey"].split("/")[-1].split(".")[0]}

    request_id, read = call(world, "GET", f"/donors/{world.name}")
    followed = of_request(world, request_id)
    assert {line["service"] for line in followed} == {"offchain-query", "offchain-verify"}
    assert read["transactionId"] in {line.get("transactionId") for line in followed}


def test_a_refusal_names_the_id_that_the_logs_have(world: World) -> None:
    world.create()
    request_id, refused = call(world, "POST", "/donors", {"chaincodeFunctionArgs": world.arguments(email="b@b.org")})
    assert (refused["error"], refused["requestId"]) == ("DonorAlreadyExists", request_id)
    messages = {line.get("message") for line in of_request(world, request_id)}
    assert {"Stored", "Not endorsed", "Refused"} <= messages


def test_every_line_has_an_id_and_none_a_content(world: World) -> None:
    world.create()
    world.read()
    world.create(email="other@example.org")
    own = [line for line in lines(world) if "level" in line or "_aws" in line]
    assert own
    assert [line for line in own if not (line.get("correlationId") and line.get("functionRequestId"))] == []
    text = json.dumps(own)
    for secret in (base64.b64encode(world.picture).decode(), "PRIVATE KEY", "BEGIN CERTIFICATE", "@example.org"):
        assert secret not in text
