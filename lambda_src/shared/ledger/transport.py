"""gRPC connections to peers and orderers: made on first use, kept, and made anew when they break or may have broken."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from ..clock import Instant as Instant
from .network import Endpoint, Timing


class CallFailed(Exception):
    """A call without an answer.

    `code` is gRPC's, by name. `unsent` is True only where the node cannot have received the request: there was no
    connection to send it on.
    """

    def __init__(self, address: str, code: str, details: str, *, unsent: bool) -> None:
        super().__init__(f"{address}: {code}: {details}")
        self.code = code
        self.details = details
        self.unsent = unsent


class Connection:
    """One gRPC channel to one node. Requests and answers are bytes. Safe for use by several threads."""

    def __init__(self, endpoint: Endpoint, tls_roots: str, timing: Timing) -> None:
        self.address = endpoint.address
        self.msp_id = endpoint.msp_id
        """A peer's organisation: as it last signed, or as the settings say before that; None if neither is known."""
        self._endpoint = endpoint
        self._credentials = grpc.ssl_channel_credentials(tls_roots.encode())
        self._timing = timing
        self._lock = threading.Lock()
        self._channel: Any = None
        self._connected: Any = None
        self._calls: dict[str, Any] = {}
        self._used = Instant()
        self.slow = False
        """Set by who waited in vain for this node, until it answers again."""

    def call(self, method: str, request: bytes, timeout: float) -> bytes:
        """Send `request` and return the answer, in this thread. Raises CallFailed. As `start`, it repeats once."""
        deadline = time.monotonic() + timeout
        for repeatable in (True, False):
            channel, multicallable = self._unary(method)
            try:
                answer: bytes = multicallable(request, timeout=max(0.001, deadline - time.monotonic()))
            except grpc.RpcError as error:
                failure = self._failed(channel, error)
                if not (repeatable and failure.code == "UNAVAILABLE" and time.monotonic() < deadline):
                    raise failure from error
            else:
                self._answered()
                return answer
        raise AssertionError("unreachable")

    def start(
        self,
        method: str,
        request: bytes,
        timeout: float,
        finish: Callable[[bytes | CallFailed], None],
        *,
        repeatable: bool = True,
    ) -> None:
        """Send `request`; `finish` receives the answer or the failure, in another thread. A `repeatable` request is
        sent once more over a new connection where the node was unavailable: so shows a restart since the last call."""
        deadline = time.monotonic() + timeout
        channel, multicallable = self._unary(method)

        def done(future: Any) -> None:
            if future.code() is grpc.StatusCode.OK:
                self._answered()
                finish(future.result())
                return
            failure = self._failed(channel, future)
            left = deadline - time.monotonic()
            if repeatable and failure.code == "UNAVAILABLE" and left > 0:
                self.start(method, request, left, finish, repeatable=False)
            else:
                finish(failure)

        multicallable.future(request, timeout=max(0.001, timeout)).add_done_callback(done)

    def stream(self, method: str, request: bytes) -> Any:
        """Send `request` and return the gRPC call: iterate over it for the answers as bytes, `cancel()` it to end it.
        It has no deadline; whoever reads it must notice its silence. Iterating raises grpc.RpcError."""
        return self._channel_now().unary_stream(method)(request)

    def connect(self, timeout: float) -> bool:
        """Whether there is, or was a moment ago, a connection with its TLS handshake done; waits `timeout` seconds at
        most. Where there is none, nothing was sent to the node."""
        channel = self._channel_now()
        if self._connected is channel:
            return True
        ready = grpc.channel_ready_future(channel)
        try:
            ready.result(timeout=max(0.0, timeout))
        except grpc.FutureTimeoutError:
            self.renew(channel)
            return False
        finally:
            ready.cancel()
        self._connected = channel
        return True

    def renew(self, broken: Any = None) -> None:
        """Use a new channel from now on; only if the current one is `broken`, where that is given. Calls under way on
        the old one go on, and it is closed with the last of them."""
        with self._lock:
            if broken is None or self._channel is broken:
                self._channel = self._connected = None

    def _unary(self, method: str) -> tuple[Any, Any]:
        channel = self._channel_now()
        with self._lock:
            if self._channel is not channel:
                return channel, channel.unary_unary(method)
            if method not in self._calls:
                self._calls[method] = channel.unary_unary(method)
            return channel, self._calls[method]

    def _channel_now(self) -> Any:
        with self._lock:
            if self._channel is None or self._used.seconds_ago() > self._timing.idle:
                self._channel = self._make()
                self._calls = {}
                self._used = Instant()
            return self._channel

    def _make(self) -> Any:
        milliseconds = int(self._timing.connect * 1000)
        options: list[tuple[str, Any]] = [
            # Otherwise a new channel would share the old one's connection.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.min_reconnect_backoff_ms", milliseconds),
            # Fabric answers more frequent pings with too_many_pings.
            ("grpc.keepalive_time_ms", 65_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ]
        if self._endpoint.tls_hostname:
            options.append(("grpc.ssl_target_name_override", self._endpoint.tls_hostname))
        return grpc.secure_channel(self._endpoint.address, self._credentials, options)

    def _answered(self) -> None:
        self._used = Instant()
        self.slow = False

    def _failed(self, channel: Any, call: Any) -> CallFailed:
        code, details = call.code(), call.details() or ""
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            self.renew(channel)
        # gRPC's words for a call that failed since no connection could be made: it never got as far as being sent.
        unsent = code is grpc.StatusCode.UNAVAILABLE and details.startswith(
            ("failed to connect to all addresses", "DNS resolution failed")
        )
        return CallFailed(self.address, code.name, details, unsent=unsent)


def end(call: Any) -> None:
    """Cancel a stream, whatever its state."""
    with contextlib.suppress(Exception):
        call.cancel()


def iterate(call: Any) -> Iterator[bytes]:
    """The stream's answers until it ends, by whichever side and for whatever reason."""
    with contextlib.suppress(grpc.RpcError):
        yield from call
