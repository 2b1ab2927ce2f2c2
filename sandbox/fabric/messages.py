"""Fabric's messages taken apart once: proposals and transaction envelopes, and blocks put together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from google.protobuf.message import Message
from hfc.protos.common import common_pb2
from hfc.protos.ledger.rwset import rwset_pb2
from hfc.protos.ledger.rwset.kvrwset import kv_rwset_pb2
from hfc.protos.peer import chaincode_event_pb2, chaincode_pb2, events_pb2, proposal_pb2, proposal_response_pb2
from hfc.protos.peer import transaction_pb2 as transaction_messages

SUCCESS: int = common_pb2.SUCCESS
BAD_REQUEST: int = common_pb2.BAD_REQUEST
FORBIDDEN: int = common_pb2.FORBIDDEN
NOT_FOUND: int = common_pb2.NOT_FOUND
SERVICE_UNAVAILABLE: int = common_pb2.SERVICE_UNAVAILABLE
ENDORSER_TRANSACTION: int = common_pb2.ENDORSER_TRANSACTION
CONFIG: int = common_pb2.CONFIG
CONFIG_UPDATE: int = common_pb2.CONFIG_UPDATE
ORDERER_TRANSACTION: int = common_pb2.ORDERER_TRANSACTION
HeaderType = common_pb2.HeaderType
ValidationCode = transaction_messages.TxValidationCode
INVALID_CHAINCODE = 25  # newer than hfc's messages; proto3 enumerations carry it all the same


class Malformed(Exception):
    """Bytes that are not the message they should be; the text is Fabric's."""


class Unreadable(Malformed):
    """The request itself is no message of its type, which a Go server answers before any handler sees it."""


def parse(kind: type[Message], data: bytes, name: str | None = None) -> Any:
    """`data` as a message of `kind`. Raises Malformed with Fabric's words."""
    message = kind()
    try:
        message.ParseFromString(data)
    except Exception as error:  # the pure Python decoder raises DecodeError, but also IndexError and UnicodeDecodeError
        raise Malformed(f"error unmarshaling {name or kind.DESCRIPTOR.name}: unexpected EOF") from error
    return message


def serialized(message: Message) -> bytes:
    """The message's bytes."""
    data: bytes = message.SerializeToString()
    return data


def transaction_id(nonce: bytes, creator: bytes) -> str:
    """Hex SHA-256 of nonce and creator: the only id Fabric accepts."""
    return hashlib.sha256(nonce + creator).hexdigest()


class Proposal:
    """A signed proposal taken apart, with the checks of form that Fabric makes before any other."""

    def __init__(self, raw: bytes) -> None:
        """Raises Malformed."""
        try:
            signed = parse(proposal_pb2.SignedProposal, raw)
        except Malformed as error:
            raise Unreadable("grpc: error unmarshalling request: unexpected EOF") from error
        self.proposal_bytes: bytes = signed.proposal_bytes
        self.signature: bytes = signed.signature
        try:
            proposal = parse(proposal_pb2.Proposal, self.proposal_bytes)
        except Malformed as error:
            raise Malformed(f"failed parsing proposal: {error}") from error
        try:
            header = parse(common_pb2.Header, proposal.header)
        except Malformed as error:
            raise Malformed(f"failed parsing header: {error}") from error
        try:
            self.signature_header = parse(common_pb2.SignatureHeader, header.signature_header)
        except Malformed as error:
            raise Malformed(f"failed parsing signature header: {error}") from error
        self._header = header
        self._payload: bytes = proposal.payload
        self.creator: bytes = self.signature_header.creator
        self.nonce: bytes = self.signature_header.nonce

    def unpack(self) -> None:
        """Reads what an expired creator does not get read. Raises Malformed."""
        self.channel_header = parse(common_pb2.ChannelHeader, self._header.channel_header)
        self.channel: str = self.channel_header.channel_id
        self.tx_id: str = self.channel_header.tx_id
        extension = parse(proposal_pb2.ChaincodeHeaderExtension, self.channel_header.extension)
        if not extension.HasField("chaincode_id"):
            raise Malformed("ChaincodeHeaderExtension.ChaincodeId is nil")
        self.chaincode: str = extension.chaincode_id.name
        if not self.chaincode:
            raise Malformed("ChaincodeHeaderExtension.ChaincodeId.Name is empty")
        payload = parse(proposal_pb2.ChaincodeProposalPayload, self._payload)
        invocation = parse(chaincode_pb2.ChaincodeInvocationSpec, payload.input)
        if not invocation.HasField("chaincode_spec"):
            raise Malformed("chaincode invocation spec did not contain chaincode spec")
        if not invocation.chaincode_spec.HasField("input"):
            raise Malformed("chaincode input did not contain any input")
        self.args: list[bytes] = list(invocation.chaincode_spec.input.args)
        visible = proposal_pb2.ChaincodeProposalPayload(input=payload.input).SerializeToString()
        self.hash = hashlib.sha256(self._header.channel_header + self._header.signature_header + visible).digest()

    @property
    def function(self) -> str:
        """Name of the chaincode function, "" where none is given."""
        return self.args[0].decode("utf-8", "replace") if self.args else ""


class Transaction:
    """An envelope as the orderer takes it; parts are read when asked for, once for all nodes."""

    def __init__(self, raw: bytes) -> None:
        """Raises Malformed."""
        self.raw = raw
        envelope = parse(common_pb2.Envelope, raw)
        self.payload: bytes = envelope.payload
        self.signature: bytes = envelope.signature
        payload = parse(common_pb2.Payload, self.payload)
        if not payload.HasField("header"):
            raise Malformed("header not set")
        self.header = payload.header
        self.data: bytes = payload.data
        self.channel_header = parse(common_pb2.ChannelHeader, self.header.channel_header)
        self.tx_id: str = self.channel_header.tx_id
        self.type: int = self.channel_header.type
        # Verdicts that do not depend on a peer's ledger; found by the first peer that validates.
        self.form_code: int | None = None
        self.endorsement_code: int | None = None

    @cached_property
    def signature_header(self) -> Any:
        """Raises Malformed."""
        return parse(common_pb2.SignatureHeader, self.header.signature_header)

    @cached_property
    def body(self) -> Any:
        """The Transaction message. Raises Malformed."""
        return parse(transaction_messages.Transaction, self.data)

    @cached_property
    def action_payload(self) -> Any:
        """ChaincodeActionPayload of the first action. Raises Malformed."""
        return parse(transaction_messages.ChaincodeActionPayload, self.body.actions[0].payload)

    @cached_property
    def response_payload(self) -> Any:
        """ProposalResponsePayload of the first action. Raises Malformed."""
        return parse(
            proposal_response_pb2.ProposalResponsePayload, self.action_payload.action.proposal_response_payload
        )

    @cached_property
    def action(self) -> Any:
        """ChaincodeAction of the first action. Raises Malformed."""
        return parse(proposal_pb2.ChaincodeAction, self.response_payload.extension)

    @cached_property
    def read_write_sets(self) -> list[tuple[str, Any]]:
        """(namespace, KVRWSet) of the first action. Raises Malformed."""
        results = parse(rwset_pb2.TxReadWriteSet, self.action.results)
        return [(ns.namespace, parse(kv_rwset_pb2.KVRWSet, ns.rwset)) for ns in results.ns_rwset]

    @cached_property
    def function(self) -> str:
        """Chaincode function that the transaction says it ran, "" where that cannot be read."""
        try:
            payload = parse(proposal_pb2.ChaincodeProposalPayload, self.action_payload.chaincode_proposal_payload)
            spec = parse(chaincode_pb2.ChaincodeInvocationSpec, payload.input)
            function: bytes = spec.chaincode_spec.input.args[0]
        except (Malformed, IndexError):
            return ""
        return function.decode("utf-8", "replace")

    @cached_property
    def filtered_actions(self) -> list[Any]:
        """What a filtered block tells of the transaction: the chaincode's events without payload. Raises Malformed."""
        actions = []
        for action in self.body.actions:
            payload = parse(transaction_messages.ChaincodeActionPayload, action.payload)
            if not payload.HasField("action"):
                continue
            response = parse(proposal_response_pb2.ProposalResponsePayload, payload.action.proposal_response_payload)
            event = parse(
                chaincode_event_pb2.ChaincodeEvent, parse(proposal_pb2.ChaincodeAction, response.extension).events
            )
            if event.chaincode_id:
                event.ClearField("payload")
                actions.append(events_pb2.FilteredChaincodeAction(chaincode_event=event))
        return actions


class Block:
    """An ordered block: number, hashes and transactions; without a peer's verdicts."""

    def __init__(self, number: int, previous_hash: bytes, transactions: Sequence[Transaction]) -> None:
        self.number = number
        self.previous_hash = previous_hash
        self.transactions = list(transactions)
        self.data_hash = hashlib.sha256(b"".join(tx.raw for tx in self.transactions)).digest()
        self.header_bytes = _der_sequence(_der_integer(number) + _der(0x04, previous_hash) + _der(0x04, self.data_hash))
        self.hash = hashlib.sha256(self.header_bytes).digest()
        self.signatures = b""

    def message(self, *, verdicts: bytes = b"", commit_hash: bytes = b"") -> Any:
        """The block as protobuf message; `verdicts` is the transaction filter of the committing peer."""
        block = common_pb2.Block()
        block.header.number = self.number
        block.header.previous_hash = self.previous_hash
        block.header.data_hash = self.data_hash
        block.data.data.extend(tx.raw for tx in self.transactions)
        block.metadata.metadata.extend([self.signatures, b"", verdicts, b"", commit_hash])
        return block


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _der_integer(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _der_sequence(content: bytes) -> bytes:
    return _der(0x30, content)
