"""What a check finds."""

import enum
import re
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

AWS_FAILURES = (BotoCoreError, ClientError)


class Level(enum.StrEnum):
    """How bad a finding is. SKIPPED: it could not be checked here."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "ERROR"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`subject` is the name of a setting or a secret. `what` is a clause without its full stop, `mend` whole sentences,
    empty where nothing is to be done. Neither ever holds a key, a certificate or a secret's value."""

    level: Level
    subject: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.level:<7}  {self.subject}: {self.what}. {self.mend}".rstrip()


class Mistake(Exception):
    """A check cannot go on; `finding` is the ERROR that says why."""

    def __init__(self, subject: str, what: str, mend: str) -> None:
        super().__init__(what)
        self.finding = error(subject, what, mend)


def ok(subject: str, what: str) -> Finding:
    return Finding(level=Level.OK, subject=subject, what=what)


def warning(subject: str, what: str, mend: str) -> Finding:
    return Finding(level=Level.WARNING, subject=subject, what=what, mend=mend)


def error(subject: str, what: str, mend: str) -> Finding:
    return Finding(level=Level.ERROR, subject=subject, what=what, mend=mend)


def skipped(subject: str, what: str, mend: str = "") -> Finding:
    return Finding(level=Level.SKIPPED, subject=subject, what=what, mend=mend)


def quoted(words: object) -> str:
    """Somebody else's words on one line, bounded, without anything long enough to be a certificate."""
    text = re.sub(r"[0-9A-Za-z+/=_-]{100,}", "[...]", " ".join(str(words).split()).rstrip("."))
    return text if len(text) <= 300 else f"{text[:300]} [...]"


def aws_words(failure: Exception) -> str:
    """What AWS says of a failure: its code and message, without the operation and the retries around them."""
    if isinstance(failure, ClientError):
        return quoted(f"{failure.response['Error'].get('Code')}: {failure.response['Error'].get('Message')}")
    return quoted(failure)


def aws_code(failure: Exception) -> str:
    """The code of an error that AWS answered, such as AccessDeniedException; empty where it did not answer."""
    return str(failure.response["Error"].get("Code")) if isinstance(failure, ClientError) else ""
