"""The rules of Fabric 2.2 that the emulation claims, as cases that a real network must pass too (see conftest.py)."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hfc.protos.common import common_pb2, ledger_pb2
from hfc.protos.discovery import protocol_pb2
from hfc.protos.ledger.rwset import rwset_pb2
from hfc.protos.ledger.rwset.kvrwset import kv_rwset_pb2
from hfc.protos.peer import proposal_pb2, proposal_response_pb2, transaction_pb2
from raw_fabric import (
    Network,
    Proposal,
    changed_response,
    codes,
    donor,
    envelope,
    sealed,
    seek_envelope,
    seek_info,
    transaction_payload,
    unused_name,
)

from sandbox.fabric import Identity
from sandbox.fabric.msp import P256_ORDER, CertificateAuthority

NOT_A_WRITER = (
    "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the 'Writers' "
    "sub-policies to be satisfied"
)


def high_s(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, P256_ORDER - s)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def stranger(msp_id: str) -> Identity:
    return Identity(msp_id, *CertificateAuthority.create("ca.stranger").issue("stranger", role="client"))


def refusal(network: Network, proposal: Proposal, **options: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        network.endorse(proposal, **options)
    assert caught.value.code() == grpc.StatusCode.UNKNOWN
    return caught.value.details()


def create(network: Network, **options: Any) -> Proposal:
    return network.propose("createDonor", donor(unused_name()), **options)


@pytest.fixture(scope="module")
def melissa(network: Network) -> str:
    """Name of a donor who is on the ledger at both peers."""
    name = unused_name()
    assert network.submit(network.propose("createDonor", donor(name)), peers=(0, 1)) == "VALID"
    return name


# Who may propose, and in what form


@pytest.mark.parametrize(
    "spoil",
    [high_s, flipped, lambda signature: b"garbage"],
    ids=["high S", "changed", "no DER"],
)
def test_a_proposal_with_a_wrong_signature_is_refused(network: Network, spoil: Callable[[bytes], bytes]) -> None:
    proposal = create(network)
    text = refusal(network, proposal, signature=spoil(network.user.sign(proposal.bytes)))
    assert text == (
        f"error validating proposal: access denied: channel [{network.channel}] creator org [{network.user.msp_id}]"
    )


def test_a_proposal_without_signature_is_refused(network: Network) -> None:
    text = refusal(network, create(network), signature=b"")
    assert text == "error validating proposal: empty signature bytes"


@pytest.mark.parametrize("msp_id", ["Org1MSP", "NoSuchMSP", ""])
def test_a_creator_whom_no_msp_vouches_for_is_refused(network: Network, msp_id: str) -> None:
    text = refusal(network, create(network, identity=stranger(msp_id)))
    assert text == f"error validating proposal: access denied: channel [{network.channel}] creator org [{msp_id}]"


OTHER_KEY = CertificateAuthority.create("ca.other").issue("other")[1]
FORMS_THAT_GO_READS: dict[str, Callable[[str], str]] = {
    "without the last line break": lambda pem: pem.rstrip("\n"),
    "CR LF": lambda pem: pem.replace("\n", "\r\n"),
    "content indented": lambda pem: pem.replace("\nM", "\n  M"),
    "text before": lambda pem: "subject=CN = user\n" + pem,
    "text behind": lambda pem: pem + "issuer=CN = ca\n",
    "a private key behind": lambda pem: pem + OTHER_KEY,
    "another label": lambda pem: pem.replace("CERTIFICATE", "FOO"),
}
FORMS_THAT_GO_DOES_NOT_READ: dict[str, Callable[[str], str]] = {
    "spaces for line breaks": lambda pem: pem.replace("\n", " "),
    "byte order mark": lambda pem: "\ufeff" + pem,
    "indented": lambda pem: "".join(f"  {line}\n" for line in pem.splitlines()),
    "in quotes": lambda pem: f'"{pem.strip()}"',
    "CR only": lambda pem: pem.replace("\n", "\r"),
    "no-break spaces": lambda pem: pem.replace("\nM", "\n\u00a0M"),
    "line breaks written out": lambda pem: pem.replace("\n", "\\n"),
    "text behind on the last line": lambda pem: pem.rstrip("\n") + " x",
    "a private key before": lambda pem: OTHER_KEY + pem,
}


def written(identity: Identity, form: Callable[[str], str]) -> Identity:
    return Identity(identity.msp_id, form(identity.certificate_pem), identity.private_key_pem)


@pytest.mark.parametrize("form", FORMS_THAT_GO_READS.values(), ids=FORMS_THAT_GO_READS)
def test_a_creator_is_the_first_pem_block_whatever_is_around_it(network: Network, form: Callable[[str], str]) -> None:
    proposal = create(network, identity=written(network.user, form))
    assert network.submit(proposal) == "VALID"


@pytest.mark.parametrize("form", FORMS_THAT_GO_DOES_NOT_READ.values(), ids=FORMS_THAT_GO_DOES_NOT_READ)
def test_a_creator_whose_pem_go_does_not_read_is_refused(network: Network, form: Callable[[str], str]) -> None:
    identity = written(network.user, form)
    text = refusal(network, create(network, identity=identity))
    assert text == (
        f"error validating proposal: access denied: channel [{network.channel}] creator org [{network.user.msp_id}]"
    )
    proposal = create(network)
    header = create(network, identity=identity).header
    payload = transaction_payload(proposal, [network.endorse(proposal)], header=header)
    (answer,) = network.broadcast(sealed(identity, payload))
    assert answer.status == common_pb2.FORBIDDEN


def test_an_expired_certificate_is_refused_everywhere(network: Network, issue: Callable[..., Identity]) -> None:
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=5)
    expired = issue(not_after=past)
    assert refusal(network, create(network, identity=expired)) == "proposal client identity expired"

    proposal = create(network)
    proposal.identity = expired
    payload = transaction_payload(
        proposal, network.endorsed(create(network)), header=create(network, identity=expired).header
    )
    (answer,) = network.broadcast(sealed(expired, payload))
    assert (answer.status, answer.info) == (common_pb2.BAD_REQUEST, "broadcast client identity expired")

    seek = seek_envelope(expired, network.channel, seek_info("newest", "newest"))
    with network.deliver(signed=seek) as stream:
        assert next(stream).status == common_pb2.FORBIDDEN


def test_a_certificate_that_is_not_valid_yet_is_accepted(
    network: Network, issue: Callable[..., Identity], melissa: str
) -> None:
    future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    early = issue(not_before=future, not_after=future + datetime.timedelta(days=1))
    assert network.query("queryDonor", donor(melissa), identity=early).response.status == 200


@pytest.mark.parametrize(("role", "admitted"), [("client", True), ("admin", True), ("peer", False), ("orderer", False)])
def test_only_clients_and_admins_may_propose_and_broadcast(
    network: Network, issue: Callable[..., Identity], role: str, admitted: bool
) -> None:
    identity = issue(role=role)
    proposal = create(network, identity=identity)
    if admitted:
        assert network.submit(proposal) == "VALID"
        return
    assert refusal(network, proposal) == (
        f"Failed evaluating policy on signed data during check policy on channel [{network.channel}] with policy "
        f"[/Channel/Application/Writers]: [{NOT_A_WRITER}]"
    )
    (answer,) = network.broadcast(envelope(proposal, network.endorsed(create(network))))
    assert (answer.status, answer.info) == (common_pb2.FORBIDDEN, f"{NOT_A_WRITER}: permission denied")


def test_a_certificate_without_role_belongs_to_no_member(network: Network, issue: Callable[..., Identity]) -> None:
    assert "access denied" in refusal(network, create(network, identity=issue(role=None)))


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"tx_id": "ab" * 32}, "error validating proposal: incorrectly computed txid '" + "ab" * 32 + "' -- expected"),
        ({"tx_id": ""}, "error validating proposal: incorrectly computed txid '' -- expected"),
        ({"nonce": b""}, "error validating proposal: nonce is empty"),
        ({"type": 2}, "error validating proposal: invalid header type CONFIG_UPDATE"),
        ({"type": 0}, "error validating proposal: invalid header type MESSAGE"),
        ({"epoch": 1}, "error validating proposal: epoch is non-zero"),
        ({"chaincode": ""}, "ChaincodeHeaderExtension.ChaincodeId.Name is empty"),
        ({"extension": False}, "ChaincodeHeaderExtension.ChaincodeId is nil"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_proposal_of_wrong_form_is_refused(network: Network, parts: dict[str, Any], text: str) -> None:
    assert refusal(network, create(network, **parts)).startswith(text)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"channel": "elsewhere"}, "channel 'elsewhere' not found"),
        (
            {"chaincode": "nothing"},
            "make sure the chaincode nothing has been successfully defined on channel mychannel and try again: "
            "chaincode nothing not found",
        ),
        (
            {"channel": ""},
            "make sure the chaincode ngo has been successfully defined on channel  and try again: "
            "could not get channel config for channel ''",
        ),
    ],
)
def test_an_unknown_channel_or_chaincode_is_answered_with_status_500(
    network: Network, parts: dict[str, Any], message: str
) -> None:
    answer = network.endorse(create(network, **parts))
    assert (answer.response.status, answer.response.message) == (500, message)
    assert not answer.payload
    assert not answer.HasField("endorsement")


# What chaincode answers


def test_a_created_donor_is_stored_as_the_workshop_stores_it(network: Network) -> None:
    name = unused_name() + "ü😀'\"\\"
    sent = {"donorUserName": name, "email": "a@b", "imageKey": "k", "n": 1.0, "nested": {"list": [1, None, True]}}
    proposal = network.propose("createDonor", json.dumps(sent, ensure_ascii=False))
    assert network.submit(proposal) == "VALID"
    answer = network.query("queryDonor", json.dumps({"donorUserName": name}))
    assert answer.response.status == 200
    expected = json.dumps(sent | {"n": 1, "docType": "donor"}, ensure_ascii=False, separators=(",", ":"))
    assert answer.response.payload.decode() == expected


@pytest.mark.parametrize(
    ("sent", "key", "stored"),
    [
        ('{"donorUserName": {"a": 1}}', "[object Object]", '{"donorUserName":{"a":1},"docType":"donor"}'),
        ('{"donorUserName": 1e21}', "1e+21", '{"donorUserName":1e+21,"docType":"donor"}'),
        ('{"donorUserName": 0.1, "2": 1, "1": 2}', "0.1", '{"1":2,"2":1,"donorUserName":0.1,"docType":"donor"}'),
        ('{"donorUserName": [1, null, [2]]}', "1,,2", '{"donorUserName":[1,null,[2]],"docType":"donor"}'),
        ('{"donorUserName": "a\\u0000b"}', "a\0b", '{"donorUserName":"a\\u0000b","docType":"donor"}'),
        (
            '{"a": -0.0, "b": 12345678901234567890, "c": 1e-7, "d": 1.5e300, "e": "\\ud800", "docType": "x"}',
            "undefined",
            '{"a":0,"b":12345678901234567000,"c":1e-7,"d":1.5e+300,"e":"\\ud800","docType":"donor"}',
        ),
        ("[]", "undefined", "[]"),
    ],
)
def test_odd_donors_are_endorsed_as_javascript_reads_them(network: Network, sent: str, key: str, stored: str) -> None:
    answer = network.query("createDonor", sent)
    assert answer.response.status == 200
    assert _writes(answer) == {"donor" + key: stored}


def _writes(answer: Any) -> dict[str, str]:
    payload = proposal_response_pb2.ProposalResponsePayload.FromString(answer.payload)
    results = rwset_pb2.TxReadWriteSet.FromString(proposal_pb2.ChaincodeAction.FromString(payload.extension).results)
    (written,) = [each.rwset for each in results.ns_rwset if each.namespace == "ngo"]
    return {write.key: write.value.decode() for write in kv_rwset_pb2.KVRWSet.FromString(written).writes}


def test_all_donors_come_as_a_list_of_keys_and_records(network: Network, melissa: str) -> None:
    found = json.loads(network.query("queryAllDonors", "{}").response.payload)
    assert {"Key": "donor" + melissa, "Record": json.loads(donor(melissa)) | {"docType": "donor"}} in found
    assert [entry["Key"] for entry in found] == sorted(entry["Key"] for entry in found)


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        ("createDonor", ["melissa"], "Error: ##### createDonor - This donor already exists: {melissa}"),
        ("queryDonor", ['{"donorUserName": "no one"}'], "Error: ##### queryByKey key: donorno one does not exist"),
        ("createDonor", [], "SyntaxError: Unexpected end of JSON input"),
        ("createDonor", ["not json"], "SyntaxError: Unexpected token 'o', \"not json\" is not valid JSON"),
        ("createDonor", ["null"], "TypeError: Cannot read properties of null (reading 'donorUserName')"),
        ("createDonor", ["1"], "TypeError: Cannot create property 'docType' on number '1'"),
        ("createDonor", ['"str"'], "TypeError: Cannot create property 'docType' on string 'str'"),
    ],
)
def test_a_refusal_of_the_chaincode_is_status_500_without_endorsement(
    network: Network, melissa: str, function: str, args: list[str], message: str
) -> None:
    answer = network.query(function, *[donor(melissa) if arg == "melissa" else arg for arg in args])
    assert answer.response.status == 500
    assert answer.response.message == "error in simulation: transaction returned with failure: " + message.format(
        melissa=melissa
    )
    assert not answer.payload
    assert not answer.HasField("endorsement")


def test_an_unknown_function_gets_no_answer_until_the_execute_time_out(network: Network) -> None:
    proposal = network.propose("noSuchFunction", "{}")
    answer = network.endorse(proposal, timeout=40).response
    assert (answer.status, answer.message) == (
        500,
        f"error in simulation: failed to execute transaction {proposal.tx_id}: error sending: timeout expired while "
        "executing transaction",
    )


# Endorsement


def test_two_peers_endorse_the_same_bytes_with_signatures_of_their_own(network: Network) -> None:
    proposal = create(network)
    answers = network.endorsed(proposal, also=(0, 1))
    assert answers[0].payload == answers[1].payload
    assert answers[0].endorsement.endorser != answers[1].endorsement.endorser
    for answer in answers:
        identity = _certificate(answer.endorsement.endorser)
        identity.public_key().verify(
            answer.endorsement.signature, answer.payload + answer.endorsement.endorser, _ecdsa()
        )
    assert network.order(proposal, envelope(proposal, answers), peers=(0, 1)) == "VALID"


def _certificate(creator: bytes) -> x509.Certificate:
    from hfc.protos.msp import identities_pb2

    return x509.load_pem_x509_certificate(identities_pb2.SerializedIdentity.FromString(creator).id_bytes)


def _ecdsa() -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(hashes.SHA256())


# Validation codes of transactions that somebody has tampered with: (changes to the honest envelope, code)


def _without_endorsement(network: Network, proposal: Proposal, answers: list[Any]) -> Any:
    return envelope(proposal, answers, endorsements=[])


def _endorsement_changed(network: Network, proposal: Proposal, answers: list[Any]) -> Any:
    answers[0].endorsement.signature = flipped(answers[0].endorsement.signature)
    return envelope(proposal, answers)


def _endorsed_by_client(network: Network, proposal: Proposal, answers: list[Any]) -> Any:
    user = network.user
    own = proposal_response_pb2.Endorsement(
        endorser=user.creator, signature=user.sign(answers[0].payload + user.creator)
    )
    return envelope(proposal, answers, endorsements=[own])


def _endorsed_by_stranger(network: Network, proposal: Proposal, answers: list[Any]) -> Any:
    other = stranger(network.user.msp_id)
    own = proposal_response_pb2.Endorsement(
        endorser=other.creator, signature=other.sign(answers[0].payload + other.creator)
    )
    return envelope(proposal, answers, endorsements=[own])


def _bad_and_good_endorsement(network: Network, proposal: Proposal, answers: list[Any]) -> Any:
    bad = proposal_response_pb2.Endorsement()
    bad.CopyFrom(answers[0].endorsement)
    bad.signature = flipped(bad.signature)
    return envelope(proposal, answers, endorsements=[bad, *(answer.endorsement for answer in answers)])


def _response(change: Callable[[Any, Any], None]) -> Callable[..., Any]:
    def tamper(network: Network, proposal: Proposal, answers: list[Any]) -> Any:
        return envelope(proposal, answers, response_payload=changed_response(answers[0], change))

    return tamper


def _header(**fields: Any) -> Callable[..., Any]:
    def tamper(network: Network, proposal: Proposal, answers: list[Any]) -> Any:
        channel_header = common_pb2.ChannelHeader.FromString(proposal.header.channel_header)
        for name, value in fields.items():
            setattr(channel_header, name, value)
        header = common_pb2.Header(
            channel_header=channel_header.SerializeToString(), signature_header=proposal.header.signature_header
        )
        return envelope(proposal, answers, header=header)

    return tamper


def _write_set(_: Any, action: Any) -> None:
    action.results = action.results.replace(b"donorUserName", b"donorUserNamf")


def _proposal_hash(payload: Any, _: Any) -> None:
    payload.proposal_hash = flipped(payload.proposal_hash)


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (_without_endorsement, "ENDORSEMENT_POLICY_FAILURE"),
        (_endorsement_changed, "ENDORSEMENT_POLICY_FAILURE"),
        (_endorsed_by_client, "ENDORSEMENT_POLICY_FAILURE"),
        (_endorsed_by_stranger, "ENDORSEMENT_POLICY_FAILURE"),
        (_bad_and_good_endorsement, "VALID"),
        (_response(_write_set), "ENDORSEMENT_POLICY_FAILURE"),
        (_response(lambda _, action: setattr(action.response, "payload", b"x")), "ENDORSEMENT_POLICY_FAILURE"),
        (_response(lambda _, action: setattr(action.response, "status", 500)), "ENDORSEMENT_POLICY_FAILURE"),
        (_response(_proposal_hash), "INVALID_ENDORSER_TRANSACTION"),
        (_response(lambda _, action: setattr(action.chaincode_id, "name", "other")), "25"),
        (_response(lambda _, action: setattr(action.chaincode_id, "version", "")), "25"),
        (_response(lambda _, action: setattr(action.chaincode_id, "version", "9")), "ENDORSEMENT_POLICY_FAILURE"),
        (_response(lambda _, action: setattr(action, "results", b"\xff\xff")), "BAD_RWSET"),
        (_response(lambda _, action: setattr(action, "results", b"")), "ENDORSEMENT_POLICY_FAILURE"),
        (lambda n, p, a: envelope(p, a, response_payload=b""), "INVALID_ENDORSER_TRANSACTION"),
        (lambda n, p, a: envelope(p, a, proposal_payload=b""), "INVALID_ENDORSER_TRANSACTION"),
        (lambda n, p, a: envelope(p, a, proposal_payload=create(n).payload), "INVALID_ENDORSER_TRANSACTION"),
        (lambda n, p, a: envelope(p, a, actions=2), "INVALID_ENDORSER_TRANSACTION"),
        (lambda n, p, a: envelope(p, a, data=b""), "INVALID_ENDORSER_TRANSACTION"),
        (_header(epoch=1), "BAD_COMMON_HEADER"),
        (_header(type=0), "BAD_COMMON_HEADER"),
        (_header(tx_id="c0ffee"), "BAD_PROPOSAL_TXID"),
    ],
    ids=[
        "no endorsement",
        "endorsement changed",
        "endorsed by the client",
        "endorsed by a stranger",
        "a bad and a good endorsement",
        "write set changed",
        "response changed",
        "status changed",
        "proposal hash changed",
        "other chaincode",
        "no chaincode version",
        "other chaincode version",
        "results garbage",
        "results empty",
        "response payload empty",
        "proposal payload empty",
        "proposal payload of another call",
        "two actions",
        "no transaction",
        "epoch",
        "header type",
        "transaction id",
    ],
)
def test_a_tampered_transaction_is_ordered_and_flagged(network: Network, tamper: Callable[..., Any], code: str) -> None:
    name = unused_name()
    proposal = network.propose("createDonor", donor(name))
    signed = tamper(network, proposal, network.endorsed(proposal))
    tx_id = "c0ffee" if code == "BAD_PROPOSAL_TXID" else proposal.tx_id
    assert network.order(proposal, signed, tx_id=tx_id, peers=(0, 1)) == code
    status = network.query("queryDonor", donor(name)).response.status
    assert status == (200 if code == "VALID" else 500)
    if code not in ("VALID", "BAD_PROPOSAL_TXID"):
        # The id is used up, though nothing was written.
        assert network.code(proposal.tx_id) == code
        assert refusal(network, proposal).startswith("duplicate transaction found")


def test_a_transaction_of_another_creator_than_the_proposals_is_flagged(
    network: Network, issue: Callable[..., Identity]
) -> None:
    proposal = create(network)
    answers = network.endorsed(proposal)
    other = issue()
    header = common_pb2.Header(
        channel_header=proposal.header.channel_header,
        signature_header=common_pb2.SignatureHeader(creator=other.creator, nonce=proposal.nonce).SerializeToString(),
    )
    signed = sealed(other, transaction_payload(proposal, answers, header=header))
    assert network.order(proposal, signed) == "BAD_PROPOSAL_TXID"


def test_a_transient_map_stays_out_of_the_transaction(network: Network) -> None:
    proposal = create(network, transient=b"hush")
    assert network.submit(proposal) == "VALID"
    proposal = create(network, transient=b"hush")
    signed = envelope(proposal, network.endorsed(proposal), proposal_payload=proposal.payload)
    assert network.order(proposal, signed) == "INVALID_ENDORSER_TRANSACTION"


# One transaction id, once


def test_whoever_may_write_can_use_up_an_id_of_another(network: Network, issue: Callable[..., Identity]) -> None:
    victim = create(network)
    answers = network.endorsed(victim)
    other = issue()
    junk = create(network, identity=other, tx_id=victim.tx_id, nonce=b"other")
    spoiled = sealed(other, transaction_payload(junk, answers))
    start = network.height()
    network.broadcast(spoiled, envelope(victim, answers))
    assert _verdicts(network, start, {victim.tx_id}, 2) == ["BAD_PROPOSAL_TXID", "VALID"]
    assert network.code(victim.tx_id) == "BAD_PROPOSAL_TXID"

    victim = create(network)
    answers = network.endorsed(victim)
    junk = create(network, identity=other, tx_id=victim.tx_id, nonce=b"other")
    assert network.order(junk, sealed(other, transaction_payload(junk, answers))) == "BAD_PROPOSAL_TXID"
    assert network.order(victim, envelope(victim, answers)) == "DUPLICATE_TXID"


def test_a_committed_id_is_refused_by_every_peer_whatever_it_comes_with(network: Network, melissa: str) -> None:
    proposal = create(network)
    assert network.submit(proposal, peers=(0, 1)) == "VALID"
    expected = f"duplicate transaction found [{proposal.tx_id}]. Creator [{network.user.creator.hex()}]"
    assert refusal(network, proposal) == expected
    assert refusal(network, proposal, peer=1) == expected
    for other in (
        create(network, nonce=proposal.nonce),
        network.propose("queryDonor", donor(melissa), nonce=proposal.nonce),
        network.propose("GetChainInfo", network.channel, nonce=proposal.nonce, chaincode="qscc"),
        create(network, nonce=proposal.nonce, chaincode="nothing"),
    ):
        assert refusal(network, other) == expected
    assert "access denied" in refusal(network, proposal, signature=b"x")


def test_an_envelope_sent_again_is_ordered_and_flagged_while_qscc_keeps_the_first_verdict(network: Network) -> None:
    proposal = create(network)
    signed = envelope(proposal, network.endorsed(proposal))
    assert network.order(proposal, signed) == "VALID"
    assert network.order(proposal, signed) == "DUPLICATE_TXID"
    assert network.code(proposal.tx_id) == "VALID"


def test_an_envelope_sent_twice_at_once_is_valid_once(network: Network) -> None:
    proposal = create(network)
    signed = envelope(proposal, network.endorsed(proposal))
    start = network.height()
    assert [answer.status for answer in network.broadcast(signed, signed)] == [common_pb2.SUCCESS] * 2
    assert _verdicts(network, start, {proposal.tx_id}, 2) == ["VALID", "DUPLICATE_TXID"]
    assert network.code(proposal.tx_id) == "VALID"


def test_two_payloads_under_one_id_only_write_the_first(network: Network) -> None:
    nonce, names = os.urandom(24), [unused_name(), unused_name()]
    proposals = [network.propose("createDonor", donor(name), nonce=nonce) for name in names]
    envelopes = [envelope(proposal, network.endorsed(proposal)) for proposal in proposals]
    start = network.height()
    network.broadcast(*envelopes)
    assert _verdicts(network, start, {proposals[0].tx_id}, 2) == ["VALID", "DUPLICATE_TXID"]
    assert [network.query("queryDonor", donor(name)).response.status for name in names] == [200, 500]


def test_an_invalid_first_does_not_make_a_second_in_the_same_block_a_duplicate(network: Network) -> None:
    proposal = create(network)
    answers = network.endorsed(proposal)
    start = network.height()
    network.broadcast(envelope(proposal, answers, endorsements=[]), envelope(proposal, answers))
    assert _verdicts(network, start, {proposal.tx_id}, 2) == ["ENDORSEMENT_POLICY_FAILURE", "VALID"]
    assert network.code(proposal.tx_id) == "ENDORSEMENT_POLICY_FAILURE"


def _verdicts(network: Network, start: int, tx_ids: set[str], count: int) -> list[str]:
    """Codes of these transactions in order, as soon as there are `count` of them."""
    found: list[str] = []
    with network.deliver(seek_info(start, None)) as stream:
        for message in stream:
            found += [code for tx_id, code in codes(message) if tx_id in tx_ids]
            if len(found) >= count:
                return found
    raise AssertionError(found)


# Reads that are no longer true


def test_of_two_creates_of_one_donor_the_second_has_a_read_conflict(network: Network) -> None:
    name = unused_name()
    proposals = [network.propose("createDonor", donor(name, n=str(n))) for n in range(2)]
    envelopes = [envelope(proposal, network.endorsed(proposal)) for proposal in proposals]
    start = network.height()
    network.broadcast(*envelopes)
    found = _verdicts(network, start, {proposal.tx_id for proposal in proposals}, 2)
    assert found == ["VALID", "MVCC_READ_CONFLICT"]
    assert json.loads(network.query("queryDonor", donor(name)).response.payload)["n"] == "0"
    assert network.code(proposals[1].tx_id) == "MVCC_READ_CONFLICT"
    assert refusal(network, proposals[1]).startswith("duplicate transaction found")
    assert network.order(proposals[1], envelopes[1]) == "DUPLICATE_TXID"
    assert network.code(proposals[1].tx_id) == "MVCC_READ_CONFLICT"


def test_a_read_is_held_against_blocks_committed_since(network: Network) -> None:
    name = unused_name()
    late = network.propose("createDonor", donor(name))
    answers = network.endorsed(late)
    assert network.submit(network.propose("createDonor", donor(name))) == "VALID"
    assert network.order(late, envelope(late, answers)) == "MVCC_READ_CONFLICT"


def test_a_range_that_has_grown_is_a_phantom_read(network: Network) -> None:
    query = network.propose("queryAllDonors", "{}")
    answers = network.endorsed(query)
    assert network.submit(create(network)) == "VALID"
    assert network.order(query, envelope(query, answers)) == "PHANTOM_READ_CONFLICT"


def test_a_query_may_be_ordered_as_long_as_it_is_true(network: Network, melissa: str) -> None:
    assert network.submit(network.propose("queryAllDonors", "{}")) == "VALID"
    assert network.submit(network.propose("queryDonor", donor(melissa))) == "VALID"


# Broadcast


@pytest.mark.parametrize(
    ("spoil", "status", "info"),
    [
        (lambda n, e: setattr(e, "signature", flipped(e.signature)), 403, f"{NOT_A_WRITER}: permission denied"),
        (lambda n, e: setattr(e, "signature", high_s(e.signature)), 403, f"{NOT_A_WRITER}: permission denied"),
        (lambda n, e: setattr(e, "signature", b""), 403, f"{NOT_A_WRITER}: permission denied"),
        (lambda n, e: e.Clear(), 400, "could not determine channel ID: header not set"),
        (
            lambda n, e: setattr(e, "payload", b"\xff\xff\xff"),
            400,
            "could not determine channel ID: error unmarshaling Payload: unexpected EOF",
        ),
        (_header, 404, "channel does not exist"),
        (4, 400, "message is of type that cannot be processed directly"),
    ],
    ids=["signature changed", "high S", "no signature", "empty", "garbage", "unknown channel", "header type"],
)
def test_the_orderer_refuses_with_a_reason_and_ends_the_stream(
    network: Network, spoil: Any, status: int, info: str
) -> None:
    proposal = create(network)
    answers = network.endorsed(proposal)
    if spoil is _header:
        signed = _header(channel_id="elsewhere")(network, proposal, answers)
    elif isinstance(spoil, int):
        signed = _header(type=spoil)(network, proposal, answers)
    else:
        signed = envelope(proposal, answers)
        spoil(network, signed)
    good = envelope(proposal, answers)
    answers = network.broadcast(signed, good)
    assert [(each.status, each.info) for each in answers] == [(status, info)]


def test_the_orderer_does_not_judge_endorsements(network: Network) -> None:
    proposal = create(network)
    (answer,) = network.broadcast(envelope(proposal, network.endorsed(proposal), endorsements=[]))
    assert (answer.status, answer.info) == (common_pb2.SUCCESS, "")


# qscc


def test_qscc_hands_out_the_envelope_with_its_verdict(network: Network) -> None:
    proposal = create(network)
    signed = envelope(proposal, network.endorsed(proposal))
    assert network.order(proposal, signed, peers=(0, 1)) == "VALID"
    for peer in (0, 1):
        answer = network.transaction(proposal.tx_id, peer=peer)
        processed = transaction_pb2.ProcessedTransaction.FromString(answer.response.payload)
        assert processed.transactionEnvelope == signed
        assert processed.validationCode == 0
        assert answer.HasField("endorsement")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["GetTransactionByID", "ab" * 32], "Failed to get transaction with id {0}, error Entry not found in index"),
        (["GetTransactionByID", ""], "Failed to get transaction with id , error Entry not found in index"),
        (["GetTransactionByID"], "missing 3rd argument for GetTransactionByID"),
        (["GetBlockByTxID", "ab" * 32], "Failed to get block for txID {0}, error Entry not found in index"),
        (["GetBlockByNumber", "99999999"], "Failed to get block number 99999999, error Entry not found in index"),
        (
            ["GetBlockByNumber", "x"],
            'Failed to parse block number with error strconv.ParseUint: parsing "x": invalid syntax',
        ),
        (
            ["NoSuchFunction", "x"],
            "access denied for [NoSuchFunction][mychannel]: [Unmapped policy for qscc/NoSuchFunction]",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_qscc_refuses_with_status_500(network: Network, args: list[str], message: str) -> None:
    function, *rest = args
    answer = network.query(function, network.channel, *rest, chaincode="qscc")
    assert (answer.response.status, answer.response.message) == (500, message.format(*rest))
    assert answer.payload
    assert not answer.HasField("endorsement")


def test_qscc_answers_peers_too_and_no_others(network: Network, issue: Callable[..., Identity]) -> None:
    assert network.query("GetChainInfo", network.channel, chaincode="qscc", identity=issue(role="peer")).endorsement
    answer = network.query("GetChainInfo", network.channel, chaincode="qscc", identity=issue(role="orderer")).response
    assert (answer.status, answer.message) == (
        500,
        f"access denied for [GetChainInfo][{network.channel}]: [Failed evaluating policy on signed data during check "
        f"policy on channel [{network.channel}] with policy [/Channel/Application/Readers]: "
        f"[{NOT_A_WRITER.replace('Writers', 'Readers')}]]",
    )


def test_qscc_answers_without_a_channel_in_the_header(network: Network) -> None:
    answer = network.query("GetChainInfo", network.channel, chaincode="qscc", channel="")
    assert answer.response.status == 200
    assert not answer.HasField("endorsement")


def test_qscc_knows_only_its_channel(network: Network) -> None:
    answer = network.query("GetChainInfo", "elsewhere", chaincode="qscc").response
    assert (answer.status, answer.message) == (500, "Invalid chain ID, elsewhere")


def test_blocks_are_chained_by_their_hashes(network: Network, melissa: str) -> None:
    height = network.height()
    info = ledger_pb2.BlockchainInfo.FromString(
        network.query("GetChainInfo", network.channel, chaincode="qscc").response.payload
    )
    blocks = [
        common_pb2.Block.FromString(
            network.query("GetBlockByNumber", network.channel, str(number), chaincode="qscc").response.payload
        )
        for number in (height - 2, height - 1)
    ]
    assert blocks[1].header.previous_hash == _header_hash(blocks[0])
    assert info.currentBlockHash == _header_hash(blocks[1])
    assert info.previousBlockHash == blocks[1].header.previous_hash
    for block in blocks:
        assert block.header.data_hash == hashlib.sha256(b"".join(block.data.data)).digest()
        assert len(block.metadata.metadata) == 5
        assert len(block.metadata.metadata[2]) == len(block.data.data)


def _header_hash(block: Any) -> bytes:
    def der(tag: int, content: bytes) -> bytes:
        assert len(content) < 128
        return bytes([tag, len(content)]) + content

    number = block.header.number
    content = der(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))
    content += der(4, block.header.previous_hash) + der(4, block.header.data_hash)
    return hashlib.sha256(der(0x30, content)).digest()


# Streams of blocks


@pytest.fixture(params=["peer", "peer, full", "orderer"])
def source(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"peer": {"peer": 0}, "peer, full": {"full": True}, "orderer": {"orderer": 0}}[request.param]


def _number(message: Any) -> int | str:
    kind = message.WhichOneof("Type")
    if kind == "status":
        return f"status {message.status}"
    return message.filtered_block.number if kind == "filtered_block" else message.block.header.number


@pytest.mark.parametrize(
    ("seek", "expected"),
    [
        (lambda height: seek_info("oldest", "oldest"), [0, "status 200"]),
        (lambda height: seek_info("newest", "newest"), [-1, "status 200"]),
        (lambda height: seek_info(height - 2, "newest"), [-2, -1, "status 200"]),
        (lambda height: seek_info(height - 2, height - 1), [-2, -1, "status 200"]),
        (lambda height: seek_info("oldest", 1), [0, 1, "status 200"]),
        (lambda height: seek_info(1, 0), ["status 400"]),
        (lambda height: seek_info("absent", "newest"), ["status 400"]),
        (lambda height: seek_info("newest", "absent"), ["status 400"]),
        (lambda height: seek_info(height + 5, None), ["status 404"]),
        (lambda height: seek_info(height, None, fail_if_not_ready=True), ["status 404"]),
        (lambda height: seek_info(height - 1, None, fail_if_not_ready=True), [-1, "status 404"]),
    ],
    ids=[
        "oldest",
        "newest",
        "up to newest",
        "from and to",
        "from oldest",
        "backwards",
        "no start",
        "no stop",
        "far beyond the end",
        "the next, not waiting",
        "to the end, not waiting",
    ],
)
def test_seek_positions(
    network: Network, melissa: str, source: dict[str, Any], seek: Callable[[int], Any], expected: list[int | str]
) -> None:
    height = network.height()
    wanted = [each + height if isinstance(each, int) and each < 0 else each for each in expected]
    with network.deliver(seek(height), **source) as stream:
        assert [_number(next(stream)) for _ in expected] == wanted


def test_a_stream_takes_one_request_after_the_other(network: Network, source: dict[str, Any]) -> None:
    first = seek_info("oldest", "oldest")
    with network.deliver(first, first, **source) as stream:
        assert [_number(next(stream)) for _ in range(4)] == [0, "status 200", 0, "status 200"]


def test_a_stream_waits_for_the_next_block(network: Network, source: dict[str, Any]) -> None:
    height = network.height()
    with network.deliver(seek_info(height, None), **source) as stream:
        proposal = create(network)
        assert network.submit(proposal) == "VALID"
        assert _number(next(stream)) == height


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        (lambda n: seek_envelope(n.user, n.channel, seek_info("newest", "newest"), signature=b"x"), 403),
        (lambda n: seek_envelope(stranger("Org1MSP"), n.channel, seek_info("newest", "newest")), 403),
        (lambda n: seek_envelope(stranger("NoSuchMSP"), n.channel, seek_info("newest", "newest")), 403),
        (lambda n: seek_envelope(n.user, "elsewhere", seek_info("newest", "newest")), 404),
        (lambda n: seek_envelope(n.user, n.channel, seek_info("newest", "newest"), age=16 * 60), 400),
        (lambda n: seek_envelope(n.user, n.channel, seek_info("newest", "newest"), age=-16 * 60), 400),
        (lambda n: seek_envelope(n.user, n.channel, seek_info("newest", "newest"), timestamp=False), 400),
        (lambda n: common_pb2.Envelope(), 400),
        (lambda n: common_pb2.Envelope(payload=b"\xff\xff"), 400),
    ],
    ids=["signature", "stranger", "unknown MSP", "channel", "old", "from the future", "no time", "empty", "garbage"],
)
def test_a_stream_is_refused_with_a_status(
    network: Network, source: dict[str, Any], request_of: Callable[[Network], Any], status: int
) -> None:
    with network.deliver(signed=request_of(network), **source) as stream:
        assert [_number(message) for message in stream] == [f"status {status}"]


def test_a_filtered_block_tells_ids_and_codes_and_nothing_else(network: Network) -> None:
    proposal = create(network)
    start = network.height()
    assert network.submit(proposal) == "VALID"
    with network.deliver(seek_info(start, start)) as stream:
        block = next(stream).filtered_block
    assert (block.channel_id, block.number) == (network.channel, start)
    (transaction,) = block.filtered_transactions
    assert (transaction.txid, transaction.type, transaction.tx_validation_code) == (proposal.tx_id, 3, 0)
    assert transaction.HasField("transaction_actions")
    assert not transaction.transaction_actions.chaincode_actions


def test_an_unreadable_transaction_spoils_the_filtered_block_but_not_the_stream(network: Network) -> None:
    start = network.height()
    proposal = create(network)
    signed = envelope(proposal, network.endorsed(proposal), data=b"\xff\xff\xff")
    assert network.order(proposal, signed) == "INVALID_ENDORSER_TRANSACTION"
    with network.deliver(seek_info(start, None)) as stream:
        assert _number(next(stream)) == "status 400"
        assert network.submit(create(network)) == "VALID"
        assert _number(next(stream)) == start + 1


# Endorsement policies and service discovery


@pytest.fixture
def organizations(network: Network) -> list[str]:
    """MSP ids of the channel's organisations, of which more than half must endorse."""
    return [_msp_id(network.endorse(create(network), peer=peer).endorsement.endorser) for peer in network.endorsers]


def _msp_id(creator: bytes) -> str:
    from hfc.protos.msp import identities_pb2

    return str(identities_pb2.SerializedIdentity.FromString(creator).mspid)


def test_the_peers_of_one_organization_are_no_majority_of_two(network: Network, organizations: list[str]) -> None:
    if len(organizations) < 2:
        pytest.skip("needs a channel of two organisations")
    proposal = create(network)
    answers = [network.endorse(proposal, peer=peer) for peer in (0, 1)]
    assert network.order(proposal, envelope(proposal, [*answers, answers[0]])) == "ENDORSEMENT_POLICY_FAILURE"
    proposal = create(network)
    assert network.order(proposal, envelope(proposal, network.endorsed(proposal))) == "VALID"


def test_the_order_of_endorsements_does_not_matter(network: Network) -> None:
    proposal = create(network)
    answers = network.endorsed(proposal, also=(1,))
    assert network.order(proposal, envelope(proposal, answers[::-1])) == "VALID"


def _query(network: Network, kind: str = "cc_query", *chaincodes: str, channel: str | None = None) -> Any:
    query = protocol_pb2.Query(channel=network.channel if channel is None else channel)
    interest = {"cc_query": query.cc_query.interests.add, "peer_query": lambda: query.peer_query.filter}[kind]()
    for name in chaincodes or (network.chaincode,):
        interest.chaincodes.add(name=name)
    return query


def test_service_discovery_tells_who_meets_the_policy(network: Network, organizations: list[str]) -> None:
    """Without anchor peers a peer knows those of its own organisation only, and tells no policy that needs others."""
    for peer in network.endorsers:
        own = _msp_id(network.endorse(create(network), peer=peer).endorsement.endorser)
        policy, members = network.discover(_query(network), _query(network, "peer_query"), peer=peer).results
        known = {entry.key: entry.value.peers for entry in members.members.peers_by_org if entry.value.peers}
        assert own in known
        assert {_msp_id(each.identity) for peers in known.values() for each in peers} == set(known)
        if len(known) <= len(organizations) // 2:
            assert policy.error.content.startswith("failed constructing descriptor for ")
            continue
        (descriptor,) = policy.cc_query_res.content
        groups = {entry.key: {_msp_id(each.identity) for each in entry.value.peers} for entry in _groups(descriptor)}
        assert sorted(msp_id for msp_ids in groups.values() for msp_id in msp_ids) == sorted(known)
        for layout in descriptor.layouts:
            quantities = {entry.key: entry.value for entry in layout.quantities_by_group}
            assert set(quantities) <= set(groups)
            assert set(quantities.values()) == {1}
            assert len(quantities) == len(organizations) // 2 + 1
    endorser = network.endorse(create(network), peer=0).endorsement.endorser
    (members,) = network.discover(_query(network, "peer_query")).results
    assert endorser in {each.identity for entry in members.members.peers_by_org for each in entry.value.peers}


def _groups(descriptor: Any) -> Any:
    return descriptor.endorsers_by_groups


@pytest.mark.parametrize(
    ("query_of", "text"),
    [
        (lambda n: _query(n, channel="elsewhere"), "access denied"),
        (lambda n: _query(n, "peer_query", channel="elsewhere"), "access denied"),
        (lambda n: _query(n, channel=""), "unknown or missing request type"),
        (lambda n: protocol_pb2.Query(channel=n.channel), "unknown or missing request type"),
        (lambda n: _query(n, "cc_query", "nothing"), "failed constructing descriptor for "),
        (lambda n: _query(n, "cc_query", ""), "chaincode name in interest cannot be empty"),
        (lambda n: _query(n, "cc_query", "ngo", ""), "chaincode name in interest cannot be empty"),
        (
            lambda n: _query(n, "peer_query", "nothing"),
            "No metadata was found for chaincode nothing in channel mychannel",
        ),
        (
            lambda n: protocol_pb2.Query(channel=n.channel, cc_query=protocol_pb2.ChaincodeQuery()),
            "chaincode query must have at least one chaincode interest",
        ),
        (
            lambda n: protocol_pb2.Query(
                channel=n.channel, cc_query=protocol_pb2.ChaincodeQuery(interests=[protocol_pb2.ChaincodeInterest()])
            ),
            "chaincode interest must contain at least one chaincode",
        ),
    ],
)
def test_a_query_is_refused_by_itself(network: Network, query_of: Callable[[Network], Any], text: str) -> None:
    refused, answered = network.discover(query_of(network), _query(network, "peer_query")).results
    assert refused.error.content.startswith(text)
    assert answered.WhichOneof("result") == "members"


def test_who_may_not_write_is_told_nothing(network: Network, issue: Callable[..., Identity]) -> None:
    for identity, signature in (
        (stranger(network.user.msp_id), None),
        (stranger("NoSuchMSP"), None),
        (issue(role="peer"), None),
        (network.user, b"x"),
    ):
        results = network.discover(
            _query(network), _query(network, "peer_query"), identity=identity, signature=signature
        ).results
        assert [each.error.content for each in results] == ["access denied"] * 2
    (told,) = network.discover(_query(network, "peer_query"), identity=issue(role="admin")).results
    assert told.WhichOneof("result") == "members"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"\xff\xff\xff", "failed parsing request: "),
        (b"", "access denied, no authentication info in request"),
        (
            protocol_pb2.Request(authentication=protocol_pb2.AuthInfo()).SerializeToString(),
            "access denied, client identity wasn't supplied",
        ),
    ],
    ids=["garbage", "empty", "nobody"],
)
def test_a_discovery_request_of_wrong_form_is_refused(network: Network, payload: bytes, text: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        network.discover(payload=payload)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details().startswith(text)


def test_the_hash_of_a_tls_certificate_is_not_compared(network: Network) -> None:
    """It is meant to be (validateStructure in fabric/discovery), but the service does not keep its configuration."""
    for claimed in (b"", b"x" * 32):
        (told,) = network.discover(_query(network, "peer_query"), client_tls_cert_hash=claimed).results
        assert told.WhichOneof("result") == "members"
