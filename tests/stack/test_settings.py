"""Settings: each missing, wrong, unknown or contradictory one gives one line that names it and shows an example."""

import json
import os
import subprocess
import sys
from typing import Any

import aws_cdk as cdk
import pytest

from conftest import ROOT
from offchain_stack import Settings, SettingsError

REQUIRED = (
    *("vpcId", "availabilityZones", "subnetIds", "routeTableIds", "mspId", "channel", "chaincode"),
    *("peers", "orderers", "tlsRoots", "users", "member"),
)

WRONG: dict[str, tuple[Any, ...]] = {
    "vpcId": ("", "subnet-0123", 7, None),
    "availabilityZones": ([], "us-east-1a", [1]),
    "subnetIds": (["vpc-0123"], "subnet-0123"),
    "routeTableIds": (["rtb-xyz"], {}),
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
    "tlsRoots": ("tls.pem", "s3://bucket", "-----BEGIN CERTIFICATE-----"),
    "users": ([], "lambdaUser", [""], [{"name": "lambdaUser"}], ["lambdaUser", "lambdaUser"], [7]),
    "member": ("", "member 1"),
    "secretNamePattern": ("dev/{member}/{user}", "dev/{part}", "dev/{user}/{part}/{kind}", "{user}/{part}/{"),
    "secretsKeyArn": ("alias/key",),
    "s3Endpoint": ("yes", True),
    "secretsManagerEndpoint": ("none",),
    "cloudWatchRole": (False,),
    "bucketName": ("My_Bucket",),
    "kmsKeyArn": ("1234abcd",),
    "noncurrentDays": (0, "30"),
    "sweepIntervalMinutes": (0, "hourly"),
    "urlExpiresMinutes": (0, 61),
    "verifyAllIntervalHours": (0, "weekly"),
    "throttlingRateLimit": (-1,),
    "throttlingBurstLimit": ("many",),
}

CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "subnetIds": {"subnetIds": ["subnet-0a", "subnet-0b", "subnet-0c"]},
    "routeTableIds": {"routeTableIds": ["rtb-0a"]},
    "endorsements": {"endorsements": 2},
    "kmsKeyArn": {
        "bucketName": "my-donor-images",
        "kmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    },
}


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_values(values)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", REQUIRED)
def test_missing(name: str, values: dict[str, Any]) -> None:
    message = refusal({key: value for key, value in values.items() if key != name})
    assert message.startswith(f"offchain.{name}: missing")
    assert "such as " in message


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, wrong in WRONG.items() for value in wrong])
def test_wrong(name: str, value: Any, values: dict[str, Any]) -> None:
    message = refusal({**values, name: value})
    assert message.startswith(f"offchain.{name}: wrong")
    assert "such as " in message


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictory(name: str, values: dict[str, Any]) -> None:
    message = refusal(values | CONTRADICTIONS[name])
    assert message.startswith(f"offchain.{name}: ")
    assert "such as " in message


def test_unknown(values: dict[str, Any]) -> None:
    assert refusal(values | {"mspID": "Org1MSP"}).startswith(
        "offchain.mspID: there is no such setting; known are vpcId,"
    )


@pytest.mark.parametrize("name", WRONG)
def test_every_example_is_right(name: str, values: dict[str, Any]) -> None:
    example = json.loads(refusal({**values, name: WRONG[name][0]}).partition("such as ")[2])
    Settings.from_values({**values, name: example})


def test_every_setting_is_in_the_table(values: dict[str, Any]) -> None:
    known = refusal({"": ""}).partition("known are ")[2].split(", ")
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
    assert line.startswith("offchain.channel: wrong. ")
