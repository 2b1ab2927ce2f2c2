"""Connections that are dead without either side having been told, as after a load balancer dropped them."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from shared.ledger.client import FabricLedger
from shared.ledger.network import Endpoint
from shared.ledger.transport import Instant

from tests.unit.fabric_fixtures import TIMING, Donor, Fabric, fabric, fabric_of_module, network_of

__all__ = ["fabric", "fabric_of_module"]


GOODBYE = 500
"""Bytes with which a connection may be closed; a proposal or an envelope has some thousand."""


class Relay:
    """Passes bytes to a node. `go_silent` swallows everything on the connections of this moment; new ones work."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._node = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._generation = 0
        self.swallowed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def go_silent(self) -> None:
        self._generation += 1

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                node = socket.create_connection(self._node)
                for source, target in ((client, node), (node, client)):
                    threading.Thread(target=self._pass, args=(source, target, self._generation), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, generation: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if generation == self._generation:
                    target.sendall(data)
                else:
                    self.swallowed += len(data)
            target.close()


@pytest.fixture
def relays(fabric: Fabric) -> Iterator[dict[str, Relay]]:
    """One peer and one orderer, each behind a relay."""
    made = {
        "peer": Relay(fabric.emulation.peers[0].endpoint),
        "orderer": Relay(fabric.emulation.orderers[0].endpoint),
    }
    yield made
    for relay in made.values():
        relay.close()


@pytest.fixture
def ledger(fabric: Fabric, relays: dict[str, Relay]) -> FabricLedger:
    network = replace(
        network_of(fabric.emulation),
        peers=(Endpoint(address=relays["peer"].address, tls_hostname="localhost"),),
        orderers=(Endpoint(address=relays["orderer"].address, tls_hostname="localhost"),),
    )
    made = FabricLedger(network, replace(TIMING, evaluate=0.4))
    fabric.ledgers.append(made)
    fabric.submit(made, Donor().request())
    return made


@pytest.mark.parametrize("nodes", [["peer"], ["orderer"], ["peer", "orderer"]])
def test_a_dead_connection_is_noticed_long_before_the_deadline(
    fabric: Fabric, relays: dict[str, Relay], ledger: FabricLedger, nodes: list[str]
) -> None:
    for node in nodes:
        relays[node].go_silent()
    donor = Donor()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request(), within=20))
    assert all(relays[node].swallowed for node in nodes)
    before = {node: relays[node].swallowed for node in nodes}
    again = Donor()
    fabric.committed_once(again, fabric.submit(ledger, again.request(), within=20))
    assert all(relays[node].swallowed - before[node] < GOODBYE for node in nodes)


def test_nothing_is_sent_over_connections_unused_for_long(
    fabric: Fabric, relays: dict[str, Relay], ledger: FabricLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(0.2)  # the orderer's answer may come after the commit event
    for relay in relays.values():
        relay.go_silent()
    now, seconds_ago = time.time(), Instant.seconds_ago
    monkeypatch.setattr(
        Instant, "seconds_ago", lambda instant: seconds_ago(instant) + (3600 if instant._wall < now else 0)
    )
    donor = Donor()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))
    assert all(relay.swallowed < GOODBYE for relay in relays.values())
