"""Peers and orderers as they are named: twice, or unknown to DNS."""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shared.ledger.network import Endpoint, Network

from .deployment import Deployment
from .finding import Finding, error, ok, warning

THERE = (
    "From outside of the network's VPC that may be so: check from inside of it (CloudShell in the VPC, or a machine "
    "there), where the functions will be."
)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A peer or an orderer of the settings; `setting` is the name of the one that lists it. `from_elsewhere` says that
    the functions may reach what is not reached from here; empty if they run here."""

    setting: str
    endpoint: Endpoint
    from_elsewhere: str = THERE

    @property
    def subject(self) -> str:
        return f"{self.setting} {self.endpoint.address}"

    @property
    def host(self) -> str:
        return self.endpoint.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.endpoint.address.rpartition(":")[2])


def peers(network: Network, deployment: Deployment) -> list[Node]:
    return [_node("peers", endpoint, deployment) for endpoint in network.peers]


def orderers(network: Network, deployment: Deployment) -> list[Node]:
    return [_node("orderers", endpoint, deployment) for endpoint in network.orderers]


def _node(kind: str, endpoint: Endpoint, deployment: Deployment) -> Node:
    there = "" if deployment.runs_here else THERE
    return Node(setting=deployment.settings[kind], endpoint=endpoint, from_elsewhere=there)


def check_duplicates(nodes: Sequence[Node]) -> Iterator[Finding]:
    """An ERROR for each address that is named more than once."""
    addresses = [node.endpoint.address.lower() for node in nodes]
    for address in dict.fromkeys(each for each in addresses if addresses.count(each) > 1):
        node = nodes[addresses.index(address)]
        yield error(node.subject, "is named more than once", "A node is one peer or one orderer: name it once.")


def check_names(nodes: Sequence[Node], *, needed: bool) -> Iterator[Finding]:
    """Whether the hosts' names resolve here: an ERROR where that is `needed`, else a warning."""
    hosts: dict[str, Node] = {}
    for node in nodes:
        hosts.setdefault(node.host, node)
    with ThreadPoolExecutor() as pool:
        for node, failure in zip(hosts.values(), pool.map(_resolution_failure, hosts.values()), strict=True):
            if failure is None:
                yield ok(node.subject, f"{node.host} resolves")
            else:
                what = f"{node.host} does not resolve here: {failure}"
                yield (error if needed else warning)(node.subject, what, f"Is the name right? {node.from_elsewhere}")


def _resolution_failure(node: Node) -> str | None:
    try:
        socket.getaddrinfo(node.host, node.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failure:
        return getattr(failure, "strerror", None) or str(failure)
    return None
