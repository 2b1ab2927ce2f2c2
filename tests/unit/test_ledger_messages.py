"""Fabric's messages as they go over the wire."""

import contextlib
import os
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hfc.protos.common import common_pb2
from hfc.protos.discovery import protocol_pb2
from hfc.protos.msp import identities_pb2
from hfc.protos.peer import chaincode_pb2, events_pb2, proposal_pb2
from hypothesis import given
from hypothesis import strategies as st
from shared.identities import Identity
from shared.ledger import messages
from shared.ledger.interface import Call

from sandbox.fabric.msp import CertificateAuthority

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(scope="module")
def identity() -> Identity:
    certificate, key = CertificateAuthority.create("ca").issue("lambdaUser", role="client")
    return Identity(msp_id="Org1MSP", certificate=certificate, private_key=key)


def test_arguments_are_utf8(identity: Identity) -> None:
    argument = '{"name": "Ünï \\" O\'Brien \U0001f600 $#@@"}'
    call = Call(function="createDonor", arguments=(argument,))
    proposal = messages.propose(identity, "mychannel", "ngo", call, b"n" * 24)
    signed = proposal_pb2.SignedProposal.FromString(proposal.signed)
    inner = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    payload = proposal_pb2.ChaincodeProposalPayload.FromString(inner.payload)
    specification = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec
    assert list(specification.input.args) == [b"createDonor", argument.encode()]


def test_the_creator_is_the_serialized_identity(identity: Identity) -> None:
    expected = identities_pb2.SerializedIdentity(mspid="Org1MSP", id_bytes=identity.certificate.encode())
    assert messages.signer(identity).creator == expected.SerializeToString()


def test_signatures_verify_and_are_low_s(identity: Identity) -> None:
    public_key = x509.load_pem_x509_certificate(identity.certificate.encode()).public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    for _ in range(20):
        message = os.urandom(50)
        signature = messages.signer(identity).sign(message)
        public_key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        assert decode_dss_signature(signature)[1] <= P256_ORDER // 2


def test_a_p384_key_signs_with_sha256(identity: Identity) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    signer = messages.Signer(Identity(msp_id="Org1MSP", certificate=identity.certificate, private_key=pem))
    key.public_key().verify(signer.sign(b"message"), b"message", ec.ECDSA(hashes.SHA256()))


def test_a_seek_starts_where_it_is_told(identity: Identity) -> None:
    from hfc.protos.orderer import ab_pb2

    def info(start: int | None) -> ab_pb2.SeekInfo:
        envelope = common_pb2.Envelope.FromString(messages.seek(identity, "mychannel", start))
        return ab_pb2.SeekInfo.FromString(common_pb2.Payload.FromString(envelope.payload).data)

    assert info(None).start.WhichOneof("Type") == "newest"
    assert info(7).start.specified.number == 7
    assert info(7).stop.specified.number == 2**64 - 1
    assert info(7).behavior == ab_pb2.SeekInfo.BLOCK_UNTIL_READY


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0], "VALID"),
        ([9], "DUPLICATE_TXID"),
        ([0, 9], "VALID"),
        ([9, 11], "MVCC_READ_CONFLICT"),
        ([8, 0], "VALID"),
        ([11, 9], "MVCC_READ_CONFLICT"),
        ([25], "INVALID_CHAINCODE"),
        ([99], "CODE_99"),
    ],
)
def test_one_valid_entry_in_a_block_decides(codes: list[int], expected: str) -> None:
    response = events_pb2.DeliverResponse()
    response.filtered_block.number = 5
    for code in codes:
        entry = response.filtered_block.filtered_transactions.add()
        entry.txid = "ab"
        # As a newer Fabric would send it, whatever this hfc calls the code.
        entry.MergeFromString(b"\x18" + bytes([code]))
    block = messages.read_delivery(response.SerializeToString())
    assert isinstance(block, messages.Block)
    assert (block.number, block.codes) == (5, {"ab": expected})


def test_a_status_in_place_of_a_block() -> None:
    assert messages.read_delivery(events_pb2.DeliverResponse(status=403).SerializeToString()) == "FORBIDDEN"


def test_junk_is_unreadable() -> None:
    with pytest.raises(messages.Unreadable):
        messages.read_answer(b"\xff\xff\xff")


def test_service_discovery_is_asked_for_policy_and_peers(identity: Identity) -> None:
    chaincode = "n" * 300
    signed = protocol_pb2.SignedRequest.FromString(messages.discover(identity, "mychannel", chaincode))
    public_key = x509.load_pem_x509_certificate(identity.certificate.encode()).public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    public_key.verify(signed.signature, signed.payload, ec.ECDSA(hashes.SHA256()))
    expected = protocol_pb2.Request()
    expected.authentication.client_identity = messages.signer(identity).creator
    expected.queries.add(channel="mychannel").cc_query.interests.add().chaincodes.add(name=chaincode)
    expected.queries.add(channel="mychannel").peer_query.filter.chaincodes.add(name=chaincode)
    assert protocol_pb2.Request.FromString(signed.payload) == expected


def _known(peers: Any, *msp_ids: str) -> None:
    for msp_id in msp_ids:
        serialized = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=b"certificate " * 60)
        peers.peers.add(identity=serialized.SerializeToString()).membership_info.payload = b"where it is" * 20


def _discovery(groups: dict[str, list[str]], layouts: list[dict[str, int]], members: dict[str, list[str]]) -> Any:
    response = protocol_pb2.Response()
    descriptor = response.results.add().cc_query_res.content.add(chaincode="ngo")
    for group, msp_ids in groups.items():
        _known(descriptor.endorsers_by_groups.add(key=group).value, *msp_ids)
    for layout in layouts:
        added = descriptor.layouts.add()
        for group, quantity in layout.items():
            added.quantities_by_group.add(key=group, value=quantity)
    result = response.results.add().members
    result.SetInParent()
    for msp_id, msp_ids in members.items():
        _known(result.peers_by_org.add(key=msp_id).value, *msp_ids)
    return response


def test_layouts_count_peers_of_organizations() -> None:
    """G0 and G2 are two principals of one organisation, of which different peers must then endorse."""
    response = _discovery(
        {"G0": ["Org1MSP", "Org1MSP"], "G1": ["Org2MSP"], "G2": ["Org1MSP"]},
        [{"G0": 2, "G1": 300}, {"G0": 1, "G2": 1}],
        {"Org1MSP": ["Org1MSP", "Org1MSP"], "Org2MSP": ["Org2MSP"], "Org3MSP": []},
    )
    found = messages.read_discovered(response.SerializeToString())
    assert found.layouts == ({"Org1MSP": 2}, {"Org1MSP": 2, "Org2MSP": 300})
    assert (found.members, found.refusal) == ({"Org1MSP": 2, "Org2MSP": 1}, "")


def test_a_peer_that_knows_no_layout() -> None:
    response = _discovery({}, [], {"Org1MSP": ["Org1MSP"]})
    response.results[0].error.content = "failed constructing descriptor"
    found = messages.read_discovered(response.SerializeToString())
    assert (found.layouts, found.members, found.refusal) == ((), {"Org1MSP": 1}, "failed constructing descriptor")


@pytest.mark.parametrize(
    "response",
    [
        _discovery({"G0": ["Org1MSP"]}, [{"G1": 1}], {}),
        _discovery({"G0": []}, [{"G0": 1}], {}),
        protocol_pb2.Response(),
    ],
    ids=["unknown group", "empty group", "no results"],
)
def test_an_answer_that_says_nothing_is_unreadable(response: Any) -> None:
    with pytest.raises(messages.Unreadable):
        messages.read_discovered(response.SerializeToString())


@given(st.data())
def test_a_spoiled_answer_is_unreadable_or_another(data: st.DataObject) -> None:
    whole = _discovery({"G0": ["Org1MSP"]}, [{"G0": 1}], {"Org1MSP": ["Org1MSP"]}).SerializeToString()
    place = data.draw(st.integers(0, len(whole)))
    spoiled = whole[:place] + data.draw(st.binary(max_size=12)) + whole[place + data.draw(st.integers(0, 12)) :]
    with contextlib.suppress(messages.Unreadable):
        messages.read_discovered(spoiled)
