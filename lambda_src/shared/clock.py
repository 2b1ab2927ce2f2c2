"""Time that goes on while Lambda has frozen the environment."""

import time


class Instant:
    """A moment, measured on the clock that stands still and on the one that goes on while an environment is frozen."""

    def __init__(self) -> None:
        self._monotonic, self._wall = time.monotonic(), time.time()

    def seconds_ago(self) -> float:
        return max(time.monotonic() - self._monotonic, time.time() - self._wall)
