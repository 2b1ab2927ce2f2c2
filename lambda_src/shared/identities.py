"""The Fabric identities a deployment allows, read from AWS Secrets Manager and kept for some minutes."""

import contextlib
import functools
import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from . import errors, pem
from .clock import Instant
from .identity import Identity as Identity
from .identity import require_certificate, require_key
from .observability import logger
from .secret import CURRENT, stored

REFRESH_SECONDS = 300.0
"""The age at which what was read is read again: a rotated secret is in use everywhere after this time."""

_REFUSALS = ("AccessDeniedException", "DecryptionFailure", "InvalidParameterException", "InvalidRequestException")
"""Codes of Secrets Manager with which it refuses until somebody changes something."""

_T = TypeVar("_T")


class Identities:
    """The Fabric users of `FABRIC_IDENTITIES`, a JSON object:
    `{"mspId": "Org1MSP", "users": {"lambdaUser": {"certificate": "<secret>", "privateKey": "<secret>"}}}`,
    where a secret is a name or an ARN and holds PEM. Safe for use by several threads.

    A rotated secret is picked up within `refresh` seconds, five minutes by default, also in environments that are warm.
    Put the new private key first and the certificate right after it: a certificate and a key that do not belong
    together are a rotation half done, and what was in use before stays in use. So it does where Secrets Manager does
    not answer, or a secret holds what is not usable; each is tried again after a tenth of the time. Functions turn to
    the new certificate one after the other, so that the ledger must accept the old one for that long.

    What is not usable stays so until an operator mends it: the error tells the caller so, and the log has the secret's
    name and the words of `python -m offchain_stack check`.
    """

    def __init__(self, text: str, *, refresh: float = REFRESH_SECONDS) -> None:
        value: dict[str, Any] = json.loads(text)
        self.msp_id: str = value["mspId"]
        self._users: dict[str, dict[str, str]] = value["users"]
        self._certificates = {
            user: _Kept(functools.partial(_certificate, secrets["certificate"]), refresh)
            for user, secrets in self._users.items()
        }
        self._identities = {user: _Kept(functools.partial(self._pair, user), refresh) for user in self._users}

    @property
    def users(self) -> tuple[str, ...]:
        """The users that the deployment lists."""
        return tuple(self._users)

    @property
    def default_user(self) -> str:
        """The user of a request that names none: the first one the deployment lists."""
        return next(iter(self._users))

    def require_allowed(self, user: str) -> None:
        """Raises Forbidden where the deployment does not list `user`."""
        if user not in self._users:
            raise errors.Forbidden(
                "fabricUsername: this API does not allow this Fabric user. Leave it out or ask the operator."
            )

    def certificate(self, user: str) -> str:
        """The certificate of `user`, one block of canonical PEM, for functions that have no access to the key. Raises
        Forbidden, or LedgerUnavailable where the secret was not read yet and cannot be read or used now."""
        self.require_allowed(user)
        return self._certificates[user].value()

    def identity(self, user: str) -> Identity:
        """Certificate and key of `user`, which belong together. Raises as `certificate`, also where they do not. The
        certificate is the one that `certificate` returns."""
        self.require_allowed(user)
        return self._identities[user].value()

    def previous_identity(self, user: str) -> Identity | None:
        """What the secrets of `user` held before the last rotation, read anew at each call; None where that is unknown.
        Another environment may use that certificate for a while yet."""
        for key_version in ("AWSPREVIOUS", "AWSCURRENT"):  # a renewed certificate may keep its key
            with contextlib.suppress(errors.LedgerUnavailable):
                return self._pair(user, "AWSPREVIOUS", key_version)
        return None

    def forget(self, user: str) -> None:
        """Read the secrets of `user` again at the next use: they may have been rotated."""
        self._certificates[user].expire()
        self._identities[user].expire()

    @contextlib.contextmanager
    def forget_if_denied(self, user: str) -> Iterator[None]:
        """`forget` where EndorsementFailed is raised within: the ledger may have denied an identity that expired or was
        revoked, and the secrets may hold its successor."""
        try:
            yield
        except errors.EndorsementFailed:
            self.forget(user)
            raise

    def _pair(self, user: str, certificate_version: str = CURRENT, key_version: str = CURRENT) -> Identity:
        certificate, private_key = self._users[user]["certificate"], self._users[user]["privateKey"]
        identity = Identity(
            msp_id=self.msp_id,
            certificate=_certificate(certificate, certificate_version),
            private_key=_private_key(private_key, key_version),
        )
        with _usable():
            require_certificate(identity.certificate, certificate)
            require_key(identity.private_key, private_key)
        try:
            identity.require_pair()
        except ValueError as error:
            raise errors.LedgerUnavailable(
                "The ledger identity is being changed: its certificate and key do not belong together yet. Nothing was "
                "sent to the ledger. Try again later."
            ) from error
        return identity


def _certificate(secret: str, version: str = CURRENT) -> str:
    with _usable():
        held = _read(secret, version)
        if pem.holds_private_key(held):
            what, mend = pem.EXPOSED_KEY
            logger.error("A private key is where a certificate belongs", extra={"reason": f"{secret}: {what}. {mend}"})
        return pem.certificate(held, secret)


def _private_key(secret: str, version: str = CURRENT) -> str:
    with _usable():
        return pem.private_key(_read(secret, version), secret)


def _read(secret: str, version: str) -> pem.Stored:
    try:
        return stored(secret, version)
    except (BotoCoreError, ClientError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        if code in _REFUSALS:
            raise pem.NotUsable(
                secret, f"cannot be read: {code}", "Let the function read the secret and use the key that encrypts it."
            ) from error
        raise errors.LedgerUnavailable(
            "The ledger identity could not be read; nothing was sent to the ledger. Try again later."
        ) from error


@contextlib.contextmanager
def _usable() -> Iterator[None]:
    """Raises LedgerUnavailable where NotUsable is raised within. Its text is for the log, not for callers."""
    try:
        yield
    except pem.NotUsable as error:
        raise errors.LedgerUnavailable(
            "The ledger identity is not usable; nothing was sent to the ledger. Tell the operator."
        ) from error


class _Kept(Generic[_T]):
    """What `read` returned, read again once it is older than `seconds`; it stays where `read` then fails."""

    def __init__(self, read: Callable[[], _T], seconds: float) -> None:
        self._read, self._seconds = read, seconds
        self._lock = threading.Lock()
        self._value: _T | None = None
        self._tried, self._pause = Instant(), 0.0

    def value(self) -> _T:
        """Raises the LedgerUnavailable of `read` where nothing was read before."""
        with self._lock:
            if self._value is None or self._tried.seconds_ago() >= self._pause:
                self._tried = Instant()
                try:
                    self._value, self._pause = self._read(), self._seconds
                except errors.LedgerUnavailable as error:
                    permanent = isinstance(error.__cause__, pem.NotUsable)
                    (logger.error if permanent else logger.warning)(
                        "A ledger identity is not usable" if permanent else "A ledger identity could not be read",
                        extra={"reason": str(error.__cause__), "earlierInUse": self._value is not None},
                    )
                    if self._value is None:
                        raise
                    self._pause = self._seconds / 10
            return self._value

    def expire(self) -> None:
        with self._lock:
            self._pause = 0.0


@functools.cache
def from_environment() -> Identities:
    """The identities of this function's deployment, from `FABRIC_IDENTITIES`. `FABRIC_IDENTITY_SECONDS`, where set,
    takes the place of REFRESH_SECONDS."""
    refresh = float(os.environ.get("FABRIC_IDENTITY_SECONDS", REFRESH_SECONDS))
    return Identities(os.environ["FABRIC_IDENTITIES"], refresh=refresh)
