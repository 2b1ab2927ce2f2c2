"""The Fabric users: their secrets, certificates and keys."""

import datetime
import re
from collections.abc import Mapping

from cryptography import x509
from shared import aws, pem
from shared.identity import Identity, require_certificate, require_key
from shared.secret import stored

from .finding import AWS_FAILURES, Finding, Mistake, aws_words, error, ok, skipped, warning

EXPIRES_SOON = datetime.timedelta(days=30)

_MEMBER_ID = re.compile(r"\bm-[a-z0-9]{26}\b")


def check_user(
    secrets: Mapping[str, str], msp_id: str, *, secrets_key: str | None = None, connect: bool = False
) -> tuple[list[Finding], Identity | None]:
    """What is found about a user's secrets (the names or ARNs of `certificate` and `privateKey`), and the identity
    where the two belong together. `secrets_key`: the ARN of the KMS key that the functions may decrypt them with.
    `connect`: peers will say whether the MSP accepts it."""
    findings = [finding for secret in secrets.values() for finding in _encryption(secret, secrets_key)]
    identity = certificate = None
    try:
        held = _held(secrets["certificate"])
        if pem.holds_private_key(held):
            findings.append(error(secrets["certificate"], *pem.EXPOSED_KEY))
        certificate = _certificate(held, secrets["certificate"])
        findings += _about(secrets["certificate"], certificate, msp_id, connect)
    except (Mistake, pem.NotUsable) as failure:
        findings.append(_finding(failure))
    try:
        private_key = _private_key(_held(secrets["privateKey"]), secrets["privateKey"])
        if certificate:
            identity = Identity(msp_id=msp_id, certificate=certificate, private_key=private_key)
        return [*findings, _match(secrets, identity)], identity
    except (Mistake, pem.NotUsable) as failure:
        return [*findings, _finding(failure)], None


def _finding(failure: Mistake | pem.NotUsable) -> Finding:
    return failure.finding if isinstance(failure, Mistake) else error(failure.source, failure.what, failure.mend)


def _match(secrets: Mapping[str, str], identity: Identity | None) -> Finding:
    key = secrets["privateKey"]
    if identity is None:
        return ok(key, "holds an elliptic curve key")
    try:
        identity.require_pair()
    except ValueError as failure:
        raise Mistake(
            key,
            f"is not the private key of the certificate in {secrets['certificate']}",
            "Put the key that this certificate was made for, or enrol the user again and put both.",
        ) from failure
    return ok(key, f"holds the private key of the certificate in {secrets['certificate']}")


def _encryption(secret: str, secrets_key: str | None) -> list[Finding]:
    """A warning where the secret is encrypted with another customer key than `secrets_key`, as far as AWS tells."""
    try:
        key = aws.client("secretsmanager").describe_secret(SecretId=secret).get("KmsKeyId")
        metadata = aws.client("kms").describe_key(KeyId=key)["KeyMetadata"] if key else {}
    except AWS_FAILURES:
        return []
    if metadata.get("KeyManager") != "CUSTOMER" or metadata["Arn"] == secrets_key:
        return []
    return [
        warning(
            secret,
            f"is encrypted with {metadata['Arn']}, which the stack does not let the functions use",
            "Name this key as secretsKeyArn.",
        )
    ]


def _held(secret: str) -> pem.Stored:
    """What the secret holds. Raises NotUsable where there is none, and Mistake where it cannot be read."""
    try:
        return stored(secret)
    except AWS_FAILURES as failure:
        raise Mistake(
            secret,
            f"cannot be read: {aws_words(failure)}",
            "Check with credentials that have secretsmanager:GetSecretValue on it (and kms:Decrypt on its key).",
        ) from failure


def _certificate(held: pem.Stored, secret: str) -> str:
    """The certificate as the functions use it. Raises NotUsable, as they do."""
    certificate = pem.certificate(held, secret)
    require_certificate(certificate, secret)
    return certificate


def _private_key(held: pem.Stored, secret: str) -> str:
    """The private key as the functions use it. Raises NotUsable, as they do."""
    private_key = pem.private_key(held, secret)
    require_key(private_key, secret)
    return private_key


def _about(secret: str, pem_text: str, msp_id: str, connect: bool) -> list[Finding]:
    certificate = x509.load_pem_x509_certificate(pem_text.encode())
    return [_validity(secret, certificate), *_membership(secret, certificate, msp_id, connect)]


def _validity(secret: str, certificate: x509.Certificate) -> Finding:
    now = datetime.datetime.now(datetime.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    again = "Enrol the user again, and put the new key and then the new certificate into the secrets."
    if ends < now:
        return error(secret, f"the certificate expired on {ends:%Y-%m-%d}", again)
    if begins > now:
        return error(
            secret, f"the certificate is not valid before {begins:%Y-%m-%d %H:%M} UTC", "Wait, or set this clock."
        )
    if ends - now < EXPIRES_SOON:
        return warning(secret, f"the certificate expires on {ends:%Y-%m-%d}", again)
    return ok(secret, f"the certificate is valid until {ends:%Y-%m-%d}")


def _membership(secret: str, certificate: x509.Certificate, msp_id: str, connect: bool) -> list[Finding]:
    """What the certificate itself tells of its MSP: the CAs of Managed Blockchain carry the member's id in their name.
    Anywhere else only the channel knows the MSP's CAs."""
    members = _MEMBER_ID.findall(certificate.issuer.rfc4514_string().lower())
    if msp_id.lower() in members:
        return [ok(secret, f"the certificate is of the CA of {msp_id}")]
    if members:
        return [
            error(
                secret,
                f"the certificate is of the CA of {members[0].upper().replace('M-', 'm-', 1)}, not of {msp_id}",
                "Enrol the user with the member's own CA, or give that member.",
            )
        ]
    if connect:
        return []
    return [skipped(secret, f"whether the certificate is of MSP {msp_id} is for a peer to say", "Use --connect.")]
