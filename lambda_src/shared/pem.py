"""PEM in whatever form people store it, made canonical at the border: what goes on from here has one form.

Certificates and keys are pasted into consoles, settings, YAML and JSON, and lose their line breaks or gain a byte order
mark, quotes or an indentation on the way. Python reads most of that. Go's encoding/pem, with which a peer reads the
creator of a transaction, and gRPC, which reads TLS roots, do not. So nothing but this module reads PEM that came from
outside: it returns blocks that are encoded anew, or raises NotUsable, which names the source.

It needs the standard library alone: the upload function's package has no cryptography, and `offchain_stack` and the
sandbox load this file by its path.
"""

import base64
import binascii
import codecs
import contextlib
import json
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

Stored = str | bytes
"""What was stored, as it was read. Bytes may be UTF-8, or UTF-16 with or without a byte order mark."""

_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE")
_KEY = "PRIVATE KEY"
ENROL = "Enrol the user and put the PEM into the secret."
"""How to mend most of what is wrong with a user's secret."""
_AS_A_FILE = "Store the PEM from its file, whole and with its line breaks."
CONVERT = "Convert it with openssl x509 or openssl pkey (-inform der), or with openssl pkcs12 -nodes."
"""What to do with the binary forms of certificates and keys."""
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00ad"
_BEGIN = re.compile(r"-----BEGIN\b")
_BLOCK = re.compile(r"-----BEGIN\s([A-Z0-9\s]{1,60}?)\s*-----(.*?)-----END\s([A-Z0-9\s]{1,60}?)\s*-----", re.DOTALL)

EXPOSED_KEY = (
    "holds a private key, which whoever may read certificates can read, and which versions up to 0.2.0 sent to the "
    "peers and put on the ledger",
    "Revoke the certificate, enrol the user again with a new key, and store the new certificate alone.",
)
"""What is wrong with a certificate's secret of which `holds_private_key` is true, and how to mend it."""


class NotUsable(ValueError):
    """`source` holds what cannot be used. `what` is a clause without its full stop, `mend` are whole sentences. Neither
    quotes what is stored."""

    def __init__(self, source: str, what: str, mend: str) -> None:
        super().__init__(f"{source}: {what}. {mend}")
        self.source, self.what, self.mend = source, what, mend


@dataclass(frozen=True, kw_only=True)
class Block:
    """One PEM block. `content` are its bytes, empty where it is `encrypted` by PEM's own headers."""

    label: str
    content: bytes
    encrypted: bool = False

    @property
    def text(self) -> str:
        """The block as Go's and OpenSSL's encoders write it: lines of 64 characters, LF, a line break at the end."""
        encoded = base64.b64encode(self.content).decode()
        lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
        return "\n".join([f"-----BEGIN {self.label}-----", *lines, f"-----END {self.label}-----", ""])


def certificate(stored: Stored, source: str) -> str:
    """The one certificate of a user, as canonical PEM, whatever else is stored with it and in whatever order.

    Of several it is the only one that is not a CA's. Functions with and without access to the key must choose the same
    one, so that the key has no say. Raises NotUsable.
    """
    leaf = Block(label="CERTIFICATE", content=_leaf(_certificates(stored, source), source))
    # These bytes are part of what transaction ids are computed from, and 0.2.0 sent what was stored. So a certificate
    # that differs from the canonical form by nothing but its last line break stays without it: the workshop stores
    # `$(cat cert.pem)`, which strips it, and `file://cert.pem` keeps it. Go reads both.
    shorter = leaf.text.rstrip("\n")
    return shorter if stored == shorter else leaf.text


def private_key(stored: Stored, source: str) -> str:
    """The one private key that is stored, as canonical PEM. Raises NotUsable, also where it is encrypted."""
    found = _blocks(stored, source)
    keys = list(dict.fromkeys(each for each in found if each.label.endswith(_KEY)))
    if not keys:
        raise NotUsable(source, f"holds a {found[0].label}, not a {_KEY}", "Are the two secrets of the user swapped?")
    if len(keys) > 1:
        raise NotUsable(source, "holds several private keys", "Leave only the one that the certificate was made for.")
    (key,) = keys
    if key.encrypted or key.label == f"ENCRYPTED {_KEY}":
        raise NotUsable(
            source, "the private key is encrypted", "Store it decrypted (openssl pkey): Secrets Manager encrypts it."
        )
    if not _is_sequence(key.content):
        raise NotUsable(source, "the private key cannot be read", ENROL)
    return key.text


def roots(stored: Stored, source: str) -> str:
    """All certificates that are stored, as canonical PEM behind each other and each once. Raises NotUsable."""
    try:
        found = _certificates(stored, source)
        for each in found:
            _is_authority(each, source)
    except NotUsable as error:
        raise NotUsable(source, error.what, "Give the CA certificates as PEM.") from error
    return "".join(Block(label="CERTIFICATE", content=each).text for each in found)


def holds_private_key(stored: Stored) -> bool:
    """Whether a private key is in it, in PEM or in a JSON file with PEM in it."""
    try:
        return re.search(r"-----BEGIN[A-Z0-9\s]{1,60}PRIVATE\s+KEY", _plain(_text(stored, ""))) is not None
    except NotUsable:
        return False


def _certificates(stored: Stored, source: str) -> Sequence[bytes]:
    """The certificates in DER, in their order and each once."""
    found = _blocks(stored, source)
    certificates = list(dict.fromkeys(each.content for each in found if each.label in _CERTIFICATES))
    if not certificates:
        raise NotUsable(
            source, f"holds a {found[0].label}, not a CERTIFICATE", "Are the two secrets of the user swapped?"
        )
    return certificates


def _leaf(certificates: Sequence[bytes], source: str) -> bytes:
    leaves = [each for each in certificates if not _is_authority(each, source)]
    if len(certificates) == 1:
        return certificates[0]
    if len(leaves) != 1:
        kind = "of users" if leaves else "of CAs"
        raise NotUsable(source, f"holds several certificates {kind}", "Store the user's own certificate alone.")
    return leaves[0]


def _is_authority(der: bytes, source: str) -> bool:
    """Whether OpenSSL takes the certificate for a CA's. Raises NotUsable where it cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if not _is_sequence(der):
            raise ValueError("cut short, or with something behind it")
        context.load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError) as error:
        raise NotUsable(source, "holds a certificate that cannot be read", ENROL) from error
    return context.cert_store_stats()["x509_ca"] == 1


def _is_sequence(der: bytes) -> bool:
    """Whether the bytes are one ASN.1 sequence as a whole, as certificates and keys are: neither cut short nor with
    anything behind it."""
    return der[:1] == b"\x30" and sum(_header(der)) == len(der)


def _header(der: bytes) -> tuple[int, int]:
    """The lengths of the header of an ASN.1 value and of its content; of a form that DER has not: 0 and -1."""
    short = der[1] if len(der) > 1 else 0x80
    if short < 0x80:
        return 2, short
    size = short - 0x80
    return (2 + size, int.from_bytes(der[2 : 2 + size])) if 1 <= size <= 4 else (0, -1)


def _blocks(stored: Stored, source: str) -> Sequence[Block]:
    """The PEM blocks in it, of which there is at least one. Text around them does not matter."""
    text = _text(stored, source)
    if wrong := _json(text):
        raise NotUsable(source, *wrong)
    text = _plain(text)
    found = list(_BLOCK.finditer(text))
    if not found:
        raise NotUsable(source, *_not_pem(text))
    if len(found) != len(_BEGIN.findall(text)):
        raise NotUsable(source, "holds damaged PEM", _AS_A_FILE)
    return [_block(each, source) for each in found]


def _text(stored: Stored, source: str) -> str:
    """The text without characters that nobody sees."""
    invisible = dict.fromkeys(map(ord, _INVISIBLE))
    if isinstance(stored, str):
        return stored.translate(invisible)
    try:
        return stored.decode(_text_encoding(stored)).translate(invisible)
    except UnicodeDecodeError:
        what = _encoding(stored) or "bytes that are no text"
        raise NotUsable(source, f"holds {what}, not PEM", CONVERT) from None  # the error itself quotes the bytes


def _text_encoding(stored: bytes) -> str:
    """UTF-16 if it is marked as such, or as its first character shows, which is of ASCII in PEM."""
    if stored.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if stored[:1] == b"\0":
        return "utf-16-be"
    return "utf-16-le" if stored[1:2] == b"\0" else "utf-8"


def _plain(text: str) -> str:
    """The text with nothing but LF for line breaks, written-out ones included, and blanks for other white space."""
    text = re.sub(r"\\+(?:[rnt]|u000[aAdD])", "\n", text).replace("\\/", "/")
    text = re.sub(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]", "\n", text)
    return re.sub(r"[^\S\n]", " ", text)


def _block(found: re.Match[str], source: str) -> Block:
    label, end = (" ".join(found[number].split()) for number in (1, 3))
    headers, content = _without_headers(found[2])
    encrypted = "ENCRYPTED" in headers
    try:
        if label != end:
            raise ValueError("another label at the end")
        # Encrypted content is of no use, whatever it is.
        return Block(label=label, content=b"" if encrypted else _decoded(content), encrypted=encrypted)
    except ValueError as error:
        raise NotUsable(source, "holds damaged PEM", _AS_A_FILE) from error


def _without_headers(body: str) -> tuple[str, str]:
    """The headers of RFC 1421 in the body of a block, and the rest. Only a header has a colon in it."""
    if ":" not in body:
        return "", body
    headers, blank, rest = re.sub(r"\n *\n", "\n\n", body.lstrip()).partition("\n\n")
    return (headers, rest) if blank else (body, "")


def _decoded(text: str) -> bytes:
    """The bytes of base64 with any white space in it. Raises ValueError."""
    content = binascii.a2b_base64("".join(text.replace("\\", "").split()), strict_mode=True)
    if not content:
        raise ValueError("empty")
    return content


def _json(text: str) -> tuple[str, str] | None:
    """What is wrong with a JSON object or list in place of PEM, and how to mend it; None for what is neither."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = {} if text.lstrip().startswith("{") else None
    if not isinstance(value, dict | list):
        return None
    if isinstance(value, dict) and value.keys() & {"credentials", "enrollment"}:
        return (
            "holds an identity of a Fabric wallet (.id), not PEM",
            "Store the PEM in its fields certificate and privateKey, each as the plain text of its own secret.",
        )
    return "holds JSON, not PEM", "Store the PEM itself as the secret's plain text, not under a key."


def _not_pem(text: str) -> tuple[str, str]:
    """What a text is that should be PEM, and how to mend that."""
    if "-----BEGIN" in text or "-----END" in text:
        return "holds damaged PEM", _AS_A_FILE
    with contextlib.suppress(ValueError):
        if what := _encoding(_decoded(text)):
            return (
                f"holds {what} in base64, not PEM",
                "Store it as PEM, with the lines -----BEGIN ...----- and -----END ...-----.",
            )
    if not text.strip():
        return "is empty", ENROL
    return (
        "holds a text that is no PEM",
        f"{ENROL} (cdk-hyperledger-fabric-network leaves a random text where it could not enrol the user, and says "
        "nothing.)",
    )


def _encoding(content: bytes) -> str | None:
    """The name of the binary form that certificates and keys have; None where it is another."""
    if not _is_sequence(content):
        return None
    start, _ = _header(content)
    # PKCS#12 begins with its version, which is 3 (RFC 7292). Keys have 0 or 1 there, certificates another sequence.
    return "PKCS#12" if content[start : start + 3] == b"\x02\x01\x03" else "DER"
