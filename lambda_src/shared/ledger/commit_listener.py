"""Commit events of one channel: one stream of filtered blocks, shared by all calls that wait for a verdict."""

import threading
import time
from collections.abc import Callable, Sequence

from ..identity import Identity
from ..observability import logger
from . import messages
from .network import Timing
from .transport import Connection, Instant, end, iterate

_REFUSAL_ENDS_WITHIN = 0.2
"""Seconds after a status in which the peer ends a stream that it refuses. One that is still open then is live, and the
status stands for a block."""


class CommitListener:
    """Reads filtered blocks from one peer at a time and tells who watches a transaction its validation code.

    The stream starts when it is first needed, at the peer's newest block, so that the peer's first answer comes at once
    and proves it live. When it breaks while someone waits, it goes on at the next peer from the last block seen. It is
    made anew before it is relied on where nothing came for `Timing.idle` seconds.
    """

    def __init__(self, channel: str, peers: Sequence[Connection], timing: Timing) -> None:
        self._channel = channel
        self._peers = list(peers)
        self._timing = timing
        self._state = threading.Condition()
        self._watching: dict[str, list[Callable[[str | None], None]]] = {}
        self._identity: Identity | None = None
        self._thread: threading.Thread | None = None
        self._peer = 0
        self._call: object = None
        self._called = Instant()
        self._heard: Instant | None = None
        self._doubtful: Instant | None = None
        self._number: int | None = None
        self._closed = False

    def watch(self, transaction_id: str, identity: Identity, tell: Callable[[str | None], None]) -> None:
        """From now on `tell` receives, in another thread, the transaction's validation code as a block has it, or None
        where a block could not be read, so that the ledger itself must be asked. `identity` signs the request for the
        blocks. End it with `unwatch`."""
        with self._state:
            self._identity = identity
            self._watching.setdefault(transaction_id, []).append(tell)
            if self._heard is not None and self._heard.seconds_ago() > self._timing.idle:
                self._abandon()
                if len(self._watching) == 1:
                    self._number = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="commit-listener", daemon=True)
                self._thread.start()
            self._state.notify_all()

    def unwatch(self, transaction_id: str, tell: Callable[[str | None], None]) -> None:
        """End what `watch` began."""
        with self._state:
            watchers = self._watching.get(transaction_id, [])
            if tell in watchers:
                watchers.remove(tell)
            if not watchers:
                self._watching.pop(transaction_id, None)

    def wait_live(self, deadline: float) -> bool:
        """Wait until a peer has answered on the current stream, which is then certain to tell of every later block.
        False where none did before `deadline`. A peer that stays silent is given up for the next one."""
        with self._state:
            while self._heard is None:
                now = time.monotonic()
                if now >= deadline or self._closed:
                    return False
                if self._doubtful is not None:
                    left = _REFUSAL_ENDS_WITHIN - self._doubtful.seconds_ago()
                    if left <= 0:
                        self._heard = Instant()
                        break
                else:
                    left = self._timing.connect - self._called.seconds_ago()
                    if self._call is not None and left <= 0:
                        self._abandon()
                        left = self._timing.connect
                self._state.wait(min(deadline - now, max(0.01, left)))
            return True

    @property
    def stream(self) -> object:
        """What `suspect` takes: the stream of this moment."""
        return self._call

    def suspect(self, stream: object) -> None:
        """Make `stream` anew at the next peer, unless that was done meanwhile: the ledger had a verdict of which it did
        not tell."""
        with self._state:
            if self._call is stream:
                self._abandon()

    def close(self) -> None:
        """End the stream and its thread."""
        with self._state:
            self._closed = True
            self._abandon()
            self._state.notify_all()

    def _abandon(self) -> None:
        self._peers[self._peer].renew()
        call, self._call, self._heard, self._doubtful = self._call, None, None, None
        if call is not None:
            end(call)

    def _run(self) -> None:
        failures = 0
        while True:
            with self._state:
                if failures and not self._closed:
                    self._state.wait(min(1.0, 0.05 * 2 ** (failures // len(self._peers))))
                # A stream that broke is made anew only when someone needs it.
                while not self._watching and not self._closed:
                    self._state.wait()
                if self._closed or self._identity is None:
                    return
                peer = self._peers[self._peer]
                start = messages.seek(self._identity, self._channel, self._number)
                self._called = Instant()
                self._call = call = peer.stream(messages.DELIVER_FILTERED, start)
            heard = self._read(call)
            with self._state:
                if self._call is call:
                    self._call = self._heard = self._doubtful = None
                self._peer = (self._peer + 1) % len(self._peers)
                failures = 0 if heard else failures + 1
                # Nobody missed anything, or each peer lags behind the last block seen and would stay silent.
                if not self._watching or failures >= len(self._peers):
                    self._number = None

    def _read(self, call: object) -> bool:
        heard = False
        for data in iterate(call):
            try:
                block = messages.read_delivery(data)
            except messages.Unreadable:
                break
            if isinstance(block, str):
                # The peer then ends the stream, unless the status stands for a block that it cannot filter: Fabric 2.2
                # says BAD_REQUEST in its place and goes on with the next one.
                logger.warning("A peer sent a status in place of a block", extra={"status": block})
                self._tell_missed(call)
                continue
            heard = True
            self._tell(block, call)
        end(call)
        return heard

    def _tell_missed(self, call: object) -> None:
        with self._state:
            if self._call is not call:
                return
            if self._heard is None:
                self._doubtful = Instant()
                self._state.notify_all()
            else:
                self._heard = Instant()
            if self._number is not None:
                self._number += 1
            told = [tell for watchers in self._watching.values() for tell in watchers]
        for tell in told:
            tell(None)

    def _tell(self, block: messages.Block, call: object) -> None:
        with self._state:
            if self._call is not call:
                return
            first = self._heard is None
            self._heard = Instant()
            self._number = block.number
            if first:
                self._state.notify_all()
            told = [(tell, code) for tx, code in block.codes.items() for tell in self._watching.get(tx, ())]
        for tell, code in told:
            tell(code)
