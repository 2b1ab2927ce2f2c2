"""PEM in the forms in which people store it: made canonical, or refused with the name of its source."""

import base64
import json
import random
import re
import ssl
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st
from shared import pem

from sandbox.fabric import pem as go
from sandbox.fabric.msp import CertificateAuthority

AUTHORITY = CertificateAuthority.create("ca")
INTERMEDIATE = CertificateAuthority.create("intermediate")
CERTIFICATE, KEY = AUTHORITY.issue("ada", role="client")
SEC1 = (
    load_pem_private_key(KEY.encode(), None)
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    .decode()
)
LEGACY_ENCRYPTED = (
    load_pem_private_key(KEY.encode(), None)
    .private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret"))
    .decode()
)
ENCRYPTED = (
    load_pem_private_key(KEY.encode(), None)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    .decode()
)
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

Form = Callable[[str], pem.Stored]


def _lines(text: str, prefix: str, end: str = "\n") -> str:
    return "".join(f"{prefix}{line}{end}" for line in text.splitlines())


FORMS: dict[str, Form] = {
    "CR LF": lambda text: text.replace("\n", "\r\n"),
    "CR only": lambda text: text.replace("\n", "\r"),
    "CR CR LF": lambda text: text.replace("\n", "\r\r\n"),
    "blanks for line breaks": lambda text: text.replace("\n", " "),
    "tabs for line breaks": lambda text: text.replace("\n", "\t"),
    "no-break spaces": lambda text: text.replace("\n", "\u00a0\n"),
    "no-break spaces in the labels": lambda text: text.replace(" ", "\u00a0"),
    "line separators": lambda text: text.replace("\n", "\u2028"),
    "zero-width spaces": lambda text: text.replace("\n", "\u200b\n"),
    "byte order mark": lambda text: "\ufeff" + text,
    "byte order mark in the middle": lambda text: "\n\ufeff" + text,
    "UTF-8 with a byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16, big end first": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "bytes": lambda text: text.encode(),
    "indented": lambda text: _lines(text, "    "),
    "indented by tabs": lambda text: _lines(text, "\t"),
    "blanks at the ends of lines": lambda text: _lines(text, "", "  \n"),
    "blank lines": lambda text: text.replace("\n", "\n\n"),
    "in quotes": lambda text: f'"{text}"',
    "in apostrophes": lambda text: f"'{text.strip()}'",
    "in quotes of Word": lambda text: f"\u201c{text.strip()}\u201d",
    "line breaks written out": lambda text: text.replace("\n", "\\n"),
    "line breaks written out twice": lambda text: text.replace("\n", "\\\\n"),
    "CR LF written out": lambda text: text.replace("\n", "\\r\\n"),
    "a JSON string": json.dumps,
    "a JSON string with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "backslashes at the ends of lines": lambda text: text.replace("\n", "\\\n"),
    "text around": lambda text: f"Bag Attributes\n    friendlyName: ada\n{text}issuer=/CN=ca\n",
    "text around on the same lines": lambda text: f"signcert: {text.strip()} # of ada",
    "all in one line": lambda text: re.sub(r"(?<!-)\n(?!-)", "", text),
    "lines of 76": lambda text: re.sub(r"(?<!-)\n(?!-)", "", text).replace("\n", "\n\n", 1),
    "a header": lambda text: text.replace("-----\n", "-----\nComment: of ada\n\n", 1),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_people_store_is_made_canonical(form: Form) -> None:
    assert pem.certificate(form(CERTIFICATE), "org/signcert") == CERTIFICATE
    assert pem.private_key(form(KEY), "org/pk") == KEY
    assert pem.private_key(form(SEC1), "org/pk") == SEC1
    assert pem.roots(form(AUTHORITY.pem + INTERMEDIATE.pem), "tls.pem") == AUTHORITY.pem + INTERMEDIATE.pem


def test_a_canonical_certificate_is_what_versions_before_sent_with_and_without_its_last_line_break() -> None:
    """The bytes are part of what transaction ids are computed from: `file://cert.pem` keeps it, `$(cat cert.pem)` does
    not."""
    assert pem.certificate(CERTIFICATE, "org/signcert") == CERTIFICATE
    assert pem.certificate(CERTIFICATE.rstrip("\n"), "org/signcert") == CERTIFICATE.rstrip("\n")
    for form in FORMS.values():
        sent = pem.certificate(form(CERTIFICATE), "org/signcert").encode()
        block, rest = go.decode(sent)
        assert block is not None
        assert (block.label, rest) == (b"CERTIFICATE", b"")


CHAINS = {
    "the leaf first": CERTIFICATE + INTERMEDIATE.pem + AUTHORITY.pem,
    "the root first": AUTHORITY.pem + INTERMEDIATE.pem + CERTIFICATE,
    "the leaf between": AUTHORITY.pem + CERTIFICATE + INTERMEDIATE.pem,
    "with the key first": KEY + CERTIFICATE,
    "with the key behind": CERTIFICATE + SEC1,
    "with the key in the middle": AUTHORITY.pem + PARAMETERS + SEC1 + CERTIFICATE,
    "with an encrypted key": LEGACY_ENCRYPTED + CERTIFICATE,
    "the leaf twice": CERTIFICATE + CERTIFICATE,
    "without a line break between": (CERTIFICATE.strip() + KEY.strip() + AUTHORITY.pem.strip()),
    "alone": CERTIFICATE,
}


@pytest.mark.parametrize("text", CHAINS.values(), ids=CHAINS)
@pytest.mark.parametrize("form", ["canonical", "blanks for line breaks", "CR only", "UTF-16"])
def test_exactly_one_certificate_is_sent_whatever_else_is_stored(text: str, form: str) -> None:
    stored = FORMS[form](text) if form in FORMS else text
    sent = pem.certificate(stored, "org/signcert")
    assert sent == CERTIFICATE
    assert pem.holds_private_key(stored) == ("KEY" in text)


def test_a_single_certificate_is_the_users_also_if_it_is_a_cas() -> None:
    assert pem.certificate(AUTHORITY.pem, "org/signcert") == AUTHORITY.pem


KEYS = {"behind its parameters": PARAMETERS + SEC1, "beside its certificate": CERTIFICATE + SEC1, "twice": SEC1 + SEC1}


@pytest.mark.parametrize("text", KEYS.values(), ids=KEYS)
def test_a_private_key_is_found_beside_other_things(text: str) -> None:
    assert pem.private_key(text, "org/pk") == SEC1


def _der() -> bytes:
    return ssl.PEM_cert_to_DER_cert(CERTIFICATE)


def _pkcs12() -> bytes:
    certificate, key = load_pem_x509_certificate(CERTIFICATE.encode()), load_pem_private_key(KEY.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return pkcs12.serialize_key_and_certificates(b"ada", key, certificate, None, BestAvailableEncryption(b"secret"))


WALLET = {"credentials": {"certificate": CERTIFICATE, "privateKey": KEY}, "mspId": "Org1MSP", "type": "X.509"}
OLD_WALLET = {"name": "ada", "mspid": "Org1MSP", "enrollment": {"identity": {"certificate": CERTIFICATE}}}
UNUSABLE: dict[str, tuple[pem.Stored, str]] = {
    "nothing": ("", "is empty"),
    "blanks": (" \n\ufeff", "is empty"),
    "a random text": ("gVx9:kq!2mA#", "holds a text that is no PEM"),
    "a JSON object": (json.dumps({"signcert": CERTIFICATE}), "holds JSON, not PEM"),
    "a JSON list": (json.dumps([CERTIFICATE]), "holds JSON, not PEM"),
    "damaged JSON": ('{"signcert": "-----BEGIN', "holds JSON, not PEM"),
    "JSON with a byte order mark": ("\ufeff" + json.dumps({"signcert": CERTIFICATE}), "holds JSON, not PEM"),
    "a wallet's identity": (json.dumps(WALLET), "holds an identity of a Fabric wallet (.id), not PEM"),
    "an old wallet's identity": (json.dumps(OLD_WALLET), "holds an identity of a Fabric wallet (.id), not PEM"),
    "DER": (_der(), "holds DER, not PEM"),
    "DER in base64": (base64.b64encode(_der()).decode(), "holds DER in base64, not PEM"),
    "PKCS#12": (_pkcs12(), "holds PKCS#12, not PEM"),
    "PKCS#12 in base64": (base64.encodebytes(_pkcs12()), "holds PKCS#12 in base64, not PEM"),
    "bytes": (b"\xff\x00\xfe", "holds bytes that are no text, not PEM"),
    "cut short": (CERTIFICATE[:300], "holds damaged PEM"),
    "the end alone": (CERTIFICATE[300:], "holds damaged PEM"),
    "another label at the end": (CERTIFICATE.replace("END CERT", "END X509 CERT"), "holds damaged PEM"),
    "a line lost": (CERTIFICATE.replace(CERTIFICATE.splitlines()[3] + "\n", ""), "holds a certificate that cannot"),
    "a character lost": (CERTIFICATE.replace("MII", "MI", 1), "holds damaged PEM"),
    "a character that is no base64": (CERTIFICATE.replace("MII", "M*I", 1), "holds damaged PEM"),
    "a question mark for a character": (CERTIFICATE.replace("MII", "MI\ufffd", 1), "holds damaged PEM"),
    "an empty block": ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "holds damaged PEM"),
    "a second block damaged": (CERTIFICATE + CERTIFICATE[:300], "holds damaged PEM"),
    "something behind the certificate's bytes": (
        pem.Block(label="CERTIFICATE", content=_der() + b"\0").text,
        "holds a certificate that cannot be read",
    ),
    "a request": (CERTIFICATE.replace("CERTIFICATE", "CERTIFICATE REQUEST"), "holds a CERTIFICATE REQUEST, not a "),
    "two users": (CERTIFICATE + AUTHORITY.issue("bob")[0], "holds several certificates of users"),
    "two CAs": (AUTHORITY.pem + INTERMEDIATE.pem, "holds several certificates of CAs"),
    "a key alone": (KEY, "holds a PRIVATE KEY, not a CERTIFICATE"),
}


@pytest.mark.parametrize(("stored", "what"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_no_certificate_is_refused_with_its_source_and_no_word_of_it(stored: pem.Stored, what: str) -> None:
    with pytest.raises(pem.NotUsable) as refusal:
        pem.certificate(stored, "org/signcert")
    assert str(refusal.value).startswith(f"org/signcert: {what}")
    assert refusal.value.mend.endswith((".", ".)", "?"))
    assert not any(line in str(refusal.value) for line in (KEY + CERTIFICATE + "gVx9").splitlines())


UNUSABLE_KEYS = {
    "encrypted": (ENCRYPTED, "the private key is encrypted"),
    "encrypted in the old way": (LEGACY_ENCRYPTED, "the private key is encrypted"),
    "encrypted in the old way, blanks for line breaks": (
        LEGACY_ENCRYPTED.replace("\n", " "),
        "the private key is encrypted",
    ),
    "a certificate": (CERTIFICATE, "holds a CERTIFICATE, not a PRIVATE KEY"),
    "two keys": (KEY + AUTHORITY.issue("bob")[1], "holds several private keys"),
    "a wallet's identity": (json.dumps(WALLET), "holds an identity of a Fabric wallet (.id), not PEM"),
    "damaged": (KEY.replace("MIG", "MI", 1), "holds damaged PEM"),
    "cut short": (pem.Block(label="PRIVATE KEY", content=b"\x30\x05\x02\x01").text, "the private key cannot be read"),
}


@pytest.mark.parametrize(("stored", "what"), UNUSABLE_KEYS.values(), ids=UNUSABLE_KEYS)
def test_what_is_no_private_key_is_refused_with_its_source_and_no_word_of_it(stored: pem.Stored, what: str) -> None:
    with pytest.raises(pem.NotUsable) as refusal:
        pem.private_key(stored, "org/pk")
    assert str(refusal.value).startswith(f"org/pk: {what}")
    assert not any(line in str(refusal.value) for line in (KEY + ENCRYPTED).splitlines())


def test_roots_are_joined_so_that_a_missing_line_break_does_not_matter() -> None:
    joined = pem.roots(AUTHORITY.pem.strip() + INTERMEDIATE.pem.strip() + AUTHORITY.pem, "tls.pem")
    assert joined == AUTHORITY.pem + INTERMEDIATE.pem
    for stored, what in ((CERTIFICATE[:300], "holds damaged PEM"), (KEY, "holds a PRIVATE KEY, not a CERTIFICATE")):
        with pytest.raises(pem.NotUsable, match=f"^tls.pem: {what}. Give the CA certificates as PEM"):
            pem.roots(stored, "tls.pem")


@given(st.text() | st.binary(), st.integers(), st.sampled_from([CERTIFICATE, KEY, json.dumps(WALLET)]))
def test_nothing_but_a_typed_refusal_comes_of_anything(noise: str | bytes, seed: int, text: str) -> None:
    place = random.Random(seed).randrange(len(text))
    stored = text[:place] + noise + text[place:] if isinstance(noise, str) else text.encode()[:place] + noise
    for read in (pem.certificate, pem.private_key, pem.roots):
        try:
            canonical = read(stored, "source")
        except pem.NotUsable:
            continue
        assert read(canonical, "source") == canonical
