"""Who the API takes its callers for."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Caller:
    """What authorization would tell of a caller; nothing of it is checked.

    `arn` is the `$context.identity.userArn` of methods with IAM authorization, empty where nobody is named. `claims`
    are those of a Cognito user pool (`$context.authorizer.claims`), and for methods with a Lambda authorizer what that
    returns: its context and `principalId` (`$context.authorizer`).
    """

    arn: str = ""
    claims: Mapping[str, str] = field(default_factory=dict)
