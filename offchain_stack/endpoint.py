"""Where a node of a Fabric network is."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_cdk import aws_ec2 as ec2


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A peer or an orderer. Raises ValueError for an address of another form.

    * `address`: `host:port`, perhaps a token.
    * `tls_hostname`: the name in its TLS certificate; by default the host.
    * `msp_id`: the MSP id of a peer's organisation; by default what the peer's first endorsement shows. It is needed
      only for a peer that has not answered yet, while no peer tells the channel's endorsement policy.
    """

    address: str
    tls_hostname: str | None = None
    msp_id: str | None = None

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        well_formed = re.fullmatch(r"[A-Za-z0-9.-]+", host) and port.isdecimal() and 0 < int(port) < 65_536
        if not (well_formed or _is_token(self.address)):
            raise ValueError(f"{self.address!r} is not host:port, such as 'peer0.org1.example.com:7051'")

    @property
    def port(self) -> int | None:
        """The TCP port; None where the address is a token."""
        return None if _is_token(self.address) else int(self.address.rpartition(":")[2])

    def to_environment(self) -> dict[str, str]:
        """As the functions read it."""
        known = {"endpoint": self.address, "tlsHostname": self.tls_hostname, "mspId": self.msp_id}
        return {name: value for name, value in known.items() if value}


def _is_token(text: str) -> bool:
    # CDK takes seconds to load, and a plain address, such as in a connection profile, does not need it.
    if "${Token[" not in text:
        return False
    import aws_cdk as cdk

    return cdk.Token.is_unresolved(text)


def tcp(ports: tuple[int, int]) -> "ec2.Port":
    """A range of TCP ports for a rule of a security group."""
    from aws_cdk import aws_ec2 as ec2

    first, last = ports
    return ec2.Port.tcp(first) if first == last else ec2.Port.tcp_range(first, last)
