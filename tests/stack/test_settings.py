"""Settings: each missing, wrong, unknown or contradictory one gives one line that names it and shows an example."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
import yaml

from conftest import ROOT
from offchain_stack import Settings, SettingsError
from offchain_stack.settings import settings_schema

REQUIRED = (
    *("vpcId", "availabilityZones", "subnetIds", "routeTableIds", "mspId", "channel", "chaincode"),
    *("peers", "orderers", "tlsRoots", "users", "member"),
)

EXPLICIT = ("mspId", "peers", "orderers", "tlsRoots")
POOL = "arn:aws:cognito-idp:us-east-1:111122223333:userpool/us-east-1_AbCdEfGhI"
MEMBER = {"networkId": "n-ABC", "memberId": "m-ABC", "nodeIds": ["nd-ABC"]}

WRONG: dict[str, tuple[Any, ...]] = {
    "vpcId": ("", "subnet-0123", 7, None),
    "availabilityZones": ([], "us-east-1a", [1]),
    "subnetIds": (["vpc-0123"], "subnet-0123"),
    "routeTableIds": (["rtb-xyz"], {}),
    "stackName": ("", "1st", "off_chain"),
    "account": (111122223333, "1111"),
    "region": ("Frankfurt",),
    "securityGroupIds": ("sg-0123", []),
    "managedBlockchain": (
        "n-ABC",
        {"networkId": "n-ABC", "memberId": "m-ABC"},
        {"networkId": "n-ABC", "memberId": "m-ABC", "nodeIds": []},
        {"networkId": "n-abc", "memberId": "m-ABC", "nodeIds": ["nd-ABC"]},
    ),
    "fabricEndpoint": ("none", {"id": "vpce-0123"}, {"id": "sg-0123", "securityGroupId": "vpce-0123"}),
    "connectionProfile": ("", ["a.json"]),
    "mspId": ("", "Org 1", ["Org1MSP"]),
    "channel": ("MyChannel", "1channel"),
    "chaincode": ("ngo!", ""),
    "peers": (
        [],
        "peer0.example.com:7051",
        ["peer0.example.com"],
        ["grpcs://peer0.example.com:7051"],
        ["peer0.example.com:99999"],
        [{"address": "peer0.example.com:7051"}],
        [{"endpoint": 7051}],
        [{"endpoint": "peer0.example.com:7051", "tls": "x"}],
        ["peer0.example.com:7051", "peer0.example.com:7051"],
    ),
    "orderers": (["orderer"], [{}]),
    "endorsements": (0, "1", 1.5, True),
    "endorsingOrganizations": (0, "1", "Org1MSP", True, [], ["Org 1"], ["Org1MSP", "Org1MSP"]),
    "tlsRoots": (
        "tls.pem",
        "s3://bucket",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE REQUEST-----\nTUlJ\n-----END CERTIFICATE REQUEST-----",
        ["s3://bucket/tls.pem"],
    ),
    "recordTypes": ("donors", [], ["invoices"], ["donors", "donors"], [{"name": "Invoice"}], [7]),
    "chaincodeFunctionArn": ("ngo-lambda", "arn:aws:sns:us-east-1:111122223333:topic"),
    "users": ([], "lambdaUser", [""], [{"name": "lambdaUser"}], ["lambdaUser", "lambdaUser"], [7]),
    "member": ("", "member 1"),
    "secretNamePattern": ("dev/{member}/{user}", "dev/{part}", "dev/{user}/{part}/{kind}", "{user}/{part}/{"),
    "secretsKeyArn": ("alias/key",),
    "s3Endpoint": ("yes", True),
    "admittedBuckets": ("other", [], ["Other"], ["a"]),
    "s3PrefixListId": ("com.amazonaws.us-east-1.s3", ["pl-63a5400a"]),
    "secretsManagerEndpoint": ("none", {"id": "vpce-0123"}, {"id": "sg-0123", "securityGroupId": "vpce-0123"}),
    "admittedSecrets": ("other/*", [], ["a secret"]),
    "admittedSecurityGroupIds": ("sg-0123456789abcdef0", [], ["sg-1"]),
    "dnsServers": ("10.0.0.2", [], ["10.0.0"], ["10.0.0.300"], ["10.0.0.1/8"], ["dns.example.com"]),
    "tlsRootsKeyArn": ("alias/key", 7),
    "cloudWatchRole": (False,),
    "bucketName": ("My_Bucket",),
    "kmsKeyArn": ("1234abcd",),
    "noncurrentDays": (0, "30"),
    "sweepIntervalMinutes": (0, "hourly", 721),
    "monitoring": ("keep", True),
    "minimumAgeMinutes": (4, "15"),
    "unretirableAgeDays": (0, 1.5),
    "lookBackDays": (0, None),
    "functions": (
        [],
        {"uploads": {"memoryMb": 256}},
        {"upload": 256},
        {"query": {"memory": 256}},
        {"query": {"memoryMb": 127}},
        {"query": {"memoryMb": 10_241}},
        {"query": {"reservedConcurrency": 0}},
        {"query": {"timeoutSeconds": 23}},
        {"upload": {"timeoutSeconds": 11}},
        {"chaincode": {"timeoutSeconds": 19}},
        {"verify": {"timeoutSeconds": 23}},
        {"sweep": {"timeoutSeconds": 901}},
        {"verifyAll": {"timeoutSeconds": 2}},
    ),
    "logRetention": (90, "ninety", "three_months", None),
    "alarmThresholds": (
        [],
        {"outcomeUnknowns": 1},
        {"outcome_unknown": 1},
        {"outcomeUnknown": -1},
        {"outcomeUnknown": None},
        {"slowSeconds": 29},
        {"sweepOverdueHours": 25},
    ),
    "alarmTopicArn": ("on-call", "arn:aws:sqs:us-east-1:111122223333:on-call"),
    "urlExpiresMinutes": (0, 61),
    "verifyAllIntervalHours": (0, "weekly"),
    "throttlingRateLimit": (-1,),
    "throttlingBurstLimit": ("many",),
    "userPoolArn": ("us-east-1_AbCdEfGhI", "arn:aws:cognito-idp:us-east-1:111122223333:userpool/"),
    "userPoolScopes": ("records/write", [], ["a b"]),
    "usagePlan": (
        "acme",
        [],
        {"apiKeys": ["acme"]},
        {"apiKeys": [], "rateLimit": 1, "burstLimit": 1},
        {"apiKeys": ["acme", "acme"], "rateLimit": 1, "burstLimit": 1},
        {"apiKeys": ["acme"], "rateLimit": 0, "burstLimit": 1},
        {"apiKeys": ["acme"], "rateLimit": 1, "burstLimit": 1, "monthlyQuota": None},
        {"apiKeys": ["acme"], "rateLimit": 1, "burstLimit": 1, "dailyQuota": 1},
    ),
    "webAclArn": ("offchain", "arn:aws:wafv2:us-east-1:111122223333:global/webacl/offchain/1234abcd"),
    "executeApiEndpointIds": ("vpce-0123", [], ["vpc-0123"]),
    "callers": (
        "custom:fabricUsername",
        {},
        {"claim": "it's"},
        {"claim": "sub", "principals": {}},
        {"principals": {}},
        {"principals": {"lambdaUser": "arn:aws:iam::111122223333:role/donor-desk"}},
        {"principals": {"lambdaUser": ["*"]}},
    ),
}

CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "lookBackDays": {"lookBackDays": 7, "unretirableAgeDays": 7},
    "minimumAgeMinutes": {"minimumAgeMinutes": 24 * 60 + 1},
    "functions": {
        "functions": {"chaincode": {"memoryMb": 256}},
        "chaincodeFunctionArn": "arn:aws:lambda:us-east-1:111122223333:function:ngo-lambda",
    },
    "subnetIds": {"subnetIds": ["subnet-0a", "subnet-0b", "subnet-0c"], "routeTableIds": ["rtb-0a"] * 3},
    "routeTableIds": {"routeTableIds": ["rtb-0a"]},
    "endorsements": {"endorsements": 2},
    "endorsingOrganizations": {"endorsingOrganizations": ["Org1MSP", "Org2MSP"]},
    "userPoolScopes": {"userPoolScopes": ["records/write"]},
    "callers": {"callers": {"claim": "custom:fabricUsername"}},
    "admittedBuckets": {"admittedBuckets": ["other"], "s3Endpoint": "keep"},
    "admittedSecrets": {"admittedSecrets": ["other"], "secretsManagerEndpoint": "keep"},
    "admittedSecurityGroupIds": {
        "admittedSecurityGroupIds": ["sg-0123456789abcdef0"],
        "secretsManagerEndpoint": {"id": "vpce-0123", "securityGroupId": "sg-0123456789abcdef0"},
    },
    "tlsRootsKeyArn": {
        "tlsRootsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/k",
        "tlsRoots": (ROOT / "examples/settings/networks/tls/org1.pem").read_text(),
    },
    "dnsServers": {"dnsServers": ["10.0.0.2"], "securityGroupIds": ["sg-0123456789abcdef0"]},
    "s3PrefixListId": {"s3PrefixListId": "pl-63a5400a", "securityGroupIds": ["sg-0123456789abcdef0"]},
}


def refusals(values: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_values(values)
    return str(caught.value).splitlines()


def refusal(values: dict[str, Any]) -> str:
    (message,) = refusals(values)
    return message


def beside(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Those of `values` that do not contradict the setting `name`, and what it needs."""
    if name in ("managedBlockchain", "fabricEndpoint", "connectionProfile"):
        values = {key: value for key, value in values.items() if key not in EXPLICIT}
    peers = ["peer0.org1.example.com:7051", "peer0.org2.example.com:7051"]
    more = {
        "fabricEndpoint": {"managedBlockchain": MEMBER},
        "userPoolScopes": {"userPoolArn": POOL},
        "endorsingOrganizations": {"peers": peers},
    }
    return values | more.get(name, {})


@pytest.mark.parametrize("name", REQUIRED)
def test_missing(name: str, values: dict[str, Any]) -> None:
    message = refusal({key: value for key, value in values.items() if key != name})
    assert message.startswith(f"offchain.{name}: missing")
    assert "such as " in message


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, wrong in WRONG.items() for value in wrong])
def test_wrong(name: str, value: Any, values: dict[str, Any]) -> None:
    for message in refusals({**beside(name, values), name: value}):
        within = re.match(rf"offchain\.{name}([.\[][^:]*)?: (wrong: |missing|there is no such key)", message)
        assert within
        assert within[1] or "such as " in message


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictory(name: str, values: dict[str, Any]) -> None:
    message = refusal(values | CONTRADICTIONS[name])
    assert message.startswith(f"offchain.{name}: ")
    assert "such as " in message


def test_unknown(values: dict[str, Any]) -> None:
    message = refusal(values | {"mspID": "Org1MSP"})
    assert message.startswith("offchain.mspID: there is no such setting; known are stackName, vpcId,")
    assert message.endswith("Did you mean mspId?")


@pytest.mark.parametrize("name", WRONG)
def test_every_example_is_right(name: str, values: dict[str, Any]) -> None:
    for example in settings_schema()["properties"][name]["examples"]:
        Settings.from_values({**beside(name, values), name: example})


def test_a_network_comes_from_one_place(values: dict[str, Any]) -> None:
    others = {key: value for key, value in values.items() if key not in EXPLICIT}
    profile, member = {"connectionProfile": "org1.yaml"}, {"managedBlockchain": MEMBER}
    for name in EXPLICIT:
        one = {name: values[name]}
        assert refusal(others | member | one).startswith(f"offchain.{name}: contradicts managedBlockchain")
        if name == "peers":
            assert refusal(others | profile | one).startswith(f"offchain.{name}: contradicts connectionProfile")
    assert refusal(others | profile | member).startswith("offchain.connectionProfile: contradicts managedBlockchain")
    assert Settings.from_values(others | profile | {"tlsRoots": values["tlsRoots"]}).msp_id is None
    # Whether the profile says these itself is found when it is read.
    beside = {name: values[name] for name in ("mspId", "orderers")}
    assert Settings.from_values(others | profile | beside).msp_id == values["mspId"]
    assert refusal(values | {"fabricEndpoint": "keep"}).startswith("offchain.fabricEndpoint: is for managedBlockchain")
    two = {"endorsements": 2}
    assert refusal(others | member | two).startswith("offchain.endorsements: 1 peers cannot give that many")


def test_callers_are_known_by_what_the_api_asks_of_them(values: dict[str, Any]) -> None:
    pool, claim = {"userPoolArn": POOL}, {"callers": {"claim": "custom:fabricUsername"}}
    principals = {"callers": {"principals": {"lambdaUser": ["arn:aws:iam::111122223333:role/donor-desk"]}}}
    assert refusal(values | claim).startswith("offchain.callers: a claim needs userPoolArn")
    assert refusal(values | pool | principals).startswith("offchain.callers: callers of userPoolArn are no IAM")
    assert refusal(values | principals | {"users": ["auditor"]}).startswith("offchain.callers: 'lambdaUser' is not one")
    for right in (pool | claim, principals):
        assert Settings.from_values(values | right).callers is not None


def test_the_subnets_are_all_named_or_looked_up(values: dict[str, Any]) -> None:
    names = ("availabilityZones", "subnetIds", "routeTableIds")
    others = {key: value for key, value in values.items() if key not in names}
    assert [line.split(". ")[0] for line in refusals(others)] == [
        "offchain.account: missing",
        "offchain.region: missing",
    ]
    assert refusal(others | {"account": "111122223333"}).startswith("offchain.region: missing")
    assert Settings.from_values(others | {"account": "111122223333", "region": "us-east-1"}).subnet_ids is None


@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump])
def test_a_file_takes_the_place_of_what_cdk_json_says(
    dump: Callable[[Any], str], context: dict[str, Any], values: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(dump(values | {"member": "member2", "stackName": "OffChainTest"}))
    given = {"offchainSettings": str(file), "offchain.channel": "other"}
    settings = Settings.from_context(cdk.App(context=context | given).node)
    assert (settings.stack_name, settings.member, settings.channel) == ("OffChainTest", "member2", "other")
    assert settings == dataclasses.replace(Settings.from_file(file), channel="other")


def test_paths_are_relative_to_the_settings_file(values: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "test.json"
    others = {key: value for key, value in values.items() if key not in EXPLICIT}
    file.write_text(json.dumps(others | {"connectionProfile": "networks/org1.yaml"}))
    assert Settings.from_file(file).connection_profile == str(tmp_path / "networks" / "org1.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file or directory, such as settings/test.yaml"),
        ("{", "but found '<stream end>' (line 1, column 2); correct that line"),
        ("- a", "holds no settings, such as mspId: Org1MSP"),
        ("", "holds no settings, such as mspId: Org1MSP"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(text: str | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        Settings.from_file(file)
    message = str(caught.value)
    assert message.startswith(f"offchainSettings: {file}")
    assert message.endswith(says)
    assert "\n" not in message


def test_every_setting_is_in_the_table(values: dict[str, Any]) -> None:
    known = refusal(values | {"": ""}).partition("known are ")[2].split(", ")
    assert set(known) == set(WRONG)


def test_each_can_be_overridden_on_the_command_line(context: dict[str, Any]) -> None:
    overridden = {"offchain.mspId": "Org2MSP", "offchain.noncurrentDays": "7", "offchain.users": '["a", "b"]'}
    settings = Settings.from_context(cdk.App(context=context | overridden).node)
    assert (settings.msp_id, settings.noncurrent_days) == ("Org2MSP", 7)
    assert [user.name for user in settings.users] == ["a", "b"]


def test_secrets_by_pattern_and_by_arn(values: dict[str, Any]) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:key-AbCdEf"
    users = ["lambdaUser", {"name": "other", "certificate": "certificates/other", "privateKey": arn}]
    first, second = Settings.from_values(values | {"users": users}).users
    assert first.certificate == "dev/fabricOrgs/member1/lambdaUser/signcert"
    assert first.private_key == "dev/fabricOrgs/member1/lambdaUser/pk"
    assert (second.name, second.certificate, second.private_key) == ("other", "certificates/other", arn)


def test_no_member_is_needed_where_no_secret_is_named_by_it(values: dict[str, Any]) -> None:
    del (values := dict(values))["member"]
    users = [{"name": "other", "certificate": "certificate", "privateKey": "key"}]
    assert Settings.from_values(values | {"users": users}).member is None
    pattern = "fabric/{user}/{part}"
    (user,) = Settings.from_values(values | {"secretNamePattern": pattern}).users
    assert user.private_key == "fabric/lambdaUser/pk"


def test_the_app_ends_with_the_one_line(context: dict[str, Any], tmp_path: Any) -> None:
    broken = context | {"offchain": context["offchain"] | {"channel": "My Channel"}}
    environment = os.environ | {"CDK_CONTEXT_JSON": json.dumps(broken), "CDK_OUTDIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 1
    (line,) = [line for line in run.stderr.splitlines() if not line.startswith("b'!!")]
    assert line.startswith("cdk.json: offchain.channel: wrong: must match ")
