"""A peer that is simulating the same transaction id already, as a real one says it."""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hfc.protos.peer import proposal_response_pb2
from shared.identity import Identity
from shared.ledger import messages
from shared.ledger.endorsement import Endorsements, Needed, endorse
from shared.ledger.policy import ConfiguredPolicy
from shared.submission import creator as serialized_creator

from tests.unit.fabric_fixtures import TIMING

ID = "ab" * 32
NOBODY = Identity(msp_id="Org1MSP", certificate="", private_key="")
_numbers = itertools.count()
BUSY = f"error in simulation: failed to execute transaction {ID}: error sending: txid: {ID}(mychannel) exists"


def answer(status: int, message: str = "") -> bytes:
    response = proposal_response_pb2.ProposalResponse(payload=b"result")
    response.response.status = status
    response.response.message = message
    if status == 200:
        response.endorsement.signature = b"signature"
        response.endorsement.endorser = serialized_creator("Org1MSP", f"peer {next(_numbers)}")
    return bytes(response.SerializeToString())


@dataclass(eq=False)
class Peer:
    """Answers its first proposal after `delays[0]` seconds with `answers[0]`, and so on."""

    answers: list[bytes]
    delays: list[float]
    address: str = "peer"
    msp_id: str | None = None
    slow: bool = False
    asked: list[bytes] = field(default_factory=list)

    def start(self, method: str, request: bytes, timeout: float, finish: Callable[[bytes], None]) -> None:
        number = len(self.asked)
        self.asked.append(request)
        threading.Timer(self.delays[number], finish, [self.answers[number]]).start()

    def renew(self) -> None:
        pass


def ask(*peers: Any) -> Endorsements:
    proposal = messages.Proposal(transaction_id=ID, signed=b"proposal", parts=None)
    needed = Needed(policy=ConfiguredPolicy(organizations=1), identity=NOBODY)
    return endorse(proposal, peers, needed=needed, timing=TIMING, deadline=time.monotonic() + 1)


def test_a_simulation_of_another_attempt_is_no_verdict() -> None:
    outcome = ask(Peer([answer(500, BUSY)], [0]))
    assert outcome.busy
    assert (outcome.matching, outcome.refused_at, outcome.failures) == ([], [], [])


def test_the_other_peer_is_not_affected() -> None:
    outcome = ask(Peer([answer(500, BUSY)], [0]), Peer([answer(200)], [0.02]))
    assert len(outcome.matching) == 1


def test_the_second_sending_does_not_hide_the_answer_to_the_first() -> None:
    """The proposal is sent again after a silence, while the peer is only slow."""
    peer = Peer([answer(200), answer(500, BUSY)], [TIMING.silence + 0.1, 0])
    outcome = ask(peer)
    assert len(peer.asked) == 2
    assert len(outcome.matching) == 1
    assert not outcome.busy


@pytest.mark.parametrize("message", ["the record exists", f"txid: {'cd' * 32}(mychannel) exists"])
def test_other_refusals_are_the_chaincodes(message: str) -> None:
    outcome = ask(Peer([answer(500, message)], [0]))
    assert not outcome.busy
    assert len(outcome.refused_at) == 1
