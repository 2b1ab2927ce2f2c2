"""The Fabric identities a deployment allows, read from AWS Secrets Manager once per environment."""

import functools
import json
import os
import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from . import aws, errors
from .identity import Identity as Identity


class Identities:
    """The Fabric users of `FABRIC_IDENTITIES`, a JSON object:
    `{"mspId": "Org1MSP", "users": {"lambdaUser": {"certificate": "<secret>", "privateKey": "<secret>"}}}`,
    where a secret is a name or an ARN and holds plain PEM. Safe for use by several threads.
    """

    def __init__(self, text: str) -> None:
        value: dict[str, Any] = json.loads(text)
        self.msp_id: str = value["mspId"]
        self._users: dict[str, dict[str, str]] = value["users"]
        self._secrets: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def default_user(self) -> str:
        """The user of a request that names none: the first one the deployment lists."""
        return next(iter(self._users))

    def require_allowed(self, user: str) -> None:
        """Raises Forbidden where the deployment does not list `user`."""
        if user not in self._users:
            raise errors.Forbidden(
                f"fabricUsername: this API does not allow {user!r}. Leave it out or ask the operator."
            )

    def certificate(self, user: str) -> str:
        """The PEM certificate of `user`. Raises Forbidden, or LedgerUnavailable where the secret cannot be read."""
        self.require_allowed(user)
        return self._secret(self._users[user]["certificate"])

    def identity(self, user: str) -> Identity:
        """Certificate and key of `user`. Raises as `certificate` does."""
        return Identity(
            msp_id=self.msp_id,
            certificate=self.certificate(user),
            private_key=self._secret(self._users[user]["privateKey"]),
        )

    def forget(self, user: str) -> None:
        """Read the secrets of `user` again at the next use: they may have been rotated."""
        with self._lock:
            for secret in self._users[user].values():
                self._secrets.pop(secret, None)

    def _secret(self, secret_id: str) -> str:
        with self._lock:
            if secret_id not in self._secrets:
                try:
                    answer = aws.client("secretsmanager").get_secret_value(SecretId=secret_id)
                    # Absent from a secret that was stored as binary.
                    self._secrets[secret_id] = answer["SecretString"]
                except (BotoCoreError, ClientError, KeyError) as error:
                    raise errors.LedgerUnavailable(
                        "The ledger identity could not be read; nothing was sent to the ledger. Try again later."
                    ) from error
            return self._secrets[secret_id]


@functools.cache
def from_environment() -> Identities:
    """The identities of this function's deployment, from `FABRIC_IDENTITIES`."""
    return Identities(os.environ["FABRIC_IDENTITIES"])
