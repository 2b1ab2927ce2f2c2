"""The verify function, through its Lambda handler: objects on moto, torn bodies from a server on a socket."""

import base64
import datetime
import hashlib
import itertools
import json
import string
import tracemalloc
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared import aws, errors, record_type
from verify_object import handler as verify_object

from tests.unit.deployment import Context
from tests.unit.s3_faults import S3Faults
from tests.unit.s3_server import S3Server
from tests.unit.signals import CORRELATION_ID, Signals
from tests.unit.upload_samples import ENVIRONMENT, JPEG, PDF, PNG, RECORD_TYPE, SVG, WEBP

PREFIX = "ngo-donor-images/"
KEY = f"{PREFIX}ada/0123.png"
LIMIT: int = RECORD_TYPE["maxDataBytes"]  # type: ignore[assignment]
MINUTES_15 = 900


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def record(data: bytes = PNG, key: str = KEY) -> dict[str, Any]:
    """A donor's record as the ledger has it."""
    return {"donorUserName": "ada", "imageKey": key, "imageHash": md5(data), "imageSha256": sha256(data)}


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def verify(
    answer: dict[str, Any],
    *,
    identifier: str = "ada",
    by_checksum: bool = False,
    inline: bool = False,
    remaining: float = 20.0,
) -> dict[str, Any]:
    event = {"answer": answer, "identifier": identifier, "byChecksum": by_checksum, "inline": inline}
    return verify_object.handler(event, Context(remaining))  # type: ignore[no-any-return]


def image(answer: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    return verify(answer, **arguments)["answer"]["image"]  # type: ignore[no-any-return]


def refused(kind: type[errors.OffchainError], answer: dict[str, Any], **arguments: Any) -> errors.OffchainError:
    with pytest.raises(kind) as raised:
        verify(answer, **arguments)
    return raised.value


@pytest.fixture
def deployed(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("S3_BUCKET", bucket.name)
    monkeypatch.setenv("RECORD_TYPE", ENVIRONMENT["RECORD_TYPE"])
    monkeypatch.setenv("URL_EXPIRES_SECONDS", str(MINUTES_15))
    caches = (record_type.from_environment, verify_object.presenter)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def s3(deployed: None) -> Iterator[S3Faults]:
    faults = S3Faults()
    yield faults
    faults.clear()


def put(bucket: Any, data: bytes = PNG, key: str = KEY, **arguments: Any) -> str:
    """Write an object as the upload function does; returns its version."""
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return bucket.put_object(
        Key=key, Body=data, ChecksumSHA256=checksum, ChecksumAlgorithm="SHA256", **arguments
    ).version_id  # type: ignore[no-any-return]


# The hash of the bytes


@pytest.mark.parametrize(
    ("hashes", "verified_by"),
    [
        ({"imageSha256": sha256(PNG), "imageHash": md5(PNG)}, "SHA-256"),
        ({"imageSha256": sha256(PNG)}, "SHA-256"),
        ({"imageSha256": sha256(PNG).upper()}, "SHA-256"),
        ({"imageSha256": sha256(PNG), "imageHash": "0" * 32}, "SHA-256"),
        ({"imageHash": md5(PNG)}, "MD5"),
        ({"imageHash": md5(PNG).upper()}, "MD5"),
        ({"imageHash": f'"{md5(PNG)}"'}, "MD5"),
        ({"imageHash": md5(PNG), "imageSha256": None}, "MD5"),
    ],
)
def test_the_strongest_hash_that_the_record_has_is_compared(
    hashes: dict[str, Any], verified_by: str, bucket: Any, deployed: None
) -> None:
    version = put(bucket)
    found = image({"imageKey": KEY} | hashes)
    assert (found["integrity"], found["verifiedBy"]) == ("VERIFIED", verified_by)
    assert (found["contentType"], found["size"], found["versionId"]) == ("image/png", len(PNG), version)


SOUND_SHA256, SOUND_MD5 = sha256(PNG), md5(PNG)
NO_HASHES: dict[str, Any] = {
    "empty": "",
    "a word": "first",
    "cut short": SOUND_SHA256[:-1],
    "longer": SOUND_SHA256 + "0",
    "with a blank": f"{SOUND_SHA256} ",
    "with a line's end": f"{SOUND_SHA256}\n",
    "a letter beyond hex": f"g{SOUND_SHA256[1:]}",
    "digits of another script": "\u0660" * 64,
    "base64": base64.b64encode(hashlib.sha256(PNG).digest()).decode(),
    "a number": 7,
    "nothing": 0,
    "true": True,
    "false": False,
    "a list": [SOUND_SHA256],
    "an empty list": [],
    "an object": {"hex": SOUND_SHA256},
}
"""What may stand in a hash's place and is none: neither a SHA-256 nor an MD5."""


@pytest.mark.parametrize("no_hash", NO_HASHES.values(), ids=NO_HASHES)
def test_what_is_no_hash_in_a_hashs_place_is_trouble_whatever_the_other_hash_says(no_hash: Any, s3: S3Faults) -> None:
    for field, by_checksum, inline in itertools.product(("imageSha256", "imageHash"), (True, False), (True, False)):
        for answer in (record() | {field: no_hash}, {"imageKey": KEY, field: no_hash}):
            error = refused(errors.ObjectTampered, answer, by_checksum=by_checksum, inline=inline)
            assert type(error).__name__ == "ImageTampered"
            assert error.message.startswith(f"{field}: ")
            assert error.details == {}
    assert s3.sent == []


@pytest.mark.parametrize(
    ("field", "other_form"),
    [
        ("imageSha256", f'"{SOUND_SHA256}"'),
        ("imageSha256", SOUND_MD5),
        ("imageHash", SOUND_SHA256),
        ("imageHash", f'"{SOUND_MD5}'),
        ("imageHash", f'""{SOUND_MD5}""'),
        ("imageHash", f'"{SOUND_MD5}-2"'),
        ("imageHash", f'W/"{SOUND_MD5}"'),
    ],
)
def test_a_hash_in_another_form_is_none(field: str, other_form: str, deployed: None) -> None:
    refused(errors.ObjectTampered, record() | {field: other_form})


@pytest.mark.parametrize("hashes", [{"imageSha256": sha256(PNG)}, {"imageHash": md5(PNG)}])
def test_other_bytes_under_the_key_are_tampered(hashes: dict[str, str], bucket: Any, deployed: None) -> None:
    put(bucket, JPEG)
    error = refused(errors.ObjectTampered, {"imageKey": KEY} | hashes)
    assert type(error).__name__ == "ImageTampered"
    assert "versionId" not in error.details


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("hashes", [{}, {"imageHash": None, "imageSha256": None}])
def test_without_a_hash_nothing_is_proved_and_nothing_handed_out(
    hashes: dict[str, Any], inline: bool, bucket: Any, deployed: None
) -> None:
    put(bucket)
    assert image({"imageKey": KEY} | hashes, inline=inline) == {"integrity": "UNVERIFIABLE"}


def test_an_empty_object_is_verified_too(bucket: Any, deployed: None) -> None:
    put(bucket, b"")
    assert image(record(b""), inline=True)["dataUrl"] == "data:image/png;base64,"


@pytest.mark.parametrize(
    "key", [f"{PREFIX}ada.png", f"{PREFIX}ada/0123.JPEG", f"{PREFIX}ada/a b+c%41ü", f"{PREFIX}ada/.."]
)
def test_both_forms_of_a_records_own_key_are_read(key: str, bucket: Any, deployed: None) -> None:
    put(bucket, key=key)
    found = verify(record(key=key))
    assert (found["key"], found["answer"]["image"]["integrity"]) == (key, "VERIFIED")


def test_the_transactions_that_the_metadata_claims_are_named(bucket: Any, deployed: None) -> None:
    ids = ["a1" * 32, "b2" * 32]
    put(bucket, Metadata={"transaction-ids": ",".join([*ids, "c3" * 33, "D4" * 32, "junk"])})
    assert verify(record())["transactionIds"] == ids
    put(bucket)
    assert verify(record())["transactionIds"] == []


# What is missing, and what is not the record's


def test_nothing_under_the_key_is_missing(deployed: None) -> None:
    error = refused(errors.ObjectMissing, record())
    assert type(error).__name__ == "ImageMissing"
    assert error.details == {"versions": 0, "deleteMarker": False}
    assert error.message.endswith("; 0 versions of it remain and no delete marker.")


def test_a_good_version_behind_a_delete_marker_is_named(bucket: Any, deployed: None) -> None:
    version = put(bucket)
    bucket.Object(KEY).delete()
    error = refused(errors.ObjectMissing, record())
    assert error.details == {"versions": 1, "deleteMarker": True, "versionId": version}
    assert f"; 1 version of it remains behind a delete marker. Version {version} is still good." in error.message
    assert json.loads(str(error)) == {"message": error.message} | error.details


def test_only_others_behind_a_delete_marker_are_counted(bucket: Any, deployed: None) -> None:
    put(bucket, JPEG)
    put(bucket, SVG)
    bucket.Object(KEY).delete()
    error = refused(errors.ObjectMissing, record())
    assert error.details == {"versions": 2, "deleteMarker": True}
    assert error.message.endswith("; 2 versions of it remain behind a delete marker.")


def test_versions_of_a_longer_key_are_another_objects(bucket: Any, deployed: None) -> None:
    put(bucket, key=f"{KEY}2")
    assert refused(errors.ObjectMissing, record()).details == {"versions": 0, "deleteMarker": False}


@pytest.mark.parametrize(
    ("length", "refusal"), [(1024, ": the object that the ledger"), (1025, "not this record's own")]
)
def test_a_key_that_is_too_long_for_s3_is_missing(length: int, refusal: str, s3: S3Faults) -> None:
    key = f"{PREFIX}ada/{'ü' * 500}"
    error = refused(errors.ObjectMissing, record(key=key + "x" * (length - len(key.encode()))))
    assert refusal in error.message
    assert bool(s3.sent) == (length == 1024)


AWKWARD = "ab.*+?^$|()[]{}\\/- %#&'\"<>\n\r\tü\u2028\U0001f600\ud800"
identifiers = st.text(AWKWARD, min_size=1, max_size=6)
names = st.text(f"{AWKWARD}\0\x1f", max_size=6)


@st.composite
def claims(draw: st.DrawFn) -> tuple[str, str]:
    """An identifier, and the key that its record names: its own, one close to it, or anything."""
    identifier = draw(identifiers)
    near = list(identifier)
    near[draw(st.integers(0, len(near) - 1))] = draw(st.text(AWKWARD, max_size=2))
    owner = draw(st.sampled_from([identifier, "".join(near), f"{identifier}/x", "", "ada"]))
    key = draw(
        st.one_of(
            st.builds("{}{}/{}".format, st.just(PREFIX), st.just(owner), names),
            st.builds(
                "{}{}.{}".format, st.just(PREFIX), st.just(owner), st.text(string.ascii_letters + "1ü./\n", max_size=4)
            ),
            st.builds("{}{}".format, st.sampled_from([PREFIX, "", "other/", PREFIX.upper()]), st.text(AWKWARD)),
        )
    )
    return identifier, key


def is_own(identifier: str, key: str) -> bool:
    """The rule in other words than the product's."""
    own = PREFIX + identifier
    if key.startswith(f"{own}/"):
        name = key[len(own) + 1 :]
        return name != "" and not any(c == "/" or ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in name)
    if key.startswith(f"{own}."):
        extension = key[len(own) + 1 :]
        return extension != "" and all(c in string.ascii_letters + string.digits for c in extension)
    return False


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(claim=claims(), by_checksum=st.booleans(), inline=st.booleans())
def test_no_key_but_the_records_own_is_ever_asked_of_s3(
    claim: tuple[str, str], by_checksum: bool, inline: bool, s3: S3Faults
) -> None:
    identifier, key = claim
    s3.sent.clear()
    error = refused(
        errors.ObjectMissing, record(key=key), identifier=identifier, by_checksum=by_checksum, inline=inline
    )
    asked = {parameters.get("Key", parameters.get("Prefix")) for _, parameters in s3.sent}
    has_surrogate = any(0xD800 <= ord(c) < 0xE000 for c in key)
    assert asked == ({key} if is_own(identifier, key) and not has_surrogate else set())
    assert ("not this record's own" in error.message) == (not asked)


@pytest.mark.parametrize(
    ("identifier", "key"),
    [
        ("ada", f"{PREFIX}bob/0123.png"),
        ("ada", f"{PREFIX}adam/0123.png"),
        ("ada", f"{PREFIX}ada/0123/x.png"),
        ("ada", f"{PREFIX}ada/"),
        ("ada", f"{PREFIX}ada"),
        ("ada", f"{PREFIX}ada."),
        ("ada", f"{PREFIX}ada.png\n"),
        ("ada", f"{PREFIX}ada/0123.png\n"),
        ("ada", f"{PREFIX}ada/\ud800.png"),
        ("ada", f"x{PREFIX}ada/0123.png"),
        ("ada", "ada/0123.png"),
        ("a.a", f"{PREFIX}ada/0123.png"),
        (".*", f"{PREFIX}ada/0123.png"),
        ("a|b", f"{PREFIX}a"),
        ("a\nb", f"{PREFIX}a\nb\n/x.png"),
    ],
)
def test_an_object_of_another_record_is_not_read(identifier: str, key: str, bucket: Any, s3: S3Faults) -> None:
    if "\ud800" not in key:
        put(bucket, key=key)
    error = refused(errors.ObjectMissing, record(key=key), identifier=identifier)
    assert error.details == {"versions": 0, "deleteMarker": False}
    assert "not this record's own" in error.message
    assert s3.sent == []


# A good version among others


def overwritten(bucket: Any, versions: int, good: int) -> str:
    """`versions` of the object, of which only number `good`, counted from the oldest, is the ledger's."""
    ids = [put(bucket, PNG if number == good else b"other %d" % number) for number in range(versions)]
    return ids[good]


@pytest.mark.parametrize("good", [0, 1, 19])
def test_a_good_version_is_found_from_the_oldest_on(good: int, bucket: Any, s3: S3Faults) -> None:
    version = overwritten(bucket, 30, good)
    error = refused(errors.ObjectTampered, without(record(), "imageHash"))
    assert error.details == {"versionId": version}
    assert version in error.message
    assert s3.count("GetObject") == 1 + good + 1


def test_some_twenty_of_many_versions_are_read(bucket: Any, s3: S3Faults) -> None:
    overwritten(bucket, 30, 20)
    assert refused(errors.ObjectTampered, without(record(), "imageHash")).details == {}
    assert s3.count("GetObject") == 1 + 20


def test_the_version_whose_etag_is_the_md5_is_read_first(bucket: Any, s3: S3Faults) -> None:
    version = overwritten(bucket, 30, 25)
    assert refused(errors.ObjectTampered, record()).details == {"versionId": version}
    assert s3.count("GetObject") == 2


def test_an_etag_alone_is_no_proof(bucket: Any, s3: S3Faults) -> None:
    put(bucket)
    put(bucket, JPEG)
    wrong = record() | {"imageSha256": sha256(b"of something else")}
    assert refused(errors.ObjectTampered, wrong).details == {}


@pytest.mark.parametrize("by_checksum", [True, False])
def test_a_good_version_that_came_after_the_first_look_is_verified(
    by_checksum: bool, bucket: Any, s3: S3Faults
) -> None:
    put(bucket, JPEG)
    versions: list[str] = []
    s3.before("ListObjectVersions", lambda: versions.append(put(bucket)))
    found = image(record(), by_checksum=by_checksum, inline=not by_checksum)
    assert (found["integrity"], found["versionId"]) == ("VERIFIED", versions[0])
    assert ("dataUrl" in found) == (not by_checksum)


# A bucket that keeps no versions


@pytest.fixture(params=["never versioned", "suspended", "switched on since"])
def unversioned(request: pytest.FixtureRequest, deployed: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket whose object S3 keeps no version of. What AWS answers of one that once kept versions moto leaves out."""
    resource = boto3.resource("s3").Bucket("offchain-unversioned")
    resource.create()
    monkeypatch.setenv("S3_BUCKET", resource.name)
    faults = S3Faults()
    if request.param == "suspended":
        resource.Versioning().enable()
        resource.Versioning().suspend()
    resource.put_object(Key=KEY, Body=PNG, ChecksumAlgorithm="SHA256")
    if request.param == "switched on since":
        resource.Versioning().enable()
    if request.param != "never versioned":
        for operation in ("GetObject", "HeadObject"):
            faults.answer_with(operation, VersionId="null")
    yield resource
    faults.clear()
    resource.object_versions.delete()
    resource.delete()


@pytest.mark.parametrize("by_checksum", [True, False])
def test_an_object_without_a_version_is_verified_and_gets_no_url(
    by_checksum: bool, unversioned: Any, caplog: pytest.LogCaptureFixture
) -> None:
    verified_by = "S3-CHECKSUM-SHA-256" if by_checksum else "SHA-256"
    found = {"integrity": "VERIFIED", "verifiedBy": verified_by, "contentType": "image/png", "size": len(PNG)}
    assert image(record(), by_checksum=by_checksum) == found
    (entry,) = [vars(entry) for entry in caplog.records if "keeps no version" in entry.message]
    assert "switch the bucket's versioning on" in entry["message"]
    assert "key" not in entry  # the donor's name is in it


def test_an_object_without_a_version_is_handed_out_inline(unversioned: Any) -> None:
    found = image(record(), inline=True)
    assert found.keys() == {"integrity", "verifiedBy", "contentType", "size", "dataUrl"}
    assert base64.b64decode(found["dataUrl"].partition(",")[2]) == PNG


def test_an_object_without_a_version_that_does_not_fit_inline_says_what_to_switch_on(unversioned: Any) -> None:
    data = b"x" * (LIMIT + 1)
    unversioned.put_object(Key=KEY, Body=data)
    error = refused(errors.DataTooLarge, record(data), inline=True)
    assert "switch versioning on" in error.message
    assert "image.url" not in error.message


@pytest.mark.parametrize("by_checksum", [True, False])
def test_an_object_without_a_version_that_was_written_over_is_tampered(by_checksum: bool, unversioned: Any) -> None:
    refused(errors.ObjectTampered, record(JPEG), by_checksum=by_checksum)


def test_a_good_object_without_a_version_is_named_as_s3_names_it(bucket: Any, deployed: None) -> None:
    bucket.Versioning().suspend()
    bucket.put_object(Key=KEY, Body=PNG)
    bucket.Versioning().enable()
    put(bucket, JPEG)
    error = refused(errors.ObjectTampered, record())
    assert error.details == {"versionId": "null"}


def test_an_object_without_a_version_is_looked_at_once(unversioned: Any) -> None:
    faults = S3Faults()
    refused(errors.ObjectTampered, record(JPEG))
    faults.clear()
    assert faults.count("GetObject") == 1


# S3's own checksum


def test_by_checksum_nothing_is_read(bucket: Any, s3: S3Faults) -> None:
    version = put(bucket, Metadata={"transaction-ids": "a1" * 32})
    found = verify(record(), by_checksum=True)
    described = found["answer"]["image"]
    assert (described["integrity"], described["verifiedBy"]) == ("VERIFIED", "S3-CHECKSUM-SHA-256")
    assert (described["size"], described["versionId"]) == (len(PNG), version)
    assert found["transactionIds"] == ["a1" * 32]
    assert (s3.count("HeadObject"), s3.count("GetObject")) == (1, 0)


def test_by_checksum_a_good_version_is_found_without_reading(bucket: Any, s3: S3Faults) -> None:
    version = overwritten(bucket, 5, 2)
    error = refused(errors.ObjectTampered, without(record(), "imageHash"), by_checksum=True)
    assert error.details == {"versionId": version}
    assert (s3.count("HeadObject"), s3.count("GetObject")) == (1 + 3, 0)


def test_by_checksum_a_missing_object_is_missing(bucket: Any, s3: S3Faults) -> None:
    version = put(bucket)
    bucket.Object(KEY).delete()
    error = refused(errors.ObjectMissing, record(), by_checksum=True)
    assert error.details == {"versions": 1, "deleteMarker": True, "versionId": version}
    assert s3.count("GetObject") == 0


@pytest.mark.parametrize(
    "checksum",
    [None, base64.b64encode(hashlib.sha256(hashlib.sha256(PNG).digest()).digest()).decode() + "-1"],
    ids=["none", "of-parts"],
)
@pytest.mark.parametrize(("stored", "is_good"), [(PNG, True), (JPEG, False)])
def test_where_s3_keeps_no_checksum_of_the_whole_the_bytes_are_read(
    stored: bytes, is_good: bool, checksum: str | None, bucket: Any, s3: S3Faults
) -> None:
    put(bucket, stored)
    s3.answer_with("HeadObject", ChecksumSHA256=checksum)
    if is_good:
        assert image(record(), by_checksum=True)["verifiedBy"] == "SHA-256"
    else:
        refused(errors.ObjectTampered, record(), by_checksum=True)
    assert s3.count("GetObject") == 1


def test_by_checksum_the_bytes_are_read_where_the_record_has_only_an_md5(bucket: Any, s3: S3Faults) -> None:
    put(bucket)
    assert image(without(record(), "imageSha256"), by_checksum=True)["verifiedBy"] == "MD5"
    assert s3.count("HeadObject") == 0


# The URL


def presigned(answer: dict[str, Any], **arguments: Any) -> tuple[Any, dict[str, str]]:
    url = urlsplit(image(answer, **arguments)["url"])
    return url, {name: value for name, (value,) in parse_qs(url.query, strict_parsing=True).items()}


@pytest.mark.parametrize("by_checksum", [True, False])
def test_the_url_gives_the_verified_version_whatever_comes_after(
    by_checksum: bool, bucket: Any, deployed: None
) -> None:
    version = put(bucket, ContentType="text/html")
    url = image(record(), by_checksum=by_checksum)["url"]
    put(bucket, JPEG)
    fetched = requests.get(url, timeout=5)
    assert (fetched.status_code, fetched.content) == (200, PNG)
    assert fetched.headers["x-amz-version-id"] == version
    assert fetched.headers["content-type"] == "image/png"
    assert fetched.headers["content-disposition"] == "inline; filename*=UTF-8''ada.png"


def test_the_url_is_signed_in_the_present_way_for_one_version_and_a_while(bucket: Any, deployed: None) -> None:
    version = put(bucket)
    found = image(record())
    query = {name: value for name, (value,) in parse_qs(urlsplit(found["url"]).query).items()}
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert (query["versionId"], query["X-Amz-Expires"]) == (version, str(MINUTES_15))
    signed = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    expires = datetime.datetime.fromisoformat(found["expiresAt"])
    assert found["expiresAt"].endswith("Z")
    assert datetime.timedelta(seconds=-2) <= expires - signed - datetime.timedelta(seconds=MINUTES_15)
    assert expires <= signed + datetime.timedelta(seconds=MINUTES_15)


@pytest.mark.parametrize(
    ("name", "data", "content_type", "disposition"),
    [
        ("x.png", PNG, "image/png", "inline; filename*=UTF-8''ada.png"),
        ("x.jpg", JPEG, "image/jpeg", "inline; filename*=UTF-8''ada.jpg"),
        ("x.JPEG", JPEG, "image/jpeg", "inline; filename*=UTF-8''ada.jpg"),
        ("x.webp", WEBP, "image/webp", "inline; filename*=UTF-8''ada.webp"),
        ("x.svg", SVG, "image/svg+xml", "attachment; filename*=UTF-8''ada.svg"),
        ("x.pdf", PDF, "application/pdf", "attachment; filename*=UTF-8''ada.pdf"),
        ("x.bin", PNG, "application/octet-stream", "attachment; filename*=UTF-8''ada.bin"),
        ("x.html", SVG, "application/octet-stream", "attachment; filename*=UTF-8''ada.bin"),
        ("x", PNG, "application/octet-stream", "attachment; filename*=UTF-8''ada.bin"),
        ("png", PNG, "application/octet-stream", "attachment; filename*=UTF-8''ada.bin"),
    ],
)
def test_the_keys_extension_decides_how_a_browser_shows_it(
    name: str, data: bytes, content_type: str, disposition: str, bucket: Any, deployed: None
) -> None:
    key = f"{PREFIX}ada/{name}"
    put(bucket, data, key, ContentType="text/html", ContentDisposition="inline")
    found = image(record(data, key))
    query = {name: value for name, (value,) in parse_qs(urlsplit(found["url"]).query).items()}
    assert found["contentType"] == content_type
    assert (query["response-content-type"], query["response-content-disposition"]) == (content_type, disposition)


@pytest.mark.parametrize("identifier", ['Zoë "x"', "a;b=c'd", "ünï\u2028", "100%", "\U0001f600", "a.png"])
def test_a_file_name_is_percent_encoded(identifier: str, bucket: Any, deployed: None) -> None:
    key = f"{PREFIX}{identifier}/1.png"
    put(bucket, key=key)
    _, query = presigned(record(key=key), identifier=identifier)
    start, name = query["response-content-disposition"].split("''")
    assert start == "inline; filename*=UTF-8"
    assert set(name) <= set(string.ascii_letters + string.digits + "%._-~")
    assert unquote(name, errors="strict") == f"{identifier}.png"


def test_quotes_and_letters_beyond_ascii_in_a_file_name(bucket: Any, deployed: None) -> None:
    key = f'{PREFIX}Zoë "x"/1.png'
    put(bucket, key=key)
    _, query = presigned(record(key=key), identifier='Zoë "x"')
    assert query["response-content-disposition"] == "inline; filename*=UTF-8''Zo%C3%AB%20%22x%22.png"


def test_the_url_names_the_buckets_region(bucket: Any, deployed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    aws.client.cache_clear()
    try:
        url, query = presigned(record())
    finally:
        aws.client.cache_clear()
    assert url.netloc == f"{bucket.name}.s3.eu-central-1.amazonaws.com"
    assert query["X-Amz-Credential"].split("/")[2:] == ["eu-central-1", "s3", "aws4_request"]


def test_the_url_has_a_bucket_with_dots_in_its_path(
    bucket: Any, deployed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotted = boto3.resource("s3").Bucket("images.example.org")
    dotted.create()
    dotted.Versioning().enable()
    put(dotted)
    monkeypatch.setenv("S3_BUCKET", dotted.name)
    url, _ = presigned(record())
    assert url.netloc.endswith("amazonaws.com")
    assert dotted.name not in url.netloc
    assert url.path == f"/{dotted.name}/{KEY}"
    dotted.object_versions.delete()
    dotted.delete()


# Inline


def test_inline_data_are_the_verified_bytes(bucket: Any, s3: S3Faults) -> None:
    put(bucket, SVG, f"{PREFIX}ada/1.svg")
    found = image(record(SVG, f"{PREFIX}ada/1.svg"), inline=True, by_checksum=True)
    assert found["dataUrl"] == f"data:image/svg+xml;base64,{base64.b64encode(SVG).decode()}"
    assert found["verifiedBy"] == "SHA-256"
    assert (s3.count("GetObject"), s3.count("HeadObject")) == (1, 0)


def test_data_are_inline_only_where_asked(bucket: Any, deployed: None) -> None:
    put(bucket)
    assert "dataUrl" not in image(record())


def test_inline_data_have_a_limit(bucket: Any, deployed: None) -> None:
    fits, too_long = b"x" * LIMIT, b"x" * (LIMIT + 1)
    put(bucket, fits)
    assert base64.b64decode(image(record(fits), inline=True)["dataUrl"].partition(",")[2]) == fits
    put(bucket, too_long)
    error = refused(errors.DataTooLarge, record(too_long), inline=True)
    assert type(error).__name__ == "ImageTooLarge"
    assert str(LIMIT + 1) in error.message
    assert "image.url" in error.message
    assert image(record(too_long))["size"] == LIMIT + 1


RECORD_BESIDE = 16_000
"""Bytes of another field, beside which the largest data do not fit."""


def test_data_that_do_not_fit_beside_their_record_are_too_large(bucket: Any, deployed: None) -> None:
    data = b"x" * LIMIT
    put(bucket, data)
    long = {"email": "x" * RECORD_BESIDE}
    error = refused(errors.DataTooLarge, record(data) | long, inline=True)
    assert "beside this record" in error.message
    assert "image.url" in error.message
    assert "url" in image(record(data) | long)
    assert "dataUrl" in image(record(data), inline=True)


def test_tampered_data_are_tampered_whatever_their_length(bucket: Any, deployed: None) -> None:
    put(bucket, b"x" * (LIMIT + 1))
    refused(errors.ObjectTampered, record(), inline=True)


# S3 at fault


def test_a_body_that_breaks_off_is_read_again(deployed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    server = S3Server(size=3_000_000, breaks=1)
    with server.in_place_of_s3(monkeypatch):
        found = image({"imageKey": KEY, "imageSha256": server.sha256})
    assert (found["integrity"], found["size"], server.requests) == ("VERIFIED", 3_000_000, 2)


def test_a_body_that_breaks_off_again_makes_the_storage_unavailable(
    deployed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = S3Server(size=3_000_000, breaks=9)
    with server.in_place_of_s3(monkeypatch):
        refused(errors.StorageUnavailable, {"imageKey": KEY, "imageSha256": server.sha256})
    assert server.requests == 2


def test_a_body_that_takes_too_long_names_the_shorter_way(deployed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    server = S3Server(size=20_000_000)
    with server.in_place_of_s3(monkeypatch):
        error = refused(errors.StorageUnavailable, {"imageKey": KEY, "imageSha256": server.sha256}, remaining=1.0)
    assert error.message.endswith("Try again later, or with verify=checksum if the object is large.")
    assert server.requests == 1


@pytest.mark.parametrize(
    ("by_checksum", "advice"),
    [
        (False, ", or with verify=checksum and without inline if the object is large."),
        (True, ", or without inline if the"),
    ],
)
def test_a_body_that_takes_too_long_inline_names_what_is_left(
    by_checksum: bool, advice: str, deployed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = S3Server(size=20_000_000)
    asked: dict[str, Any] = {"by_checksum": by_checksum, "inline": True, "remaining": 1.0}
    with server.in_place_of_s3(monkeypatch):
        error = refused(errors.StorageUnavailable, {"imageKey": KEY, "imageSha256": server.sha256}, **asked)
    assert f"Try again later{advice}" in error.message


@pytest.mark.parametrize("by_checksum", [True, False])
def test_without_time_no_further_version_is_looked_at(by_checksum: bool, bucket: Any, s3: S3Faults) -> None:
    put(bucket)
    put(bucket, JPEG)
    refused(errors.StorageUnavailable, record(), by_checksum=by_checksum, remaining=1.0)
    assert s3.count("HeadObject" if by_checksum else "GetObject") == 1


def test_time_for_the_body_is_no_matter_by_checksum(bucket: Any, deployed: None) -> None:
    put(bucket)
    assert image(record(), by_checksum=True, remaining=1.0)["integrity"] == "VERIFIED"


@pytest.mark.parametrize("by_checksum", [True, False])
def test_a_refusal_of_a_version_that_exists_is_no_loss(by_checksum: bool, bucket: Any, s3: S3Faults) -> None:
    put(bucket)
    s3.refuse("HeadObject" if by_checksum else "GetObject", 403, "AccessDenied")
    refused(errors.StorageUnavailable, record(), by_checksum=by_checksum)


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchVersion"), (405, "MethodNotAllowed")])
def test_a_refusal_of_what_does_not_exist_is_a_loss(status: int, code: str, s3: S3Faults) -> None:
    """S3 says so of an absent object to whoever may not list, and of one that became a delete marker."""
    s3.refuse("GetObject", status, code)
    assert refused(errors.ObjectMissing, record()).details == {"versions": 0, "deleteMarker": False}


@pytest.mark.parametrize(
    ("operation", "status", "code"),
    [
        ("GetObject", 400, "KMS.DisabledException"),
        ("GetObject", 503, "SlowDown"),
        ("ListObjectVersions", 403, "AccessDenied"),
        ("ListObjectVersions", 500, "InternalError"),
    ],
)
def test_a_store_that_does_not_answer_is_no_loss(
    operation: str, status: int, code: str, bucket: Any, s3: S3Faults
) -> None:
    if operation == "GetObject":
        put(bucket)
    s3.refuse(operation, status, code)
    error = refused(errors.StorageUnavailable, record())
    assert code not in str(error)


def test_a_store_out_of_reach_is_asked_twice(bucket: Any, s3: S3Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    s3.lose_answer("GetObject")
    refused(errors.StorageUnavailable, record())
    assert s3.count("GetObject") == 2


def test_a_large_object_is_never_in_memory_as_a_whole(deployed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    server = S3Server(size=20_000_000)
    with server.in_place_of_s3(monkeypatch):
        aws.client("s3")
        tracemalloc.start()
        try:
            found = image({"imageKey": KEY, "imageSha256": server.sha256})
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (found["integrity"], found["size"]) == ("VERIFIED", 20_000_000)
    assert peak < 6_000_000


# What operators see


def test_findings_are_counted_and_name_the_request(bucket: Any, deployed: None, signals: Signals) -> None:
    def ask(answer: dict[str, Any]) -> None:
        event = {"answer": answer, "identifier": "ada", "byChecksum": False, "inline": False}
        verify_object.handler(event | {"correlationId": CORRELATION_ID}, Context())

    put(bucket)
    ask(record())
    ask(without(record(), "imageHash", "imageSha256"))
    put(bucket, JPEG)
    with pytest.raises(errors.ObjectTampered):
        ask(record())
    with pytest.raises(errors.ObjectMissing):
        ask(record(key=f"{PREFIX}ada/4567.png"))
    signals.require_correlated("invocation")
    ended = {"Verified": [1.0], "Unverifiable": [1.0], "ObjectTampered": [1.0], "ObjectMissing": [1.0]}
    assert signals.metrics() == ended
    assert [line["error"] for line in signals.log if line["message"] == "Refused"] == ["ImageTampered", "ImageMissing"]
    findings = [line for line in signals.log if line["message"] == "An object is not what the ledger proves"]
    assert [(each["missing"], each["versions"]) for each in findings] == [(False, 2), (True, 0)]
    for secret in ("example.org", base64.b64encode(PNG).decode()):
        assert secret not in signals.text
