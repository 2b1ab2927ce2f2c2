"""Stacks synthesized once a session, without Lambda packages and without CloudFormation's slow validator."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Read by CDK's JavaScript when aws_cdk is first imported.
os.environ.setdefault("CDK_VALIDATION", "false")

import aws_cdk as cdk
import pytest
from stack_template import Template

from offchain_stack import OffChainStack, Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def context() -> dict[str, Any]:
    """The repository's own context, with bundling skipped."""
    context: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    return context | {"aws:cdk:bundling-stacks": []}


@pytest.fixture(scope="session")
def values(context: dict[str, Any]) -> dict[str, Any]:
    """The settings of `cdk.json`."""
    return context["offchain"]  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def assembly(context: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = cdk.App(context=context, outdir=str(tmp_path_factory.mktemp("assembly")))
    OffChainStack(app, "OffChainStack", settings=Settings.from_context(app.node))
    return Path(app.synth().directory)


@pytest.fixture(scope="session")
def template(assembly: Path) -> Template:
    return json.loads((assembly / "OffChainStack.template.json").read_text("utf-8"))  # type: ignore[no-any-return]


@pytest.fixture
def synthesize(tmp_path: Path) -> Callable[[Callable[[cdk.App], None]], dict[str, Template]]:
    """Synthesize what a function puts into an app, as another project's app would be; templates by stack name."""

    def synthesize(build: Callable[[cdk.App], None]) -> dict[str, Template]:
        app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path))
        build(app)
        app.synth()
        return {path.name.split(".")[0]: json.loads(path.read_text()) for path in tmp_path.glob("*.template.json")}

    return synthesize
