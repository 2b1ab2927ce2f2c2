"""`python -m offchain_stack check` with a sandbox in place of AWS and of the network. The sandbox has no VPC."""

import json
from pathlib import Path
from typing import Any

import pytest

from offchain_stack.__main__ import main
from sandbox.assembly import ROOT
from sandbox.runtime import Sandbox

VPC = "offchain.vpcId vpc-0123456789abcdef0"
KEY = "dev/fabricOrgs/member1/lambdaUser/pk"


@pytest.fixture
def folder(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder but for the settings that fit the sandbox; AWS is the sandbox's."""

    def nodes(nodes: Any) -> list[dict[str, str]]:
        return [{"endpoint": node.endpoint, "tlsHostname": "localhost"} for node in nodes]

    values = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]["offchain"]
    changes = {
        "mspId": sandbox.ledger.msp_id,
        "peers": nodes(sandbox.ledger.peers),
        "orderers": nodes(sandbox.ledger.orderers),
        "tlsRoots": sandbox.ledger.tls_roots_pem,
        "bucketName": sandbox.bucket,
    }
    (tmp_path / "settings.json").write_text(json.dumps(values | changes))
    monkeypatch.setenv("AWS_ENDPOINT_URL", sandbox.aws_endpoint)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_right_is_said_and_no_key(sandbox: Sandbox, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = main(["check", "--settings", "settings.json", "--connect"])
    output, errors = capfd.readouterr()
    assert (code, errors) == (1, "")
    assert {line.split()[0] for line in output.splitlines() if VPC not in line} == {"ok"}
    assert [line.split()[0] for line in output.splitlines() if VPC in line] == ["ERROR"]
    assert f"{KEY}: holds the private key of the certificate" in output
    assert f"offchain.bucketName {sandbox.bucket}: exists and keeps versions" in output
    assert "knows lambdaUser of m-ABCDEFGHIJKLMNOPQRSTUVWXYZ on channel mychannel" in output
    assert "gives lambdaUser the newest block of channel mychannel" in output
    key = sandbox.client("secretsmanager").get_secret_value(SecretId=KEY)["SecretString"]
    assert not any(line in output for line in key.splitlines())


def test_what_is_wrong_is_said_and_no_secret(
    sandbox: Sandbox, folder: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    secrets = sandbox.client("secretsmanager")
    key = secrets.get_secret_value(SecretId=KEY)["SecretString"]
    request.addfinalizer(lambda: secrets.put_secret_value(SecretId=KEY, SecretString=key))
    secrets.put_secret_value(SecretId=KEY, SecretString="A(7-value")
    code = main(["check", "--settings", "settings.json", "-c", "offchain.bucketName=no-such-bucket"])
    output = capfd.readouterr().out
    assert code == 1
    errors = [line.partition(": ")[0] for line in output.splitlines() if line.startswith("ERROR")]
    assert set(errors) == {f"ERROR    {KEY}", "ERROR    offchain.bucketName no-such-bucket", f"ERROR    {VPC}"}
    assert "A(7-value" not in output
