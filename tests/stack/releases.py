"""What each release made, by the settings that it had: the next one must not replace what users have built on.

PYTHONPATH=. python tests/stack/releases.py    # make release-baseline: records what this version makes
"""

import functools
import importlib
import json
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from offchain_stack import Endpoint, FabricNetwork, FabricUser, OffChainRecords, OffChainStack, OffChainStore, Settings

# isort: split
import aws_cdk as cdk
import yaml
from aws_cdk import aws_ec2 as ec2
from replacement import identities
from stack_template import Template

from conftest import ROOT

RELEASES = Path(__file__).parent / "releases"
EXAMPLES = ROOT / "examples"
NEVER_REPLACED = frozenset({"AWS::S3::Bucket"})
"""Holds what users have stored."""
KEPT_IN_A_MAJOR_VERSION = NEVER_REPLACED | {
    "AWS::ApiGateway::ApiKey",
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGateway::Stage",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::VPCEndpoint",
    "AWS::SNS::Topic",
    "AWS::StepFunctions::StateMachine",
}
"""Others use its URL, ARN or id."""
CONTEXT = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]


def store(app: cdk.App) -> None:
    stack = cdk.Stack(app, "Foreign")
    OffChainStore(stack, "Store", vpc=ec2.Vpc(stack, "Vpc", max_azs=2))


def records(app: cdk.App) -> None:
    stack = cdk.Stack(app, "Foreign")
    network = FabricNetwork(
        stack,
        "Network",
        msp_id="Org1MSP",
        channel="mychannel",
        chaincode="ngo",
        peers=[Endpoint(address="peer0.org1.example.com:7051")],
        orderers=[Endpoint(address="orderer.example.com:7050")],
        tls_roots="s3://chains/tls.pem",
        users=[FabricUser.from_secret_names("lambdaUser", member="org1")],
    )
    OffChainRecords(stack, "Records", vpc=ec2.Vpc(stack, "Vpc", max_azs=2), network=network)


CONSTRUCTS: dict[str, Callable[[cdk.App], None]] = {"store": store, "records": records}
"""Constructs alone, in a stack of somebody else's that has no context."""


def inputs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of each stack of this version, and what it is made of: `settings`, with the `folder` (of this repository)
    that paths in them are relative to, or the name of a `program` in examples/, or of a `construct`."""
    yield "default", {"settings": CONTEXT["offchain"], "folder": "."}
    for path in sorted((EXAMPLES / "settings").glob("*.yaml")) + sorted((EXAMPLES / "settings").glob("environments/*")):
        folder = path.parent.relative_to(ROOT).as_posix()
        yield path.stem, {"settings": yaml.safe_load(path.read_text("utf-8")), "folder": folder}
    for path in sorted(EXAMPLES.glob("*.py")):
        yield path.stem, {"program": path.stem}
    for name in CONSTRUCTS:
        yield name, {"construct": name}


def template(made_of: dict[str, Any]) -> Template:
    """What this version makes of an entry of `inputs`."""
    return _template(json.dumps(made_of, sort_keys=True))


@functools.cache
def _template(made_of: str) -> Template:
    match json.loads(made_of):
        case {"settings": values, "folder": folder}:
            settings = Settings.from_values(values, folder=ROOT / folder)
            return _synthesized(lambda app: OffChainStack(app, settings.stack_name, settings=settings), CONTEXT)
        case {"program": name}:
            sys.path.insert(0, str(EXAMPLES))
            try:
                return _synthesized(importlib.import_module(name).build, CONTEXT)
            finally:
                sys.path.remove(str(EXAMPLES))
        case {"construct": name}:
            return _synthesized(CONSTRUCTS[name], {})
    raise ValueError(made_of)


def _synthesized(build: Callable[[cdk.App], object], context: dict[str, Any]) -> Template:
    with tempfile.TemporaryDirectory() as folder:
        app = cdk.App(context=context | {"aws:cdk:bundling-stacks": []}, outdir=folder)
        build(app)
        app.synth()
        (file,) = Path(folder).glob("*.template.json")
        return json.loads(file.read_text("utf-8"))  # type: ignore[no-any-return]


def write() -> Path:
    """Record in a file of its own what this version makes, of each kind that is kept."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    stacks = {}
    for name, made_of in inputs():
        found = identities(template(made_of)).items()
        kept = {logical_id: each for logical_id, each in found if each["type"] in KEPT_IN_A_MAJOR_VERSION}
        if kept:
            stacks[name] = made_of | {"resources": kept}
    file = RELEASES / f"{version}.json"
    file.write_text(json.dumps(stacks, indent=1) + "\n", "utf-8")
    return file


if __name__ == "__main__":
    print(write())
