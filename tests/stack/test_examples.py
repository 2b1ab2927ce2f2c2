"""Every example synthesizes offline, without a finding that is not acknowledged, and as it was reviewed.

The snapshot of a settings file is what it makes different from the default stack.
"""

import contextlib
import importlib
import json
import sys
from collections.abc import Callable
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


def synthesize(build: Callable[[cdk.App], None], folder: Path, *, nag: bool = False) -> Template:
    context = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"] | {"aws:cdk:bundling-stacks": []}
    app = cdk.App(context=context, outdir=str(folder))
    build(app)
    if nag:
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    (file,) = folder.glob("*.template.json")
    return json.loads(file.read_text("utf-8"))  # type: ignore[no-any-return]


def changes(template: Template, default: Template) -> dict[str, Any]:
    """The resources that are not as in the default stack; None for those that it has in addition."""
    ours, theirs = normalised(template)["Resources"], normalised(default)["Resources"]
    return {name: ours.get(name) for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)}


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_settings_change_what_was_reviewed(
    path: Path, template: Template, tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    made = synthesize(of_settings(path), tmp_path)
    assert changes(made, template) == snapshot(extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_makes_what_was_reviewed(name: str, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    made = normalised(synthesize(of_program(name), tmp_path))
    assert made == snapshot(extension_class=JSONSnapshotExtension)


@pytest.mark.parametrize("name", BUILDS)
def test_no_finding_of_cdk_nag_or_cfn_lint_is_unacknowledged(name: str, tmp_path: Path) -> None:
    # Synth ends with an error where there are findings; the report says of which construct.
    with contextlib.suppress(RuntimeError):
        synthesize(BUILDS[name], tmp_path, nag=True)
    reports = json.loads((tmp_path / "validation-report.json").read_text("utf-8"))["pluginReports"]
    (nag,) = [each for each in reports if each["pluginName"] == "AwsSolutions"]
    found = [
        f"{each['ruleName']} {construct['constructPath']}"
        for each in nag["violations"]
        for construct in each["violatingConstructs"]
    ]
    assert not [finding for finding in found if not any(part in finding for part in THEIRS)]
    (file,) = tmp_path.glob("*.template.json")
    # W3005: CDK writes a DependsOn beside the reference to a role.
    arguments = ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"])
    linted = [
        f"{match} {match.path}" for match in cfnlint.api.lint(file.read_text("utf-8"), config=arguments) if match.path
    ]
    assert not [finding for finding in linted if not any(part in finding for part in THEIR_IDS)]
