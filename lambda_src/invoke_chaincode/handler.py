"""Lambda entry point of the chaincode function. The ledger's connections are made once per environment and reused."""

import json
import os
import time
from typing import Any

from shared import identities, record_type
from shared.ledger import environment
from shared.observability import Metric, identify, logger, observed

from . import invocation

_TO_ANSWER = 1.0
"""Seconds that the function keeps to answer before Lambda would stop it."""


def _ended_as(event: dict[str, Any], _answer: Any) -> Metric:
    return Metric.CREATED if invocation.is_submit(event) else Metric.ANSWERED


@observed(_ended_as)
def handler(event: dict[str, Any], context: Any) -> Any:
    """Event, answer and errors are those of `invocation.run`."""
    submission = event.get("submission")
    if isinstance(submission, dict):
        identify(submissionId=submission["submissionId"], transactionId=submission["transactionIds"][0])
    answer = invocation.run(
        event,
        ledger=environment.ledger,
        identities=identities.from_environment(),
        record_type=record_type.from_environment(),
        functions=json.loads(os.environ["CHAINCODE_FUNCTIONS"]),
        deadline=time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _TO_ANSWER,
    )
    if invocation.is_submit(event) and "transactionId" in answer:
        identify(transactionId=answer["transactionId"])
    logger.info("Done")
    return answer
