"""A Fabric identity, apart from where it is kept: whoever only signs needs no AWS library."""

from dataclasses import dataclass, field

from .pem import ENROL, NotUsable


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An X.509 identity: `certificate` and `private_key` are PEM texts, as `shared.pem` returns them."""

    msp_id: str
    certificate: str
    private_key: str = field(repr=False)

    def require_pair(self) -> None:
        """Raises ValueError where the private key is not the certificate's, or one of the two cannot be read."""
        # Not part of every function's package: one that only reads certificates has no keys either.
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509 import load_pem_x509_certificate

        try:
            certified = load_pem_x509_certificate(self.certificate.encode()).public_key()
            own = load_pem_private_key(self.private_key.encode(), password=None).public_key()
        except (TypeError, UnsupportedAlgorithm) as error:  # encrypted, or of an unknown kind
            raise ValueError(str(error)) from error
        if own != certified:
            raise ValueError("the private key is not the certificate's")


def require_certificate(pem: str, source: str) -> None:
    """Raises NotUsable where Fabric takes no such certificate, whoever issued it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import load_pem_x509_certificate

    try:
        key = load_pem_x509_certificate(pem.encode()).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise NotUsable(source, "holds a certificate that cannot be read", ENROL) from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise NotUsable(source, "the certificate is not of an elliptic curve key, as Fabric demands", ENROL)


def require_key(pem: str, source: str) -> None:
    """Raises NotUsable where nothing can be signed for Fabric with the private key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise NotUsable(source, "the private key cannot be read", ENROL) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1 | SECP384R1):
        raise NotUsable(
            source, "the private key is not on a curve that Fabric takes (P-256 or P-384)", f"Make one. {ENROL}"
        )
