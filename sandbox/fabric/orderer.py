"""Ordering: front ends that take envelopes, cut blocks and hand them out; no consensus behind them."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from hfc.protos.common import common_pb2
from hfc.protos.orderer import ab_pb2

from sandbox.fabric.deliver import deliver
from sandbox.fabric.ledger import Chain
from sandbox.fabric.messages import (
    BAD_REQUEST,
    CONFIG,
    CONFIG_UPDATE,
    FORBIDDEN,
    NOT_FOUND,
    ORDERER_TRANSACTION,
    SERVICE_UNAVAILABLE,
    SUCCESS,
    Block,
    Malformed,
    Transaction,
    serialized,
)
from sandbox.fabric.msp import Identity, Membership, NotAMember, expired
from sandbox.fabric.node import Node

PREFERRED_MAX_BYTES = 512 * 1024
NO_LEADER = "no Raft leader"
STOPPED = "chain is stopped"
_WRITERS_REFUSE = (
    "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the 'Writers' "
    "sub-policies to be satisfied: permission denied"
)


class Orderer(Node):
    """One front end. What it took and has not cut into a block is lost when it goes down, as with a Raft leader."""

    def __init__(
        self,
        index: int,
        *,
        chain: Chain[Block],
        channel: str,
        membership: Membership,
        identity: Identity,
        batch_timeout: float,
        max_message_count: int,
        election_time: float,
        **node: Any,
    ) -> None:
        super().__init__(index, **node)
        self._chain = chain
        self._channel = channel
        self._membership = membership
        self._identity = identity
        self._batch_timeout = batch_timeout
        self._max_message_count = max_message_count
        self._election_time = election_time
        self._leader_at = 0.0
        self._batch: list[Transaction] = []
        self._batch_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._late_cut: asyncio.Task[None] | None = None

    @property
    def _has_leader(self) -> bool:
        return asyncio.get_running_loop().time() >= self._leader_at

    def services(self) -> dict[str, dict[str, grpc.RpcMethodHandler]]:
        return {
            "orderer.AtomicBroadcast": {
                "Broadcast": grpc.stream_stream_rpc_method_handler(self._broadcast),
                "Deliver": grpc.stream_stream_rpc_method_handler(self._deliver),
            }
        }

    def started(self) -> None:
        if self.lives > 1:
            self._leader_at = asyncio.get_running_loop().time() + self._election_time

    def stopped(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._batch.clear()
        self._batch_bytes = 0

    async def _broadcast(self, _: Any, context: Any) -> None:
        life = self.lives
        while True:
            raw = await context.read()
            if raw is grpc.aio.EOF:
                return
            if self.frozen:
                # A stopped process finds the request in its socket buffer when it goes on, whether the client is
                # still there or not.
                response = await asyncio.shield(asyncio.ensure_future(self._take_when_awake(raw, life)))
            else:
                response = await self._process(raw, context, life)
            await context.write(serialized(response))
            if response.status != SUCCESS:
                return

    async def _take_when_awake(self, raw: bytes, life: int) -> Any:
        await self.awake()
        return self._take(raw, life)

    async def _process(self, raw: bytes, context: Any, life: int) -> Any:
        def functions() -> set[str]:
            try:
                return {Transaction(raw).function}
            except Malformed:
                return set()

        status = await self.meet("before-broadcast", context, functions)
        if status is not None:
            return ab_pb2.BroadcastResponse(status=status, info=NO_LEADER if status == 503 else "a placed fault")
        response = self._take(raw, life)
        if response.status == SUCCESS:
            status = await self.meet("after-broadcast", context, functions)
            if status is not None:
                # Never "no Raft leader": an orderer says that only of an envelope that it did not take.
                return ab_pb2.BroadcastResponse(status=status, info=STOPPED if status == 503 else "a placed fault")
        return response

    def _take(self, raw: bytes, life: int) -> Any:
        if not self.running or self.lives != life:
            raise asyncio.CancelledError  # the process that this call belonged to is dead
        refusal = self._refusal(raw)
        if refusal:
            return ab_pb2.BroadcastResponse(status=refusal[0], info=refusal[1])
        return ab_pb2.BroadcastResponse(status=SUCCESS)

    def _refusal(self, raw: bytes) -> tuple[int, str] | None:
        try:
            transaction = Transaction(raw)
        except Malformed as error:
            return BAD_REQUEST, f"could not determine channel ID: {error}"
        header = transaction.channel_header
        if header.type in (CONFIG, ORDERER_TRANSACTION):
            return BAD_REQUEST, "message is of type that cannot be processed directly"
        if header.type == CONFIG_UPDATE:
            return BAD_REQUEST, "the emulation takes no configuration updates"
        if header.channel_id != self._channel:
            return NOT_FOUND, "channel does not exist"
        try:
            creator = transaction.signature_header.creator
        except Malformed as error:
            return BAD_REQUEST, f"could not convert message to signedData: {error}"
        if expired(creator):
            return BAD_REQUEST, "broadcast client identity expired"
        try:
            member = self._membership.member(creator)
        except NotAMember:
            return FORBIDDEN, _WRITERS_REFUSE
        # Writers: clients and admins of the organisations, any member of the orderers' own.
        if member.role not in ("client", "admin") and member.msp_id != self._identity.msp_id:
            return FORBIDDEN, _WRITERS_REFUSE
        if not member.signed(transaction.payload, transaction.signature):
            return FORBIDDEN, _WRITERS_REFUSE
        if not self._has_leader:
            return SERVICE_UNAVAILABLE, NO_LEADER
        self._order(transaction)
        return None

    def _order(self, transaction: Transaction) -> None:
        size = len(transaction.payload) + len(transaction.signature)
        if self._batch and (size > PREFERRED_MAX_BYTES or self._batch_bytes + size > PREFERRED_MAX_BYTES):
            self._cut()
        self._batch.append(transaction)
        self._batch_bytes += size
        if size > PREFERRED_MAX_BYTES or len(self._batch) >= self._max_message_count:
            self._cut()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._batch_timeout, self._time_up)

    def _time_up(self) -> None:
        if self.frozen:
            self._late_cut = asyncio.ensure_future(self._cut_when_awake())
        else:
            self._cut()

    async def _cut_when_awake(self) -> None:
        life = self.lives
        await self.awake()
        if self.running and self.lives == life:
            self._cut()

    def _cut(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._batch:
            return
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        block = Block(self._chain.height, self._chain.blocks[-1].hash, batch)
        block.signatures = self._sign(block)
        self._chain.append(block)

    def _sign(self, block: Block) -> bytes:
        header = common_pb2.SignatureHeader(creator=self._identity.creator, nonce=block.hash[:24]).SerializeToString()
        metadata = common_pb2.Metadata()
        signature = metadata.signatures.add()
        signature.signature_header = header
        signature.signature = self._identity.sign(header + block.header_bytes)
        return serialized(metadata)

    async def _deliver(self, _: Any, context: Any) -> None:
        async def opening() -> int | None:
            await self.awake()
            return None if self._has_leader else SERVICE_UNAVAILABLE

        async def send(block: Block) -> None:
            await self.awake()
            await context.write(serialized(ab_pb2.DeliverResponse(block=block.message())))

        await deliver(
            context,
            channel=self._channel,
            membership=self._membership,
            readers=lambda msp_id, role: role in ("admin", "peer", "client") or msp_id == self._identity.msp_id,
            chain=self._chain,
            opening=opening,
            send=send,
            status=lambda code: serialized(ab_pb2.DeliverResponse(status=code)),
        )
