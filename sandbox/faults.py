"""Faults that tests place at the calls between API, workflow, functions and AWS services."""

import fnmatch
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

When = Literal["before", "started", "after"]
Named = Literal["refuse", "throttle", "reset", "hang", "kill", "freeze"]
Action = Named | Callable[[], object]


@dataclass(eq=False)
class Fault:
    """A placed fault. `reached` is set as soon as a call meets it; `met` counts the calls."""

    call: str
    when: When
    action: Action
    left: int | None
    met: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Let calls that hang here go on."""
        self.released.set()


class Faults:
    """All faults of one sandbox; every method may be called from any thread.

    Calls are named `service:Operation` and placed by a pattern such as `s3:*`:
      s3:PutObject, secretsmanager:GetSecretValue   requests at the AWS endpoint, whoever makes them
      lambda:<function name>                        invocations of a function
      states:StartSyncExecution                     executions that the API starts ("before" only)
    When: "before" the call does anything, "after" it is done but before its answer goes out, and for functions also
    "started": the process has the event.
    Actions: "refuse" (the service answers that it is unavailable), "throttle" (it answers that there are too many
    requests), "reset" (the connection breaks without an answer), "hang" (until released), or a callable without
    arguments, which may return one of these names; otherwise the call goes on after it. For functions also "kill" (the
    process dies: in the middle where it is placed at "started", with its work done and its answer lost at "after") and
    "freeze" (it stops, at "started").
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._placed: list[Fault] = []
        self._all: list[Fault] = []

    def place(self, call: str, action: Action, *, when: When = "before", times: int | None = 1) -> Fault:
        """Place a fault for the next `times` calls (None: for all) whose name matches the pattern `call`."""
        if ":" not in call:
            raise ValueError(f"a call is named service:Operation, not {call!r}")
        fault = Fault(call, when, action, times)
        with self._lock:
            self._placed.append(fault)
            self._all.append(fault)
        return fault

    def clear(self) -> None:
        """Take all faults away and let the calls that hang in one go on."""
        with self._lock:
            faults, self._placed, self._all = self._all, [], []
        for fault in faults:
            fault.release()

    def meet(self, call: str, when: When) -> str | None:
        """Meet the fault placed at `call`, if any: waits where it hangs, runs it where it is a callable.

        Returns the action that is left to the caller: None to go on, else "refuse", "throttle", "reset", "kill" or
        "freeze".
        """
        with self._lock:
            fault = next(
                (each for each in self._placed if each.when == when and fnmatch.fnmatchcase(call, each.call)), None
            )
            if fault is None:
                return None
            fault.met += 1
            if fault.left is not None:
                fault.left -= 1
                if fault.left <= 0:
                    self._placed.remove(fault)
        fault.reached.set()
        action = fault.action() if callable(fault.action) else fault.action
        if not isinstance(action, str):
            return None
        if action == "hang":
            fault.released.wait()
            return None
        return action
