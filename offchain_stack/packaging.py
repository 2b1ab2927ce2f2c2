"""How the Lambda functions are packaged: without Docker, the same bytes for the same input."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

from .sources import SOURCES

RUNTIME = lambda_.Runtime.PYTHON_3_13
_PIP_TARGET = (
    *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"),
    *("--implementation", "cp", "--python-version", "3.13"),
)
# hfc's client, its gateway and what they need; only its messages, builders and crypto suite are used.
_HFC_PARTS = {"__init__.py", "version.py", "protos", "util"}
_METADATA_THAT_VARIES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_NOT_NEEDED = {"__pycache__", "tests", "SelfTest"}
_NOT_NEEDED_AT_ROOT = {"bin", "test"}


class PackagingError(Exception):
    """A function's packages could not be installed; the text says why and how to mend it."""


def bundle(function: str, output: Path, *, exclude: Sequence[str] = ()) -> None:
    """Write the deployable folder of `function` (a folder of `SOURCES`) to `output`: its package, `shared` without
    `exclude` (paths below `SOURCES`), and the locked packages of its `requirements.txt` for Lambda's Python 3.13 on
    x86_64. Raises PackagingError where pip fails.
    """
    lock = SOURCES / function / "requirements.txt"
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
        *("--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:"),
        *_PIP_TARGET,
        *("--target", str(output), "--requirement", str(lock)),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        reason = result.stderr.strip().splitlines()[-1:] or ["no output"]
        raise PackagingError(
            f"packages of {function}: pip failed ({reason[0]}). Mend: install pip into {sys.executable} "
            "(python -m ensurepip), reach PyPI or a mirror (PIP_INDEX_URL), and if a hash differs, make lock."
        )
    _strip(output)
    for path in _sources(function, exclude):
        target = output / path.relative_to(SOURCES)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _sources(function: str, exclude: Sequence[str]) -> list[Path]:
    """The source files that go into a function's asset, in a fixed order."""
    excluded = [SOURCES / path for path in exclude]
    return sorted(
        path
        for folder in (function, "shared")
        for path in (SOURCES / folder).rglob("*.py")
        if not any(path.is_relative_to(part) for part in excluded)
    )


def _strip(folder: Path) -> None:
    """Remove what differs between two installations of one lock, and what the functions do not load."""
    for path in sorted(folder.rglob("*"), reverse=True):
        parts = path.relative_to(folder).parts
        unused_hfc = parts[0] == "hfc" and len(parts) == 2 and path.name not in _HFC_PARTS
        varies = parts[0].endswith(".dist-info") and path.name in _METADATA_THAT_VARIES
        if not (unused_hfc or varies or path.name in _NOT_NEEDED or parts[0] in _NOT_NEEDED_AT_ROOT):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def asset_hash(function: str, exclude: Sequence[str]) -> str:
    """Name the asset by all that decides its bytes, so that an unchanged one is not built again."""
    lock = SOURCES / function / "requirements.txt"
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in (lock, *_sources(function, exclude)):
        digest.update(
            path.relative_to(SOURCES).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest()
        )
    return digest.hexdigest()


@jsii.implements(cdk.ILocalBundling)
class _Bundling:
    """Bundles on this machine or fails: returning False would send CDK to Docker."""

    def __init__(self, function: str, exclude: Sequence[str]) -> None:
        self._function = function
        self._exclude = exclude

    def try_bundle(self, output_dir: str, *, image: cdk.DockerImage, **_options: Any) -> bool:
        bundle(self._function, Path(output_dir), exclude=self._exclude)
        return True


def code(function: str, exclude: Sequence[str] = ()) -> lambda_.Code:
    """The code of `function`, bundled at synth unless the stack's bundling is off."""
    return lambda_.Code.from_asset(
        str(SOURCES),
        asset_hash=asset_hash(function, exclude),
        asset_hash_type=cdk.AssetHashType.CUSTOM,
        bundling=cdk.BundlingOptions(
            image=cdk.DockerImage.from_registry("never-used"), local=_Bundling(function, exclude)
        ),
    )
