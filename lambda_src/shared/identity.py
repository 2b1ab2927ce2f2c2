"""A Fabric identity, apart from where it is kept: whoever only signs needs no AWS library."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An X.509 identity: `certificate` and `private_key` are PEM texts."""

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
