"""Base64 and data URLs."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.errors import DataTooLarge, InvalidData
from shared.record_type import RecordType
from upload_object.encoded_data import decode
from upload_samples import RECORD_TYPE

LIMIT = 1000
DONOR = RecordType.from_json(json.dumps(RECORD_TYPE | {"maxDataBytes": LIMIT}))


@given(st.binary(min_size=1, max_size=LIMIT))
def test_bytes_come_back_bare_wrapped_and_in_a_data_url(data: bytes) -> None:
    bare = base64.b64encode(data).decode()
    assert decode(bare, DONOR) == (data, None)
    assert decode(base64.encodebytes(data).decode(), DONOR) == (data, None)
    assert decode(f"data:image/png;base64,{bare}", DONOR) == (data, "image/png")


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("data:image/png;base64,eA==", "image/png"),
        ("DATA:Image/PNG;BASE64,eA==", "image/png"),
        ("data:image/svg+xml;charset=utf-8;base64,eA==", "image/svg+xml"),
        ("data:image/jpeg; base64,eA==\r\n", "image/jpeg"),
        ("data:;base64,eA==", ""),
        ("data:\xa0image/png\u2003;base64,eA==", "\xa0image/png\u2003"),
    ],
)
def test_a_data_url_declares_its_type(text: str, declared: str) -> None:
    assert decode(text, DONOR) == (b"x", declared)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("data:image/png;base64,", "is empty"),
        ("data:image/png,eA==", "a data URL must read"),
        ("data:image/svg+xml;utf8,<svg/>", "a data URL must read"),
        ("data:image/png;base64", "a data URL must read"),
        ("data:base64,eA==", "a data URL must read"),
        ("data:image/png;\xa0base64,eA==", "a data URL must read"),
        ("data:", "a data URL must read"),
        ("_-8=", "URL-safe alphabet"),
        ("eA ==", "spaces or tabs"),
        ("\teA==", "spaces or tabs"),
        ("eA", "padding missing"),
        ("eA=", "padding missing"),
        ("eHh4e", "padding missing"),
        ("eA==eA==", "only A-Z"),
        ("====", "only A-Z"),
        ("e===", "only A-Z"),
        ("=eA=", "only A-Z"),
        ("eA==!!!!", "only A-Z"),
        ("éA==", "only A-Z"),
        ("\ud83d\ude00==", "only A-Z"),
        ("%PNG", "only A-Z"),
        ("eB==", "bits set"),
    ],
)
def test_what_is_not_base64_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(InvalidData) as refusal:
        decode(text, DONOR)
    assert type(refusal.value).__name__ == "InvalidImage"
    assert refusal.value.message.startswith("image: ")
    assert said in refusal.value.message


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 2, LIMIT + 3, 5 * LIMIT])
def test_data_over_the_limit_is_refused_with_the_limit(size: int) -> None:
    with pytest.raises(DataTooLarge) as refusal:
        decode(base64.encodebytes(bytes(size)).decode(), DONOR)
    assert type(refusal.value).__name__ == "ImageTooLarge"
    assert "1000 bytes (1 kB)" in refusal.value.message
    assert "cannot be sent inline" in refusal.value.message


@pytest.mark.parametrize("size", [LIMIT - 2, LIMIT - 1, LIMIT])
def test_data_at_the_limit_passes(size: int) -> None:
    assert decode(base64.b64encode(bytes(size)).decode(), DONOR) == (bytes(size), None)


@given(st.text() | st.from_regex(r"(data:[a-z/;,]*)?[A-Za-z0-9+/=]{0,20}", fullmatch=True))
def test_no_text_gets_anything_but_a_typed_refusal(text: str) -> None:
    with suppress(InvalidData, DataTooLarge):
        data, _ = decode(text, DONOR)
        bare = text.partition(",")[2] if text[:5].lower() == "data:" else text
        assert base64.b64encode(data).decode() == bare.replace("\r", "").replace("\n", "")
