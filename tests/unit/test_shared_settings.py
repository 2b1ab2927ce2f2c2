"""Record type, identities and errors, as the functions of a deployment read them."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from shared import aws, errors, record_type
from shared.identities import Identities
from upload_samples import IDENTITIES, RECORD_TYPE


def test_a_record_type_names_its_fields_and_errors() -> None:
    donor = record_type.RecordType.from_json(json.dumps(RECORD_TYPE))
    assert (donor.key_field, donor.hash_field, donor.sha256_field) == ("imageKey", "imageHash", "imageSha256")
    assert [field.name for field in donor.ledger_fields] == ["donorUserName", "email"]
    for made, name, base in (
        (donor.already_exists("x"), "DonorAlreadyExists", errors.RecordAlreadyExists),
        (donor.invalid_data("x"), "InvalidImage", errors.InvalidData),
        (donor.data_too_large("x"), "ImageTooLarge", errors.DataTooLarge),
    ):
        assert type(made).__name__ == name
        assert isinstance(made, base)
        assert made.certain


@pytest.mark.parametrize("absent", RECORD_TYPE)
def test_a_record_type_without_a_setting_is_an_error(absent: str) -> None:
    with pytest.raises(KeyError, match=absent):
        record_type.RecordType.from_json(json.dumps({k: v for k, v in RECORD_TYPE.items() if k != absent}))


def test_an_errors_text_is_json_for_the_workflow() -> None:
    assert json.loads(str(errors.InvalidRequest('a "quoted"\nü'))) == {"message": 'a "quoted"\nü'}
    unknown = errors.OutcomeUnknown("x", transaction_id="ab")
    assert json.loads(str(unknown)) == {"message": "x", "transactionId": "ab"}


@pytest.mark.parametrize(
    ("error", "certain"),
    [
        (errors.InvalidRequest, True),
        (errors.Forbidden, True),
        (errors.ChaincodeRejected, True),
        (errors.RecordAlreadyExists, True),
        (errors.EndorsementFailed, True),
        (errors.TransactionInvalid, True),
        (errors.LedgerUnavailable, True),
        (errors.StorageUnavailable, False),
        (errors.OutcomeUnknown, False),
        (errors.OffchainError, False),
    ],
)
def test_an_error_says_what_is_certain(error: type[errors.OffchainError], certain: bool) -> None:
    assert error("x").certain is certain


def test_a_public_name_is_one_class() -> None:
    assert errors.named(errors.InvalidData, "InvalidImage") is errors.named(errors.InvalidData, "InvalidImage")
    assert errors.named(errors.InvalidData, "InvalidData") is errors.InvalidData


@pytest.fixture
def secrets(aws_emulation: None) -> Iterator[Any]:
    client = boto3.client("secretsmanager")
    names = [f"org/{user}/{part}" for user in IDENTITIES["users"] for part in ("signcert", "pk")]
    for name in names:
        client.create_secret(Name=name, SecretString=f"PEM of {name}")
    yield client
    for name in names:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def users(secrets: Any) -> Identities:
    return Identities(json.dumps(IDENTITIES))


def test_an_identity_is_read_from_its_secrets(users: Identities) -> None:
    assert users.default_user == "lambdaUser"
    identity = users.identity("auditor")
    assert identity.msp_id == "Org1MSP"
    assert (identity.certificate, identity.private_key) == ("PEM of org/auditor/signcert", "PEM of org/auditor/pk")


def test_a_private_key_is_not_shown(users: Identities) -> None:
    assert "PEM of org/auditor/pk" not in repr(users.identity("auditor"))


def test_a_secret_is_read_once_until_forgotten(users: Identities, secrets: Any) -> None:
    users.certificate("lambdaUser")
    secrets.put_secret_value(SecretId="org/lambdaUser/signcert", SecretString="rotated")
    assert users.certificate("lambdaUser") == "PEM of org/lambdaUser/signcert"
    users.forget("auditor")
    assert users.certificate("lambdaUser") == "PEM of org/lambdaUser/signcert"
    users.forget("lambdaUser")
    assert users.certificate("lambdaUser") == "rotated"


def test_threads_read_a_secret_once(users: Identities, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = aws.client("secretsmanager").get_secret_value
    monkeypatch.setattr(aws.client("secretsmanager"), "get_secret_value", lambda **k: read.append(k) or original(**k))
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(users.certificate, ["auditor"] * 8)) == {"PEM of org/auditor/signcert"}
    assert read == [{"SecretId": "org/auditor/signcert"}]


def test_a_user_that_is_not_listed_is_refused(users: Identities) -> None:
    for use in (users.require_allowed, users.certificate, users.identity):
        with pytest.raises(errors.Forbidden, match="does not allow 'admin'"):
            use("admin")


def test_a_secret_that_cannot_be_read_is_told_without_its_name(users: Identities, secrets: Any) -> None:
    secrets.delete_secret(SecretId="org/auditor/pk", ForceDeleteWithoutRecovery=True)
    with pytest.raises(errors.LedgerUnavailable) as failure:
        users.identity("auditor")
    assert "org/" not in str(failure.value)
    secrets.create_secret(Name="org/auditor/pk", SecretBinary=b"not text")
    with pytest.raises(errors.LedgerUnavailable):
        users.identity("auditor")
    secrets.put_secret_value(SecretId="org/auditor/pk", SecretString="there at last")
    assert users.identity("auditor").private_key == "there at last"
