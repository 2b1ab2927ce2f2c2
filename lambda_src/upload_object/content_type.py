"""Decides the media type of data from its bytes, and whether they are whole."""

import re
import zlib
from collections.abc import Callable

from shared.media_types import JPEG, KNOWN, OCTET_STREAM, PDF, PNG, SVG, WEBP, MediaType
from shared.record_type import RecordType

from . import svg

_ALIASES = {"image/jpg": JPEG.name}
_NO_TYPE = re.compile(r"|[^/]*/(?:\*|octet-stream)")
"""What programs write that do not know a type."""


def determine(data: bytes, declared: str | None, record_type: RecordType) -> MediaType:
    """Return the media type of `data`, or raise the record type's invalid-data error.

    How the bytes begin decides between PNG, JPEG, WebP, SVG and PDF. What is none of these, or one that the record type
    does not allow, is application/octet-stream where that is allowed. Refused are: data of no allowed type; another
    type than `declared` (a data URL's; image/jpg counts as image/jpeg; "", image/* and application/octet-stream say
    nothing; for application/octet-stream it may be any that is not known here); data that begin as one type and are
    damaged or cut short; an SVG that `svg` refuses.

    The container decides what is complete: from start to end in PNG, JPEG and WebP, by both ends in PDF. The content is
    not decoded: what passes can still show nothing. What follows the end is not looked at (phones keep videos there),
    except for the beginning of an update of a PDF: one that is cut short before its first object's number passes as the
    PDF before the update.
    """
    field, allowed = record_type.data_field, record_type.content_types
    found = _by_signature(data)
    media_type = found if found and found.name in allowed else OCTET_STREAM
    if media_type.name not in allowed:
        said = "is none of" if found is None else f"is {found.name}, which is none of"
        raise record_type.invalid_data(f"{field}: {said} {', '.join(allowed)}. Send one of these.")
    if declared is not None and _contradicts(_ALIASES.get(declared, declared), media_type, found):
        have = f", {found.name}" if found else ""
        raise record_type.invalid_data(
            f"{field}: the data URL declares another type than its bytes have{have}. "
            "Correct it, or leave it out: data:;base64,<data>."
        )
    if media_type is SVG:
        try:
            svg.check(data)
        except svg.RefusedSvg as refusal:
            raise record_type.invalid_data(f"{field}: this SVG {refusal}") from None
    elif media_type is not OCTET_STREAM and not _IS_COMPLETE[media_type](data):
        raise record_type.invalid_data(
            f"{field}: begins as {media_type.name} but is damaged or cut short. Send the whole file, or save it anew."
        )
    return media_type


def _contradicts(declared: str, media_type: MediaType, found: MediaType | None) -> bool:
    if _NO_TYPE.fullmatch(declared):
        return False
    if media_type is OCTET_STREAM:
        return declared in KNOWN and (found is None or declared != found.name)
    return declared != media_type.name


def _by_signature(data: bytes) -> MediaType | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if svg.looks_like_svg(data):
        return SVG
    return PDF if _PDF_HEADER.search(data, 0, _PDF_MARGIN) else None


def _is_complete_png(data: bytes) -> bool:
    """Chunks as PNG's specification (ISO/IEC 15948) has them: IHDR, at least one IDAT, and IEND, each with its CRC."""
    position, kinds = 8, []
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        end = position + 12 + length
        if end > len(data) or zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            return False
        kinds.append(data[position + 4 : position + 8])
        if kinds == [b"IHDR"] and (length != 13 or not _all_positive(data[16:20], data[20:24])):
            return False
        if kinds[-1] == b"IEND":
            return kinds[0] == b"IHDR" and b"IDAT" in kinds
        position = end
    return False


def _is_complete_jpeg(data: bytes) -> bool:
    """Segments as ITU-T T.81 has them: a frame header, a scan header after it, and an end of image after the scan."""
    position, frame = 2, False
    while data[position : position + 1] == b"\xff":
        while data[position : position + 1] == b"\xff":
            position += 1
        marker = int.from_bytes(data[position : position + 1])
        end = position + 1 + int.from_bytes(data[position + 1 : position + 3])
        if marker in (0x00, 0xD9) or end < position + 3 or end > len(data):
            return False
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            # The height may be 0: a segment after the scan can give it.
            frame = end - position >= 12 and _all_positive(data[position + 6 : position + 8])
        if marker == 0xDA:
            return frame and data.find(b"\xff\xd9", end) >= 0
        position = end
    return False


def _is_complete_webp(data: bytes) -> bool:
    """Chunks as RFC 9649 has them: VP8 or VP8L first, or VP8X with one of them or an animation's frames after it."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        return False
    position, kinds = 12, []
    while position + 8 <= end:
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        start, position = position + 8, position + 8 + length + length % 2
        if position > end:
            return False
        if kind == b"VP8 " and data[start + 3 : start + 6] != b"\x9d\x01\x2a":
            return False
        if kind == b"VP8L" and data[start : start + 1] != b"\x2f":
            return False
        kinds.append(kind)
    if kinds[:1] == [b"VP8X"]:
        return not {b"VP8 ", b"VP8L", b"ANMF"}.isdisjoint(kinds)
    return kinds[:1] in ([b"VP8 "], [b"VP8L"])


_PDF_MARGIN = 1024
"""Bytes within which readers look for a PDF's header and its last line (Annex H of ISO 32000-1), and within which its
cross-references may be from where it says. Writers miscount, and readers then look for them as well."""
_PDF_LAST_LINE_ENDS = 16
"""Bytes that may be lost behind the last line of a PDF that says its own length."""
_PDF_HEADER = re.compile(rb"%PDF-\d\.\d")
_PDF_END = re.compile(rb"startxref[\0\t\n\f\r ]+(\d{1,10})[\0\t\n\f\r ]+%%EOF")
_PDF_OBJECT = re.compile(rb"\d{1,10}[\0\t\n\f\r ]+\d{1,10}[\0\t\n\f\r ]+obj\b")
_PDF_REFERENCES = re.compile(rb"[\0\t\n\f\r ]*(?:xref\b|" + _PDF_OBJECT.pattern + rb")")
_PDF_TABLE = re.compile(rb"(?<![a-z])xref[\0\t\n\f\r ]+\d+[\0\t\n\f\r ]+\d+")
_PDF_DICTIONARY_END = re.compile(rb"stream|endobj")
_PDF_TYPE_OF_REFERENCES = re.compile(rb"/Type[\0\t\n\f\r ]*/XRef\b")
_PDF_UPDATE = re.compile(_PDF_OBJECT.pattern + rb"|\bxref\b")
_PDF_STREAM = re.compile(rb">>[\0\t\n\f\r ]*stream\r?\n")
_PDF_LINEARIZED = re.compile(
    rb"/Linearized\b[^>]*?/L[\0\t\n\f\r ]+(\d{1,10})|/L[\0\t\n\f\r ]+(\d{1,10})[^>]*?/Linearized\b"
)


def _is_complete_pdf(data: bytes) -> bool:
    """As ISO 32000 has it (7.5): a header, and at the end the offset of a cross-reference table or stream, and %%EOF.
    Offsets count from the header, and with some writers from the first byte, if something stands before the header."""
    header = _PDF_HEADER.search(data, 0, _PDF_MARGIN)
    ends = list(_PDF_END.finditer(data))
    if header is None or not ends or ends[-1].end() <= len(data) - _PDF_MARGIN:
        return False
    offset, end = int(ends[-1][1]), ends[-1].start()
    if _is_within_stream(data, end) or _PDF_UPDATE.search(data, ends[-1].end()):
        return False
    if len(ends) == 1 and ends[0].end() < _linearized_end(data, header.start()):
        return False
    return any(_has_references(data, offset, start, end) for start in (header.start(), 0))


def _is_within_stream(data: bytes, position: int) -> bool:
    """True if a stream has begun and not ended. Its data can be another PDF, with an end of its own."""
    return len(_PDF_STREAM.findall(data, 0, position)) > data.count(b"endstream", 0, position)


def _linearized_end(data: bytes, start: int) -> int:
    """Where a linearized PDF must have its last end at the earliest, 0 for others. After its first page it can have one
    that is not the last."""
    said = _PDF_LINEARIZED.search(data, start, start + _PDF_MARGIN)
    return start + int(said[1] or said[2]) - _PDF_LAST_LINE_ENDS if said else 0


def _has_references(data: bytes, offset: int, start: int, end: int) -> bool:
    """True if cross-references begin at `offset` from `start`, or near there, and before `end`."""
    position = start + offset
    if position < end and _PDF_REFERENCES.match(data, position):
        return True
    # 0 stands for no offset: the end of a linearized PDF's first page says so.
    if offset == 0:
        return False
    near = (max(0, position - _PDF_MARGIN), min(end, position + _PDF_MARGIN))
    table = _PDF_TABLE.search(data, *near)
    if table and data.find(b"trailer", table.end(), end) >= 0:
        return True
    return any(_is_stream_of_references(data, each.end(), end) for each in _PDF_OBJECT.finditer(data, *near))


def _is_stream_of_references(data: bytes, begin: int, end: int) -> bool:
    """`begin`: where the object's dictionary does."""
    dictionary_end = _PDF_DICTIONARY_END.search(data, begin, end)
    return dictionary_end is not None and bool(_PDF_TYPE_OF_REFERENCES.search(data, begin, dictionary_end.start()))


def _all_positive(*numbers: bytes) -> bool:
    return all(int.from_bytes(number) > 0 for number in numbers)


_IS_COMPLETE: dict[MediaType, Callable[[bytes], bool]] = {
    PNG: _is_complete_png,
    JPEG: _is_complete_jpeg,
    WEBP: _is_complete_webp,
    PDF: _is_complete_pdf,
}
