"""Chaincode in Python: what it is given (a stub over one peer's committed state) and what it may raise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from hfc.protos.ledger.rwset import rwset_pb2
from hfc.protos.ledger.rwset.kvrwset import kv_rwset_pb2

from sandbox.fabric.ledger import State
from sandbox.fabric.messages import serialized


class ChaincodeError(Exception):
    """The chaincode refuses. `kind` is the JavaScript error class that a Node chaincode would have thrown."""

    def __init__(self, message: str, *, kind: str = "Error") -> None:
        super().__init__(message)
        self.kind = kind


class NoAnswer(Exception):
    """The chaincode fails outside of its shim's reach: the peer hears nothing and waits for its execute time-out."""


class Stub:
    """One simulation: reads committed state, remembers what was read, and collects writes."""

    def __init__(self, state: State, *, namespace: str, channel: str, tx_id: str, creator: bytes) -> None:
        self.channel = channel
        self.tx_id = tx_id
        self.creator = creator
        self._state = state
        self._namespace = namespace
        self._reads: dict[str, tuple[int, int] | None] = {}
        self._writes: dict[str, bytes | None] = {}
        self._ranges: list[Any] = []
        self.event: tuple[str, bytes] | None = None

    def get_state(self, key: str) -> bytes | None:
        """Committed value of `key`, None where there is none. Writes of this simulation are not seen."""
        value, version = self._state.get(self._namespace, key)
        self._reads[key] = version
        return value

    def put_state(self, key: str, value: bytes) -> None:
        """Writes `key` when the transaction is committed as valid."""
        self._writes[key] = value

    def del_state(self, key: str) -> None:
        """Deletes `key` when the transaction is committed as valid."""
        self._writes[key] = None

    def get_state_by_range(self, start: str, end: str) -> Iterator[tuple[str, bytes]]:
        """(key, value) of all keys from `start` up to but without `end`, in key order; "" leaves that side open."""
        found = list(self._state.range(self._namespace, start, end))
        query = kv_rwset_pb2.RangeQueryInfo(start_key=start, end_key=end, itr_exhausted=True)
        for key, _, version in found:
            query.raw_reads.kv_reads.append(_read(key, version))
        query.raw_reads.SetInParent()
        self._ranges.append(query)
        return ((key, value) for key, value, _ in found)

    def set_event(self, name: str, payload: bytes) -> None:
        """The chaincode event of this transaction; the last one counts."""
        self.event = (name, payload)

    def diverge(self) -> None:
        """Makes this simulation differ from any honest one."""
        self._writes["diverging-endorsement"] = b"this peer simulates something else"

    def results(self) -> bytes:
        """The read-write set as Fabric serializes it: keys in order, so that honest peers agree byte for byte."""
        kv = kv_rwset_pb2.KVRWSet()
        kv.reads.extend(_read(key, self._reads[key]) for key in sorted(self._reads))
        kv.range_queries_info.extend(self._ranges)
        for key in sorted(self._writes):
            value = self._writes[key]
            kv.writes.append(kv_rwset_pb2.KVWrite(key=key, is_delete=value is None, value=value or b""))
        result = rwset_pb2.TxReadWriteSet(data_model=rwset_pb2.TxReadWriteSet.KV)
        if kv.ByteSize():
            result.ns_rwset.append(rwset_pb2.NsReadWriteSet(namespace=self._namespace, rwset=kv.SerializeToString()))
        return serialized(result)


class Chaincode(Protocol):
    """What an emulated peer can run. `queries` names the functions that only read; faults tell them apart."""

    queries: frozenset[str]

    def invoke(self, stub: Stub, function: str, args: Sequence[bytes]) -> bytes:
        """The response's payload. Raises ChaincodeError to refuse, NoAnswer where the real one would hang."""
        ...


def _read(key: str, version: tuple[int, int] | None) -> Any:
    read = kv_rwset_pb2.KVRead(key=key)
    if version is not None:
        read.version.block_num, read.version.tx_num = version
        read.version.SetInParent()
    return read
