"""The upload function through its Lambda entry: from an event to the object in the bucket."""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared import aws, errors, identities, record_type, submission
from upload_object import handler as entry
from upload_samples import (
    CONTEXT,
    ENVIRONMENT,
    EXECUTION_ID,
    IDENTITIES,
    JPEG,
    PNG,
    SVG,
    WEBP,
    encoded,
    event,
    png,
)

from sandbox.fabric.msp import CertificateAuthority
from tests.unit.signals import CORRELATION_ID, Signals, trace

CERTIFICATE, _ = CertificateAuthority.create("ca").issue("ada", role="client")
Upload = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def certificates(aws_emulation: None) -> None:
    """Certificates only: the function has no business with a key."""
    for user in IDENTITIES["users"]:
        boto3.client("secretsmanager").create_secret(Name=f"org/{user}/signcert", SecretString=CERTIFICATE)


@pytest.fixture
def upload(bucket: Any, certificates: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upload]:
    for name, value in (ENVIRONMENT | {"S3_BUCKET": bucket.name}).items():
        monkeypatch.setenv(name, value)
    cached = (entry.uploader, record_type.from_environment, identities.from_environment)
    for function in cached:
        function.cache_clear()
    yield lambda **changes: entry.handler(event(**changes), CONTEXT)
    for function in cached:
        function.cache_clear()


def keys(bucket: Any) -> list[str]:
    return [found.key for found in bucket.object_versions.all()]


@pytest.mark.parametrize(
    ("data", "media_type", "extension"),
    [
        (PNG, "image/png", "png"),
        (JPEG, "image/jpeg", "jpg"),
        (WEBP, "image/webp", "webp"),
        (SVG, "image/svg+xml", "svg"),
    ],
    ids=["png", "jpeg", "webp", "svg"],
)
def test_a_picture_is_stored_and_proved(
    data: bytes, media_type: str, extension: str, bucket: Any, upload: Upload
) -> None:
    answer = upload(image=f"data:{media_type};base64,{encoded(data)}")
    key = answer["imageKey"]
    assert key == f"ngo-donor-images/ada/{answer['submissionId']}.{extension}"
    found = bucket.Object(key).get()
    assert found["Body"].read() == data
    assert found["ContentType"] == media_type
    assert found["ETag"] == f'"{answer["imageHash"]}"'
    creator = submission.creator("Org1MSP", CERTIFICATE)
    nonces = [bytes.fromhex(nonce) for nonce in answer["nonces"]]
    assert answer == {
        "imageKey": key,
        "imageHash": hashlib.md5(data).hexdigest(),
        "imageSha256": hashlib.sha256(data).hexdigest(),
        "versionId": found["VersionId"],
        "contentType": media_type,
        "size": len(data),
        "created": True,
        "callerNamed": False,
        "submissionId": answer["submissionId"],
        "nonces": [nonce.hex() for nonce in nonces],
        "transactionIds": [hashlib.sha256(nonce + creator).hexdigest() for nonce in nonces],
        "earlierTransactionIds": [],
        "fabricUsername": "lambdaUser",
        "chaincodeFunction": "createDonor",
        "record": {"donorUserName": "ada", "email": "ada@example.org"},
    }
    assert found["Metadata"]["submission-id"] == answer["submissionId"]
    assert CONTEXT.aws_request_id not in str(found["Metadata"])
    assert EXECUTION_ID not in str(found["Metadata"])
    assert found["Metadata"]["nonces"].split(",") == answer["nonces"]
    assert found["Metadata"]["transaction-ids"].split(",") == answer["transactionIds"]
    assert json.loads(json.dumps(answer)) == answer


def test_a_repeated_call_writes_nothing_and_answers_the_same(bucket: Any, upload: Upload) -> None:
    first = upload()
    assert upload() == first
    assert keys(bucket) == [first["imageKey"]]


def test_another_invocation_for_the_same_execution_stands_on_a_version_of_its_own(bucket: Any, upload: Upload) -> None:
    """Step Functions may run an EXPRESS execution that was started asynchronously twice, under one id."""
    first = upload()
    with mock.patch.object(CONTEXT, "aws_request_id", "another-invocation"):
        second = upload()
    assert second.pop("versionId") != first.pop("versionId")
    assert (first.pop("created"), second.pop("created")) == (True, False)
    assert second == first


def test_the_same_key_in_another_request_is_the_same_submission_on_its_own_version(upload: Upload) -> None:
    first = upload(executionId="one", idempotencyKey="k")
    second = upload(executionId="two", idempotencyKey="k")
    assert second.pop("versionId") != first.pop("versionId")
    assert (first.pop("created"), second.pop("created")) == (True, False)
    assert first == second


def test_another_content_under_the_same_key_has_another_object_and_the_same_transactions(upload: Upload) -> None:
    first = upload(executionId="one", idempotencyKey="k")
    for changes in (
        {"image": encoded(JPEG)},
        {"email": "other@example.org"},
        {"donorUserName": "eve"},
        {"chaincodeFunction": "importDonor"},
    ):
        other = upload(executionId="two", idempotencyKey="k", **changes)
        assert other["imageKey"] != first["imageKey"]
        assert other["submissionId"] != first["submissionId"]
        assert (other["nonces"], other["transactionIds"]) == (first["nonces"], first["transactionIds"])
        assert other["created"]


def test_without_a_key_every_request_is_a_submission_of_its_own(upload: Upload) -> None:
    first, second = upload(executionId="one"), upload(executionId="two")
    assert first["imageKey"] != second["imageKey"]
    assert not set(first["nonces"]) & set(second["nonces"])
    assert second["created"]


def test_a_direct_call_is_named_by_lambdas_request_id(bucket: Any, upload: Upload) -> None:
    first = upload(executionId=None)
    assert upload(executionId="") == first


def test_direct_calls_without_a_key_are_submissions_of_their_own(upload: Upload) -> None:
    first = upload(executionId=None)
    with mock.patch.object(CONTEXT, "aws_request_id", "another-invocation"):
        second = upload(executionId=None)
    assert first["imageKey"] != second["imageKey"]
    assert not set(first["nonces"]) & set(second["nonces"])


def test_direct_calls_with_one_key_are_one_submission_on_versions_of_their_own(bucket: Any, upload: Upload) -> None:
    first = upload(executionId=None, idempotencyKey="k")
    with mock.patch.object(CONTEXT, "aws_request_id", "another-invocation"):
        second = upload(executionId=None, idempotencyKey="k")
    assert keys(bucket) == [first["imageKey"]] * 2
    assert second.pop("versionId") != first.pop("versionId")
    assert (first.pop("created"), second.pop("created")) == (True, False)
    assert second == first


def test_another_allowed_user_signs_with_its_own_certificate(upload: Upload) -> None:
    answer = upload(fabricUsername="auditor")
    assert answer["fabricUsername"] == "auditor"
    assert answer["submissionId"] != upload()["submissionId"]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"email": None}, "InvalidRequest", "email: missing"),
        ({"donorUserName": "a/b"}, "InvalidRequest", "donorUserName: must not contain"),
        ({"comment": "x"}, "InvalidRequest", "chaincodeFunctionArgs has an unknown field"),
        ({"chaincodeFunction": "queryDonor"}, "InvalidRequest", "chaincodeFunction: "),
        ({"functionType": "queryString"}, "InvalidRequest", "functionType: "),
        ({"fabricUsername": "admin"}, "Forbidden", "fabricUsername: this API does not allow"),
        ({"image": ""}, "InvalidImage", "image: is empty"),
        ({"image": "not base64!"}, "InvalidImage", "image: not base64"),
        ({"image": encoded(b"GIF89a")}, "InvalidImage", "image: is none of"),
        ({"image": "data:image/png;base64," + encoded(JPEG)}, "InvalidImage", "image: the data URL declares another"),
        ({"image": encoded(PNG[:-4])}, "InvalidImage", "image: begins as image/png"),
        (
            {"image": encoded(SVG.replace(b"<circle", b"<script"))},
            "InvalidImage",
            'image: this SVG contains the element "script"',
        ),
        ({"image": encoded(PNG + bytes(184320 - len(PNG) + 1))}, "ImageTooLarge", "184320 bytes (184 kB)"),
    ],
)
def test_a_refusal_is_named_and_nothing_is_written(
    changes: dict[str, Any], error: str, said: str, bucket: Any, upload: Upload
) -> None:
    with pytest.raises(errors.OffchainError) as refusal:
        upload(**changes)
    assert type(refusal.value).__name__ == error
    assert refusal.value.certain
    assert said in json.loads(str(refusal.value))["message"]
    assert keys(bucket) == []


def test_a_picture_of_the_largest_size_is_stored(bucket: Any, upload: Upload) -> None:
    data = PNG + bytes(184320 - len(PNG))
    assert upload(image=encoded(data))["size"] == 184320
    assert bucket.Object(keys(bucket)[0]).content_length == 184320


def test_an_unreadable_certificate_is_certain_and_nothing_is_written(
    bucket: Any, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FABRIC_IDENTITIES", ENVIRONMENT["FABRIC_IDENTITIES"].replace("signcert", "absent"))
    with pytest.raises(errors.LedgerUnavailable) as refusal:
        upload()
    assert refusal.value.certain
    assert "absent" not in str(refusal.value)
    assert keys(bucket) == []


def test_a_bucket_that_is_not_there_is_no_success(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_BUCKET", "offchain-absent")
    with pytest.raises(errors.StorageUnavailable) as failure:
        upload()
    assert "offchain-absent" not in str(failure.value)


def test_a_failed_write_is_no_success(bucket: Any, upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = mock.Mock(side_effect=EndpointConnectionError(endpoint_url="https://s3"))
    monkeypatch.setattr(aws.client("s3"), "put_object", unreachable)
    with pytest.raises(errors.StorageUnavailable):
        upload()
    assert unreachable.called
    assert keys(bucket) == []


@pytest.mark.parametrize(
    "name",
    [
        "O'Brien",
        'Ada "Countess"',
        "back\\slash",
        "José",
        "Jose\u0301",
        "日本語",
        "👩‍👩‍👧‍👦",
        "a+b&c=d?e#f%2Fg",
        "$x @@ {y}",
        "..a",
    ],
)
def test_names_arrive_unchanged_in_answer_and_key(name: str, bucket: Any, upload: Upload) -> None:
    answer = upload(donorUserName=name, email=f"{name}@example.org")
    assert answer["record"] == {"donorUserName": name, "email": f"{name}@example.org"}
    assert answer["imageKey"].startswith(f"ngo-donor-images/{name}/")
    assert keys(bucket) == [answer["imageKey"]]
    assert bucket.Object(answer["imageKey"]).get()["Body"].read() == PNG
    assert upload(donorUserName=name, email=f"{name}@example.org") == answer


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\ufffe\uffff"), min_size=1, max_size=40
    ),
    email=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40),
    color=st.binary(min_size=3, max_size=3),
    key=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40),
)
def test_what_is_accepted_arrives_unchanged_and_is_named_by_itself(
    name: str, email: str, color: bytes, key: str, bucket: Any, upload: Upload
) -> None:
    asked = {"donorUserName": name.strip() + "x", "email": email, "idempotencyKey": key}
    answer = upload(image=encoded(png(color=color)), **asked)
    assert answer["record"] == {"donorUserName": name.strip() + "x", "email": email}
    assert bucket.Object(answer["imageKey"]).get()["Body"].read() == png(color=color)
    assert upload(image=encoded(png(color=color)), **asked) == answer
    other = upload(image=encoded(png(width=5, color=color)), **asked)
    assert other["imageKey"] != answer["imageKey"]
    assert other["nonces"] == answer["nonces"]


def test_what_it_leaves_behind_has_ids_and_neither_picture_nor_name(upload: Upload, signals: Signals) -> None:
    with trace() as sent:
        answer = upload(idempotencyKey="caller's key", correlationId=CORRELATION_ID)
        with pytest.raises(errors.OffchainError):
            upload(image="###", correlationId=CORRELATION_ID)
    signals.require_correlated(CONTEXT.aws_request_id)
    stored, refused = signals.message("Stored"), signals.message("Refused")
    ids = answer["submissionId"], answer["transactionIds"][0]
    assert (stored["submissionId"], stored["transactionId"]) == ids
    assert (stored["versionId"], stored["executionId"]) == (answer["versionId"], EXECUTION_ID)
    assert refused["error"] == "InvalidImage"
    assert "submissionId" not in refused
    assert signals.metrics() == {"Stored": [1.0], "InvalidData": [1.0]}
    assert [part["name"] for part in sent] == ["PutObject", "Handler", "Handler"]
    for secret in (encoded(PNG), "ada", "example.org", "caller's key", CERTIFICATE.splitlines()[1], "###"):
        assert secret not in signals.text + json.dumps(sent)
