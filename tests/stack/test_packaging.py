"""Packaging: the functions' assets, and the wheel that carries their sources."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from offchain_stack import functions

FOREIGN_APP = """
import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_s3 as s3
import offchain_stack
from offchain_stack import Endpoint, FabricNetwork, FabricUser, OffChainStore, UploadFunction, functions

app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir="out")
stack = cdk.Stack(app, "Foreign")
vpc = ec2.Vpc(stack, "Vpc")
store = OffChainStore(stack, "Store", vpc=vpc)
network = FabricNetwork(
    stack, "Network", msp_id="Org1MSP", channel="mychannel", chaincode="ngo", tls_roots="s3://chains/tls.pem",
    peers=[Endpoint(address="peer0.org1.example.com:7051")], orderers=[Endpoint(address="orderer.example.com:7050")],
    users=[FabricUser.from_secret_names("lambdaUser", member="org1")],
)
UploadFunction(stack, "Upload", vpc=vpc, bucket=store.bucket, network=network)
app.synth()
print(offchain_stack.__file__)
print(functions.SOURCES)
"""


def digest(folder: Path) -> str:
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content.update(str(path.relative_to(folder)).encode())
        content.update(path.read_bytes() if path.is_file() else b"")
    return content.hexdigest()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".dist-info")}


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def bundle(function: str, output: Path, *, exclude: tuple[str, ...] = ()) -> None:
    """As `functions.bundle`; skips where no package index is reached."""
    try:
        functions.bundle(function, output, exclude=exclude)
    except functions.PackagingError:
        skip_without_index()
        raise


def run(command: list[str], **options: Any) -> str:
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode:
        skip_without_index()
    assert result.returncode == 0, result.stderr
    return result.stdout


def skip_without_index() -> None:
    with tempfile.TemporaryDirectory() as folder:
        probe = subprocess.run([*PIP, "download", "--no-deps", "--no-cache-dir", "--dest", folder, "six"])
    if probe.returncode:
        pytest.skip("no package index is reached: connect to PyPI or set PIP_INDEX_URL")


class TestBundle:
    def test_upload_function(self, tmp_path: Path) -> None:
        bundle("upload_image", tmp_path, exclude=("shared/ledger",))
        assert {"upload_image", "shared", "aws_lambda_powertools", "defusedxml"} <= names(tmp_path)
        assert not {"invoke_chaincode", "hfc", "boto3", "bin"} & names(tmp_path)
        assert not (tmp_path / "shared" / "ledger").exists()
        assert not list(tmp_path.rglob("__pycache__"))

    def test_chaincode_function_is_small_and_the_same_bytes_each_time(self, tmp_path: Path) -> None:
        first, second = tmp_path / "first", tmp_path / "second"
        bundle("invoke_chaincode", first)
        bundle("invoke_chaincode", second)
        assert digest(first) == digest(second)
        size = sum(path.stat().st_size for path in first.rglob("*") if path.is_file())
        assert 30_000_000 < size < 55_000_000
        assert names(first / "hfc") == {"__init__.py", "version.py", "protos", "util"}
        dead = {"sha3", "pysha3", "aiogrpc", "couchdb", "rx", "lark", "requests", "urllib3", "test", "tests", "bin"}
        assert not dead & names(first)
        for library in first.rglob("*.so"):
            header = library.read_bytes()[:20]
            assert (header[:4], header[18]) == (b"\x7fELF", 0x3E), f"{library} is not for Linux on x86_64"
            assert re.search(r"cpython-313|abi3", library.name)


class TestAssetHash:
    @pytest.fixture
    def sources(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        copy = tmp_path / "lambda_src"
        shutil.copytree(functions.SOURCES, copy, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(functions, "SOURCES", copy)
        return copy

    @pytest.mark.parametrize(
        ("change", "upload", "chaincode"),
        [
            ("upload_image/handler.py", True, False),
            ("upload_image/requirements.txt", True, False),
            ("invoke_chaincode/handler.py", False, True),
            ("shared/errors.py", True, True),
            ("shared/ledger/client.py", False, True),
        ],
    )
    def test_follows_what_is_in_the_asset(self, sources: Path, change: str, upload: bool, chaincode: bool) -> None:
        before = self.hashes()
        with (sources / change).open("a") as file:
            file.write("\n# changed\n")
        after = self.hashes()
        assert (before[0] != after[0], before[1] != after[1]) == (upload, chaincode)

    def test_ignores_stray_files(self, sources: Path) -> None:
        before = self.hashes()
        (sources / "shared" / "__pycache__").mkdir()
        (sources / "shared" / "__pycache__" / "errors.cpython-313.pyc").write_bytes(b"x")
        (sources / "shared" / ".DS_Store").write_bytes(b"x")
        os.utime(sources / "shared" / "errors.py", (0, 0))
        assert self.hashes() == before

    @staticmethod
    def hashes() -> tuple[str, str]:
        return functions.asset_hash("upload_image", ["shared/ledger"]), functions.asset_hash("invoke_chaincode", [])


class TestFailure:
    def test_names_the_function_and_the_mend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(functions, "SOURCES", tmp_path)
        lock = tmp_path / "broken" / "requirements.txt"
        lock.parent.mkdir()
        lock.write_text("six==1.17.0\n")  # no hash
        with pytest.raises(
            functions.PackagingError, match=r"^packages of broken: pip failed \(.*hash.*Mend: "
        ) as caught:
            functions.bundle("broken", tmp_path / "out")
        assert "\n" not in str(caught.value)

    def test_ends_the_synthesis_and_never_falls_back_to_docker(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import aws_cdk as cdk
        from aws_cdk import aws_lambda as lambda_

        def fail(*_arguments: object, **_options: object) -> None:
            raise functions.PackagingError("packages of upload_image: pip failed (no index). Mend: ...")

        monkeypatch.setattr(functions, "bundle", fail)
        monkeypatch.setenv("CDK_DOCKER", str(tmp_path / "docker-must-not-be-called"))
        stack = cdk.Stack(cdk.App(outdir=str(tmp_path / "out")), "Stack")
        with pytest.raises(RuntimeError, match="pip failed"):
            lambda_.Function(
                stack,
                "Function",
                runtime=lambda_.Runtime.PYTHON_3_13,
                handler="upload_image.handler.handler",
                code=functions.code("upload_image"),
            )


def test_an_installed_wheel_synthesizes_a_foreign_stack(tmp_path: Path) -> None:
    run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)])
    (wheel,) = tmp_path.glob("*.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".pyc") or "tests" in name]
    site = tmp_path / "site"
    run([*PIP, "install", "--no-deps", "--target", str(site), str(wheel)])
    (tmp_path / "app.py").write_text(FOREIGN_APP)
    output = run([sys.executable, "app.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(site)})
    module, sources = output.splitlines()
    assert Path(module).is_relative_to(site)
    assert Path(sources) == site / "offchain_stack" / "lambda_src"
    assert (site / "offchain_stack" / "py.typed").is_file()
    assert (site / "offchain_stack" / "templates" / "request.vtl").is_file()
    assets = json.loads((tmp_path / "out" / "Foreign.assets.json").read_text())["files"].values()
    assert str(sources) in {each["source"]["path"] for each in assets}
