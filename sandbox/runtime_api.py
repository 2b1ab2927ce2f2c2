"""The Lambda Runtime API (2018-06-01), one server for one execution environment."""

import queue
import threading
from collections.abc import Callable

from .server import Request, Response, Server

_PREFIX = "/2018-06-01/runtime/"


class RuntimeApi:
    """Serves on a free port of 127.0.0.1 until closed. `report` gets (kind, request id, body) with kind "ready",
    "response", "error" or "init-error", from the server's threads."""

    def __init__(self, report: Callable[[str, str, bytes], None]) -> None:
        self._report = report
        self._events: queue.Queue[Response | None] = queue.Queue()
        self._server = Server(self._handle)
        self.address = self._server.url.removeprefix("http://")

    def hand_over(self, headers: dict[str, str], event: bytes) -> None:
        """Answer the runtime's next (or waiting) request for an invocation."""
        self._events.put(Response(status=200, headers=headers | {"Content-Type": "application/json"}, body=event))

    def close(self) -> None:
        self._events.put(None)
        threading.Thread(target=self._server.close, daemon=True).start()

    def _handle(self, request: Request) -> Response | None:
        match request.method, request.target.removeprefix(_PREFIX).split("/"):
            case "GET", ["invocation", "next"]:
                self._report("ready", "", b"")
                return self._events.get()
            case "POST", ["init", "error"]:
                self._report("init-error", "", request.body)
            case "POST", ["invocation", request_id, ("response" | "error") as kind]:
                self._report(kind, request_id, request.body)
            case _:
                return Response(status=404)
        return Response(status=202, headers={"Content-Type": "application/json"}, body=b'{"status":"OK"}')
