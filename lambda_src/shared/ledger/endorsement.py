"""Endorsement: asks all peers at once and compares what they answer."""

import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import messages
from .network import Timing
from .transport import CallFailed, Connection

_SHIMS_REFUSAL = "error in simulation: transaction returned with failure: "


@dataclass(kw_only=True)
class Endorsements:
    """What the peers answered to one proposal.

    `matching`: enough endorsements that agree, or empty. `disagree`: peers endorsed different results. `duplicate`: a
    peer knows the transaction id from its ledger. `refused_at`: where the chaincode ran and refused. `refusal`: its
    status and text, for the log. `failures`: peers that gave no verdict of the chaincode, for the log.
    `denied`: a peer refused the proposal itself, for instance its creator. `busy`: a peer simulates this transaction id
    at this moment for somebody else. `silent_at`: peers that did not answer.
    """

    matching: list[messages.Answer] = field(default_factory=list)
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
    required: int,
    timing: Timing,
    deadline: float,
    on_silence: Callable[[], None] = lambda: None,
) -> Endorsements:
    """Ask `peers` for endorsements until `required` agree, all have answered, or `deadline` (monotonic) has come.

    Enough endorsements in hand, the others are waited for only `timing.agreement` seconds, and those that let us wait
    before not at all, so that a peer that is down does not slow every call. After `timing.silence` without enough
    answers the proposal is sent again over new connections, for a connection may be dead without notice, and
    `on_silence` is called, which may raise to end it all.
    """
    answers: queue.SimpleQueue[tuple[Connection, bytes | CallFailed]] = queue.SimpleQueue()
    began = time.monotonic()

    def ask(peer: Connection) -> None:
        peer.start(
            messages.PROCESS_PROPOSAL,
            proposal.signed,
            deadline - time.monotonic(),
            lambda answer: answers.put((peer, answer)),
        )

    waiting = dict.fromkeys(peers, 1)
    for peer in peers:
        ask(peer)
    outcome = Endorsements()
    endorsed: list[messages.Answer] = []
    agreement_ends: float | None = None
    silence_noticed = False
    while waiting:
        now = time.monotonic()
        limit = deadline
        if len(endorsed) >= required:
            agreement_ends = agreement_ends or now + timing.agreement
            limit = min(limit, agreement_ends)
            if all(peer.slow for peer in waiting):
                limit = now
        elif not silence_noticed:
            limit = min(limit, began + timing.silence)
        try:
            peer, data = answers.get(timeout=limit - now) if limit > now else answers.get_nowait()
        except queue.Empty:
            if len(endorsed) < required and not silence_noticed and time.monotonic() < deadline:
                silence_noticed = True
                for peer in waiting:
                    peer.renew()
                    waiting[peer] += 1
                    ask(peer)
                on_silence()
                continue
            break
        if peer not in waiting:
            continue
        waiting[peer] -= 1
        answer = _read(peer, data)
        busy = isinstance(answer, messages.Answer) and _is_busy(answer, proposal)
        if waiting[peer] and (busy or isinstance(answer, CallFailed)):
            continue
        del waiting[peer]
        peer.slow = False
        if busy:
            outcome.busy = True
        else:
            _sort(peer, answer, outcome, endorsed)
        if outcome.duplicate:
            return outcome
    for peer in waiting:
        peer.slow = True
        outcome.silent_at.append(peer)
        outcome.failures.append(f"{peer.address}: silent")
    outcome.disagree = len({answer.payload for answer in endorsed}) > 1
    if not outcome.disagree and len(endorsed) >= required:
        outcome.matching = endorsed
    return outcome


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
        endorsed.append(answer)
    elif chaincode_ran(answer):
        outcome.refused_at.append(peer)
        outcome.refusal = f"{peer.address}: {answer.status}: {answer.message}"[:500]
    else:
        if "timeout expired while executing" in answer.message:
            outcome.silent_at.append(peer)
        outcome.failures.append(f"{peer.address}: {answer.status}: {answer.message}"[:300])


def chaincode_ran(answer: messages.Answer) -> bool:
    """Whether a status of 400 or more is the chaincode's own refusal, not the peer's word that it could not run it.

    A peer's own errors have status 500 and no payload. A chaincode's answer has a payload from status 500 on, and only
    a chaincode answers with 400 to 499. Some shims report a refusal as a failed transaction, which the peer passes on
    as text (ProcessProposal in core/endorser and core/chaincode of Fabric 2.2, 2.5 and 3.1, which are alike).
    """
    return answer.status < 500 or bool(answer.payload) or answer.message.startswith(_SHIMS_REFUSAL)
