"""What peers and orderers have in common: a gRPC server over TLS behind a gate, life and death, and meeting faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import grpc

from sandbox.fabric.faults import Faults, Step, resolve
from sandbox.fabric.gate import Gate
from sandbox.fabric.loop import run

# As a Fabric node is set up: 100 MB messages, and clients that ping more often than once a minute are sent away.
_OPTIONS = [
    ("grpc.max_receive_message_length", 100 * 1024 * 1024),
    ("grpc.max_send_message_length", 100 * 1024 * 1024),
    ("grpc.http2.min_ping_interval_without_data_ms", 60_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
]


class Node:
    """One process of the network. The public methods may be called from any thread but the loop's."""

    def __init__(self, index: int, *, faults: Faults, tls_certificate: str, tls_key: str) -> None:
        self.index = index
        self.faults = faults
        self.running = False
        self._gate = Gate()
        self._tls = (tls_key.encode(), tls_certificate.encode())
        self._server: Any = None
        self._thawed = asyncio.Event()
        self._thawed.set()
        self.lives = 0
        self._away_since: float | None = time.monotonic()

    @property
    def endpoint(self) -> str:
        """host:port, the same over restarts."""
        return f"127.0.0.1:{self._gate.port}"

    @property
    def frozen(self) -> bool:
        """Whether the node is stalled by `freeze`."""
        return not self._thawed.is_set()

    @property
    def delay(self) -> float:
        """Seconds that the node's answers take on their way to clients. It can be set at any time."""
        return self._gate.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._gate.delay = seconds

    def away_for(self) -> float:
        """Seconds since the node stopped or froze; 0 if it is there."""
        since = self._away_since
        return 0.0 if since is None else time.monotonic() - since

    def start(self) -> None:
        """Starts the node, again on the same port; returns when it serves."""
        run(self.come_up())

    def stop(self) -> None:
        """Ends the node as SIGTERM does: calls in flight fail, connections are closed."""
        run(self.go_down(reset=False))

    def kill(self) -> None:
        """Ends the node as SIGKILL on a machine that vanishes: connections are reset at once."""
        run(self.go_down(reset=True))

    def freeze(self) -> None:
        """Stalls the node as SIGSTOP does: connections are accepted, nothing is answered, nothing goes on inside."""
        run(self._set_frozen(True))

    def thaw(self) -> None:
        """Lets a frozen node go on, with the requests that arrived meanwhile."""
        run(self._set_frozen(False))

    async def come_up(self) -> None:
        if self.running:
            return
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(name, methods) for name, methods in self.services().items()]
        )
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([self._tls]))
        await server.start()
        self._server = server
        self.lives += 1
        self.running = True
        self._away_since = None
        self.started()
        await self._gate.open(port)

    async def go_down(self, *, reset: bool) -> None:
        if not self.running:
            return
        self.running = False
        self._away_since = self._away_since or time.monotonic()
        self._gate.close(reset=reset)
        self.stopped()
        self._thawed.set()
        server, self._server = self._server, None
        await server.stop(None)

    async def dispose(self) -> None:
        await self.go_down(reset=False)
        self._gate.dispose()

    async def _set_frozen(self, frozen: bool) -> None:
        if not self.running:
            return
        self._gate.freeze(frozen)
        self._away_since = time.monotonic() if frozen else None
        if frozen:
            self._thawed.clear()
        else:
            self._thawed.set()

    async def awake(self) -> None:
        """Returns when the node is not frozen."""
        await self._thawed.wait()

    def services(self) -> Mapping[str, Mapping[str, grpc.RpcMethodHandler]]:
        """gRPC service name -> method name -> handler, all over bytes."""
        raise NotImplementedError

    def started(self) -> None:
        """Called on the loop when the node comes up."""

    def stopped(self) -> None:
        """Called on the loop when the node goes down."""

    async def meet(self, step: Step, context: Any, functions: Callable[[], set[str]] = set) -> int | None:
        """Carries out the fault that this call meets, if any. The status to answer instead, None to go on."""
        if not self.faults.any:
            return None
        fault = self.faults.take(step, self.index, functions)
        if fault is None:
            return None
        action = await resolve(fault)
        if action == "hang":
            await fault.held()
        elif action == "refuse":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "refused by a placed fault")
        elif action == "reset":
            await self._torn(context)
        elif isinstance(action, int):
            return action
        return None

    async def _torn(self, context: Any) -> NoReturn:
        self._gate.tear(context.peer())
        while True:  # gRPC cancels this call as soon as it notices
            await asyncio.sleep(60)
