"""Callers bound to Fabric users, over HTTP: each acts as its own, and as no other whatever its request says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from world import World, refused

from sandbox.__main__ import first_requests
from sandbox.assembly import ROOT
from sandbox.caller import Caller
from sandbox.runtime import Sandbox

pytestmark = pytest.mark.long

ACCOUNT = "111122223333"
ADA = f"arn:aws:iam::{ACCOUNT}:user/staff/ada"
CLAIM = "custom:fabricUsername"


def session(role: str) -> Caller:
    return Caller(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/i-0123")


def claimed(user: str) -> Caller:
    return Caller(claims={"sub": "8d1b", CLAIM: user})


class Bound(World):
    """A donor's request by a caller."""

    def create_as(self, caller: Caller, **body: Any) -> tuple[int, dict[str, Any]]:
        self.sandbox.caller = caller
        return self.send({"chaincodeFunctionArgs": self.arguments()} | body)

    def fabric_user(self) -> str:
        """As whom the one object of this donor was written."""
        ((key, version),) = self.versions()
        head = self.sandbox.client("s3").head_object(Bucket=self.sandbox.bucket, Key=key, VersionId=version)
        return str(head["Metadata"]["fabric-username"])

    def has_nothing(self) -> bool:
        return (self.versions(), self.record()) == ([], None)


SETTINGS = ROOT / "examples" / "settings"


@pytest.fixture(scope="module")
def pool(assembly_of: Callable[[Path], Path]) -> Iterator[Sandbox]:
    with Sandbox(assembly=assembly_of(SETTINGS / "user-pool.yaml")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def private(assembly_of: Callable[[Path], Path]) -> Iterator[Sandbox]:
    with Sandbox(assembly=assembly_of(SETTINGS / "private-api.yaml")) as sandbox:
        yield sandbox


@pytest.fixture
def by_claim(pool: Sandbox) -> Bound:
    return Bound(pool)


@pytest.fixture
def by_principal(private: Sandbox) -> Bound:
    return Bound(private)


class TestClaim:
    @pytest.mark.parametrize("user", ["auditor", "lambdaUser"])
    @pytest.mark.parametrize("named", [True, False])
    def test_is_the_fabric_user(self, by_claim: Bound, user: str, named: bool) -> None:
        status, created = by_claim.create_as(claimed(user), **({"fabricUsername": user} if named else {}))
        assert status == 200, created
        assert by_claim.fabric_user() == user
        assert by_claim.record()["imageKey"] == created["imageKey"]

    @pytest.mark.parametrize(
        "caller", [Caller(), claimed(""), claimed("admin"), Caller(claims={"sub": "auditor"}, arn=ADA)]
    )
    @pytest.mark.parametrize("body", [{}, {"fabricUsername": "auditor"}])
    def test_that_names_no_user_is_refused(self, by_claim: Bound, caller: Caller, body: dict[str, str]) -> None:
        message = refused(by_claim.create_as(caller, **body), 403, "Forbidden")
        assert message == "The caller's token names no Fabric user that this API allows. Ask the operator."
        assert by_claim.has_nothing()

    def test_is_not_overruled_by_the_body(self, by_claim: Bound) -> None:
        answer = by_claim.create_as(claimed("auditor"), fabricUsername="lambdaUser")
        message = refused(answer, 403, "Forbidden")
        assert message == "fabricUsername: another Fabric user than the caller's own. Leave it out."
        assert by_claim.has_nothing()

    def test_is_not_set_by_header_query_or_body(self, by_claim: Bound) -> None:
        by_claim.sandbox.caller = Caller()
        theirs = dict.fromkeys(("caller", "fabricUsername", "custom-fabricUsername", "userArn"), "auditor")
        body = json.dumps({"chaincodeFunctionArgs": by_claim.arguments()})
        target = "/donors?caller=auditor&fabricUsername=auditor&custom:fabricUsername=auditor"
        answer = by_claim._request("POST", target, body, theirs | {"Content-Type": "application/json"})
        refused(answer, 403, "Forbidden")
        for field in ("caller", "submission"):
            body = {"chaincodeFunctionArgs": by_claim.arguments(), field: "auditor"}
            refused(by_claim.send(body), 400, "InvalidRequest")
        assert by_claim.has_nothing()

    def test_is_not_set_by_arguments_that_a_foreign_model_lets_through(self, by_claim: Bound) -> None:
        """Behind an ExistingMethod nothing checks the body before the workflow."""
        workflow = by_claim.sandbox.workflow
        (arn,) = [
            name
            for name, machine in by_claim.sandbox.assembly.state_machines.items()
            if "S3Upload" in json.dumps(machine.definition)
        ]
        names = ("correlationId", "idempotencyKey", "fabricUsername", "functionType", "chaincodeFunction", "caller")
        arguments = by_claim.arguments() | {"caller": "auditor"}
        sent = {"submission": dict.fromkeys(names, ""), "chaincodeFunctionArgs": arguments}
        ended = workflow.start_sync_execution({"stateMachineArn": arn, "input": json.dumps(sent)})
        assert (ended["status"], ended["error"]) == ("FAILED", "InvalidRequest")
        assert by_claim.has_nothing()

    def test_is_not_asked_for_to_read(self, by_claim: Bound) -> None:
        status, created = by_claim.create_as(claimed("auditor"))
        assert status == 200, created
        by_claim.sandbox.caller = Caller()
        assert by_claim.read()[0] == 200


class TestPrincipal:
    @pytest.mark.parametrize(
        ("caller", "body", "user"),
        [
            (session("donor-desk"), {}, "lambdaUser"),
            (session("audit"), {}, "auditor"),
            (session("audit"), {"fabricUsername": "auditor"}, "auditor"),
            (Caller(arn=ADA), {}, "lambdaUser"),
            (Caller(arn=ADA), {"fabricUsername": "auditor"}, "auditor"),
        ],
    )
    def test_acts_as_the_users_that_list_it(
        self, by_principal: Bound, caller: Caller, body: dict[str, str], user: str
    ) -> None:
        status, created = by_principal.create_as(caller, **body)
        assert status == 200, created
        assert by_principal.fabric_user() == user

    @pytest.mark.parametrize(
        "caller",
        [Caller(), session("other"), Caller(arn=f"arn:aws:iam::{ACCOUNT}:user/ada"), claimed("auditor")],
    )
    @pytest.mark.parametrize("body", [{}, {"fabricUsername": "auditor"}])
    def test_that_no_user_lists_is_refused(self, by_principal: Bound, caller: Caller, body: dict[str, str]) -> None:
        message = refused(by_principal.create_as(caller, **body), 403, "Forbidden")
        assert message == "This API has no Fabric user for the caller. Ask the operator."
        assert by_principal.has_nothing()

    def test_does_not_act_as_anothers_user(self, by_principal: Bound) -> None:
        message = refused(by_principal.create_as(session("donor-desk"), fabricUsername="auditor"), 403, "Forbidden")
        assert message == "fabricUsername: not a Fabric user of this caller. Leave it out or ask the operator."
        assert by_principal.has_nothing()


def test_the_first_requests_say_that_a_caller_has_to_be_named(pool: Sandbox) -> None:
    said = "Here each caller has a Fabric user of its own: say with --caller-arn or --claim who calls."
    pool.caller = Caller()
    assert said in first_requests(pool)
    pool.caller = Caller(claims={"sub": "ada"})
    assert said not in first_requests(pool)
