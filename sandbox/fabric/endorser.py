"""Endorsement: the checks on a proposal, the simulation of chaincode, and the signed answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import grpc
from hfc.protos.msp import identities_pb2
from hfc.protos.peer import chaincode_event_pb2, chaincode_pb2, proposal_pb2, proposal_response_pb2

from sandbox.fabric import qscc
from sandbox.fabric.chaincode import Chaincode, ChaincodeError, NoAnswer, Stub
from sandbox.fabric.faults import resolve
from sandbox.fabric.messages import (
    CONFIG,
    ENDORSER_TRANSACTION,
    HeaderType,
    Malformed,
    Proposal,
    Unreadable,
    parse,
    serialized,
    transaction_id,
)
from sandbox.fabric.msp import Identity, Member, Membership, NotAMember, expired

if TYPE_CHECKING:
    from sandbox.fabric.peer import Peer

logger = logging.getLogger(__name__)

Shim = Literal["2.2.3", "2.4.2", "2.5.8"]
CHAINCODE_VERSION = "1.0"
_POLICY_REFUSES = (
    "Failed evaluating policy on signed data during check policy on channel [{channel}] with policy "
    "[/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies were satisfied, but this "
    "policy requires 1 of the 'Writers' sub-policies to be satisfied]"
)


class _Failed(Exception):
    """Answered as status 500 with this message, without endorsement."""


class ChaincodeProcess:
    """The process that runs the chaincode for all peers."""

    def __init__(self) -> None:
        self.down = False


class Endorser:
    """The endorsing side of one peer."""

    def __init__(
        self,
        *,
        channel: str,
        orgs: frozenset[str],
        membership: Membership,
        identity: Identity,
        chaincodes: Mapping[str, Chaincode],
        process: ChaincodeProcess,
        execute_timeout: float,
    ) -> None:
        self._channel = channel
        self._orgs = orgs
        self._membership = membership
        self._identity = identity
        self._chaincodes = chaincodes
        self._process = process
        self._execute_timeout = execute_timeout

    async def process(self, raw: bytes, context: Any, peer: Peer) -> bytes:
        """The serialized ProposalResponse; refusals of form and access abort with gRPC UNKNOWN, as Fabric's do."""
        try:
            proposal = Proposal(raw)
            if expired(proposal.creator):
                raise Malformed("proposal client identity expired")
            proposal.unpack()
        except Unreadable as error:
            await context.abort(grpc.StatusCode.INTERNAL, str(error))
            raise
        except Malformed as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
            raise
        if proposal.channel and (proposal.channel != self._channel or not peer.joined):
            return _response(500, f"channel '{proposal.channel}' not found")
        refusal = self._refusal(proposal, peer)
        if refusal:
            await context.abort(grpc.StatusCode.UNKNOWN, refusal)
        try:
            return await self._endorse(proposal, context, peer)
        except _Failed as error:
            return _response(500, str(error))

    def _refusal(self, proposal: Proposal, peer: Peer) -> str | None:
        header = proposal.channel_header
        if header.type not in (ENDORSER_TRANSACTION, CONFIG):
            name = HeaderType.Name(header.type) if header.type in HeaderType.values() else str(header.type)
            return f"error validating proposal: invalid header type {name}"
        if header.epoch:
            return "error validating proposal: epoch is non-zero"
        if not proposal.nonce:
            return "error validating proposal: nonce is empty"
        if not proposal.creator:
            return "error validating proposal: creator is empty"
        expected = transaction_id(proposal.nonce, proposal.creator)
        if proposal.tx_id != expected:
            return f"error validating proposal: incorrectly computed txid '{proposal.tx_id}' -- expected '{expected}'"
        if not proposal.signature:
            return "error validating proposal: empty signature bytes"
        try:
            member = self._membership.member(proposal.creator)
            if not member.signed(proposal.proposal_bytes, proposal.signature):
                raise NotAMember("the signature is not the creator's")
        except NotAMember:
            msp_id = _msp_id(proposal.creator)
            if msp_id is None:
                reason = f"channel [{proposal.channel}] creator org unknown, creator is malformed"
            else:
                reason = f"channel [{proposal.channel}] creator org [{msp_id}]"
            return f"error validating proposal: access denied: {reason}"
        if not proposal.channel:
            return None
        if peer.ledger.find(proposal.tx_id):
            return f"duplicate transaction found [{proposal.tx_id}]. Creator [{proposal.creator.hex()}]"
        if proposal.chaincode != "qscc" and not self.writes(member):
            return _POLICY_REFUSES.format(channel=proposal.channel)
        return None

    def reads(self, msp_id: str, role: str) -> bool:
        """Whether the channel's Readers policy for applications admits this role."""
        return msp_id in self._orgs and role in ("admin", "peer", "client")

    def writes(self, member: Member) -> bool:
        """Whether the channel's Writers policy for applications admits this member."""
        return member.msp_id in self._orgs and member.role in ("client", "admin")

    async def _endorse(self, proposal: Proposal, context: Any, peer: Peer) -> bytes:
        chaincode = self._chaincodes.get(proposal.chaincode)
        is_query = proposal.chaincode == "qscc" or (chaincode is not None and proposal.function in chaincode.queries)
        before = "query" if is_query else "before-endorsement"
        status = await peer.meet(before, context, lambda: {proposal.function})  # type: ignore[arg-type]
        if status is not None:
            return _response(status, "a placed fault")
        if proposal.chaincode == "qscc":
            return self._query_ledger(proposal, peer)
        undefined = (
            f"make sure the chaincode {proposal.chaincode} has been successfully defined on channel "
            f"{proposal.channel} and try again: "
        )
        if not proposal.channel:
            raise _Failed(undefined + "could not get channel config for channel ''")
        if chaincode is None:
            raise _Failed(undefined + f"chaincode {proposal.chaincode} not found")
        answer = await self._simulate(proposal, chaincode, peer)
        if not is_query:
            status = await peer.meet("after-endorsement", context, lambda: {proposal.function})
            if status is not None:
                return _response(status, "a placed fault")
        return answer

    def _query_ledger(self, proposal: Proposal, peer: Peer) -> bytes:
        member = self._membership.member(proposal.creator)
        reader = self.reads(member.msp_id, member.role)
        try:
            payload = qscc.answer(proposal.args, peer.ledger, self._channel, reader=reader)
        except qscc.QueryRefused as error:
            response = proposal_response_pb2.Response(status=500, message=str(error))
        else:
            response = proposal_response_pb2.Response(status=200, payload=payload)
        if not proposal.channel:
            return serialized(proposal_response_pb2.ProposalResponse(response=response))
        return self._answer(proposal, response, results=b"", events=b"", version="syscc")

    async def _simulate(self, proposal: Proposal, chaincode: Chaincode, peer: Peer) -> bytes:
        status = await self._chaincode_fault(proposal, peer)
        if status is not None:
            response = proposal_response_pb2.Response(status=status)
            return self._answer(proposal, response, results=b"", events=b"", version=CHAINCODE_VERSION)
        stub = Stub(
            peer.ledger.state,
            namespace=proposal.chaincode,
            channel=self._channel,
            tx_id=proposal.tx_id,
            creator=proposal.creator,
        )
        try:
            payload = chaincode.invoke(stub, proposal.function, proposal.args[1:])
        except NoAnswer:
            await self._time_out(proposal)
            raise
        except ChaincodeError as error:
            if peer.shim == "2.4.2":
                await self._time_out(proposal)
            if peer.shim == "2.5.8":
                response = proposal_response_pb2.Response(status=500)
                return self._answer(proposal, response, results=b"", events=b"", version=CHAINCODE_VERSION)
            text = f"error in simulation: transaction returned with failure: {error.kind}: {error}"
            raise _Failed(text) from error
        except Exception as error:  # a fault of the chaincode itself, whatever it is: its process dies of it
            logger.exception("chaincode %s failed in %s", proposal.chaincode, proposal.function)
            raise _Failed(_not_sent(proposal, "chaincode stream terminated")) from error
        if peer.diverges:
            stub.diverge()
        events = b""
        if stub.event:
            name, content = stub.event
            events = chaincode_event_pb2.ChaincodeEvent(
                chaincode_id=proposal.chaincode, tx_id=proposal.tx_id, event_name=name, payload=content
            ).SerializeToString()
        response = proposal_response_pb2.Response(status=200, payload=payload)
        return self._answer(proposal, response, results=stub.results(), events=events, version=CHAINCODE_VERSION)

    async def _chaincode_fault(self, proposal: Proposal, peer: Peer) -> int | None:
        if self._process.down:
            raise _Failed(_chaincode_down(proposal))
        fault = peer.faults.take("chaincode", peer.index, lambda: {proposal.function}) if peer.faults.any else None
        action = await resolve(fault) if fault else None
        if fault is None or action is None:
            return None
        if action == "refuse":
            raise _Failed(_chaincode_down(proposal))
        if action == "reset":
            raise _Failed(_not_sent(proposal, "chaincode stream terminated"))
        if action == "hang":
            try:
                await asyncio.wait_for(fault.held(), self._execute_timeout)
            except TimeoutError:
                raise _Failed(_not_sent(proposal, "timeout expired while executing transaction")) from None
            return None
        return int(action)  # type: ignore[arg-type]

    async def _time_out(self, proposal: Proposal) -> None:
        await asyncio.sleep(self._execute_timeout)
        raise _Failed(_not_sent(proposal, "timeout expired while executing transaction"))

    def _answer(self, proposal: Proposal, response: Any, *, results: bytes, events: bytes, version: str) -> bytes:
        """The proposal's response, endorsed unless its status is an error; from 400 to 499 it has no payload either."""
        if 400 <= response.status < 500:
            return serialized(proposal_response_pb2.ProposalResponse(response=response))
        action = proposal_pb2.ChaincodeAction(
            results=results,
            events=events,
            response=response,
            chaincode_id=chaincode_pb2.ChaincodeID(name=proposal.chaincode, version=version),
        )
        signed = proposal_response_pb2.ProposalResponsePayload(
            proposal_hash=proposal.hash, extension=action.SerializeToString()
        ).SerializeToString()
        if response.status >= 500:
            return serialized(proposal_response_pb2.ProposalResponse(response=response, payload=signed))
        endorser = self._identity.creator
        return serialized(
            proposal_response_pb2.ProposalResponse(
                version=1,
                response=response,
                payload=signed,
                endorsement=proposal_response_pb2.Endorsement(
                    endorser=endorser, signature=self._identity.sign(signed + endorser)
                ),
            )
        )


def _not_sent(proposal: Proposal, reason: str) -> str:
    return f"error in simulation: failed to execute transaction {proposal.tx_id}: error sending: {reason}"


def _chaincode_down(proposal: Proposal) -> str:
    package = f"{proposal.chaincode}_1:" + "0" * 64
    return (
        f"error in simulation: failed to execute transaction {proposal.tx_id}: could not launch chaincode {package}: "
        f"connection to {package} failed: error cannot create connection for {package}: error creating grpc connection "
        'to 127.0.0.1:9: failed to create new connection: connection error: desc = "transport: error while dialing: '
        'dial tcp 127.0.0.1:9: connect: connection refused"'
    )


def _msp_id(creator: bytes) -> str | None:
    try:
        return str(parse(identities_pb2.SerializedIdentity, creator).mspid)
    except Malformed:
        return None


def _response(status: int, message: str) -> bytes:
    return serialized(
        proposal_response_pb2.ProposalResponse(response=proposal_response_pb2.Response(status=status, message=message))
    )
