"""Whether packages can be installed here."""

import subprocess
import sys
import tempfile

import pytest

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def skip_without_index() -> None:
    with tempfile.TemporaryDirectory() as folder:
        probe = subprocess.run([*PIP, "download", "--no-deps", "--no-cache-dir", "--dest", folder, "six"])
    if probe.returncode:
        pytest.skip("no package index is reached: connect to PyPI or set PIP_INDEX_URL")
