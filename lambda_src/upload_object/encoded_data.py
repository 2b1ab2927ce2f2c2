"""Decodes the data of a request: base64 (RFC 4648, section 4), bare or in a data URL (RFC 2397)."""

import base64
import binascii

from shared.record_type import RecordType


def decode(text: str, record_type: RecordType) -> tuple[bytes, str | None]:
    """Return the bytes, and the media type that a data URL declares, in lower case (None for bare base64).

    Line breaks within the base64 are ignored, because encoders wrap lines; anything else outside of the alphabet, and
    missing or wrong padding, is refused. Raises the record type's invalid-data error, or its data-too-large error.
    """
    field = record_type.data_field
    declared = None
    if text[:5].lower() == "data:":
        header, comma, text = text[5:].partition(",")
        declared, *parameters = (part.strip(" \t\r\n").lower() for part in header.split(";"))
        if not comma or not parameters or parameters[-1] != "base64":
            raise record_type.invalid_data(f"{field}: a data URL must read data:<type>;base64,<data>.")

    text = text.replace("\r", "").replace("\n", "")
    if not text:
        raise record_type.invalid_data(f"{field}: is empty.")
    if len(text) * 3 // 4 - text[-2:].count("=") > record_type.max_data_bytes:
        raise record_type.data_too_large(
            f"{field}: over the limit of {record_type.max_data_bytes} bytes ({record_type.max_data_bytes // 1000} kB). "
            "Larger data cannot be sent inline; send a smaller version."
        )
    try:
        encoded = text.encode("ascii")
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise record_type.invalid_data(f"{field}: {_defect(text)}") from None
    # strict_mode lets set bits below the last byte pass, so that two texts could mean the same bytes.
    if base64.b64encode(data) != encoded:
        raise record_type.invalid_data(f"{field}: not base64: its last character has bits set that mean nothing.")
    return data, declared


def _defect(text: str) -> str:
    if "-" in text or "_" in text:
        return 'not base64: contains "-" or "_" of the URL-safe alphabet. Encode with the standard one ("+" and "/").'
    if any(character.isspace() for character in text):
        return "not base64: contains spaces or tabs. Only line breaks may stand between its characters."
    if len(text) % 4:
        return (
            f'not base64: {len(text)} characters, which is no multiple of 4. Is it cut short, or "=" padding missing?'
        )
    return "not base64: only A-Z, a-z, 0-9, + and / are allowed, then = as padding."
