"""PEM as a peer reads it: by the rules of Go's encoding/pem, which are stricter than those of Python's libraries.

A block's first line begins the data or a line, and nothing stands before it. Its last line begins a line, has the same
label, and nothing but blanks and tabs behind it. Between them are headers, then base64, in which blanks, tabs and line
breaks do not matter. Text around a block does not matter either. Lines end with LF or CR LF.
"""

import base64
import re
from dataclasses import dataclass, field

_BEGIN = b"-----BEGIN "
_END = b"\n-----END "
_DASHES = b"-----"
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True, kw_only=True)
class Block:
    """`label` is what stands behind BEGIN, `content` the decoded bytes. `headers`: the last value of each name."""

    label: bytes
    content: bytes
    headers: dict[bytes, bytes] = field(default_factory=dict)


def decode(data: bytes) -> tuple[Block | None, bytes]:
    """The first block in `data`, and what is behind it; None and all of `data` if there is no block."""
    rest = data
    while (begun := _behind_begin(rest)) is not None:
        line, rest = _line(begun)
        if not line.endswith(_DASHES):
            continue
        label = line.removesuffix(_DASHES)
        headers, rest = _headers(rest)
        if not rest:
            break
        ended = _end(rest, label, may_be_empty=not headers)
        content = None if ended is None else _decoded(rest[: ended[0]])
        if ended is not None and content is not None:
            return Block(label=label, content=content, headers=headers), rest[ended[1] :]
    return None, data


def _behind_begin(data: bytes) -> bytes | None:
    if data.startswith(_BEGIN):
        return data[len(_BEGIN) :]
    _, found, behind = data.partition(b"\n" + _BEGIN)
    return behind if found else None


def _line(data: bytes) -> tuple[bytes, bytes]:
    """The first line, without its line break and blanks before that, and what is behind it."""
    line, found, rest = data.partition(b"\n")
    if found:
        line = line.removesuffix(b"\r")
    return line.rstrip(b" \t"), rest


def _headers(data: bytes) -> tuple[dict[bytes, bytes], bytes]:
    headers: dict[bytes, bytes] = {}
    while data:
        line, rest = _line(data)
        name, colon, value = line.partition(b":")
        if not colon:
            break
        headers[name.strip()] = value.strip()
        data = rest
    return headers, data


def _end(data: bytes, label: bytes, *, may_be_empty: bool) -> tuple[int, int] | None:
    """Where the content ends, and where the line behind the last line begins; None if the first last line is another
    block's."""
    # The last line may follow the first at once, whose line break is then taken already.
    at_once = may_be_empty and data.startswith(_END[1:])
    start = -1 if at_once else data.find(_END)
    if start < 0 and not at_once:
        return None
    last = start + len(_END)
    if not data.startswith(label + _DASHES, last):
        return None
    behind = data[last + len(label) + len(_DASHES) :]
    line, rest = _line(behind)
    return None if line else (max(start, 0), len(data) - len(rest))


def _decoded(text: bytes) -> bytes | None:
    """The bytes of base64 with its padding; None for what is no base64. Bits behind the last byte do not matter."""
    compact = text.translate(None, b" \t\r\n")
    return base64.b64decode(compact) if _BASE64.fullmatch(compact) else None
