"""Reaches peers and orderers: TLS, and questions that change nothing."""

import os
import socket
import ssl
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence

from shared.identity import Identity
from shared.ledger import messages
from shared.ledger.endorsement import chaincode_ran
from shared.ledger.interface import Call
from shared.ledger.network import Network, Timing
from shared.ledger.records import read_call
from shared.ledger.transport import CallFailed, Connection, end, iterate
from shared.record_type import RecordType

from .endpoints import Node
from .finding import Finding, Mistake, ok, quoted, warning
from .policy import PeerView

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0

_ORDERER_DELIVER = "/orderer.AtomicBroadcast/Deliver"
_BLOCK = "UNKNOWN"
"""What `messages.read_delivery` makes of a whole block, which only orderers send: it is not filtered and has no
status."""
_NAME_DIFFERS = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""
_EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED."""
_REACHED = "is reached, and its certificate is of the TLS roots"


def check_peer(
    node: Node,
    network: Network,
    identities: Mapping[str, Identity],
    record_types: Sequence[RecordType],
    views: list[PeerView],
) -> Iterator[Finding]:
    """Reach a peer, and ask it in the name of each user: qscc for the channel's height, the chaincode for a record of
    each type that does not exist. What it shows to the first user that it knows is added to `views`."""
    calls = [read_call(each, f"check-{uuid.uuid4()}") for each in record_types]
    try:
        peer = _Peer(node, network)
        yield ok(node.subject, _REACHED)
        for user, identity in identities.items():
            try:
                yield peer.check_membership(user, identity)
                if not any(view.node is node for view in views):
                    views.append(peer.view(identity))
                for call in calls:
                    if not peer.silent:
                        yield peer.check_chaincode(user, identity, call)
            except _Refused as refusal:
                yield refusal.finding
    except Mistake as mistake:
        yield mistake.finding


def check_orderer(node: Node, network: Network, identities: Mapping[str, Identity]) -> Iterator[Finding]:
    """Reach an orderer, and ask it for the channel's newest block in the name of each user. That shows that it serves
    the channel and knows the user; whether the user may write shows only with a transaction."""
    try:
        connection = _connect(node, network)
        yield ok(node.subject, _REACHED)
        for user, identity in identities.items():
            yield _delivery(node, connection, network.channel, user, identity)
    except Mistake as mistake:
        yield mistake.finding


def _connect(node: Node, network: Network) -> Connection:
    """A connection as the functions make it. Raises Mistake that tells why there is none."""
    diagnosis: Mistake | None = None
    try:
        _shake_hands(node, network.tls_roots)
    except _NoConnection as failure:
        raise Mistake(
            node.subject, f"no connection: {quoted(failure)}", f"Is it up, and the port right? {node.from_elsewhere}"
        ) from failure
    except Mistake as mistake:
        diagnosis = mistake
    connection = Connection(node.endpoint, network.tls_roots, Timing(connect=CONNECT_SECONDS))
    # gRPC is what the functions use, so that it has the last word on a certificate.
    if connection.connect(CONNECT_SECONDS if diagnosis is None else CONNECT_SECONDS / 5):
        return connection
    raise diagnosis or Mistake(
        node.subject,
        "TLS is made, but no gRPC over it",
        "Is this its gRPC port, and does it do without client certificates?",
    )


class _NoConnection(Exception):
    """Nobody answers at the node's address."""


def _shake_hands(node: Node, roots: str, *, check_name: bool = True) -> list[str]:
    """Make a TLS connection and return the names in the node's certificate. Raises _NoConnection, or Mistake where the
    handshake fails."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = check_name
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC
    context.load_verify_locations(cadata=roots)
    context.set_alpn_protocols(["h2"])
    try:
        plain = socket.create_connection((node.host, node.port), CONNECT_SECONDS)
    except OSError as failure:
        raise _NoConnection(failure.strerror or str(failure)) from failure
    expected = node.endpoint.tls_hostname or node.host
    try:
        with plain, context.wrap_socket(plain, server_hostname=expected) as connection:
            certificate = connection.getpeercert() or {}
    except ssl.SSLCertVerificationError as failure:
        if failure.verify_code in _NAME_DIFFERS:
            names = _shake_hands(node, roots, check_name=False)
            raise Mistake(
                node.subject,
                f"its certificate is not of {expected} but of {', '.join(names) or 'no name'}",
                "Set the node's tlsHostname (in a connection profile ssl-target-name-override) to one of these.",
            ) from failure
        if failure.verify_code == _EXPIRED:
            raise Mistake(
                node.subject, "its certificate, or one above it, has expired", "Renew the node's TLS certificate."
            ) from failure
        raise Mistake(
            node.subject,
            f"its certificate is not of the TLS roots: {quoted(failure.verify_message)}",
            "Add the certificate of the CA that issued the node's TLS certificate to the TLS roots.",
        ) from failure
    except TimeoutError as failure:
        raise Mistake(
            node.subject, f"no TLS handshake within {CONNECT_SECONDS:g} s", "Is the node well, and the port right?"
        ) from failure
    except OSError as failure:
        raise Mistake(
            node.subject,
            f"no TLS handshake: {quoted(failure.strerror or failure)}",
            "Is this its gRPC port, with TLS on, and does it do without client certificates?",
        ) from failure
    return [str(entry[1]) for entry in certificate.get("subjectAltName", ())]


class _Refused(Mistake):
    """A node does not accept a user; it may accept another."""

    def __init__(self, user: str, identity: Identity, node: str, words: str) -> None:
        super().__init__(
            f"offchain.users {user}",
            f"{node} refuses it as a client of {identity.msp_id}: {quoted(words)}",
            f"Its certificate must be of a CA of {identity.msp_id}, of a client, and neither expired nor revoked: "
            "enrol the user there, or name the MSP that it is of.",
        )


class _Peer:
    """A peer that is reached. Raises Mistake where it is not."""

    def __init__(self, node: Node, network: Network) -> None:
        self._node, self._network = node, network
        self._name = f"peer {node.endpoint.address}"
        self._connection = _connect(node, network)
        self._msp_id = ""
        self.silent = False
        """Whether the chaincode left a question open until its time was up."""

    def check_membership(self, user: str, identity: Identity) -> Finding:
        """Whether the peer has the channel and lets the user read it. Raises _Refused, or Mistake where it does not
        have it."""
        channel = self._network.channel
        answer = self._ask("qscc", Call(function="GetChainInfo", arguments=(channel,)), user, identity)
        if answer.status < 400:
            self._msp_id = answer.msp_id
            return ok(self._node.subject, f"knows {user} of {identity.msp_id} on channel {channel}")
        if answer.message.startswith("channel '"):
            raise Mistake(
                "offchain.channel",
                f"{self._name} has not joined {channel}",
                "Join the peer to it (peer channel join), or name the channel that it has.",
            )
        raise _Refused(user, identity, self._name, answer.message)

    def view(self, identity: Identity) -> PeerView:
        """What the peer shows of itself and tells about the chaincode, once it has shown that it knows the user."""
        request = messages.discover(identity, self._network.channel, self._network.chaincode)
        try:
            found = messages.read_discovered(self._connection.call(messages.DISCOVER, request, ANSWER_SECONDS))
        except CallFailed as failure:
            found = messages.Discovered(refusal=f"{failure.code}: {failure.details}")
        except messages.Unreadable as failure:
            found = messages.Discovered(refusal=str(failure))
        return PeerView(node=self._node, msp_id=self._msp_id, discovered=found)

    def check_chaincode(self, user: str, identity: Identity, call: Call) -> Finding:
        """Whether the peer runs the chaincode's read function for the user. Raises _Refused, or Mistake where it does
        not run."""
        chaincode = self._network.chaincode
        subject = f"offchain.chaincode {chaincode}"
        try:
            answer = self._ask(chaincode, call, user, identity)
        except _TimeUp:
            return self._note_silence(subject, call)
        if answer.status < 400 or chaincode_ran(answer):
            verdict = "answers" if answer.status < 400 else "refuses a name that does not exist"
            words = f" ({quoted(answer.message)})" if answer.message else ""
            return ok(subject, f"runs at {self._name}, where {call.function} for {user} {verdict}{words}")
        if "timeout expired while executing" in answer.message:
            return self._note_silence(subject, call)
        if "make sure the chaincode" in answer.message:
            raise Mistake(
                subject,
                f"{self._name} does not have it on channel {self._network.channel}: {quoted(answer.message)}",
                "Install, approve and commit it, or name the one that is.",
            )
        raise Mistake(
            subject, f"{self._name} cannot run it: {quoted(answer.message)}", "Look at the logs of peer and chaincode."
        )

    def _note_silence(self, subject: str, call: Call) -> Finding:
        self.silent = True
        return warning(
            subject,
            f"{self._name} has it, but {call.function} gave no answer for a name that does not exist",
            "Where its fabric-shim (2.4) leaves refusals unanswered, that is known and well; else look at its log.",
        )

    def _ask(self, chaincode: str, call: Call, user: str, identity: Identity) -> messages.Answer:
        """Evaluate `call`; nothing is ordered. Raises _Refused, _TimeUp or Mistake where there is no answer."""
        proposal = messages.propose(identity, self._network.channel, chaincode, call, os.urandom(24))
        try:
            data = self._connection.call(messages.PROCESS_PROPOSAL, proposal.signed, ANSWER_SECONDS)
            return messages.read_answer(data)
        except CallFailed as failure:
            if failure.code == "UNKNOWN":
                raise _Refused(user, identity, self._name, failure.details) from failure
            kind = _TimeUp if failure.code == "DEADLINE_EXCEEDED" else Mistake
            what = f"does not answer: {failure.code}: {quoted(failure.details)}"
            raise kind(self._node.subject, what, "Is this a Fabric peer, and is it well?") from failure
        except messages.Unreadable as failure:
            raise Mistake(self._node.subject, f"its answer is {failure}", "Is this a Fabric peer?") from failure


class _TimeUp(Mistake):
    """No answer within ANSWER_SECONDS."""


def _delivery(node: Node, connection: Connection, channel: str, user: str, identity: Identity) -> Finding:
    """Whether the orderer gives the user the channel's newest block. Raises Mistake where it does not serve the
    channel."""
    stream = connection.stream(_ORDERER_DELIVER, messages.seek(identity, channel, None))
    timer = threading.Timer(ANSWER_SECONDS, end, [stream])
    timer.start()
    try:
        data = next(iterate(stream), None)
        answer = None if data is None else messages.read_delivery(data)
    except messages.Unreadable as failure:
        raise Mistake(node.subject, f"its answer is {failure}", "Is this a Fabric orderer?") from failure
    finally:
        timer.cancel()
        end(stream)
    if answer is None:
        words = f"{stream.code().name}: {quoted(stream.details() or '')}"
        raise Mistake(node.subject, f"does not answer: {words}", "Is this a Fabric orderer, and is it well?")
    if answer == _BLOCK:
        return ok(node.subject, f"gives {user} the newest block of channel {channel}")
    if answer == "FORBIDDEN":
        return _Refused(user, identity, f"orderer {node.endpoint.address}", answer).finding
    if answer == "NOT_FOUND":
        raise Mistake(
            "offchain.channel",
            f"orderer {node.endpoint.address} does not serve {channel}",
            "Join the orderer to it, or name a channel that it serves.",
        )
    raise Mistake(node.subject, f"refuses: {answer}", "Is it well, with a leader elected? Look at its log.")
