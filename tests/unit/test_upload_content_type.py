"""The media type of data, decided from its bytes."""

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared.errors import InvalidData
from shared.record_type import RecordType
from upload_object.content_type import determine
from upload_samples import JPEG, PNG, RECORD_TYPE, SVG, WEBP, WEBP_ANIMATED, WEBP_LOSSLESS, chunk, png

DONOR = RecordType.from_json(json.dumps(RECORD_TYPE))
PICTURES = {
    "png": (PNG, "image/png", "png"),
    "jpeg": (JPEG, "image/jpeg", "jpg"),
    "webp": (WEBP, "image/webp", "webp"),
    "lossless webp": (WEBP_LOSSLESS, "image/webp", "webp"),
    "animated webp": (WEBP_ANIMATED, "image/webp", "webp"),
    "svg": (SVG, "image/svg+xml", "svg"),
    "svg after a byte order mark": (b"\xef\xbb\xbf" + SVG, "image/svg+xml", "svg"),
    "svg after white space": (b"\r\n\t " + SVG, "image/svg+xml", "svg"),
}
every_picture = pytest.mark.parametrize(("data", "name", "extension"), PICTURES.values(), ids=PICTURES)
every_raster = pytest.mark.parametrize("data", [PNG, JPEG, WEBP, WEBP_LOSSLESS, WEBP_ANIMATED])


@every_picture
def test_the_bytes_decide(data: bytes, name: str, extension: str) -> None:
    media_type = determine(data, None, DONOR)
    assert (media_type.name, media_type.extension) == (name, extension)


@every_picture
def test_a_data_url_may_only_say_the_same(data: bytes, name: str, extension: str) -> None:
    assert determine(data, name, DONOR).name == name
    for other in {"image/png", "image/jpeg", "image/webp", "image/svg+xml", "image/gif", ""} - {name}:
        with pytest.raises(InvalidData, match=f"declares another type than its bytes have, {name}".replace("+", r"\+")):
            determine(data, other, DONOR)


def test_image_jpg_is_another_name_of_image_jpeg() -> None:
    assert determine(JPEG, "image/jpg", DONOR).name == "image/jpeg"
    with pytest.raises(InvalidData, match="another type"):
        determine(PNG, "image/jpg", DONOR)


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"GIF89a\x01\0\x01\0\0\0\0;",
        b"%PDF-1.7",
        b"BM",
        b"\0" * 50,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\x1f\x8b\x08\0",
        b"\xff\xd8",
    ],
)
def test_other_data_is_refused_with_the_types_there_are(data: bytes) -> None:
    with pytest.raises(InvalidData, match=r"is none of image/png, image/jpeg, image/webp, image/svg\+xml") as refusal:
        determine(data, None, DONOR)
    assert type(refusal.value).__name__ == "InvalidImage"


def test_a_type_that_the_record_type_does_not_allow_is_refused() -> None:
    only_png = RecordType.from_json(json.dumps(RECORD_TYPE | {"contentTypes": ["image/png"]}))
    assert determine(PNG, None, only_png).name == "image/png"
    for data, name in ((JPEG, "image/jpeg"), (SVG, r"image/svg\+xml")):
        with pytest.raises(InvalidData, match=f"is {name}, which is none of image/png"):
            determine(data, None, only_png)


@every_raster
def test_a_picture_cut_short_anywhere_is_refused(data: bytes) -> None:
    for length in range(len(data)):
        with pytest.raises(InvalidData):
            determine(data[:length], None, DONOR)


@every_raster
def test_what_follows_the_end_of_a_picture_is_left_alone(data: bytes) -> None:
    assert determine(data + b"trailer", None, DONOR)


HEADER = struct.pack(">IIBBBBB", 4, 3, 8, 2, 0, 0, 0)
PNG_SIGNATURE, END = PNG[:8], chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        PNG_SIGNATURE + b"garbage " * 20,
        PNG_SIGNATURE + chunk(b"IDAT", b"x") + chunk(b"IHDR", HEADER) + END,
        PNG_SIGNATURE + chunk(b"IHDR", HEADER) + END,
        PNG_SIGNATURE + chunk(b"IHDR", HEADER[:-1]) + chunk(b"IDAT", b"x") + END,
        PNG.replace(b"IDAT", b"IDAX"),
        png(width=0),
        png(height=0),
        JPEG[:2] + b"\xff\xd9" + JPEG[2:],
        JPEG[:3] + b"garbage " * 20,
        JPEG.replace(b"\xff\xc0", b"\xff\xc8"),
        JPEG.replace(b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x01", b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x00"),
        JPEG.replace(b"\xff\xda", b"\xff\xfe"),
        WEBP[:12] + b"garbage " * 20,
        WEBP.replace(b"VP8 ", b"VP8Q"),
        WEBP.replace(b"VP8 \x2e", b"VP8 \x30"),
        WEBP.replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b"),
        WEBP_LOSSLESS.replace(b"\x11\0\0\0\x2f", b"\x11\0\0\0\x2e"),
        WEBP_ANIMATED.replace(b"ANMF", b"ANMX"),
        WEBP_ANIMATED.replace(b"VP8X", b"VP9X"),
    ],
)
def test_a_signature_alone_makes_no_picture(data: bytes) -> None:
    with pytest.raises(InvalidData, match="damaged or cut short"):
        determine(data, None, DONOR)


def test_a_changed_byte_in_a_png_is_noticed() -> None:
    for position in range(8, len(PNG)):
        changed = PNG[:position] + bytes([PNG[position] ^ 1]) + PNG[position + 1 :]
        with pytest.raises(InvalidData):
            determine(changed, None, DONOR)


STARTS = [b"", PNG_SIGNATURE, JPEG[:20], WEBP[:12], WEBP_ANIMATED[:30], b"<svg", b"<?xml", SVG[:60], b"\xff\xfe<\0"]


@given(st.sampled_from(STARTS), st.binary(max_size=200))
def test_random_bytes_get_nothing_but_a_typed_refusal(start: bytes, rest: bytes) -> None:
    with pytest.raises(InvalidData):
        determine(start + rest, None, DONOR)


@given(st.sampled_from([PNG, JPEG, WEBP, WEBP_ANIMATED, SVG]), st.data())
def test_damaged_pictures_get_nothing_but_a_typed_refusal(picture: bytes, drawn: st.DataObject) -> None:
    position = drawn.draw(st.integers(0, len(picture)))
    data = (
        picture[:position]
        + drawn.draw(st.binary(max_size=5))
        + picture[drawn.draw(st.integers(position, len(picture))) :]
    )
    with suppress(InvalidData):
        assert determine(data, None, DONOR).name in RECORD_TYPE["contentTypes"]
