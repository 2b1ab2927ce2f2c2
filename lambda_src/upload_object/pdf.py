"""Says whether a PDF is whole, from its ends and without reading its pages."""

import re

_MARGIN = 1024
"""Bytes within which readers look for a PDF's header and its last line (Annex H of ISO 32000-1), and within which its
cross-references may be from where it says. Writers miscount, and readers then look for them as well."""
_LAST_LINE_ENDS = 16
"""Bytes that may be lost behind the last line of a PDF that says its own length."""
_HEADER = re.compile(rb"%PDF-\d\.\d")
_END = re.compile(rb"startxref[\0\t\n\f\r ]+(\d{1,10})[\0\t\n\f\r ]+%%EOF")
_OBJECT = re.compile(rb"\d{1,10}[\0\t\n\f\r ]+\d{1,10}[\0\t\n\f\r ]+obj\b")
_REFERENCES = re.compile(rb"[\0\t\n\f\r ]*(?:xref\b|" + _OBJECT.pattern + rb")")
_TABLE = re.compile(rb"(?<![a-z])xref[\0\t\n\f\r ]+\d+[\0\t\n\f\r ]+\d+")
_DICTIONARY_END = re.compile(rb"stream|endobj")
_TYPE_OF_REFERENCES = re.compile(rb"/Type[\0\t\n\f\r ]*/XRef\b")
_UPDATE = re.compile(_OBJECT.pattern + rb"|\bxref\b")
_STREAM = re.compile(rb">>[\0\t\n\f\r ]*stream\r?\n")
_LINEARIZED = re.compile(
    rb"/Linearized\b[^>]*?/L[\0\t\n\f\r ]+(\d{1,10})|/L[\0\t\n\f\r ]+(\d{1,10})[^>]*?/Linearized\b"
)


def looks_like_pdf(data: bytes) -> bool:
    """True if `data` have a header where readers look for it."""
    return _HEADER.search(data, 0, _MARGIN) is not None


def is_complete(data: bytes) -> bool:
    """True for what ISO 32000 has (7.5): a header, and at the end the offset of a cross-reference table or stream, and
    %%EOF. Offsets count from the header, and with some writers from the first byte, if something stands before it.

    A PDF that is cut short in an incremental update, before its first object, passes as the one before the update.
    """
    header = _HEADER.search(data, 0, _MARGIN)
    ends = list(_END.finditer(data))
    if header is None or not ends or ends[-1].end() <= len(data) - _MARGIN:
        return False
    offset, end = int(ends[-1][1]), ends[-1].start()
    if _is_within_stream(data, end) or _UPDATE.search(data, ends[-1].end()):
        return False
    if len(ends) == 1 and ends[0].end() < _linearized_end(data, header.start()):
        return False
    return any(_has_references(data, offset, start, end) for start in (header.start(), 0))


def _is_within_stream(data: bytes, position: int) -> bool:
    """True if a stream has begun and not ended. Its data can be another PDF, with an end of its own."""
    return len(_STREAM.findall(data, 0, position)) > data.count(b"endstream", 0, position)


def _linearized_end(data: bytes, start: int) -> int:
    """Where a linearized PDF must have its last end at the earliest, 0 for others. After its first page it can have one
    that is not the last."""
    said = _LINEARIZED.search(data, start, start + _MARGIN)
    return start + int(said[1] or said[2]) - _LAST_LINE_ENDS if said else 0


def _has_references(data: bytes, offset: int, start: int, end: int) -> bool:
    """True if cross-references begin at `offset` from `start`, or near there, and before `end`."""
    position = start + offset
    if position < end and _REFERENCES.match(data, position):
        return True
    # 0 stands for no offset: the end of a linearized PDF's first page says so.
    if offset == 0:
        return False
    near = (max(0, position - _MARGIN), min(end, position + _MARGIN))
    table = _TABLE.search(data, *near)
    if table and data.find(b"trailer", table.end(), end) >= 0:
        return True
    return any(_is_stream_of_references(data, each.end(), end) for each in _OBJECT.finditer(data, *near))


def _is_stream_of_references(data: bytes, begin: int, end: int) -> bool:
    """`begin`: where the object's dictionary does."""
    dictionary_end = _DICTIONARY_END.search(data, begin, end)
    return dictionary_end is not None and bool(_TYPE_OF_REFERENCES.search(data, begin, dictionary_end.start()))
