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
        ("data:image/*;base64,eA==", "image/*"),
        ("data:image/png;name=a%20b.png;base64,eA==", "image/png"),
        ("\ndata:image/png;base64,eA==", "image/png"),
        (" \t\r\n data:image/png;base64,eA== \r\n\t", "image/png"),
        ("data: image/png ; base64 ,\neA==", "image/png"),
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
        ("eHh4e", "cut short"),
        ("eA==eA==", "only A-Z"),
        ("====", "only A-Z"),
        ("e===", "cut short"),
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


BASE64 = "iVBORw0KGgoA/A+="
"""Some of it that has every kind of character."""
PASTED = {
    "percent-encoded": (BASE64.replace("/", "%2F"), "PERCENT SIGN (U+0025) at character 13", "(%2B is +, %2F is /,"),
    "percent-encoded padding": (BASE64.replace("=", "%3D"), "PERCENT SIGN (U+0025) at character 16", "percent-encoded"),
    "percent-encoded and cut short": (
        "data:image/png;base64,iVB%2",
        "PERCENT SIGN (U+0025) at character 26",
        "Decode it",
    ),
    "bytes of Python": (f"b'{BASE64}'", "APOSTROPHE (U+0027) at character 2", "b'...' of Python"),
    "a data URL in bytes of Python": (f"b'data:;base64,{BASE64}'", "APOSTROPHE (U+0027) at character 2", "of Python"),
    "url() of CSS": (f"url(data:;base64,{BASE64})", "LEFT PARENTHESIS (U+0028) at character 4", "url(...) of CSS"),
    "the end of url()": (f"data:;base64,{BASE64})", "RIGHT PARENTHESIS (U+0029) at character 30", "url(...) of CSS"),
    "quotation marks": (
        f'"data:;base64,{BASE64}"',
        "QUOTATION MARK (U+0022) at character 1",
        "without quotation marks",
    ),
    "the second of two": (f'{BASE64}"', "QUOTATION MARK (U+0022) at character 17", "without quotation marks"),
    "typographic ones": (f"\u201c{BASE64}\u201d", "LEFT DOUBLE QUOTATION MARK (U+201C) at character 1", "without quot"),
    "backticks": (f"`{BASE64}`", "GRAVE ACCENT (U+0060) at character 1", "without quotation marks"),
    "HTML entities": (BASE64.replace("+", "&#43;"), "AMPERSAND (U+0026) at character 15", "HTML entities"),
    "escaped twice": (BASE64.replace("/", "\\/"), "REVERSE SOLIDUS (U+005C) at character 13", "escaped, perhaps twice"),
    "URL-safe": (BASE64.replace("/", "_"), "LOW LINE (U+005F) at character 13", "URL-safe alphabet"),
    "a plus that a form made a space": (BASE64.replace("+", " "), "SPACE (U+0020) at character 15", "forms"),
    "a space at the end": (f"{BASE64} ", "SPACE (U+0020) at character 17", "spaces or tabs"),
    "no-break space": (f"{BASE64}\xa0", "NO-BREAK SPACE (U+00A0) at character 17", "spaces or tabs"),
    "byte order mark": (f"\ufeffdata:;base64,{BASE64}", "(U+FEFF) at character 1", "It is invisible. Remove it"),
    "zero-width space": (f"data:;base64,iV\u200b{BASE64}", "ZERO WIDTH SPACE (U+200B) at character 16", "is invisible"),
    "NUL": (f"{BASE64}\0", "the character (U+0000) at character 17", "is invisible"),
    "half a surrogate pair": (f"{BASE64}\ud83d", "the character (U+D83D) at character 17", "Encode the data"),
    "a second data URL in it": (f"data:;base64,data:;base64,{BASE64}", "COLON (U+003A) at character 18", "only once"),
    "an attribute of HTML": (f"src=data:;base64,{BASE64}", "COLON (U+003A) at character 9", "must begin with data:"),
    "a data URL without data:": (
        f"image/png;base64,{BASE64}",
        "SEMICOLON (U+003B) at character 10",
        "begins with data:",
    ),
    "an address": ("https://example.org/a.png", "COLON (U+003A) at character 6", "not an address"),
    "a path": ("C:\\a.png", "COLON (U+003A) at character 2", "a file name"),
    "a file name": ("ada.png", "FULL STOP (U+002E) at character 4", "a file name"),
    "a file for curl": ("@ada.b64", "COMMERCIAL AT (U+0040) at character 1", "a file name"),
    "a shell's command": ("$(base64 ada.png)", "DOLLAR SIGN (U+0024) at character 1", "a command"),
    "shortened": ("iVBORw0KGgo...", "FULL STOP (U+002E) at character 12", "a shortened text"),
    "shortened by a terminal": (
        "iVBORw0KGgo\u2026",
        "HORIZONTAL ELLIPSIS (U+2026) at character 12",
        "a shortened text",
    ),
    "armour": (
        "-----BEGIN CERTIFICATE-----\neA==\n-----END",
        "HYPHEN-MINUS (U+002D) at character 1",
        "without the lines",
    ),
    "markup": ("<svg/>", "LESS-THAN SIGN (U+003C) at character 1", "Send the base64 of the file"),
    "a list of bytes": ("[137, 80]", "LEFT SQUARE BRACKET (U+005B) at character 1", "Send the base64 of the file"),
    "on a later line": ("eHh4\r\neHh4\r\ne%3D=", "PERCENT SIGN (U+0025) at character 14", "percent-encoded"),
    "parts joined": ("eA==eA==", "EQUALS SIGN (U+003D) at character 3", "Join the bytes before you encode them"),
    "parts joined by lines": ("eA==\neA==\n", "EQUALS SIGN (U+003D) at character 3", "Join the bytes"),
}


@pytest.mark.parametrize(("text", "named", "way_out"), PASTED.values(), ids=PASTED)
def test_a_wrong_character_is_named_with_its_place_and_the_way_out(text: str, named: str, way_out: str) -> None:
    with pytest.raises(InvalidData) as refusal:
        decode(text, DONOR)
    assert refusal.value.message.startswith("image: not base64: ")
    assert named in refusal.value.message
    assert way_out in refusal.value.message
    assert "cut short" not in refusal.value.message
    assert len(refusal.value.message) < 300


def test_a_wrong_character_is_named_even_if_the_text_is_over_the_limit() -> None:
    with pytest.raises(InvalidData, match=r"PERCENT SIGN \(U\+0025\) at character 4001"):
        decode("iVBO" * LIMIT + "%3D", DONOR)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data:image/png;base64iVBORw0KGgo=", "has no comma"),
        ("data:image/png;base64;iVBORw0KGgo=", "has no comma"),
        ("data:image/png,iVBORw0KGgo=", "no ;base64 right before its first comma"),
        ("data:image/png;base64;charset=utf-8,iVBORw0KGgo=", "no ;base64 right before its first comma"),
        ("data:image/svg+xml;utf8,<svg/>", "no ;base64 right before its first comma. Encode the data in base64"),
        ("data:image/svg+xml,%3Csvg%2F%3E", "no ;base64 right before its first comma. Encode the data in base64"),
    ],
)
def test_a_data_url_of_another_form_is_refused_with_what_it_lacks(text: str, said: str) -> None:
    with pytest.raises(InvalidData) as refusal:
        decode(text, DONOR)
    assert refusal.value.message.startswith("image: a data URL must read data:<type>;base64,<data>; ")
    assert said in refusal.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eHh4eA", "cut short, or has its padding missing. Send all of it; if this is all, add ==."),
        ("eHh4eHg", "add =."),
        ("eHh4e", "cut short; send all of it"),
        ("eHh4=", "ends in 1 = more than it needs"),
        ("eHh4====", "ends in 4 = more than it needs"),
        ("eA===", "ends in 1 = more than it needs"),
    ],
)
def test_wrong_padding_is_refused_with_what_is_wrong_about_it(text: str, said: str) -> None:
    with pytest.raises(InvalidData) as refusal:
        decode(text, DONOR)
    assert said in refusal.value.message


@given(st.sampled_from([c for c in map(chr, range(0x3000)) if not c.isascii() or not (c.isalnum() or c in "+/=\r\n")]))
def test_every_other_character_is_named_and_nothing_else_of_the_text(character: str) -> None:
    with pytest.raises(InvalidData) as refusal:
        decode(f"data:;base64,c2VjcmV0{character}c2VjcmV0", DONOR)
    assert f"(U+{ord(character):04X}) at character 22" in refusal.value.message
    assert "c2V" not in refusal.value.message


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
        bare = text.partition(",")[2].rstrip() if text.lstrip()[:5].lower() == "data:" else text
        assert base64.b64encode(data).decode() == bare.replace("\r", "").replace("\n", "")
