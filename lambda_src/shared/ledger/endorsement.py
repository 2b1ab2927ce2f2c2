"""Endorsement: asks all peers at once and compares what they answer."""

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..identity import Identity
from . import messages
from .network import Timing
from .policy import Policy, endorsers_of
from .transport import CallFailed, Connection

_SHIMS_REFUSAL = "error in simulation: transaction returned with failure: "


@dataclass(frozen=True, kw_only=True)
class Needed:
    """What makes endorsements enough: they meet `policy`, and come from so many different `peers`. `identity` asks what
    the policy is."""

    policy: Policy
    identity: Identity
    peers: int = 1

    def is_met_by(self, endorsed: Sequence[messages.Answer]) -> bool:
        endorsers = endorsers_of(endorsed)
        enough = sum(endorsers.values()) >= self.peers
        return enough and self.policy.is_met_by(endorsers)

    def describe(self, endorsed: Sequence[messages.Answer]) -> Mapping[str, Any]:
        """What is needed and what there is, for the log."""
        return {"peers": self.peers, **self.policy.describe(), "endorsed": dict(endorsers_of(endorsed))}


@dataclass(kw_only=True)
class Endorsements:
    """What the peers answered to one proposal.

    `matching`: enough endorsements that agree, or empty. `lacking`: what is needed and what there is, for the log, if
    there are endorsements and they are not enough. `disagree`: peers endorsed different results. `duplicate`: a peer
    knows the transaction id from its ledger. `refused_at`: where the chaincode ran and refused. `refusal`: its
    status, for the log. `failures`: peers that gave no verdict of the chaincode, for the log.
    `denied`: a peer refused the proposal itself, for instance its creator. `busy`: a peer simulates this transaction id
    at this moment for somebody else. `silent_at`: peers that did not answer.
    """

    matching: list[messages.Answer] = field(default_factory=list)
    lacking: Mapping[str, Any] = field(default_factory=dict)
    disagree: bool = False
    duplicate: bool = False
    denied: bool = False
    busy: bool = False
    refused_at: list[Connection] = field(default_factory=list)
    silent_at: list[Connection] = field(default_factory=list)
    refusal: str = ""
    failures: list[str] = field(default_factory=list)


def endorse(
    proposal: messages.Proposal,
    peers: Sequence[Connection],
    *,
    needed: Needed,
    timing: Timing,
    deadline: float,
    on_silence: Callable[[], None] = lambda: None,
) -> Endorsements:
    """Ask `peers` for endorsements until those `needed` are there, all have answered, or `deadline` (monotonic) has
    come.

    When there are enough, the other peers are waited for only `timing.agreement` seconds, and those that were late
    before not at all, so that a peer that is down does not slow every call. If after `timing.silence` there are not
    enough, the proposal is sent again over new connections, for a connection may be dead without notice, and
    `on_silence` is called, which may raise to end it all. What meets the policy is found out meanwhile.
    """
    return _Round(proposal, peers, needed, timing, deadline, on_silence).run()


class _Round:
    """One proposal at all peers."""

    def __init__(
        self,
        proposal: messages.Proposal,
        peers: Sequence[Connection],
        needed: Needed,
        timing: Timing,
        deadline: float,
        on_silence: Callable[[], None],
    ) -> None:
        self._proposal = proposal
        self._needed = needed
        self._timing = timing
        self._deadline = deadline
        self._on_silence = on_silence
        self._answers: queue.SimpleQueue[tuple[Connection, bytes | CallFailed] | None] = queue.SimpleQueue()
        """What peers answered, and None as soon as more is known of the policy."""
        self._waiting = dict.fromkeys(peers, 1)
        self._silent_from = time.monotonic() + timing.silence
        self._silence_noticed = self._policy_doubted = self._over = False
        self._agreement_ends: float | None = None
        self._endorsed: list[messages.Answer] = []
        self._outcome = Endorsements()

    def run(self) -> Endorsements:
        for peer in self._waiting:
            self._ask(peer)
        self._ask_policy()
        while not (self._over or self._outcome.duplicate):
            until, then = self._next_step()
            try:
                answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                then()
            else:
                if answer:
                    self._take(*answer)
        if not self._outcome.duplicate:
            self._conclude()
        return self._outcome

    def _ask(self, peer: Connection) -> None:
        left = self._deadline - time.monotonic()
        peer.start(
            messages.PROCESS_PROPOSAL, self._proposal.signed, left, lambda answer: self._answers.put((peer, answer))
        )

    def _ask_policy(self) -> None:
        self._needed.policy.ask(self._needed.identity, lambda: self._answers.put(None), doubted=self._policy_doubted)

    def _next_step(self) -> tuple[float, Callable[[], None]]:
        """Until when (monotonic) to wait for the next answer, and what to do if none comes."""
        now = time.monotonic()
        if self._needed.is_met_by(self._endorsed):
            self._agreement_ends = self._agreement_ends or now + self._timing.agreement
            nobody_else = all(peer.slow for peer in self._waiting)
            return (now if nobody_else else min(self._agreement_ends, self._deadline)), self._end
        self._agreement_ends = None
        if self._waiting and not self._silence_noticed:
            patience, then = self._silent_from, self._notice_silence
        else:
            self._doubt_policy()
            patience, then = (self._deadline if self._waiting else now), self._end
        policy_known_by = self._needed.policy.awaited_until
        if policy_known_by > now and (policy_known_by < patience or not self._waiting):
            patience, then = policy_known_by, _decide_without_it
        return (patience, then) if patience < self._deadline else (self._deadline, self._end)

    def _end(self) -> None:
        self._over = True

    def _doubt_policy(self) -> None:
        """It may have changed, or peers be back, since it was asked for."""
        if self._endorsed and not self._policy_doubted:
            self._policy_doubted = True
            self._ask_policy()

    def _notice_silence(self) -> None:
        self._silence_noticed = True
        for peer in self._waiting:
            peer.renew()
            self._waiting[peer] += 1
            self._ask(peer)
        self._on_silence()

    def _take(self, peer: Connection, data: bytes | CallFailed) -> None:
        if peer not in self._waiting:
            return
        self._waiting[peer] -= 1
        answer = _read(peer, data)
        busy = isinstance(answer, messages.Answer) and _is_busy(answer, self._proposal)
        if self._waiting[peer] and (busy or isinstance(answer, CallFailed)):
            return
        del self._waiting[peer]
        peer.slow = False
        if busy:
            self._outcome.busy = True
        else:
            _sort(peer, answer, self._outcome, self._endorsed)

    def _conclude(self) -> None:
        outcome, endorsed = self._outcome, self._endorsed
        for peer in self._waiting:
            peer.slow = True
            outcome.silent_at.append(peer)
            outcome.failures.append(f"{peer.address}: silent")
        outcome.disagree = len({answer.payload for answer in endorsed}) > 1
        if outcome.disagree or not endorsed:
            return
        if self._needed.is_met_by(endorsed):
            outcome.matching = endorsed
        else:
            outcome.lacking = self._needed.describe(endorsed)


def _decide_without_it() -> None:
    """Nothing: what is enough is decided anew, by what is known of the policy without the answer that was awaited."""


def _read(peer: Connection, data: bytes | CallFailed) -> messages.Answer | CallFailed:
    if isinstance(data, CallFailed):
        return data
    try:
        return messages.read_answer(data)
    except messages.Unreadable as error:
        return CallFailed(peer.address, "INTERNAL", str(error), unsent=False)


def _is_busy(answer: messages.Answer, proposal: messages.Proposal) -> bool:
    """Whether the peer is simulating this very transaction id already (core/chaincode/transaction_contexts.go)."""
    return answer.status >= 400 and f"txid: {proposal.transaction_id}(" in answer.message and "exists" in answer.message


def _sort(
    peer: Connection, answer: messages.Answer | CallFailed, outcome: Endorsements, endorsed: list[messages.Answer]
) -> None:
    if isinstance(answer, CallFailed):
        outcome.failures.append(str(answer)[:300])
        if answer.code == "UNKNOWN" and "duplicate transaction found" in answer.details:
            outcome.duplicate = True
        elif answer.code == "UNKNOWN":
            outcome.denied = True
        elif answer.code == "DEADLINE_EXCEEDED":
            outcome.silent_at.append(peer)
        return
    if answer.endorsed and answer.status < 400:
        peer.msp_id = answer.msp_id
        endorsed.append(answer)
    elif chaincode_ran(answer):
        outcome.refused_at.append(peer)
        outcome.refusal = f"{peer.address}: {answer.status}"
    else:
        if "timeout expired while executing" in answer.message:
            outcome.silent_at.append(peer)
        outcome.failures.append(f"{peer.address}: {answer.status}: {reason(answer)}")


def chaincode_ran(answer: messages.Answer) -> bool:
    """Whether a status of 400 or more is the chaincode's own refusal, not the peer's word that it could not run it.

    A peer's own errors have status 500 and no payload. A chaincode's answer has a payload from status 500 on, and only
    a chaincode answers with 400 to 499. Some shims report a refusal as a failed transaction, which the peer passes on
    as text (ProcessProposal in core/endorser and core/chaincode of Fabric 2.2, 2.5 and 3.1, which are alike).
    """
    return answer.status < 500 or bool(answer.payload) or answer.message.startswith(_SHIMS_REFUSAL)


_REASONS = (
    "timeout expired while executing",
    "chaincode stream terminated",
    "connection refused",
    "i/o timeout",
    "no such host",
    "failed to execute transaction",
    "make sure the chaincode",
    "could not launch chaincode",
    "channel '",
)


def reason(answer: messages.Answer) -> str:
    """Why a peer could not run the chaincode, for the log: of its text only words that Fabric is known to say. The text
    may be the chaincode's, which quotes the request, whatever it looks like."""
    return ", ".join(words for words in _REASONS if words in answer.message) or "a reason of its own"
