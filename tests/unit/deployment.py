"""Functions as deployed: their context, and the environment and secrets that reach the Fabric emulation."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from shared import aws, identities, record_type
from shared.identities import Identity
from shared.ledger import environment

from tests.unit.fabric_fixtures import TIMING, Fabric
from tests.unit.upload_samples import ENVIRONMENT

CACHES: tuple[Callable[[], Any], ...] = (
    record_type.from_environment,
    identities.from_environment,
    environment.ledger,
)
"""What a function makes once of its environment."""


@dataclass
class Context:
    """`remaining`: seconds until Lambda would stop the function."""

    remaining: float = 60.0
    aws_request_id: str = "invocation"
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:111122223333:function:function"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining * 1000)


def ledger_environment(fabric: Fabric) -> dict[str, str]:
    """The variables of a function that asks the ledger, as its first user."""
    secrets = {"certificate": "user/signcert", "privateKey": "user/pk"}
    network = {
        "channel": "mychannel",
        "chaincode": "ngo",
        "peers": [
            {"endpoint": p.endpoint, "tlsHostname": "localhost", "mspId": p.msp_id} for p in fabric.emulation.peers
        ],
        "orderers": [{"endpoint": o.endpoint, "tlsHostname": "localhost"} for o in fabric.emulation.orderers],
        "tlsRoots": fabric.emulation.tls_roots_pem,
    }
    return {
        "RECORD_TYPE": ENVIRONMENT["RECORD_TYPE"],
        "FABRIC_IDENTITIES": json.dumps({"mspId": fabric.identity.msp_id, "users": {"lambdaUser": secrets}}),
        "FABRIC_NETWORK": json.dumps(network),
        "LEDGER": ENVIRONMENT["LEDGER"],
        "FABRIC_TIMING": json.dumps(asdict(TIMING)),
    }


def store_identity(identity: Identity) -> None:
    """Put an identity into the user's secrets, as a rotation does."""
    secrets = aws.client("secretsmanager")
    for name, text in (("user/signcert", identity.certificate), ("user/pk", identity.private_key)):
        try:
            secrets.create_secret(Name=name, SecretString=text)
        except secrets.exceptions.ResourceExistsException:
            secrets.put_secret_value(SecretId=name, SecretString=text)


def write_as_another_client(fabric: Fabric, name: str, record: bytes) -> None:
    """Put a donor's record on the ledger that this stack's functions did not write, at every peer."""
    for peer in fabric.emulation.peers:
        peer.ledger.state.write("ngo", f"donor{name}", record, (0, 0))


def forget_all_records(fabric: Fabric) -> None:
    """Leave the chaincode without records."""
    for index, peer in enumerate(fabric.emulation.peers):
        for key in fabric.emulation.records("ngo", peer=index):
            peer.ledger.state.write("ngo", key, None, (0, 0))
