"""A network is examined before the sandbox serves: what cannot work is a line each, and nothing is passed over."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest

from sandbox.errors import SandboxError
from sandbox.examination import examine
from sandbox.fabric import Identity
from sandbox.runtime import Sandbox


def examined(sandbox: Sandbox, identity: Identity | None = None, **changes: Any) -> list[str]:
    """The warnings about the sandbox's own network, in which `changes` are made, for an identity."""
    user = identity or sandbox.ledger.enroll("user")
    names = {"certificate": f"{uuid4()}/signcert", "privateKey": f"{uuid4()}/pk"}
    for name, value in zip(names.values(), (user.certificate_pem, user.private_key_pem), strict=True):
        sandbox.client("secretsmanager").create_secret(Name=name, SecretString=value)
    nodes = {"peers": sandbox.ledger.peers, "orderers": sandbox.ledger.orderers}
    network = {
        kind: [{"endpoint": each.endpoint, "tlsHostname": "localhost"} for each in some] for kind, some in nodes.items()
    }
    network |= {"channel": "mychannel", "chaincode": "ngo", "tlsRoots": sandbox.ledger.tls_roots_pem}
    environment = {
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_ENDPOINT_URL": sandbox.aws_endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "FABRIC_NETWORK": json.dumps(network | changes),
        "FABRIC_IDENTITIES": json.dumps({"mspId": user.msp_id, "users": {"lambdaUser": names, "other": names}}),
    }
    function = sandbox.assembly.functions_of()["invoke_chaincode"]
    return examine(environment, [function.environment["RECORD_TYPE"]])


def test_a_network_that_can_be_used_has_no_warning(sandbox: Sandbox) -> None:
    assert examined(sandbox) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chaincode": "other"}, r"--chaincode other: peer \S+ does not have it on channel mychannel: "),
        ({"channel": "other"}, r"--channel: peer \S+ has not joined other\. "),
        (
            {"peers": [{"endpoint": "127.0.0.1:1"}], "orderers": [{"endpoint": "nowhere.invalid:7050"}]},
            r"peer 127\.0\.0\.1:1: no connection: Connection refused\. Is it up, and the port right\?\n"
            r"  orderer nowhere\.invalid:7050: no connection: [^\n]*\. Is it up, and the port right\?$",
        ),
    ],
    ids=["chaincode", "channel", "nodes"],
)
def test_what_is_not_there_is_named(sandbox: Sandbox, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SandboxError) as error:
        examined(sandbox, **changes)
    first, _, rest = str(error.value).partition("\n  ")
    assert first == "the network cannot be used as it is described:"
    assert re.match(says, rest)


def test_an_identity_that_the_network_does_not_know_is_named(sandbox: Sandbox) -> None:
    known = sandbox.ledger.enroll("user")
    stranger = Identity("Org9MSP", known.certificate_pem, known.private_key_pem)
    with pytest.raises(SandboxError, match=r"--identity sandbox: peer \S+ refuses it as a client of Org9MSP: "):
        examined(sandbox, stranger)


def test_an_examination_that_breaks_is_no_success(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError) as error:
        examined(sandbox, endorsements=2)
    assert str(error.value).startswith(
        "the network cannot be examined: ValueError: FABRIC_NETWORK: endorsements must be between 1 and"
    )


def test_settings_and_proxies_of_this_machine_are_not_used(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "AWS_ENDPOINT_URL_SECRETS_MANAGER"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "of-nobody")
    assert examined(sandbox) == []
