"""The ledger that the sandbox's functions talk to: where it is, and as whom."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Node:
    """A peer or an orderer. `tls_hostname` is the name in its certificate, where that differs from the endpoint's;
    `msp_id` a peer's organisation, if it is known."""

    endpoint: str
    tls_hostname: str | None = None
    msp_id: str | None = None

    def as_setting(self) -> dict[str, str]:
        """As `FABRIC_NETWORK` has it."""
        known = {"endpoint": self.endpoint, "tlsHostname": self.tls_hostname, "mspId": self.msp_id}
        return {name: value for name, value in known.items() if value}


@dataclass(frozen=True, kw_only=True)
class LedgerIdentity:
    """An X.509 identity; `certificate` and `private_key` are PEM texts."""

    msp_id: str
    certificate: str
    private_key: str


@dataclass(frozen=True, kw_only=True)
class Network:
    """A channel of a Fabric network. `tls_roots` is PEM text. `identity` stands for every user of the deployment."""

    channel: str
    chaincode: str
    peers: tuple[Node, ...]
    orderers: tuple[Node, ...]
    tls_roots: str
    identity: LedgerIdentity
