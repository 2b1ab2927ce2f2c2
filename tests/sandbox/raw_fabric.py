"""A raw Fabric client from hfc's messages, for tests that must see exactly what a network answers.

It hides nothing and repairs nothing; the product's own client is not used, so that both can be held against each other.
"""

from __future__ import annotations

import os

os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")

import contextlib
import hashlib
import json
import queue
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from hfc.protos.common import common_pb2
from hfc.protos.discovery import protocol_pb2, protocol_pb2_grpc
from hfc.protos.orderer import ab_pb2, ab_pb2_grpc
from hfc.protos.peer import (
    chaincode_pb2,
    events_pb2_grpc,
    peer_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from sandbox.fabric import FabricEmulation, Identity

CODE = transaction_pb2.TxValidationCode
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # how long one attempt to connect may take, despite its name
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
]


@dataclass
class Network:
    """Where a network is and who talks to it. `peer_roots` and `orderer_roots` are PEM; `endorsers` are a peer of each
    organisation, which together meet its endorsement policy."""

    peers: list[str]
    orderers: list[str]
    peer_roots: str
    orderer_roots: str
    user: Identity
    channel: str = "mychannel"
    chaincode: str = "ngo"
    emulation: Any = None
    endorsers: tuple[int, ...] = (0,)
    _channels: dict[str, grpc.Channel] = field(default_factory=dict)

    def connect(self, endpoint: str, roots: str) -> grpc.Channel:
        if endpoint not in self._channels:
            credentials = grpc.ssl_channel_credentials(roots.encode())
            self._channels[endpoint] = grpc.secure_channel(endpoint, credentials, OPTIONS)
        return self._channels[endpoint]

    def peer(self, index: int = 0) -> grpc.Channel:
        return self.connect(self.peers[index], self.peer_roots)

    def orderer(self, index: int = 0) -> grpc.Channel:
        return self.connect(self.orderers[index], self.orderer_roots)

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    # The calls

    def endorse(self, proposal: Proposal, *, peer: int = 0, timeout: float = 5, signature: bytes | None = None) -> Any:
        """ProposalResponse. Raises grpc.RpcError."""
        signed = proposal_pb2.SignedProposal(
            proposal_bytes=proposal.bytes,
            signature=proposal.identity.sign(proposal.bytes) if signature is None else signature,
        )
        return peer_pb2_grpc.EndorserStub(self.peer(peer)).ProcessProposal(signed, timeout=timeout)

    def endorsed(self, proposal: Proposal, *, also: Sequence[int] = ()) -> list[Any]:
        """ProposalResponses of a peer of each organisation, and of others."""
        return [self.endorse(proposal, peer=peer) for peer in dict.fromkeys((*self.endorsers, *also))]

    def discover(
        self,
        *queries: Any,
        peer: int = 0,
        identity: Identity | None = None,
        signature: bytes | None = None,
        payload: bytes | None = None,
        **authentication: bytes,
    ) -> Any:
        """The Response to queries. Raises grpc.RpcError."""
        creator = identity or self.user
        request = protocol_pb2.Request(queries=queries)
        request.authentication.client_identity = creator.creator
        for name, value in authentication.items():
            setattr(request.authentication, name, value)
        payload = request.SerializeToString() if payload is None else payload
        signed = protocol_pb2.SignedRequest(
            payload=payload, signature=creator.sign(payload) if signature is None else signature
        )
        return protocol_pb2_grpc.DiscoveryStub(self.peer(peer)).Discover(signed, timeout=5)

    def propose(self, function: str, *args: str | bytes, identity: Identity | None = None, **parts: Any) -> Proposal:
        parts.setdefault("channel", self.channel)
        parts.setdefault("chaincode", self.chaincode)
        return Proposal(identity or self.user, [_bytes(function), *map(_bytes, args)], **parts)

    def query(self, function: str, *args: str | bytes, peer: int = 0, **parts: Any) -> Any:
        return self.endorse(self.propose(function, *args, **parts), peer=peer)

    def transaction(self, tx_id: str, *, peer: int = 0) -> Any:
        """The response to qscc's GetTransactionByID."""
        return self.query("GetTransactionByID", self.channel, tx_id, peer=peer, chaincode="qscc")

    def code(self, tx_id: str, *, peer: int = 0) -> str:
        """Validation code's name as qscc tells it."""
        response = self.transaction(tx_id, peer=peer).response
        assert response.status == 200, response.message
        return code_name(transaction_pb2.ProcessedTransaction.FromString(response.payload).validationCode)

    def broadcast(self, *envelopes: Any, orderer: int = 0, timeout: float = 5) -> list[Any]:
        """One BroadcastResponse an envelope, all sent on one stream. Raises grpc.RpcError."""
        stub = ab_pb2_grpc.AtomicBroadcastStub(self.orderer(orderer))
        return list(stub.Broadcast(iter(envelopes), timeout=timeout))

    def submit(self, proposal: Proposal, *, peers: Sequence[int] = (0,)) -> str:
        """Endorses there and at the endorsers, orders and waits for the commit at each. The validation code's name."""
        responses = self.endorsed(proposal, also=peers)
        for response in responses:
            assert response.response.status == 200, response.response.message
        return self.order(proposal, envelope(proposal, responses), peers=peers)

    def order(self, proposal: Proposal, signed: Any, *, tx_id: str | None = None, peers: Sequence[int] = (0,)) -> str:
        """Broadcasts an envelope and waits for its block, there and at the endorsers. The validation code's name of its
        last occurrence."""
        peers = list(dict.fromkeys((*peers, *self.endorsers)))
        from_block = [self.height(peer) for peer in peers]
        (answer,) = self.broadcast(signed)
        assert answer.status == common_pb2.SUCCESS, answer
        found = [
            self.wait_for(tx_id if tx_id is not None else proposal.tx_id, start=start, peer=peer)
            for peer, start in zip(peers, from_block, strict=True)
        ]
        assert len(set(found)) == 1
        return found[0]

    def height(self, peer: int = 0) -> int:
        from hfc.protos.common import ledger_pb2

        response = self.query("GetChainInfo", self.channel, peer=peer, chaincode="qscc").response
        assert response.status == 200, response.message
        return ledger_pb2.BlockchainInfo.FromString(response.payload).height

    def wait_for(self, tx_id: str, *, start: int, peer: int = 0, timeout: float = 10) -> str:
        """Validation code's name of the transaction in the first block from `start` that has it."""
        with self.deliver(seek_info(start, None), full=True, peer=peer, timeout=timeout) as stream:
            for message in stream:
                assert message.WhichOneof("Type") == "block", message
                for place, data in enumerate(message.block.data.data):
                    if _tx_id(data) == tx_id:
                        return code_name(message.block.metadata.metadata[2][place])
        raise AssertionError("the stream ended")

    @contextlib.contextmanager
    def deliver(
        self,
        *seeks: Any,
        full: bool = False,
        peer: int | None = 0,
        orderer: int | None = None,
        timeout: float = 5,
        signed: Any = None,
    ) -> Iterator[Any]:
        """A stream of DeliverResponses for SeekInfos, or for the one envelope `signed`. Cancelled on leaving."""
        requests: queue.Queue[Any] = queue.Queue()
        for request in [signed] if signed else [seek_envelope(self.user, self.channel, seek) for seek in seeks]:
            requests.put(request)
        if orderer is not None:
            method = ab_pb2_grpc.AtomicBroadcastStub(self.orderer(orderer)).Deliver
        else:
            stub = events_pb2_grpc.DeliverStub(self.peer(peer or 0))
            method = stub.Deliver if full else stub.DeliverFiltered
        call = method(iter(requests.get, None), timeout=timeout)
        try:
            yield call
        finally:
            requests.put(None)
            call.cancel()


def of(emulation: FabricEmulation) -> Network:
    """The raw client's view of an emulation, with a user enrolled."""
    roots = emulation.tls_roots_pem
    return Network(
        [peer.endpoint for peer in emulation.peers],
        [orderer.endpoint for orderer in emulation.orderers],
        roots,
        roots,
        emulation.enroll("user"),
        channel=emulation.channel,
        emulation=emulation,
        endorsers=tuple(
            next(peer.index for peer in emulation.peers if peer.msp_id == msp_id) for msp_id in emulation.msp_ids
        ),
    )


def from_profile(profile: dict[str, Any], msp: Path) -> Network:
    """The raw client's view of a network described by a connection profile, as the user of an MSP folder."""

    def roots(node: dict[str, Any]) -> str:
        given = node["tlsCACerts"]
        return str(given["pem"]) if "pem" in given else Path(given["path"]).read_text()

    def nodes(kind: str) -> tuple[list[str], str]:
        found = list(profile[kind].values())
        return [node["url"].removeprefix("grpcs://") for node in found], "\n".join(dict.fromkeys(map(roots, found)))

    peers, peer_roots = nodes("peers")
    orderers, orderer_roots = nodes("orderers")
    organization = profile["organizations"][profile["client"]["organization"]]
    user = Identity(
        organization["mspid"],
        next((msp / "signcerts").iterdir()).read_text(),
        next((msp / "keystore").iterdir()).read_text(),
    )
    names = list(profile["peers"])
    return Network(
        peers,
        orderers,
        peer_roots,
        orderer_roots,
        user,
        channel=next(iter(profile["channels"])),
        endorsers=tuple(names.index(each["peers"][0]) for each in profile["organizations"].values()),
    )


class Proposal:
    """A proposal with every part open to change."""

    def __init__(
        self,
        identity: Identity,
        args: Sequence[bytes],
        *,
        channel: str,
        chaincode: str,
        nonce: bytes | None = None,
        tx_id: str | None = None,
        type: int = common_pb2.ENDORSER_TRANSACTION,
        epoch: int = 0,
        extension: bool = True,
        transient: bytes | None = None,
    ) -> None:
        self.identity = identity
        self.nonce = os.urandom(24) if nonce is None else nonce
        self.tx_id = hashlib.sha256(self.nonce + identity.creator).hexdigest() if tx_id is None else tx_id
        spec = chaincode_pb2.ChaincodeInvocationSpec()
        spec.chaincode_spec.type = chaincode_pb2.ChaincodeSpec.NODE
        spec.chaincode_spec.chaincode_id.name = chaincode
        spec.chaincode_spec.input.args.extend(args)
        channel_header = common_pb2.ChannelHeader(type=type, channel_id=channel, tx_id=self.tx_id, epoch=epoch)
        channel_header.timestamp.FromNanoseconds(time.time_ns())
        if extension:
            header_extension = proposal_pb2.ChaincodeHeaderExtension()
            header_extension.chaincode_id.name = chaincode
            channel_header.extension = header_extension.SerializeToString()
        self.header = common_pb2.Header(
            channel_header=channel_header.SerializeToString(),
            signature_header=common_pb2.SignatureHeader(creator=identity.creator, nonce=self.nonce).SerializeToString(),
        )
        self.visible_payload = proposal_pb2.ChaincodeProposalPayload(input=spec.SerializeToString()).SerializeToString()
        payload = proposal_pb2.ChaincodeProposalPayload(input=spec.SerializeToString())
        if transient is not None:
            payload.TransientMap.add(key="secret", value=transient)  # hfc's old-style map is a list of entries
        self.payload = payload.SerializeToString()
        self.bytes = proposal_pb2.Proposal(
            header=self.header.SerializeToString(), payload=self.payload
        ).SerializeToString()


def transaction_payload(
    proposal: Proposal,
    responses: Sequence[Any],
    *,
    endorsements: Sequence[Any] | None = None,
    response_payload: bytes | None = None,
    proposal_payload: bytes | None = None,
    header: Any = None,
    actions: int = 1,
    data: bytes | None = None,
) -> bytes:
    """Payload of a transaction envelope, by default the honest one."""
    action = transaction_pb2.ChaincodeActionPayload()
    action.action.proposal_response_payload = responses[0].payload if response_payload is None else response_payload
    action.action.endorsements.extend(
        [response.endorsement for response in responses] if endorsements is None else endorsements
    )
    action.chaincode_proposal_payload = proposal.visible_payload if proposal_payload is None else proposal_payload
    transaction = transaction_pb2.Transaction()
    for _ in range(actions):
        transaction.actions.add(header=proposal.header.signature_header, payload=action.SerializeToString())
    payload = common_pb2.Payload(data=transaction.SerializeToString() if data is None else data)
    payload.header.CopyFrom(header or proposal.header)
    return payload.SerializeToString()


def envelope(proposal: Proposal, responses: Sequence[Any], *, signature: bytes | None = None, **changes: Any) -> Any:
    """Signed transaction envelope."""
    payload = transaction_payload(proposal, responses, **changes)
    return sealed(proposal.identity, payload, signature=signature)


def sealed(identity: Identity, payload: bytes, *, signature: bytes | None = None) -> Any:
    return common_pb2.Envelope(payload=payload, signature=identity.sign(payload) if signature is None else signature)


def changed_response(response: Any, change: Any) -> bytes:
    """The response's payload after `change(ProposalResponsePayload, ChaincodeAction)`, endorsement left as it was."""
    payload = proposal_response_pb2.ProposalResponsePayload.FromString(response.payload)
    action = proposal_pb2.ChaincodeAction.FromString(payload.extension)
    change(payload, action)
    payload.extension = action.SerializeToString()
    return payload.SerializeToString()


def seek_info(start: int | str | None, stop: int | str | None, *, fail_if_not_ready: bool = False) -> Any:
    """Positions: a block number, "oldest", "newest"; None for stop means no end; "absent" leaves the field out."""
    seek = ab_pb2.SeekInfo(behavior=ab_pb2.SeekInfo.FAIL_IF_NOT_READY if fail_if_not_ready else 0)
    for position, value in ((seek.start, start), (seek.stop, 2**64 - 1 if stop is None else stop)):
        if value == "oldest":
            position.oldest.SetInParent()
        elif value == "newest":
            position.newest.SetInParent()
        elif value != "absent":
            position.specified.number = value
            position.specified.SetInParent()
    return seek


def seek_envelope(
    identity: Identity,
    channel: str,
    seek: Any,
    *,
    signature: bytes | None = None,
    age: float = 0,
    timestamp: bool = True,
) -> Any:
    header = common_pb2.ChannelHeader(type=common_pb2.DELIVER_SEEK_INFO, channel_id=channel)
    if timestamp:
        header.timestamp.FromNanoseconds(time.time_ns() - int(age * 1e9))
    payload = common_pb2.Payload(data=seek.SerializeToString())
    payload.header.channel_header = header.SerializeToString()
    payload.header.signature_header = common_pb2.SignatureHeader(
        creator=identity.creator, nonce=os.urandom(24)
    ).SerializeToString()
    return sealed(identity, payload.SerializeToString(), signature=signature)


def code_name(code: int) -> str:
    return CODE.Name(code) if code in CODE.values() else str(code)


def codes(message: Any) -> list[tuple[str, str]]:
    """(transaction id, validation code's name) of a filtered block."""
    return [(tx.txid, code_name(tx.tx_validation_code)) for tx in message.filtered_block.filtered_transactions]


def donor(name: str, **fields: str) -> str:
    return json.dumps({"donorUserName": name, "email": f"{name}@example.org", **fields})


def unused_name() -> str:
    return "t" + os.urandom(6).hex()


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _tx_id(data: bytes) -> str:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(data).payload)
    return common_pb2.ChannelHeader.FromString(payload.header.channel_header).tx_id
