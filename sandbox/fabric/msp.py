"""Membership: certificate authorities, identities, and the checks a channel's MSPs make on a creator."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hfc.protos.msp import identities_pb2

from sandbox.fabric import pem
from sandbox.fabric.messages import Malformed, parse, serialized

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ROLES = ("client", "peer", "admin", "orderer")
_SHA256 = ec.ECDSA(hashes.SHA256())


class NotAMember(Exception):
    """The serialized identity belongs to no MSP of the channel, or its certificate is not valid there."""


def sign_low_s(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """DER signature over SHA-256 of `data` with S in the lower half, as Fabric demands."""
    r, s = decode_dss_signature(key.sign(data, _SHA256))
    return encode_dss_signature(r, min(s, P256_ORDER - s))


@dataclass(frozen=True)
class Identity:
    """An enrolled user or node: MSP id, certificate and private key, both PEM text (key in PKCS#8)."""

    msp_id: str
    certificate_pem: str
    private_key_pem: str = field(repr=False)

    @cached_property
    def creator(self) -> bytes:
        """The serialized identity that goes into signature headers and endorsements."""
        identity = identities_pb2.SerializedIdentity(mspid=self.msp_id, id_bytes=self.certificate_pem.encode())
        return serialized(identity)

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self.private_key_pem.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the private key is not an elliptic curve key")
        return key

    def sign(self, data: bytes) -> bytes:
        """Low-S DER signature over `data`."""
        return sign_low_s(self._key, data)


class CertificateAuthority:
    """A root that issues identity certificates (role as organisational unit) and TLS server certificates."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    @classmethod
    def create(cls, name: str) -> Self:
        """A new self-signed root."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = _now()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_key_usage(ca=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate_pem: str, private_key_pem: str) -> Self:
        """A root that exists already, both PEM text."""
        key = serialization.load_pem_private_key(private_key_pem.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the private key is not an elliptic curve key")
        return cls(x509.load_pem_x509_certificate(certificate_pem.encode()), key)

    def issue(
        self,
        common_name: str,
        *,
        role: str | None = None,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
        server: bool = False,
    ) -> tuple[str, str]:
        """(certificate PEM, private key PEM). `server` adds localhost and 127.0.0.1 for TLS."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role)] if role else []
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
        end = not_after or _now() + datetime.timedelta(days=365)
        start = not_before or max(min(_now(), end) - datetime.timedelta(hours=1), self.certificate.not_valid_before_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(self._authority_key(), critical=False)
            .add_extension(_key_usage(ca=False), critical=True)
        )
        if server:
            addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False).add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        return (
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
        )

    def _authority_key(self) -> x509.AuthorityKeyIdentifier:
        subject_key = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key)


@dataclass(frozen=True)
class Member:
    """A creator or endorser whose certificate its MSP accepts. Expiry is judged separately, as Fabric does."""

    msp_id: str
    role: str
    fingerprint: bytes
    public_key: ec.EllipticCurvePublicKey = field(repr=False)

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this member's low-S signature over `data`."""
        try:
            _, s = decode_dss_signature(signature)
            if s > P256_ORDER // 2:
                return False
            self.public_key.verify(signature, data, _SHA256)
        except (InvalidSignature, ValueError):
            return False
        return True


class Membership:
    """The MSPs of a channel: MSP id -> root certificate."""

    def __init__(self, authorities: dict[str, CertificateAuthority]) -> None:
        self._authorities = authorities
        self._known: dict[bytes, Member | NotAMember] = {}

    def member(self, creator: bytes) -> Member:
        """The member behind a serialized identity. Raises NotAMember."""
        known = self._known.get(creator)
        if known is None:
            if len(self._known) > 10_000:
                self._known.clear()
            try:
                known = self._examine(creator)
            except NotAMember as refusal:
                known = refusal
            self._known[creator] = known
        if isinstance(known, NotAMember):
            raise NotAMember(str(known))
        return known

    def _examine(self, creator: bytes) -> Member:
        msp_id, certificate = _certificate(creator)
        authority = self._authorities.get(msp_id)
        if authority is None:
            raise NotAMember(f"MSP {msp_id} is not defined on channel")
        if certificate is None:
            raise NotAMember("the certificate cannot be read")
        root = authority.certificate
        # Fabric judges the chain as of the certificate's own beginning: expiry is checked elsewhere.
        if not root.not_valid_before_utc <= certificate.not_valid_before_utc <= root.not_valid_after_utc:
            raise NotAMember("the certificate begins outside of the root's validity")
        try:
            certificate.verify_directly_issued_by(root)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise NotAMember("the certificate does not chain to the MSP's root") from error
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise NotAMember("the certificate's key is not an elliptic curve key")
        units = [
            str(unit.value) for unit in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        ]
        roles = [role for role in ROLES if role in units]
        if len(roles) != 1:
            raise NotAMember("the certificate must carry exactly one of the organisational units " + ", ".join(ROLES))
        return Member(msp_id, roles[0], certificate.fingerprint(hashes.SHA256()), key)


def expired(creator: bytes) -> bool:
    """Whether the certificate in a serialized identity is past its end. Unreadable ones are not: Fabric judges so."""
    _, certificate = _certificate(creator)
    return certificate is not None and certificate.not_valid_after_utc < _now()


_certificates: dict[bytes, tuple[str, x509.Certificate | None]] = {}


def _certificate(creator: bytes) -> tuple[str, x509.Certificate | None]:
    known = _certificates.get(creator)
    if known is None:
        try:
            identity = parse(identities_pb2.SerializedIdentity, creator)
        except Malformed:
            return "", None
        known = (identity.mspid, _parsed(identity.id_bytes))
        if len(_certificates) > 10_000:
            _certificates.clear()
        _certificates[creator] = known
    return known


def _parsed(id_bytes: bytes) -> x509.Certificate | None:
    """As `deserializeIdentityInternal` of fabric/msp: the first PEM block, whatever its label or what is around it."""
    block, _ = pem.decode(id_bytes)
    try:
        return x509.load_der_x509_certificate(block.content) if block else None
    except ValueError:
        return None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )
