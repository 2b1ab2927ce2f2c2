"""What a change of settings does to a deployment that is there, and two deployments beside each other."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from replacement import identities
from stack_template import Template, flat, of_type

from offchain_stack import OffChainStack, Settings

pytestmark = pytest.mark.long

MEMBER = {"networkId": "n-ABC", "memberId": "m-ABC", "nodeIds": ["nd-ABC"]}
EXPLICIT = ("mspId", "peers", "orderers", "tlsRoots")
KEPT = ("AWS::S3::Bucket", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Stage", "AWS::StepFunctions::StateMachine")
CHANGES: dict[str, dict[str, Any]] = {
    "a peer": {"peers": ["peer7.org1.example.com:7051"]},
    "an orderer": {"orderers": ["orderer7.example.com:7050"]},
    "TLS roots": {"tlsRoots": "s3://others/chain.pem"},
    "an MSP id": {"mspId": "Org2MSP"},
    "a user": {"users": ["lambdaUser", "auditor"]},
    "a secret": {"users": [{"name": "lambdaUser", "certificate": "new/certificate", "privateKey": "new/key"}]},
    "a channel and chaincode": {"channel": "other", "chaincode": "ngo2"},
    "endpoints kept": {"s3Endpoint": "keep", "secretsManagerEndpoint": "keep"},
    "security groups": {"securityGroupIds": ["sg-0123456789abcdef0"]},
}


def synthesize(values: dict[str, Any], folder: Path, name: str = "OffChainStack") -> Template:
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(folder))
    OffChainStack(app, name, settings=Settings.from_values(values))
    app.synth()
    return json.loads((folder / f"{name}.template.json").read_text("utf-8"))  # type: ignore[no-any-return]


def kept(template: Template) -> dict[str, Any]:
    """By logical id, what must stay the same for a resource not to be replaced."""
    return {name: each for name, each in identities(template).items() if each["type"] in KEPT}


@pytest.fixture(scope="module")
def before(values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Template:
    return synthesize(values, tmp_path_factory.mktemp("before"))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_settings_replaces_neither_bucket_nor_api_nor_state_machine(
    change: dict[str, Any], values: dict[str, Any], before: Template, tmp_path: Path
) -> None:
    after = synthesize(values | change, tmp_path)
    assert after != before
    assert kept(after) == kept(before)


def test_moving_to_and_from_managed_blockchain_replaces_neither(
    values: dict[str, Any], before: Template, tmp_path: Path
) -> None:
    managed = {key: value for key, value in values.items() if key not in EXPLICIT} | {"managedBlockchain": MEMBER}
    assert kept(synthesize(managed, tmp_path)) == kept(before)


def test_two_deployments_in_one_account_and_region_share_no_name(values: dict[str, Any], tmp_path: Path) -> None:
    one, other = (synthesize(values, tmp_path / name, name) for name in ("OffChainDev", "OffChainTest"))

    def names(template: Template) -> set[str]:
        return {
            f"{resource['Type']} {flat(value)}"
            for resource in template["Resources"].values()
            for key, value in resource.get("Properties", {}).items()
            if key
            in {"Name", "BucketName", "FunctionName", "RoleName", "LogGroupName", "StateMachineName", "PolicyName"}
            # A policy's name is its role's own, and a metric filter names the log group that it reads.
            and resource["Type"] not in ("AWS::IAM::Policy", "AWS::ApiGateway::Model", "AWS::Logs::MetricFilter")
        }

    assert len(of_type(one, "AWS::ApiGateway::RestApi")) == 1
    assert names(one)
    assert not names(one) & names(other)
