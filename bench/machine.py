"""What the figures were measured on and with."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from .measure import NODE_CLIENT


def describe() -> list[str]:
    """Machine and versions, one text a line."""
    return [
        f"{_processor()}, {os.cpu_count()} cores, {_memory()}, {platform.system()} {platform.release()}",
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("grpcio", "protobuf", "cryptography", "fabric-sdk-py")),
    ]


def describe_node() -> str:
    """Node's version and the version of fabric-network that is installed."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)  # noqa: S607
    package = json.loads((NODE_CLIENT / "node_modules" / "fabric-network" / "package.json").read_text("utf-8"))
    return f"Node {node.stdout.strip()}, fabric-network {package['version']}"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    names = [line for line in file.read_text().splitlines() if line.startswith("model name")] if file.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
