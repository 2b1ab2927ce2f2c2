"""Decodes the data of a request: base64 (RFC 4648, section 4), bare or in a data URL (RFC 2397)."""

import base64
import re
import unicodedata

from shared.errors import OffchainError
from shared.record_type import RecordType

_WHITE_SPACE = " \t\r\n\f"
_DATA_URL = re.compile(rf"[{_WHITE_SPACE}]*data:", re.IGNORECASE)
_WRONG = re.compile(r"[^A-Za-z0-9+/=\r\n]")
_ALLOWED = "only A-Z, a-z, 0-9, + and / are allowed, then = as padding."
_WRAPPED = "Send the text alone, without quotation marks, url(...) of CSS or b'...' of Python around it."
_ELSEWHERE = "Send the bytes themselves in base64, not an address, a file name, a command or a shortened text."
_DATA_URL_BEGINS = "A data URL begins with data: and reads data:<type>;base64,<data>."
_UNENCODED = "Send the base64 of the file alone, neither markup nor the file as it is."
_URL_SAFE = 'It belongs to the URL-safe alphabet. Encode with the standard one ("+" and "/").'
_WAY_OUT = {
    "%": "The text is percent-encoded. Decode it first (%2B is +, %2F is /, %3D is =).",
    "&": "The text holds HTML entities. Undo them first (&#43; is +).",
    "\\": "The text was escaped, perhaps twice. Undo that first.",
    "=": "Padding stands at the end only. Join the bytes before you encode them, not the encoded parts.",
    **dict.fromkeys("'\"`()", _WRAPPED),
    **dict.fromkeys("<{[", _UNENCODED),
    **dict.fromkeys(":.@~$\N{HORIZONTAL ELLIPSIS}", _ELSEWHERE),
    **dict.fromkeys(";,", _DATA_URL_BEGINS),
    **dict.fromkeys("-_", _URL_SAFE),
}
"""What to do about a character that base64 does not have."""


def decode(text: str, record_type: RecordType) -> tuple[bytes, str | None]:
    """Return the bytes, and the media type that a data URL declares, in lower case (None for bare base64).

    Line breaks within the base64 are ignored, because encoders wrap lines, and so is white space around a data URL, as
    URL parsers do. Anything else outside of the alphabet, and missing or wrong padding, is refused. Raises the record
    type's invalid-data error, or its data-too-large error. A refusal names one character and its place, never more.
    """
    start, declared = _header(text, record_type)
    encoded = text[start:] if declared is None else text[start:].rstrip(_WHITE_SPACE)
    wrong = _WRONG.search(encoded)
    position = wrong.start() if wrong else encoded.rstrip("=\r\n").find("=")
    if position >= 0:
        raise _not_base64(record_type, _misplaced(start + position, text))
    return _decoded(encoded.replace("\r", "").replace("\n", ""), record_type), declared


def _header(text: str, record_type: RecordType) -> tuple[int, str | None]:
    """Where the base64 starts in `text`, and the type that the header before it declares, None without one."""
    begin = _DATA_URL.match(text)
    if begin is None:
        return 0, None
    header, comma, _ = text[begin.end() :].partition(",")
    declared, *parameters = (part.strip(_WHITE_SPACE).lower() for part in header.split(";"))
    wrong = None
    if not comma:
        wrong = "this one has no comma. Put one between the two."
    elif not parameters or parameters[-1] != "base64":
        wrong = "this one has no ;base64 right before its first comma. Encode the data in base64."
    if wrong:
        raise record_type.invalid_data(
            f"{record_type.data_field}: a data URL must read data:<type>;base64,<data>; {wrong}"
        )
    return begin.end() + len(header) + 1, declared


def _decoded(encoded: str, record_type: RecordType) -> bytes:
    """The bytes of base64 that has no other characters."""
    if not encoded:
        raise record_type.invalid_data(f"{record_type.data_field}: is empty. Send the data in base64.")
    limit = record_type.max_data_bytes
    if len(encoded) * 3 // 4 - encoded[-2:].count("=") > limit:
        raise record_type.data_too_large(
            f"{record_type.data_field}: over the limit of {limit} bytes ({limit // 1000} kB). "
            "Larger data cannot be sent inline; send a smaller version."
        )
    if defect := _wrong_padding(encoded):
        raise _not_base64(record_type, defect)
    data = base64.b64decode(encoded)
    # Bits may be set below the last byte, so that two texts could mean the same bytes.
    if base64.b64encode(data).decode() != encoded:
        raise _not_base64(record_type, "its last character has bits set that mean nothing. Encode the data again.")
    return data


def _not_base64(record_type: RecordType, defect: str) -> OffchainError:
    return record_type.invalid_data(f"{record_type.data_field}: not base64: {defect}")


def _misplaced(position: int, text: str) -> str:
    character = text[position]
    name = f"{unicodedata.name(character, 'the character')} (U+{ord(character):04X})"
    return f"{name} at character {position + 1}; {_ALLOWED} {_way_out(character, text)}"


def _way_out(character: str, text: str) -> str:
    if character == "-" and text.lstrip().startswith("-----"):
        return "Send the base64 alone, without the lines around it that begin with -----."
    if character in ":=" and "data:" in text[1:].lower():
        return "The text must begin with data:, and have it only once."
    if character.isspace():
        return "Remove spaces or tabs; if a decoder of forms made them of +, encode again."
    category = unicodedata.category(character)
    if category in ("Cc", "Cf"):
        return "It is invisible. Remove it."
    return _WRAPPED if category in ("Pi", "Pf") else _WAY_OUT.get(character, "Encode the data in base64.")


def _wrong_padding(encoded: str) -> str | None:
    unpadded = encoded.rstrip("=")
    missing = -len(unpadded) % 4 - (len(encoded) - len(unpadded))
    if len(unpadded) % 4 == 1:
        return "its last group of four has one character, which is less than a byte. It is cut short; send all of it."
    if missing > 0:
        return f"it is cut short, or has its padding missing. Send all of it; if this is all, add {'=' * missing}."
    return f"it ends in {-missing} = more than it needs; {_ALLOWED} Remove them." if missing else None
