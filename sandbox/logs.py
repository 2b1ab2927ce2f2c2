"""What the sandbox's processes log of trouble: where it came from, and nothing that a request holds."""

import logging
import threading
import traceback
from collections.abc import Iterator


def places(error: BaseException) -> str:
    """The class of an error and where in the code it came from, of what caused it first. What errors say is left out:
    it may quote a request."""
    return "\n".join(line for each in reversed(list(_chain(error))) for line in (*_stack(each), type(each).__name__))


class LogFormatter(logging.Formatter):
    """The sandbox's own messages as they are. Of other libraries' only where they come from, and of errors `places`."""

    def format(self, record: logging.LogRecord) -> str:
        own = record.name.startswith("sandbox")
        line = record.getMessage() if own else f"{record.levelname} {record.name} ({record.filename}:{record.lineno})"
        error = record.exc_info[1] if record.exc_info else None
        return f"{line}\n{places(error)}" if error else line


def log_to_stderr() -> None:
    """Log warnings and worse of this process, and errors that end a thread, so that no text of a request is in it."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(LogFormatter())
    logging.getLogger().addHandler(handler)
    threading.excepthook = lambda thread: logging.getLogger(__name__).error("A thread ended", exc_info=thread.exc_value)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _stack(error: BaseException) -> Iterator[str]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield f"  {frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
