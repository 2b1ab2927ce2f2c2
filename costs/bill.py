"""Quantities times prices."""

import functools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from .deployment import HOURS, Deployment, Function

_FOLDER = Path(__file__).parent
MEASURED = _FOLDER / "measured.json"
FULL_PROCESSOR = 1769
"""MB of memory at which a function has one processor (AWS Lambda's guide, "Configure Lambda function memory")."""

_MILLION = 1_000_000
_GB = 1_000_000_000

COLUMNS = ("create", "read", "idle", "kept")
"""A million creates; a million reads; a month without requests; a month for a million pictures that are kept."""

Bill = dict[str, dict[str, float]]
"""USD by line and column."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """As in prices.yaml."""

    price: float
    per: int
    unit: str
    item: str
    source: str
    stated_by: str
    looked_up: date


@functools.cache
def prices() -> dict[str, Price]:
    return {name: Price(**value) for name, value in _yaml("prices.yaml").items()}


@functools.cache
def assumed() -> dict[str, float]:
    """As in assumed.yaml."""
    return _yaml("assumed.yaml")


def measured(name: str) -> Any:
    """The entry `name` of measured.json."""
    return json.loads(MEASURED.read_text("utf-8"))[name]


def bill(deployment: Deployment, use: Mapping[str, Any]) -> Bill:
    """What `deployment` costs, with what an entry of measured.json says it uses. Lines without cost are left out."""
    lines: Bill = {}
    for line, column, usd in _Bill(deployment, use["operations"], use["cold"]).lines():
        if usd:
            lines.setdefault(line, dict.fromkeys(COLUMNS, 0.0))[column] += usd
    return lines


def total(lines: Bill) -> dict[str, float]:
    return {column: sum(line[column] for line in lines.values()) for column in COLUMNS}


def price_of(name: str, quantity: float) -> float:
    """USD for `quantity` of the units that the price `name` is for."""
    price = prices()[name]
    return quantity * price.price / price.per


def milliseconds(use: Mapping[str, float], memory: int) -> float:
    """The duration of a function that was measured with a whole processor, where it has `memory` MB: its CPU time takes
    longer with a share of one, its waiting does not."""
    return use["ms"] + use["cpuMs"] * max(0.0, FULL_PROCESSOR / memory - 1)


def gb_seconds(function: Function, duration: float) -> float:
    """USD for one invocation of `duration` milliseconds, without the request."""
    return price_of(f"lambda_{function.architecture}", function.memory / 1024 * duration / 1000)


class _Bill:
    def __init__(
        self, deployment: Deployment, operations: Mapping[str, Any], cold: Mapping[str, Mapping[str, float]]
    ) -> None:
        self._deployment = deployment
        self._operations = operations
        self._cold = cold
        self._assumed = assumed()

    def lines(self) -> Iterator[tuple[str, str, float]]:
        for operation in ("create", "read"):
            for line, usd in self._request(operation):
                yield line, operation, usd
        yield from self._sweep()
        yield from self._verify_all()
        yield from self._month()

    def _request(self, operation: str) -> Iterator[tuple[str, float]]:
        """A million of them."""
        use, assumed = self._operations[operation], self._assumed
        yield "API Gateway", price_of("rest_api_requests", _MILLION)
        seconds = math.ceil(use["ms"] / 100) / 10
        yield (
            "Step Functions",
            price_of("express_requests", _MILLION)
            + price_of("express_duration", _MILLION * seconds * assumed["express_memory_mb"] / 1024),
        )
        log_bytes = assumed["access_log_bytes"] + assumed["log_overhead_bytes"]
        log_bytes += self._deployment.log_events[operation] * (
            assumed["step_functions_log_bytes"] + assumed["log_overhead_bytes"]
        )
        for folder, each in use["functions"].items():
            invocations = each["invocations"]
            yield f"Lambda, {folder}", _MILLION * self._lambda(folder, each, invocations)
            log_bytes += each["logBytes"] + invocations * assumed["platform_log_bytes"]
            entries = each["logEntries"] + invocations * assumed["platform_log_entries"]
            log_bytes += entries * assumed["log_overhead_bytes"]
        yield "S3, requests", _MILLION * self._s3(use["requests"])
        secrets_calls = self._secrets_calls(use["functions"])
        yield "Secrets Manager", price_of("secrets_calls", secrets_calls)
        yield "CloudWatch Logs", price_of("log_ingestion", _MILLION * log_bytes / _GB)
        if self._deployment.traced:
            # Up to one a second, and 5 % of what is above (X-Ray's default rule).
            yield "X-Ray", price_of("traces", _MILLION)
        if self._deployment.customer_keys:
            objects = sum(use["requests"].get(f"s3:{name}Object", 0) for name in ("Put", "Get"))
            asked = _MILLION * objects * self._deployment.kms_requests_per_object + secrets_calls
            yield "KMS", price_of("kms_requests", asked)

    def _lambda(self, folder: str, use: Mapping[str, float], invocations: float) -> float:
        function = self._deployment.functions[folder]
        duration = milliseconds(use, function.memory)
        return price_of("lambda_requests", invocations) + gb_seconds(function, duration)

    @staticmethod
    def _s3(requests: Mapping[str, float]) -> float:
        usd = 0.0
        for call, number in requests.items():
            name = call.removeprefix("s3:")
            if name != call:
                usd += price_of("s3_put" if name.startswith(("Put", "List")) else "s3_get", number)
        return usd

    def _secrets_calls(self, functions: Mapping[str, Mapping[str, float]]) -> float:
        """A month's, of the environments that a million requests keep warm: the certificate, and where it signs the
        key."""
        a_second = self._assumed["requests_a_month"] / (HOURS * 3600)
        refreshes = HOURS * 3600 / self._assumed["secrets_refresh_seconds"]
        read = {"upload_object": 1, "invoke_chaincode": 2, "query_ledger": 2}
        return sum(
            math.ceil(a_second * each["ms"] / 1000) * refreshes * read.get(folder, 0)
            for folder, each in functions.items()
        )

    def _sweep(self) -> Iterator[tuple[str, str, float]]:
        deployment, assumed = self._deployment, self._assumed
        runs = deployment.runs.get("sweep", 0)
        if not runs:
            return
        settle, pass_over = (self._operations[name] for name in ("settleOne", "passOverOne"))
        yield (
            "Sweep, settles each picture",
            "create",
            _MILLION * (self._lambda("sweep", settle["functions"]["sweep"], 0) + self._s3(settle["requests"])),
        )
        again = _MILLION * (deployment.looks_at_a_version - 1)
        yield (
            "Sweep, looks at each picture again",
            "create",
            again * (self._lambda("sweep", pass_over["functions"]["sweep"], 0) + self._s3(pass_over["requests"]))
            + self._batches(again / assumed["sweep_batch"]),
        )
        nothing, cold = self._operations["sweep"], self._cold["sweep"]
        once = gb_seconds(deployment.functions["sweep"], cold["initMs"] + cold["firstMs"]) + price_of("traces", 1)
        once += price_of("s3_put", 1) + price_of("secrets_calls", 2) + self._batches(1)
        yield "Sweep, its runs", "idle", runs * once
        share = min(1.0, runs / HOURS)
        yield "Sweep, its metrics", "idle", price_of("custom_metrics", nothing["customMetrics"] * share)
        yield "Sweep, lists the bucket", "kept", runs * self._listing("sweep")

    def _verify_all(self) -> Iterator[tuple[str, str, float]]:
        runs = self._deployment.runs.get("verify_all", 0)
        if not runs:
            return
        one, nothing = self._operations["verifyOne"], self._operations["verifyAll"]
        each = self._lambda("verify_all", one["functions"]["verify_all"], 0) + self._s3(one["requests"])
        yield "Verifying everything", "kept", runs * (_MILLION * each + self._listing("verify_all"))
        once = self._lambda("verify_all", nothing["functions"]["verify_all"], 1) + self._batches(1)
        yield "Verifying everything", "idle", runs * once
        share = min(1.0, runs / HOURS)
        yield "Verifying everything", "idle", price_of("custom_metrics", nothing["customMetrics"] * share)

    def _batches(self, number: float) -> float:
        return price_of("state_transitions", number * self._assumed["batch_transitions"]) + price_of(
            "lambda_requests", number
        )

    def _listing(self, folder: str) -> float:
        """Of a million versions."""
        pages = _MILLION / self._assumed["listed_at_once"]
        duration = pages * self._assumed["listing_ms"]
        return price_of("s3_put", pages) + gb_seconds(self._deployment.functions[folder], duration)

    def _month(self) -> Iterator[tuple[str, str, float]]:
        deployment = self._deployment
        yield "Secrets Manager", "idle", price_of("secrets", deployment.secrets)
        for leads_to, zones in deployment.endpoint_zones.items():
            line = f"Interface endpoint to {leads_to}, {zones} zone{'s' * (zones != 1)}"
            yield line, "idle", price_of("interface_endpoint", zones * HOURS)
        yield "KMS", "idle", price_of("kms_keys", deployment.customer_keys)
        yield "CloudWatch alarms", "idle", price_of("alarm_metrics", deployment.alarm_metrics)
        yield "CloudWatch alarms", "idle", price_of("composite_alarms", deployment.composite_alarms)
        yield "CloudWatch dashboards", "idle", price_of("dashboards", deployment.dashboards)
        yield "S3, storage", "kept", price_of("s3_storage", _MILLION * self._assumed["picture_bytes"] / _GB)
        yield "S3, tags", "kept", price_of("s3_tags", _MILLION)


def _yaml(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((_FOLDER / name).read_text("utf-8"))
    return values
