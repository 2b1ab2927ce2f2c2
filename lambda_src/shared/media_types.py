"""The media types that an object may have, and the extensions of object keys that stand for them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MediaType:
    """`name` as in `image/png`; `extension` of the object key, without a dot. `may_run`: a browser that opens it as a
    page could run something in it."""

    name: str
    extension: str
    may_run: bool = False


PNG = MediaType(name="image/png", extension="png")
JPEG = MediaType(name="image/jpeg", extension="jpg")
WEBP = MediaType(name="image/webp", extension="webp")
SVG = MediaType(name="image/svg+xml", extension="svg", may_run=True)
PDF = MediaType(name="application/pdf", extension="pdf", may_run=True)
OCTET_STREAM = MediaType(name="application/octet-stream", extension="bin", may_run=True)
"""Bytes of which nothing is known."""

KNOWN = {each.name: each for each in (PNG, JPEG, WEBP, SVG, PDF, OCTET_STREAM)}
"""By their names; the deployment's RecordType allows these only."""

_BY_EXTENSION = {each.extension: each for each in KNOWN.values()} | {"jpeg": JPEG}


def of_key(key: str) -> MediaType:
    """The media type that a key's extension stands for. The key is on the ledger, so that nobody can change it; the
    content type in the object's metadata can be changed without its bytes."""
    return _BY_EXTENSION.get(key.rpartition(".")[2].lower(), OCTET_STREAM)
