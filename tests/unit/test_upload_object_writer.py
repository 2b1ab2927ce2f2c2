"""The write to S3 under lost answers, conflicts and refusals, against moto.

Where moto is not faithful (checksums, ETags under KMS, one request at a time), S3's side is set up here.
"""

import base64
import dataclasses
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from shared.errors import StorageUnavailable
from upload_object.object_writer import Content, Invocation, ObjectWriter, StoredObject

from tests.unit.s3_faults import S3Faults
from tests.unit.upload_samples import PNG

KEY = "ngo-donor-images/ada/0123.png"
CONTENT = Content(data=PNG, content_type="image/png")
OWN_IDS, OTHER_IDS = tuple(c * 64 for c in "abc"), tuple(c * 64 for c in "def")


def invocation(request_id: str, transaction_ids: tuple[str, ...] = OWN_IDS, **changes: str) -> Invocation:
    return dataclasses.replace(
        Invocation(
            request_id=request_id,
            execution_id="",
            submission_id="0123",
            nonces=("01" * 24, "02" * 24, "03" * 24),
            transaction_ids=transaction_ids,
            fabric_username="lambdaUser",
            ledger="Org1MSP/mychannel/ngo",
            data_field="image",
        ),
        **changes,
    )


@pytest.fixture
def s3(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Faults]:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    faults = S3Faults()
    yield faults
    faults.clear()


@pytest.fixture
def write(bucket: Any, s3: S3Faults) -> Callable[..., StoredObject]:
    writer = ObjectWriter(bucket=bucket.name)
    return lambda by, content=CONTENT: writer.write(key=KEY, content=content, invocation=by)


def versions(bucket: Any) -> dict[str, dict[str, str]]:
    """Version id to metadata, of all versions."""
    return {v.id: v.head()["Metadata"] for v in bucket.object_versions.filter(Prefix=KEY) if v.size is not None}


def test_the_first_execution_creates_the_object(bucket: Any, s3: S3Faults, write: Any) -> None:
    stored = write(invocation("one"))
    assert stored == StoredObject(
        version_id=bucket.Object(KEY).version_id, created=True, transaction_ids=OWN_IDS, earlier_transaction_ids=()
    )
    found = bucket.Object(KEY).get(ChecksumMode="ENABLED")
    assert found["Body"].read() == PNG
    assert found["ContentType"] == "image/png"
    assert "ContentEncoding" not in found
    assert found["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(PNG).digest()).decode()
    assert found["Metadata"] == {
        "submission-id": "0123",
        "invocation-id": invocation("one").mark,
        "created": "true",
        "nonces": ",".join(("01" * 24, "02" * 24, "03" * 24)),
        "transaction-ids": ",".join(OWN_IDS),
        "fabric-username": "lambdaUser",
        "ledger": "Org1MSP/mychannel/ngo",
        "image-sha256": hashlib.sha256(PNG).hexdigest(),
    }
    (_, sent), *more = s3.sent
    assert (sent["IfNoneMatch"], more) == ("*", [])
    # moto believes any checksum; S3 refuses bytes that do not have it.
    assert sent["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(PNG).digest()).decode()


def test_metadata_is_ascii_whatever_the_names_are(bucket: Any, write: Any) -> None:
    write(invocation("one", fabric_username="Jörg 100% 😀@org1.example.org", data_field="signedForm"))
    metadata = bucket.Object(KEY).metadata
    assert metadata["fabric-username"] == "J%C3%B6rg%20100%25%20%F0%9F%98%80@org1.example.org"
    assert metadata["signedform-sha256"] == CONTENT.sha256
    assert all(text.isascii() and text == text.strip() for pair in metadata.items() for text in pair)


def test_a_repeated_call_writes_nothing_and_answers_the_same(bucket: Any, write: Any) -> None:
    first = write(invocation("one"))
    assert write(invocation("one")) == first
    assert list(versions(bucket)) == [first.version_id]


def test_a_repeated_call_answers_the_same_though_the_certificate_changed(bucket: Any, write: Any) -> None:
    first = write(invocation("one"))
    assert write(invocation("one", OTHER_IDS)) == first
    assert len(versions(bucket)) == 1


def test_another_execution_gets_a_version_of_its_own(bucket: Any, write: Any) -> None:
    first, second = write(invocation("one")), write(invocation("two"))
    assert second.version_id != first.version_id
    assert (second.created, second.transaction_ids, second.earlier_transaction_ids) == (False, OWN_IDS, ())
    found = versions(bucket)
    assert {i: (m["invocation-id"], m["created"]) for i, m in found.items()} == {
        first.version_id: (invocation("one").mark, "true"),
        second.version_id: (invocation("two").mark, "false"),
    }
    assert write(invocation("two")) == second
    bucket.Object(KEY).Version(second.version_id).delete()
    assert bucket.Object(KEY).get()["Body"].read() == PNG


def test_transaction_ids_of_earlier_executions_are_carried_along(bucket: Any, write: Any) -> None:
    write(invocation("one", OTHER_IDS))
    second = write(invocation("two"))
    assert (second.transaction_ids, second.earlier_transaction_ids) == (OWN_IDS, OTHER_IDS)
    assert write(invocation("two")) == second
    third = write(invocation("three", OTHER_IDS))
    assert (third.transaction_ids, third.earlier_transaction_ids) == (OTHER_IDS, OWN_IDS)
    newest = tuple(c * 64 for c in "123")
    assert set(write(invocation("four", newest)).earlier_transaction_ids) == {*OWN_IDS, *OTHER_IDS}


def test_a_repeated_call_after_another_execution_still_owns_a_version(bucket: Any, write: Any) -> None:
    write(invocation("one"))
    write(invocation("two"))
    again = write(invocation("one"))
    assert not again.created
    assert versions(bucket)[again.version_id]["invocation-id"] == invocation("one").mark


def test_an_object_of_someone_else_is_left_alone(bucket: Any, write: Any) -> None:
    other = bucket.put_object(Key=KEY, Body=b"x").version_id
    stored = write(invocation("one"))
    assert (stored.created, stored.earlier_transaction_ids) == (False, ())
    assert bucket.Object(KEY).Version(other).get()["Body"].read() == b"x"
    assert bucket.Object(KEY).get()["Body"].read() == PNG


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_answer_is_found_again(lost: int, bucket: Any, s3: S3Faults, write: Any) -> None:
    """One: the SDK repeats and gets 412 on its own write. Two: it gives up. Three: the next call loses one too."""
    s3.lose_answer("PutObject", lost)
    stored = write(invocation("one"))
    assert stored.created
    assert list(versions(bucket)) == [stored.version_id]


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_request_is_sent_again(lost: int, bucket: Any, s3: S3Faults, write: Any) -> None:
    s3.lose_request("PutObject", lost)
    stored = write(invocation("one"))
    assert stored.created
    assert list(versions(bucket)) == [stored.version_id]


def test_a_lost_answer_to_a_version_of_its_own_leaves_one_version(bucket: Any, s3: S3Faults, write: Any) -> None:
    first = write(invocation("one", OTHER_IDS))
    s3.lose_answer("PutObject", 2, lambda request: "If-None-Match" not in request.headers)
    second = write(invocation("two"))
    assert (second.created, second.earlier_transaction_ids) == (False, OTHER_IDS)
    assert set(versions(bucket)) == {first.version_id, second.version_id}


def test_an_answer_that_stays_lost_is_no_success(bucket: Any, s3: S3Faults, write: Any) -> None:
    s3.lose_answer("PutObject")
    s3.lose_answer("HeadObject")
    with pytest.raises(StorageUnavailable) as failure:
        write(invocation("one"))
    assert not failure.value.certain
    assert "s3" not in str(failure.value).lower()
    assert len(versions(bucket)) == 1
    s3.clear()
    assert write(invocation("one")).created
    assert len(versions(bucket)) == 1


def test_a_bucket_out_of_reach_is_no_success(bucket: Any, s3: S3Faults, write: Any) -> None:
    s3.lose_request("PutObject")
    with pytest.raises(StorageUnavailable):
        write(invocation("one"))
    assert versions(bucket) == {}


def test_attempts_end_when_time_runs_out(s3: S3Faults, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    s3.refuse("PutObject", 503, "SlowDown")
    s3.before("HeadObject", lambda: now.__setitem__(0, 7.0))
    with pytest.raises(StorageUnavailable):
        write(invocation("one"))
    assert s3.count("PutObject") == 1


@pytest.mark.parametrize(
    ("status", "code"), [(409, "ConditionalRequestConflict"), (503, "SlowDown"), (500, "InternalError")]
)
def test_a_passing_refusal_is_met_with_another_attempt(
    status: int, code: str, bucket: Any, s3: S3Faults, write: Any
) -> None:
    s3.refuse("PutObject", status, code, times=2)
    assert write(invocation("one")).created
    assert s3.count("PutObject") == 3
    assert len(versions(bucket)) == 1


@pytest.mark.parametrize(
    ("status", "code", "attempts"),
    [
        (409, "ConditionalRequestConflict", 4),
        (503, "SlowDown", 4),
        (400, "RequestTimeout", 4),
        (403, "AccessDenied", 1),
        (404, "NoSuchBucket", 1),
        (400, "BadDigest", 1),
        (400, "MetadataTooLarge", 1),
    ],
)
def test_a_refusal_that_stays_is_no_success(
    status: int, code: str, attempts: int, bucket: Any, s3: S3Faults, write: Any
) -> None:
    s3.refuse("PutObject", status, code)
    with pytest.raises(StorageUnavailable):
        write(invocation("one"))
    assert s3.count("PutObject") == attempts
    assert versions(bucket) == {}


def test_a_refused_version_of_its_own_is_no_success(bucket: Any, s3: S3Faults, write: Any) -> None:
    first = write(invocation("one"))
    s3.refuse("PutObject", 412, "PreconditionFailed", times=1)
    s3.refuse("PutObject", 503, "SlowDown")
    with pytest.raises(StorageUnavailable):
        write(invocation("two"))
    assert list(versions(bucket)) == [first.version_id]


@pytest.mark.parametrize("status", [403, 404])
def test_an_object_deleted_in_between_is_written_anew(status: int, bucket: Any, s3: S3Faults, write: Any) -> None:
    """Without s3:ListBucket S3 answers 403, not 404, where nothing is."""
    first = write(invocation("one"))
    s3.refuse("HeadObject", status, str(status), times=1)
    s3.before("HeadObject", bucket.Object(KEY).Version(first.version_id).delete)
    second = write(invocation("two"))
    assert second.created
    assert list(versions(bucket)) == [second.version_id]


def test_a_head_that_fails_is_no_success(s3: S3Faults, write: Any) -> None:
    write(invocation("one"))
    s3.refuse("HeadObject", 500, "500")
    with pytest.raises(StorageUnavailable):
        write(invocation("one"))


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse"])
def test_under_kms_the_etag_is_not_the_md5(encryption: str, s3: S3Faults, write: Any) -> None:
    for operation in ("PutObject", "HeadObject"):
        s3.answer_with(operation, ServerSideEncryption=encryption, ETag=f'"{"0" * 32}"')
    first = write(invocation("one"))
    assert write(invocation("one")) == first


def test_an_etag_in_another_form_is_not_compared(s3: S3Faults, write: Any) -> None:
    s3.answer_with("PutObject", ETag=f'"{"0" * 32}-2"')
    assert write(invocation("one")).created


@pytest.mark.parametrize("operation", ["PutObject", "HeadObject"])
def test_an_etag_that_is_not_the_md5_is_no_success(operation: str, s3: S3Faults, write: Any) -> None:
    if operation == "HeadObject":
        write(invocation("one"))
    s3.answer_with(operation, ServerSideEncryption="AES256", ETag=f'"{"0" * 32}"')
    with pytest.raises(StorageUnavailable):
        write(invocation("one"))


@pytest.mark.parametrize("version_id", [None, "null"])
def test_a_bucket_without_versions_is_no_success(version_id: str | None, s3: S3Faults, write: Any) -> None:
    s3.answer_with("PutObject", VersionId=version_id)
    with pytest.raises(StorageUnavailable):
        write(invocation("one"))


@pytest.mark.parametrize("same", [True, False])
def test_executions_at_the_same_time(same: bool, bucket: Any, s3: S3Faults, write: Any) -> None:
    s3.one_at_a_time()
    together = threading.Barrier(4)

    def run(n: int) -> StoredObject:
        together.wait()
        return write(invocation("one" if same else f"execution-{n}"))  # type: ignore[no-any-return]

    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(run, range(4)))
    found = versions(bucket)
    assert {s.version_id for s in stored} == set(found)
    assert len(found) == (1 if same else 4)
    assert sum(m["created"] == "true" for m in found.values()) == 1
    assert [s.created for s in stored].count(True) == (4 if same else 1)


def test_content_is_hashed_as_named() -> None:
    assert (CONTENT.md5, CONTENT.sha256) == (hashlib.md5(PNG).hexdigest(), hashlib.sha256(PNG).hexdigest())
