"""Where a node of a Fabric network is."""

import ipaddress
import re
from collections.abc import Sequence
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

    @property
    def peer(self) -> ec2.IPeer:
        """Whom a rule of a security group must admit: the address where it is one, else anybody, as DNS decides."""
        host = self.address.rpartition(":")[0]
        try:
            return ec2.Peer.ipv4(f"{ipaddress.IPv4Address(host)}/32")
        except ipaddress.AddressValueError:
            return ec2.Peer.any_ipv4()

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


Way = tuple[ec2.IPeer, tuple[int, int]]
"""To whom a function connects, and the range of TCP ports."""

HTTPS = (443, 443)


def endpoint_peers(endpoint: ec2.IInterfaceVpcEndpoint | None) -> list[ec2.IPeer]:
    """The security groups behind which an interface endpoint is; anybody where none is known."""
    groups = endpoint.connections.security_groups if endpoint else []
    return [ec2.Peer.security_group_id(group.security_group_id) for group in groups] or [ec2.Peer.any_ipv4()]


def distinct(ways: Sequence[Way]) -> list[Way]:
    """`ways` by their ports, without those that a way to anybody on the same ports includes."""
    anybody = ec2.Peer.any_ipv4()
    open_ports = {ports for peer, ports in ways if peer.unique_id == anybody.unique_id}
    bounded = {(ports, peer.unique_id): (peer, ports) for peer, ports in ways if ports not in open_ports}
    found = [*bounded.values(), *((anybody, ports) for ports in open_ports)]
    return sorted(found, key=lambda way: (way[1], way[0].unique_id))
