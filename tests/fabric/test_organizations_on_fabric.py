"""A second organisation that is slow, away or both, on a real network whose policy needs it: a majority of two.

The peers of the second organisation are reached through relays that make them slow. Needs OFFCHAIN_FABRIC_CONTROL where
peers are killed.
"""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from shared import errors
from shared.ledger.client import FabricLedger
from shared.ledger.interface import Committed

from tests.fabric.conftest import Control, RealFabric, recovered
from tests.fabric.test_faults_on_fabric import Load
from tests.unit.fabric_fixtures import Donor


class SlowRelay:
    """Passes bytes to a node at once, and its answers `delay` seconds later; nothing at all while it is `stopped`."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._node = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.delay = 0.0
        self.stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                try:
                    node = socket.create_connection(self._node)
                except OSError:
                    client.close()
                    continue
                late: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                for work in ((self._forward, client, node), (self._collect, node, late), (self._deliver, late, client)):
                    threading.Thread(target=work[0], args=work[1:], daemon=True).start()

    def _forward(self, client: socket.socket, node: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                while self.stopped.is_set():
                    time.sleep(0.01)
                node.sendall(data)
        with contextlib.suppress(OSError):
            node.shutdown(socket.SHUT_RDWR)

    def _collect(self, node: socket.socket, late: "queue.SimpleQueue[tuple[float, bytes]]") -> None:
        with contextlib.suppress(OSError):
            while data := node.recv(65536):
                late.put((time.monotonic() + self.delay, data))
        late.put((time.monotonic() + self.delay, b""))

    def _deliver(self, late: "queue.SimpleQueue[tuple[float, bytes]]", client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = late.get()
                while self.stopped.is_set() or time.monotonic() < due:
                    time.sleep(0.001)
                if not data:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)


class Second:
    """The second organisation: the names of its peers, the relays before them, and a client that goes through these."""

    def __init__(self, real: RealFabric) -> None:
        first = real.identity.msp_id
        numbers = [number for number, peer in enumerate(real.network.peers) if peer.msp_id not in (None, first)]
        if not numbers:
            pytest.skip("needs a network of two organisations, such as network.py up --orgs 2")
        self.peers = [real.peers[number] for number in numbers]
        self.relays = {number: SlowRelay(real.network.peers[number].address) for number in numbers}
        self.network = replace(
            real.network,
            peers=tuple(
                replace(peer, address=self.relays[number].address) if number in self.relays else peer
                for number, peer in enumerate(real.network.peers)
            ),
        )
        self._real = real

    def ledger(self) -> FabricLedger:
        made = FabricLedger(self.network)
        self._real.ledgers.append(made)
        return made

    def delay(self, seconds: float) -> None:
        for relay in self.relays.values():
            relay.delay = seconds

    def stop(self, stopped: bool) -> None:
        for relay in self.relays.values():
            (relay.stopped.set if stopped else relay.stopped.clear)()

    def close(self) -> None:
        self.stop(False)
        for relay in self.relays.values():
            relay.close()


@pytest.fixture
def second(real: RealFabric) -> Iterator[Second]:
    made = Second(real)
    yield made
    made.close()


def require_nothing_ordered(real: RealFabric, donor: Donor) -> None:
    assert [real.code(each) for each in donor.ids(real.identity)] == [None] * len(donor.nonces)


@pytest.mark.parametrize("seconds", [0.03, 0.25])
@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
def test_a_slow_organization(real: RealFabric, second: Second, seconds: float, is_warm: bool) -> None:
    ledger = second.ledger()
    if is_warm:
        real.submit(ledger, Donor().request())
    second.delay(seconds)
    for _ in range(5):
        donor = Donor()
        answer = real.submit(ledger, donor.request())
        assert answer.transaction_id == donor.ids(real.identity)[0]
        assert real.code(answer.transaction_id) == "VALID"


def test_an_organization_that_is_too_slow(real: RealFabric, second: Second) -> None:
    """No connection can be made in time: what is not endorsed by it is not ordered."""
    ledger = second.ledger()
    real.submit(ledger, Donor().request())
    second.delay(2.0)
    for _ in range(3):
        donor = Donor()
        try:
            real.submit(ledger, donor.request())
        except errors.LedgerUnavailable:
            require_nothing_ordered(real, donor)
    second.delay(0.0)
    _until_committed(real, ledger)


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
def test_an_organization_that_stops(real: RealFabric, second: Second, is_warm: bool) -> None:
    ledger = second.ledger()
    if is_warm:
        real.submit(ledger, Donor().request())
    second.stop(True)
    for _ in range(2):
        donor = Donor()
        with pytest.raises(errors.LedgerUnavailable):
            real.submit(ledger, donor.request(), within=6)
        require_nothing_ordered(real, donor)
    second.stop(False)
    _until_committed(real, ledger)


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "cold"])
def test_an_organization_that_is_dead(real: RealFabric, second: Second, control: Control, is_warm: bool) -> None:
    ledger = real.ledger()
    if is_warm:
        real.submit(ledger, Donor().request())
    for peer in second.peers:
        control("kill", peer)
    for _ in range(3):
        donor = Donor()
        with pytest.raises(errors.LedgerUnavailable):
            real.submit(ledger, donor.request())
        require_nothing_ordered(real, donor)
    for peer in second.peers:
        control("start", peer)
    recovered(real)
    real.submit(ledger, Donor().request())


def test_nothing_invalid_is_ordered_under_load(real: RealFabric, second: Second, control: Control) -> None:
    """Eight requests at a time, while the second organisation is slow, stops, is killed and comes back."""
    ledger = second.ledger()
    real.submit(ledger, Donor().request())
    with Load(real, ledger) as load:
        for seconds in (0.03, 0.25, 0.0):
            second.delay(seconds)
            time.sleep(2.0)
        second.stop(True)
        time.sleep(3.0)
        second.stop(False)
        time.sleep(2.0)
        for peer in second.peers:
            control("kill", peer)
        time.sleep(2.0)
        for peer in second.peers:
            control("start", peer)
        recovered(real)
        time.sleep(2.0)
    told = {type(outcome.answer).__name__ for outcome in load.outcomes}
    assert "Committed" in told
    assert told <= {"Committed", "LedgerUnavailable", "OutcomeUnknown"}
    codes = {real.code(each) for outcome in load.outcomes for each in outcome.donor.ids(real.identity)[:1]}
    assert codes <= {"VALID", None}
    for outcome in load.outcomes:
        if isinstance(outcome.answer, errors.LedgerUnavailable):
            require_nothing_ordered(real, outcome.donor)


def _until_committed(real: RealFabric, ledger: FabricLedger) -> Committed:
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(errors.LedgerUnavailable):
            return real.submit(ledger, Donor().request())
        assert time.monotonic() < deadline
