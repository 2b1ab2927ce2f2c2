"""The TLS roots: where they are and what they are."""

import datetime

from cryptography import x509
from shared import aws

from .account import region, require_region
from .deployment import REGION
from .finding import AWS_FAILURES, Finding, Mistake, aws_words, error, ok, quoted, warning


def read_tls_roots(subject: str, roots: str) -> str:
    """The PEM text that `roots` is, or that is at the S3 location that it names. Raises Mistake where it cannot be
    read, or not from where the functions will be."""
    if not roots.startswith("s3://"):
        return roots
    location = roots.replace(REGION, region())
    bucket, _, key = location.removeprefix("s3://").partition("/")
    require_region(subject, bucket)
    try:
        text: str = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except AWS_FAILURES as failure:
        raise Mistake(
            subject,
            f"{location} cannot be read: {aws_words(failure)}",
            "Put the PEM there, or check with credentials that have s3:GetObject on it.",
        ) from failure
    except UnicodeDecodeError as failure:
        raise Mistake(subject, f"{location} is no text", "Put the CA certificates there as PEM.") from failure
    return text


def check_tls_roots(subject: str, pem: str) -> list[Finding]:
    """What is found about the certificates in `pem`. Raises Mistake where there are none."""
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as failure:
        raise Mistake(
            subject, f"the TLS roots are no PEM certificates: {quoted(failure)}", "Give the CA certificates as PEM."
        ) from failure
    now = datetime.datetime.now(datetime.UTC)
    # One that vouches for nothing does no harm beside others.
    useless = (
        warning if any(each.not_valid_before_utc <= now <= each.not_valid_after_utc for each in certificates) else error
    )
    findings: list[Finding] = []
    for certificate in certificates:
        name = quoted(certificate.subject.rfc4514_string() or "without a name")
        if certificate.not_valid_after_utc < now:
            what = f"TLS root {name} expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
            findings.append(useless(subject, what, "Leave it out, and give its successor."))
        elif certificate.not_valid_before_utc > now:
            what = f"TLS root {name} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            findings.append(useless(subject, what, "Wait, or set this clock."))
        elif not _is_authority(certificate):
            findings.append(
                warning(
                    subject,
                    f"TLS root {name} is no CA certificate: it vouches for a node only until that has another one",
                    "Give the certificate of the CA that issues the nodes' TLS certificates.",
                )
            )
        else:
            findings.append(ok(subject, f"TLS root {name}, valid until {certificate.not_valid_after_utc:%Y-%m-%d}"))
    return findings


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False
