"""Builds, signs and reads Fabric's messages. The only module that imports hfc; nothing outside it sees a protobuf.

Of hfc this uses the messages (`hfc.protos`), the builders (`hfc.util.utils`, `hfc.protos.utils`) and the crypto suite
(`hfc.util.crypto`). Never `hfc.fabric`, whose client loses commit events and needs dead packages. Text is encoded as
UTF-8 here, since hfc's own conversion is latin-1.
"""

import datetime
import hashlib
import importlib.util
import os
import sys
import time
import types
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ..identity import Identity
from ..submission import creator as serialized_creator
from ..submission import transaction_id as compute_transaction_id
from .interface import Call, FoundTransaction, TransactionStatus

# hfc's generated modules are older than protobuf's C implementation accepts.
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
# hfc.util.crypto imports these two for an encryption that Fabric's protocol does not use. Bundles leave them out: hkdf
# has no wheel, and loading Cryptodome takes longer than the rest of hfc.
if importlib.util.find_spec("hkdf") is None:
    sys.modules["hkdf"] = types.SimpleNamespace(Hkdf=None)  # type: ignore[assignment]
if importlib.util.find_spec("Cryptodome") is None:
    sys.modules["Cryptodome"] = types.SimpleNamespace(Random=None)  # type: ignore[assignment]
    sys.modules["Cryptodome.Cipher"] = types.SimpleNamespace(AES=None)  # type: ignore[assignment]

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hfc.protos import utils as protos_utils
from hfc.protos.common import common_pb2
from hfc.protos.ledger.rwset import rwset_pb2
from hfc.protos.msp import identities_pb2
from hfc.protos.orderer import ab_pb2
from hfc.protos.peer import (
    chaincode_pb2,
    events_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from hfc.util import utils as hfc_utils
from hfc.util.crypto.crypto import ecies

PROCESS_PROPOSAL = "/protos.Endorser/ProcessProposal"
DELIVER_FILTERED = "/protos.Deliver/DeliverFiltered"
BROADCAST = "/orderer.AtomicBroadcast/Broadcast"
DISCOVER = "/discovery.Discovery/Discover"

_LAST_BLOCK = 2**64 - 1


class Unreadable(Exception):
    """A node answered with bytes that are not the message they should be."""


class Signer:
    """Signs as one identity. Raises ValueError where the key is not a PEM key on a curve that Fabric knows."""

    def __init__(self, identity: Identity) -> None:
        try:
            key = load_pem_private_key(identity.private_key.encode(), password=None)
        except (TypeError, UnsupportedAlgorithm) as error:  # encrypted, or of an unknown kind
            raise ValueError(str(error)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the private key of a Fabric identity must be an elliptic curve key")
        self.creator = serialized_creator(identity.msp_id, identity.certificate)
        self._key = key
        self._suite = ecies(security_level=key.curve.key_size)
        # Fabric hashes with SHA-256 whatever the curve (getHashOpt in fabric/msp); hfc would take SHA-384 for P-384.
        self._suite.sign_hash_algorithm = hashes.SHA256()

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature in DER, its S in the lower half of the order as Fabric demands."""
        signature: bytes = self._suite.sign(self._key, message)
        return signature


@lru_cache(maxsize=16)
def signer(identity: Identity) -> Signer:
    """The signer of `identity`, its key parsed once."""
    return Signer(identity)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A proposal ready to be sent: `signed` are the bytes for the peers; `parts` stay within this module."""

    transaction_id: str
    signed: bytes
    parts: Any


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A peer's answer to a proposal.

    `status` is the chaincode's, or 500 from the peer itself; `payload` are the bytes that the peer signed and that all
    peers must agree on; `endorsed` says whether there is a signature. `endorser` is the peer's identity as it signed,
    and `msp_id` its organisation, empty if the peer did not sign.
    """

    status: int
    message: str
    result: bytes
    payload: bytes
    endorsed: bool
    endorsement: Any
    endorser: bytes
    msp_id: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """A filtered block: its number, and the validation code's name by transaction id."""

    number: int
    codes: dict[str, str]


def propose(identity: Identity, channel: str, chaincode: str, call: Call, nonce: bytes) -> Proposal:
    """Build and sign the proposal of `call`. `nonce` and the identity decide the transaction id."""
    signing = signer(identity)
    transaction_id = compute_transaction_id(nonce, signing.creator)

    extension = proposal_pb2.ChaincodeHeaderExtension()
    extension.chaincode_id.name = chaincode
    header = hfc_utils.build_header(
        signing.creator,
        hfc_utils.build_channel_header(
            common_pb2.ENDORSER_TRANSACTION,
            transaction_id,
            channel,
            _now(),
            extension=extension.SerializeToString(),
        ),
        nonce,
    )

    invocation = chaincode_pb2.ChaincodeInvocationSpec()
    invocation.chaincode_spec.type = chaincode_pb2.ChaincodeSpec.GOLANG
    invocation.chaincode_spec.chaincode_id.name = chaincode
    invocation.chaincode_spec.input.args.extend([call.function.encode(), *(a.encode() for a in call.arguments)])
    proposal = hfc_utils.build_cc_proposal(invocation, header, None)
    signed = hfc_utils.sign_proposal(signing, proposal)
    return Proposal(transaction_id=transaction_id, signed=signed.SerializeToString(), parts=(signing, header, proposal))


def read_answer(data: bytes) -> Answer:
    """Read a ProposalResponse. Raises Unreadable."""
    response = _parse(proposal_response_pb2.ProposalResponse, data)
    return Answer(
        status=response.response.status,
        message=response.response.message,
        result=response.response.payload,
        payload=response.payload,
        endorsed=bool(response.endorsement.signature),
        endorsement=response.endorsement,
        endorser=response.endorsement.endorser,
        msp_id=_msp_id(response.endorsement.endorser),
    )


def assemble(proposal: Proposal, answers: Sequence[Answer]) -> bytes:
    """The signed envelope of a proposal and its matching endorsements, as bytes for an orderer."""
    return _envelope(proposal, answers[0].payload, [answer.endorsement for answer in answers])


def assemble_unendorsed(proposal: Proposal) -> bytes:
    """The signed envelope of a transaction that the ledger keeps as invalid: well formed, but endorsed by no peer and
    without its chaincode's version, which Fabric refuses before it asks any endorsement policy."""
    _, header, message = proposal.parts
    extension = _parse(common_pb2.ChannelHeader, header.channel_header).extension
    payload = proposal_response_pb2.ProposalResponsePayload()
    hashed = header.channel_header + header.signature_header + message.payload
    payload.proposal_hash = hashlib.sha256(hashed).digest()
    action = proposal_pb2.ChaincodeAction()
    action.response.status = 200
    action.results = rwset_pb2.TxReadWriteSet().SerializeToString()
    action.chaincode_id.CopyFrom(_parse(proposal_pb2.ChaincodeHeaderExtension, extension).chaincode_id)
    payload.extension = action.SerializeToString()
    return _envelope(proposal, payload.SerializeToString(), ())


def read_broadcast_answer(data: bytes) -> tuple[str, str]:
    """Read a BroadcastResponse: the status's name, such as SUCCESS or SERVICE_UNAVAILABLE, and the orderer's text."""
    response = _parse(ab_pb2.BroadcastResponse, data)
    return _status_name(response.status), response.info


def seek(identity: Identity, channel: str, start: int | None) -> bytes:
    """The signed envelope that asks a peer for all filtered blocks from `start` on, or from its newest block on."""
    signing = signer(identity)
    nonce = os.urandom(24)
    header = hfc_utils.build_header(
        signing.creator,
        hfc_utils.build_channel_header(
            common_pb2.DELIVER_SEEK_INFO, compute_transaction_id(nonce, signing.creator), channel, _now()
        ),
        nonce,
    )
    payload = protos_utils.create_seek_payload(header, protos_utils.create_seek_info(start, _LAST_BLOCK))
    envelope: bytes = hfc_utils.sign_tran_payload(signing, payload).SerializeToString()
    return envelope


def read_delivery(data: bytes) -> Block | str:
    """Read a DeliverResponse: a block, or the name of the status with which the peer ends the stream."""
    response = _parse(events_pb2.DeliverResponse, data)
    if response.WhichOneof("Type") != "filtered_block":
        return _status_name(response.status)
    block = response.filtered_block
    return Block(
        number=block.number, codes=_codes((t.txid, t.tx_validation_code) for t in block.filtered_transactions if t.txid)
    )


def read_processed_transaction(data: bytes) -> FoundTransaction:
    """Read qscc's answer to GetTransactionByID. Raises Unreadable."""
    processed = _parse(transaction_pb2.ProcessedTransaction, data)
    return _transaction(processed.transactionEnvelope, processed.validationCode)


def read_valid_transaction(data: bytes, transaction_id: str) -> FoundTransaction | None:
    """Read qscc's answer to GetBlockByTxID: the transaction of that id in the block that is VALID, if one is. Raises
    Unreadable."""
    for code, envelope in _transactions(_parse(common_pb2.Block, data)):
        if _code_name(code) == "VALID":
            found = _transaction(envelope, code)
            if found.transaction_id == transaction_id:
                return found
    return None


def read_status(data: bytes, transaction_id: str) -> TransactionStatus:
    """Read qscc's answer to GetBlockByTxID: the status of that id, of which VALID outweighs all others. Raises
    Unreadable."""
    block = _parse(common_pb2.Block, data)
    found: TransactionStatus | None = None
    for code, envelope in _transactions(block):
        header = _channel_header(_parse(common_pb2.Payload, envelope.payload))
        if header.tx_id == transaction_id and (found is None or _code_name(code) == "VALID"):
            found = TransactionStatus(
                transaction_id=transaction_id,
                code=_code_name(code),
                block_number=block.header.number,
                timestamp=_time(header.timestamp),
            )
    if found is None:
        raise Unreadable("not the block of this transaction")
    return found


def _transactions(block: Any) -> Iterator[tuple[int, Any]]:
    filters = block.metadata.metadata[common_pb2.TRANSACTIONS_FILTER :]
    if not filters or len(filters[0]) != len(block.data.data):
        raise Unreadable("not a block with a code for each transaction")
    for code, envelope in zip(filters[0], block.data.data, strict=True):
        yield code, _parse(common_pb2.Envelope, envelope)


def _channel_header(payload: Any) -> Any:
    return _parse(common_pb2.ChannelHeader, payload.header.channel_header)


def _transaction(envelope: Any, code: int) -> FoundTransaction:
    payload = _parse(common_pb2.Payload, envelope.payload)
    header = _channel_header(payload)
    arguments: list[bytes] = []
    chaincode = ""
    actions = _parse(transaction_pb2.Transaction, payload.data).actions
    if actions:
        action = _parse(transaction_pb2.ChaincodeActionPayload, actions[0].payload)
        proposal = _parse(proposal_pb2.ChaincodeProposalPayload, action.chaincode_proposal_payload)
        specification = _parse(chaincode_pb2.ChaincodeInvocationSpec, proposal.input).chaincode_spec
        chaincode = specification.chaincode_id.name
        arguments = list(specification.input.args)
    return FoundTransaction(
        transaction_id=header.tx_id,
        code=_code_name(code),
        chaincode=chaincode,
        function=arguments[0].decode(errors="replace") if arguments else "",
        arguments=tuple(arguments[1:]),
    )


def _envelope(proposal: Proposal, payload: bytes, endorsements: Sequence[Any]) -> bytes:
    signing, header, message = proposal.parts
    request = hfc_utils.build_tx_req(([types.SimpleNamespace(payload=payload)], message, header))
    transaction = protos_utils.create_tx_payload(endorsements, request)
    envelope: bytes = hfc_utils.sign_tran_payload(signing, transaction).SerializeToString()
    return envelope


def _codes(pairs: Any) -> dict[str, str]:
    """One code a transaction id. Fabric lets an id that failed its checks come again, and be VALID, in the same block
    (markTXIdDuplicates in fabric/core/committer counts only ids that passed), so that VALID outweighs all others."""
    codes: dict[str, str] = {}
    for transaction_id, number in pairs:
        code = _code_name(number)
        if code == "VALID" or codes.get(transaction_id) in (None, "DUPLICATE_TXID"):
            codes[transaction_id] = code
    return codes


def _code_name(number: int) -> str:
    try:
        name: str = transaction_pb2.TxValidationCode.Name(number)
    except ValueError:  # hfc's list is older than INVALID_CHAINCODE
        return "INVALID_CHAINCODE" if number == 25 else f"CODE_{number}"
    return name


def _status_name(number: int) -> str:
    try:
        name: str = common_pb2.Status.Name(number)
    except ValueError:
        return f"STATUS_{number}"
    return name


def _parse(message_type: Any, data: bytes) -> Any:
    message = message_type()
    try:
        message.ParseFromString(data)
    except (DecodeError, IndexError, UnicodeDecodeError) as error:  # the Python implementation raises all three
        raise Unreadable(f"not a {message_type.__name__}") from error
    return message


def _time(timestamp: Any) -> datetime.datetime | None:
    try:
        time: datetime.datetime = timestamp.ToDatetime(tzinfo=datetime.UTC)
    except (OverflowError, ValueError):
        return None
    return time


def _now() -> Any:
    timestamp = Timestamp()
    timestamp.FromNanoseconds(time.time_ns())
    return timestamp


@dataclass(frozen=True, kw_only=True)
class Discovered:
    """What a peer's service discovery says about a chaincode.

    `layouts`: each is a number of endorsing peers by MSP id that meets the endorsement policy; only those that the peer
    knows enough live peers for, and none if there is no such layout. `members`: how many live peers with the chaincode
    it knows, by MSP id; empty if it did not say. `refusal`: its words if it gave no layouts. Like answers are equal.
    """

    layouts: tuple[Mapping[str, int], ...] = ()
    members: Mapping[str, int] = field(default_factory=dict)
    refusal: str = ""


def discover(identity: Identity, channel: str, chaincode: str) -> bytes:
    """The signed request that asks a peer's service discovery for the chaincode's endorsement policy and peers."""
    signing = signer(identity)
    interest = _field(1, _field(1, _field(1, chaincode.encode())))
    # No TLS certificate's hash: Fabric 2.2 to 3.1 do not compare it (NewService in fabric/discovery keeps no config).
    request = _field(1, _field(1, signing.creator))
    for query in (_field(4, interest), _field(3, interest)):
        request += _field(2, _field(1, channel.encode()) + query)
    return _field(1, request) + _field(2, signing.sign(request))


def read_discovered(data: bytes) -> Discovered:
    """Read the answer to `discover`. Raises Unreadable."""
    results = _values(data, 1)
    if len(results) != 2:
        raise Unreadable("not an answer to both questions")
    policy, peers = results
    members = {
        msp_id.decode(errors="replace"): len(_values(known, 1))
        for result in _values(peers, 4)
        for msp_id, known in _entries(result, 1)
    }
    found = [each for result in _values(policy, 3) for each in _layouts(_value(result, 1))]
    layouts = sorted(found, key=lambda layout: sorted(layout.items()))
    refusal = "" if layouts else _value(_value(policy, 1), 1).decode(errors="replace") or "no layouts"
    return Discovered(layouts=tuple(layouts), members={each: n for each, n in members.items() if n}, refusal=refusal)


def _layouts(descriptor: bytes) -> Iterator[Mapping[str, int]]:
    # A group stands for one principal of the policy, so that its peers are of one organisation.
    organizations = {group: _msp_id(_value(_value(peers, 1), 3)) for group, peers in _entries(descriptor, 2)}
    for layout in _values(descriptor, 3):
        needed: Counter[str] = Counter()
        for entry in _values(layout, 1):
            group, quantity = _value(entry, 1), dict(_fields(entry)).get(2, 0)
            if not (organizations.get(group) and isinstance(quantity, int)):
                raise Unreadable("a layout of an unknown group")
            needed[organizations[group]] += quantity
        yield dict(needed)


# The messages of service discovery are taken apart here: hfc's need those of gossip, whose loading would add a tenth to
# the time of a cold start.


def _field(number: int, value: bytes) -> bytes:
    size, length = len(value), b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message of numbers, texts, bytes and messages."""
    position = 0
    while position < len(data):
        tag, position = _number(data, position)
        value, position = _number(data, position)
        if tag & 7 == 0:
            yield tag >> 3, value
        elif tag & 7 == 2 and position + value <= len(data):
            yield tag >> 3, data[position : position + value]
            position += value
        else:
            raise Unreadable("not a message of service discovery")


def _number(data: bytes, position: int) -> tuple[int, int]:
    """The number at a place, and the place after it."""
    value = 0
    for place, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, position + place + 1
    raise Unreadable("not a message of service discovery")


def _values(data: bytes, number: int) -> list[bytes]:
    return [value for found, value in _fields(data) if found == number and isinstance(value, bytes)]


def _value(data: bytes, number: int) -> bytes:
    return next(reversed(_values(data, number)), b"")


def _entries(data: bytes, number: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and messages of a map."""
    for entry in _values(data, number):
        yield _value(entry, 1), _value(entry, 2)


@lru_cache(maxsize=256)
def _msp_id(serialized: bytes) -> str:
    """The MSP id in a serialized identity. Raises Unreadable."""
    msp_id: str = _parse(identities_pb2.SerializedIdentity, serialized).mspid
    return msp_id
