"""What a function says of an invocation: its log lines, its metrics' lines and its part of the trace."""

import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aws_xray_sdk import global_sdk_config
from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.context import Context
from aws_xray_sdk.core.models.subsegment import Subsegment
from shared.observability import Metric, logger

CORRELATION_ID = "1b2c-api-request"


class Signals:
    """Collects what is written from its making on."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._log, self._capsys, self._printed = io.StringIO(), capsys, ""
        monkeypatch.setattr(logger.registered_handler, "stream", self._log)

    @property
    def text(self) -> str:
        """All of it, as it reaches CloudWatch."""
        self._printed += self._capsys.readouterr().out
        return self._log.getvalue() + self._printed

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log's lines."""
        return [json.loads(line) for line in self._log.getvalue().splitlines()]

    @property
    def metric_lines(self) -> list[dict[str, Any]]:
        """The lines in CloudWatch's embedded metric format."""
        return [json.loads(line) for line in self.text.splitlines() if '"_aws"' in line]

    def message(self, message: str) -> dict[str, Any]:
        """The one log line with this message."""
        (line,) = [line for line in self.log if line["message"] == message]
        return line

    def metrics(self, **dimensions: str) -> dict[str, list[float]]:
        """The values of each metric that is written with just these dimensions and the function's own."""
        found: dict[str, list[float]] = {}
        for line in self.metric_lines:
            (directive,) = line["_aws"]["CloudWatchMetrics"]
            assert directive["Namespace"] == "OffChainStack"
            names = {"service", "RecordType", "FunctionName", *dimensions}
            if names not in [set(each) for each in directive["Dimensions"]]:
                continue
            if all(line[name] == value for name, value in dimensions.items()):
                for metric in directive["Metrics"]:
                    found.setdefault(Metric(metric["Name"]).value, []).extend(line[metric["Name"]])
        return found

    def require_correlated(self, function_request_id: str, correlation_id: str = CORRELATION_ID) -> None:
        """Every line must carry both ids, and there must be some."""
        assert self.log
        for line in self.log + self.metric_lines:
            assert (line["correlationId"], line["functionRequestId"]) == (correlation_id, function_request_id), line


@contextlib.contextmanager
def trace() -> Iterator[list[dict[str, Any]]]:
    """Turns tracing on, as in Lambda; yields the subsegments that are sent to X-Ray, each when it ends."""
    sent: list[dict[str, Any]] = []

    class Emitter:
        def send_entity(self, entity: Any) -> None:
            if isinstance(entity, Subsegment):
                sent.append(entity.to_dict())

    before = (xray_recorder.context, xray_recorder.emitter)
    global_sdk_config.set_sdk_enabled(True)
    xray_recorder.configure(context=Context(), emitter=Emitter(), sampling=False, streaming_threshold=0)
    xray_recorder.begin_segment("test")
    try:
        yield sent
    finally:
        xray_recorder.end_segment()
        xray_recorder.context, xray_recorder.emitter = before
        global_sdk_config.set_sdk_enabled(False)
