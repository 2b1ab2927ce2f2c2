"""Queries and look-ups at the peers."""

import json
import time
from typing import Any

import pytest
from shared import errors
from shared.ledger.interface import Call

from tests.unit.fabric_fixtures import Donor, Fabric, client_identity, fabric, fabric_of_module

__all__ = ["fabric", "fabric_of_module"]


def query(donor: Donor) -> Call:
    return Call(function="queryDonor", arguments=(json.dumps({"donorUserName": donor.name}),))


def test_a_query_returns_the_chaincodes_bytes(fabric: Fabric) -> None:
    donor = Donor(name=f"Ünï-{Donor().name}")
    ledger = fabric.warm()
    fabric.submit(ledger, donor.request())
    found = ledger.evaluate(fabric.identity, query(donor), deadline=time.monotonic() + 2)
    assert json.loads(found) == {**donor.fields, "docType": "donor"}


@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.parametrize("node", [0, 1])
def test_the_next_peer_is_asked(fabric: Fabric, fault: str, node: int) -> None:
    donor = Donor()
    ledger = fabric.warm()
    fabric.submit(ledger, donor.request())
    while not all(fabric.record(donor, peer=peer) for peer in (0, 1)):
        time.sleep(0.01)
    getattr(fabric.emulation.peers[node], fault)()
    for _ in range(2):
        assert ledger.evaluate(fabric.identity, query(donor), deadline=time.monotonic() + 2)


@pytest.mark.parametrize("action", ["refuse", "reset"])
def test_a_peer_that_was_unavailable_once_is_asked_again(fabric: Fabric, action: Any) -> None:
    donor = Donor()
    ledger = fabric.warm()
    fabric.submit(ledger, donor.request())
    fabric.emulation.faults.place("query", action, times=3)
    assert ledger.evaluate(fabric.identity, query(donor), deadline=time.monotonic() + 2)


def test_a_refused_query(fabric: Fabric) -> None:
    with pytest.raises(errors.ChaincodeRejected):
        fabric.ledger().evaluate(fabric.identity, query(Donor()), deadline=time.monotonic() + 2)


def test_no_peer_answers_a_query(fabric: Fabric) -> None:
    ledger = fabric.ledger()
    for peer in fabric.emulation.peers:
        peer.freeze()
    began = time.monotonic()
    with pytest.raises(errors.LedgerUnavailable):
        ledger.evaluate(fabric.identity, query(Donor()), deadline=time.monotonic() + 0.3)
    with pytest.raises(errors.LedgerUnavailable):
        ledger.find(fabric.identity, "ab" * 32, deadline=time.monotonic() + 0.3)
    assert time.monotonic() - began < 1.2


def test_a_stranger_may_not_query(fabric: Fabric) -> None:
    stranger = client_identity(fabric.emulation, "stranger", msp_id="OrdererMSP", role="admin")
    with pytest.raises(errors.EndorsementFailed):
        fabric.ledger().evaluate(stranger, query(Donor()), deadline=time.monotonic() + 2)


def test_a_transaction_is_found_with_what_it_called(fabric: Fabric) -> None:
    donor = Donor()
    ledger = fabric.warm()
    request = donor.request()
    committed = fabric.submit(ledger, request)
    found = ledger.find(fabric.identity, committed.transaction_id, deadline=time.monotonic() + 2)
    assert found is not None
    assert (found.transaction_id, found.code) == (committed.transaction_id, "VALID")
    assert (found.chaincode, found.function) == ("ngo", "createDonor")
    assert found.arguments == (request.call.arguments[0].encode(),)


def test_an_unknown_transaction_is_not_found(fabric: Fabric) -> None:
    assert fabric.ledger().find(fabric.identity, "ab" * 32, deadline=time.monotonic() + 2) is None


def test_a_peer_that_may_not_be_asked_is_not_an_answer(fabric: Fabric) -> None:
    stranger = client_identity(fabric.emulation, "stranger", msp_id="OrdererMSP", role="admin")
    with pytest.raises(errors.LedgerUnavailable):
        fabric.ledger().find(stranger, "ab" * 32, deadline=time.monotonic() + 2)
