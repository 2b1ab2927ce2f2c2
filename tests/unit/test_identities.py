"""Identities from Secrets Manager: read as a pair, kept for a stated time, and read again when they were rotated."""

import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from shared import aws, clock, errors, identities
from shared.identities import Identities, Identity
from shared.observability import logger
from upload_samples import IDENTITIES

from sandbox.fabric.msp import CertificateAuthority

AUTHORITY = CertificateAuthority.create("ca")
REFRESH = identities.REFRESH_SECONDS
PAUSE = REFRESH / 10
CERTIFICATE, KEY = "org/auditor/signcert", "org/auditor/pk"


def issued() -> Identity:
    certificate, key = AUTHORITY.issue("auditor", role="client")
    return Identity(msp_id="Org1MSP", certificate=certificate, private_key=key)


class Secrets:
    """The secrets of all users in Secrets Manager. `read` lists those that were read; `down`: it does not answer."""

    def __init__(self) -> None:
        self.client = boto3.client("secretsmanager")
        self.read: list[str] = []
        self.down = False
        self.first = issued()
        self._get = aws.client("secretsmanager").get_secret_value
        for user in IDENTITIES["users"]:
            for part, text in (("signcert", self.first.certificate), ("pk", self.first.private_key)):
                self.client.create_secret(Name=f"org/{user}/{part}", SecretString=text)

    def get(self, *, SecretId: str, **version: str) -> Any:
        self.read.append(SecretId)
        if self.down:
            raise EndpointConnectionError(endpoint_url="https://secretsmanager")
        return self._get(SecretId=SecretId, **version)

    def put(self, name: str, value: str | bytes) -> None:
        field = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        self.client.put_secret_value(SecretId=name, **{field: value})

    def rotate(self) -> Identity:
        """Give the auditor a new certificate and key."""
        new = issued()
        self.put(KEY, new.private_key)
        self.put(CERTIFICATE, new.certificate)
        return new


@pytest.fixture
def secrets(aws_emulation: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secrets]:
    made = Secrets()
    monkeypatch.setattr(aws.client("secretsmanager"), "get_secret_value", made.get)
    yield made
    for found in made.client.list_secrets()["SecretList"]:
        made.client.delete_secret(SecretId=found["Name"], ForceDeleteWithoutRecovery=True)


@pytest.fixture
def users(secrets: Secrets) -> Identities:
    return Identities(json.dumps(IDENTITIES))


class Clock:
    """Time that passes when a test says so; on the wall's clock only where the environment is `frozen` meanwhile."""

    def __init__(self) -> None:
        self.now = {"monotonic": time.monotonic(), "time": time.time()}

    def passes(self, seconds: float, *, frozen: bool = False) -> None:
        for name in ("time",) if frozen else ("time", "monotonic"):
            self.now[name] += seconds


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    reading = SimpleNamespace(monotonic=lambda: made.now["monotonic"], time=lambda: made.now["time"])
    monkeypatch.setattr(clock, "time", reading)
    return made


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    return written


def test_an_identity_is_read_from_its_secrets(users: Identities, secrets: Secrets) -> None:
    assert users.default_user == "lambdaUser"
    assert users.identity("auditor") == secrets.first
    assert users.certificate("auditor") == secrets.first.certificate


def test_a_private_key_is_not_shown(users: Identities) -> None:
    assert "PRIVATE KEY" not in repr(users.identity("auditor"))


def test_a_user_that_is_not_listed_is_refused(users: Identities) -> None:
    for use in (users.require_allowed, users.certificate, users.identity):
        with pytest.raises(errors.Forbidden, match="does not allow this Fabric user") as refusal:
            use("admin")
        assert "admin" not in str(refusal.value)


def test_who_asks_for_a_certificate_reads_no_key(users: Identities, secrets: Secrets) -> None:
    users.certificate("auditor")
    assert secrets.read == [CERTIFICATE]


def test_a_secret_that_cannot_be_read_is_told_without_its_name_and_read_again_at_once(
    users: Identities, secrets: Secrets
) -> None:
    secrets.client.delete_secret(SecretId=KEY, ForceDeleteWithoutRecovery=True)
    with pytest.raises(errors.LedgerUnavailable) as failure:
        users.identity("auditor")
    assert "org/" not in str(failure.value)
    secrets.client.create_secret(Name=KEY, SecretBinary=b"not text")
    with pytest.raises(errors.LedgerUnavailable):
        users.identity("auditor")
    secrets.put(KEY, secrets.first.private_key)
    assert users.identity("auditor") == secrets.first


@pytest.mark.parametrize("frozen", [False, True], ids=["awake", "frozen"])
def test_a_rotated_identity_is_in_use_after_the_stated_time_and_not_read_before(
    users: Identities, secrets: Secrets, passing: Clock, frozen: bool
) -> None:
    users.identity("auditor")
    new = secrets.rotate()
    passing.passes(REFRESH - 1, frozen=frozen)
    assert users.identity("auditor") == secrets.first
    assert secrets.read == [CERTIFICATE, KEY]
    passing.passes(1, frozen=frozen)
    assert users.identity("auditor") == new
    assert users.identity("auditor") == new
    assert secrets.read == [CERTIFICATE, KEY] * 2


def test_a_rotated_certificate_is_in_use_after_the_stated_time(
    users: Identities, secrets: Secrets, passing: Clock
) -> None:
    users.certificate("auditor")
    new = secrets.rotate()
    passing.passes(REFRESH - 1)
    assert users.certificate("auditor") == secrets.first.certificate
    passing.passes(1)
    assert users.certificate("auditor") == new.certificate


@pytest.mark.parametrize("already", ["certificate", "private_key"])
def test_the_pair_in_use_stays_so_while_a_rotation_is_half_done(
    users: Identities, secrets: Secrets, passing: Clock, already: str, log: io.StringIO
) -> None:
    users.identity("auditor")
    new = issued()
    names = {"certificate": CERTIFICATE, "private_key": KEY}
    secrets.put(names.pop(already), getattr(new, already))
    passing.passes(REFRESH)
    assert users.identity("auditor") == secrets.first
    assert "the private key is not the certificate's" in log.getvalue()
    for missing, name in names.items():
        secrets.put(name, getattr(new, missing))
    passing.passes(PAUSE)
    assert users.identity("auditor") == new


@pytest.mark.parametrize("already", ["certificate", "private_key"])
def test_a_cold_environment_that_meets_half_a_rotation_says_that_nothing_was_sent(
    users: Identities, secrets: Secrets, already: str
) -> None:
    new = issued()
    names = {"certificate": CERTIFICATE, "private_key": KEY}
    secrets.put(names.pop(already), getattr(new, already))
    with pytest.raises(errors.LedgerUnavailable, match="do not belong together yet"):
        users.identity("auditor")
    for missing, name in names.items():
        secrets.put(name, getattr(new, missing))
    assert users.identity("auditor") == new


@pytest.mark.parametrize("part", [CERTIFICATE, KEY])
def test_what_is_no_pem_does_not_take_the_place_of_what_is_in_use(
    users: Identities, secrets: Secrets, passing: Clock, part: str
) -> None:
    users.identity("auditor")
    secrets.put(part, "no PEM")
    passing.passes(REFRESH)
    assert users.identity("auditor") == secrets.first


def test_what_is_in_hand_stays_in_use_while_secrets_manager_fails(
    users: Identities, secrets: Secrets, passing: Clock, log: io.StringIO
) -> None:
    users.identity("auditor")
    users.certificate("auditor")
    new = secrets.rotate()
    secrets.down = True
    passing.passes(REFRESH)
    secrets.read.clear()
    for _ in range(3):
        assert users.identity("auditor") == secrets.first
        assert users.certificate("auditor") == secrets.first.certificate
    assert secrets.read == [CERTIFICATE] * 2  # one try of each
    warnings = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(each["level"], each["message"], each["earlierInUse"]) for each in warnings] == [
        ("WARNING", "A ledger identity could not be read", True)
    ] * 2
    secrets.down = False
    passing.passes(PAUSE - 1)
    assert users.identity("auditor") == secrets.first
    passing.passes(1)
    assert users.identity("auditor") == new
    assert users.certificate("auditor") == new.certificate


def test_threads_read_an_identity_once_also_when_it_is_read_again(
    users: Identities, secrets: Secrets, passing: Clock
) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(users.identity, ["auditor"] * 8)) == {secrets.first}
        assert secrets.read == [CERTIFICATE, KEY]
        new = secrets.rotate()
        passing.passes(REFRESH)
        assert set(pool.map(users.identity, ["auditor"] * 8)) == {new}
        assert secrets.read == [CERTIFICATE, KEY] * 2


def test_a_forgotten_user_is_read_again_at_once_and_no_other(users: Identities, secrets: Secrets) -> None:
    users.identity("auditor")
    new = secrets.rotate()
    users.forget("lambdaUser")
    assert users.identity("auditor") == secrets.first
    users.forget("auditor")
    assert users.identity("auditor") == new
    assert users.certificate("auditor") == new.certificate


def test_a_forgotten_user_keeps_its_identity_where_it_cannot_be_read(users: Identities, secrets: Secrets) -> None:
    users.identity("auditor")
    secrets.down = True
    users.forget("auditor")
    assert users.identity("auditor") == secrets.first


def test_only_a_denial_by_the_ledger_forgets(users: Identities, secrets: Secrets) -> None:
    users.identity("auditor")
    new = secrets.rotate()
    for error, then in ((errors.LedgerUnavailable, secrets.first), (errors.EndorsementFailed, new)):
        with pytest.raises(error), users.forget_if_denied("auditor"):
            raise error("x")
        assert users.identity("auditor") == then


def test_the_previous_identity_is_what_the_secrets_held_before(users: Identities, secrets: Secrets) -> None:
    assert users.previous_identity("auditor") is None
    second = secrets.rotate()
    assert users.previous_identity("auditor") == secrets.first
    secrets.rotate()
    assert users.previous_identity("auditor") == second


def test_the_previous_certificate_may_have_had_the_same_key(users: Identities, secrets: Secrets) -> None:
    """As after a renewal that changes one secret only."""
    renewed = x509.CertificateBuilder(
        issuer_name=AUTHORITY.certificate.subject,
        subject_name=AUTHORITY.certificate.subject,
        public_key=load_pem_private_key(secrets.first.private_key.encode(), None).public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=AUTHORITY.certificate.not_valid_before_utc,
        not_valid_after=AUTHORITY.certificate.not_valid_after_utc,
    ).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    secrets.put(CERTIFICATE, renewed.public_bytes(Encoding.PEM).decode())
    assert users.identity("auditor").certificate != secrets.first.certificate
    assert users.previous_identity("auditor") == secrets.first


def test_the_environment_may_name_another_time(
    secrets: Secrets, passing: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FABRIC_IDENTITIES", json.dumps(IDENTITIES))
    monkeypatch.setenv("FABRIC_IDENTITY_SECONDS", "2")
    users = identities.from_environment.__wrapped__()
    users.identity("auditor")
    new = secrets.rotate()
    passing.passes(2)
    assert users.identity("auditor") == new


UNUSABLE = {
    "a random text": ("gVx9:kq!2mA#", "holds a text that is no PEM"),
    "JSON": (json.dumps({"pem": "gVx9"}), "holds JSON, not PEM"),
    "a wallet's identity": (
        json.dumps({"credentials": {"certificate": "gVx9"}}),
        "holds an identity of a Fabric wallet",
    ),
    "PKCS#12": (b"\x30\x09\x02\x01\x03gVx9\xff\xff", "holds PKCS#12, not PEM"),
    "cut short": ("-----BEGIN CERTIFICATE-----\ngVx9", "holds damaged PEM"),
}


def unusable(key: Any, encryption: Any = None) -> str:
    """A private key in PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()).decode()


@pytest.mark.parametrize("secret", [CERTIFICATE, KEY])
@pytest.mark.parametrize(("stored", "what"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_secret_is_the_operators_to_mend_and_the_log_has_its_name_and_the_words_of_check(
    secret: str, stored: str | bytes, what: str, users: Identities, secrets: Secrets, log: io.StringIO
) -> None:
    secrets.put(secret, stored)
    with pytest.raises(errors.LedgerUnavailable) as raised:
        users.identity("auditor")
    assert raised.value.message == (
        "The ledger identity is not usable; nothing was sent to the ledger. Tell the operator."
    )
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["level"], line["message"]) == ("ERROR", "A ledger identity is not usable")
    assert line["reason"].startswith(f"{secret}: {what}")
    assert "gVx9" not in log.getvalue() + str(raised.value)


@pytest.mark.parametrize(
    ("stored", "what"),
    [
        (unusable(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")), "the private key is encr"),
        (unusable(rsa.generate_private_key(65537, 2048)), "the private key is not on a curve that Fabric takes"),
        (unusable(ec.generate_private_key(ec.SECP521R1())), "the private key is not on a curve that Fabric takes"),
        (unusable(ed25519.Ed25519PrivateKey.generate()), "the private key is not on a curve that Fabric takes"),
        (AUTHORITY.pem, "holds a CERTIFICATE, not a PRIVATE KEY"),
    ],
    ids=["encrypted", "RSA", "P-521", "Ed25519", "a certificate"],
)
def test_a_key_that_cannot_sign_is_the_operators_to_mend_and_what_was_in_use_stays(
    stored: str, what: str, users: Identities, secrets: Secrets, passing: Clock, log: io.StringIO
) -> None:
    users.identity("auditor")
    secrets.put(KEY, stored)
    passing.passes(REFRESH)
    assert users.identity("auditor") == secrets.first
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["level"], line["earlierInUse"]) == ("ERROR", True)
    assert line["reason"].startswith(f"{KEY}: {what}")
    with pytest.raises(errors.LedgerUnavailable, match="Tell the operator"):
        Identities(json.dumps(IDENTITIES)).identity("auditor")


def test_a_certificate_of_an_rsa_key_is_the_operators_to_mend(users: Identities, secrets: Secrets) -> None:
    key = rsa.generate_private_key(65537, 2048)
    certificate = x509.CertificateBuilder(
        AUTHORITY.certificate.subject,
        AUTHORITY.certificate.subject,
        key.public_key(),
        x509.random_serial_number(),
        AUTHORITY.certificate.not_valid_before_utc,
        AUTHORITY.certificate.not_valid_after_utc,
    ).sign(key, hashes.SHA256())
    secrets.put(CERTIFICATE, certificate.public_bytes(Encoding.PEM).decode())
    secrets.put(KEY, unusable(key))
    with pytest.raises(errors.LedgerUnavailable, match="Tell the operator"):
        users.identity("auditor")


def test_a_secret_that_is_not_there_or_denied_is_the_operators_to_mend(
    users: Identities, secrets: Secrets, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.client.delete_secret(SecretId=KEY, ForceDeleteWithoutRecovery=True)
    with pytest.raises(errors.LedgerUnavailable, match="Tell the operator"):
        users.identity("auditor")
    assert f"{KEY}: no such secret in this account and region" in log.getvalue()

    def refuse(code: str) -> None:
        error = ClientError({"Error": {"Code": code, "Message": "no"}}, "GetSecretValue")
        monkeypatch.setattr(aws.client("secretsmanager"), "get_secret_value", mock.Mock(side_effect=error))

    refuse("AccessDeniedException")
    with pytest.raises(errors.LedgerUnavailable, match="Tell the operator"):
        users.certificate("auditor")
    assert f"{CERTIFICATE}: cannot be read: AccessDeniedException" in log.getvalue()
    refuse("ThrottlingException")
    with pytest.raises(errors.LedgerUnavailable, match="Try again later"):
        users.certificate("auditor")


@pytest.mark.parametrize("key_first", [False, True])
def test_a_private_key_in_a_certificates_secret_is_neither_sent_nor_logged(
    key_first: bool, users: Identities, secrets: Secrets, log: io.StringIO
) -> None:
    first = secrets.first
    parts = [AUTHORITY.pem, first.certificate, first.private_key]
    secrets.put(CERTIFICATE, "".join(reversed(parts) if key_first else parts))
    assert users.certificate("auditor") == users.identity("auditor").certificate == first.certificate
    lines = list(map(json.loads, log.getvalue().splitlines()))
    assert {line["message"] for line in lines} == {"A private key is where a certificate belongs"}
    assert all(line["reason"].startswith(f"{CERTIFICATE}: holds a private key") for line in lines)
    assert not any(line in log.getvalue() for line in first.private_key.splitlines())


@pytest.mark.parametrize(
    "form",
    [
        lambda text: text.replace("\n", " "),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r"),
        lambda text: text.rstrip("\n"),
        lambda text: AUTHORITY.pem + text,
        lambda text: text.encode("utf-16"),
    ],
    ids=["blanks", "byte order mark", "CR", "no last line break", "behind its CA's", "binary in UTF-16"],
)
def test_who_plans_and_who_signs_use_the_same_certificate_byte_for_byte(
    form: Callable[[str], str | bytes], users: Identities, secrets: Secrets
) -> None:
    secrets.put(CERTIFICATE, form(secrets.first.certificate))
    secrets.put(KEY, form(secrets.first.private_key) if form("") == "" else secrets.first.private_key)
    planned, signing = users.certificate("auditor"), users.identity("auditor")
    assert planned == signing.certificate
    assert planned.rstrip("\n") == secrets.first.certificate.rstrip("\n")
    signing.require_pair()


def test_two_users_certificates_in_one_secret_are_refused_by_both(users: Identities, secrets: Secrets) -> None:
    """The function that plans has no key to choose by, so that the one that signs must not choose either."""
    secrets.put(CERTIFICATE, secrets.first.certificate + issued().certificate)
    for use in (users.certificate, users.identity):
        with pytest.raises(errors.LedgerUnavailable, match="Tell the operator"):
            use("auditor")
