"""Checks of the texts that callers send."""

import re
import unicodedata

from .errors import InvalidRequest
from .record_type import LedgerField

_IDENTIFIER_MAX_BYTES = 256
"""With prefix, submission id and extension the object key then stays below S3's 1,024 bytes."""


def text(name: str, value: object) -> str:
    """Return `value`, or raise InvalidRequest naming the field."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: must be a text.")
    return value


def ledger_text(value: object, field: LedgerField) -> str:
    """Return `value` as the ledger may hold it in `field`, or raise InvalidRequest naming it."""
    checked = text(field.name, value)
    if field.required and not checked:
        raise InvalidRequest(f"{field.name}: must not be empty.")
    if len(checked) > field.max_length:
        raise InvalidRequest(f"{field.name}: {len(checked)} characters; at most {field.max_length} are allowed.")
    try:
        checked.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field.name}: contains half of a surrogate pair, which is no character.") from None
    if field.pattern is not None and not re.fullmatch(field.pattern, checked, re.ASCII):
        raise InvalidRequest(f"{field.name}: must match the pattern {field.pattern} as a whole.")
    return checked


def check_identifier(name: str, value: str) -> None:
    """Raise InvalidRequest for an identifier that cannot be part of an object key, which URLs, XML listings and
    consoles must carry unchanged."""
    if value in (".", "..") or "/" in value:
        raise InvalidRequest(f'{name}: must not contain "/" nor be "." or "..", since it is part of the object key.')
    if value != value.strip():
        raise InvalidRequest(f"{name}: must not begin or end with white space.")
    if any(unicodedata.category(character) == "Cc" or character in "\ufffe\uffff" for character in value):
        raise InvalidRequest(f"{name}: must not contain control characters.")
    if len(value.encode()) > _IDENTIFIER_MAX_BYTES:
        raise InvalidRequest(f"{name}: longer than {_IDENTIFIER_MAX_BYTES} bytes in UTF-8.")
