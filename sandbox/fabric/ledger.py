"""One peer's ledger in memory: blocks with verdicts, the transaction index, and the state with versions."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from sandbox.fabric.messages import Block

Version = tuple[int, int]
T = TypeVar("T")


class State:
    """Committed keys of all namespaces: value and version (block number, position in the block)."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, tuple[bytes, Version]]] = {}
        self._keys: dict[str, list[str]] = {}

    def get(self, namespace: str, key: str) -> tuple[bytes | None, Version | None]:
        return self._values.get(namespace, {}).get(key, (None, None))

    def version(self, namespace: str, key: str) -> Version | None:
        return self.get(namespace, key)[1]

    def range(self, namespace: str, start: str, end: str) -> Iterator[tuple[str, bytes, Version]]:
        keys = self._keys.get(namespace, [])
        last = bisect.bisect_left(keys, end) if end else len(keys)
        for key in keys[bisect.bisect_left(keys, start) : last]:
            value, version = self._values[namespace][key]
            yield key, value, version

    def items(self, namespace: str) -> dict[str, bytes]:
        return {key: value for key, (value, _) in list(self._values.get(namespace, {}).items())}

    def write(self, namespace: str, key: str, value: bytes | None, version: Version) -> None:
        values = self._values.setdefault(namespace, {})
        keys = self._keys.setdefault(namespace, [])
        if value is None:
            if values.pop(key, None) is not None:
                del keys[bisect.bisect_left(keys, key)]
        else:
            if key not in values:
                bisect.insort(keys, key)
            values[key] = (value, version)


class CommittedBlock(NamedTuple):
    block: Block
    verdicts: bytes  # one validation code a transaction
    commit_hash: bytes


class Chain(Generic[T]):
    """Blocks in order, and a way to wait for the next."""

    def __init__(self) -> None:
        self.blocks: list[T] = []
        self._grown = asyncio.Event()

    @property
    def height(self) -> int:
        return len(self.blocks)

    def append(self, block: T) -> None:
        self.blocks.append(block)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def wait_for(self, number: int) -> T:
        """Block `number`, as soon as it is there."""
        while number >= self.height:
            await self._grown.wait()
        return self.blocks[number]


class Ledger(Chain[CommittedBlock]):
    """Chain, state and index of one peer."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self._index: dict[str, tuple[int, int]] = {}

    def find(self, tx_id: str) -> tuple[CommittedBlock, int] | None:
        """Block and position of the FIRST transaction with this id, whatever its verdict."""
        place = self._index.get(tx_id)
        return (self.blocks[place[0]], place[1]) if place else None

    def commit(self, committed: CommittedBlock) -> None:
        """Indexes and appends a validated block; the state must have been written before."""
        for position, transaction in enumerate(committed.block.transactions):
            if transaction.tx_id:
                self._index.setdefault(transaction.tx_id, (committed.block.number, position))
        self.append(committed)
