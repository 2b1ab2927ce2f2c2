"""The promise under "Versions" in the README: what a release made, a later one does not replace."""

import copy
import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from releases import KEPT_IN_A_MAJOR_VERSION, NEVER_REPLACED, RELEASES, inputs, template
from replacement import identities, replaced
from stack_template import Template

from conftest import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
RELEASED = {
    (file.stem, name): stack
    for file in sorted(RELEASES.glob("*.json"))
    for name, stack in json.loads(file.read_text("utf-8")).items()
}


@pytest.mark.parametrize(("release", "name"), RELEASED, ids=[f"{name} of {release}" for release, name in RELEASED])
def test_nothing_that_users_have_built_on_is_replaced(release: str, name: str) -> None:
    stack = dict(RELEASED[release, name])
    before = stack.pop("resources")
    after = template(stack)
    same_major = release.split(".")[0] == VERSION.split(".")[0]
    assert replaced(before, identities(after), KEPT_IN_A_MAJOR_VERSION if same_major else NEVER_REPLACED) == []
    for resource in after["Resources"].values():
        if resource["Type"] in NEVER_REPLACED:
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_a_release_has_what_the_promise_is_about() -> None:
    assert ("0.1.0", "default") in RELEASED
    of_default = {each["type"] for each in RELEASED["0.1.0", "default"]["resources"].values()}
    assert of_default == KEPT_IN_A_MAJOR_VERSION - {"AWS::ApiGateway::ApiKey", "AWS::SNS::Topic"}


def test_the_changelog_is_about_this_version() -> None:
    dated = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert dated[0] == VERSION
    assert {release for release, _ in RELEASED} <= {*dated}


BUCKET, API, ENDPOINT, WORKFLOW = (
    "StoreBucket4FBDE984",
    "ApiRestApiE35FEAFE",
    "StoreS3Endpoint8957FCB3",
    "WorkflowStateMachine8F1B1C15",
)


def rename(resources: dict[str, Any]) -> None:
    resources["RecordsBucket0D1E2F3A"] = resources.pop(BUCKET)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str | None]] = {
    "another construct id": (rename, f"{BUCKET}: there is no such resource any more"),
    "a name for the bucket": (
        lambda resources: resources[BUCKET]["Properties"].update(BucketName="pictures"),
        f"{BUCKET}: BucketName was None and is pictures",
    ),
    "another type": (
        lambda resources: resources[BUCKET].update(Type="AWS::S3Express::DirectoryBucket"),
        f"{BUCKET}: was AWS::S3::Bucket and is AWS::S3Express::DirectoryBucket",
    ),
    "no API": (lambda resources: resources.pop(API), f"{API}: there is no such resource any more"),
    "another service behind an endpoint": (
        lambda resources: resources[ENDPOINT]["Properties"].update(ServiceName="s3express"),
        f"{ENDPOINT}: ServiceName was ",
    ),
    "another kind of state machine": (
        lambda resources: resources[WORKFLOW]["Properties"].update(StateMachineType="STANDARD"),
        f"{WORKFLOW}: StateMachineType was EXPRESS and is STANDARD",
    ),
    # S3 changes these in place, and what is stored stays as it is.
    "another encryption": (
        lambda resources: resources[BUCKET]["Properties"].update(
            BucketEncryption={
                "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
            }
        ),
        None,
    ),
    "other life cycle": (lambda resources: resources[BUCKET]["Properties"].pop("LifecycleConfiguration"), None),
}


@pytest.fixture(scope="module")
def today() -> Template:
    made_of = dict(inputs())["default"]
    return template(made_of)


@pytest.mark.parametrize(("change", "finding"), CHANGES.values(), ids=CHANGES)
def test_what_replaces_a_resource_is_found(
    change: Callable[[dict[str, Any]], object], finding: str | None, today: Template
) -> None:
    changed = copy.deepcopy(today)
    change(changed["Resources"])
    assert changed != today
    found = replaced(identities(today), identities(changed), KEPT_IN_A_MAJOR_VERSION)
    assert [each[: len(finding or "")] for each in found] == ([finding] if finding else [])
