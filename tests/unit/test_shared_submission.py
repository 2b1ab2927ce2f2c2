"""A submission's identity: stable, and what Fabric makes of it."""

import hashlib
from typing import Any

import pytest
from hfc.protos.msp import identities_pb2
from hypothesis import given
from hypothesis import strategies as st
from shared.submission import NONCE_COUNT, Submission, creator, transaction_id

REQUEST: dict[str, Any] = {
    "record_type": "Donor",
    "request_id": "one",
    "idempotency_key": "",
    "fabric_username": "lambdaUser",
    "chaincode_function": "createDonor",
    "fields": {"donorUserName": "ada", "email": "ada@example.org"},
    "data_sha256": "0" * 64,
}


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.integers(1, 40_000))
def test_creator_is_the_identity_as_hfc_serializes_it(msp_id: str, length: int) -> None:
    certificate = ("-----BEGIN CERTIFICATE-----\nü" * length)[:length]
    expected = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=certificate.encode())
    assert creator(msp_id, certificate) == expected.SerializeToString()


def test_a_transaction_id_is_the_digest_of_nonce_and_creator() -> None:
    assert transaction_id(b"n" * 24, b"creator") == hashlib.sha256(b"n" * 24 + b"creator").hexdigest()


def test_a_submission_never_changes() -> None:
    """Other values would make a repeated request another transaction across a deployment."""
    named = Submission.of(**REQUEST | {"idempotency_key": "k"})
    assert (named.submission_id, [nonce.hex() for nonce in named.nonces]) == GOLDEN_KEY
    unnamed = Submission.of(**REQUEST)
    assert (unnamed.submission_id, [nonce.hex() for nonce in unnamed.nonces]) == GOLDEN_REQUEST


GOLDEN_KEY = (
    "8d4296c1f531af4cc75e8ebbb11d56f4",
    [
        "efce78998d93c9776da903f57903a6e9fcbb59d5757f89a5",
        "e94b0a649700767213e7797dad3d018c0baf4db0f69b1751",
        "2d180e1843e5ad6627e90a4305337d10b00f0c8fda329a14",
    ],
)
GOLDEN_REQUEST = (
    "d57ab97bf5106e461ac2fb522fb3ae80",
    [
        "bd6f01f0d37fc6c85d02646ad74afbab5dfa3527bd9832cd",
        "97d747b5ca25ca1dd166601a76485c2930b4cbdd90c6130f",
        "e92528b3f4cd56580e0420dbed5e353e568ada70d62e077d",
    ],
)


def test_nonces_are_as_long_as_fabrics_and_all_different() -> None:
    nonces = Submission.of(**REQUEST).nonces
    assert [len(nonce) for nonce in nonces] == [24] * NONCE_COUNT
    assert len(set(nonces)) == NONCE_COUNT


def test_the_order_of_fields_is_no_content() -> None:
    turned = dict(reversed(REQUEST["fields"].items()))
    assert Submission.of(**REQUEST | {"fields": turned}) == Submission.of(**REQUEST)


@pytest.mark.parametrize("key", ["", "k"])
@pytest.mark.parametrize(
    "change",
    [
        {"fabric_username": "auditor"},
        {"chaincode_function": "importDonor"},
        {"fields": {"donorUserName": "ada", "email": "eve@example.org"}},
        {"fields": {"donorUserName": "ada"}},
        {"data_sha256": "1" * 64},
    ],
)
def test_another_content_is_another_object_of_the_same_transactions(key: str, change: dict[str, Any]) -> None:
    first, other = (Submission.of(**REQUEST | {"idempotency_key": key} | c) for c in ({}, change))
    assert other.submission_id != first.submission_id
    assert other.nonces == first.nonces


def test_a_key_outweighs_the_request_id() -> None:
    first, second = (Submission.of(**REQUEST | {"idempotency_key": "k", "request_id": r}) for r in ("one", "two"))
    assert first == second


def test_names_of_different_kinds_never_meet() -> None:
    made = [
        Submission.of(**REQUEST),
        Submission.of(**REQUEST | {"request_id": "two"}),
        Submission.of(**REQUEST | {"idempotency_key": "one"}),
        Submission.of(**REQUEST | {"record_type": "Receipt"}),
    ]
    assert len({s.submission_id for s in made}) == len({nonce for s in made for nonce in s.nonces}) / NONCE_COUNT == 4
