"""The least that a client can do: the necessary gRPC calls with hfc's messages, and nothing that makes them safe.

Proposals are built and signed ahead of the measurement. There is no check of the peers' answers against each other, no
retry, no second orderer, no answer to a broken connection, and no look at the ledger after the commit event.
"""

import hashlib
import os
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"  # hfc's generated modules need it

import grpc
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hfc.protos.common import common_pb2
from hfc.protos.msp import identities_pb2
from hfc.protos.orderer import ab_pb2
from hfc.protos.peer import chaincode_pb2, events_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

ANSWER_WITHIN = 25.0
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A proposal and its signed form."""

    transaction_id: str
    header: Any
    payload: bytes
    signed: Any


class Client:
    """`network` is `Target.as_json`."""

    def __init__(self, network: dict[str, Any]) -> None:
        identity = network["identity"]
        self._key: Any = serialization.load_pem_private_key(identity["private_key"].encode(), None)
        self._creator = identities_pb2.SerializedIdentity(
            mspid=identity["msp_id"], id_bytes=identity["certificate"].encode()
        ).SerializeToString()
        self._channel, self._chaincode = network["channel"], network["chaincode"]
        credentials = grpc.ssl_channel_credentials(network["tls_roots"].encode())

        def connect(node: dict[str, Any]) -> Any:
            name = node["tls_hostname"]
            options = [("grpc.ssl_target_name_override", name)] if name else []
            return grpc.secure_channel(node["endpoint"], credentials, options)

        peers = [connect(node) for node in network["peers"]]
        self._endorse = [
            peer.unary_unary(
                "/protos.Endorser/ProcessProposal",
                proposal_pb2.SignedProposal.SerializeToString,
                proposal_response_pb2.ProposalResponse.FromString,
            )
            for peer in peers
        ]
        self._broadcast = connect(network["orderers"][0]).unary_unary(
            "/orderer.AtomicBroadcast/Broadcast",
            common_pb2.Envelope.SerializeToString,
            ab_pb2.BroadcastResponse.FromString,
        )
        self._waiting: dict[str, Future[int]] = {}
        self._live = threading.Event()
        self._blocks = peers[0].unary_stream(
            "/protos.Deliver/DeliverFiltered",
            common_pb2.Envelope.SerializeToString,
            events_pb2.DeliverResponse.FromString,
        )(self._seek())
        threading.Thread(target=self._listen, daemon=True).start()

    def prepare(self, function: str, argument: str) -> Prepared:
        """A proposal, built and signed."""
        return self._propose(self._chaincode, function, argument)

    def submit(self, prepared: Prepared) -> None:
        """Returns when the transaction is committed as VALID; raises otherwise."""
        committed = self._waiting[prepared.transaction_id] = Future()
        calls = [endorse.future(prepared.signed, timeout=ANSWER_WITHIN) for endorse in self._endorse]
        answers = [call.result() for call in calls]
        envelope = self._assemble(prepared, answers)
        if not self._live.wait(ANSWER_WITHIN):
            raise RuntimeError("the peer tells of no blocks")
        taken = self._broadcast(envelope, timeout=ANSWER_WITHIN)
        if taken.status != common_pb2.SUCCESS:
            raise RuntimeError(f"the orderer refused: {taken.status} {taken.info}")
        code = committed.result(timeout=ANSWER_WITHIN)
        if code != transaction_pb2.VALID:
            raise RuntimeError(f"the transaction is invalid: {code}")

    def evaluate(self, chaincode: str, function: str, argument: str) -> bytes:
        """What `chaincode` returns at the first peer. Raises grpc.RpcError, and RuntimeError where it refuses."""
        answer = self._endorse[0](self._propose(chaincode, function, argument).signed, timeout=ANSWER_WITHIN)
        if answer.response.status >= 400:
            raise RuntimeError(answer.response.message)
        result: bytes = answer.response.payload
        return result

    def close(self) -> None:
        self._blocks.cancel()

    def _propose(self, chaincode: str, function: str, argument: str) -> Prepared:
        extension = proposal_pb2.ChaincodeHeaderExtension()
        extension.chaincode_id.name = chaincode
        specification = chaincode_pb2.ChaincodeInvocationSpec()
        specification.chaincode_spec.type = chaincode_pb2.ChaincodeSpec.GOLANG
        specification.chaincode_spec.chaincode_id.name = chaincode
        specification.chaincode_spec.input.args.extend([function.encode(), argument.encode()])
        transaction_id, header = self._header(common_pb2.ENDORSER_TRANSACTION, extension.SerializeToString())
        payload = proposal_pb2.ChaincodeProposalPayload(input=specification.SerializeToString()).SerializeToString()
        proposal = proposal_pb2.Proposal(header=header.SerializeToString(), payload=payload).SerializeToString()
        signed = proposal_pb2.SignedProposal(proposal_bytes=proposal, signature=self._sign(proposal))
        return Prepared(transaction_id=transaction_id, header=header, payload=payload, signed=signed)

    def _assemble(self, prepared: Prepared, answers: list[Any]) -> Any:
        action = transaction_pb2.ChaincodeActionPayload(chaincode_proposal_payload=prepared.payload)
        action.action.proposal_response_payload = answers[0].payload
        action.action.endorsements.extend([answer.endorsement for answer in answers])
        transaction = transaction_pb2.Transaction()
        transaction.actions.add(header=prepared.header.signature_header, payload=action.SerializeToString())
        return self._envelope(prepared.header, transaction.SerializeToString())

    def _seek(self) -> Any:
        seek = ab_pb2.SeekInfo()
        seek.start.newest.SetInParent()
        seek.stop.specified.number = 2**64 - 1
        _, header = self._header(common_pb2.DELIVER_SEEK_INFO)
        return self._envelope(header, seek.SerializeToString())

    def _header(self, kind: int, extension: bytes = b"") -> tuple[str, Any]:
        nonce = os.urandom(24)
        transaction_id = hashlib.sha256(nonce + self._creator).hexdigest()
        channel = common_pb2.ChannelHeader(
            type=kind, channel_id=self._channel, tx_id=transaction_id, extension=extension
        )
        channel.timestamp.FromNanoseconds(time.time_ns())
        signature = common_pb2.SignatureHeader(creator=self._creator, nonce=nonce)
        header = common_pb2.Header(
            channel_header=channel.SerializeToString(), signature_header=signature.SerializeToString()
        )
        return transaction_id, header

    def _envelope(self, header: Any, data: bytes) -> Any:
        payload = common_pb2.Payload(header=header, data=data).SerializeToString()
        return common_pb2.Envelope(payload=payload, signature=self._sign(payload))

    def _sign(self, message: bytes) -> bytes:
        r, s = utils.decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return utils.encode_dss_signature(r, min(s, _P256_ORDER - s))

    def _listen(self) -> None:
        try:
            for answer in self._blocks:
                self._live.set()
                for transaction in answer.filtered_block.filtered_transactions:
                    waiting = self._waiting.pop(transaction.txid, None)
                    if waiting:
                        waiting.set_result(transaction.tx_validation_code)
        except grpc.RpcError:
            return
