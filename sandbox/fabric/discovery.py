"""Service discovery: which peers can endorse a chaincode, and which of them are enough."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import grpc
from hfc.protos.discovery import protocol_pb2
from hfc.protos.gossip import message_pb2

from sandbox.fabric.messages import Malformed, parse, serialized
from sandbox.fabric.msp import Member, Membership, NotAMember
from sandbox.fabric.policy import Definition, SignedBy, combinations

if TYPE_CHECKING:
    from sandbox.fabric.peer import Peer


class Gossip:
    """Which peers know of each other. `anchor_peers`: whether organisations have told the channel where theirs are,
    without which a peer knows those of its own organisation only. `alive_expiration`: seconds after which a peer that
    is away is no longer taken for alive (Fabric's default is 25). Both can be set at any time."""

    def __init__(self, *, anchor_peers: bool, alive_expiration: float) -> None:
        self.anchor_peers = anchor_peers
        self.alive_expiration = alive_expiration
        self.peers: Sequence[Peer] = ()

    def seen_by(self, peer: Peer) -> list[Peer]:
        """The peers that `peer` takes for alive, itself included."""
        return [
            each
            for each in self.peers
            if (self.anchor_peers or each.msp_id == peer.msp_id)
            and (each is peer or each.away_for() <= self.alive_expiration)
        ]


class Discovery:
    """The service `discovery.Discovery` of the channel's peers. Not emulated: what it tells of the channel's
    configuration, and collections."""

    def __init__(
        self,
        *,
        channel: str,
        membership: Membership,
        writes: Callable[[Member], bool],
        chaincodes: frozenset[str],
        gossip: Gossip,
    ) -> None:
        self._channel = channel
        self._membership = membership
        self._writes = writes
        self._chaincodes = chaincodes
        self._gossip = gossip

    async def answer(self, raw: bytes, context: Any, peer: Peer) -> bytes:
        """The serialized Response; a request of wrong form is aborted with gRPC UNKNOWN, as Fabric does."""
        signed = parse(protocol_pb2.SignedRequest, raw)
        try:
            request = parse(protocol_pb2.Request, signed.payload)
        except Malformed:
            await context.abort(grpc.StatusCode.UNKNOWN, "failed parsing request: unexpected EOF")
            raise
        if not request.HasField("authentication"):
            await context.abort(grpc.StatusCode.UNKNOWN, "access denied, no authentication info in request")
        if not request.authentication.client_identity:
            await context.abort(grpc.StatusCode.UNKNOWN, "access denied, client identity wasn't supplied")
        status = await peer.meet("discovery", context)
        response = protocol_pb2.Response()
        for query in request.queries:
            result = response.results.add()
            try:
                if status is not None:
                    raise _Refused("a placed fault")
                self._require_access(query.channel, peer, signed, request.authentication.client_identity)
                self._dispatch(query, result, peer)
            except _Refused as refusal:
                result.error.content = str(refusal)
        return serialized(response)

    def _require_access(self, channel: str, peer: Peer, signed: Any, creator: bytes) -> None:
        """Who may write to the channel may ask about it; about no channel, the members of the peer's organisation."""
        try:
            member = self._membership.member(creator)
        except NotAMember as error:
            raise _Refused("access denied") from error
        admitted = peer.joined and channel == self._channel and self._writes(member)
        admitted = admitted or (not channel and member.msp_id == peer.msp_id)
        if not admitted or not member.signed(signed.payload, signed.signature):
            raise _Refused("access denied")

    def _dispatch(self, query: Any, result: Any, peer: Peer) -> None:
        kind = query.WhichOneof("query")
        if not query.channel or kind not in ("cc_query", "peer_query"):
            raise _Refused("unknown or missing request type")
        seen = self._gossip.seen_by(peer)
        if kind == "peer_query":
            self._members(query.peer_query, result.members, seen)
            return
        interests = query.cc_query.interests
        if not interests:
            raise _Refused("chaincode query must have at least one chaincode interest")
        for interest in interests:
            if not interest.chaincodes:
                raise _Refused("chaincode interest must contain at least one chaincode")
            if not all(call.name for call in interest.chaincodes):
                raise _Refused("chaincode name in interest cannot be empty")
        for interest in interests:
            self._describe(interest, result.cc_query_res.content.add(), peer.definition, seen)

    def _members(self, query: Any, result: Any, seen: Sequence[Peer]) -> None:
        for call in query.filter.chaincodes:
            if call.name not in self._chaincodes:
                raise _Refused(f"No metadata was found for chaincode {call.name} in channel {self._channel}")
        result.SetInParent()
        for msp_id, peers in itertools.groupby(sorted(seen, key=lambda each: each.msp_id), lambda each: each.msp_id):
            _add_peers(result.peers_by_org.add(key=msp_id).value, list(peers))

    def _describe(self, interest: Any, descriptor: Any, definition: Definition, seen: Sequence[Peer]) -> None:
        name = interest.chaincodes[0].name
        groups: dict[SignedBy, tuple[str, list[Peer]]] = {}
        layouts: list[Mapping[str, int]] = []
        for principals in combinations(definition.policy):
            needed = Counter(principals)
            for principal in needed:
                admitted = [each for each in seen if principal.admits(self._membership.member(each.identity))]
                groups.setdefault(principal, (f"G{len(groups)}", admitted))
            if all(len(groups[principal][1]) >= count for principal, count in needed.items()):
                layouts.append({groups[principal][0]: count for principal, count in needed.items()})
        if name not in self._chaincodes or not layouts:
            raise _Refused(f'failed constructing descriptor for chaincodes:<name:"{name}" > ')
        descriptor.chaincode = name
        included = {group for layout in layouts for group in layout}
        for group, peers in groups.values():
            if group in included:
                _add_peers(descriptor.endorsers_by_groups.add(key=group).value, peers)
        for layout in layouts:
            added = descriptor.layouts.add()
            for group, count in layout.items():
                added.quantities_by_group.add(key=group, value=count)


class _Refused(Exception):
    """A query is answered with this error; the others of the request are not affected."""


def _add_peers(message: Any, peers: Sequence[Peer]) -> None:
    for each in peers:
        alive = message_pb2.GossipMessage()
        alive.alive_msg.membership.endpoint = each.endpoint
        envelope = message_pb2.Envelope(payload=serialized(alive))
        message.peers.add(identity=each.identity, membership_info=envelope)
