"""Which Fabric user a caller acts as."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.errors import Forbidden


class Callers(Protocol):
    """A deployment's rule."""

    def fabric_user(self, caller: str, asked: str, allowed: Sequence[str]) -> str:
        """The Fabric user of a request: `caller` is what the API knows of who calls, `asked` the request's
        `fabricUsername` ("" where it names none), `allowed` the users that the deployment lists. Raises Forbidden."""
        ...


@dataclass(frozen=True)
class AnyCaller:
    """Whoever may call the API may name any user; the first one is for a request that names none."""

    def fabric_user(self, _caller: str, asked: str, allowed: Sequence[str]) -> str:
        return asked or allowed[0]


@dataclass(frozen=True)
class ClaimedUser:
    """`caller` is a claim of the caller's token, and names its Fabric user."""

    def fabric_user(self, caller: str, asked: str, allowed: Sequence[str]) -> str:
        if caller not in allowed:
            raise Forbidden("The caller's token names no Fabric user that this API allows. Ask the operator.")
        if asked not in ("", caller):
            raise Forbidden("fabricUsername: another Fabric user than the caller's own. Leave it out.")
        return caller


@dataclass(frozen=True, kw_only=True)
class Principals:
    """`caller` is the ARN of an IAM principal, as API Gateway has it in `$context.identity.userArn`; `users` has for
    each Fabric user the ARNs of the principals that may act as it.

    A role's session comes as `arn:aws:sts::111122223333:assumed-role/donor-desk/<session>` and stands for
    `arn:aws:iam::111122223333:role/donor-desk`. It does not tell the role's path, so that a path in `users` is passed
    over: the names of an account's roles differ without it. Every other ARN stands for itself.
    """

    users: Mapping[str, Sequence[str]]

    def fabric_user(self, caller: str, asked: str, _allowed: Sequence[str]) -> str:
        role = _SESSION.fullmatch(caller)
        own = [
            user
            for user, principals in self.users.items()
            if caller in principals or (role and role.groups() in map(_role, principals))
        ]
        if not own:
            raise Forbidden("This API has no Fabric user for the caller. Ask the operator.")
        if asked and asked not in own:
            raise Forbidden("fabricUsername: not a Fabric user of this caller. Leave it out or ask the operator.")
        return asked or own[0]


_SESSION = re.compile(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/\s]+)/[^/\s]+")
_ROLE = re.compile(r"arn:([a-z-]+):iam::(\d{12}):role/(?:.+/)?([^/]+)")


def _role(arn: str) -> tuple[str | Any, ...] | None:
    """Partition, account and name; None for another principal."""
    found = _ROLE.fullmatch(arn)
    return found and found.groups()


def from_json(text: str | None) -> Callers:
    """The rule that the deployment wrote: `{"kind": "claim"}`, `{"kind": "principals", "users": {"<Fabric user>":
    ["<ARN>", ...]}}`, or none. Raises ValueError where it is another."""
    if text is None:
        return AnyCaller()
    match json.loads(text):
        case {"kind": "claim"}:
            return ClaimedUser()
        case {"kind": "principals", "users": users}:
            return Principals(users=users)
    raise ValueError(f"FABRIC_CALLERS: no rule of a known kind: {text}")
