"""The read API over HTTP: what is proved, what is refused, and that nothing tampered or foreign is ever handed out."""

import base64
import datetime
import email.message
import hashlib
import json
import os
import random
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import raw_fabric
from world import Answer, World, png, refused

from sandbox.fabric import FabricEmulation
from sandbox.runtime import Sandbox

PREFIX = "ngo-donor-images/"
INLINE_LIMIT = 184_320
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1"/></svg>'
UNUSED_ID = "0" * 64

MODES = ("", "?verify=checksum") + (("?inline=true",) if os.environ.get("OFFCHAIN_WHOLE_FAULT_TABLE") else ())


@pytest.fixture
def world(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> World:
    # The retries' full jitter may choose any pause up to its bound: here it chooses none.
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    return World(sandbox)


@pytest.fixture
def raw(world: World) -> Iterator[raw_fabric.Network]:
    network = raw_fabric.of(world.sandbox.ledger)
    yield network
    network.close()


@pytest.fixture(scope="module")
def two_peers() -> Iterator[Sandbox]:
    """A sandbox of its own, whose functions ask the first peer first."""
    with FabricEmulation(peers=2) as emulation, Sandbox(ledger=emulation) as running:
        yield running


class Watched:
    """Counts the questions to ledger and S3 from now on."""

    def __init__(self, world: World) -> None:
        self._faults = (
            world.sandbox.ledger.faults.place("query", lambda: None, times=None),
            world.sandbox.faults.place("s3:*", lambda: None, times=None),
        )

    @property
    def ledger(self) -> int:
        return self._faults[0].met

    @property
    def s3(self) -> int:
        return self._faults[1].met


def created(world: World) -> dict[str, Any]:
    status, answer = world.create()
    assert status == 200, answer
    return answer


def answered(answer: Answer) -> dict[str, Any]:
    status, body = answer
    assert status == 200, body
    return body


def fetched(url: str) -> tuple[bytes, email.message.Message]:
    with urllib.request.urlopen(url) as response:
        return response.read(), response.headers


def hashes(data: bytes) -> dict[str, str]:
    return {"imageHash": hashlib.md5(data).hexdigest(), "imageSha256": hashlib.sha256(data).hexdigest()}


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def reveals_nothing_of(answer: Answer, *foreign: bytes | str) -> bool:
    text = json.dumps(answer[1])
    traces = [[each] if isinstance(each, str) else [_base64(each), *hashes(each).values()] for each in foreign]
    return not any(trace in text for traced in traces for trace in traced)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# What a reader gets


def test_a_created_donor_reads_back_with_its_picture_proved(world: World) -> None:
    create = created(world)
    before = datetime.datetime.now(datetime.UTC)
    answer = answered(world.read())
    image = answer.pop("image")
    assert answer == {"donorUserName": world.name, "email": f"{world.name}@example.org", **create}
    ((_, version_id),) = world.versions()
    url, expires_at = image.pop("url"), datetime.datetime.fromisoformat(image.pop("expiresAt"))
    assert image == {
        "integrity": "VERIFIED",
        "verifiedBy": "SHA-256",
        "contentType": "image/png",
        "size": len(world.picture),
        "versionId": version_id,
    }
    seconds = int(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["X-Amz-Expires"][0])
    assert abs(expires_at - before - datetime.timedelta(seconds=seconds)) < datetime.timedelta(seconds=5)
    data, headers = fetched(url)
    assert data == world.picture
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"] == f"inline; filename*=UTF-8''{world.name}.png"


def test_a_url_goes_on_serving_the_verified_version_after_an_overwrite(world: World) -> None:
    key = created(world)["imageKey"]
    url = answered(world.read())["image"]["url"]
    world.put_object(key, png())
    assert fetched(url)[0] == world.picture


@pytest.mark.parametrize(
    "name",
    [
        "O'Brien",
        'Jane "JJ" Doe',
        "back\\slash\\'\\\"",
        "Zoë Łukasz 李",
        "😀👩‍👩‍👧",
        "a+b",
        "%41",
        "a%2Fb",
        "50% of it",
        "two  spaces",
        "$x ${y} #if @@ <b>&amp;?;=",
        "dots..and.png",
    ],
)
def test_a_name_in_the_path_is_found_as_it_was_created(world: World, name: str) -> None:
    world.name = f"{name} {world.name}"
    create = created(world)
    for left_as_they_are in ("", "'+$@&=;"):
        answer = answered(world.get(f"/donors/{urllib.parse.quote(world.name, safe=left_as_they_are)}"))
        image = answer.pop("image")
        assert answer == {"donorUserName": world.name, "email": f"{world.name}@example.org", **create}
        data, headers = fetched(image["url"])
        assert data == world.picture
        assert urllib.parse.unquote(headers["Content-Disposition"]) == f"inline; filename*=UTF-8''{world.name}.png"


def test_a_name_that_reads_encoded_is_not_the_decoded_one(world: World) -> None:
    world.name = "A" + world.name
    created(world)
    refused(world.get(f"/donors/%2541{world.name[1:]}"), 404, "DonorNotFound")
    assert answered(world.get(f"/donors/%41{world.name[1:]}"))["donorUserName"] == world.name


def test_an_svg_is_served_as_an_attachment(world: World) -> None:
    world.picture = SVG
    created(world)
    image = answered(world.read())["image"]
    data, headers = fetched(image["url"])
    assert (data, image["contentType"]) == (SVG, "image/svg+xml")
    assert headers["Content-Type"] == "image/svg+xml"
    assert headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{world.name}.svg"


@pytest.mark.parametrize("key", ["x", "x.html", "x.png.html", "x.svgz"])
def test_an_object_of_no_known_type_is_served_as_an_attachment_of_bytes(world: World, key: str) -> None:
    data = b"<html><script>alert(1)</script></html>"
    key = f"{PREFIX}{world.name}/{key}"
    world.put_object(key, data, ContentType="text/html")
    world.put_record(imageKey=key, **hashes(data))
    image = answered(world.read())["image"]
    _, headers = fetched(image["url"])
    assert image["contentType"] == headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment; ")


@pytest.mark.parametrize("size", [8, 247], ids=["small", "just below the limit"])
def test_an_inline_picture_is_a_data_url_of_the_right_bytes(world: World, size: int) -> None:
    world.picture = png(size, size)
    create = created(world)
    answer = answered(world.read(query="?inline=true"))
    data_url = answer["image"].pop("dataUrl")
    assert data_url == f"data:image/png;base64,{_base64(world.picture)}"
    assert answer["image"].keys() == answered(world.read(query="?inline=false"))["image"].keys()
    assert answer["transactionId"] == create["transactionId"]


def test_an_inline_picture_of_the_largest_size_fits_beside_the_longest_names(world: World) -> None:
    world.name = "😀" * (64 - len(world.name)) + world.name
    mail = "\\" * 254
    data = os.urandom(INLINE_LIMIT)
    key = f"{PREFIX}{world.name}/{'x' * 200}.png"
    world.put_object(key, data)
    world.put_record(email=mail, imageKey=key, **hashes(data))
    answer = answered(world.read(query="?inline=true"))
    assert answer["image"]["dataUrl"] == f"data:image/png;base64,{_base64(data)}"
    assert answer["email"] == mail


@pytest.mark.parametrize("mode", ["?inline=true", "?inline=true&verify=checksum"])
def test_a_picture_too_large_for_inline_is_refused_naming_the_url(world: World, mode: str) -> None:
    data = os.urandom(INLINE_LIMIT + 1)
    key = f"{PREFIX}{world.name}/x.png"
    world.put_object(key, data, ChecksumAlgorithm="SHA256")
    world.put_record(imageKey=key, **hashes(data))
    message = refused(world.read(query=mode), 413, "ImageTooLarge")
    assert "inline" in message
    assert "image.url" in message
    image = answered(world.read())["image"]
    assert image["size"] == len(data)
    assert fetched(image["url"])[0] == data


def test_a_checksum_that_s3_keeps_proves_without_reading(world: World) -> None:
    created(world)
    read = world.sandbox.faults.place("s3:GetObject", lambda: None, times=None)
    image = answered(world.read(query="?verify=checksum"))["image"]
    assert (image["integrity"], image["verifiedBy"]) == ("VERIFIED", "S3-CHECKSUM-SHA-256")
    assert image["size"] == len(world.picture)
    assert read.met == 0
    assert fetched(image["url"])[0] == world.picture


def test_a_checksum_of_an_inline_picture_is_taken_from_its_bytes(world: World) -> None:
    created(world)
    image = answered(world.read(query="?verify=checksum&inline=true"))["image"]
    assert image["verifiedBy"] == "SHA-256"
    assert image["dataUrl"].endswith(_base64(world.picture))


def test_without_a_checksum_in_s3_the_bytes_are_read(world: World) -> None:
    key = f"{PREFIX}{world.name}/x.png"
    world.put_object(key, world.picture)
    world.put_record(imageKey=key, **hashes(world.picture))
    assert answered(world.read(query="?verify=checksum"))["image"]["verifiedBy"] == "SHA-256"


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads a process's peak memory from /proc: use Linux"
)
def test_a_large_object_is_verified_in_constant_memory(world: World) -> None:
    function = world.verify.removeprefix("lambda:")
    world.sandbox.lambda_runner.kill(function)
    created(world)
    answered(world.read())
    (pid,) = world.sandbox.lambda_runner.pids(function)
    before = _peak_memory(pid)
    world.name += "-large"
    data = os.urandom(20_000_000)
    key = f"{PREFIX}{world.name}/x.png"
    world.put_object(key, data)
    world.put_record(imageKey=key, **hashes(data))
    image = answered(world.read())["image"]
    assert (image["verifiedBy"], image["size"]) == ("SHA-256", len(data))
    assert world.sandbox.lambda_runner.pids(function) == [pid]
    assert _peak_memory(pid) - before < 8_000_000


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024  # type: ignore[index]


# Records of the blog's and the workshop's flow, and of whoever may invoke the chaincode


def test_a_record_without_a_picture_is_answered_with_null(world: World) -> None:
    world.put_record()
    watched = Watched(world)
    assert answered(world.read()) == {"donorUserName": world.name, "email": f"{world.name}@example.org", "image": None}
    assert watched.s3 == 0


@pytest.mark.parametrize("form", ["{}", '"{}"'], ids=["hex", "ETag"])
def test_a_record_of_the_blogs_flow_is_proved_by_its_md5(world: World, form: str) -> None:
    key = f"{PREFIX}{world.name}.png"
    md5 = form.format(hashlib.md5(world.picture).hexdigest())
    version_id = world.put_object(key, world.picture)
    world.put_record(imageKey=key, imageHash=md5)
    answer = answered(world.read())
    image = answer.pop("image")
    assert answer == {
        "donorUserName": world.name,
        "email": f"{world.name}@example.org",
        "imageKey": key,
        "imageHash": md5,
    }
    assert (image["integrity"], image["verifiedBy"], image["versionId"]) == ("VERIFIED", "MD5", version_id)
    assert fetched(image["url"])[0] == world.picture


def test_a_record_of_the_blogs_flow_whose_picture_was_replaced_is_tampered(world: World) -> None:
    key = f"{PREFIX}{world.name}.png"
    good = world.put_object(key, world.picture)
    world.put_record(imageKey=key, imageHash=hashlib.md5(world.picture).hexdigest())
    bad = flipped(world.picture)
    version_id = world.put_object(key, bad, ChecksumAlgorithm="SHA256")
    for mode in MODES:
        answer = world.read(query=mode)
        refused(answer, 409, "ImageTampered", versionId=good)
        assert reveals_nothing_of(answer, bad, version_id)


def test_a_record_without_a_hash_proves_nothing_and_gives_no_url(world: World) -> None:
    key = f"{PREFIX}{world.name}.png"
    world.put_object(key, world.picture, ChecksumAlgorithm="SHA256")
    world.put_record(imageKey=key, imageSha256=None)
    for mode in MODES:
        assert answered(world.read(query=mode)) == {
            "donorUserName": world.name,
            "email": f"{world.name}@example.org",
            "imageKey": key,
            "image": {"integrity": "UNVERIFIABLE"},
        }


@pytest.mark.parametrize(
    "hashes_of",
    [
        lambda md5, sha256: {"imageHash": md5, "imageSha256": ""},
        lambda md5, sha256: {"imageHash": md5, "imageSha256": sha256[:-1]},
        lambda md5, sha256: {"imageHash": md5, "imageSha256": [sha256]},
        lambda md5, sha256: {"imageHash": md5, "imageSha256": 7},
        lambda md5, sha256: {"imageHash": "abc"},
        lambda md5, sha256: {"imageHash": False, "imageSha256": sha256},
    ],
    ids=["empty", "cut short", "a list", "a number", "MD5 alone", "MD5 beside SHA-256"],
)
def test_a_hash_that_is_none_is_trouble_and_no_weaker_proof(
    world: World, hashes_of: Callable[[str, str], dict[str, Any]]
) -> None:
    key = f"{PREFIX}{world.name}.png"
    version = world.put_object(key, world.picture, ChecksumAlgorithm="SHA256")
    claimed = hashes_of(hashlib.md5(world.picture).hexdigest(), hashlib.sha256(world.picture).hexdigest())
    world.put_record(imageKey=key, **claimed)
    for mode in ("", "?verify=checksum", "?inline=true"):
        answer = world.read(query=mode)
        assert refused(answer, 409, "ImageTampered").startswith("image")
        assert reveals_nothing_of(answer, world.picture, version)


@pytest.fixture
def unversioned(world: World) -> Iterator[None]:
    """The bucket with versioning suspended."""
    versioning = world.sandbox.client("s3").put_bucket_versioning
    versioning(Bucket=world.sandbox.bucket, VersioningConfiguration={"Status": "Suspended"})
    yield
    versioning(Bucket=world.sandbox.bucket, VersioningConfiguration={"Status": "Enabled"})


def test_an_object_that_s3_keeps_no_version_of_is_verified_and_never_linked(world: World, unversioned: None) -> None:
    key = f"{PREFIX}{world.name}.png"
    s3 = world.sandbox.client("s3")
    s3.put_object(Bucket=world.sandbox.bucket, Key=key, Body=world.picture, ChecksumAlgorithm="SHA256")
    world.put_record(imageKey=key, **hashes(world.picture))
    for mode in ("", "?verify=checksum", "?inline=true"):
        image = answered(world.read(query=mode))["image"]
        assert image.pop("dataUrl", None) == (
            f"data:image/png;base64,{_base64(world.picture)}" if "inline" in mode else None
        )
        assert image.pop("verifiedBy") == ("S3-CHECKSUM-SHA-256" if "checksum" in mode else "SHA-256")
        assert image == {"integrity": "VERIFIED", "contentType": "image/png", "size": len(world.picture)}
    s3.put_object(Bucket=world.sandbox.bucket, Key=key, Body=flipped(world.picture), ChecksumAlgorithm="SHA256")
    for mode in ("", "?verify=checksum", "?inline=true"):
        refused(world.read(query=mode), 409, "ImageTampered")


# Records of any size and shape

RECORD_LIMIT = 200_000
"""Bytes of a record's fields, as JSON."""


def put_state(world: World, record: bytes) -> None:
    """A record as it stands on the ledger, whatever chaincode wrote it."""
    for peer in world.sandbox.ledger.peers:
        peer.ledger.state.write("ngo", f"donor{world.name}", record, (0, 0))


def record_of(world: World, size: int, letter: str, **fields: Any) -> dict[str, Any]:
    """A donor's fields whose JSON has `size` bytes, as nearly as `letter` allows."""
    record = {"donorUserName": world.name, "email": ""} | fields
    letters = (size - len(json.dumps(record))) // len(json.dumps(letter, ensure_ascii=False)[1:-1].encode())
    return record | {"email": letter * letters}


every_kind = pytest.mark.parametrize("letter", ["x", "李", "\x01"])


@every_kind
def test_a_record_of_any_size_is_answered_whole_or_refused(world: World, letter: str) -> None:
    version = world.put_object(f"{PREFIX}{world.name}/{'x' * 500}.png", world.picture, ChecksumAlgorithm="SHA256")
    proof = {"imageKey": f"{PREFIX}{world.name}/{'x' * 500}.png", **hashes(world.picture)}
    for size, fits in ((RECORD_LIMIT, True), (RECORD_LIMIT + 8, False), (262_144, False), (1_000_000, False)):
        record = record_of(world, size, letter, **proof)
        put_state(world, json.dumps(record | {"notes": "x" * 300_000}, ensure_ascii=False).encode())
        for mode in ("", "?verify=checksum"):
            answer = world.read(query=mode)
            if fits:
                image = answered(answer).pop("image")
                assert answer[1] == record
                assert (image["integrity"], image["versionId"]) == ("VERIFIED", version)
            else:
                message = refused(answer, 413, "ImageTooLarge")
                assert "ledger's record" in message
                assert len(message) < 300
    put_state(world, json.dumps({"donorUserName": world.name, "email": "a@b"}).encode())


@every_kind
def test_an_inline_picture_beside_a_record_of_any_size_is_answered_or_refused(world: World, letter: str) -> None:
    data = os.urandom(INLINE_LIMIT)
    key = f"{PREFIX}{world.name}/x.png"
    world.put_object(key, data, Metadata={"transaction-ids": ",".join(f"{number:064x}" for number in range(25))})
    statuses = []
    for size in range(4_000, 17_000, 2_000):
        put_state(world, json.dumps(record_of(world, size, letter, imageKey=key, **hashes(data))).encode())
        answer = world.read(query="?inline=true")
        statuses.append(answer[0])
        if answer[0] != 200:
            assert "url" in refused(answer, 413, "ImageTooLarge")
        assert answered(world.read())["image"]["integrity"] == "VERIFIED"
    assert statuses == sorted(statuses)
    assert (statuses[0], statuses[-1]) == (200, 413)


@every_kind
def test_a_list_with_records_of_any_size_has_all_that_can_be_answered(world: World, letter: str) -> None:
    sizes = (RECORD_LIMIT, RECORD_LIMIT + 8, 1_000_000, 100_000, 99_000, 1_000)
    worlds = [World(world.sandbox) for _ in sizes]
    for each, size in zip(worlds, sizes, strict=True):
        put_state(each, json.dumps(record_of(each, size, letter), ensure_ascii=False).encode())
    found = [record for page in pages(world, limit=1000) for record in page]
    names = [record["donorUserName"] for record in found]
    assert [each.name in names for each in worlds] == [True, False, False, True, True, True]
    for each in worlds:
        put_state(each, json.dumps({"donorUserName": each.name, "email": "a@b"}).encode())


ODD = {
    "a number of 5,000 digits": b"1" * 5_000,
    "a number beyond a double": b"-1e400",
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "100 levels": b"[" * 100 + b"]" * 100,
    "5,000 levels": b'{"a":[' * 2_500 + b"]}" * 2_500,
    "cut short": b'"',
}
"""What a field may hold so that not every reader takes the record."""


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_record_that_not_every_reader_takes_is_said_and_hides_no_other(world: World, odd: bytes) -> None:
    other = World(world.sandbox)
    create = created(other)
    put_state(world, b'{"donorUserName": "%b", "imageSha256": %b}' % (world.name.encode(), odd))
    for mode in ("", "?verify=checksum", "?inline=true"):
        assert refused(world.read(query=mode), 422, "RecordUnreadable").startswith("donorUserName: ")
    listed_now = {record["donorUserName"]: record for page in pages(world, limit=1000) for record in page}
    assert listed_now[other.name]["imageKey"] == create["imageKey"]
    put_state(world, json.dumps({"donorUserName": world.name, "email": "a@b"}).encode())


@pytest.mark.parametrize(
    ("record", "mail"),
    [
        (b'{"donorUserName": "x", "donorUserName": "%b", "email": "a", "email": "b"}', "b"),
        (b'{"donorUserName": "%b", "email": "a\\ud800\\udc00\\ud800"}', "a\U00010000?"),
        (b'{"donorUserName": "%b", "email": "a\xed\xa0\x80"}', "a\ufffd\ufffd\ufffd"),
        (b'{"donorUserName": "%b", "email": %b}', json.loads("[" * 63 + "]" * 63)),
        (b'{"donorUserName": "%b", "email": %b}', int("9" * 308)),
        (b'{"donorUserName": "%b", "email": %b}', {"__proto__": ["$.email", "States.Format('{}')"], "a.$": "$.email"}),
    ],
    ids=["a name twice", "half a pair", "not UTF-8", "64 levels", "308 digits", "words of the workflow"],
)
def test_an_odd_record_that_every_reader_takes_is_answered(world: World, record: bytes, mail: Any) -> None:
    name = world.name.encode()
    put_state(world, record % ((name, json.dumps(mail).encode()) if record.count(b"%b") > 1 else (name,)))
    assert answered(world.read()) == {"donorUserName": world.name, "email": mail, "image": None}
    assert [each for page in pages(world, limit=1000) for each in page if each["donorUserName"] == world.name]


def test_half_a_surrogate_pair_in_a_record_spoils_neither_it_nor_the_list(
    world: World, raw: raw_fabric.Network
) -> None:
    record = json.dumps({"donorUserName": world.name, "email": "a\ud800b", "imageKey": ""})
    assert raw.submit(raw.propose("createDonor", record)) == "VALID"
    expected = {"donorUserName": world.name, "email": "a?b", "imageKey": ""}
    assert answered(world.read()) == expected | {"image": None}
    assert expected in [found for page in pages(world, limit=1000) for found in page]


def test_a_record_cannot_say_of_itself_that_it_is_proved(world: World) -> None:
    claimed = {"integrity": "VERIFIED", "verifiedBy": "SHA-256", "url": "http://127.0.0.1/evil"}
    world.put_record(image=claimed, transactionId="ab" * 32, versionId="x", fabricUsername="y")
    assert answered(world.read()) == {"donorUserName": world.name, "email": f"{world.name}@example.org", "image": None}


def test_the_sha256_outweighs_the_md5(world: World) -> None:
    key = f"{PREFIX}{world.name}/x.png"
    world.put_object(key, world.picture, ChecksumAlgorithm="SHA256")
    world.put_record(
        imageKey=key, imageHash=hashlib.md5(world.picture).hexdigest(), imageSha256=hashlib.sha256(b"").hexdigest()
    )
    for mode in MODES:
        answer = world.read(query=mode)
        refused(answer, 409, "ImageTampered")
        assert reveals_nothing_of(answer, world.picture)


@pytest.mark.parametrize(
    "named",
    [
        lambda own, other: "secret/other.png",
        lambda own, other: other,
        lambda own, other: f"{PREFIX}{own}/../{other.removeprefix(PREFIX)}",
        lambda own, other: f"{PREFIX}../secret/other.png",
        lambda own, other: f"/{other}",
        lambda own, other: PREFIX,
        lambda own, other: f"{PREFIX}{own}",
        lambda own, other: f"{PREFIX}{own}/",
        lambda own, other: f"{PREFIX}{own}x.png",
        lambda own, other: f"{PREFIX}{own}x/y.png",
        lambda own, other: f"{PREFIX}{own}/x/y.png",
        lambda own, other: f"{PREFIX}{own.replace('.', 'x')}/x.png",
        lambda own, other: f"{PREFIX}{own}/x\n.png",
        lambda own, other: [other],
        lambda own, other: {"key": other},
        lambda own, other: 7,
        lambda own, other: True,
    ],
    ids=[
        "outside the prefix",
        "another donor's",
        "another donor's by ..",
        "outside by ..",
        "another donor's after a slash",
        "the prefix",
        "no object below",
        "a folder",
        "a longer name's",
        "a longer name's folder",
        "a folder below",
        "a name's that a pattern would take",
        "a control character",
        "an array",
        "an object",
        "a number",
        "a truth value",
    ],
)
def test_a_record_that_names_an_object_not_its_own_is_not_read(world: World, named: Callable[[str, str], Any]) -> None:
    theirs = f"{PREFIX}other-{world.name}/x.png"
    versions = [world.put_object(theirs, world.picture, ChecksumAlgorithm="SHA256")]
    world.name += ".png"
    key = named(world.name, theirs)
    if isinstance(key, str) and "\n" not in key:  # which moto does not take
        versions.append(world.put_object(key, world.picture, ChecksumAlgorithm="SHA256"))
    world.put_record(imageKey=key, **hashes(world.picture))
    watched = Watched(world)
    for mode in MODES:
        answer = world.read(query=mode)
        refused(answer, 410, "ImageMissing", versions=0, deleteMarker=False)
        assert reveals_nothing_of(answer, world.picture, theirs, *versions)
    assert (watched.ledger, watched.s3) == (len(MODES), 0)


# Objects that are not what the ledger says


def _overwritten(world: World, key: str, other: World) -> bytes:
    data = flipped(world.picture)
    world.put_object(key, data)
    return data


def _overwritten_with_a_checksum(world: World, key: str, other: World) -> bytes:
    data = flipped(world.picture)
    world.put_object(key, data, ChecksumAlgorithm="SHA256", ContentType="image/png")
    return data


def _truncated(world: World, key: str, other: World) -> bytes:
    data = world.picture[:-1]
    world.put_object(key, data)
    return data


def _emptied(world: World, key: str, other: World) -> bytes:
    world.put_object(key, b"", ChecksumAlgorithm="SHA256")
    return world.picture


def _replaced_by_anothers(world: World, key: str, other: World) -> bytes:
    world.copy_object({"Key": created(other)["imageKey"]}, key)
    return other.picture


def _overwritten_twice(world: World, key: str, other: World) -> bytes:
    _overwritten(world, key, other)
    return _overwritten_with_a_checksum(world, key, other)


@pytest.mark.parametrize(
    "tamper",
    [
        _overwritten,
        _overwritten_with_a_checksum,
        _truncated,
        _emptied,
        _replaced_by_anothers,
        _overwritten_twice,
    ],
)
def test_a_tampered_picture_is_refused_naming_the_version_that_is_good(
    world: World, tamper: Callable[[World, str, World], bytes]
) -> None:
    key = created(world)["imageKey"]
    ((_, good),) = world.versions()
    foreign = tamper(world, key, World(world.sandbox))
    tampered = [version for _, version in world.versions() if version != good]
    assert world.stored(key, good) == world.picture
    for mode in MODES:
        answer = world.read(query=mode)
        assert good in refused(answer, 409, "ImageTampered", versionId=good)
        assert reveals_nothing_of(answer, foreign, world.picture, *tampered)


@pytest.mark.parametrize(("before", "after", "proved_by"), [(0, 30, "imageSha256"), (30, 30, "imageHash")])
def test_the_good_version_is_found_among_many(world: World, before: int, after: int, proved_by: str) -> None:
    key = f"{PREFIX}{world.name}/x.png"

    def overwrite(times: int) -> None:
        for _ in range(times):
            world.put_object(key, b"x")

    overwrite(before)
    good = world.put_object(key, world.picture)
    overwrite(after)
    world.put_record(imageKey=key, **{proved_by: hashes(world.picture)[proved_by]})
    refused(world.read(), 409, "ImageTampered", versionId=good)


def test_a_tampered_picture_without_a_good_version_names_none(world: World) -> None:
    key = created(world)["imageKey"]
    ((_, good),) = world.versions()
    world.put_object(key, flipped(world.picture), ChecksumAlgorithm="SHA256")
    world.put_object(key, flipped(world.picture))
    world.sandbox.client("s3").delete_object(Bucket=world.sandbox.bucket, Key=key, VersionId=good)
    for mode in MODES:
        answer = world.read(query=mode)
        refused(answer, 409, "ImageTampered")
        assert reveals_nothing_of(answer, flipped(world.picture), *(version for _, version in world.versions()))


@pytest.mark.parametrize("overwrites", [0, 2])
def test_a_deleted_picture_is_missing_naming_the_version_that_is_good(world: World, overwrites: int) -> None:
    key = created(world)["imageKey"]
    ((_, good),) = world.versions()
    for _ in range(overwrites):
        world.put_object(key, flipped(world.picture))
    world.sandbox.client("s3").delete_object(Bucket=world.sandbox.bucket, Key=key)
    assert world.stored(key, good) == world.picture
    for mode in MODES:
        answer = world.read(query=mode)
        refused(answer, 410, "ImageMissing", versions=1 + overwrites, deleteMarker=True, versionId=good)
        assert reveals_nothing_of(answer, flipped(world.picture), world.picture)


def test_a_picture_whose_every_version_was_deleted_is_missing(world: World) -> None:
    key = created(world)["imageKey"]
    # Its versions come in the same listing.
    world.put_object(f"{key}.bak", world.picture)
    ((_, good),) = [each for each in world.versions() if each[0] == key]
    world.sandbox.client("s3").delete_object(Bucket=world.sandbox.bucket, Key=key, VersionId=good)
    for mode in MODES:
        refused(world.read(query=mode), 410, "ImageMissing", versions=0, deleteMarker=False)


def test_a_record_that_names_an_object_that_never_was_is_missing(world: World) -> None:
    world.put_record(imageKey=f"{PREFIX}{world.name}/x.png", **hashes(world.picture))
    refused(world.read(), 410, "ImageMissing", versions=0, deleteMarker=False)


@pytest.mark.parametrize("deleted", [False, True], ids=["overwritten", "deleted"])
def test_the_good_version_copied_back_on_top_is_verified_again(world: World, deleted: bool) -> None:
    create = created(world)
    key = create["imageKey"]
    ((_, good),) = world.versions()
    if deleted:
        world.sandbox.client("s3").delete_object(Bucket=world.sandbox.bucket, Key=key)
    else:
        world.put_object(key, flipped(world.picture))
    again = world.copy_object({"Key": key, "VersionId": good}, key)
    assert again != good
    for mode in MODES:
        answer = answered(world.read(query=mode))
        assert (answer["image"]["integrity"], answer["image"]["versionId"]) == ("VERIFIED", again)
        assert answer["transactionId"] == create["transactionId"]
        assert fetched(answer["image"]["url"])[0] == world.picture


def test_a_changed_content_type_changes_nothing_that_a_reader_gets(world: World) -> None:
    key = created(world)["imageKey"]
    changed = world.copy_object(
        {"Key": key},
        key,
        MetadataDirective="REPLACE",
        ContentType="text/html",
        ContentDisposition="inline; filename=evil.html",
        Metadata={"x": "y"},
    )
    for mode in MODES:
        image = answered(world.read(query=mode))["image"]
        assert (image["integrity"], image["versionId"], image["contentType"]) == ("VERIFIED", changed, "image/png")
        data, headers = fetched(image["url"])
        assert data == world.picture
        assert headers["Content-Type"] == "image/png"
        assert "evil" not in headers["Content-Disposition"]


def test_metadata_cannot_claim_anothers_transaction(world: World) -> None:
    create, other = created(world), created(World(world.sandbox))

    def claim(*ids: str) -> dict[str, Any]:
        metadata = {"transaction-ids": ",".join(ids)}
        source = {"Key": create["imageKey"]}
        world.copy_object(source, create["imageKey"], MetadataDirective="REPLACE", Metadata=metadata)
        answer = answered(world.read())
        assert answer["image"]["integrity"] == "VERIFIED"
        return answer

    assert "transactionId" not in claim(other["transactionId"])
    assert "transactionId" not in claim(UNUSED_ID, "x", other["transactionId"].upper())
    assert claim(other["transactionId"], UNUSED_ID, create["transactionId"])["transactionId"] == create["transactionId"]


# Requests that are refused before anything is asked


@pytest.mark.parametrize(
    "name",
    [
        "a%2Fb",
        "%00",
        "a%0Ab",
        "a%7F",
        "%FF",
        "%C3%28",
        "%ED%A0%80",
        "x" * 65,
        "%F0%9F%98%80" * 65,
        ".",
        "..",
        "%2E%2E",
        "%20a",
        "a%20",
        "%C2%A0a",
        "%20",
    ],
)
def test_a_name_that_no_donor_can_have_is_refused_unasked(world: World, name: str) -> None:
    watched = Watched(world)
    assert "donorUserName" in refused(world.get(f"/donors/{name}"), 400, "InvalidRequest")
    assert (watched.ledger, watched.s3) == (0, 0)


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/donors/{}?verify=sha", "verify"),
        ("/donors/{}?verify=Checksum", "verify"),
        ("/donors/{}?verify=%22%7D", "verify"),
        ("/donors/{}?inline=yes", "inline"),
        ("/donors/{}?inline=1", "inline"),
        ("/donors/{}?inline=TRUE", "inline"),
        ("/donors?limit=0", "limit"),
        ("/donors?limit=-1", "limit"),
        ("/donors?limit=1001", "limit"),
        ("/donors?limit=1.5", "limit"),
        ("/donors?limit=01", "limit"),
        ("/donors?limit=1%D9%A3", "limit"),
        ("/donors?limit=%201", "limit"),
        ("/donors?limit=many", "limit"),
        ("/donors?nextToken=%25", "nextToken"),
        ("/donors?nextToken=Zm9v%0A", "nextToken"),
        ("/donors?nextToken=Zm8%3D", "nextToken"),
        ("/donors?nextToken=Zm9", "nextToken"),
        ("/donors?nextToken=_w", "nextToken"),
        ("/transactions/abc", "transactionId"),
        (f"/transactions/{'A' * 64}", "transactionId"),
        (f"/transactions/{'a' * 63}", "transactionId"),
        (f"/transactions/{'a' * 65}", "transactionId"),
        (f"/transactions/{'a' * 64}%0A", "transactionId"),
        (f"/transactions/{'a' * 63}g", "transactionId"),
    ],
)
def test_a_wrong_parameter_is_refused_unasked_naming_it(world: World, target: str, field: str) -> None:
    watched = Watched(world)
    assert refused(world.get(target.format(world.name)), 400, "InvalidRequest").startswith(f"{field}: ")
    assert (watched.ledger, watched.s3) == (0, 0)


def test_an_empty_parameter_is_one_not_given(world: World) -> None:
    created(world)
    assert "dataUrl" not in answered(world.read(query="?verify=&inline="))["image"]
    assert answered(world.get("/donors?limit=&nextToken=")) == answered(world.get("/donors"))


def test_an_unknown_donor_is_not_found(world: World) -> None:
    created(World(world.sandbox))
    watched = Watched(world)
    for mode in MODES:
        refused(world.read(query=mode), 404, "DonorNotFound")
    assert watched.s3 == 0


# The list


def put_many(network: raw_fabric.Network, *records: dict[str, Any]) -> None:
    """Put records on the ledger, in few blocks."""
    proposals = [network.propose("createDonor", json.dumps(record)) for record in records]
    start = network.height()
    network.broadcast(*[raw_fabric.envelope(each, [network.endorse(each)]) for each in proposals])
    assert {network.wait_for(each.tx_id, start=start) for each in proposals} == {"VALID"}


def pages(world: World, limit: int, between: Callable[[], object] = lambda: None) -> list[list[dict[str, Any]]]:
    """The whole list, page by page; `between` is called after the first one."""
    found: list[list[dict[str, Any]]] = []
    token = ""
    while True:
        answer = answered(world.get(f"/donors?limit={limit}" + (f"&nextToken={token}" if token else "")))
        found.append(answer.pop("donors"))
        token = answer.pop("nextToken", "")
        assert answer == {}
        if len(found) == 1:
            between()
        if not token:
            return found


def listed(world: World) -> list[str]:
    """The names on the ledger that the workshop's chaincode lists."""
    records = world.sandbox.ledger.records("ngo")
    return [json.loads(records[key])["donorUserName"] for key in sorted(records) if "donor0" <= key < "donorz"]


def test_pages_give_every_donor_once_and_in_order(world: World, raw: raw_fabric.Network) -> None:
    put_many(raw, *({"donorUserName": f"{world.name}-{number}", "email": "a@b"} for number in range(12)))
    created(world)
    names = listed(world)
    found = pages(world, limit=len(names) // 5)
    assert len(found) >= 5
    assert [record["donorUserName"] for page in found for record in page] == names
    assert {len(page) for page in found[:-1]} == {len(names) // 5}


def test_a_donor_created_between_two_pages_shifts_no_other(world: World, raw: raw_fabric.Network) -> None:
    put_many(raw, *({"donorUserName": f"{world.name}-{number}", "email": "a@b"} for number in range(6)))
    before = listed(world)
    early, late = f"0{world.name}", f"y{world.name}"

    def create() -> None:
        put_many(raw, {"donorUserName": early, "email": "a@b"}, {"donorUserName": late, "email": "a@b"})

    found = pages(world, limit=len(before) // 3, between=create)
    names = [record["donorUserName"] for page in found for record in page]
    assert [name for name in names if name not in (early, late)] == before
    assert names.count(early) == 0
    assert names.count(late) == 1


def test_a_page_has_a_hundred_donors_where_no_limit_is_given(world: World, raw: raw_fabric.Network) -> None:
    put_many(raw, *({"donorUserName": f"{world.name}-{number:03}", "email": "a@b"} for number in range(101)))
    answer = answered(world.get("/donors"))
    assert len(answer["donors"]) == 100
    assert answer["nextToken"]


def test_a_page_ends_before_the_workflow_could_not_carry_it(world: World, raw: raw_fabric.Network) -> None:
    names = [f"{world.name}-{number}" for number in range(3)]
    put_many(raw, *({"donorUserName": name, "email": "x" * 90_000} for name in names))
    found = [record["donorUserName"] for page in pages(world, limit=1000) for record in page]
    assert found == listed(world)


def test_a_list_has_the_fields_of_the_record_type_and_no_other(world: World) -> None:
    create = created(world)
    create.pop("transactionId")
    world.name += "-other"
    world.put_record(image={"integrity": "VERIFIED"}, password="secret", imageKey=7)
    found = {record["donorUserName"]: record for page in pages(world, limit=1000) for record in page}
    assert found[world.name] == {"donorUserName": world.name, "email": f"{world.name}@example.org", "imageKey": 7}
    name = world.name.removesuffix("-other")
    assert found[name] == {"donorUserName": name, "email": f"{name}@example.org", **create}


# Transactions


def test_a_transaction_that_committed_is_valid(world: World) -> None:
    before = datetime.datetime.now(datetime.UTC)
    transaction_id = created(world)["transactionId"]
    answer = answered(world.get(f"/transactions/{transaction_id}"))
    timestamp = answer.pop("timestamp")
    (committed,) = [each for each in world.sandbox.ledger.transactions() if each.tx_id == transaction_id]
    assert answer == {
        "transactionId": transaction_id,
        "status": "VALID",
        "validationCode": "VALID",
        "blockNumber": committed.block_number,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp)
    assert abs(datetime.datetime.fromisoformat(timestamp) - before) < datetime.timedelta(seconds=5)


def test_a_transaction_that_lost_a_conflict_is_invalid(world: World, raw: raw_fabric.Network) -> None:
    first, second = (raw.propose("createDonor", raw_fabric.donor(world.name)) for _ in range(2))
    late = raw_fabric.envelope(second, [raw.endorse(second)])
    assert raw.submit(first) == "VALID"
    assert raw.order(second, late) == "MVCC_READ_CONFLICT"
    answer = answered(world.get(f"/transactions/{second.tx_id}"))
    assert (answer["status"], answer["validationCode"]) == ("INVALID", "MVCC_READ_CONFLICT")
    assert answer["blockNumber"] == world.sandbox.ledger.height - 1
    assert answered(world.get(f"/transactions/{first.tx_id}"))["status"] == "VALID"


def test_a_transaction_without_endorsement_is_invalid(world: World, raw: raw_fabric.Network) -> None:
    proposal = raw.propose("createDonor", raw_fabric.donor(world.name))
    envelope = raw_fabric.envelope(proposal, [raw.endorse(proposal)], endorsements=[])
    assert raw.order(proposal, envelope) == "ENDORSEMENT_POLICY_FAILURE"
    answer = answered(world.get(f"/transactions/{proposal.tx_id}"))
    assert (answer["status"], answer["validationCode"]) == ("INVALID", "ENDORSEMENT_POLICY_FAILURE")
    refused(world.read(), 404, "DonorNotFound")


def test_a_duplicate_does_not_hide_the_valid_transaction(world: World, raw: raw_fabric.Network) -> None:
    proposal = raw.propose("createDonor", raw_fabric.donor(world.name))
    envelope = raw_fabric.envelope(proposal, [raw.endorse(proposal)])
    assert raw.order(proposal, envelope) == "VALID"
    block_number = world.sandbox.ledger.height - 1
    assert raw.order(proposal, envelope) == "DUPLICATE_TXID"
    answer = answered(world.get(f"/transactions/{proposal.tx_id}"))
    assert (answer["status"], answer["blockNumber"]) == ("VALID", block_number)


def test_an_unknown_transaction_is_not_found_and_no_error(world: World) -> None:
    assert answered(world.get(f"/transactions/{UNUSED_ID}")) == {
        "transactionId": UNUSED_ID,
        "status": "NOT_FOUND",
        "validationCode": None,
        "blockNumber": None,
        "timestamp": None,
    }


# Failures


reads = pytest.mark.parametrize("target", ["/donors/{}", "/donors", f"/transactions/{UNUSED_ID}"])


@reads
def test_peers_that_are_down_are_said_and_found_again(world: World, target: str) -> None:
    created(world)
    target = target.format(world.name)
    (peer,) = world.sandbox.ledger.peers
    peer.stop()
    try:
        refused(world.get(target), 503, "LedgerUnavailable")
    finally:
        peer.start()
    answered(world.get(target))


@pytest.mark.parametrize("target", ["/donors/{}", "/donors"])
def test_a_chaincode_that_is_down_is_not_an_unknown_donor(world: World, target: str) -> None:
    created(world)
    world.sandbox.ledger.faults.place("chaincode", "refuse", times=None)
    refused(world.get(target.format(world.name)), 503, "LedgerUnavailable")


def test_an_unreadable_identity_is_said(world: World) -> None:
    world.sandbox.lambda_runner.kill(world.query.removeprefix("lambda:"))
    world.sandbox.faults.place("secretsmanager:*", "refuse", times=None)
    refused(world.read(), 503, "LedgerUnavailable")


@pytest.mark.parametrize("action", ["refuse", "reset", "throttle"])
def test_a_store_that_answers_nothing_is_said(world: World, action: Any) -> None:
    created(world)
    world.sandbox.faults.place("s3:*Object", action, times=None)
    for mode in MODES:
        refused(world.read(query=mode), 503, "StorageUnavailable")


@pytest.mark.parametrize("action", ["refuse", "reset", "throttle"])
def test_a_store_that_fails_once_is_asked_again(world: World, action: Any) -> None:
    created(world)
    for mode in MODES:
        fault = world.sandbox.faults.place("s3:*Object", action)
        assert answered(world.read(query=mode))["image"]["integrity"] == "VERIFIED"
        assert fault.met == 1


def test_a_picture_is_called_missing_only_where_its_versions_could_be_listed(world: World) -> None:
    key = created(world)["imageKey"]
    world.sandbox.client("s3").delete_object(Bucket=world.sandbox.bucket, Key=key)
    fault = world.sandbox.faults.place("s3:GetBucket*", "refuse", times=None)
    refused(world.read(), 503, "StorageUnavailable")
    assert fault.met


@pytest.mark.parametrize("call", ["query", "verify"])
@pytest.mark.parametrize("when", ["started", "after"])
def test_a_function_that_dies_once_is_asked_again(world: World, call: str, when: Any) -> None:
    transaction_id = created(world)["transactionId"]
    fault = world.sandbox.faults.place(getattr(world, call), "kill", when=when)
    assert answered(world.read())["transactionId"] == transaction_id
    assert fault.met == 1


@pytest.mark.parametrize("target", ["/donors", f"/transactions/{UNUSED_ID}"])
def test_a_function_that_dies_once_is_asked_again_for_lists_and_transactions(world: World, target: str) -> None:
    fault = world.sandbox.faults.place(world.query, "kill", when="started")
    answered(world.get(target))
    assert fault.met == 1


@pytest.mark.parametrize(
    ("call", "target"),
    [
        ("query", "/donors/{}"),
        ("verify", "/donors/{}"),
        ("query", "/donors"),
        ("query", f"/transactions/{UNUSED_ID}"),
    ],
)
def test_throttled_functions_are_too_many_requests(world: World, call: str, target: str) -> None:
    created(world)
    world.sandbox.faults.place(getattr(world, call), "throttle", times=None)
    refused(world.get(target.format(world.name)), 429, "TooManyRequests")


@reads
def test_a_throttled_workflow_is_too_many_requests(world: World, target: str) -> None:
    world.sandbox.faults.place("states:StartSyncExecution", "throttle")
    refused(world.get(target.format(world.name)), 429, "TooManyRequests")


@reads
def test_a_workflow_that_does_not_answer_may_be_asked_again(world: World, target: str) -> None:
    world.sandbox.faults.place("states:StartSyncExecution", "refuse")
    assert "try again" in refused(world.get(target.format(world.name)), 503, "LedgerUnavailable")


def _no_transaction_at_the_ledger(world: World) -> None:
    world.sandbox.ledger.faults.place("query", "refuse", times=None, function="GetTransactionByID")


def _no_second_query(action: str) -> Callable[[World], None]:
    def place(world: World) -> None:
        calls = iter([None])
        world.sandbox.faults.place(world.query, lambda: next(calls, action), when="before", times=None)

    return place


@pytest.mark.parametrize(
    "place",
    [_no_transaction_at_the_ledger, _no_second_query("throttle"), _no_second_query("refuse")],
    ids=["ledger", "throttled", "refused"],
)
def test_a_transaction_that_cannot_be_looked_up_is_left_out(world: World, place: Callable[[World], None]) -> None:
    create = created(world)
    place(world)
    answer = answered(world.read())
    assert answer["image"]["integrity"] == "VERIFIED"
    assert answer.keys() == {"donorUserName", "email", "imageKey", "imageHash", "imageSha256", "image"}
    assert answer["imageKey"] == create["imageKey"]


def test_with_one_of_two_peers_down_everything_is_read(two_peers: Sandbox) -> None:
    world = World(two_peers)
    create = created(world)
    for peer in two_peers.ledger.peers:
        peer.stop()
        try:
            assert answered(world.read())["transactionId"] == create["transactionId"]
            assert world.name in [each["donorUserName"] for each in answered(world.get("/donors"))["donors"]]
            assert answered(world.get(f"/transactions/{create['transactionId']}"))["status"] == "VALID"
        finally:
            peer.start()


def test_a_donor_that_one_peer_has_is_found_while_the_other_lags(two_peers: Sandbox) -> None:
    world, network = World(two_peers), raw_fabric.of(two_peers.ledger)
    lagging = two_peers.ledger.peers[0]
    lagging.pause_commits()
    network.endorsers = (1,)
    try:
        key = f"{PREFIX}{world.name}/x.png"
        record = raw_fabric.donor(world.name, imageKey=key, **hashes(world.picture))
        proposal = network.propose("createDonor", record)
        world.put_object(key, world.picture, Metadata={"transaction-ids": proposal.tx_id})
        assert network.submit(proposal, peers=(1,)) == "VALID"
        assert world.record() is None
        asked = two_peers.ledger.faults.place("query", lambda: None, node=0, times=None, function="queryDonor")
        answer = answered(world.read())
        assert asked.met == 1
        assert answer["image"]["integrity"] == "VERIFIED"
        assert answer["transactionId"] == proposal.tx_id
        assert answered(world.get(f"/transactions/{proposal.tx_id}"))["status"] == "VALID"
    finally:
        two_peers.ledger.faults.clear()
        lagging.resume_commits()
        network.close()


def test_the_logs_hold_neither_picture_nor_url(world: World) -> None:
    created(world)
    image = answered(world.read(query="?inline=true"))["image"]
    deadline = time.monotonic() + 2
    logs = ""
    while "Answered" not in logs and time.monotonic() < deadline:
        logs = "".join(file.read_text() for file in world.sandbox.logs.iterdir())
    assert "Answered" in logs
    assert _base64(world.picture)[:60] not in logs
    assert "X-Amz-Signature" not in logs
    assert image["url"] not in logs
