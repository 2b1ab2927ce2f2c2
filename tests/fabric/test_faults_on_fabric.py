"""Nodes of a real network are killed under load. Needs OFFCHAIN_FABRIC_CONTROL."""

import os
import threading
import time
from dataclasses import dataclass

import pytest
from shared import errors
from shared.ledger.client import FabricLedger
from shared.ledger.interface import Committed

from tests.fabric.conftest import Control, RealFabric, recovered
from tests.unit.fabric_fixtures import Donor

RESUMED_WITHIN = 15.0


@dataclass
class Outcome:
    donor: Donor
    answer: Committed | errors.OffchainError
    at: float


class Load:
    """Creates of new donors by several threads of one client, until it is left."""

    def __init__(self, real: RealFabric, ledger: FabricLedger, threads: int = 8) -> None:
        self._real, self._ledger = real, ledger
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._create) for _ in range(threads)]
        self.outcomes: list[Outcome] = []

    def _create(self) -> None:
        while not self._ended.is_set():
            donor = Donor()
            answer: Committed | errors.OffchainError
            try:
                answer = self._real.submit(self._ledger, donor.request(), within=10)
            except errors.OffchainError as error:
                answer = error
                time.sleep(0.05)
            self.outcomes.append(Outcome(donor, answer, time.monotonic()))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("kind", ["one peer", "all peers", "orderer", "chaincode"])
def test_kill_under_load(real: RealFabric, control: Control, kind: str) -> None:
    nodes = {
        "one peer": real.peers[:1],
        "all peers": real.peers,
        "orderer": real.orderers,
        "chaincode": [os.environ.get("OFFCHAIN_FABRIC_CHAINCODE_NODE", "chaincode")],
    }[kind]
    if kind == "one peer" and len(real.peers) < 2:
        pytest.skip("needs a network with two peers")
    ledger = real.ledger()
    real.submit(ledger, Donor().request())
    with Load(real, ledger) as load:
        time.sleep(1.5)
        for node in nodes:
            control("kill", node)
        time.sleep(2.0)
        for node in nodes:
            control("start", node)
        recovery = recovered(real)
        time.sleep(3.0)
    resumed = min(o.at for o in load.outcomes if isinstance(o.answer, Committed) and o.at > recovery)
    assert resumed - recovery < RESUMED_WITHIN
    assert any(isinstance(o.answer, Committed) for o in load.outcomes)
    if kind == "one peer":
        # The other peer's endorsement is enough: nobody notices more than a delay.
        assert all(isinstance(o.answer, Committed) for o in load.outcomes)

    for outcome in load.outcomes:
        donor, answer = outcome.donor, outcome.answer
        if isinstance(answer, errors.OutcomeUnknown):
            answer = real.submit(ledger, donor.request(first=False))
        if isinstance(answer, Committed):
            assert real.code(answer.transaction_id) == "VALID"
            assert real.record(donor) == {**donor.fields, "docType": "donor"}
        else:
            assert answer.certain
            assert real.record(donor) is None
    _tell(kind, load, resumed - recovery)


@pytest.mark.parametrize("action", ["stop", "kill"])
def test_every_node_restarts_between_two_calls(real: RealFabric, control: Control, action: str) -> None:
    ledger = real.ledger()
    real.submit(ledger, Donor().request())
    for node in (*real.peers, *real.orderers):
        control(action, node)
        control("start", node)
    donor = Donor()
    assert real.submit(ledger, donor.request()).transaction_id == donor.ids(real.identity)[0]


def test_no_orderer_listens(real: RealFabric, control: Control) -> None:
    ledger, donor = real.ledger(), Donor()
    for orderer in real.orderers:
        control("kill", orderer)
    with pytest.raises(errors.LedgerUnavailable):
        real.submit(ledger, donor.request(), within=12)
    with pytest.raises(errors.OutcomeUnknown):
        real.submit(ledger, donor.request(first=False), within=4)
    for orderer in real.orderers:
        control("start", orderer)
    assert real.code(donor.ids(real.identity)[0]) is None
    assert real.submit(ledger, donor.request(first=False)).transaction_id == donor.ids(real.identity)[0]


def test_no_peer_listens(real: RealFabric, control: Control) -> None:
    ledger, donor = real.ledger(), Donor()
    real.submit(ledger, Donor().request())
    for peer in real.peers:
        control("kill", peer)
    with pytest.raises(errors.LedgerUnavailable):
        real.submit(ledger, donor.request())
    for peer in real.peers:
        control("start", peer)
    recovered(real)
    assert real.submit(ledger, donor.request()).transaction_id == donor.ids(real.identity)[0]


def _tell(kind: str, load: Load, resumed: float) -> None:
    counts: dict[str, int] = {}
    for outcome in load.outcomes:
        name = type(outcome.answer).__name__
        counts[name] = counts.get(name, 0) + 1
    print(f"{kind}: {counts}, resumed {resumed:.2f} s after the network")
