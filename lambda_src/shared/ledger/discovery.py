"""The channel's own endorsement policy, as the peers' service discovery tells it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..clock import Instant
from ..identity import Identity
from ..observability import logger
from . import messages
from .network import Network, Timing
from .policy import Organizations, covers, meets
from .transport import CallFailed, Connection

_ENUMERABLE = 15
"""Organisations up to which a peer can tell a majority. Of more there are over 10,000 combinations, at which Fabric
gives up (combinationsUpperBound in common/policies/inquire) with the same words as if none could be met."""


@dataclass(eq=False)
class _Round:
    """One question to all peers, and what they answered so far, each different answer once."""

    unanswered: set[Connection]
    until: float
    began: Instant = field(default_factory=Instant)
    told: list[messages.Discovered] = field(default_factory=list)
    wake: list[Callable[[], None]] = field(default_factory=list)

    @property
    def is_told(self) -> bool:
        return any(found.layouts for found in self.told)

    @property
    def pending(self) -> bool:
        return bool(self.unanswered) and not self.is_told


class ChannelPolicy:
    """Follows the chaincode's endorsement policy; `peers` are the connections by which the network's peers endorse.
    Safe for use by several threads.

    All peers are asked at once, beside an endorsement that is under way, and again after `Timing.discovery_age`. What
    one of them says is enough counts unless another, which knows the peers that it takes, does not say so: one of the
    two is behind with its blocks. If none can say, every organisation that the network's peers are known to be of must
    endorse; a peer whose organisation is not known yet counts as one of its own, and what the ledger refused just
    before is not enough either.
    """

    def __init__(self, network: Network, peers: Sequence[Connection], timing: Timing) -> None:
        self._network = network
        self._peers = list(peers)
        # Connections of its own: that a peer leaves this question open must not disturb endorsement.
        self._connections = [Connection(peer, network.tls_roots, timing) for peer in network.peers]
        self._timing = timing
        self._lock = threading.Lock()
        self._round: _Round | None = None
        self._told: list[messages.Discovered] = []
        """What peers said in the newest round in which one could tell the policy."""
        self._refused: list[tuple[Instant, Organizations]] = []
        """Endorsers whose transaction failed the policy."""
        self._refusals: dict[str, str] = {}
        """What each peer last said in place of it, so that it is logged once."""

    def ask(self, identity: Identity, wake: Callable[[], None], *, doubted: bool = False) -> None:
        """See `Policy.ask`."""
        with self._lock:
            due = self._is_due(doubted)
            if due:
                until = time.monotonic() + self._timing.discovery
                self._round = _Round(unanswered=set(self._connections), until=until)
            asked = self._round
            if asked is None or not asked.pending:
                return
            asked.wake.append(wake)
        if due:
            self._send(asked, identity)

    @property
    def awaited_until(self) -> float:
        """See `Policy.awaited_until`."""
        asked = self._round
        return asked.until if asked and asked.pending else 0.0

    def is_met_by(self, endorsers: Organizations) -> bool:
        """See `Policy.is_met_by`. Nothing is enough while an answer is awaited."""
        if time.monotonic() < self.awaited_until:
            return False
        told = self._views()
        layouts = [layout for found in told for layout in found.layouts]
        if layouts:
            return any(covers(endorsers, layout) and not _denied(layout, told) for layout in layouts)
        known_not_to_be = _denied(endorsers, told) or any(
            covers(refused, endorsers) for refused in self._lately_refused()
        )
        return self._configured() <= set(endorsers) and not known_not_to_be

    def describe(self) -> Mapping[str, Any]:
        """See `Policy.describe`. `insufficient`: what peers said is not enough. `notConfigured`: organisations without
        which the policy cannot be met, and of which the network has no peer."""
        told = self._views()
        layouts = [layout for found in told for layout in found.layouts]
        insufficient = [found.members for found in told if found.members and not found.layouts]
        return {
            "needed": [dict(layout) for layout in layouts[:10]] or [sorted(self._configured())],
            "insufficient": [dict(peers) for peers in (*insufficient, *self._lately_refused())],
            "notConfigured": sorted(self._missing(layouts)),
        }

    def forget(self, refused: Organizations) -> None:
        """See `Policy.forget`."""
        with self._lock:
            self._round, self._told = None, []
            self._refused = [*(each for each in self._refused if each[1] != refused), (Instant(), refused)]

    def _views(self) -> list[messages.Discovered]:
        with self._lock:
            newest = self._round.told if self._round else []
            return [*self._told, *(() if newest is self._told else newest)]

    def _lately_refused(self) -> list[Organizations]:
        with self._lock:
            self._refused = [each for each in self._refused if each[0].seconds_ago() < self._timing.discovery_age]
            return [refused for _, refused in self._refused]

    def _is_due(self, doubted: bool) -> bool:
        asked = self._round
        if asked is None or asked.pending:
            return asked is None
        known = asked.is_told and not doubted
        age = self._timing.discovery_age if known else self._timing.discovery_retry
        return asked.began.seconds_ago() > age

    def _send(self, asked: _Round, identity: Identity) -> None:
        request = messages.discover(identity, self._network.channel, self._network.chaincode)
        for peer in self._connections:

            def told(answer: bytes | CallFailed, peer: Connection = peer) -> None:
                peer.renew()
                self._note(asked, peer, _read(answer))

            peer.start(messages.DISCOVER, request, self._timing.evaluate, told)

    def _note(self, asked: _Round, peer: Connection, found: messages.Discovered) -> None:
        with self._lock:
            is_news = self._refusals.get(peer.address, "") != found.refusal
            self._refusals[peer.address] = found.refusal
            asked.unanswered.discard(peer)
            if found not in asked.told:
                asked.told.append(found)
            if asked.is_told and asked is self._round:
                self._told = asked.told
            wake = [] if asked.pending else list(asked.wake)
        if found.refusal and is_news:
            extra = {"peer": peer.address, "reason": found.refusal[:300], "peersThatItKnows": dict(found.members)}
            logger.info("A peer cannot tell the endorsement policy", extra=extra)
        for each in wake:
            each()

    def _configured(self) -> set[str]:
        return {peer.msp_id or peer.address for peer in self._peers}

    def _missing(self, layouts: Sequence[Organizations]) -> set[str]:
        if not layouts or not all(peer.msp_id for peer in self._peers):
            return set()
        configured = self._configured()
        missing = [set(layout) - configured for layout in layouts]
        return set().union(*missing) if all(missing) else set()


def _denied(endorsers: Organizations, told: Sequence[messages.Discovered]) -> bool:
    """Whether a peer knows peers like these and does not say that they are enough."""
    return any(
        covers(found.members, endorsers) and not meets(endorsers, found.layouts)
        for found in told
        if found.layouts or len(found.members) <= _ENUMERABLE
    )


def _read(answer: bytes | CallFailed) -> messages.Discovered:
    if isinstance(answer, CallFailed):
        return messages.Discovered(refusal=str(answer))
    try:
        return messages.read_discovered(answer)
    except messages.Unreadable as error:
        return messages.Discovered(refusal=f"unreadable: {error}")
