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
    """One question to all peers, and what they answered so far."""

    unanswered: set[Connection]
    until: float
    began: Instant = field(default_factory=Instant)
    layouts: list[Sequence[Organizations]] = field(default_factory=list)
    insufficient: list[Organizations] = field(default_factory=list)
    wake: list[Callable[[], None]] = field(default_factory=list)

    @property
    def pending(self) -> bool:
        return bool(self.unanswered) and not self.layouts


class ChannelPolicy:
    """Follows the chaincode's endorsement policy; `peers` are the connections by which the network's peers endorse.
    Safe for use by several threads.

    All peers are asked at once, beside an endorsement that is under way, and again after `Timing.discovery_age`. An
    endorsement must meet what each of them said, since one may be behind with its blocks. If none can say, every
    organisation that the network's peers are known to be of must endorse, and a peer whose organisation is not known
    yet counts as one of its own.
    """

    def __init__(self, network: Network, peers: Sequence[Connection], timing: Timing) -> None:
        self._network = network
        self._peers = list(peers)
        # Connections of its own: that a peer leaves this question open must not disturb endorsement.
        self._connections = [Connection(peer, network.tls_roots, timing) for peer in network.peers]
        self._timing = timing
        self._lock = threading.Lock()
        self._round: _Round | None = None
        self._layouts: list[Sequence[Organizations]] = []
        """What peers said in the newest round in which one could."""
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
        with self._lock:
            layouts = list(self._layouts)
            insufficient = list(self._round.insufficient) if self._round else []
        if time.monotonic() < self.awaited_until:
            return False
        if any(covers(peers, endorsers) for peers in insufficient):
            return False
        if layouts:
            return all(meets(endorsers, each) for each in layouts)
        return self._configured() <= set(endorsers)

    def describe(self) -> Mapping[str, Any]:
        """See `Policy.describe`. `insufficient`: what peers said is not enough. `notConfigured`: organisations without
        which the policy cannot be met, and of which the network has no peer."""
        with self._lock:
            layouts = [layout for each in self._layouts for layout in each]
            insufficient = list(self._round.insufficient) if self._round else []
        return {
            "needed": [dict(layout) for layout in layouts[:10]] or [sorted(self._configured())],
            "insufficient": [dict(peers) for peers in insufficient],
            "notConfigured": sorted(self._missing(layouts)),
        }

    def forget(self) -> None:
        """See `Policy.forget`."""
        with self._lock:
            self._round, self._layouts = None, []

    def _is_due(self, doubted: bool) -> bool:
        asked = self._round
        if asked is None or asked.pending:
            return asked is None
        known = bool(asked.layouts) and not doubted
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
            if found.layouts:
                asked.layouts.append(found.layouts)
                if asked is self._round:
                    self._layouts = asked.layouts
            elif 0 < len(found.members) <= _ENUMERABLE:
                asked.insufficient.append(found.members)
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


def _read(answer: bytes | CallFailed) -> messages.Discovered:
    if isinstance(answer, CallFailed):
        return messages.Discovered(refusal=str(answer))
    try:
        return messages.read_discovered(answer)
    except messages.Unreadable as error:
        return messages.Discovered(refusal=f"unreadable: {error}")
