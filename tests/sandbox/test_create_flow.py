"""The whole create flow over HTTP: every row of the error table, and what bucket and ledger hold after it."""

import base64
import hashlib
import json
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from world import Answer, World, png, refused

from sandbox.demo import PICTURE
from sandbox.runtime import Sandbox


@pytest.fixture
def world(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> World:
    # The retries' full jitter may choose any pause up to its bound: here it chooses none.
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    return World(sandbox)


@pytest.mark.parametrize("form", ["data:image/png;base64,{}", "{}"])
def test_a_created_donor_is_on_the_ledger_with_its_picture_in_the_bucket(world: World, form: str) -> None:
    picture = PICTURE.read_bytes()
    status, answer = world.create(image=form.format(base64.b64encode(picture).decode()))
    assert status == 200
    assert answer.keys() == {"transactionId", "imageKey", "imageHash", "imageSha256"}
    stored = world.sandbox.client("s3").get_object(
        Bucket=world.sandbox.bucket, Key=answer["imageKey"], ChecksumMode="ENABLED"
    )
    assert stored["Body"].read() == picture
    assert stored["ContentType"] == "image/png"
    assert "ContentEncoding" not in stored
    md5, sha256 = hashlib.md5(picture), hashlib.sha256(picture)
    assert answer["imageHash"] == md5.hexdigest() == stored["ETag"].strip('"')
    assert answer["imageSha256"] == sha256.hexdigest()
    assert stored["ChecksumSHA256"] == base64.b64encode(sha256.digest()).decode()
    assert world.record() == {
        "donorUserName": world.name,
        "email": f"{world.name}@example.org",
        "docType": "donor",
        "imageKey": answer["imageKey"],
        "imageHash": answer["imageHash"],
        "imageSha256": answer["imageSha256"],
    }
    assert world.transactions()[answer["transactionId"]] == "VALID"
    assert [key for key, _ in world.versions()] == [answer["imageKey"]]


@pytest.mark.parametrize(
    ("name", "mail"),
    [
        ("O'Brien", "o'brien@example.org"),
        ('Jane "JJ" Doe', '"jane doe"@example.org'),
        ("back\\slash\\'\\\"", "a\\b@example.org"),
        ("Zoë Łukasz 李", "zoë@exämple.org"),
        ("😀👩‍👩‍👧", "😀@example.org"),
        ("$x ${y} #if @@ <b>&amp;", "$util@example.org"),
    ],
)
def test_names_and_mails_arrive_on_the_ledger_as_sent(world: World, name: str, mail: str) -> None:
    status, answer = world.create(donorUserName=name, email=mail)
    assert status == 200, answer
    record = world.record(name)
    assert (record["donorUserName"], record["email"]) == (name, mail)
    assert world.versions(name)[0][0] == answer["imageKey"] == record["imageKey"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"donorUserName": "a/b"}, "donorUserName"),
        ({"donorUserName": ".."}, "donorUserName"),
        ({"donorUserName": "a\x00b"}, "donorUserName"),
        ({"donorUserName": "a\nb"}, "donorUserName"),
        ({"donorUserName": " a "}, "donorUserName"),
        ({"donorUserName": "\ud800"}, "donorUserName"),
        ({"email": "\udc00"}, "email"),
        ({"email": ""}, ""),
        ({"other": "x"}, "other"),
    ],
)
def test_what_cannot_be_recorded_as_sent_is_refused_naming_the_field(
    world: World, changes: dict[str, str], field: str
) -> None:
    height = world.sandbox.ledger.height
    assert field in refused(world.create(**changes), 400, "InvalidRequest")
    assert world.sandbox.ledger.height == height
    assert world.versions() == []


@pytest.mark.parametrize(
    "image",
    [
        "",
        "%%%",
        base64.b64encode(b"hello").decode(),
        f"data:image/jpeg;base64,{base64.b64encode(png()).decode()}",
        base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>').decode(),
    ],
    ids=["empty", "not base64", "no picture", "another type", "script"],
)
def test_a_bad_image_is_never_written(world: World, image: str) -> None:
    assert "image" in refused(world.create(image=image), 400, "InvalidImage")
    assert world.versions() == []
    assert world.record() is None


def test_a_body_that_is_no_json_is_refused(world: World) -> None:
    refused(world.send('{"chaincodeFunctionArgs": '), 400, "InvalidRequest")


@pytest.mark.parametrize(
    ("names", "status", "error"),
    [
        ({"fabricUsername": "admin"}, 403, "Forbidden"),
        ({"chaincodeFunction": "createNGO"}, 400, "InvalidRequest"),
        ({"chaincodeFunction": "queryDonor"}, 400, "InvalidRequest"),
        ({"functionType": "queryObject"}, 400, "InvalidRequest"),
    ],
)
def test_a_user_or_function_that_the_deployment_does_not_allow_is_refused(
    world: World, names: dict[str, str], status: int, error: str
) -> None:
    refused(world.send(names | {"chaincodeFunctionArgs": world.arguments()}), status, error)
    assert world.versions() == []
    assert world.record() is None


def test_the_blogs_whole_body_is_taken(world: World) -> None:
    names = {"fabricUsername": "lambdaUser", "functionType": "invoke", "chaincodeFunction": "createDonor"}
    assert world.send(names | {"chaincodeFunctionArgs": world.arguments()})[0] == 200


@pytest.mark.parametrize("size", [184_321, 250_000])
def test_a_picture_over_the_inline_limit_is_never_written(world: World, size: int) -> None:
    message = refused(world.create(image=base64.b64encode(bytes(size)).decode()), 413, "ImageTooLarge")
    assert "image" in message
    assert world.versions() == []


def test_a_picture_just_below_the_inline_limit_is_stored(world: World) -> None:
    world.picture = png(width=247, height=247)
    assert 183_000 < len(world.picture) <= 184_320
    assert world.create()[0] == 200


def test_a_second_donor_of_a_name_is_refused_and_taken_back(world: World) -> None:
    _, first = world.create()
    before, record = world.versions(), world.record()
    world.picture = png()
    refused(world.create(), 409, "DonorAlreadyExists")
    assert world.versions() == before
    assert world.record() == record
    assert record["imageKey"] == first["imageKey"]


def test_a_refusal_by_the_chaincode_is_taken_back(world: World) -> None:
    world.sandbox.ledger.faults.place("chaincode", 500, function="createDonor")
    refused(world.create(), 422, "ChaincodeRejected")
    assert world.versions() == []
    assert world.record() is None


def test_no_endorsement_is_taken_back_and_safe_to_try_again(world: World) -> None:
    fault = world.sandbox.ledger.faults.place("before-endorsement", "refuse", times=None)
    refused(world.create(key=world.name), 503, "LedgerUnavailable")
    assert fault.met
    assert world.versions() == []
    world.sandbox.ledger.faults.clear()
    assert world.create(key=world.name)[0] == 200


def test_an_unreadable_identity_is_said_before_anything_is_written(world: World) -> None:
    world.sandbox.lambda_runner.kill(world.upload.removeprefix("lambda:"))
    world.sandbox.faults.place("secretsmanager:*", "refuse", times=None)
    refused(world.create(), 503, "LedgerUnavailable")
    assert world.versions() == []


def test_a_roll_back_that_s3_refuses_keeps_the_object_and_tells_the_refusal(world: World) -> None:
    fault = world.sandbox.faults.place("s3:DeleteObject", "refuse", times=None)
    world.sandbox.ledger.faults.place("chaincode", 500, function="createDonor")
    refused(world.create(), 422, "ChaincodeRejected")
    assert fault.met > 1
    assert len(world.versions()) == 1


def test_a_verdict_that_nobody_could_tell_is_an_unknown_outcome_that_the_same_key_settles(world: World) -> None:
    world.sandbox.faults.place(world.chaincode, "kill", when="after", times=2)
    status, answer = world.create(key=world.name)
    assert (status, answer["error"]) == (504, "OutcomeUnknown"), answer
    assert len(world.versions()) == 1
    assert world.record()["imageKey"] == world.versions()[0][0]
    status, again = world.create(key=world.name)
    assert (status, again["transactionId"]) == (200, answer["transactionId"])
    assert (again["imageKey"], again["imageHash"]) == (world.record()["imageKey"], world.record()["imageHash"])


def test_a_function_that_dies_after_the_commit_is_settled_as_a_success(world: World) -> None:
    world.sandbox.faults.place(world.chaincode, "kill", when="after")
    status, answer = world.create()
    assert status == 200, answer
    assert world.record()["imageKey"] == answer["imageKey"] == world.versions()[0][0]


@pytest.mark.parametrize("call", ["upload", "chaincode"])
def test_throttled_functions_are_too_many_requests(world: World, call: str) -> None:
    world.sandbox.faults.place(getattr(world, call), "throttle", times=None)
    refused(world.create(), 429, "TooManyRequests")
    assert world.versions() == []
    assert world.record() is None


def test_a_throttled_workflow_is_too_many_requests(world: World) -> None:
    world.sandbox.faults.place("states:StartSyncExecution", "throttle")
    refused(world.create(), 429, "TooManyRequests")
    assert world.versions() == []


@pytest.mark.parametrize("action", ["refuse", "reset"])
def test_a_picture_that_s3_does_not_take_is_an_internal_error_and_not_on_the_ledger(world: World, action: Any) -> None:
    world.sandbox.faults.place("s3:PutObject", action, times=None)
    refused(world.create(), 500, "InternalError")
    assert world.versions() == []
    assert world.record() is None


def test_an_upload_that_dies_after_writing_keeps_the_object(world: World) -> None:
    world.sandbox.faults.place(world.upload, "kill", when="after")
    refused(world.create(), 500, "InternalError")
    assert len(world.versions()) == 1
    assert world.record() is None


def test_a_lost_answer_of_s3_writes_nothing_twice(world: World) -> None:
    world.sandbox.faults.place("s3:PutObject", "reset", when="after")
    status, answer = world.create()
    assert status == 200, answer
    assert [key for key, _ in world.versions()] == [answer["imageKey"]]


def test_the_same_key_and_body_is_answered_as_the_first_time(world: World) -> None:
    first = world.create(key=world.name)
    assert first[0] == 200
    count = len(world.transactions())
    assert world.create(key=world.name) == first
    assert len(world.transactions()) == count
    assert world.record()["imageKey"] in [key for key, _ in world.versions()]


def test_the_same_key_with_another_body_is_refused_and_taken_back(world: World) -> None:
    assert world.create(key=world.name)[0] == 200
    before = world.versions()
    world.picture = png()
    refused(world.create(key=world.name, donorUserName=f"{world.name}-other"), 400, "InvalidRequest")
    assert world.versions() == before
    assert world.versions(f"{world.name}-other") == []


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    answers: list[Answer] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> None:
        barrier.wait()
        answers.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_one_key_sent_twice_at_once_is_one_donor(world: World) -> None:
    answers = at_once(*[lambda: world.create(key=world.name)] * 2)
    assert [status for status, _ in answers] == [200, 200]
    assert answers[0] == answers[1]
    assert world.transactions()[answers[0][1]["transactionId"]] == "VALID"
    assert {key for key, _ in world.versions()} == {world.record()["imageKey"]}


def test_the_workshops_query_answers_through_lambdas_invoke(world: World) -> None:
    world.create()
    event = {
        "functionType": "queryObject",
        "chaincodeFunction": "queryDonor",
        "chaincodeFunctionArgs": {"donorUserName": world.name},
    }
    answer = world.sandbox.client("lambda").invoke(
        FunctionName=world.chaincode.removeprefix("lambda:"), Payload=json.dumps(event)
    )
    assert "FunctionError" not in answer
    assert world.record()["imageKey"] in answer["Payload"].read().decode()


def test_the_logs_hold_ids_but_neither_picture_nor_key(world: World) -> None:
    _, answer = world.create()
    logs = "".join(file.read_text() for file in world.sandbox.logs.iterdir())
    assert answer["transactionId"] in logs
    assert base64.b64encode(world.picture).decode()[:60] not in logs
    assert "PRIVATE KEY" not in logs
