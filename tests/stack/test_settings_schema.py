"""The JSON schema of a settings file, by which editors complete and check it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from conftest import ROOT
from offchain_stack.__main__ import main
from offchain_stack.settings import settings_schema

SHIPPED = ROOT / "offchain_stack" / "settings.schema.json"
EXAMPLES = sorted(path for path in (ROOT / "examples" / "settings").rglob("*.yaml") if "networks" not in path.parts)
SCHEMA = jsonschema.Draft202012Validator(settings_schema())


def test_the_shipped_one_is_current() -> None:
    assert json.loads(SHIPPED.read_text("utf-8")) == settings_schema(), "run: make schema"


def test_it_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings-schema"]) == 0
    assert json.loads(capsys.readouterr().out) == settings_schema()


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(settings_schema())
    assert all(setting["description"] and setting["examples"] for setting in settings_schema()["properties"].values())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_name_it_and_are_as_it_says(path: Path) -> None:
    first, _, text = path.read_text("utf-8").partition("\n")
    marker, _, schema = first.partition("$schema=")
    assert marker == "# yaml-language-server: "
    assert (path.parent / schema).resolve() == SHIPPED
    SCHEMA.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "change",
    [
        {"mspID": "Org1MSP"},
        {"vpcId": "subnet-0123"},
        {"s3Endpoint": "kep"},
        {"endorsements": 0},
        {"urlExpiresMinutes": 61},
        {"users": []},
        {"users": [{"name": "lambdaUser"}]},
        {"peers": ["peer0.org1.example.com"]},
        {"peers": [{"endpoint": "peer0.org1.example.com:7051", "tls": "x"}]},
        {"recordTypes": ["donor"]},
        {"recordTypes": [{"name": "invoice"}]},
        {"account": 111122223333},
        {"mspId": None},
    ],
)
def test_an_editor_marks_a_mistake(change: dict[str, Any], values: dict[str, Any]) -> None:
    SCHEMA.validate(values)
    assert not SCHEMA.is_valid(values | change)


def test_an_editor_marks_what_is_missing(values: dict[str, Any]) -> None:
    assert not SCHEMA.is_valid({name: value for name, value in values.items() if name != "channel"})
