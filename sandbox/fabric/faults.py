"""Faults that tests place at the steps of a transaction's way through peers and orderers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

logger = logging.getLogger(__name__)

Step = Literal[
    "before-endorsement",
    "after-endorsement",
    "query",
    "chaincode",
    "before-broadcast",
    "after-broadcast",
    "before-commit-event",
    "deliver",
    "discovery",
]
Action = Literal["refuse", "reset", "hang"] | int | Callable[[], object]
_STEPS = get_args(Step)
_NAMED = ("refuse", "reset", "hang")


@dataclass(eq=False)
class Fault:
    """A placed fault. `reached` is set as soon as a call meets it, `abandoned` when a client has left a call that hangs
    in it; `met` counts the calls."""

    step: str
    action: Action
    node: int | None
    function: str | None
    hold: threading.Event | float | None
    left: int | None
    met: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Lets calls that hang here go on."""
        self._released.set()

    async def held(self) -> None:
        """Returns when released: by `release`, by the event given as `hold`, or after that many seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.hold if isinstance(self.hold, (int, float)) else None
        try:
            while not self._released.is_set():
                if isinstance(self.hold, threading.Event) and self.hold.is_set():
                    return
                if end is not None and loop.time() >= end:
                    return
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.abandoned.set()
            raise


class Faults:
    """All faults of one emulation; every method may be called from any thread.

    Steps, and what a call has done when it gets there:
      before-endorsement   proposal of an invoke received, nothing simulated                        peers
      after-endorsement    simulated and signed, answer not sent                                    peers
      query                proposal to qscc or to a query function received                         peers
      chaincode            the chaincode process is needed: "refuse" = it is down, "reset" = it dies at this call,
                           "hang" = it does not answer (the peer's execute time-out ends that)      peers
      before-broadcast     envelope received, not taken: it is never ordered unless released        orderers
      after-broadcast      envelope taken, answer not sent                                          orderers
      before-commit-event  committed, the block not sent to this stream                             peers
      deliver              a stream of blocks is being opened                                       peers
      discovery            service discovery is asked                                               peers
    Actions: "refuse" (gRPC UNAVAILABLE), "reset" (the TCP connection is torn), "hang" (until released or the client
    leaves), an int (that status as the answer: of the broadcast, of the chaincode, of the deliver stream, or elsewhere
    of a proposal as the peer's own error; service discovery answers an error), or a callable without arguments, run in
    a thread of its own; what it returns is the next action, None to go on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._placed: list[Fault] = []
        self._all: list[Fault] = []

    def place(
        self,
        step: Step,
        action: Action,
        *,
        node: int | None = None,
        times: int | None = 1,
        function: str | None = None,
        hold: threading.Event | float | None = None,
    ) -> Fault:
        """Places a fault for the next `times` calls (None: for all) at peer or orderer number `node` (None: at any),
        only for the chaincode function `function` if given. Raises ValueError for an unknown step or action."""
        if step not in _STEPS:
            raise ValueError(f"unknown step {step!r}; one of {', '.join(_STEPS)}")
        if not (callable(action) or isinstance(action, int) or action in _NAMED):
            raise ValueError(f"unknown action {action!r}; one of {', '.join(_NAMED)}, a status number or a callable")
        fault = Fault(step, action, node, function, hold, times)
        with self._lock:
            self._placed.append(fault)
            self._all.append(fault)
        return fault

    def clear(self) -> None:
        """Takes all faults away and lets the calls that hang in one go on."""
        with self._lock:
            faults, self._placed, self._all = self._all, [], []
        for fault in faults:
            fault.release()

    @property
    def any(self) -> bool:
        """Whether a fault is placed anywhere."""
        return bool(self._placed)

    def take(self, step: Step, node: int, functions: Callable[[], set[str]]) -> Fault | None:
        """The fault that a call at this step meets, counted as met."""
        with self._lock:
            for fault in self._placed:
                if fault.step != step or fault.node not in (None, node):
                    continue
                if fault.function is not None and fault.function not in functions():
                    continue
                fault.met += 1
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left <= 0:
                        self._placed.remove(fault)
                fault.reached.set()
                return fault
        return None


async def resolve(fault: Fault) -> Action | None:
    """The action to carry out after callables have been run: a named one, a status, or None to go on."""
    action: object = fault.action
    while callable(action):
        action = await asyncio.to_thread(action)
    if action is None or isinstance(action, int) or action in _NAMED:
        return action  # type: ignore[return-value]
    logger.error("a fault's callable returned %r, which is no action", action)
    return None


Meet = Callable[..., Awaitable[int | None]]
