"""Every example synthesizes offline, without a finding that is not acknowledged, and as it was reviewed.

The snapshot of a settings file is what it makes different from the default stack.
"""

import contextlib
import functools
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import cfnlint.api
import pytest
from cdk_nag import AwsSolutionsChecks
from cfnlint.config import ManualArgs
from stack_template import Template, normalised
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from conftest import ROOT
from offchain_stack import OffChainStack, Settings

EXAMPLES = ROOT / "examples"
SETTINGS = sorted((EXAMPLES / "settings").glob("*.yaml")) + sorted((EXAMPLES / "settings" / "environments").glob("*"))
PROGRAMS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
THEIRS = ("Example/Managed/", "Example/LogRetention", "Example/AWS679f")
"""Where an example has a construct of somebody else's (cdk-hyperledger-fabric-network): not ours to judge."""
THEIR_IDS = ("['Resources', 'Managed", "['Resources', 'LogRetention", "['Resources', 'AWS679f")


def of_settings(path: Path) -> Callable[[cdk.App], None]:
    def build(app: cdk.App) -> None:
        settings = Settings.from_file(path)
        OffChainStack(app, settings.stack_name, settings=settings)

    return build


def of_program(name: str) -> Callable[[cdk.App], None]:
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name).build  # type: ignore[no-any-return]
    finally:
        sys.path.remove(str(EXAMPLES))


BUILDS = {path.stem: of_settings(path) for path in SETTINGS} | {name: of_program(name) for name in PROGRAMS}


@dataclass(frozen=True, kw_only=True)
class Synthesized:
    """`findings` of cdk-nag, each with its construct's path."""

    text: str
    findings: list[str]

    @property
    def template(self) -> Template:
        return json.loads(self.text)  # type: ignore[no-any-return]


@functools.cache
def synthesized(name: str, *, nag: bool = False) -> Synthesized:
    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"] | {"aws:cdk:bundling-stacks": []}
    with tempfile.TemporaryDirectory() as folder:
        app = cdk.App(context=context, outdir=folder)
        BUILDS[name](app)
        if nag:
            cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        # It ends with an error where there are findings; the report says of which construct.
        with contextlib.suppress(*[RuntimeError] * nag):
            app.synth()
        (file,) = Path(folder).glob("*.template.json")
        return Synthesized(text=file.read_text("utf-8"), findings=_findings(Path(folder)) if nag else [])


def _findings(folder: Path) -> list[str]:
    reports = json.loads((folder / "validation-report.json").read_text("utf-8"))["pluginReports"]
    (report,) = [each for each in reports if each["pluginName"] == "AwsSolutions"]
    return [
        f"{each['ruleName']} {construct['constructPath']}"
        for each in report["violations"]
        for construct in each["violatingConstructs"]
    ]


def changes(template: Template, default: Template) -> dict[str, Any]:
    """The resources that are not as in the default stack; None for those that it has in addition."""
    ours, theirs = normalised(template)["Resources"], normalised(default)["Resources"]
    return {name: ours.get(name) for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)}


@pytest.mark.parametrize("name", [path.stem for path in SETTINGS])
def test_settings_change_what_was_reviewed(name: str, template: Template, snapshot: SnapshotAssertion) -> None:
    assert changes(synthesized(name).template, template) == snapshot(extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_makes_what_was_reviewed(name: str, snapshot: SnapshotAssertion) -> None:
    assert normalised(synthesized(name).template) == snapshot(extension_class=JSONSnapshotExtension)


CHECKED = ["managed-blockchain", "existing-resources", "user-pool", "private-api", *PROGRAMS]
"""By default those with resources that the default stack, which test_stack.py checks, has not. `make examples`: all."""


@pytest.mark.long
@pytest.mark.parametrize("name", BUILDS if os.environ.get("OFFCHAIN_ALL_EXAMPLES") else CHECKED)
def test_no_finding_of_cdk_nag_or_cfn_lint_is_unacknowledged(name: str) -> None:
    made = synthesized(name, nag=True)
    assert not [finding for finding in made.findings if not any(part in finding for part in THEIRS)]
    # W3005: CDK writes a DependsOn beside the reference to a role.
    arguments = ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"])
    linted = [f"{match} {match.path}" for match in cfnlint.api.lint(made.text, config=arguments) if match.path]
    assert not [finding for finding in linted if not any(part in finding for part in THEIR_IDS)]
