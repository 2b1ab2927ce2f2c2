"""The wheel: another project synthesizes with it and what it declares, and nothing else. Its app is the README's.

`make test-wheel` also installs it into an empty environment, bundles the functions there, and runs what they are then.
"""

import base64
import dataclasses
import importlib.machinery
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import urllib.request
import venv
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from package_index import skip_without_index
from stack_template import Template, of_type

from conftest import ROOT
from sandbox import packages
from sandbox.assembly import Assembly, Function, load
from sandbox.runtime import Sandbox

README = (ROOT / "README.md").read_text("utf-8")
APP = README.split("\n## Use it from your own stack\n")[1].split("```python\n")[1].split("```")[0]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
CARRIED = {".py", ".typed", ".vtl", ".in", ".txt", ".json"}
FUNCTIONS = {"upload_object", "invoke_chaincode", "query_ledger", "verify_object", "sweep", "verify_all"}
SKIP_BUNDLING = json.dumps({"aws:cdk:bundling-stacks": []})


def run(command: list[str | Path], **options: Any) -> str:
    result = subprocess.run(command, capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def build(source: Path, target: str, folder: Path) -> Path:
    """The wheel or the sdist of `source`, made in `folder`."""
    run([sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder], cwd=source)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Of a foreign process: only Node is on its path, no Docker, and nothing of this process."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "node").symlink_to(shutil.which("node") or "")
    # HOME has the caches of pip and jsii.
    kept = {name: value for name, value in os.environ.items() if re.match("HOME$|PIP_|SSL_|JSII_", name)}
    docker = {"CDK_DOCKER": str(tmp_path / "docker-must-not-be-called")}
    return kept | docker | {"PATH": str(programs), "CDK_OUTDIR": str(tmp_path / "cdk.out")}


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist()}


def link_installed(names: Iterable[str], site: Path) -> None:
    """Give `site` the files of the distributions `names` as they are installed here."""
    for name in names:
        distribution = metadata.distribution(name)
        for file in distribution.files or []:
            link = site / file
            # Two distributions may bring the same file.
            if ".." not in file.parts and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path(str(distribution.locate_file(file))).resolve())


def template(folder: Path) -> Template:
    return json.loads((folder / "cdk.out" / "Archive.template.json").read_text("utf-8"))  # type: ignore[no-any-return]


def test_carries_the_constructs_and_the_functions_and_nothing_else(wheel: Path) -> None:
    sources = {"offchain_stack": ROOT / "offchain_stack", "offchain_stack/lambda_src": ROOT / "lambda_src"}
    expected = {
        f"{place}/{path.relative_to(folder).as_posix()}"
        for place, folder in sources.items()
        for path in folder.rglob("*")
        if path.suffix in CARRIED
    }
    info = f"offchain_stack-{VERSION}.dist-info"
    expected |= {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    assert content(wheel).keys() == expected
    assert "offchain_stack/py.typed" in expected


def test_is_made_from_the_sdist_just_the_same(wheel: Path, tmp_path: Path) -> None:
    sdist = build(ROOT, "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as file:
        assert not [name for name in file.getnames() if re.search(r"/tests/|__pycache__|/sandbox/", name)]
        file.extractall(tmp_path, filter="data")
    unpacked = tmp_path / f"offchain_stack-{VERSION}"
    assert (unpacked / "CHANGELOG.md").is_file()
    assert content(build(unpacked, "wheel", tmp_path / "again")) == content(wheel)


@pytest.mark.long
def test_a_foreign_app_synthesizes_with_nothing_but_what_the_wheel_declares(
    wheel: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    declared = metadata.PathDistribution(next(site.glob("*.dist-info"))).requires or []
    mandatory = [re.split(r"[^\w-]", each)[0] for each in declared if "extra ==" not in each]
    link_installed(packages.closure(mandatory), site)
    (tmp_path / "app.py").write_text(APP)
    foreign = {"PYTHONPATH": str(site), "CDK_CONTEXT_JSON": SKIP_BUNDLING}
    # Without site, Python has its standard library and PYTHONPATH only.
    run([sys.executable, "-S", "app.py"], cwd=tmp_path, env=environment | foreign)

    functions = of_type(template(tmp_path), "AWS::Lambda::Function").values()
    deployed = [each["Handler"].split(".")[0] for each in functions]
    assert sorted(deployed) == sorted([*FUNCTIONS, *FUNCTIONS])
    assets = json.loads((tmp_path / "cdk.out" / "Archive.assets.json").read_text("utf-8"))["files"].values()
    code = {each["source"]["path"] for each in assets if each["source"]["packaging"] == "zip"}
    assert code == {str(site / "offchain_stack" / "lambda_src")}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment that has the wheel and what pip installs with it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    result = subprocess.run([python, "-m", "pip", "--quiet", "install", wheel], capture_output=True, text=True)
    if result.returncode:
        skip_without_index()
    assert result.returncode == 0, result.stderr
    return python


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "app.py").write_text(APP)
    return folder


WRONG = """
from aws_cdk import Stack
from offchain_stack import LedgerField, OffChainStore

OffChainStore(Stack(), "Store", vpc="vpc-0123456789abcdef0")
LedgerField(name="number", max_length="40")
"""


@pytest.mark.skipif("OFFCHAIN_WHEEL" not in os.environ, reason="installs and bundles for minutes: make test-wheel")
class TestInstalled:
    """In an environment that pip fills, with the functions bundled."""

    def test_users_get_types(self, installed: Path, app: Path) -> None:
        (app / "wrong.py").write_text(WRONG)
        checked = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed, "app.py", "wrong.py"],
            cwd=app,
            env=os.environ | {"MYPYPATH": ""},
            capture_output=True,
            text=True,
        )
        errors = [line for line in checked.stdout.splitlines() if "error:" in line]
        assert [line.split(": ")[0] for line in errors] == ["wrong.py:5", "wrong.py:6"], checked.stdout + checked.stderr

    def test_its_functions_run_with_what_is_in_their_assets(
        self, installed: Path, app: Path, environment: dict[str, str], tmp_path: Path
    ) -> None:
        run([installed, "app.py"], cwd=app, env=environment)
        deployed = load(tmp_path / "cdk.out").functions.values()
        assert sorted(each.folder for each in deployed) == sorted([*FUNCTIONS, *FUNCTIONS])
        for each in deployed:
            assert (each.asset / each.folder / "handler.py").is_file()
            for library in each.asset.rglob("*.so"):
                header = library.read_bytes()[:20]
                assert (header[:4], header[18]) == (b"\x7fELF", 0x3E), f"{library} is not for Linux on x86_64"
                assert re.search(r"cpython-313|abi3", library.name)

        def for_this_python(assembly: Assembly) -> Assembly:
            functions = {arn: _for_this_python(each, tmp_path) for arn, each in assembly.functions.items()}
            return dataclasses.replace(assembly, functions=functions)

        with Sandbox(assembly=tmp_path / "cdk.out", adapt=for_this_python) as sandbox:
            donor = {"donorUserName": "ada", "email": "ada@example.org", "image": _encoded(PNG)}
            invoice = {"invoiceNumber": "INV-1", "supplier": "Söhne", "document": _encoded(PDF)}
            for path, name, fields in (("donors", "ada", donor), ("invoices", "INV-1", invoice)):
                created = _call(f"{sandbox.api_url}/{path}", {"chaincodeFunctionArgs": fields})
                read = _call(f"{sandbox.api_url}/{path}/{name}")
                assert read["transactionId"] == created["transactionId"]
                assert read[list(fields)[-1]]["integrity"] == "VERIFIED"


PNG = (ROOT / "sandbox" / "demo.png").read_bytes()
PDF = b"%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 1 >>\nstartxref\n9\n%%EOF\n"


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _call(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"})) as response:
        return json.load(response)


def _for_this_python(function: Function, folder: Path) -> Function:
    """`function` with each compiled part of its asset in the form for this Python, which is not Lambda's: from the
    same version of the same package, installed here."""
    asset = folder / "assets" / function.asset.name
    if not asset.exists():
        shutil.copytree(function.asset, asset)
        here = Path(metadata.distribution("grpcio").locate_file("")).resolve()
        for library in asset.rglob("*.cpython-313-*.so"):
            relative = library.relative_to(asset)
            stem = library.name.split(".")[0]
            library.unlink()
            for suffix in importlib.machinery.EXTENSION_SUFFIXES:
                if (found := here / relative.with_name(f"{stem}{suffix}")).is_file():
                    shutil.copyfile(found, library.with_name(found.name))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return dataclasses.replace(function, asset=asset, runtime=version)
