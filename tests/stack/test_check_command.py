"""`python -m offchain_stack check`, as operators call it. With AWS and a network: tests/sandbox."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stack_template import Template, of_type

from conftest import ROOT
from offchain_stack import packaging
from offchain_stack.__main__ import _document, main

TOPIC = "arn:aws:sns:us-east-1:111122223333:on-call"
MEMBER = {"networkId": "n-N", "memberId": "m-M", "nodeIds": ["nd-A", "nd-B"]}

Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Check:
    """Run the command line in an empty folder; its exit code and output."""
    monkeypatch.chdir(tmp_path)

    def check(*arguments: str) -> tuple[int, str]:
        code = main(["check", *arguments])
        return code, capfd.readouterr().out

    return check


def test_settings_that_are_wrong(check: Check, values: dict[str, Any]) -> None:
    code, output = check()
    assert code == 1
    assert output.startswith("ERROR    cdk.json: is not in ")
    Path("cdk.json").write_text("[")
    code, output = check()
    assert (code, output[:40]) == (1, "ERROR    cdk.json: is not CDK's JSON: Ex")
    Path("cdk.json").write_text(json.dumps({"context": {"offchain": values}}))
    assert check("-c", "offchain.channel=Upper")[1].startswith("ERROR    offchain.channel: wrong: must match ")
    assert check("--settings", "absent.json") == (
        1,
        "ERROR    offchainSettings: absent.json: No such file or directory, such as settings/test.yaml\n",
    )
    given = {name: value for name, value in values.items() if name not in ("mspId", "peers", "orderers", "tlsRoots")}
    Path("settings.json").write_text(json.dumps(given | {"connectionProfile": "absent.yaml"}))
    _, output = check("--settings", "settings.json")
    assert output == "ERROR    offchain.connectionProfile: absent.yaml: No such file or directory\n"


def test_a_setting_without_a_value(check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check("-c", "offchain.mspId")
    assert "'offchain.mspId' is not NAME=VALUE" in capfd.readouterr().err


def test_settings_come_over_those_of_a_file_over_cdk_json(
    check: Check, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    examined: list[Any] = []
    monkeypatch.setattr("offchain_stack.__main__._check", lambda document: examined.append(document) or 0)
    Path("cdk.json").write_text(json.dumps({"context": {"offchain": values}}))
    Path("settings.yaml").write_text(json.dumps(values | {"channel": "of-the-file", "chaincode": "other"}))
    check()
    check("--settings", "settings.yaml")
    check("--settings", "settings.yaml", "-c", "offchain.chaincode=mine")
    networks = [json.loads(document["environment"]["FABRIC_NETWORK"]) for document in examined]
    assert [(network["channel"], network["chaincode"]) for network in networks] == [
        ("mychannel", "ngo"),
        ("of-the-file", "other"),
        ("of-the-file", "mine"),
    ]


def test_a_network_that_is_looked_up(values: dict[str, Any]) -> None:
    given = {name: value for name, value in values.items() if name not in ("mspId", "peers", "orderers", "tlsRoots")}
    document = _document({"offchain": given | {"managedBlockchain": MEMBER, "endorsements": 2}}, connect=True)
    assert document["lookUp"] == {"NetworkId": "n-N", "MemberId": "m-M", "NodeIds": ["nd-A", "nd-B"]}
    assert json.loads(document["environment"]["FABRIC_IDENTITIES"])["mspId"] == "m-M"
    network = json.loads(document["environment"]["FABRIC_NETWORK"])
    assert network["tlsRoots"] == "s3://${AWS::Region}.managedblockchain/etc/managedblockchain-tls-chain.pem"
    assert [json.loads(each)["name"] for each in document["recordTypes"]] == ["Donor"]
    assert set(document["settings"].values()) == {"offchain.managedBlockchain"}
    assert document["connect"]


def test_where_the_functions_are_put(values: dict[str, Any], template: Template) -> None:
    document = _document({"offchain": values | {"alarmTopicArn": TOPIC}}, connect=False)
    subnets = [
        {"id": subnet, "zone": zone, "table": table}
        for subnet, zone, table in zip(
            values["subnetIds"], values["availabilityZones"], values["routeTableIds"], strict=True
        )
    ]
    assert document["alarmTopic"] == TOPIC
    assert document["vpc"] == {
        "id": values["vpcId"],
        "stack": "OffChainStack",
        "subnets": subnets,
        "s3Endpoint": "create",
        "secretsManagerEndpoint": "create",
        "fabricEndpoint": None,
        "securityGroups": None,
        "interfaces": sum("VpcConfig" in each for each in of_type(template, "AWS::Lambda::Function").values()),
        "dnsServers": None,
        "prefixList": None,
    }


def test_functions_with_the_same_groups_share_an_interface(values: dict[str, Any]) -> None:
    def interfaces(**more: Any) -> int:
        return int(_document({"offchain": values | more}, connect=False)["vpc"]["interfaces"])

    arn = "arn:aws:lambda:us-east-1:111122223333:function:ngo-lambda"
    invoices = json.loads((ROOT / "offchain_stack" / "settings.schema.json").read_text("utf-8"))
    types = invoices["properties"]["recordTypes"]["examples"][0]
    assert interfaces(chaincodeFunctionArn=arn) == 5
    assert interfaces(recordTypes=types) == 12
    assert interfaces(recordTypes=types, securityGroupIds=["sg-0123456789abcdef0"]) == 1


def test_existing_endpoints_are_named(values: dict[str, Any]) -> None:
    given = {name: value for name, value in values.items() if name not in ("mspId", "peers", "orderers", "tlsRoots")}
    used = {"id": "vpce-0aa", "securityGroupId": "sg-0123456789abcdef0"}
    given |= {"managedBlockchain": MEMBER, "fabricEndpoint": used, "secretsManagerEndpoint": used, "s3Endpoint": "keep"}
    vpc = _document({"offchain": given}, connect=False)["vpc"]
    assert (vpc["fabricEndpoint"], vpc["secretsManagerEndpoint"], vpc["s3Endpoint"]) == (used, used, "keep")


def test_without_the_packages_of_the_functions() -> None:
    result = subprocess.run(
        [sys.executable, "-S", "-P", "-m", "check"],
        env={"PYTHONPATH": str(packaging.SOURCES)},
        input="{}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert not result.stdout
    assert "is not installed, and the check runs the functions' own code. Install" in result.stderr
    assert result.stderr.count("\n") == 1
    assert f"-m pip install --no-deps -r {packaging.SOURCES}/invoke_chaincode/requirements.txt" in result.stderr


def test_no_function_is_bundled_with_it() -> None:
    sources = [path.relative_to(packaging.SOURCES) for path in packaging._sources("invoke_chaincode", ())]
    assert sources
    assert not [path for path in sources if path.parts[0] == "check"]
