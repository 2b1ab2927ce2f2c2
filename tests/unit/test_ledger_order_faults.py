"""What a submission becomes when orderers, answers and commit events fail, and when time runs out."""

import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hfc.protos.common import common_pb2
from hfc.protos.orderer import ab_pb2
from shared import errors
from shared.ledger import client as client_module
from shared.ledger import messages
from shared.ledger.interface import Committed
from shared.ledger.network import Timing
from shared.ledger.ordering import Orderers, Taken
from shared.ledger.transport import Connection, Instant

from tests.unit.fabric_fixtures import BATCH_TIMEOUT, TIMING, Donor, Fabric, fabric, fabric_of_module, network_of

__all__ = ["fabric", "fabric_of_module"]


LATE = 0.5
"""Seconds by which a loaded machine may be late; the functions keep a whole one to answer."""

# Orderers


@pytest.mark.parametrize("is_warm", [True, False])
@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.parametrize("node", [0, 1])
def test_one_of_two_orderers_is_away(fabric: Fabric, fault: str, node: int, is_warm: bool) -> None:
    ledger = fabric.warm() if is_warm else fabric.ledger()
    getattr(fabric.emulation.orderers[node], fault)()
    for _ in range(2):
        donor = Donor()
        fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


@pytest.mark.parametrize("is_warm", [True, False])
def test_no_orderer_listens(fabric: Fabric, is_warm: bool) -> None:
    ledger, donor = (fabric.warm() if is_warm else fabric.ledger()), Donor()
    for orderer in fabric.emulation.orderers:
        orderer.kill()
    # What was sent into a connection that had already gone may have arrived, for all that the client can tell.
    error = errors.OutcomeUnknown if is_warm else errors.LedgerUnavailable
    with pytest.raises((errors.LedgerUnavailable, error)):
        fabric.submit(ledger, donor.request(), within=1.0)
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, donor.request(first=False), within=0.5)
    for orderer in fabric.emulation.orderers:
        orderer.start()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


def test_orderers_are_frozen_before_there_is_a_connection(fabric: Fabric) -> None:
    """A handshake that hangs carries no envelope."""
    ledger, donor = fabric.ledger(), Donor()
    for orderer in fabric.emulation.orderers:
        orderer.freeze()
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(ledger, donor.request())
    fabric.restore()
    assert fabric.codes(donor.ids(fabric.identity)[0]) == []


def test_orderers_are_frozen_and_take_the_envelope_later(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    for orderer in fabric.emulation.orderers:
        orderer.freeze()
    with pytest.raises(errors.OutcomeUnknown) as raised:
        fabric.submit(ledger, donor.request(), within=0.8)
    assert raised.value.transaction_id == donor.ids(fabric.identity)[0]
    for orderer in fabric.emulation.orderers:
        orderer.thaw()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request(first=False)))


def test_orderers_refuse(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place("before-broadcast", 403, times=None)
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(ledger, donor.request())
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, donor.request(first=False))
    assert fabric.codes(donor.ids(fabric.identity)[0]) == []


def test_there_is_no_leader_for_long(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place("before-broadcast", 503, times=None)
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(ledger, donor.request())


@pytest.mark.parametrize(
    ("status", "text", "taken"),
    [
        (200, "", Taken.YES),
        (400, "broadcast client identity expired", Taken.NO),
        (403, "permission denied", Taken.NO),
        (404, "channel does not exist", Taken.NO),
        (413, "message payload is too large", Taken.NO),
        (503, "no Raft leader", Taken.NO),
        (503, "timed out (7s) waiting on forwarding to 2", Taken.MAYBE),
        (503, "chain is stopped", Taken.MAYBE),
        (500, "", Taken.MAYBE),
        (599, "", Taken.MAYBE),
        (None, "", Taken.MAYBE),
    ],
)
def test_what_an_orderers_answer_says_of_the_envelope(status: int | None, text: str, taken: Taken) -> None:
    class Orderer:
        address = "orderer"

        def connect(self, timeout: float) -> bool:
            return True

        def start(self, method: str, request: bytes, timeout: float, finish: Any, *, repeatable: bool) -> None:
            assert not repeatable
            answer = ab_pb2.BroadcastResponse(info=text)
            answer.status = status or 0
            finish(answer.SerializeToString() if status else b"\xff")

    outcomes: queue.SimpleQueue[Taken] = queue.SimpleQueue()
    one: Any = Orderer()
    Orderers([one], TIMING).offer(b"envelope", time.monotonic() + 1, outcomes.put)
    assert outcomes.get(timeout=1) is taken


def test_orderers_elect_a_leader(fabric: Fabric) -> None:
    ledger = fabric.warm()
    for orderer in fabric.emulation.orderers:
        orderer.stop()
        orderer.start()
    donor = Donor()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


@pytest.mark.parametrize("action", ["refuse", "reset", "hang"])
@pytest.mark.parametrize("step", ["before-broadcast", "after-broadcast"])
@pytest.mark.parametrize("times", [1, 2])
def test_an_orderers_answer_is_lost(fabric: Fabric, step: Any, action: Any, times: int) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place(step, action, times=times)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


@pytest.mark.parametrize("action", ["refuse", "reset", "hang"])
def test_every_answer_is_lost_and_the_verdict_comes_by_the_event(fabric: Fabric, action: Any) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place("after-broadcast", action, times=None)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


def test_no_orderer_can_be_shown_to_have_refused(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place("before-broadcast", "reset", times=None)
    with pytest.raises(errors.OutcomeUnknown):
        fabric.submit(ledger, donor.request(), within=0.8)
    fabric.emulation.faults.clear()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request(first=False)))


def test_an_accepted_envelope_that_the_orderer_loses_is_offered_again(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    # 200: the orderer says SUCCESS and forgets, as one that dies before its block is cut.
    fabric.emulation.faults.place("before-broadcast", 200)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


# Commit events


@pytest.mark.parametrize("action", ["refuse", "reset", "hang"])
@pytest.mark.parametrize("times", [1, None])
def test_the_commit_event_is_lost(fabric: Fabric, action: Any, times: int | None) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place("before-commit-event", action, times=times, function="createDonor")
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))
    fabric.emulation.faults.clear()
    donor = Donor()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


def test_a_block_that_the_peer_cannot_filter(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place("before-commit-event", 400, times=None, function="createDonor")
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


def broadcast_junk(fabric: Fabric) -> None:
    """Have a transaction ordered whose content cannot be read: Fabric puts it into a block, as invalid."""
    call = Donor().request().call
    proposal = messages.propose(fabric.identity, "mychannel", "ngo", call, os.urandom(24))
    envelope = common_pb2.Envelope.FromString(messages.assemble_unendorsed(proposal))
    payload = common_pb2.Payload.FromString(envelope.payload)
    payload.data = b"\xff junk"
    envelope.payload = payload.SerializeToString()
    envelope.signature = messages.signer(fabric.identity).sign(envelope.payload)
    network = network_of(fabric.emulation)
    orderer = Connection(network.orderers[0], network.tls_roots, TIMING)
    orderer.call(messages.BROADCAST, envelope.SerializeToString(), 1)


def test_a_strangers_junk_in_the_same_block(fabric: Fabric) -> None:
    """Fabric sends BAD_REQUEST in place of a block that it cannot filter, and goes on with the next one."""
    ledger, donor = fabric.warm(), Donor()
    opened = fabric.emulation.faults.place("deliver", lambda: None, times=None)
    held = fabric.emulation.faults.place("before-broadcast", "hang", function="createDonor")
    with ThreadPoolExecutor(1) as pool:
        create = pool.submit(fabric.submit, ledger, donor.request())
        assert held.reached.wait(2)
        broadcast_junk(fabric)
        held.release()
        fabric.committed_once(donor, create.result())
    donor = Donor()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))
    assert opened.met == 0


def test_a_strangers_junk_as_the_newest_block(fabric: Fabric) -> None:
    """A new stream begins with a block that cannot be filtered, and is live all the same."""
    height = fabric.emulation.height
    broadcast_junk(fabric)
    while any(peer.height <= height for peer in fabric.emulation.peers):
        time.sleep(0.01)
    ledger, donor = fabric.ledger(timing=replace(TIMING, connect=1.0)), Donor()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


@pytest.mark.parametrize("action", ["refuse", "reset", "hang", 403, 404])
def test_one_peer_gives_no_stream(fabric: Fabric, action: Any) -> None:
    ledger, donor = fabric.ledger(), Donor()
    fabric.emulation.faults.place("deliver", action, node=0, times=None)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


@pytest.mark.parametrize("action", ["refuse", "hang", 403])
def test_nothing_is_ordered_without_a_live_stream(fabric: Fabric, action: Any) -> None:
    ledger, donor = fabric.ledger(), Donor()
    fabric.emulation.faults.place("deliver", action, times=None)
    with pytest.raises(errors.LedgerUnavailable):
        fabric.submit(ledger, donor.request(), within=0.8)
    fabric.emulation.faults.clear()
    assert fabric.codes(donor.ids(fabric.identity)[0]) == []
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


def test_many_wait_while_the_stream_breaks(fabric: Fabric) -> None:
    ledger = fabric.warm(timing=Timing())
    donors = [Donor() for _ in range(64)]
    fabric.emulation.faults.place("before-commit-event", "reset", times=4)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda donor: fabric.submit(ledger, donor.request(), within=20), donors))
    for donor, answer in zip(donors, answers, strict=True):
        fabric.committed_once(donor, answer)


def test_the_verdict_stays_out(fabric: Fabric) -> None:
    """Ordered, but no peer commits: the answer comes in time, says that it is open, and names the transaction."""
    ledger, donor = fabric.warm(), Donor()
    for peer in fabric.emulation.peers:
        peer.pause_commits()
    began = time.monotonic()
    with pytest.raises(errors.OutcomeUnknown) as raised:
        fabric.submit(ledger, donor.request(), within=0.5)
    assert time.monotonic() - began < 0.5 + LATE
    assert raised.value.transaction_id == donor.ids(fabric.identity)[0]
    for peer in fabric.emulation.peers:
        peer.resume_commits()
    fabric.committed_once(donor, fabric.submit(ledger, donor.request(first=False)))


def test_the_ledger_cannot_be_asked_after_the_event(fabric: Fabric) -> None:
    ledger, donor = fabric.warm(), Donor()
    fabric.emulation.faults.place("query", "refuse", times=5)
    fabric.committed_once(donor, fabric.submit(ledger, donor.request()))


# A frozen environment


def an_hour_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    now, seconds_ago = time.time(), Instant.seconds_ago
    monkeypatch.setattr(
        Instant, "seconds_ago", lambda instant: seconds_ago(instant) + (3600 if instant._wall < now else 0)
    )


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_connections_unused_for_long_are_made_anew(fabric: Fabric, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passed unseen while Lambda had frozen the environment; meanwhile the nodes restarted or hang."""
    ledger = fabric.warm()
    for node in (fabric.emulation.peers[0], fabric.emulation.orderers[0]):
        getattr(node, fault)()
        if fault == "kill":
            node.start()
    an_hour_passes(monkeypatch)
    donor = Donor()
    answer = fabric.submit(ledger, donor.request())
    assert answer.transaction_id == donor.ids(fabric.identity)[0]
    assert fabric.record(donor, peer=1)


def test_a_stream_unused_for_long_is_made_anew(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = fabric.warm()
    opened = fabric.emulation.faults.place("deliver", lambda: None, times=None)
    fabric.submit(ledger, Donor().request())
    assert opened.met == 0
    an_hour_passes(monkeypatch)
    fabric.submit(ledger, Donor().request())
    assert opened.met == 1


# Every hang ends with the deadline

HANGS: dict[str, Callable[[Fabric], Any]] = {
    "endorsement": lambda f: f.emulation.faults.place("before-endorsement", "hang", times=None),
    "chaincode": lambda f: f.emulation.faults.place("chaincode", "hang", times=None),
    "queries": lambda f: f.emulation.faults.place("query", "hang", times=None),
    "stream": lambda f: f.emulation.faults.place("deliver", "hang", times=None),
    "events": lambda f: f.emulation.faults.place("before-commit-event", "hang", times=None),
    "order": lambda f: f.emulation.faults.place("before-broadcast", "hang", times=None),
    "peers": lambda f: [peer.freeze() for peer in f.emulation.peers],
    "orderers": lambda f: [orderer.freeze() for orderer in f.emulation.orderers],
    "network": lambda f: [node.freeze() for node in (*f.emulation.peers, *f.emulation.orderers)],
}


@pytest.mark.parametrize(
    ("hang", "first"), [*((hang, True) for hang in HANGS), ("queries", False), ("orderers", False)]
)
def test_the_deadline_holds_wherever_it_hangs(fabric: Fabric, hang: str, first: bool) -> None:
    # Time-outs longer than the deadline: it alone must end every wait.
    slow = replace(TIMING, connect=9, endorse=9, evaluate=9, broadcast=9, order=9, offer_again=9, silence=0.05)
    ledger, donor = fabric.ledger(timing=slow), Donor()
    HANGS[hang](fabric)
    began = time.monotonic()
    outcome: Any = None
    try:
        outcome = fabric.submit(ledger, donor.request(first=first), within=0.5)
    except errors.OffchainError as error:
        outcome = error
    assert time.monotonic() - began < 0.5 + LATE
    fabric.restore()
    time.sleep(4 * BATCH_TIMEOUT)
    if isinstance(outcome, Committed) or getattr(outcome, "certain", False):
        assert bool(fabric.record(donor)) == isinstance(outcome, Committed)
    else:
        assert isinstance(outcome, errors.OutcomeUnknown)


def test_a_killed_attempt_is_finished_by_the_next(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that died after its broadcast: the next attempt knows nothing but the nonces."""
    ledger, donor = fabric.warm(), Donor()

    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    monkeypatch.setattr(client_module._Submission, "_find_until_deadline", die)
    with pytest.raises(Killed):
        fabric.submit(ledger, donor.request())
    monkeypatch.undo()
    fabric.committed_once(donor, fabric.submit(fabric.ledger(), donor.request(first=False)))


def test_no_thread_is_left_behind(fabric: Fabric) -> None:
    ledger = fabric.warm()
    ledger.close()
    deadline = time.monotonic() + 2
    while any(thread.name == "commit-listener" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
