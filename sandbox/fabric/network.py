"""FabricEmulation: a whole network in this process."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from hfc.protos.common import common_pb2, configtx_pb2

from sandbox.fabric.chaincode import Chaincode
from sandbox.fabric.committer import Rules
from sandbox.fabric.discovery import Discovery, Gossip
from sandbox.fabric.endorser import ChaincodeProcess, Endorser, Shim
from sandbox.fabric.faults import Faults
from sandbox.fabric.ledger import Chain
from sandbox.fabric.loop import run
from sandbox.fabric.messages import CONFIG, Block, Transaction, ValidationCode, serialized
from sandbox.fabric.msp import CertificateAuthority, Identity, Membership
from sandbox.fabric.ngo import Ngo
from sandbox.fabric.orderer import Orderer
from sandbox.fabric.peer import Peer
from sandbox.fabric.policy import Definition, OutOf, SignedBy, majority, parse

logger = logging.getLogger(__name__)

ORDERER_MSP = "OrdererMSP"


class TransactionRecord(NamedTuple):
    tx_id: str
    validation_code: str
    block_number: int


class FabricEmulation:
    """Peers and orderers of one channel on 127.0.0.1, in memory. For development: nothing of it outlives the process.

    `other_organizations` are MSP ids of more organisations, each with as many `peers`, numbered after those of
    `msp_id`. `policy` is the endorsement policy, such as "OR('Org1MSP.peer', 'Org2MSP.peer')"; by default a peer each
    of more than half of the organisations, and of a single one `endorsements_required` different peers.
    `anchor_peers` and `alive_expiration` are explained at Gossip.
    `batch_timeout`, `execute_timeout` and `election_time` (how long an orderer that was started again has no leader)
    are in seconds; Fabric's own defaults are 2, 30 and about 2. `shim` is explained at Peer.
    Attributes: `peers`, `orderers`, `faults`, `gossip`, `definition`, `tls_roots_pem`, `channel`, `msp_id`,
    `msp_ids`.
    """

    def __init__(
        self,
        *,
        channel: str = "mychannel",
        msp_id: str = "Org1MSP",
        peers: int = 1,
        orderers: int = 1,
        batch_timeout: float = 0.05,
        max_message_count: int = 100,
        chaincodes: Mapping[str, Chaincode] | None = None,
        endorsements_required: int = 1,
        other_organizations: Sequence[str] = (),
        policy: str | None = None,
        anchor_peers: bool = True,
        alive_expiration: float = 0.0,
        execute_timeout: float = 30.0,
        election_time: float = 0.2,
        shim: Shim = "2.2.3",
    ) -> None:
        self.channel = channel
        self.msp_id = msp_id
        self.msp_ids = (msp_id, *other_organizations)
        self.gossip = Gossip(anchor_peers=anchor_peers, alive_expiration=alive_expiration)
        self.faults = Faults()
        self._process = ChaincodeProcess()
        self._chaincodes = dict(chaincodes) if chaincodes is not None else {"ngo": Ngo()}
        self._authorities = {name: CertificateAuthority.create(f"ca.{name}") for name in (*self.msp_ids, ORDERER_MSP)}
        self._membership = Membership(self._authorities)
        tls = CertificateAuthority.create("tlsca.fabric-emulation")
        self.tls_roots_pem = tls.pem
        certificate, key = tls.issue("localhost", server=True)
        node: dict[str, Any] = {"faults": self.faults, "tls_certificate": certificate, "tls_key": key}
        if policy:
            self.definition = Definition(parse(policy))
        elif other_organizations:
            self.definition = Definition(majority(self.msp_ids))
        else:
            self.definition = Definition(OutOf(endorsements_required, (SignedBy(msp_id),) * endorsements_required))
        rules = Rules(membership=self._membership, chaincodes=frozenset(self._chaincodes), definition=self.definition)

        async def build() -> None:
            self._chain: Chain[Block] = Chain()
            self._chain.append(_first_block(channel))
            self.orderers = [
                Orderer(
                    index,
                    chain=self._chain,
                    channel=channel,
                    membership=self._membership,
                    identity=self.enroll(f"orderer{index}", msp_id=ORDERER_MSP, role="orderer"),
                    batch_timeout=batch_timeout,
                    max_message_count=max_message_count,
                    election_time=election_time,
                    **node,
                )
                for index in range(orderers)
            ]
            identities = [
                self.enroll(f"peer{index}", msp_id=org, role="peer") for org in self.msp_ids for index in range(peers)
            ]
            self.peers: list[Peer] = []
            for index, identity in enumerate(identities):
                endorser = Endorser(
                    channel=channel,
                    orgs=frozenset(self.msp_ids),
                    membership=self._membership,
                    identity=identity,
                    chaincodes=self._chaincodes,
                    process=self._process,
                    execute_timeout=execute_timeout,
                )
                discovery = Discovery(
                    channel=channel,
                    membership=self._membership,
                    writes=endorser.writes,
                    chaincodes=frozenset(self._chaincodes),
                    gossip=self.gossip,
                )
                self.peers.append(
                    Peer(
                        index,
                        ordered=self._chain,
                        source=self._has_source,
                        channel=channel,
                        membership=self._membership,
                        rules=rules,
                        endorser=endorser,
                        identity=identity,
                        discovery=discovery,
                        definition=self.definition,
                        shim=shim,
                        **node,
                    )
                )
            self.gossip.peers = self.peers

        run(build())

    def start(self) -> Self:
        """Starts all nodes; returns when they serve."""

        async def up() -> None:
            for node in [*self.orderers, *self.peers]:
                await node.come_up()

        run(up())
        logger.warning(
            "FABRIC EMULATION FOR DEVELOPMENT, NOT A LEDGER: channel %s, peers %s, orderers %s; all of it is lost when "
            "this process ends",
            self.channel,
            ", ".join(peer.endpoint for peer in self.peers),
            ", ".join(orderer.endpoint for orderer in self.orderers),
        )
        return self

    def stop(self) -> None:
        """Ends all nodes for good and gives their ports back."""
        self.faults.clear()

        async def down() -> None:
            for node in [*self.peers, *self.orderers]:
                await node.dispose()

        run(down())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def enroll(
        self,
        name: str,
        *,
        msp_id: str | None = None,
        role: str | None = "client",
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> Identity:
        """A certificate and key from the organisation's CA (of `msp_id`, by default the channel's first organisation).

        `role` is client, admin, peer or orderer (None: a certificate without one, which no MSP accepts).
        """
        msp_id = msp_id or self.msp_id
        certificate, key = self._authorities[msp_id].issue(name, role=role, not_before=not_before, not_after=not_after)
        return Identity(msp_id, certificate, key)

    def write_msp(self, directory: str | os.PathLike[str], identity: Identity) -> Path:
        """Writes `signcerts/cert.pem`, `keystore/priv_sk` and `cacerts/ca.pem` below `directory`; returns it."""
        root = Path(directory)
        files = {
            "signcerts/cert.pem": identity.certificate_pem,
            "keystore/priv_sk": identity.private_key_pem,
            "cacerts/ca.pem": self._authorities[identity.msp_id].pem,
        }
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text)
        return root

    def connection_profile(self, *, tls_roots_path: str | None = None) -> dict[str, Any]:
        """Fabric's common connection profile, version 1.0.0. TLS roots are in it as PEM, or by path if one is given."""
        roots = {"path": tls_roots_path} if tls_roots_path else {"pem": self.tls_roots_pem}
        peers = {f"peer{peer.index}": peer.endpoint for peer in self.peers}
        orderers = {
            f"orderer{orderer.index}" if len(self.orderers) > 1 else "orderer": orderer.endpoint
            for orderer in self.orderers
        }

        def node(endpoint: str) -> dict[str, Any]:
            options = {"ssl-target-name-override": "localhost"}
            return {"url": f"grpcs://{endpoint}", "grpcOptions": options, "tlsCACerts": dict(roots)}

        return {
            "name": "fabric-emulation",
            "version": "1.0.0",
            "client": {"organization": "Org1"},
            "organizations": {
                f"Org{number}": {
                    "mspid": msp_id,
                    "peers": [f"peer{peer.index}" for peer in self.peers if peer.msp_id == msp_id],
                }
                for number, msp_id in enumerate(self.msp_ids, 1)
            },
            "channels": {self.channel: {"orderers": list(orderers), "peers": {name: {} for name in peers}}},
            "orderers": {name: node(endpoint) for name, endpoint in orderers.items()},
            "peers": {name: node(endpoint) for name, endpoint in peers.items()},
        }

    def change_policy(self, policy: str) -> None:
        """Sets another endorsement policy, as a new definition of the chaincode does."""
        self.definition.policy = parse(policy)

    def chaincode_down(self, down: bool) -> None:
        """Takes the chaincode process away from all peers, or gives it back."""
        self._process.down = down

    def record(self, chaincode: str, key: str, *, peer: int = 0) -> bytes | None:
        """Committed value of a state key at a peer, None where there is none."""
        return self.peers[peer].ledger.state.get(chaincode, key)[0]

    def records(self, chaincode: str, *, peer: int = 0) -> dict[str, bytes]:
        """All committed keys of a chaincode at a peer."""
        return self.peers[peer].ledger.state.items(chaincode)

    def transactions(self, *, peer: int = 0) -> list[TransactionRecord]:
        """(transaction id, validation code's name, block number) of all committed transactions, in order."""
        return [
            TransactionRecord(transaction.tx_id, code_name(code), committed.block.number)
            for committed in list(self.peers[peer].ledger.blocks)
            for transaction, code in zip(committed.block.transactions, committed.verdicts, strict=True)
            if transaction.type != CONFIG
        ]

    @property
    def height(self) -> int:
        """Number of blocks that the orderers have cut, the first configuration block included."""
        return self._chain.height

    def _has_source(self, number: int) -> bool:
        """Whether anybody can hand block `number` to a peer: an orderer, or a peer that has it."""
        return any(orderer.running and not orderer.frozen for orderer in self.orderers) or any(
            peer.running and not peer.frozen and peer.height > number for peer in self.peers
        )


def code_name(code: int) -> str:
    """Name of a validation code."""
    return (
        ValidationCode.Name(code) if code in ValidationCode.values() else {25: "INVALID_CHAINCODE"}.get(code, str(code))
    )


def _first_block(channel: str) -> Block:
    header = common_pb2.ChannelHeader(type=CONFIG, channel_id=channel)
    header.timestamp.GetCurrentTime()
    payload = common_pb2.Payload(data=configtx_pb2.ConfigEnvelope().SerializeToString())
    payload.header.channel_header = header.SerializeToString()
    payload.header.signature_header = common_pb2.SignatureHeader().SerializeToString()
    envelope = common_pb2.Envelope(payload=payload.SerializeToString())
    return Block(0, b"", [Transaction(serialized(envelope))])
