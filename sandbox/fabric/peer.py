"""A peer: endorses proposals, commits what the orderers cut, and streams committed blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from hfc.protos.peer import events_pb2

from sandbox.fabric.committer import Rules
from sandbox.fabric.deliver import deliver
from sandbox.fabric.discovery import Discovery
from sandbox.fabric.endorser import Endorser, Shim
from sandbox.fabric.ledger import Chain, CommittedBlock, Ledger
from sandbox.fabric.loop import event_loop
from sandbox.fabric.messages import BAD_REQUEST, ENDORSER_TRANSACTION, Block, Malformed, serialized
from sandbox.fabric.msp import Identity, Membership
from sandbox.fabric.node import Node
from sandbox.fabric.policy import Definition

_CACHED_BLOCKS = 64


class Peer(Node):
    """One peer with a ledger of its own, which outlives its restarts.

    Attributes to set at any time: `shim` selects how the refusal of a Node chaincode comes out: as an error text
    ("2.2.3"), as no answer until the execute time-out ("2.4.2"), or as status 500 without a message ("2.5.8");
    `diverges` makes the peer's simulations differ from those of honest peers; `discovers` says whether it has service
    discovery, and `definition` is what that goes by; `joined` False makes it a peer that has not joined the channel, as
    one that lost its data.
    """

    def __init__(
        self,
        index: int,
        *,
        ordered: Chain[Block],
        source: Callable[[int], bool],
        channel: str,
        membership: Membership,
        rules: Rules,
        endorser: Endorser,
        identity: Identity,
        discovery: Discovery,
        definition: Definition,
        shim: Shim = "2.2.3",
        **node: Any,
    ) -> None:
        super().__init__(index, **node)
        self.ledger = Ledger()
        self._ordered = ordered
        self._source = source
        self._channel = channel
        self._membership = membership
        self._rules = rules
        self.endorser = endorser
        self.msp_id = identity.msp_id
        self.identity = identity.creator
        self._discovery = discovery
        self.discovers = True
        self.definition = definition
        self.shim: Shim = shim
        self.diverges = False
        self.joined = True
        self._committing: asyncio.Task[None] | None = None
        self._in_step = asyncio.Event()
        self._in_step.set()
        self.streams = 0  # of blocks, open now
        self._rendered: dict[tuple[str, int], bytes] = {}

    @property
    def height(self) -> int:
        """Number of committed blocks."""
        return self.ledger.height

    @property
    def lags(self) -> bool:
        """Whether it commits nothing, between `pause_commits` and `resume_commits`."""
        return not self._in_step.is_set()

    def pause_commits(self) -> None:
        """Lets the peer fall behind: it endorses and answers from what it has committed so far."""
        event_loop().call_soon_threadsafe(self._in_step.clear)

    def resume_commits(self) -> None:
        """Lets the peer catch up again."""
        event_loop().call_soon_threadsafe(self._in_step.set)

    def services(self) -> dict[str, dict[str, grpc.RpcMethodHandler]]:
        return {
            "protos.Endorser": {"ProcessProposal": grpc.unary_unary_rpc_method_handler(self._process_proposal)},
            "protos.Deliver": {
                "Deliver": grpc.stream_stream_rpc_method_handler(self._deliver_blocks),
                "DeliverFiltered": grpc.stream_stream_rpc_method_handler(self._deliver_filtered),
            },
            "discovery.Discovery": {"Discover": grpc.unary_unary_rpc_method_handler(self._discover)},
        }

    def started(self) -> None:
        self._committing = asyncio.ensure_future(self._commit())

    def stopped(self) -> None:
        if self._committing:
            self._committing.cancel()

    async def _commit(self) -> None:
        while True:
            number = self.ledger.height
            block = await self._ordered.wait_for(number)
            await self._in_step.wait()
            await self.awake()
            while not self._source(number):
                await asyncio.sleep(0.01)
            self._rules.commit(block, self.ledger)

    async def _process_proposal(self, raw: bytes, context: Any) -> bytes:
        await self.awake()
        return await self.endorser.process(raw, context, self)

    async def _discover(self, raw: bytes, context: Any) -> bytes:
        await self.awake()
        if not self.discovers:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown service discovery.Discovery")
        return await self._discovery.answer(raw, context, self)

    async def _deliver_blocks(self, _: Any, context: Any) -> None:
        await self._deliver(context, "block", _full)

    async def _deliver_filtered(self, _: Any, context: Any) -> None:
        await self._deliver(context, "filtered", self._filtered)

    async def _deliver(self, context: Any, form: str, render: Callable[[CommittedBlock], bytes]) -> None:
        async def opening() -> int | None:
            await self.awake()
            return await self.meet("deliver", context)

        async def send(block: CommittedBlock) -> int | None:
            await self.awake()
            if self.faults.any and block.block.number:
                status = await self.meet("before-commit-event", context, lambda: _functions(block))
                if status is not None:
                    return status
            key = (form, block.block.number)
            rendered = self._rendered.get(key)
            if rendered is None:
                while len(self._rendered) >= _CACHED_BLOCKS:
                    del self._rendered[next(iter(self._rendered))]
                rendered = self._rendered[key] = render(block)
            await context.write(rendered)
            return None

        self.streams += 1
        try:
            await deliver(
                context,
                channel=self._channel if self.joined else "",
                membership=self._membership,
                readers=self.endorser.reads,
                chain=self.ledger,
                opening=opening,
                send=send,
                status=_status,
            )
        finally:
            self.streams -= 1

    def _filtered(self, committed: CommittedBlock) -> bytes:
        filtered = events_pb2.FilteredBlock(number=committed.block.number, channel_id=self._channel)
        try:
            for transaction, code in zip(committed.block.transactions, committed.verdicts, strict=True):
                entry = filtered.filtered_transactions.add()
                entry.txid = transaction.tx_id
                entry.type = transaction.type
                entry.tx_validation_code = code
                if transaction.type == ENDORSER_TRANSACTION:
                    entry.transaction_actions.SetInParent()
                    entry.transaction_actions.chaincode_actions.extend(transaction.filtered_actions)
        except Malformed:
            # A transaction that cannot be read spoils the block's filtered form for everybody, in Fabric too.
            return _status(BAD_REQUEST)
        return serialized(events_pb2.DeliverResponse(filtered_block=filtered))


def _full(committed: CommittedBlock) -> bytes:
    block = committed.block.message(verdicts=committed.verdicts, commit_hash=committed.commit_hash)
    return serialized(events_pb2.DeliverResponse(block=block))


def _status(code: int) -> bytes:
    return serialized(events_pb2.DeliverResponse(status=code))


def _functions(committed: CommittedBlock) -> set[str]:
    return {transaction.function for transaction in committed.block.transactions}
