"""The Lambda Runtime API (2018-06-01), one server for one execution environment."""

import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

_PREFIX = "/2018-06-01/runtime/"


class RuntimeApi:
    """Serves on a free port of 127.0.0.1 until closed. `report` gets (kind, request id, body) with kind "ready",
    "response", "error" or "init-error", from the server's threads."""

    def __init__(self, report: Callable[[str, str, bytes], None]) -> None:
        self._events: queue.Queue[tuple[dict[str, str], bytes] | None] = queue.Queue()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.report, self._server.events = report, self._events
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.5,), daemon=True).start()

    def hand_over(self, headers: dict[str, str], event: bytes) -> None:
        """Answer the runtime's next (or waiting) request for an invocation."""
        self._events.put((headers, event))

    def close(self) -> None:
        self._events.put(None)
        threading.Thread(target=self._server.shutdown, daemon=True).start()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    report: Callable[[str, str, bytes], None]
    events: queue.Queue[tuple[dict[str, str], bytes] | None]

    def handle_error(self, request: object, client_address: object) -> None:
        """A process that was killed breaks its connection: that is expected, and seen by its exit."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        server = cast(_Server, self.server)
        if self.path != f"{_PREFIX}invocation/next":
            return self._answer(404, {}, b"")
        server.report("ready", "", b"")
        event = server.events.get()
        if event is None:
            self.close_connection = True
            return None
        return self._answer(200, event[0], event[1])

    def do_POST(self) -> None:
        server = cast(_Server, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.headers.get("Content-Length") and "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self._chunks()
        match self.path.removeprefix(_PREFIX).split("/"):
            case ["init", "error"]:
                server.report("init-error", "", body)
            case ["invocation", request_id, ("response" | "error") as kind]:
                server.report(kind, request_id, body)
            case _:
                return self._answer(404, {}, b"")
        return self._answer(202, {}, b'{"status":"OK"}')

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the function's own log says what happens."""
