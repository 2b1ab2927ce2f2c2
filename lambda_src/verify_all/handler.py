"""The Lambda entry of the verify-all function: one batch an invocation."""

import os
import time
from typing import Any

from shared import errors, identities, record_type
from shared.ledger import environment
from shared.observability import Metric, count, logger, observed
from shared.verification import Verifier

from .audit import Audit


@observed()
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Verify what one batch holds.

    Event, each field optional: `{"resumeAfter": "<identifier>", "limit": int, "byChecksum": bool}`. Without `limit` a
    batch takes what the function's time and its answer's size allow.

    Returns `{"total", "examined", "counts": {"verified", "withoutObject", "unverifiable", "tampered", "missing",
    "unreadable", "unrecorded"}, "findings", "resumeAfter"}`: `total` identifiers there are, `findings` as `Audit.run`
    has them, and the identifier to go on after, null at the end. Raises InvalidRequest for a `limit` below 1, and what
    `Audit.run` raises.
    """
    began = time.monotonic()
    limit = event.get("limit")
    if limit is not None and limit < 1:
        raise errors.InvalidRequest("limit: use a number from 1 on, or leave it out.")
    kind = record_type.from_environment()
    audit = Audit(
        ledger=environment.ledger(),
        identities=identities.from_environment(),
        record_type=kind,
        verifier=Verifier(bucket=os.environ["S3_BUCKET"], record_type=kind, log_keys=True),
        by_checksum=event.get("byChecksum", False),
    )
    report = audit.run(
        resume_after=event.get("resumeAfter") or "",
        limit=limit,
        deadline=began + context.get_remaining_time_in_millis() / 1000,
    )
    counts = {outcome.value: number for outcome, number in report.counts.items()}
    logger.info("Verified", extra={"examined": report.examined, **counts, "findings": report.findings})
    for name, value in counts.items():
        count(Metric(f"Objects{name[:1].upper()}{name[1:]}"), value)
    return {
        "total": report.total,
        "examined": report.examined,
        "counts": counts,
        "findings": report.findings,
        "resumeAfter": report.resume_after,
    }
