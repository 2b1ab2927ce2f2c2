"""The Lambda entry of the verify function."""

import datetime
import functools
import os
import time
from typing import Any

from shared import record_type
from shared.observability import Metric, logger, observed
from shared.verification import Verifier

from .presentation import Presenter

_TO_ANSWER = 1.0
"""Seconds that the function keeps to answer before Lambda would stop it."""


@functools.cache
def presenter() -> Presenter:
    """The presenter of `RECORD_TYPE`, `S3_BUCKET` and `URL_EXPIRES_SECONDS`; made once."""
    kind = record_type.from_environment()
    return Presenter(
        verifier=Verifier(bucket=os.environ["S3_BUCKET"], record_type=kind),
        record_type=kind,
        expires=datetime.timedelta(seconds=int(os.environ["URL_EXPIRES_SECONDS"])),
    )


def _ended_as(_event: Any, answer: dict[str, Any]) -> Metric:
    return Metric.VERIFIED if _integrity(answer) == "VERIFIED" else Metric.UNVERIFIABLE


def _integrity(answer: dict[str, Any]) -> str:
    (described,) = answer["answer"].values()
    return str(described["integrity"])


@observed(_ended_as)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """See `Presenter.present` for the event, the answer and the errors."""
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _TO_ANSWER
    answer = presenter().present(event, deadline=deadline)
    logger.info("Compared", extra={"integrity": _integrity(answer)})
    return answer
