"""The wheel: it carries the functions' sources, so that another project can deploy them."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from package_index import PIP, skip_without_index

from conftest import ROOT

FOREIGN_APP = """
import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2, aws_s3 as s3
import offchain_stack
from offchain_stack import Endpoint, FabricNetwork, FabricUser, OffChainStore, UploadFunction, packaging

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
print(packaging.SOURCES)
"""


def run(command: list[str], **options: Any) -> str:
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode:
        skip_without_index()
    assert result.returncode == 0, result.stderr
    return result.stdout


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
