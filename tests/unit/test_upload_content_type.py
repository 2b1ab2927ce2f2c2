"""The media type of data, decided from its bytes."""

import json
import re
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import media_types
from shared.errors import InvalidData
from shared.record_type import RecordType
from upload_object.content_type import determine
from upload_samples import JPEG, PDF, PNG, RECORD_TYPE, SVG, WEBP, WEBP_ANIMATED, WEBP_LOSSLESS, chunk, pdf, png

from offchain_stack.record_type import CONTENT_TYPES


def allowing(*content_types: str) -> RecordType:
    return RecordType.from_json(json.dumps(RECORD_TYPE | {"contentTypes": content_types}))


DONOR = RecordType.from_json(json.dumps(RECORD_TYPE))
DOCUMENT = allowing("application/pdf")
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
    for other in {"image/png", "image/jpeg", "image/webp", "image/svg+xml", "image/gif", "undefined"} - {name}:
        with pytest.raises(InvalidData, match=f"declares another type than its bytes have, {name}".replace("+", r"\+")):
            determine(data, other, DONOR)


@pytest.mark.parametrize("declared", ["", "application/octet-stream", "binary/octet-stream", "image/*", "*/*"])
def test_a_declared_type_that_says_nothing_leaves_it_to_the_bytes(declared: str) -> None:
    either = allowing("application/octet-stream", "application/pdf")
    for data, name, _ in PICTURES.values():
        assert determine(data, declared, DONOR).name == name
    assert determine(PDF, declared, DOCUMENT) is media_types.PDF
    assert determine(PDF, declared, either) is media_types.PDF
    assert determine(PNG, declared, either) is media_types.OCTET_STREAM
    for data in (PDF[:-20], b"GIF89a", b"%PDF"):
        with pytest.raises(InvalidData, match=r"damaged or cut short|is none of"):
            determine(data, declared, DOCUMENT)


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
    only_png = allowing("image/png")
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


def test_what_a_deployment_may_allow_is_what_the_functions_know() -> None:
    assert tuple(CONTENT_TYPES) == tuple(media_types.KNOWN)
    for name, media_type in media_types.KNOWN.items():
        assert media_types.of_key(f"a/b.{media_type.extension}").name == name


# PDF

DOCUMENTS = {
    "with a table": PDF,
    "with a stream": pdf(stream=True),
    "with Windows line ends": PDF.replace(b"\nstartxref\n", b"\r\nstartxref\r\n").replace(b"\n%%EOF", b"\r\n%%EOF"),
    "without a line end": PDF.rstrip(),
    "of version 2": PDF.replace(b"%PDF-1.7", b"%PDF-2.0"),
    "with an update": PDF + b"5 0 obj\n(x)\nendobj\nxref\n0 0\ntrailer\n<< /Prev 9 >>\n"
    + b"startxref\n%d\n%%%%EOF" % (len(PDF) + len(b"5 0 obj\n(x)\nendobj\n")),
    "behind something": pdf(b"junk\r\n" * 100),
    "behind something that its offsets count": pdf(b"junk\r\n" * 100, counted_from_header=False),
    "as far back as readers look": pdf(b"\n" * 1016),
    "before something": PDF + b"\0" * 1016,
}  # fmt: skip


@pytest.mark.parametrize("data", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_whole_pdf_is_one(data: bytes) -> None:
    for declared in (None, "application/pdf"):
        assert determine(data, declared, DOCUMENT) is media_types.PDF
    with pytest.raises(InvalidData, match="another type than its bytes have, application/pdf"):
        determine(data, "image/png", DOCUMENT)


@pytest.mark.parametrize("data", [PDF, pdf(stream=True)], ids=["table", "stream"])
def test_a_pdf_cut_short_anywhere_is_refused(data: bytes) -> None:
    for length in range(len(data.rstrip())):
        with pytest.raises(InvalidData):
            determine(data[:length], None, DOCUMENT)


WRITTEN = {path.stem: path.read_bytes() for path in sorted((Path(__file__).parent / "pdf").iterdir())}
"""By the program that wrote it: one small page each."""
UPDATED = {name: WRITTEN.pop(name) for name in ("mupdf-incremental", "pypdf-incremental")}
OFFSET = re.compile(rb"(?<=startxref)\s+(\d+)\s+%%EOF\s*$")


def hybrid() -> bytes:
    """A PDF with a table, and a stream of references for readers that know them."""
    table = PDF.index(b"xref\n")
    stream = b"9 0 obj\n<< /Type /XRef /Size 9 /W [1 1 1] /Length 3 >>\nstream\nabc\nendstream\nendobj\n"
    changed = PDF.replace(b"/Size 4", b"/Size 4 /XRefStm %d" % table)
    return misplaced(changed[:table] + stream + changed[table:], len(stream))


def misplaced(data: bytes, by: int) -> bytes:
    """The PDF with another offset at its end."""
    found = OFFSET.search(data)
    assert found
    return data[: found.start(1)] + b"%d" % (int(found[1]) + by) + data[found.end(1) :]


def attached(data: bytes, before: bytes = b"") -> bytes:
    """A PDF with a table that has another one attached as it is."""
    body = (
        before
        + b"9 0 obj\n<< /Type /EmbeddedFile /Length %d >>\nstream\n" % len(data)
        + data
        + b"\nendstream\nendobj\n"
    )
    return misplaced(PDF[:15] + body + PDF[15:], len(body))


FORMS = WRITTEN | {
    "hybrid": hybrid(),
    "ends of lines of the Mac": PDF.replace(b"\n", b"\r"),
    "ends of lines converted to Windows'": PDF.replace(b"\n", b"\r\n"),
    "ends of lines converted to Unix's": PDF.replace(b"\n", b"\r\n").replace(b"\r\n", b"\n"),
    "blanks around the offset": OFFSET.sub(rb"\r\n  \1 \r\n\r\n%%EOF", PDF),
    "a PDF attached": attached(WRITTEN["qpdf"]),
    "a linearized PDF attached": attached(WRITTEN["qpdf-linearized"]),
    "a PDF attached, far from the start": attached(PDF, before=b"8 0 obj\n(" + b"x" * 3_000 + b")\nendobj\n"),
}


@pytest.mark.parametrize("data", (FORMS | UPDATED).values(), ids=FORMS | UPDATED)
def test_what_writers_make_passes_and_so_it_does_within_readers_margin(data: bytes) -> None:
    for whole in (
        data,
        data.rstrip(),
        data + b"\n\n",
        data + b"\0" * 1000,
        b"\n" * 1000 + data,
        b"\xef\xbb\xbf" + data,
    ):
        assert determine(whole, None, DOCUMENT) is media_types.PDF


@pytest.mark.parametrize("data", (FORMS | UPDATED).values(), ids=FORMS | UPDATED)
def test_an_offset_that_is_off_by_some_bytes_passes(data: bytes) -> None:
    found = OFFSET.search(data)
    assert found
    offset = int(found[1])
    for by in (*range(-40, 41), -1_000, -400, 100, 400, 900):
        if offset + by > 0:
            assert determine(misplaced(data, by), None, DOCUMENT) is media_types.PDF, by
    for by in (3_000, 50_000, 2_000_000_000, -offset):
        with pytest.raises(InvalidData, match="damaged or cut short"):
            determine(misplaced(data, by), None, DOCUMENT)


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_a_pdf_of_any_writer_cut_short_anywhere_is_refused(data: bytes) -> None:
    for by in (0, 1, -3, 30):
        written = misplaced(data, by)
        for length in range(len(written.rstrip())):
            with pytest.raises(InvalidData):
                determine(written[:length], None, DOCUMENT)


@pytest.mark.parametrize("data", UPDATED.values(), ids=UPDATED)
def test_an_updated_pdf_cut_short_passes_only_before_the_update_has_an_object(data: bytes) -> None:
    before = data.index(b"%%EOF") + len(b"%%EOF")
    update = before + re.search(rb"\d+ \d+ obj", data[before:]).end()  # type: ignore[union-attr]
    for length in range(len(data.rstrip())):
        if before <= length < update:
            assert determine(data[:length], None, DOCUMENT) is media_types.PDF
        else:
            with pytest.raises(InvalidData):
                determine(data[:length], None, DOCUMENT)


@pytest.mark.parametrize("first", [0, 116, 215, 217, 300])
def test_a_linearized_pdf_is_not_complete_with_its_first_page_whatever_that_says(first: int) -> None:
    whole = WRITTEN["qpdf-linearized"].replace(b"startxref\n0\n", b"startxref\n%d\n" % first)
    for length in range(len(WRITTEN["qpdf-linearized"].rstrip())):
        with pytest.raises(InvalidData):
            determine(whole[:length], None, DOCUMENT)


LINEARIZED_START = b"%PDF-1.7\n1 0 obj\n<< /Linearized 1 >>\nendobj\nxref\n0 0\ntrailer\n<< >>\nstartxref\n0\n%%EOF\n"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n" + b"garbage " * 20,
        LINEARIZED_START + b"2 0 obj\n",
        PDF.replace(b"startxref", b"startxxxx"),
        PDF.replace(b"%%EOF", b"%%EOG"),
        PDF + b"\0" * 1025,
        PDF.replace(b"startxref\n", b"startxref\n9"),
        PDF.replace(b"startxref\n", b"startxref\n-"),
        PDF[:-20] + b"startxref\n0\n%%EOF",
        b"%PDF-1.7 startxref\n14 %%EOF",
        b"%PDF-1.7 startxref\n28 %%EOF xref",
    ],
    ids=range(10),
)
def test_a_header_alone_makes_no_pdf(data: bytes) -> None:
    with pytest.raises(InvalidData, match="begins as application/pdf but is damaged or cut short"):
        determine(data, None, DOCUMENT)


@pytest.mark.parametrize("data", [b"%PDF", b"%PDF-x.y\n", pdf(b"\n" * 1017), b"\n" * 2000])
def test_without_a_header_where_readers_look_it_is_no_pdf(data: bytes) -> None:
    with pytest.raises(InvalidData, match=r"is none of application/pdf\."):
        determine(data, None, DOCUMENT)


def test_an_image_or_a_page_with_a_pdfs_header_in_it_is_none() -> None:
    for data in (PNG[:8] + b"%PDF-1.7" + PNG[8:], SVG.replace(b"<circle", b"<!--%PDF-1.7--><circle")):
        with pytest.raises(InvalidData, match=r"is image/\S+, which is none of application/pdf"):
            determine(data, None, DOCUMENT)
    assert determine(SVG.replace(b"<circle", b"<!--%PDF-1.7--><circle"), None, DONOR) is media_types.SVG


@given(st.binary(max_size=60), st.binary(max_size=60), st.data())
def test_damaged_documents_get_nothing_but_a_typed_refusal(before: bytes, within: bytes, drawn: st.DataObject) -> None:
    position = drawn.draw(st.integers(0, len(PDF)))
    with suppress(InvalidData):
        assert determine(before + PDF[:position] + within + PDF[position:], None, DOCUMENT) is media_types.PDF


# Bytes of which nothing is known

ANYTHING = allowing("application/octet-stream")


@pytest.mark.parametrize("data", [b"x", b"\0", b"a;b\n1;2\n", b"PK\3\4", PNG, JPEG[:3], SVG, b"<html>", PDF, PDF[:9]])
@pytest.mark.parametrize("declared", [None, "", "text/csv", "application/octet-stream"])
def test_any_bytes_pass_where_any_are_allowed(data: bytes, declared: str | None) -> None:
    assert determine(data, declared, ANYTHING) is media_types.OCTET_STREAM


@pytest.mark.parametrize("declared", ["image/png", "image/jpg", "application/pdf", "image/svg+xml"])
def test_even_then_a_type_is_declared_only_where_the_bytes_begin_so(declared: str) -> None:
    with pytest.raises(InvalidData, match=r"declares another type than its bytes have\. Correct"):
        determine(b"a;b\n1;2\n", declared, ANYTHING)
    with pytest.raises(InvalidData, match="declares another type than its bytes have, image/webp"):
        determine(WEBP, declared, ANYTHING)


def test_what_begins_as_an_allowed_type_is_held_to_it() -> None:
    either = allowing("application/octet-stream", "application/pdf", "image/svg+xml")
    assert determine(PDF, None, either) is media_types.PDF
    assert determine(SVG, None, either) is media_types.SVG
    assert determine(PNG, "image/png", either) is media_types.OCTET_STREAM
    assert determine(b"a;b\n", "text/csv", either) is media_types.OCTET_STREAM
    for data, said in ((PDF[:-20], "damaged or cut short"), (b"<html/>", "this SVG is none")):
        with pytest.raises(InvalidData, match=said):
            determine(data, None, either)
    with pytest.raises(InvalidData, match="another type than its bytes have, application/pdf"):
        determine(PDF, "text/csv", either)


@given(st.binary(min_size=1))
def test_no_bytes_are_refused_where_any_are_allowed(data: bytes) -> None:
    assert determine(data, None, ANYTHING) is media_types.OCTET_STREAM
