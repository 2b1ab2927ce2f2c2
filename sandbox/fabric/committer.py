"""What a peer checks in an ordered block before it commits it, and how Fabric names what is wrong."""

from __future__ import annotations

import hashlib

from hfc.protos.common import common_pb2
from hfc.protos.peer import proposal_pb2

from sandbox.fabric.ledger import CommittedBlock, Ledger, Version
from sandbox.fabric.messages import (
    CONFIG,
    CONFIG_UPDATE,
    ENDORSER_TRANSACTION,
    INVALID_CHAINCODE,
    Block,
    Malformed,
    Transaction,
    ValidationCode,
    parse,
    serialized,
    transaction_id,
)
from sandbox.fabric.msp import Membership, NotAMember
from sandbox.fabric.policy import Definition, is_met

_CODE: dict[str, int] = dict(ValidationCode.items())
VALID = _CODE["VALID"]
Update = tuple[str, str, bytes | None, Version]  # namespace, key, value, version


class Rules:
    """The channel's rules that every peer applies alike."""

    def __init__(self, *, membership: Membership, chaincodes: frozenset[str], definition: Definition) -> None:
        self._membership = membership
        self._chaincodes = chaincodes
        self._definition = definition

    def commit(self, block: Block, ledger: Ledger) -> None:
        """Validates the block against the ledger, writes the state of what is valid, and appends the block."""
        codes = [self._code(transaction, ledger) for transaction in block.transactions]
        seen: set[str] = set()
        for position, transaction in enumerate(block.transactions):
            if codes[position] == VALID and transaction.tx_id:
                if transaction.tx_id in seen:
                    codes[position] = _CODE["DUPLICATE_TXID"]
                seen.add(transaction.tx_id)
        written: set[tuple[str, str]] = set()
        updates: list[Update] = []
        for position, transaction in enumerate(block.transactions):
            if codes[position] != VALID or transaction.type != ENDORSER_TRANSACTION:
                continue
            codes[position] = _conflict(transaction, ledger, updates, written)
            if codes[position] != VALID:
                continue
            for namespace, kv in transaction.read_write_sets:
                for write in kv.writes:
                    value = None if write.is_delete else write.value
                    updates.append((namespace, write.key, value, (block.number, position)))
                    written.add((namespace, write.key))
        for update in updates:
            ledger.state.write(*update)
        verdicts = bytes(codes)
        previous = ledger.blocks[-1].commit_hash if ledger.blocks else b""
        content = repr(updates).encode()
        commit_hash = b""
        if block.number:
            digest = hashlib.sha256(verdicts + content + previous).digest()
            commit_hash = serialized(common_pb2.Metadata(value=digest))
        ledger.commit(CommittedBlock(block, verdicts, commit_hash))

    def _code(self, transaction: Transaction, ledger: Ledger) -> int:
        # What does not depend on the ledger is the same at every peer, so it is found once.
        if transaction.form_code is None:
            transaction.form_code = self._form(transaction)
        if transaction.form_code != VALID or transaction.type != ENDORSER_TRANSACTION:
            return transaction.form_code
        if ledger.find(transaction.tx_id):
            return _CODE["DUPLICATE_TXID"]
        if transaction.endorsement_code is None:
            transaction.endorsement_code = self._endorsed(transaction)
        return transaction.endorsement_code

    def _form(self, transaction: Transaction) -> int:
        header = transaction.channel_header
        try:
            signature_header = transaction.signature_header
        except Malformed:
            return _CODE["BAD_COMMON_HEADER"]
        if header.type not in (ENDORSER_TRANSACTION, CONFIG_UPDATE, CONFIG) or header.epoch != 0:
            return _CODE["BAD_COMMON_HEADER"]
        if header.type == CONFIG:
            return VALID  # only the first block carries one; its like is not taken by the orderers
        if not signature_header.nonce or not signature_header.creator:
            return _CODE["BAD_COMMON_HEADER"]
        try:
            creator = self._membership.member(signature_header.creator)
        except NotAMember:
            return _CODE["BAD_CREATOR_SIGNATURE"]
        if not creator.signed(transaction.payload, transaction.signature):
            return _CODE["BAD_CREATOR_SIGNATURE"]
        if header.type != ENDORSER_TRANSACTION:
            return _CODE["UNSUPPORTED_TX_PAYLOAD"]
        if header.tx_id != transaction_id(signature_header.nonce, signature_header.creator):
            return _CODE["BAD_PROPOSAL_TXID"]
        try:
            if len(transaction.body.actions) != 1:
                return _CODE["INVALID_ENDORSER_TRANSACTION"]
            action = transaction.body.actions[0]
            action_header = parse(common_pb2.SignatureHeader, action.header)
            if not action_header.nonce or not action_header.creator:
                return _CODE["INVALID_ENDORSER_TRANSACTION"]
            visible = transaction.action_payload.chaincode_proposal_payload
            proposal = hashlib.sha256(transaction.header.channel_header + action.header + visible).digest()
            if transaction.response_payload.proposal_hash != proposal:
                return _CODE["INVALID_ENDORSER_TRANSACTION"]
        except Malformed:
            return _CODE["INVALID_ENDORSER_TRANSACTION"]
        return VALID

    def _endorsed(self, transaction: Transaction) -> int:
        try:
            extension = parse(proposal_pb2.ChaincodeHeaderExtension, transaction.channel_header.extension)
        except Malformed:
            return _CODE["BAD_HEADER_EXTENSION"]
        try:
            action = transaction.action
        except Malformed:
            return _CODE["BAD_RESPONSE_PAYLOAD"]
        try:
            sets = transaction.read_write_sets
        except Malformed:
            return _CODE["BAD_RWSET"]
        if not extension.HasField("chaincode_id") or not action.HasField("chaincode_id"):
            return _CODE["INVALID_OTHER_REASON"]
        name = extension.chaincode_id.name
        if not name or name != action.chaincode_id.name or not action.chaincode_id.version:
            return INVALID_CHAINCODE
        if len({namespace for namespace, _ in sets}) != len(sets):
            return _CODE["ILLEGAL_WRITESET"]
        written = {name} | {namespace for namespace, kv in sets if kv.writes}
        if not written <= self._chaincodes:
            return INVALID_CHAINCODE
        payload = transaction.action_payload.action.proposal_response_payload
        endorsers = []
        for endorsement in transaction.action_payload.action.endorsements:
            try:
                endorser = self._membership.member(endorsement.endorser)
            except NotAMember:
                continue
            if endorser.signed(payload + endorsement.endorser, endorsement.signature):
                endorsers.append(endorser)
        return VALID if is_met(self._definition.policy, endorsers) else _CODE["ENDORSEMENT_POLICY_FAILURE"]


def _conflict(transaction: Transaction, ledger: Ledger, updates: list[Update], written: set[tuple[str, str]]) -> int:
    for namespace, kv in transaction.read_write_sets:
        for read in kv.reads:
            version = (read.version.block_num, read.version.tx_num) if read.HasField("version") else None
            if (namespace, read.key) in written or ledger.state.version(namespace, read.key) != version:
                return _CODE["MVCC_READ_CONFLICT"]
        for query in kv.range_queries_info:
            now = {key: version for key, _, version in ledger.state.range(namespace, query.start_key, query.end_key)}
            for other, key, value, version in updates:
                if other == namespace and query.start_key <= key and (not query.end_key or key < query.end_key):
                    if value is None:
                        now.pop(key, None)
                    else:
                        now[key] = version
            then = [(read.key, (read.version.block_num, read.version.tx_num)) for read in query.raw_reads.kv_reads]
            if sorted(now.items()) != then:
                return _CODE["PHANTOM_READ_CONFLICT"]
    return VALID
