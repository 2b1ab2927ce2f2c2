"""Lambda entry point of the chaincode function. The ledger's connections are made once per environment and reused."""

import json
import os
import time
from typing import Any

from shared import errors, identities, record_type
from shared.ledger import environment
from shared.observability import logger

from . import invocation

_TO_ANSWER = 1.0
"""Seconds that the function keeps to answer before Lambda would stop it."""


def handler(event: dict[str, Any], context: Any) -> Any:
    """Event, answer and errors are those of `invocation.run`."""
    logger.clear_state()
    logger.append_keys(requestId=context.aws_request_id, submissionId=_submission_id(event))
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _TO_ANSWER
    try:
        answer = invocation.run(
            event,
            ledger=environment.ledger,
            identities=identities.from_environment(),
            record_type=record_type.from_environment(),
            functions=json.loads(os.environ["CHAINCODE_FUNCTIONS"]),
            deadline=deadline,
        )
    except errors.OffchainError as error:
        reason = {"error": type(error).__name__, "reason": error.message, "transactionId": error.transaction_id}
        logger.warning("Refused", extra=reason)
        raise
    logger.info("Done", extra={"transactionId": answer.get("transactionId") if isinstance(answer, dict) else None})
    return answer


def _submission_id(event: dict[str, Any]) -> str | None:
    submission = event.get("submission")
    return submission.get("submissionId") if isinstance(submission, dict) else None
