"""Ordering: hands an envelope to an orderer and says whether it may have been taken."""

import enum
import threading
import time
from collections.abc import Callable, Sequence

from ..observability import logger
from . import messages
from .network import Timing
from .transport import CallFailed, Connection


class Taken(enum.Enum):
    """Whether an orderer took an envelope: YES it said so, NO it surely did not, MAYBE nobody can say."""

    YES = enum.auto()
    NO = enum.auto()
    MAYBE = enum.auto()


# Decided before the envelope is handed to consensus (orderer/common/broadcast in Fabric 2.2).
_REFUSED = {"BAD_REQUEST", "FORBIDDEN", "NOT_FOUND", "REQUEST_ENTITY_TOO_LARGE"}
# The only two texts of SERVICE_UNAVAILABLE that come before it too (orderer/consensus/etcdraft). Others, such as a
# time-out while forwarding to the leader, may come after the leader has the envelope.
_NOT_READY = ("no Raft leader", "chain is not started")


class Orderers:
    """The orderers of a channel; the one that took the last envelope is asked first."""

    def __init__(self, connections: Sequence[Connection], timing: Timing) -> None:
        self._connections = list(connections)
        self._timing = timing
        self._first = 0

    def offer(self, envelope: bytes, deadline: float, finish: Callable[[Taken], None]) -> None:
        """Offer `envelope` to one orderer after the other until one takes it. `finish` receives the result, in another
        thread or this one: YES; NO where every one surely did not; else MAYBE. Offering the same envelope twice is
        harmless: the transaction id makes the second one invalid."""
        count = len(self._connections)
        self._offer(envelope, deadline, finish, [(self._first + n) % count for n in range(count)], Taken.NO)

    def _offer(
        self, envelope: bytes, deadline: float, finish: Callable[[Taken], None], order: list[int], so_far: Taken
    ) -> None:
        left = deadline - time.monotonic()
        if not order or left <= 0:
            finish(so_far)
            return
        index, rest = order[0], order[1:]
        orderer = self._connections[index]
        # Sent only over a connection that exists, so that a hanging handshake is known not to have carried it.
        if not orderer.connect(min(left, self._timing.connect)):
            logger.warning("An orderer could not be reached", extra={"orderer": orderer.address})
            self._offer(envelope, deadline, finish, rest, so_far)
            return

        def finished(answer: bytes | CallFailed) -> None:
            taken = _read(orderer, answer)
            if taken is Taken.YES:
                self._first = index
                finish(Taken.YES)
                return
            worst = Taken.MAYBE if Taken.MAYBE in (taken, so_far) else Taken.NO
            # Not in gRPC's own thread: the next one may have to be connected first.
            threading.Thread(target=self._offer, args=(envelope, deadline, finish, rest, worst), daemon=True).start()

        # One message each way: for the orderer the same as a stream that the client ends after its first envelope.
        timeout = min(deadline - time.monotonic(), self._timing.broadcast)
        orderer.start(messages.BROADCAST, envelope, timeout, finished, repeatable=False)


def _read(orderer: Connection, answer: bytes | CallFailed) -> Taken:
    if isinstance(answer, CallFailed):
        logger.warning("An orderer did not answer", extra={"orderer": orderer.address, "failure": str(answer)[:300]})
        return Taken.NO if answer.unsent else Taken.MAYBE
    try:
        status, text = messages.read_broadcast_answer(answer)
    except messages.Unreadable:
        return Taken.MAYBE
    if status == "SUCCESS":
        return Taken.YES
    logger.warning("An orderer refused", extra={"orderer": orderer.address, "status": status, "reason": text[:300]})
    return Taken.NO if status in _REFUSED or text.startswith(_NOT_READY) else Taken.MAYBE
