"""The Fabric network that environment variables name.

OFFCHAIN_FABRIC_PROFILE    its common connection profile (JSON or YAML)
OFFCHAIN_FABRIC_MSP        MSP directory of a client: signcerts/ and keystore/
OFFCHAIN_FABRIC_CHANNEL    default mychannel
OFFCHAIN_FABRIC_CHAINCODE  default ngo: the workshop's chaincode, or one with its createDonor and queryDonor
OFFCHAIN_FABRIC_CONTROL    a shell command that stops, kills and starts nodes, such as "docker {action} {node}":
                           {action} is stop, kill or start, {node} a name from the profile or of the chaincode
OFFCHAIN_FABRIC_CHAINCODE_NODE  what {node} is for the chaincode, default chaincode
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared.identities import Identity
from shared.ledger.client import FabricLedger
from shared.ledger.interface import Call, Committed, Submit
from shared.ledger.network import Endpoint, Network

from sandbox import connection_profile
from tests.unit.fabric_fixtures import Donor


@dataclass
class RealFabric:
    """A network, an identity on it, and the clients that the tests made."""

    network: Network
    identity: Identity
    peers: list[str]
    orderers: list[str]
    ledgers: list[FabricLedger] = field(default_factory=list)

    def ledger(self) -> FabricLedger:
        """A new client, closed with the test."""
        made = FabricLedger(self.network)
        self.ledgers.append(made)
        return made

    def submit(self, ledger: FabricLedger, request: Submit, within: float = 20.0) -> Committed:
        return ledger.submit(self.identity, request, deadline=time.monotonic() + within)

    def code(self, transaction_id: str) -> str | None:
        """The transaction's validation code, as a client of its own sees it."""
        found = self.ledger().find(self.identity, transaction_id, deadline=time.monotonic() + 10)
        return found.code if found else None

    def record(self, donor: Donor) -> dict[str, Any] | None:
        """The donor on the ledger, as a client of its own sees it."""
        query = Call(function="queryDonor", arguments=(json.dumps({"donorUserName": donor.name}, ensure_ascii=False),))
        from shared.errors import ChaincodeRejected

        try:
            found = self.ledger().evaluate(self.identity, query, deadline=time.monotonic() + 10)
        except ChaincodeRejected:
            return None
        return json.loads(found) if found else None


@pytest.fixture(scope="session")
def real_network() -> RealFabric:
    missing = [name for name in ("OFFCHAIN_FABRIC_PROFILE", "OFFCHAIN_FABRIC_MSP") if not os.environ.get(name)]
    if missing:
        pytest.skip(
            f"needs a Fabric network: start one, such as fabric-samples' test-network with the ngo chaincode, and set "
            f"{' and '.join(missing)} (see tests/fabric/conftest.py)"
        )
    profile = Path(os.environ["OFFCHAIN_FABRIC_PROFILE"])
    channel = os.environ.get("OFFCHAIN_FABRIC_CHANNEL", "mychannel")
    read = connection_profile.read(
        profile,
        msp=Path(os.environ["OFFCHAIN_FABRIC_MSP"]),
        channel=channel,
        chaincode=os.environ.get("OFFCHAIN_FABRIC_CHAINCODE", "ngo"),
    )
    named = yaml.safe_load(profile.read_text())["channels"][channel]
    return RealFabric(
        network=Network(
            channel=read.channel,
            chaincode=read.chaincode,
            peers=tuple(
                Endpoint(address=node.endpoint, tls_hostname=node.tls_hostname, msp_id=node.msp_id)
                for node in read.peers
            ),
            orderers=tuple(Endpoint(address=node.endpoint, tls_hostname=node.tls_hostname) for node in read.orderers),
            tls_roots=read.tls_roots,
        ),
        identity=Identity(
            msp_id=read.identity.msp_id,
            certificate=read.identity.certificate,
            private_key=read.identity.private_key,
        ),
        peers=list(named["peers"]),
        orderers=list(named["orderers"]),
    )


@pytest.fixture
def real(real_network: RealFabric) -> Iterator[RealFabric]:
    yield real_network
    for ledger in real_network.ledgers:
        ledger.close()
    real_network.ledgers.clear()


@dataclass
class Control:
    """Stops, kills and starts nodes."""

    command: str
    away: list[str] = field(default_factory=list)

    def __call__(self, action: str, node: str) -> None:
        command = self.command.format(action=action, node=node)
        subprocess.run(command, shell=True, check=True, timeout=60, capture_output=True)
        if action == "start":
            self.away.remove(node)
        else:
            self.away.append(node)


@pytest.fixture
def control(real: RealFabric) -> Iterator[Control]:
    """The nodes under control; whatever is away is started again with the test's end, and the network awaited."""
    if not os.environ.get("OFFCHAIN_FABRIC_CONTROL"):
        pytest.skip("needs to stop nodes: set OFFCHAIN_FABRIC_CONTROL (see tests/fabric/conftest.py)")
    made = Control(os.environ["OFFCHAIN_FABRIC_CONTROL"])
    yield made
    for node in list(made.away):
        made("start", node)
    recovered(real)


def recovered(real: RealFabric) -> float:
    """Wait until a client that knows nothing of the past commits again; returns when, in `time.monotonic()`."""
    from shared.errors import OffchainError

    deadline = time.monotonic() + 60
    while True:
        try:
            real.submit(real.ledger(), Donor().request(), within=5)
        except OffchainError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return time.monotonic()
