"""How long the Fabric users' certificates are good for."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.x509 import load_pem_x509_certificate
from shared.errors import LedgerUnavailable
from shared.identities import Identities
from shared.observability import logger


@dataclass(frozen=True, kw_only=True)
class CertificateLife:
    """`days_left` of a user's certificate, below 0 once it has expired; None where it could not be read."""

    user: str
    days_left: float | None


def certificate_lives(identities: Identities) -> Iterator[CertificateLife]:
    """One of each user that the deployment lists."""
    for user in identities.users:
        try:
            expires = load_pem_x509_certificate(identities.certificate(user).encode()).not_valid_after_utc
        except (LedgerUnavailable, ValueError) as error:
            logger.error("A certificate cannot be read", extra={"user": user, "error": type(error).__name__})
            yield CertificateLife(user=user, days_left=None)
            continue
        left = expires - datetime.datetime.now(datetime.UTC)
        yield CertificateLife(user=user, days_left=left / datetime.timedelta(days=1))
