"""Lambda entry point of the chaincode function. The ledger's connections are made once per environment and reused."""

import functools
import json
import os
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from shared import aws, errors, identities, record_type
from shared.ledger.client import FabricLedger
from shared.ledger.interface import Ledger
from shared.ledger.network import Network
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
            ledger=ledger,
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


@functools.cache
def ledger() -> Ledger:
    """The ledger of `FABRIC_NETWORK`. Raises LedgerUnavailable where its TLS roots cannot be read."""
    return FabricLedger(Network.from_json(os.environ["FABRIC_NETWORK"], _text_from_s3))


def _text_from_s3(bucket: str, key: str) -> str:
    try:
        text: str = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    except (BotoCoreError, ClientError) as error:
        raise errors.LedgerUnavailable(
            "The ledger's TLS roots could not be read; nothing was sent to the ledger. Try again later."
        ) from error
    return text


def _submission_id(event: dict[str, Any]) -> str | None:
    submission = event.get("submission")
    return submission.get("submissionId") if isinstance(submission, dict) else None
