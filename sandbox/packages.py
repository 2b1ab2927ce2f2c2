"""Folders of links to just the packages that a Lambda function has on AWS, taken from the current environment.

A function's process sees the standard library, its own code, what the managed runtime brings, and what its own lock
names: a dependency that is missing from the lock is missing here too.
"""

import hashlib
import re
import sys
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from .errors import SandboxError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_LOCKED = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s;\\]+)\s*(;[^\\]*)?")


def managed_runtime() -> dict[str, str]:
    """What Lambda's Python runtime brings: boto3, awslambdaric where it exists, and what they need. Name to version."""
    return closure(["boto3", "awslambdaric"])


def closure(names: Iterable[str]) -> dict[str, str]:
    """Those of `names` that this environment has, and all that they need without extras. Name to version."""
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = _normal(waiting.pop())
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if name not in found:
            found[name] = distribution.version
            needs = [need for need in distribution.requires or [] if "extra ==" not in need]
            waiting.extend(match[0] for match in map(_NAME.match, needs) if match)
    return found


def locked(requirements: Path) -> dict[str, str]:
    """What a function's lock names. Raises SandboxError where this environment does not have just that."""
    found = {}
    for line in requirements.read_text("utf-8").splitlines():
        match = _LOCKED.match(line)
        if match is None:
            continue
        name, version, marker = _normal(match[1]), match[2], match[3]
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            if marker:
                continue
            installed = "none"
        if installed != version:
            raise SandboxError(
                f"{requirements} names {name} {version}, but this environment has {installed}: "
                "install the requirements.txt at the top of the repository."
            )
        found[name] = version
    return found


def linked(packages: dict[str, str], cache: Path) -> Path:
    """A folder in `cache` with links to `packages` (name to version), made once."""
    key = hashlib.sha256(repr((sys.path, sorted(packages.items()))).encode()).hexdigest()[:16]
    folder = cache / "packages" / key
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            for name in packages:
                _link(metadata.distribution(name), made)
            try:
                made.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
    return folder


def _link(distribution: metadata.Distribution, folder: Path) -> None:
    files = [Path(file) for file in distribution.files or [] if ".." not in Path(file).parts]
    whole = {file.parent for file in files if file.name == "__init__.py"}
    for path in _shortest(files, whole):
        link = folder / path
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(Path(str(distribution.locate_file(path))).resolve())


def _shortest(files: Iterable[Path], whole: set[Path]) -> set[Path]:
    """Link a package's folder as one; in a folder that several distributions share, link what is theirs."""
    return {next((parent for parent in reversed(file.parents) if parent in whole), file) for file in files}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
