"""`python -m sandbox verify-all`: holds every record's object in a running sandbox against the hash on its ledger."""

import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from .assembly import CACHE
from .aws import CREDENTIALS
from .errors import SandboxError

READY = CACHE / "up.json"
"""Where `up` leaves its ready line while it serves."""

_SMALLEST = 25
_BATCHES = 10
"""Each batch lists all records and the whole bucket anew: with so many at most, time grows linearly."""
_ATTEMPTS = 3
_LONGEST = 330
"""Seconds to wait for a batch; the function ends after 300."""
_UNANSWERED = ("Runtime.ExitError", "Sandbox.Timedout")


@dataclass(kw_only=True)
class Report:
    """What was found so far. `counts` by outcome, and `findings` (what is tampered, missing or unreadable), as the
    verify-all function returns them; `total` records there are, `seconds` since the walk began."""

    total: int = 0
    examined: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def run(ready: Path, *, records: str | None = None, by_checksum: bool = False) -> int:
    """Verify all in the sandbox whose ready line is in `ready`: progress and tables go to standard error, the report as
    JSON to standard output. Of several record types each has a report, a line of JSON that names it in `records`; the
    argument `records` chooses one. `by_checksum` compares the SHA-256 that S3 keeps instead of reading the bytes.

    Returns 0 where nothing is wrong, else 1. Raises SandboxError where no sandbox is reached or a batch fails.
    """
    client, functions = _connect(ready)
    if records is not None:
        if records not in functions:
            known = ", ".join(filter(None, functions)) or "one record type only: leave --records out"
            raise SandboxError(f"--records {records}: the sandbox has {known}")
        functions = {records: functions[records]}
    console = Console(stderr=True, highlight=False)
    wrong = False
    for name, function in functions.items():
        title = f"Verifying {name}" if name else "Verifying"
        columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("", total=None)
            for report in walk(client, function, by_checksum=by_checksum):
                progress.update(task, total=report.total, completed=report.examined)
        console.print(tables(report))
        print(json.dumps(({"records": name} if name else {}) | asdict(report)), flush=True)
        wrong = wrong or bool(report.findings)
    return 1 if wrong else 0


def walk(client: Any, function: str, *, by_checksum: bool = False) -> Iterator[Report]:
    """Invoke the verify-all function by `client` (boto3's of Lambda), batch after batch. Yields the one report after
    each batch, last when all is examined. Raises SandboxError where a batch fails, or gives no answer three times."""
    report, began = Report(), time.monotonic()
    resume_after: str | None = None
    limit = _SMALLEST
    while True:
        event = {"resumeAfter": resume_after, "limit": limit, "byChecksum": by_checksum}
        batch = _invoke(client, function, event)
        report.total = batch["total"]
        report.examined += batch["examined"]
        for outcome, number in batch["counts"].items():
            report.counts[outcome] = report.counts.get(outcome, 0) + number
        report.findings += batch["findings"]
        report.seconds = round(time.monotonic() - began, 3)
        yield report
        resume_after = batch["resumeAfter"]
        if resume_after is None:
            return
        limit = max(_SMALLEST, math.ceil(report.total / _BATCHES))


def tables(report: Report) -> RenderableType:
    """A report for the terminal: the counts, then a row for each finding."""
    counts = Table("outcome", Column("number", justify="right"), box=None, pad_edge=False)
    for outcome, number in report.counts.items():
        counts.add_row(re.sub("(?=[A-Z])", " ", outcome).lower(), f"{number:,}")
    if not report.findings:
        return Group(counts, Text(f"Nothing is wrong; {report.seconds:.1f} s.", style="green"))
    findings = Table("record", "outcome", "what and where", box=None, pad_edge=False)
    for each in report.findings:
        where = f"\n{_printable(each['key'])}" if "key" in each else ""
        what = Text.assemble(each["message"], (where, "dim"))
        findings.add_row(Text(_printable(each["identifier"])), Text(each["outcome"], style="bold red"), what)
    number = len(report.findings)
    summary = f"{number} finding{'s' * (number != 1)}; {report.seconds:.1f} s."
    return Group(counts, Text(), findings, Text(summary, style="red"))


def _connect(ready: Path) -> tuple[Any, dict[str | None, str]]:
    """A client of Lambda in the sandbox that wrote `ready`, and the name of its verify-all function: of several record
    types by each one's path, of one by None."""
    try:
        line = json.loads(ready.read_text("utf-8"))
        record_types = line.get("recordTypes") or {None: line["functions"]}
        endpoint, functions = line["aws"], {path: each["verify_all"] for path, each in record_types.items()}
    except FileNotFoundError:
        raise _not_running(ready) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SandboxError(f"{ready} is no ready line of `python -m sandbox up` with a function verify_all") from error
    client = boto3.client(
        "lambda",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}, read_timeout=_LONGEST, inject_host_prefix=False),
    )
    return client, functions


def _invoke(client: Any, function: str, event: dict[str, Any]) -> dict[str, Any]:
    failure = ""
    for _ in range(_ATTEMPTS):
        try:
            answer = client.invoke(FunctionName=function, Payload=json.dumps(event))
            result: dict[str, Any] = json.loads(answer["Payload"].read())
        except EndpointConnectionError as error:
            raise _not_running() from error
        except (BotoCoreError, ClientError, ValueError) as error:
            failure = str(error)
            continue
        if "FunctionError" not in answer:
            return result
        failure = _reason(result["errorMessage"])
        if result["errorType"] not in _UNANSWERED:
            raise SandboxError(f"a batch failed with {result['errorType']}: {failure}")
    raise SandboxError(
        f"{function} gave no answer, {_ATTEMPTS} times; at last: {failure}. Its log is in the folder that `up` names."
    )


def _reason(message: str) -> str:
    """The text for the caller, where the function itself raised the error."""
    try:
        return str(json.loads(message)["message"])
    except (ValueError, KeyError, TypeError):
        return message


def _not_running(ready: Path | None = None) -> SandboxError:
    missing = f" ({ready} is not there)" if ready else ""
    return SandboxError(f"no sandbox is running{missing}. Start one in another terminal: python -m sandbox up")


def _printable(text: str) -> str:
    """Names come from the ledger, where anybody's may carry a terminal's control sequences."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
