"""To whom functions connect, as security groups tell it."""

import ipaddress
from collections.abc import Sequence

from aws_cdk import aws_ec2 as ec2

from .endpoint import Endpoint

Way = tuple[ec2.IPeer, tuple[int, int]]
"""To whom a function connects, and the range of TCP ports."""

HTTPS = (443, 443)


def ways_to_nodes(nodes: Sequence[Endpoint]) -> list[Way]:
    """Of the nodes whose ports are known: to a node's address where it is one, else to anybody, as DNS decides."""
    return [(_peer(node.address.rpartition(":")[0]), (node.port, node.port)) for node in nodes if node.port]


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


def _peer(host: str) -> ec2.IPeer:
    try:
        return ec2.Peer.ipv4(f"{ipaddress.IPv4Address(host)}/32")
    except ipaddress.AddressValueError:
        return ec2.Peer.any_ipv4()
