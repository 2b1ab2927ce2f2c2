"""The Lambda entry of the upload function."""

import functools
import json
import os
from typing import Any

from shared import identities, record_type
from shared.observability import Metric, logger, observed

from . import callers
from .object_writer import ObjectWriter
from .upload import Uploader


@functools.cache
def uploader() -> Uploader:
    """The uploader of `RECORD_TYPE`, `FABRIC_IDENTITIES`, `CHAINCODE_FUNCTIONS`, `LEDGER`, `S3_BUCKET` and, where they
    are set, `FABRIC_CALLERS` and `PLAN_TRANSACTIONS` ("false"); made once."""
    return Uploader(
        record_type=record_type.from_environment(),
        identities=identities.from_environment(),
        chaincode_functions=tuple(json.loads(os.environ["CHAINCODE_FUNCTIONS"])["invoke"]),
        callers=callers.from_json(os.environ.get("FABRIC_CALLERS")),
        ledger=os.environ["LEDGER"],
        plan_transactions=os.environ.get("PLAN_TRANSACTIONS") != "false",
        writer=ObjectWriter(bucket=os.environ["S3_BUCKET"]),
    )


@observed(lambda _event, _answer: Metric.STORED)
def handler(event: Any, context: Any) -> dict[str, Any]:
    """Store the data of one request; see `Uploader.upload` for the event, the answer and the errors."""
    answer = uploader().upload(event, invocation_id=context.aws_request_id)
    about_object = {name: answer[name] for name in ("versionId", "contentType", "size")}
    logger.info("Stored", extra=about_object | {"objectCreated": answer["created"]})
    return answer
