"""What no log may hold: keys, credentials, signatures, data that was sent, mail addresses, and MARK, which tests put
into every field of a request. Looked for after every test.

Looked through is what pytest captured of a test (standard output and error, logging, and what the test took by `capsys`
or `capfd`), and what the functions of this process's sandboxes logged meanwhile. A finding fails the test, with its
place and without the text, which is masked in what pytest shows, too.
"""

import base64
import functools
import os
import re
import sys
from collections.abc import Callable, Generator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

MARK = "TextOfARequest"
"""Put it into a request, and no log may hold it: neither as it is nor in base64, at whatever place in that."""

RULES = {
    "text of a request": re.compile(
        "|".join([MARK, *(base64.b64encode(bytes(n) + MARK.encode()).decode()[4:-4] for n in range(3))]), re.IGNORECASE
    ),
    "a private key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
        # How base64 of one begins: PKCS#8 of P-256 and P-384, SEC 1 of both, RSA's PKCS#8.
        r"|MIGHAgEAMBMGByqGSM49|MIG2AgEAMBAGByqGSM49|MHcCAQEEI|MIGkAgEBBD|IBADANBgkqhkiG9w0B"
    ),
    "a credential": re.compile(
        r"(?i)(secret_?access_?key|session_?token|security-token)['\"\\]*\s*[=:]\s*['\"\\]*[^\s'\"\\,}]{4}"
    ),
    "a signature": re.compile(r"(?i)signature=[0-9a-f]{64}|AWS4-HMAC-SHA256|X-Amz-Credential="),
    "data that was sent": re.compile(
        r"data:[\w.+-]+/[\w.+-]+[;,]\S{16}"
        # PNG, JPEG, WebP, SVG and PDF: in base64, as they are, and as Python and JSON escape them.
        r"|iVBORw0KGgo|/9j/[A-Za-z0-9+/]{8}|UklGR[A-Za-z0-9+/]{8}|PHN2Zy|JVBERi0|(\x89|x89|u0089)PNG|WEBPVP8|<svg|%PDF-1"
        # Any other long run of base64. Ids, hashes and the lines of certificates are shorter.
        r"|[A-Za-z0-9+/_=-]{200}"
    ),
    "a mail address": re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}"),
}
EXCEPTIONS = {
    ("*::test_a_batch_ends_before_its_findings_are_more_than_step_functions_takes", "data that was sent"): (
        "Its records have names of 3,000 letters, so that few of them make a large answer."
    ),
}
"""Test (a pattern of its id) and rule, and why it may show that."""

_MOTOS = "FOOBARSECRET"
"""The secret access key that moto puts into the environment."""
_MASK = "[masked: no log may hold this]"


class LogCheck:
    """Sees what one test process shows and logs."""

    def __init__(self) -> None:
        self._secrets = {"a private key": set[str](), "a credential": {os.environ["AWS_SECRET_ACCESS_KEY"], _MOTOS}}
        self._taken: list[str] = []
        self._folders: list[Path] = []
        self._read: dict[Path, tuple[int, int]] = {}
        self._logged: list[tuple[str, int, str]] = []

    def pytest_collection_finish(self) -> None:
        """Follow the keys and the sandboxes that will be made, where a test has imported what makes them."""
        _follow(pytest.CaptureFixture, "readouterr", after=lambda _, taken: self._taken.extend(map(_text, taken)))
        if msp := sys.modules.get("sandbox.fabric.msp"):
            _follow(msp.CertificateAuthority, "issue", after=lambda _, issued: self._know_key(issued[1]))
        if runtime := sys.modules.get("sandbox.runtime"):
            _follow(runtime.Sandbox, "__enter__", after=lambda sandbox, _: self._folders.append(sandbox.logs))
            _follow(runtime.Sandbox, "close", before=lambda _: self._read_logs())
            self._secrets["a credential"].add(runtime.CREDENTIALS["AWS_SECRET_ACCESS_KEY"])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        self._read_logs()
        shown = [(name, 1, content) for name, content in report.sections if name.endswith(f" {call.when}")]
        shown += [("taken by the test", 1, text) for text in self._taken] + self._logged
        self._taken, self._logged = [], []
        found = [
            f"{place}, line {number}{code_of(line)}: {rule}"
            for place, first, text in shown
            for number, line in enumerate(text.splitlines(), first)
            if (rule := self._broken(line)) and not _excepted(item.nodeid, rule)
        ]
        report.sections = [(name, self._masked(content)) for name, content in report.sections]
        if found:
            message = "\n".join(["What no log may hold (tests/log_check.py):", *dict.fromkeys(found)])
            if report.passed:
                report.outcome, report.longrepr = "failed", message
            else:
                report.sections.append(("Log check", message))
        return report

    def _know_key(self, pem: str) -> None:
        self._secrets["a private key"].update(pem.splitlines()[1:-1])

    def _broken(self, line: str) -> str | None:
        for rule in RULES:
            if any(secret in line for secret in self._secrets.get(rule, ())):
                return rule
        return broken(line)

    def _masked(self, text: str) -> str:
        return "\n".join(_MASK if self._broken(line) else line for line in text.splitlines())

    def _read_logs(self) -> None:
        for path in [path for folder in self._folders for path in sorted(folder.glob("*.log"))]:
            read, lines = self._read.get(path, (0, 0))
            with path.open("rb") as file:
                file.seek(read)
                data = file.read()
            if data:
                self._logged.append((path.name, lines + 1, _text(data)))
                self._read[path] = read + len(data), lines + data.count(b"\n")


def broken(line: str) -> str | None:
    """The rule that a line of a log breaks."""
    return next((rule for rule, pattern in RULES.items() if pattern.search(line)), None)


def _follow(
    kind: Any,
    name: str,
    *,
    before: Callable[[Any], object] = lambda _: None,
    after: Callable[[Any, Any], object] = lambda _, result: None,
) -> None:
    """Call `before` with the object, and `after` with the object and the result, at each call of a method."""
    method = getattr(kind, name)

    @functools.wraps(method)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        before(self)
        result = method(self, *arguments, **named)
        after(self, result)
        return result

    setattr(kind, name, call)


def _text(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode(errors="replace")


def code_of(line: str) -> str:
    """Where in the code a structured log line was written, as it says itself."""
    named = re.search(r'"location":\s?"([^"]+)"', line)
    return f" (logged at {named[1]})" if named else ""


def _excepted(nodeid: str, rule: str) -> bool:
    return any(fnmatch(nodeid, pattern) and rule == broken for pattern, broken in EXCEPTIONS)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LogCheck())
