"""The command lines: help without waiting for CDK, and nothing of Node's age on standard error."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

SLOW = ("aws_cdk", "jsii", "moto", "pydantic")
"""Packages that take long to load."""

COMMANDS = [
    *("offchain_stack", "offchain_stack check", "offchain_stack describe", "offchain_stack openapi"),
    *("offchain_stack settings-schema", "sandbox", "sandbox up", "sandbox demo", "sandbox verify-all"),
    *("sandbox.fabric", "bench", "costs", "costs.measure"),
]


def clean_environment(**more: str) -> dict[str, str]:
    """As without make: nothing that speaks to CDK's JavaScript."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JSII_")} | more


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_slow(command: str) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", *command.split(), "--help"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith("usage: ")
    loaded = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert not loaded & {*SLOW}


def test_the_package_loads_cdk_with_the_first_construct() -> None:
    program = """
import sys, offchain_stack, os
assert os.environ["JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"]
offchain_stack.ConnectionProfile, offchain_stack.Endpoint(address="a:1").port
assert "jsii" not in sys.modules
assert offchain_stack.endpoint.Endpoint is offchain_stack.Endpoint
assert {*offchain_stack.__all__} <= {*dir(offchain_stack)}
offchain_stack.OffChainStore
assert "jsii" in sys.modules
try:
    offchain_stack.Nothing
except AttributeError as error:
    assert "has no attribute 'Nothing'" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=clean_environment(), check=True)


EXAMPLE = "examples/existing_api.py"
PROGRAMS: dict[str, list[str]] = {
    "the app": ["app.py"],
    "an example": [EXAMPLE],
    "the check": ["-m", "offchain_stack", "check", "-c", "offchain.channel=Upper"],
    "the schema": ["-m", "offchain_stack", "settings-schema"],
}


@pytest.mark.long
@pytest.mark.parametrize("command", PROGRAMS.values(), ids=PROGRAMS)
def test_no_banner_about_node(command: list[str], tmp_path: Path) -> None:
    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"] | {"aws:cdk:bundling-stacks": []}
    environment = clean_environment(
        CDK_CONTEXT_JSON=json.dumps(context), CDK_OUTDIR=str(tmp_path), PYTHONPATH=str(ROOT)
    )
    run = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in run.stderr
    assert not re.search("end-of-life|!!!!", run.stderr + run.stdout)


def test_one_place_keeps_the_banner_away() -> None:
    files = [
        *ROOT.glob("*.py"),
        ROOT / "Makefile",
        *(path for folder in ("offchain_stack", "sandbox", "costs", "bench") for path in (ROOT / folder).rglob("*.py")),
    ]
    named = [path.name for path in files if "JSII_SILENCE_WARNING" in path.read_text("utf-8")]
    assert named == ["__init__.py"]
