"""A rotated secret reaches functions that are warm, within the time that is stated, and no request fails meanwhile."""

import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from shared import submission
from world import World

from sandbox.assembly import Assembly
from sandbox.fabric import Identity
from sandbox.runtime import Sandbox

pytestmark = pytest.mark.long

REFRESH = {"upload_object.handler.handler": 0.9, "invoke_chaincode.handler.handler": 0.3}
"""Seconds. The function that signs turns to a new certificate long before the one that plans transactions."""


def _refreshing(assembly: Assembly) -> Assembly:
    functions = {
        arn: replace(each, environment={**each.environment, "FABRIC_IDENTITY_SECONDS": str(REFRESH[each.handler])})
        if each.handler in REFRESH
        else each
        for arn, each in assembly.functions.items()
    }
    return replace(assembly, functions=functions)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox whose functions read their identities again often, with one process of each."""
    with Sandbox(adapt=_refreshing, max_environments=1) as running:
        yield running


def _put(sandbox: Sandbox, kind: str, text: str) -> None:
    """Put `text` into the secrets that hold a `kind` ("CERTIFICATE", "PRIVATE KEY")."""
    secrets = sandbox.client("secretsmanager")
    for secret in secrets.list_secrets()["SecretList"]:
        if kind in secrets.get_secret_value(SecretId=secret["Name"])["SecretString"]:
            secrets.put_secret_value(SecretId=secret["Name"], SecretString=text)


def _create_signed_by(sandbox: Sandbox, identity: Identity) -> bool:
    """Create a donor, which must succeed; whether its transaction was signed by `identity`."""
    key = uuid4().hex
    status, answer = World(sandbox).create(key=key)
    assert status == 200, answer
    named = submission.Submission.of(
        record_type="Donor",
        execution_id="",
        idempotency_key=key,
        fabric_username="",
        chaincode_function="",
        fields={},
        data_sha256="",
    )
    creator = submission.creator(identity.msp_id, identity.certificate_pem)
    return bool(answer["transactionId"] == submission.transaction_id(named.nonces[0], creator))


def test_warm_functions_turn_to_a_rotated_certificate_in_time_and_no_request_fails(sandbox: Sandbox) -> None:
    functions = [each.name for each in sandbox.assembly.functions.values() if each.handler in REFRESH]
    new = sandbox.ledger.enroll("rotated")
    assert not _create_signed_by(sandbox, new)
    processes = [sandbox.lambda_runner.pids(each) for each in functions]

    _put(sandbox, "PRIVATE KEY", new.private_key_pem)
    half_done = time.monotonic()
    while time.monotonic() < half_done + 2 * REFRESH["invoke_chaincode.handler.handler"]:
        assert not _create_signed_by(sandbox, new)
    _put(sandbox, "CERTIFICATE", new.certificate_pem)
    rotated = began = time.monotonic()
    while not _create_signed_by(sandbox, new):
        assert began < rotated + max(REFRESH.values())
        began = time.monotonic()
    assert [sandbox.lambda_runner.pids(each) for each in functions] == processes
