"""A submission's identity: stable, and what Fabric makes of it."""

import hashlib
import itertools
from typing import Any

import pytest
from hfc.protos.msp import identities_pb2
from hypothesis import given
from hypothesis import strategies as st
from shared.submission import NONCE_COUNT, Submission, creator, series, transaction_id

REQUEST: dict[str, Any] = {
    "record_type": "Donor",
    "execution_id": "one",
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
    assert (unnamed.submission_id, [nonce.hex() for nonce in unnamed.nonces]) == GOLDEN_EXECUTION


GOLDEN_KEY = (
    "8d4296c1f531af4cc75e8ebbb11d56f4",
    [
        "efce78998d93c9776da903f57903a6e9fcbb59d5757f89a5",
        "e94b0a649700767213e7797dad3d018c0baf4db0f69b1751",
        "2d180e1843e5ad6627e90a4305337d10b00f0c8fda329a14",
    ],
)
GOLDEN_EXECUTION = (
    "77134f5e8de80cf21afae076627487e1",
    [
        "6b2a1323940fff9d007ce0597d8911a5901f5527c0428715",
        "7768a36944eee1dab102301940238d99de5aecea00649380",
        "fb471da164e6b3767769b4a234a4de1275c70affb5fa483c",
    ],
)


def test_the_series_of_nonces_goes_on_and_never_changes() -> None:
    """The sweep, which has only the first ones, and a retry must come to the same next one."""
    nonces = Submission.of(**REQUEST | {"idempotency_key": "k"}).nonces
    made = list(itertools.islice(series(nonces), 1000))
    assert tuple(made[:NONCE_COUNT]) == nonces
    assert [nonce.hex() for nonce in made[NONCE_COUNT : NONCE_COUNT + 2]] == [
        "c74f21298cb8510427990dcf5d6afc8eca89c755555192b0",
        "64bca99c68bc656f528d9c66e0b4a75bbf3194c6ee208f4d",
    ]
    assert {len(nonce) for nonce in made} == {24}
    assert len(set(made)) == 1000
    assert list(series(())) == []


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


def test_a_key_outweighs_the_execution() -> None:
    first, second = (Submission.of(**REQUEST | {"idempotency_key": "k", "execution_id": r}) for r in ("one", "two"))
    assert first == second


def test_names_of_different_kinds_never_meet() -> None:
    made = [
        Submission.of(**REQUEST),
        Submission.of(**REQUEST | {"execution_id": "two"}),
        Submission.of(**REQUEST | {"idempotency_key": "one"}),
        Submission.of(**REQUEST | {"record_type": "Receipt"}),
    ]
    assert len({s.submission_id for s in made}) == len({nonce for s in made for nonce in s.nonces}) / NONCE_COUNT == 4
