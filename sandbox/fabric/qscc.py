"""The system chaincode `qscc`: questions about the ledger."""

from __future__ import annotations

from hfc.protos.common import common_pb2, ledger_pb2
from hfc.protos.peer import transaction_pb2

from sandbox.fabric.ledger import CommittedBlock, Ledger
from sandbox.fabric.messages import serialized

_FUNCTIONS = ("GetChainInfo", "GetTransactionByID", "GetBlockByTxID", "GetBlockByNumber", "GetBlockByHash")
_NOT_A_READER = (
    "Failed evaluating policy on signed data during check policy on channel [{}] with policy "
    "[/Channel/Application/Readers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, but this "
    "policy requires 1 of the 'Readers' sub-policies to be satisfied]"
)


class QueryRefused(Exception):
    """qscc answers with status 500 and this text."""


def answer(args: list[bytes], ledger: Ledger, channel: str, *, reader: bool) -> bytes:
    """The response's payload; `reader` says whether the creator may read. Raises QueryRefused with Fabric's text."""
    if len(args) < 2:
        raise QueryRefused(f"Incorrect number of arguments, {len(args)}")
    function, asked_channel = args[0].decode("utf-8", "replace"), args[1].decode("utf-8", "replace")
    if function != "GetChainInfo" and len(args) < 3:
        raise QueryRefused(f"missing 3rd argument for {function}")
    if asked_channel != channel:
        raise QueryRefused(f"Invalid chain ID, {asked_channel}")
    if function not in _FUNCTIONS:
        raise QueryRefused(f"access denied for [{function}][{channel}]: [Unmapped policy for qscc/{function}]")
    if not reader:
        raise QueryRefused(f"access denied for [{function}][{channel}]: [{_NOT_A_READER.format(channel)}]")
    if function == "GetChainInfo":
        last = ledger.blocks[-1].block
        return serialized(
            ledger_pb2.BlockchainInfo(
                height=ledger.height, currentBlockHash=last.hash, previousBlockHash=last.previous_hash
            )
        )
    key = args[2]
    text = key.decode("utf-8", "replace")
    if function == "GetTransactionByID":
        found = ledger.find(text)
        if not found:
            raise QueryRefused(f"Failed to get transaction with id {text}, error Entry not found in index")
        committed, position = found
        transaction = committed.block.transactions[position]
        processed = transaction_pb2.ProcessedTransaction(validationCode=committed.verdicts[position])
        processed.transactionEnvelope.CopyFrom(
            common_pb2.Envelope(payload=transaction.payload, signature=transaction.signature)
        )
        return serialized(processed)
    if function == "GetBlockByTxID":
        found = ledger.find(text)
        if not found:
            raise QueryRefused(f"Failed to get block for txID {text}, error Entry not found in index")
        return _block(found[0])
    if function == "GetBlockByHash":
        for committed in ledger.blocks:
            if committed.block.hash == key:
                return _block(committed)
        raise QueryRefused(f"Failed to get block hash {text}, error Entry not found in index")
    try:
        number = int(text)
        if not 0 <= number < 2**64 or not text.isascii() or not text.isdigit():
            raise ValueError
    except ValueError:
        raise QueryRefused(
            f'Failed to parse block number with error strconv.ParseUint: parsing "{text}": invalid syntax'
        ) from None
    if number >= ledger.height:
        raise QueryRefused(f"Failed to get block number {number}, error Entry not found in index")
    return _block(ledger.blocks[number])


def _block(committed: CommittedBlock) -> bytes:
    return serialized(committed.block.message(verdicts=committed.verdicts, commit_hash=committed.commit_hash))
