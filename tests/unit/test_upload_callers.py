"""Which Fabric user a caller acts as: the rule alone, and through the upload function's Lambda entry."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from shared import identities, record_type
from shared.errors import Forbidden, InvalidRequest
from upload_object import callers
from upload_object import handler as entry

from tests.unit.deployment import Context, store_identity
from tests.unit.fabric_fixtures import Fabric, fabric, fabric_of_module
from tests.unit.upload_samples import ENVIRONMENT, event

__all__ = ["fabric", "fabric_of_module"]

ALLOWED = ("lambdaUser", "auditor")
ACCOUNT = "111122223333"
DESK = f"arn:aws:iam::{ACCOUNT}:role/donor-desk"
ADA = f"arn:aws:iam::{ACCOUNT}:user/staff/ada"
AUDIT = f"arn:aws:iam::{ACCOUNT}:role/finance/eu/audit"
NOBODY = "This API has no Fabric user for the caller. Ask the operator."


def session(role: str, account: str = ACCOUNT, partition: str = "aws", name: str = "i-0123@x.org") -> str:
    """What API Gateway says of a caller with a role."""
    return f"arn:{partition}:sts::{account}:assumed-role/{role}/{name}"


def principals(**users: list[str]) -> callers.Callers:
    return callers.from_json(json.dumps({"kind": "principals", "users": users}))


CLAIM = callers.from_json('{"kind": "claim"}')
BOUND = principals(lambdaUser=[DESK, ADA], auditor=[AUDIT, ADA])


def test_without_a_rule_a_request_names_the_user() -> None:
    anyone = callers.from_json(None)
    for caller in ("", ADA, "auditor"):
        assert anyone.fabric_user(caller, "", ALLOWED) == "lambdaUser"
        assert anyone.fabric_user(caller, "auditor", ALLOWED) == "auditor"


@pytest.mark.parametrize("text", ["{}", "[]", '{"kind": "any"}', '{"kind": "principals"}', '"claim"', "", "claim"])
def test_a_rule_that_there_is_not_is_no_rule_for_anyone(text: str) -> None:
    with pytest.raises(ValueError, match=r"FABRIC_CALLERS|Expecting value"):
        callers.from_json(text)


# A claim


@pytest.mark.parametrize("asked", ["", "auditor"])
def test_a_claim_is_the_user(asked: str) -> None:
    assert CLAIM.fabric_user("auditor", asked, ALLOWED) == "auditor"


@pytest.mark.parametrize("asked", ["", "lambdaUser"])
@pytest.mark.parametrize("caller", ["", "admin", "Auditor", "auditor ", "lambdaUser,auditor"])
def test_a_claim_that_is_no_allowed_user_is_refused(caller: str, asked: str) -> None:
    with pytest.raises(Forbidden) as refusal:
        CLAIM.fabric_user(caller, asked, ALLOWED)
    assert refusal.value.message == "The caller's token names no Fabric user that this API allows. Ask the operator."


@pytest.mark.parametrize("asked", ["lambdaUser", "admin"])
def test_another_user_than_the_claims_is_refused(asked: str) -> None:
    with pytest.raises(Forbidden) as refusal:
        CLAIM.fabric_user("auditor", asked, ALLOWED)
    assert refusal.value.message == "fabricUsername: another Fabric user than the caller's own. Leave it out."


# IAM principals


@pytest.mark.parametrize(
    ("caller", "asked", "user"),
    [
        (session("donor-desk"), "", "lambdaUser"),
        (session("donor-desk"), "lambdaUser", "lambdaUser"),
        (session("audit"), "", "auditor"),
        (ADA, "", "lambdaUser"),
        (ADA, "auditor", "auditor"),
    ],
)
def test_a_principal_acts_as_the_users_that_list_it(caller: str, asked: str, user: str) -> None:
    assert BOUND.fabric_user(caller, asked, ALLOWED) == user


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_roles_of_other_partitions_are_their_own(partition: str) -> None:
    there = principals(auditor=[DESK.replace("arn:aws:", f"arn:{partition}:")])
    assert there.fabric_user(session("donor-desk", partition=partition), "", ALLOWED) == "auditor"
    with pytest.raises(Forbidden):
        there.fabric_user(session("donor-desk"), "", ALLOWED)


@pytest.mark.parametrize("asked", ["", "lambdaUser", "auditor", "admin"])
@pytest.mark.parametrize(
    "caller",
    [
        "",
        session("donor-desk", account="999999999999"),
        session("donor-desk", partition="aws-cn"),
        session("donor-desk2"),
        session("Donor-desk"),
        session("other", name="donor-desk"),
        session("finance"),
        session("donor-desk").removesuffix("/i-0123@x.org"),
        session("donor-desk") + "/x",
        session("donor-desk") + "\n",
        f"arn:aws:iam::{ACCOUNT}:user/ada",
        f"arn:aws:iam::{ACCOUNT}:user/other/ada",
        f"arn:aws:sts::{ACCOUNT}:federated-user/donor-desk",
        f"arn:aws:iam::{ACCOUNT}:root",
        "*",
        "lambdaUser",
    ],
)
def test_a_principal_that_no_user_lists_is_refused(caller: str, asked: str) -> None:
    with pytest.raises(Forbidden) as refusal:
        BOUND.fabric_user(caller, asked, ALLOWED)
    assert refusal.value.message == NOBODY


@pytest.mark.parametrize(
    ("caller", "asked"), [(session("donor-desk"), "auditor"), (session("audit"), "lambdaUser"), (ADA, "admin")]
)
def test_a_user_that_does_not_list_the_principal_is_refused(caller: str, asked: str) -> None:
    with pytest.raises(Forbidden) as refusal:
        BOUND.fabric_user(caller, asked, ALLOWED)
    assert (
        refusal.value.message == "fabricUsername: not a Fabric user of this caller. Leave it out or ask the operator."
    )


def test_a_session_in_the_rule_stands_for_itself_and_not_for_its_role() -> None:
    only = principals(auditor=[session("audit", name="eve")])
    assert only.fabric_user(session("audit", name="eve"), "", ALLOWED) == "auditor"
    with pytest.raises(Forbidden):
        only.fabric_user(session("audit", name="mallory"), "", ALLOWED)


# Through the function


@pytest.fixture
def deployed(fabric: Fabric, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    secrets = {"certificate": "user/signcert", "privateKey": "user/pk"}
    known = {"mspId": "Org1MSP", "users": dict.fromkeys(ALLOWED, secrets)}
    environment = ENVIRONMENT | {"S3_BUCKET": bucket.name, "FABRIC_IDENTITIES": json.dumps(known)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    store_identity(fabric.identity)
    caches = (entry.uploader, record_type.from_environment, identities.from_environment)
    for cache in caches:
        cache.cache_clear()
    yield monkeypatch
    for cache in caches:
        cache.cache_clear()


def test_the_resolved_user_is_the_submissions(deployed: pytest.MonkeyPatch) -> None:
    named = entry.handler(event(fabricUsername="auditor"), Context())
    entry.uploader.cache_clear()
    deployed.setenv("FABRIC_CALLERS", '{"kind": "claim"}')
    bound = entry.handler(event(caller="auditor"), Context())
    assert bound["fabricUsername"] == "auditor"
    assert bound == named
    assert entry.handler(event(caller="lambdaUser"), Context())["submissionId"] != bound["submissionId"]


def test_a_refused_caller_leaves_nothing_behind(deployed: pytest.MonkeyPatch, bucket: Any) -> None:
    deployed.setenv("FABRIC_CALLERS", json.dumps({"kind": "principals", "users": {"auditor": [AUDIT]}}))
    for changes in ({}, {"caller": ""}, {"caller": session("donor-desk")}, {"fabricUsername": "auditor"}):
        with pytest.raises(Forbidden, match=NOBODY):
            entry.handler(event(**changes), Context())
    assert not list(bucket.object_versions.all())
    assert entry.handler(event(caller=session("audit")), Context())["fabricUsername"] == "auditor"


def test_without_a_rule_the_caller_changes_nothing(deployed: pytest.MonkeyPatch) -> None:
    assert entry.handler(event(), Context()) == entry.handler(event(caller=session("audit")), Context())


def test_a_caller_that_is_no_text_is_refused_by_name(deployed: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="caller: must be a text"):
        entry.handler(event(caller=["auditor"]), Context())


def test_a_rule_for_a_user_that_the_deployment_does_not_have_is_refused(deployed: pytest.MonkeyPatch) -> None:
    deployed.setenv("FABRIC_CALLERS", json.dumps({"kind": "principals", "users": {"admin": [AUDIT]}}))
    with pytest.raises(Forbidden, match="fabricUsername: this API does not allow this Fabric user"):
        entry.handler(event(caller=session("audit")), Context())
