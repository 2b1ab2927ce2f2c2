"""The Lambda entry of the sweep: one batch an invocation."""

import datetime
import os
from dataclasses import asdict
from typing import Any

from shared import identities, record_type
from shared.ledger import environment
from shared.observability import Metric, count, count_of_user, logger, observed

from .certificates import certificate_lives
from .sweep import Ages, Sweep
from .verdict import Judge

_BATCH = 1000


@observed()
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Settle what is open in one batch; the first batch also looks at the Fabric users' certificates.

    Event, each field optional: `{"dryRun": bool, "resumeAfter": "<key>?versionId=<version id>" | "<key>",
    "lookBackDays": int | null}`. A dry run changes neither bucket nor ledger and lists what a run would do;
    `"lookBackDays": null` looks at every version.

    Returns `{"examined", "committed", "dead", "open", "foreign", "objects", "resumeAfter"}`: counts, `objects` with the
    key, version id and verdict of each version that is not on the ledger, and where to go on, null at the end.
    """
    dry_run = event.get("dryRun", False)
    look_back = event.get("lookBackDays", int(os.environ["LOOK_BACK_DAYS"]))
    resume_after = event.get("resumeAfter") or ""
    if not resume_after:
        _count_certificates(context.function_name)
    sweep = Sweep(
        bucket=os.environ["S3_BUCKET"],
        record_type=record_type.from_environment(),
        ledger=os.environ["LEDGER"],
        judge=Judge(
            ledger=environment.ledger(),
            identities=identities.from_environment(),
            record_type=record_type.from_environment(),
            retire=not dry_run,
        ),
        ages=Ages(
            minimum=_seconds("MINIMUM_AGE_SECONDS"),
            unretirable=_seconds("UNRETIRABLE_AGE_SECONDS"),
            look_back=None if look_back is None else datetime.timedelta(days=look_back),
        ),
        dry_run=dry_run,
    )
    report = sweep.run(
        start_after=resume_after,
        limit=_BATCH,
        time_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    counts = {name: value for name, value in asdict(report).items() if isinstance(value, int)}
    logger.info("Swept", extra={**counts, "dryRun": dry_run, "objects": report.objects})
    if not dry_run:
        for name, value in counts.items():
            count(Metric(f"Sweep{name.title()}"), value)
    return {**counts, "objects": report.objects, "resumeAfter": report.resume_after}


def _count_certificates(function_name: str) -> None:
    for life in certificate_lives(identities.from_environment()):
        of_user = {"user": life.user, "function_name": function_name}
        count_of_user(Metric.CERTIFICATE_UNREADABLE, int(life.days_left is None), **of_user)
        if life.days_left is not None:
            count_of_user(Metric.CERTIFICATE_DAYS_LEFT, life.days_left, **of_user)


def _seconds(name: str) -> datetime.timedelta:
    return datetime.timedelta(seconds=int(os.environ[name]))
