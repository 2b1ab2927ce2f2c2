"""The largest request that the API lets through fits into Step Functions, whatever its characters."""

import base64
import dataclasses
import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_stepfunctions as sfn
from stack_template import Template, create_method, flat

from offchain_stack import DonorApi, LedgerField
from offchain_stack.record_type import DONOR, INPUT_LIMIT
from sandbox import vtl

pytestmark = pytest.mark.usefixtures("velocity")


@pytest.fixture(scope="module")
def request_template(template: Template) -> str:
    return flat(create_method(template)["Integration"]["RequestTemplates"]["application/json"])


def input_of(
    template: str, body: Any, header: dict[str, str] | None = None, *, request_id: str = "\u0001" * 300
) -> str:
    """What StartSyncExecution is given as `input`."""
    request = vtl.Request(body=json.dumps(body, ensure_ascii=False), header=header or {})
    context = {"requestId": request_id}
    return str(json.loads(vtl.render(template, request=request, context=context))["input"])


def size(text: str) -> int:
    return len(text.encode())


def arguments(character: str, image: str) -> dict[str, str]:
    return {field.name: character * field.max_length for field in DONOR.ledger_fields} | {"image": image}


LARGEST = "data:image/svg+xml;base64," + base64.b64encode(b"\xff" * DONOR.max_data_bytes).decode()


@pytest.mark.parametrize("character", ["a", '"', "\\", "'", "\u0001", "é", "€", "😀"])
def test_the_largest_allowed_request_passes_and_fits(request_template: str, character: str) -> None:
    body = {
        "fabricUsername": character * 64,
        "functionType": character * 64,
        "chaincodeFunction": character * 64,
        "chaincodeFunctionArgs": arguments(character, LARGEST),
    }
    made = input_of(request_template, body, {"idempotency-KEY": character * 10_000})
    assert json.loads(made)["chaincodeFunctionArgs"] == body["chaincodeFunctionArgs"]
    assert size(made) <= INPUT_LIMIT


@pytest.mark.parametrize("character", ["a", '"', "😀"])
@pytest.mark.parametrize("filler", ["A", "\n", '"', "\u0001"])
def test_what_the_template_lets_through_fits(request_template: str, character: str, filler: str) -> None:
    """At the very limit of the template, which may be reached by text that is no base64, too."""
    empty = json.dumps(arguments(character, ""), ensure_ascii=False, separators=(",", ":"))
    room = DONOR.max_arguments_length - len(empty.encode("utf-16-le")) // 2
    count = room // len(json.dumps(filler)[1:-1])
    body = {"chaincodeFunctionArgs": arguments(character, filler * count)}
    names = dict.fromkeys(("fabricUsername", "functionType", "chaincodeFunction"), "😀" * 64)
    made = input_of(request_template, body | names, {"Idempotency-Key": "é" * 300})
    assert "chaincodeFunctionArgs" in json.loads(made)
    assert size(made) <= INPUT_LIMIT
    more = {"chaincodeFunctionArgs": arguments(character, filler * (count + 400))}
    assert json.loads(input_of(request_template, more))["dataTooLarge"] is True


def test_long_fields_of_wide_characters_leave_the_data_less_room(tmp_path: Path) -> None:
    wide = dataclasses.replace(
        DONOR, ledger_fields=(LedgerField(name="donorUserName", max_length=9_000),), max_data_bytes=90_000
    )
    app = cdk.App(outdir=str(tmp_path))
    stack = cdk.Stack(app, "Stack")
    arn = "arn:aws:states:us-east-1:111122223333:stateMachine:create"
    machine = sfn.StateMachine.from_state_machine_arn(stack, "StateMachine", arn)
    DonorApi(stack, "Api", state_machine=machine, record_type=wide)
    app.synth()
    method = create_method(json.loads((tmp_path / "Stack.template.json").read_text()))
    template = flat(method["Integration"]["RequestTemplates"]["application/json"])
    name = "€" * 9_000
    room = wide.max_arguments_length - len(json.dumps({"donorUserName": name, "image": ""}, ensure_ascii=False))
    body = {"chaincodeFunctionArgs": {"donorUserName": name, "image": "A" * room}}
    made = input_of(template, body, {"Idempotency-Key": "é" * 300})
    assert "chaincodeFunctionArgs" in json.loads(made)
    assert INPUT_LIMIT - 10_000 < size(made) <= INPUT_LIMIT


def test_line_breaks_in_the_largest_data_still_pass(request_template: str) -> None:
    image = base64.encodebytes(b"\xff" * DONOR.max_data_bytes).decode()
    made = json.loads(input_of(request_template, {"chaincodeFunctionArgs": arguments("a", image)}))
    assert made["chaincodeFunctionArgs"]["image"] == image


def test_an_overlong_key_arrives_one_character_too_long(request_template: str) -> None:
    body = {"chaincodeFunctionArgs": arguments("a", "aGk=")}
    made = json.loads(input_of(request_template, body, {"IDEMPOTENCY-KEY": "k" * 300}))
    assert made["submission"]["idempotencyKey"] == "k" * 256


def test_a_request_id_of_the_clients_own_is_the_correlation_id_and_nothing_else(request_template: str) -> None:
    chosen = 'r", "requestId": "of another", "caller": "admin\\'
    made = json.loads(input_of(request_template, {"chaincodeFunctionArgs": arguments("a", "aGk=")}, request_id=chosen))
    assert made["submission"]["correlationId"] == chosen
    assert "requestId" not in made["submission"]
    assert not made["submission"].get("caller")


def test_a_record_type_that_cannot_pass_is_refused_at_synth() -> None:
    with pytest.raises(ValueError, match=r"^max_data_bytes: 200000 bytes"):
        dataclasses.replace(DONOR, max_data_bytes=200_000)
