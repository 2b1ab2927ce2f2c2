"""The Lambda entry of the query function. The ledger's connections are made once per environment and reused."""

import time
from typing import Any

from shared import identities, record_type
from shared.ledger import environment
from shared.observability import Metric, identify, logger, observed

from .query import Query

_TO_ANSWER = 1.0
"""Seconds that the function keeps to answer before Lambda would stop it."""


@observed(lambda _event, _answer: Metric.ANSWERED)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event, answer and errors are those of `Query.answer`."""
    known = identities.from_environment()
    query = Query(
        ledger=environment.ledger,
        identities=known,
        record_type=record_type.from_environment(),
        deadline=time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _TO_ANSWER,
    )
    with known.forget_if_denied(known.default_user):
        answer = query.answer(event)
    if "transactionId" in answer:
        identify(transactionId=answer["transactionId"])
    logger.info("Answered", extra={"query": event["query"]})
    return answer
