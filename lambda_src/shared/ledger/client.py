"""The Fabric ledger: endorse, order, await the verdict, and say of each failure what is certain."""

import contextlib
import enum
import itertools
import json
import os
import queue
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from .. import errors, submission
from ..identity import Identity
from ..observability import identify, logger, subsegment
from . import messages
from .commit_listener import CommitListener
from .discovery import ChannelPolicy
from .endorsement import Endorsements, Needed, chaincode_ran, endorse, reason
from .interface import Call, Committed, CreatedRecord, FoundTransaction, Submit, TransactionStatus
from .network import Network, Timing
from .ordering import Orderers, Taken
from .policy import ConfiguredPolicy, Policy, endorsers_of
from .transport import CallFailed, Connection

_Events = queue.SimpleQueue[str | Taken | None]
"""Of one transaction: the code that a block told, None for a block that could not be read, what orderers made of it."""

_RETIRED = "offchain-stack:retired"
"""The function that a transaction names which only uses up its id. No chaincode runs it."""

_UNUSABLE = "The ledger does not accept this deployment's identity. Tell the operator."

_Known = TypeVar("_Known")

_CONFLICTS = {"MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT"}
_MOST_CONFLICTS = 3
"""Transactions that one attempt orders while other requests keep changing the record."""

_NOT_IN_INDEX = re.compile(r", error (Entry not found in index|no such transaction ID \[[^]]*\] in index)")
"""How qscc ends its answer about a transaction that the peer's ledger does not have, in Fabric 2.2 and from 2.3 on. A
peer that is not joined, or whose ledger began with a snapshot, says something else: it does not know."""


class FabricLedger:
    """A `Ledger` on a Fabric network of version 2.2 or later, safe for use by several threads. Make one an environment
    and keep it: its connections and its event stream are reused, and made anew when they break."""

    def __init__(self, network: Network, timing: Timing | None = None) -> None:
        self._network = network
        self._timing = timing or Timing()
        self._peers = [Connection(peer, network.tls_roots, self._timing) for peer in network.peers]
        self._orderer_connections = [Connection(o, network.tls_roots, self._timing) for o in network.orderers]
        self._orderers = Orderers(self._orderer_connections, self._timing)
        # The event stream has connections of its own: making it anew must not disturb endorsement.
        self._event_connections = [Connection(peer, network.tls_roots, self._timing) for peer in network.peers]
        self._listener = CommitListener(network.channel, self._event_connections, self._timing)
        asked = network.endorsing_organizations
        self._policy: Policy = (
            ConfiguredPolicy(organizations=asked) if asked else ChannelPolicy(network, self._peers, self._timing)
        )

    def submit(self, identity: Identity, request: Submit, *, deadline: float) -> Committed:
        """See `Ledger.submit`."""
        return _Submission(self, identity, request, deadline).run()

    def evaluate(self, identity: Identity, call: Call, *, deadline: float, patience: float | None = None) -> bytes:
        """See `Ledger.evaluate`."""
        answer = next(self._answers(identity, call, deadline, patience))
        if answer.status >= 400:
            raise errors.ChaincodeRejected("The chaincode refused the query. Check the function's arguments.")
        return answer.result

    def read(self, identity: Identity, call: Call, *, deadline: float) -> bytes | None:
        """See `Ledger.read`."""
        answers = self._answers(identity, call, deadline)
        return next((answer.result for answer in answers if answer.status < 400 and answer.result), None)

    def status(self, identity: Identity, transaction_id: str, *, deadline: float) -> TransactionStatus | None:
        """See `Ledger.status`."""
        return self._at_peers(identity, lambda peer, by: self._status_at(peer, identity, transaction_id, by), deadline)

    def find(
        self, identity: Identity, transaction_id: str, *, deadline: float, after: str | None = None
    ) -> FoundTransaction | None:
        """See `Ledger.find`."""
        return self._at_peers(
            identity, lambda peer, by: self._find_at(peer, identity, transaction_id, by), deadline, after
        )

    def has_record(
        self, identity: Identity, record: CreatedRecord, *, deadline: float, after: str | None = None
    ) -> bool:
        """See `Ledger.has_record`."""
        _require_usable(identity)
        reading, _ = self._read(identity, record, self._by_readiness(), deadline, after)
        if reading is _Reading.UNREADABLE:
            raise _unavailable()
        return reading is _Reading.OURS

    def retire(self, identity: Identity, nonce: bytes, note: str, *, deadline: float) -> FoundTransaction | None:
        """See `Ledger.retire`."""
        # The second argument tells this call's envelope from that of an earlier one.
        call = Call(function=_RETIRED, arguments=(note, os.urandom(16).hex()))
        return _Submission(self, identity, Submit(call=call, nonces=[nonce], first_attempt=False), deadline).retire()

    def close(self) -> None:
        """See `Ledger.close`."""
        self._listener.close()
        for connection in (*self._peers, *self._orderer_connections, *self._event_connections):
            connection.renew()

    def _by_readiness(self) -> list[Connection]:
        return sorted(self._peers, key=lambda peer: peer.slow)

    @staticmethod
    def _in_turn(peers: Iterable[Connection], deadline: float) -> Iterator[tuple[Connection, float]]:
        """Each peer with the moment by which it must have answered, so that a silent one leaves time for the others."""
        different = list(dict.fromkeys(peers))
        for number, peer in enumerate(different):
            now = time.monotonic()
            yield peer, now + (deadline - now) / (len(different) - number)

    def _answers(
        self, identity: Identity, call: Call, deadline: float, patience: float | None = None
    ) -> Iterator[messages.Answer]:
        """What the chaincode answers at one peer after the other. Raises where none could run it."""
        _require_usable(identity)
        answered = denied = False
        for peer, share in self._in_turn(self._by_readiness(), deadline):
            try:
                answer = self._ask(peer, identity, self._network.chaincode, call, share, patience)
            except CallFailed as failure:
                denied = denied or failure.code == "UNKNOWN"
                logger.warning("A query found no answer", extra={"failure": str(failure)[:300]})
                continue
            if answer.status >= 400:
                refused = {"peer": peer.address, "status": answer.status}
                if not chaincode_ran(answer):
                    logger.warning("A peer could not run the chaincode", extra=refused | {"reason": reason(answer)})
                    continue
                logger.info("The chaincode refused a query", extra=refused)
            answered = True
            yield answer
        if answered:
            return
        if denied:
            raise errors.EndorsementFailed(_UNUSABLE)
        raise _unavailable()

    def _at_peers(
        self,
        identity: Identity,
        look_up: Callable[[Connection, float], _Known | None],
        deadline: float,
        after: str | None = None,
    ) -> _Known | None:
        """What the first peer that knows it says; None if those that answered, and have `after`, do not. Raises if
        there is no such peer."""
        _require_usable(identity)
        answered = denied = False
        for peer, share in self._in_turn(self._by_readiness(), deadline):
            try:
                current = self._has(peer, identity, after, share)
                found = look_up(peer, share)
            except CallFailed as failure:
                denied = denied or failure.code == "UNKNOWN"
                logger.warning("A transaction could not be looked up", extra={"failure": str(failure)[:300]})
                continue
            if found:
                return found
            answered = answered or current
        if answered:
            return None
        if denied:
            raise errors.EndorsementFailed(_UNUSABLE)
        raise _unavailable()

    def _ask(
        self,
        peer: Connection,
        identity: Identity,
        chaincode: str,
        call: Call,
        deadline: float,
        patience: float | None = None,
    ) -> messages.Answer:
        """Evaluate `call` at one peer under a transaction id that is never used. Raises CallFailed."""
        timeout = min(patience or self._timing.evaluate, deadline - time.monotonic())
        if timeout <= 0:
            raise CallFailed(peer.address, "DEADLINE_EXCEEDED", "no time left to ask", unsent=True)
        proposal = messages.propose(identity, self._network.channel, chaincode, call, os.urandom(24))
        try:
            data = peer.call(messages.PROCESS_PROPOSAL, proposal.signed, timeout)
            return messages.read_answer(data)
        except CallFailed as failure:
            peer.slow = failure.code == "DEADLINE_EXCEEDED"
            raise
        except messages.Unreadable as error:
            raise CallFailed(peer.address, "INTERNAL", str(error), unsent=False) from error

    def _read(
        self,
        identity: Identity,
        record: CreatedRecord,
        peers: Iterable[Connection],
        deadline: float,
        after: str | None = None,
    ) -> tuple["_Reading", Connection | None]:
        """Read the record at each of `peers` until one has it; of those without `after` only OURS counts. Returns the
        peer that has the record, too."""
        result = _Reading.UNREADABLE
        for peer, share in self._in_turn(peers, deadline):
            try:
                current = self._has(peer, identity, after, share)
                answer = self._ask(peer, identity, self._network.chaincode, record.read, share)
            except CallFailed as failure:
                logger.warning("The record could not be read", extra={"failure": str(failure)[:300]})
                continue
            reading = _judge(record, answer)
            if reading is _Reading.OURS or (reading is _Reading.ANOTHERS and current):
                return reading, peer
            if reading is _Reading.ABSENT and current:
                result = reading
        return result, None

    def _has(self, peer: Connection, identity: Identity, transaction_id: str | None, deadline: float) -> bool:
        """Whether the peer's ledger has the transaction; True for None. Raises CallFailed."""
        return (
            transaction_id is None
            or self._ask_qscc(peer, identity, "GetTransactionByID", transaction_id, deadline) is not None
        )

    def _find_at(
        self, peer: Connection, identity: Identity, transaction_id: str, deadline: float
    ) -> FoundTransaction | None:
        """Look a transaction up at one peer. Raises CallFailed where the peer does not say whether it has it."""
        data = self._ask_qscc(peer, identity, "GetTransactionByID", transaction_id, deadline)
        if data is None:
            return None
        try:
            found = messages.read_processed_transaction(data)
            if found.code != "VALID":
                # An id can occur twice in one block, invalid and then VALID; qscc tells of the first only.
                block = self._ask_qscc(peer, identity, "GetBlockByTxID", transaction_id, deadline)
                found = (messages.read_valid_transaction(block, transaction_id) if block else None) or found
        except messages.Unreadable as error:
            raise CallFailed(peer.address, "INTERNAL", str(error), unsent=False) from error
        return found

    def _status_at(
        self, peer: Connection, identity: Identity, transaction_id: str, deadline: float
    ) -> TransactionStatus | None:
        """As `_find_at`, for the place in the chain."""
        block = self._ask_qscc(peer, identity, "GetBlockByTxID", transaction_id, deadline)
        if block is None:
            return None
        try:
            return messages.read_status(block, transaction_id)
        except messages.Unreadable as error:
            raise CallFailed(peer.address, "INTERNAL", str(error), unsent=False) from error

    def _ask_qscc(
        self, peer: Connection, identity: Identity, function: str, transaction_id: str, deadline: float
    ) -> bytes | None:
        """What the system chaincode qscc returns about a transaction, or None where the peer does not have it."""
        call = Call(function=function, arguments=(self._network.channel, transaction_id))
        answer = self._ask(peer, identity, "qscc", call, deadline)
        if answer.status < 400:
            return answer.result
        if chaincode_ran(answer) and _NOT_IN_INDEX.search(answer.message):
            return None
        # A peer refuses an unknown identity by itself; of one without rights it leaves that to qscc.
        code = "UNKNOWN" if answer.message.startswith("access denied") else f"STATUS_{answer.status}"
        raise CallFailed(peer.address, code, answer.message[:300], unsent=False)


class _Reading(enum.Enum):
    """What peers say of the record that a create call writes."""

    OURS = enum.auto()
    ANOTHERS = enum.auto()
    ABSENT = enum.auto()
    UNREADABLE = enum.auto()


@dataclass(frozen=True, kw_only=True)
class _Invalid:
    """The ledger keeps the current transaction as invalid, so that its id is used up. `ordered`: by this attempt, not
    by an earlier one or by the sweep."""

    code: str
    ordered: bool


class _Found(Exception):
    """The record was found while peers were silent about the create call; `outcome` is what that makes of it."""

    def __init__(self, outcome: Committed) -> None:
        self.outcome = outcome


class _Submission:
    """One run of the protocol for one `Submit`."""

    def __init__(self, ledger: FabricLedger, identity: Identity, request: Submit, deadline: float) -> None:
        self._ledger = ledger
        self._network = ledger._network
        self._timing = ledger._timing
        self._identity = identity
        self._request = request
        self._deadline = deadline
        self._creator = submission.creator(identity.msp_id, identity.certificate)
        ids = [self._id(nonce) for nonce in request.nonces]
        self._earlier = [tx for tx in request.earlier_transaction_ids if tx not in ids]
        self._current = [*ids, *self._earlier][0]
        self._conflicts = 0
        self._endorsed_by: list[messages.Answer] = []

    def _id(self, nonce: bytes) -> str:
        return submission.transaction_id(nonce, self._creator)

    def run(self) -> Committed:
        try:
            messages.signer(self._identity)
        except ValueError as error:
            raise self._not_ordered(errors.EndorsementFailed, _UNUSABLE) from error
        if not self._request.first_attempt:
            committed = self._find_earlier()
            if committed:
                return committed
        try:
            for number, nonce in enumerate(submission.series(self._request.nonces)):
                self._current = self._id(nonce)
                identify(transactionId=self._current)
                verdict = self._attempt(nonce, look_first=number > 0 or not self._request.first_attempt)
                committed = verdict if isinstance(verdict, Committed) else self._before_the_next(verdict)
                if committed:
                    return committed
        except _Found as found:
            return found.outcome
        outcome, _ = self._read_record(self._ledger._by_readiness())
        if outcome:
            return outcome
        raise self._unknown()

    def _before_the_next(self, invalid: _Invalid) -> Committed | None:
        """What is known once a transaction is invalid: this submission's success by another transaction, or None if
        the next nonce is to be used. Raises TransactionInvalid if this attempt has tried enough."""
        logger.warning("The transaction is invalid", extra={"transactionId": self._current, "code": invalid.code})
        if invalid.code in _CONFLICTS:
            # It may conflict with the creation of the same record.
            outcome = self._read_after_conflict(invalid)
            if outcome:
                return outcome
            self._conflicts += invalid.ordered
            if self._conflicts == _MOST_CONFLICTS:
                raise self._invalid("Other requests kept changing the same record; nothing was changed. Try again.")
        elif invalid.ordered:
            if invalid.code == "ENDORSEMENT_POLICY_FAILURE":
                self._ledger._policy.forget(endorsers_of(self._endorsed_by))
            raise self._invalid(
                f"The ledger refused the transaction as {invalid.code}; nothing was changed. Try again."
            )
        return None

    def _read_after_conflict(self, invalid: _Invalid) -> Committed | None:
        if invalid.ordered:
            # Peers apply a block just after telling of it.
            pause = self._timing.conflict_pause * random.uniform(1, 2)  # noqa: S311
            time.sleep(max(0.0, min(pause, self._left())))
        outcome, _ = self._read_record(self._ledger._by_readiness())
        return outcome

    def retire(self) -> FoundTransaction | None:
        """Bring the transaction that only uses up the id to its verdict. See `Ledger.retire`."""
        proposal = self._propose(self._request.nonces[0])
        envelope = messages.assemble_unendorsed(proposal)
        events: _Events = queue.SimpleQueue()
        with self._watching(events):
            self._require_live_stream()
            found = self._order(envelope, events)
        return None if self._is_ours(found) else found

    def _attempt(self, nonce: bytes, *, look_first: bool) -> Committed | _Invalid:
        """Bring one transaction to its verdict. `look_first`: an earlier attempt may have done so."""
        if look_first:
            found = self._find_or_none(self._current)
            if found:
                return self._settle(found)
        proposal = self._propose(nonce)
        events: _Events = queue.SimpleQueue()
        with self._watching(events):
            with subsegment("Endorse"):
                endorsements = self._endorse(proposal)
            if endorsements.duplicate:
                return self._settle(self._find_until_deadline(self._current))
            if not endorsements.matching:
                return self._not_endorsed(endorsements)
            if endorsements.refused_at:
                # One peer refuses what others endorse: perhaps it has a record that they do not have yet.
                outcome, _ = self._read_record(endorsements.refused_at)
                if outcome:
                    return outcome
            self._endorsed_by = endorsements.matching
            envelope = messages.assemble(proposal, endorsements.matching)
            self._require_live_stream()
            found = self._order(envelope, events)
        return self._settle(found, endorsements.matching[0].result, ordered=True)

    def _propose(self, nonce: bytes) -> messages.Proposal:
        network = self._network
        return messages.propose(self._identity, network.channel, network.chaincode, self._request.call, nonce)

    @contextlib.contextmanager
    def _watching(self, events: _Events) -> Iterator[None]:
        tell: Callable[[str | None], None] = events.put
        self._ledger._listener.watch(self._current, self._identity, tell)
        try:
            yield
        finally:
            self._ledger._listener.unwatch(self._current, tell)

    def _require_live_stream(self) -> None:
        live_by = min(self._deadline - self._timing.commit_reserve, time.monotonic() + 3 * self._timing.connect)
        if not self._ledger._listener.wait_live(live_by):
            raise self._not_ordered(errors.LedgerUnavailable, "No peer tells of commits. Try again later.")

    def _endorse(self, proposal: messages.Proposal) -> Endorsements:
        began = time.monotonic()
        deadline = min(self._deadline - self._timing.commit_reserve, began + self._timing.endorse)
        needed = Needed(policy=self._ledger._policy, identity=self._identity, peers=self._network.endorsements)
        disagreements, silence_noticed = 0, False
        while True:
            endorsements = endorse(
                proposal,
                self._ledger._peers,
                needed=needed,
                timing=self._timing,
                deadline=deadline,
                on_silence=self._read_while_silent,
            )
            if endorsements.disagree:
                # A peer that is a block behind reads other versions: that mends itself at once or not at all.
                disagreements += 1
                again = disagreements < 3
            else:
                again = endorsements.busy and not (endorsements.matching or endorsements.duplicate)
            now = time.monotonic()
            if not again or now + self._timing.conflict_pause >= deadline:
                return endorsements
            if endorsements.busy and not silence_noticed and now - began > self._timing.silence:
                silence_noticed = True
                self._read_while_silent()
            time.sleep(self._timing.conflict_pause)

    def _not_endorsed(self, endorsements: Endorsements) -> Committed:
        refused, silent = endorsements.refused_at, endorsements.silent_at
        logger.warning(
            "Not endorsed",
            extra={
                "transactionId": self._current,
                "refusal": endorsements.refusal,
                "failures": endorsements.failures,
                "disagree": endorsements.disagree,
                "lacking": endorsements.lacking,
            },
        )
        if endorsements.lacking.get("notConfigured"):
            logger.error(
                "The endorsement policy cannot be met: it needs organizations of which no peer is configured. Add one "
                "of each to the deployment's peers",
                extra={"organizations": endorsements.lacking["notConfigured"]},
            )
        if endorsements.disagree:
            raise self._not_ordered(errors.EndorsementFailed, "The peers of the ledger do not agree. Try again later.")
        readable = True
        if refused or silent or endorsements.busy:
            outcome, readable = self._read_record([*refused, *silent, *self._ledger._by_readiness()])
            if outcome:
                return outcome
        if refused and readable:
            raise self._not_ordered(errors.ChaincodeRejected, "The chaincode refused the request. Check its fields.")
        if endorsements.denied and not refused:
            raise self._not_ordered(errors.EndorsementFailed, _UNUSABLE)
        if endorsements.lacking:
            raise self._not_ordered(
                errors.LedgerUnavailable, "Too few of the ledger's peers endorsed the request. Try again later."
            )
        raise self._not_ordered(errors.LedgerUnavailable, "The ledger's peers could not answer. Try again later.")

    def _order(self, envelope: bytes, events: _Events) -> FoundTransaction:
        """Hand the envelope to the orderers and wait until the transaction is on the ledger, with whatever code."""
        timing = self._timing
        if self._left() < timing.commit_reserve:
            raise self._not_ordered(errors.LedgerUnavailable, "The ledger was too slow. Try again later.")
        began = time.monotonic()
        next_offer: float | None = began
        next_poll = began + timing.poll
        maybe_taken = unreadable = False
        with contextlib.ExitStack() as stage:
            stage.enter_context(subsegment("Order"))
            while self._left() > 0:
                now = time.monotonic()
                if next_offer is not None and now >= next_offer:
                    next_offer = None
                    self._ledger._orderers.offer(envelope, self._deadline, events.put)
                if now >= next_poll:
                    stream = self._ledger._listener.stream
                    found = self._find_or_none(self._current, limit=timing.poll * 2)
                    if found:
                        if not unreadable:
                            self._missed_event(events, stream)
                        return found
                    next_poll = time.monotonic() + timing.poll
                wake = min(self._deadline, next_poll, next_poll if next_offer is None else next_offer)
                try:
                    event = events.get(timeout=max(0.001, wake - time.monotonic()))
                except queue.Empty:
                    continue
                now = time.monotonic()
                if isinstance(event, str):
                    if event == "VALID" and not self._request.caller_named:
                        return self._as_sent()
                    # The event tells an id's fate, not whose content has it: another request may have used its name.
                    return self._find_until_deadline(self._current)
                if event is None:
                    next_poll, unreadable = now, True
                elif event is Taken.YES:
                    maybe_taken, next_offer = True, now + timing.offer_again
                    stage.close()
                    stage.enter_context(subsegment("AwaitCommit"))
                elif event is Taken.MAYBE or maybe_taken:
                    maybe_taken, next_offer = True, now + min(timing.poll, timing.offer_again)
                elif now - began < timing.order and self._left() > timing.commit_reserve:
                    next_offer = now + timing.poll / 4
                else:
                    raise self._not_ordered(errors.LedgerUnavailable, "No orderer took the request. Try again later.")
            raise self._unknown()

    def _as_sent(self) -> FoundTransaction:
        call = self._request.call
        return FoundTransaction(
            transaction_id=self._current,
            code="VALID",
            chaincode=self._network.chaincode,
            function=call.function,
            arguments=tuple(argument.encode() for argument in call.arguments),
        )

    def _missed_event(self, events: _Events, stream: object) -> None:
        """The ledger has the verdict: unless the event comes at once too, the stream is not what it seems."""
        until = time.monotonic() + min(0.2, self._left())
        while time.monotonic() < until:
            try:
                if isinstance(events.get(timeout=max(0.001, until - time.monotonic())), str):
                    return
            except queue.Empty:
                break
        self._ledger._listener.suspect(stream)

    def _settle(self, found: FoundTransaction, result: bytes = b"", *, ordered: bool = False) -> Committed | _Invalid:
        """What a transaction on the ledger means for this submission. `ordered`: this attempt ordered one under its id.
        Raises IdempotencyKeyReused if it is another submission's."""
        if (found.chaincode, found.function) == (self._network.chaincode, _RETIRED) and found.code != "VALID":
            return _Invalid(code=found.code, ordered=False)
        if not self._is_ours(found):
            raise errors.IdempotencyKeyReused(
                "Idempotency-Key: it was already used with another content. Use a new key for a new request."
            )
        if found.code != "VALID":
            return _Invalid(code=found.code, ordered=ordered)
        return Committed(transaction_id=found.transaction_id, result=result)

    def _is_ours(self, found: FoundTransaction) -> bool:
        call = self._request.call
        if (found.chaincode, found.function) != (self._network.chaincode, call.function):
            return False
        return len(found.arguments) == len(call.arguments) and all(map(_same, found.arguments, call.arguments))

    def _find_earlier(self) -> Committed | None:
        """An earlier attempt that succeeded under an id other than those of this identity. If that cannot be looked up,
        only the record can say so. Raises OutcomeUnknown otherwise: a second transaction could be one too many."""
        for transaction_id in self._earlier:
            self._current = transaction_id
            try:
                found = self._ledger.find(self._identity, transaction_id, deadline=self._deadline)
            except (errors.LedgerUnavailable, errors.EndorsementFailed) as error:
                outcome, _ = self._read_record(self._ledger._by_readiness())
                if outcome:
                    return outcome
                raise self._unknown() from error
            if found and found.code == "VALID":
                settled = self._settle(found)
                if isinstance(settled, Committed):
                    return settled
        return None

    def _find_or_none(self, transaction_id: str, limit: float | None = None) -> FoundTransaction | None:
        """The transaction if a peer has it; None says nothing."""
        try:
            return self._ledger.find(self._identity, transaction_id, deadline=self._until(limit))
        except (errors.LedgerUnavailable, errors.EndorsementFailed):
            return None

    def _find_until_deadline(self, transaction_id: str) -> FoundTransaction:
        """The transaction, which a peer or the orderer's block told to be on the ledger."""
        while self._left() > 0:
            found = self._find_or_none(transaction_id)
            if found:
                return found
            time.sleep(min(self._timing.poll / 4, max(0.0, self._left())))
        raise self._unknown()

    def _read_while_silent(self) -> None:
        outcome, _ = self._read_record(self._ledger._by_readiness(), limit=self._timing.silence)
        if outcome:
            raise _Found(outcome)

    def _read_record(self, peers: Iterable[Connection], limit: float | None = None) -> tuple[Committed | None, bool]:
        """Read the record of a create call at each of `peers` until one has it, for `limit` seconds at most.

        Returns success where it is this submission's, and whether a peer could say that there is none. Raises
        RecordAlreadyExists where it is another's: even if an earlier attempt of this submission is still to be
        validated, that record makes it a conflict.
        """
        record = self._request.created_record
        if record is None:
            return None, True
        reading, peer = self._ledger._read(self._identity, record, peers, self._until(limit))
        if reading is _Reading.OURS:
            committed = self._own_valid(self._find_or_none)
            if committed is None:
                logger.warning("The record is this submission's, but none of its known transactions was found")
            return committed or Committed(transaction_id=None), True
        if reading is _Reading.ANOTHERS and peer:
            # It may have replaced what an earlier attempt wrote, if the chaincode has a function for that.
            committed = None if self._request.first_attempt else self._committed_at(peer)
            if committed is None:
                raise record.already_exists("The ledger already holds a record under this name. Choose another.")
            return committed, True
        return None, reading is _Reading.ABSENT

    def _committed_at(self, peer: Connection) -> Committed | None:
        """This submission's transaction that is VALID on the ledger of `peer`. Raises OutcomeUnknown if the peer does
        not answer: another one that lags behind the record would not have the transaction either."""
        try:
            return self._own_valid(lambda tx: self._ledger._find_at(peer, self._identity, tx, self._deadline))
        except CallFailed as failure:
            logger.warning("A transaction could not be looked up", extra={"failure": str(failure)[:300]})
            raise self._unknown() from failure

    def _own_valid(self, look_up: Callable[[str], FoundTransaction | None]) -> Committed | None:
        """This submission's transaction that `look_up` has as VALID, whichever attempt ordered it. No attempt uses a
        nonce before the one before it is used up."""
        own = itertools.takewhile(bool, (look_up(self._id(nonce)) for nonce in submission.series(self._request.nonces)))
        for found in itertools.chain(own, map(look_up, self._earlier)):
            if found and found.code == "VALID" and self._is_ours(found):
                return Committed(transaction_id=found.transaction_id)
        return None

    def _until(self, limit: float | None) -> float:
        return self._deadline if limit is None else min(self._deadline, time.monotonic() + limit)

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _not_ordered(self, error: type[errors.OffchainError], message: str) -> errors.OffchainError:
        """This attempt ordered nothing, which is certain of the submission only if there was none before."""
        return error(message) if self._request.first_attempt else self._unknown()

    def _invalid(self, message: str) -> errors.OffchainError:
        """Every transaction of this identity is used up, which is certain only if no other identity's can exist."""
        if self._request.first_attempt or not self._earlier:
            return errors.TransactionInvalid(message, transaction_id=self._current)
        return self._unknown()

    def _unknown(self) -> errors.OutcomeUnknown:
        return errors.OutcomeUnknown(
            "The ledger has not told yet whether the request succeeded. Ask again with the same Idempotency-Key.",
            transaction_id=self._current,
        )


def _require_usable(identity: Identity) -> None:
    """Raises EndorsementFailed where nothing can be signed with the identity's key."""
    try:
        messages.signer(identity)
    except ValueError as error:
        raise errors.EndorsementFailed(_UNUSABLE) from error


def _unavailable() -> errors.LedgerUnavailable:
    return errors.LedgerUnavailable("No peer of the ledger answered. Try again later.")


def _same(found: bytes, sent: str) -> bool:
    """Whether two arguments mean the same: equal as JSON, or byte for byte."""
    if found == sent.encode():
        return True
    try:
        return bool(json.loads(found) == json.loads(sent))
    except (ValueError, RecursionError):
        return False


def _judge(record: CreatedRecord, answer: messages.Answer) -> _Reading:
    if answer.status >= 400:
        return _Reading.ABSENT if chaincode_ran(answer) else _Reading.UNREADABLE
    if not answer.result:
        return _Reading.ABSENT
    try:
        value = json.loads(answer.result)
    except (ValueError, RecursionError):
        return _Reading.UNREADABLE
    if not isinstance(value, dict) or not value:
        return _Reading.ABSENT
    ours = (
        bool(record.required)
        and all(value.get(name) == expected for name, expected in record.required.items())
        and all(value.get(name, expected) == expected for name, expected in record.where_present.items())
    )
    return _Reading.OURS if ours else _Reading.ANOTHERS
