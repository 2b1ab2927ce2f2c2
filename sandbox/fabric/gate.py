"""The TCP front of a node: keeps its port over restarts, and can stall or tear the connections of its clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on with time 0: closing sends RST


class Gate:
    """Passes bytes between clients and the node's gRPC server. All methods belong to the event loop's thread."""

    def __init__(self) -> None:
        # Never listens: it keeps the port ours while the node is stopped, and clients are refused as by a dead process.
        self._reserved = _bound(0)
        self.port: int = self._reserved.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._upstream_port = 0
        self._connections: dict[int, _FromClient] = {}
        self._open: set[_FromClient] = set()
        self.frozen = False
        self.delay = 0.0

    async def open(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        listener = _bound(self.port)
        listener.listen(512)
        self._server = await asyncio.get_running_loop().create_server(lambda: _FromClient(self), sock=listener)

    def close(self, *, reset: bool) -> None:
        """Refuses new connections and ends the open ones at once, with RST or FIN."""
        if self._server:
            self._server.close()
            self._server = None
        for connection in list(self._open):
            connection.end(reset=reset)
        self.frozen = False

    def dispose(self) -> None:
        self.close(reset=False)
        self._reserved.close()

    def tear(self, peer: str) -> None:
        """Resets the one connection that the gRPC server calls `peer`."""
        connection = self._connections.get(int(peer.rsplit(":", 1)[1]))
        if connection:
            connection.end(reset=True)

    def freeze(self, frozen: bool) -> None:
        """Stalls all bytes towards clients: requests still arrive, as in a stopped process's socket buffers."""
        self.frozen = frozen
        for connection in self._open:
            connection.stall(frozen)


class _FromClient(asyncio.Protocol):
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._waiting: list[bytes] = []
        self._upstream: _ToServer | None = None
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set as the connection is made
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        _no_delay(self.transport)
        self._gate._open.add(self)
        self._task = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, upstream = await loop.create_connection(
                lambda: _ToServer(self), "127.0.0.1", self._gate._upstream_port
            )
        except OSError:
            self.end(reset=True)
            return
        if self._ended:
            transport.abort()
            return
        _no_delay(transport)
        self._upstream = upstream
        self._port = transport.get_extra_info("sockname")[1]
        self._gate._connections[self._port] = self
        if self._gate.frozen:
            self.stall(True)
        for data in self._waiting:
            transport.write(data)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self._upstream:
            self._upstream.transport.write(data)
        else:
            self._waiting.append(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._forget()
        if self._upstream:
            self._upstream.transport.close()

    def pause_writing(self) -> None:
        if self._upstream:
            self._upstream.hold(True)

    def resume_writing(self) -> None:
        if self._upstream and not self._gate.frozen:
            self._upstream.hold(False)

    def stall(self, stalled: bool) -> None:
        if self._upstream:
            self._upstream.hold(stalled)

    def end(self, *, reset: bool) -> None:
        if self._ended:
            return
        self._forget()
        if reset:
            with contextlib.suppress(OSError):
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()
        if self._upstream:
            self._upstream.transport.abort()

    def _forget(self) -> None:
        self._ended = True
        self._gate._open.discard(self)
        if self._upstream and self._gate._connections.get(self._port) is self:
            del self._gate._connections[self._port]


class _ToServer(asyncio.Protocol):
    def __init__(self, client: _FromClient) -> None:
        self._client = client
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set as the connection is made
        self._late: deque[tuple[float, Callable[[], None]]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._later(lambda: self._client.transport.write(data))

    def connection_lost(self, error: Exception | None) -> None:
        self._later(self._client.transport.close)

    def _later(self, pass_on: Callable[[], None]) -> None:
        """Pass something on to the client after the node's delay, in the order in which it came."""
        self._late.append((asyncio.get_running_loop().time() + self._client._gate.delay, pass_on))
        if len(self._late) == 1:
            self._pass_on()

    def _pass_on(self) -> None:
        loop = asyncio.get_running_loop()
        while self._late and self._late[0][0] <= loop.time():
            _, pass_on = self._late.popleft()
            if not self._client.transport.is_closing():
                pass_on()
        if self._late:
            loop.call_at(self._late[0][0], self._pass_on)

    def pause_writing(self) -> None:
        self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        self._client.transport.resume_reading()

    def hold(self, held: bool) -> None:
        if self.transport.is_closing():
            return
        if held:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", port))
    except BaseException:
        bound.close()
        raise
    return bound


def _no_delay(transport: asyncio.Transport) -> None:
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
