"""What a submission becomes when peers, their chaincode and their connections fail."""

import time
from dataclasses import replace
from typing import Any

import pytest
from shared import errors

from tests.unit.fabric_fixtures import TIMING, Donor, Fabric, fabric, fabric_of_module

__all__ = ["fabric", "fabric_of_module"]


@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.parametrize("node", [0, 1])
@pytest.mark.parametrize("is_warm", [True, False])
def test_one_of_two_peers_is_away(fabric: Fabric, fault: str, node: int, is_warm: bool) -> None:
    ledger = fabric.warm() if is_warm else fabric.ledger()
    getattr(fabric.emulation.peers[node], fault)()
    donors = [Donor() for _ in range(3)]
    answers = [fabric.submit(ledger, donor.request()) for donor in donors]
    for donor, answer in zip(donors, answers, strict=True):
        assert answer.transaction_id == donor.ids(fabric.identity)[0]
        assert fabric.record(donor, peer=1 - node)


def test_both_endorsements_are_needed_and_one_peer_is_away(fabric: Fabric) -> None:
    ledger = fabric.warm(endorsements=2)
    fabric.emulation.peers[1].kill()
    donor = Donor()
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(ledger, donor.request())
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, donor.request(first=False))
    fabric.emulation.peers[1].start()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_all_peers_are_away(fabric: Fabric, fault: str) -> None:
    ledger = fabric.warm()
    for peer in fabric.emulation.peers:
        getattr(peer, fault)()
    began = time.monotonic()
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(ledger, Donor().request(), within=1.0)
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, Donor().request(first=False), within=1.0)
    assert time.monotonic() - began < 2.2


@pytest.mark.parametrize("endorsements", [1, 2])
def test_peers_that_disagree(fabric: Fabric, endorsements: int) -> None:
    # One endorsement would do here, but the other peer is waited for a little.
    patient = replace(TIMING, agreement=1.0)
    ledger, donor = fabric.warm(timing=patient, endorsements=endorsements), Donor()
    fabric.emulation.peers[1].diverges = True
    with pytest.raises(errors.EndorsementFailed):
        fabric.submit(ledger, donor.request())
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, donor.request(first=False))
    assert fabric.codes(donor.ids(fabric.identity)[0]) == []


def test_peers_that_disagree_for_a_moment(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(endorsements=2), Donor()
    peer = fabric.emulation.peers[1]
    peer.diverges = True

    def mend() -> None:
        peer.diverges = False

    fabric.emulation.faults.place("after-endorsement", mend, node=1)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


def test_a_peer_that_lags_cannot_hide_another_donor(fabric: Fabric) -> None:
    ledger, first = fabric.warm(), Donor()
    fabric.emulation.peers[1].pause_commits()
    fabric.submit(ledger, first.request())
    second = Donor(name=first.name, image="second")
    with pytest.raises(errors.RecordAlreadyExists):
        fabric.submit(ledger, second.request())


@pytest.mark.parametrize("node", [0, 1])
def test_the_peer_with_the_stream_lags(fabric: Fabric, node: int) -> None:
    ledger = fabric.warm()
    fabric.emulation.peers[node].pause_commits()
    donor = Donor()
    answer = fabric.submit(ledger, donor.request())
    assert answer.transaction_id == donor.ids(fabric.identity)[0]
    assert fabric.record(donor, peer=1 - node)


def test_a_repetition_finds_its_transaction_past_a_lagging_peer(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.peers[0].pause_commits()
    answer = fabric.submit(ledger, donor.request())
    assert fabric.submit(ledger, donor.request(first=False)) == answer
    assert fabric.submit(ledger, donor.request()) == answer


@pytest.mark.parametrize("fault", ["stop", "kill"])
def test_peers_restart_between_two_calls(fabric: Fabric, fault: str) -> None:
    ledger = fabric.warm()
    for peer in fabric.emulation.peers:
        getattr(peer, fault)()
        peer.start()
    donor = Donor()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


def test_both_peers_are_unavailable_once(fabric: Fabric) -> None:
    """So shows a connection that was lost unnoticed."""
    ledger, donor = fabric.warm(), Donor()
    for node in (0, 1):
        fabric.emulation.faults.place("before-endorsement", "refuse", node=node)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


def test_chaincode_down(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.chaincode_down(True)
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(ledger, donor.request())
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, donor.request(first=False))
    fabric.emulation.chaincode_down(False)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


@pytest.mark.parametrize("step", ["before-endorsement", "after-endorsement", "chaincode"])
@pytest.mark.parametrize("action", ["refuse", "reset", "hang"])
def test_an_endorsement_fails_at_both_peers(fabric: Fabric, step: Any, action: Any) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place(step, action, times=None, function="createDonor")
    began = time.monotonic()
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(ledger, donor.request(), within=2.5)
    assert time.monotonic() - began < 2.5
    fabric.emulation.faults.clear()
    assert fabric.codes(donor.ids(fabric.identity)[0]) == []
    fabric.committed_once(donor, fabric.submit(ledger, donor.request(first=False)))


def test_a_silent_connection_is_replaced_within_a_bounded_time(fabric: Fabric) -> None:
    """Both peers take the proposal and never answer: the second try, over a new connection, is answered."""
    ledger, donor = fabric.warm(), Donor()
    for node in (0, 1):
        fabric.emulation.faults.place("before-endorsement", "hang", node=node)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))
