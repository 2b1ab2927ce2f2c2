"""The Lambda entry of the sweep: one batch an invocation."""

import datetime
import os
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from shared import identities, record_type
from shared.ledger import environment
from shared.observability import logger

from .sweep import Ages, Sweep
from .verdict import Judge

_BATCH = 1000
_metrics = Metrics(namespace="OffChainStack", service="sweep")


# log_event=False keeps the event out of the log even where POWERTOOLS_LOGGER_LOG_EVENT is set.
@logger.inject_lambda_context(clear_state=True, log_event=False)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Settle what is open in one batch.

    Event, each field optional: `{"dryRun": bool, "resumeAfter": "<key>", "lookBackDays": int | null}`. A dry run
    changes neither bucket nor ledger and lists what a run would do; `"lookBackDays": null` looks at every version.

    Returns `{"examined", "committed", "dead", "open", "foreign", "objects", "resumeAfter"}`: counts, `objects` with the
    key, version id and verdict of each version that is not on the ledger, and the key to go on after, null at the end.
    """
    dry_run = event.get("dryRun", False)
    look_back = event.get("lookBackDays", int(os.environ["LOOK_BACK_DAYS"]))
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
        start_after=event.get("resumeAfter"),
        limit=_BATCH,
        time_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    counts = {name: value for name, value in asdict(report).items() if isinstance(value, int)}
    logger.info("Swept", extra={**counts, "dryRun": dry_run, "objects": report.objects})
    if not dry_run:
        for name, value in counts.items():
            _metrics.add_metric(name=f"Sweep{name.title()}", unit=MetricUnit.Count, value=value)
        _metrics.flush_metrics()
    return {**counts, "objects": report.objects, "resumeAfter": report.resume_after}


def _seconds(name: str) -> datetime.timedelta:
    return datetime.timedelta(seconds=int(os.environ[name]))
