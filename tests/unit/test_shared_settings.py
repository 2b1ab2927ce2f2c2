"""Record type and errors, as the functions of a deployment read them."""

import json

import pytest
from shared import errors, record_type
from upload_samples import RECORD_TYPE


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
