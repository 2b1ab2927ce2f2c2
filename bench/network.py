"""The network that is measured: a real one that environment variables name, or the sandbox's emulation."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox import connection_profile
from sandbox.errors import SandboxError
from sandbox.ledger import LedgerIdentity, Network, Node

PROFILE, MSP = "OFFCHAIN_FABRIC_PROFILE", "OFFCHAIN_FABRIC_MSP"
EMULATED_BATCH_TIMEOUT = 0.05


class NotUsable(Exception):
    """No network is named, or what names it is wrong; the text says what to set."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """`network` with the identity on it; `emulated` where it is no Fabric network."""

    network: Network
    emulated: bool

    def as_json(self) -> dict[str, Any]:
        """As the workers receive it."""
        return asdict(self.network)


def named() -> Target:
    """The network that the variables of tests/fabric/conftest.py name. Raises NotUsable."""
    missing = [name for name in (PROFILE, MSP) if not os.environ.get(name)]
    if missing:
        raise NotUsable(
            f"bench needs a Fabric network: set {' and '.join(missing)} (see tests/fabric/conftest.py), "
            "or ask for the emulation with --emulation"
        )
    try:
        network = connection_profile.read(
            Path(os.environ[PROFILE]),
            msp=Path(os.environ[MSP]),
            channel=os.environ.get("OFFCHAIN_FABRIC_CHANNEL", "mychannel"),
            chaincode=os.environ.get("OFFCHAIN_FABRIC_CHAINCODE", "ngo"),
        )
    except SandboxError as error:
        raise NotUsable(str(error)) from error
    return Target(network=network, emulated=False)


@contextlib.contextmanager
def emulated() -> Iterator[Target]:
    """The sandbox's emulation with two peers and one orderer, in this process."""
    from sandbox.fabric import FabricEmulation

    with FabricEmulation(peers=2, batch_timeout=EMULATED_BATCH_TIMEOUT) as emulation:
        enrolled = emulation.enroll("lambdaUser")
        yield Target(
            emulated=True,
            network=Network(
                channel=emulation.channel,
                chaincode="ngo",
                peers=tuple(Node(endpoint=peer.endpoint, tls_hostname="localhost") for peer in emulation.peers),
                orderers=tuple(Node(endpoint=o.endpoint, tls_hostname="localhost") for o in emulation.orderers),
                tls_roots=emulation.tls_roots_pem,
                identity=LedgerIdentity(
                    msp_id=enrolled.msp_id, certificate=enrolled.certificate_pem, private_key=enrolled.private_key_pem
                ),
            ),
        )
