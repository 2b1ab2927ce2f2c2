"""Decides the media type of data from its bytes, and whether they are whole."""

import re
import zlib
from collections.abc import Callable

from shared.media_types import JPEG, KNOWN, OCTET_STREAM, PDF, PNG, SVG, WEBP, MediaType
from shared.record_type import RecordType

from . import pdf, svg

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
    except for the beginning of an update of a PDF.
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
    return PDF if pdf.looks_like_pdf(data) else None


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


def _all_positive(*numbers: bytes) -> bool:
    return all(int.from_bytes(number) > 0 for number in numbers)


_IS_COMPLETE: dict[MediaType, Callable[[bytes], bool]] = {
    PNG: _is_complete_png,
    JPEG: _is_complete_jpeg,
    WEBP: _is_complete_webp,
    PDF: pdf.is_complete,
}
