"""A Fabric emulation and a ledger client on it, with short time-outs."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from shared import errors, submission
from shared.identities import Identity
from shared.ledger import messages
from shared.ledger.client import FabricLedger
from shared.ledger.interface import Call, Committed, CreatedRecord, Submit
from shared.ledger.network import Endpoint, Network, Timing
from shared.ledger.transport import Connection

from sandbox.fabric import FabricEmulation

TIMING = Timing(
    connect=0.5,
    idle=30.0,
    endorse=0.8,
    agreement=0.05,
    silence=0.15,
    evaluate=0.4,
    broadcast=0.3,
    order=0.3,
    commit_reserve=0.2,
    poll=0.1,
    offer_again=0.3,
    conflict_pause=0.01,
    discovery=0.5,
    discovery_retry=0.1,
)
BATCH_TIMEOUT = 0.02


def client_identity(emulation: FabricEmulation, name: str = "lambdaUser", **enrolment: Any) -> Identity:
    """A client of the emulation's organisation."""
    enrolled = emulation.enroll(name, **enrolment)
    return Identity(msp_id=enrolled.msp_id, certificate=enrolled.certificate_pem, private_key=enrolled.private_key_pem)


def network_of(emulation: FabricEmulation, endorsements: int = 1, **changes: Any) -> Network:
    """The settings that reach the emulation, with `changes`."""

    def endpoints(nodes: Any) -> tuple[Endpoint, ...]:
        return tuple(
            Endpoint(address=node.endpoint, tls_hostname="localhost", msp_id=getattr(node, "msp_id", None))
            for node in nodes
        )

    network = Network(
        channel=emulation.channel,
        chaincode="ngo",
        peers=endpoints(emulation.peers),
        orderers=endpoints(emulation.orderers),
        tls_roots=emulation.tls_roots_pem,
        endorsements=endorsements,
    )
    return replace(network, **changes)


@dataclass
class Donor:
    """A createDonor submission of its own, as the workflow would send it."""

    name: str = field(default_factory=lambda: f"donor-{uuid.uuid4().hex[:12]}")
    image: str = "first"
    idempotency_key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def fields(self) -> dict[str, str]:
        return {
            "donorUserName": self.name,
            "email": "ada@example.org",
            "imageKey": f"ngo-donor-images/{self.name}/{self.image}.png",
            "imageHash": self.image,
            "imageSha256": self.image * 2,
        }

    @property
    def nonces(self) -> tuple[bytes, ...]:
        return submission.Submission.of(
            record_type="Donor",
            execution_id="unused",
            idempotency_key=self.idempotency_key,
            fabric_username="lambdaUser",
            chaincode_function="createDonor",
            fields={},
            data_sha256="",
        ).nonces

    def ids(self, identity: Identity) -> list[str]:
        creator = submission.creator(identity.msp_id, identity.certificate)
        return [submission.transaction_id(nonce, creator) for nonce in self.nonces]

    def request(self, *, first: bool = True, **changes: Any) -> Submit:
        fields = self.fields
        request = Submit(
            call=Call(function="createDonor", arguments=(json.dumps(fields, ensure_ascii=False),)),
            nonces=self.nonces,
            first_attempt=first,
            created_record=CreatedRecord(
                read=Call(function="queryDonor", arguments=(json.dumps({"donorUserName": self.name}),)),
                required={"imageKey": fields["imageKey"], "imageHash": fields["imageHash"]},
                where_present={"imageSha256": fields["imageSha256"]},
            ),
        )
        return replace(request, **changes)


@dataclass
class Fabric:
    """The emulation, an identity and a ledger client on it."""

    emulation: FabricEmulation
    identity: Identity
    ledgers: list[FabricLedger] = field(default_factory=list)

    def ledger(self, *, timing: Timing = TIMING, endorsements: int = 1, **changes: Any) -> FabricLedger:
        """A new client, closed with the test; `changes` are to its `Network`."""
        made = FabricLedger(network_of(self.emulation, endorsements, **changes), timing)
        self.ledgers.append(made)
        return made

    def submit(self, ledger: FabricLedger, request: Submit, within: float = 3.0, **changes: Any) -> Committed:
        return ledger.submit(changes.get("identity", self.identity), request, deadline=time.monotonic() + within)

    def warm(self, **arguments: Any) -> FabricLedger:
        """A new client with all its connections made."""
        ledger = self.ledger(**arguments)
        for left in reversed(range(3)):
            try:
                self.submit(ledger, Donor().request())
                break
            except errors.OffchainError:
                # No fault is placed: a loaded machine was too late for the short time-outs.
                if not left:
                    raise
        return ledger

    def committed_once(self, donor: Donor, answer: Committed) -> None:
        """Assert that `answer` names the one transaction that created `donor`."""
        assert answer.transaction_id == donor.ids(self.identity)[0]
        assert self.codes(answer.transaction_id).count("VALID") == 1
        assert self.record(donor) == {**donor.fields, "docType": "donor"}

    def order_unendorsed(self, call: Call, nonce: bytes) -> None:
        """Have the transaction of `call` under `nonce` on the ledger as ENDORSEMENT_POLICY_FAILURE, as an attempt
        leaves it whose endorsements the channel's policy does not take."""
        network = network_of(self.emulation)
        proposal = messages.propose(self.identity, network.channel, network.chaincode, call, nonce)
        peer = Connection(network.peers[0], network.tls_roots, TIMING)
        answer = messages.read_answer(peer.call(messages.PROCESS_PROPOSAL, proposal.signed, 1.0))
        stranger = client_identity(self.emulation, "no-peer")
        answer.endorsement.endorser = submission.creator(stranger.msp_id, stranger.certificate)
        orderer = Connection(network.orderers[0], network.tls_roots, TIMING)
        taken = orderer.call(messages.BROADCAST, messages.assemble(proposal, [answer]), 1.0)
        assert messages.read_broadcast_answer(taken)[0] == "SUCCESS"
        while not self.codes(proposal.transaction_id):
            time.sleep(0.005)
        assert self.codes(proposal.transaction_id) == ["ENDORSEMENT_POLICY_FAILURE"]

    def record(self, donor: Donor, peer: int = 0) -> dict[str, Any] | None:
        """The donor on the ledger of a peer."""
        value = self.emulation.record("ngo", f"donor{donor.name}", peer=peer)
        return json.loads(value) if value else None

    def codes(self, transaction_id: str) -> list[str]:
        """The validation codes under which a transaction id was committed."""
        return [t.validation_code for t in self.emulation.transactions() if t.tx_id == transaction_id]

    def restore(self) -> None:
        """All nodes up, awake and honest, no fault placed."""
        self.emulation.faults.clear()
        self.emulation.chaincode_down(False)
        for node in (*self.emulation.peers, *self.emulation.orderers):
            node.thaw()
            node.start()
            node.delay = 0.0
        for peer in self.emulation.peers:
            peer.resume_commits()
            peer.diverges = False
            peer.joined = True
            peer.shim = "2.2.3"
            peer.discovers = True
            peer.definition = self.emulation.definition
        for made in self.ledgers:
            made.close()
        self.ledgers.clear()


@pytest.fixture(scope="module")
def fabric_of_module() -> Iterator[Fabric]:
    with FabricEmulation(
        peers=2, orderers=2, batch_timeout=BATCH_TIMEOUT, execute_timeout=5.0, election_time=0.2
    ) as emulation:
        yield Fabric(emulation, client_identity(emulation))


@pytest.fixture
def fabric(fabric_of_module: Fabric) -> Iterator[Fabric]:
    """Two peers and two orderers."""
    fabric_of_module.restore()
    yield fabric_of_module
    fabric_of_module.restore()
