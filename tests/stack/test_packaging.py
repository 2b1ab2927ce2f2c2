"""Packaging of the functions: what is in their assets, and that it is always the same."""

import hashlib
import os
import re
import shutil
from pathlib import Path

import pytest
from package_index import skip_without_index

from offchain_stack import packaging


def digest(folder: Path) -> str:
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content.update(str(path.relative_to(folder)).encode())
        content.update(path.read_bytes() if path.is_file() else b"")
    return content.hexdigest()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".dist-info")}


def bundle(function: str, output: Path, *, exclude: tuple[str, ...] = ()) -> None:
    """As `packaging.bundle`; skips where no package index is reached."""
    try:
        packaging.bundle(function, output, exclude=exclude)
    except packaging.PackagingError:
        skip_without_index()
        raise


@pytest.mark.long
class TestBundle:
    def test_upload_function(self, tmp_path: Path) -> None:
        bundle("upload_object", tmp_path, exclude=("shared/ledger",))
        assert {"upload_object", "shared", "aws_lambda_powertools", "defusedxml"} <= names(tmp_path)
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
        shutil.copytree(packaging.SOURCES, copy, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(packaging, "SOURCES", copy)
        return copy

    @pytest.mark.parametrize(
        ("change", "upload", "chaincode"),
        [
            ("upload_object/handler.py", True, False),
            ("upload_object/requirements.txt", True, False),
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
        return packaging.asset_hash("upload_object", ["shared/ledger"]), packaging.asset_hash("invoke_chaincode", [])


class TestFailure:
    def test_names_the_function_and_the_mend(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(packaging, "SOURCES", tmp_path)
        lock = tmp_path / "broken" / "requirements.txt"
        lock.parent.mkdir()
        lock.write_text("six==1.17.0\n")  # no hash
        with pytest.raises(
            packaging.PackagingError, match=r"^packages of broken: pip failed \(.*hash.*Mend: "
        ) as caught:
            packaging.bundle("broken", tmp_path / "out")
        assert "\n" not in str(caught.value)

    def test_ends_the_synthesis_and_never_falls_back_to_docker(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import aws_cdk as cdk
        from aws_cdk import aws_lambda as lambda_

        def fail(*_arguments: object, **_options: object) -> None:
            raise packaging.PackagingError("packages of upload_object: pip failed (no index). Mend: ...")

        monkeypatch.setattr(packaging, "bundle", fail)
        monkeypatch.setenv("CDK_DOCKER", str(tmp_path / "docker-must-not-be-called"))
        stack = cdk.Stack(cdk.App(outdir=str(tmp_path / "out")), "Stack")
        with pytest.raises(RuntimeError, match="pip failed"):
            lambda_.Function(
                stack,
                "Function",
                runtime=lambda_.Runtime.PYTHON_3_13,
                handler="upload_object.handler.handler",
                code=packaging.code("upload_object"),
            )
