"""The Fabric users: their secrets, certificates and keys."""

import datetime
import re
from collections.abc import Mapping

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from shared import aws
from shared.identity import Identity

from .finding import AWS_FAILURES, Finding, Mistake, aws_code, aws_words, error, ok, quoted, skipped, warning

EXPIRES_SOON = datetime.timedelta(days=30)

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----\s.+?-----END \1-----", re.DOTALL)
_MEMBER_ID = re.compile(r"\bm-[a-z0-9]{26}\b")
_CURVES = ("secp256r1", "secp384r1")
_ENROL = "Enrol the user and put the PEM into the secret."


def check_user(
    secrets: Mapping[str, str], msp_id: str, *, secrets_key: str | None = None, connect: bool = False
) -> tuple[list[Finding], Identity | None]:
    """What is found about a user's secrets (the names or ARNs of `certificate` and `privateKey`), and the identity
    where the two belong together. `secrets_key`: the ARN of the KMS key that the functions may decrypt them with.
    `connect`: peers will say whether the MSP accepts it."""
    findings = [finding for secret in secrets.values() for finding in _encryption(secret, secrets_key)]
    texts: dict[str, str] = {}
    try:
        pem = _pem(secrets["certificate"], "CERTIFICATE")
        findings += _certificate(secrets["certificate"], pem, msp_id, connect)
        texts["certificate"] = pem
    except Mistake as mistake:
        findings.append(mistake.finding)
    try:
        texts["privateKey"] = _pem(secrets["privateKey"], "PRIVATE KEY")
        _require_usable_key(secrets["privateKey"], texts["privateKey"])
        findings.append(_match(secrets, texts, msp_id))
    except Mistake as mistake:
        findings.append(mistake.finding)
        return findings, None
    if "certificate" not in texts:
        return findings, None
    return findings, _identity(texts, msp_id)


def _identity(texts: Mapping[str, str], msp_id: str) -> Identity:
    return Identity(msp_id=msp_id, certificate=texts["certificate"], private_key=texts["privateKey"])


def _match(secrets: Mapping[str, str], texts: Mapping[str, str], msp_id: str) -> Finding:
    key = secrets["privateKey"]
    if "certificate" not in texts:
        return ok(key, "holds an elliptic curve key")
    try:
        _identity(texts, msp_id).require_pair()
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


def _pem(secret: str, kind: str) -> str:
    """The text of a secret that holds PEM of `kind`. Raises Mistake."""
    try:
        answer = aws.client("secretsmanager").get_secret_value(SecretId=secret)
    except AWS_FAILURES as failure:
        if aws_code(failure) == "ResourceNotFoundException":
            raise Mistake(
                secret, "no such secret in this account and region, or it has no value", f"Create it. {_ENROL}"
            ) from failure
        raise Mistake(
            secret,
            f"cannot be read: {aws_words(failure)}",
            "Check with credentials that have secretsmanager:GetSecretValue on it (and kms:Decrypt on its key).",
        ) from failure
    text: str | None = answer.get("SecretString")
    if text is None:
        raise Mistake(secret, "is stored as binary", "Store the PEM as text (--secret-string file://...).")
    kinds: list[str] = _BLOCK.findall(text)
    if not kinds:
        raise Mistake(secret, *_not_pem(text))
    if not any(each.endswith(kind) for each in kinds):
        raise Mistake(secret, f"holds a {kinds[0]}, not a {kind}", "Are the two secrets of the user swapped?")
    return text


def _not_pem(text: str) -> tuple[str, str]:
    """What a text is that should be PEM, and how to mend that."""
    if text.lstrip().startswith("{"):
        return "holds JSON, not PEM", "Store the PEM itself as the secret's plain text, not under a key."
    if "-----BEGIN" not in text:
        return (
            "holds a text that is no PEM (cdk-hyperledger-fabric-network leaves a random one where it could not enrol "
            "the user, and says nothing)",
            _ENROL,
        )
    if r"\n" in text:
        return r"holds PEM with its line breaks written as \n", "Store the PEM with real line breaks, from its file."
    return "holds damaged PEM", "Store the PEM from its file, whole and with its line breaks."


def _certificate(secret: str, pem: str, msp_id: str, connect: bool) -> list[Finding]:
    """What is found about a certificate that can be read. Raises Mistake for one that cannot."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as failure:
        raise Mistake(secret, f"the certificate cannot be read: {quoted(failure)}", _ENROL) from failure
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Mistake(secret, "the certificate is not of an elliptic curve key, as Fabric demands", _ENROL)
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


def _require_usable_key(secret: str, pem: str) -> None:
    """Raises Mistake where the functions cannot sign with the key."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError as failure:
        raise Mistake(
            secret, "the private key is encrypted", "Store it decrypted (openssl pkey): Secrets Manager encrypts it."
        ) from failure
    except (ValueError, UnsupportedAlgorithm) as failure:
        raise Mistake(secret, "the private key cannot be read", _ENROL) from failure
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise Mistake(
            secret, "the private key is not on a curve that Fabric takes (P-256 or P-384)", f"Make one. {_ENROL}"
        )
