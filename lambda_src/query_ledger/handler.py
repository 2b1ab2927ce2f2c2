"""The Lambda entry of the query function. The ledger's connections are made once per environment and reused."""

import time
from typing import Any

from shared import errors, identities, record_type
from shared.ledger import environment
from shared.observability import logger

from .query import Query

_TO_ANSWER = 1.0
"""Seconds that the function keeps to answer before Lambda would stop it."""


@logger.inject_lambda_context(clear_state=True, log_event=False)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Event, answer and errors are those of `Query.answer`."""
    known = identities.from_environment()
    query = Query(
        ledger=environment.ledger,
        identities=known,
        record_type=record_type.from_environment(),
        deadline=time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _TO_ANSWER,
    )
    try:
        with known.forget_if_denied(known.default_user):
            answer = query.answer(event)
    except errors.OffchainError as error:
        logger.warning("Refused", extra={"error": type(error).__name__, "reason": error.message})
        raise
    logger.info("Answered", extra={"query": event["query"]})
    return answer
