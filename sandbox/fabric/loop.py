"""The one event loop, in a thread of its own, that all emulations of a process share (grpc.aio wants a single loop)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def event_loop() -> asyncio.AbstractEventLoop:
    """The running loop; started at the first call."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="fabric-emulation", daemon=True).start()
        return _loop


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on the loop and waits for its result. Must not be called from the loop's own thread."""
    return asyncio.run_coroutine_threadsafe(coroutine, event_loop()).result()
