"""Queries and look-ups at the peers."""

import contextlib
import datetime
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
from hfc.protos.common import common_pb2
from hypothesis import given
from hypothesis import strategies as st
from shared import errors
from shared.ledger import messages
from shared.ledger.interface import Call, FoundTransaction
from shared.ledger.transport import Connection

from tests.unit.fabric_fixtures import TIMING, Donor, Fabric, client_identity, fabric, fabric_of_module, network_of

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


@pytest.mark.parametrize("method", ["find", "status"])
def test_a_stranger_and_a_broken_key_may_not_look_up_a_transaction(fabric: Fabric, method: str) -> None:
    stranger = client_identity(fabric.emulation, "stranger", msp_id="OrdererMSP", role="admin")
    for identity in (stranger, replace(fabric.identity, private_key="no key")):
        with pytest.raises(errors.EndorsementFailed):
            getattr(fabric.ledger(), method)(identity, "ab" * 32, deadline=time.monotonic() + 2)


# A record that may not be everywhere yet


def test_a_record_is_read(fabric: Fabric) -> None:
    donor, ledger = Donor(), fabric.warm()
    fabric.submit(ledger, donor.request())
    found = ledger.read(fabric.identity, query(donor), deadline=time.monotonic() + 2)
    assert found is not None
    assert json.loads(found) == {**donor.fields, "docType": "donor"}


@pytest.mark.parametrize("shim", ["2.2.3", "2.5.8"])
def test_what_the_chaincode_refuses_at_each_peer_is_no_record(fabric: Fabric, shim: Any) -> None:
    for peer in fabric.emulation.peers:
        peer.shim = shim
    asked = fabric.emulation.faults.place("query", lambda: None, times=None)
    assert fabric.ledger().read(fabric.identity, query(Donor()), deadline=time.monotonic() + 2) is None
    assert asked.met == 2


@pytest.mark.parametrize("lagging", [0, 1])
def test_a_record_is_read_from_the_peer_that_has_it(fabric: Fabric, lagging: int) -> None:
    donor, ledger = Donor(), fabric.warm()
    fabric.emulation.peers[lagging].pause_commits()
    fabric.submit(ledger, donor.request())
    assert fabric.record(donor, peer=lagging) is None
    assert ledger.read(fabric.identity, query(donor), deadline=time.monotonic() + 2)
    assert fabric.record(donor, peer=lagging) is None


@pytest.mark.parametrize("down", [0, 1])
@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_a_refusal_at_the_only_peer_that_answers_is_no_record(fabric: Fabric, fault: str, down: int) -> None:
    ledger = fabric.warm()
    getattr(fabric.emulation.peers[down], fault)()
    assert ledger.read(fabric.identity, query(Donor()), deadline=time.monotonic() + 2) is None


def test_a_chaincode_that_cannot_run_has_not_answered(fabric: Fabric) -> None:
    ledger = fabric.warm()
    fabric.emulation.chaincode_down(True)
    with pytest.raises(errors.LedgerUnavailable):
        ledger.read(fabric.identity, query(Donor()), deadline=time.monotonic() + 2)
    with pytest.raises(errors.LedgerUnavailable):
        ledger.evaluate(fabric.identity, query(Donor()), deadline=time.monotonic() + 2)


@pytest.mark.parametrize("unable", [0, 1])
def test_the_peer_that_can_run_the_chaincode_decides(fabric: Fabric, unable: int) -> None:
    donor, ledger = Donor(), fabric.warm()
    fabric.submit(ledger, donor.request())
    while not all(fabric.record(donor, peer=peer) for peer in (0, 1)):
        time.sleep(0.01)
    fabric.emulation.faults.place("chaincode", "refuse", node=unable, times=None)
    assert ledger.read(fabric.identity, query(donor), deadline=time.monotonic() + 2)
    assert ledger.read(fabric.identity, query(Donor()), deadline=time.monotonic() + 2) is None


def test_without_a_peer_no_record_is_absent(fabric: Fabric) -> None:
    ledger = fabric.ledger()
    for peer in fabric.emulation.peers:
        peer.kill()
    with pytest.raises(errors.LedgerUnavailable):
        ledger.read(fabric.identity, query(Donor()), deadline=time.monotonic() + 1)


def test_a_stranger_and_a_broken_key_may_not_read(fabric: Fabric) -> None:
    stranger = client_identity(fabric.emulation, "stranger", msp_id="OrdererMSP", role="admin")
    for identity in (stranger, replace(fabric.identity, private_key="no key")):
        with pytest.raises(errors.EndorsementFailed):
            fabric.ledger().read(identity, query(Donor()), deadline=time.monotonic() + 2)


@pytest.mark.parametrize(("patience", "is_answered"), [(None, False), (1.0, True)])
def test_patience_waits_for_a_slow_peer(fabric: Fabric, patience: float | None, is_answered: bool) -> None:
    donor, ledger = Donor(), fabric.warm()
    fabric.submit(ledger, donor.request())
    fabric.emulation.faults.place("query", "hang", node=0, times=None, hold=TIMING.evaluate + 0.15)
    other = fabric.emulation.faults.place("query", lambda: None, node=1, times=None)
    assert ledger.evaluate(fabric.identity, query(donor), deadline=time.monotonic() + 3, patience=patience)
    assert (other.met == 0) is is_answered


def test_patience_leaves_time_for_the_next_peer(fabric: Fabric) -> None:
    donor, ledger = Donor(), fabric.warm()
    fabric.submit(ledger, donor.request())
    while not all(fabric.record(donor, peer=peer) for peer in (0, 1)):
        time.sleep(0.01)
    fabric.emulation.peers[0].freeze()
    assert ledger.evaluate(fabric.identity, query(donor), deadline=time.monotonic() + 0.8, patience=60.0)


# Where a transaction is


class Envelopes:
    """A create call's transaction as two envelopes under one id, to be ordered as wished."""

    def __init__(self, fabric: Fabric) -> None:
        self._network = network_of(fabric.emulation)
        self._fabric, self.donor = fabric, Donor()
        call = self.donor.request().call
        proposal = messages.propose(fabric.identity, "mychannel", "ngo", call, os.urandom(24))
        peer = Connection(self._network.peers[0], self._network.tls_roots, TIMING)
        answer = messages.read_answer(peer.call(messages.PROCESS_PROPOSAL, proposal.signed, 1.0))
        self.id = proposal.transaction_id
        self.endorsed = messages.assemble(proposal, [answer])
        self.unendorsed = messages.assemble_unendorsed(proposal)

    def order(self, *envelopes: bytes) -> None:
        """In one block. Returns as soon as all peers have it."""
        before = len(self._fabric.codes(self.id))
        orderer = self._network.orderers[0]
        credentials = grpc.ssl_channel_credentials(self._network.tls_roots.encode())
        options = [("grpc.ssl_target_name_override", orderer.tls_hostname)]
        with grpc.secure_channel(orderer.address, credentials, options) as channel:
            answers = list(channel.stream_stream(messages.BROADCAST)(iter(envelopes)))
        assert {messages.read_broadcast_answer(answer)[0] for answer in answers} == {"SUCCESS"}
        while any(self._count(peer) < before + len(envelopes) for peer in (0, 1)):
            time.sleep(0.005)

    def _count(self, peer: int) -> int:
        return sum(t.tx_id == self.id for t in self._fabric.emulation.transactions(peer=peer))

    @property
    def places(self) -> list[tuple[str, int]]:
        """Code and block of each time that the ledger has the id."""
        found = self._fabric.emulation.transactions()
        return [(t.validation_code, t.block_number) for t in found if t.tx_id == self.id]


def test_a_valid_transaction_has_its_place_and_its_time(fabric: Fabric) -> None:
    transaction = Envelopes(fabric)
    transaction.order(transaction.endorsed)
    found = fabric.ledger().status(fabric.identity, transaction.id, deadline=time.monotonic() + 2)
    assert found is not None
    assert found.transaction_id == transaction.id
    assert [(found.code, found.block_number)] == transaction.places
    assert found.code == "VALID"
    assert found.timestamp is not None
    assert datetime.timedelta() <= datetime.datetime.now(datetime.UTC) - found.timestamp < datetime.timedelta(seconds=9)


@pytest.mark.parametrize(
    ("blocks", "codes", "code"),
    [
        (["u"], ["INVALID_CHAINCODE"], "INVALID_CHAINCODE"),
        (["ue"], ["INVALID_CHAINCODE", "VALID"], "VALID"),
        (["eu"], ["VALID", "INVALID_CHAINCODE"], "VALID"),
        (["ee"], ["VALID", "DUPLICATE_TXID"], "VALID"),
        (["e", "e"], ["VALID", "DUPLICATE_TXID"], "VALID"),
        (["u", "e"], ["INVALID_CHAINCODE", "DUPLICATE_TXID"], "INVALID_CHAINCODE"),
    ],
)
def test_of_an_id_that_came_twice_what_counts_is_told(
    fabric: Fabric, blocks: Sequence[str], codes: list[str], code: str
) -> None:
    transaction = Envelopes(fabric)
    for block in blocks:
        transaction.order(*({"e": transaction.endorsed, "u": transaction.unendorsed}[kind] for kind in block))
    assert [name for name, _ in transaction.places] == codes
    assert len({number for _, number in transaction.places}) == len(blocks)
    ledger = fabric.ledger()
    found = ledger.status(fabric.identity, transaction.id, deadline=time.monotonic() + 2)
    assert found is not None
    assert (found.code, found.block_number) == (code, transaction.places[0][1])
    other = ledger.find(fabric.identity, transaction.id, deadline=time.monotonic() + 2)
    assert other is not None
    assert other.code == code
    assert (fabric.record(transaction.donor) is not None) == (code == "VALID")


@pytest.mark.parametrize(
    "timestamp",
    [
        messages.Timestamp(seconds=253_402_300_800),
        messages.Timestamp(seconds=-62_135_596_801),
        messages.Timestamp(seconds=2**63 - 1),
        messages.Timestamp(seconds=1, nanos=-1),
        messages.Timestamp(seconds=1, nanos=2**31 - 1),
    ],
    ids=["year-10000", "year-0", "highest", "before-its-second", "behind-its-second"],
)
def test_a_claimed_time_that_is_none_is_left_out(
    fabric: Fabric, timestamp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_now", lambda: timestamp)
    transaction = Envelopes(fabric)
    transaction.order(transaction.endorsed)
    monkeypatch.undo()
    found = fabric.ledger().status(fabric.identity, transaction.id, deadline=time.monotonic() + 2)
    assert found is not None
    assert (found.code, found.timestamp) == ("VALID", None)


def test_an_unknown_transaction_has_no_status(fabric: Fabric) -> None:
    asked = fabric.emulation.faults.place("query", lambda: None, times=None)
    assert fabric.ledger().status(fabric.identity, "ab" * 32, deadline=time.monotonic() + 2) is None
    assert asked.met == 2


@pytest.mark.parametrize("lagging", [0, 1])
def test_the_status_comes_from_the_peer_that_has_the_transaction(fabric: Fabric, lagging: int) -> None:
    donor, ledger = Donor(), fabric.warm()
    fabric.emulation.peers[lagging].pause_commits()
    committed = fabric.submit(ledger, donor.request())
    found = ledger.status(fabric.identity, committed.transaction_id, deadline=time.monotonic() + 2)
    assert found is not None
    assert found.code == "VALID"


def test_without_a_peer_no_transaction_is_unknown(fabric: Fabric) -> None:
    ledger = fabric.ledger()
    for peer in fabric.emulation.peers:
        peer.kill()
    with pytest.raises(errors.LedgerUnavailable):
        ledger.status(fabric.identity, "ab" * 32, deadline=time.monotonic() + 1)


def _block(*, filters: list[bytes], data: list[bytes]) -> bytes:
    block = common_pb2.Block()
    block.metadata.metadata.extend(filters)
    block.data.data.extend(data)
    return block.SerializeToString()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff",
        _block(filters=[], data=[b""]),
        _block(filters=[b"", b""], data=[b""]),
        _block(filters=[b"", b"", b""], data=[b""]),
        _block(filters=[b"", b"", b"\0\0"], data=[b""]),
        _block(filters=[b"", b"", b""], data=[]),
        _block(filters=[b"", b"", b"\0"], data=[b""]),
        _block(filters=[b"", b"", b"\0"], data=[b"\xff"]),
    ],
)
def test_a_block_without_the_transaction_is_unreadable(data: bytes) -> None:
    with pytest.raises(messages.Unreadable):
        messages.read_status(data, "ab" * 32)


def test_text_that_is_no_utf8_is_unreadable() -> None:
    with pytest.raises(messages.Unreadable):
        messages.read_broadcast_answer(b"\x12\x01\xff")


READERS: list[Callable[[bytes], Any]] = [
    messages.read_answer,
    messages.read_broadcast_answer,
    messages.read_delivery,
    messages.read_processed_transaction,
    lambda data: messages.read_status(data, "ab" * 32),
    lambda data: messages.read_valid_transaction(data, "ab" * 32),
]


@given(data=st.binary(max_size=40), reader=st.sampled_from(READERS))
def test_no_bytes_of_a_node_are_worse_than_unreadable(data: bytes, reader: Callable[[bytes], Any]) -> None:
    with contextlib.suppress(messages.Unreadable):
        reader(data)


@pytest.mark.parametrize(
    ("arguments", "carries"),
    [
        ([b'{"imageKey": "k"}'], True),
        ([b"7", b'{"imageKey": "k", "email": "e"}'], True),
        ([b'{"imageKey": "kk"}'], False),
        ([b'{"imageHash": "k"}'], False),
        ([b'[{"imageKey": "k"}]'], False),
        ([b'"k"'], False),
        ([b'{"imageKey": "k"}', b"no JSON"], False),
        ([b"\xff"], False),
        ([b"[" * 100_000], False),
        ([], False),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_transaction_carries_what_a_json_argument_names(arguments: Sequence[bytes], carries: bool) -> None:
    found = FoundTransaction(
        transaction_id="ab" * 32, code="VALID", chaincode="ngo", function="createDonor", arguments=tuple(arguments)
    )
    assert found.carries("imageKey", "k") is carries
