"""A small HTTP/1.1 server on 127.0.0.1, for the API, the AWS endpoint and the Lambda Runtime API."""

import errno
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .errors import SandboxError
from .logs import places

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Request:
    """`target` is path and query as received. `too_large` says that the body was over the limit and not read."""

    method: str
    target: str
    headers: Message
    body: bytes
    too_large: bool = False


@dataclass(frozen=True, kw_only=True)
class Response:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Handle = Callable[[Request], Response | None]
"""Answers one request; called by many threads. None breaks the connection without an answer, an exception is a 500."""


def require_free(port: int) -> None:
    """Raises SandboxError where `port` cannot be served on."""
    Server(lambda _: None, port=port).close()


class Server:
    """Serves from the moment it is made until `close`. Port 0 takes a free one. Raises SandboxError where the port is
    in use."""

    def __init__(self, handle: Handle, *, port: int = 0, max_body: int | None = None) -> None:
        handler = type("Handler", (_Handler,), {"handle_request": staticmethod(handle), "max_body": max_body})
        try:
            self._server = _Server((HOST, port), handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise SandboxError(
                f"port {port} of {HOST} cannot be had ({error.strerror}): give another --port"
            ) from error
        self.port: int = self._server.server_address[1]
        self.url = f"http://{HOST}:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Take no more requests. Those under way end with the process."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def server_bind(self) -> None:
        # HTTPServer's own also looks the host's name up, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that leaves, or a function's process that was killed, is no error of ours.
        error = sys.exception()
        if error and not isinstance(error, ConnectionError | TimeoutError):
            print(places(error), file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without these two, Nagle's algorithm and delayed acknowledgements add 40 ms to an answer.
    disable_nagle_algorithm = True
    wbufsize = -1
    handle_request: Handle
    max_body: int | None

    def _serve(self) -> None:
        too_large, body = self._read_body()
        request = Request(method=self.command, target=self.path, headers=self.headers, body=body, too_large=too_large)
        try:
            response = self.handle_request(request)
        except Exception as error:
            print(places(error), file=sys.stderr)
            response = Response(status=500)
        if response is None or too_large:
            self.close_connection = True
        if response is None:
            return
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in response.headers and response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve

    def _read_body(self) -> tuple[bool, bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                if self.max_body is not None and len(body) + size > self.max_body:
                    return True, b""
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return False, body
        length = int(self.headers.get("Content-Length") or 0)
        if self.max_body is not None and length > self.max_body:
            return True, b""
        return False, self.rfile.read(length)

    def handle_expect_100(self) -> bool:
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the answers and the functions' logs tell what happens."""
