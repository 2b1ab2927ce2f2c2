"""The TLS roots: where they are and what they are."""

import datetime

from cryptography import x509
from shared import aws, pem

from .account import region, require_region
from .deployment import REGION
from .finding import AWS_FAILURES, Finding, Mistake, aws_words, error, ok, quoted, warning


def read_tls_roots(subject: str, roots: str) -> tuple[str, list[Finding]]:
    """The certificates in the PEM that `roots` is, or that is at the S3 location that it names, as the functions use
    them, and what is found about anything else there. Raises Mistake where they cannot be read, or not from where the
    functions will be."""
    held = _from_s3(subject, roots.replace(REGION, region())) if roots.startswith("s3://") else roots
    findings = []
    if pem.holds_private_key(held):
        findings.append(
            error(
                subject,
                "a private key is among the TLS roots, which are secret to nobody",
                "Take it out, and give its owner a new key and certificate.",
            )
        )
    try:
        return pem.roots(held, roots), findings
    except pem.NotUsable as failure:
        place = f"{roots}: " if isinstance(held, bytes) else ""
        raise Mistake(subject, f"{place}{failure.what}", failure.mend) from failure


def _from_s3(subject: str, location: str) -> bytes:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    require_region(subject, bucket)
    try:
        held: bytes = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except AWS_FAILURES as failure:
        raise Mistake(
            subject,
            f"{location} cannot be read: {aws_words(failure)}",
            "Put the PEM there, or check with credentials that have s3:GetObject on it.",
        ) from failure
    return held


def check_tls_roots(subject: str, roots: str) -> list[Finding]:
    """What is found about the certificates in `roots`, of which there is at least one. Raises Mistake where one cannot
    be read."""
    try:
        certificates = x509.load_pem_x509_certificates(roots.encode())
    except ValueError as failure:
        raise Mistake(
            subject, f"a TLS root cannot be read: {quoted(failure)}", "Give the CA certificates as PEM."
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
