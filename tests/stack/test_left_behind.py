"""What a deployment that failed, or a stack that is gone, leaves in the account, and what names it must share."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from stack_template import Template, flat, of_type

from offchain_stack import OffChainStack, Settings
from sandbox.intrinsics import Resolver

KEPT = {"AWS::S3::Bucket", "AWS::Logs::LogGroup"}
"""Data: outlives a stack, but not the failure of the deployment that made it."""
ACCOUNTS = {"AWS::ApiGateway::Account", "AWS::IAM::Role"}
"""The account's role for API Gateway's logs, which other APIs may use by now."""


def physical_names(template: Template, *, region: str, account: str = "111122223333", stack_id: str) -> set[str]:
    """The names that are given, not made up by CloudFormation, and so are in a later stack's way."""
    resolver = Resolver(template, region=region, account=account, stack_name="OffChainStack")
    resolver._pseudo["AWS::StackId"] = f"arn:aws:cloudformation:{region}:{account}:stack/OffChainStack/{stack_id}"
    properties = ("BucketName", "FunctionName", "RoleName", "LogGroupName", "StateMachineName", "DashboardName")
    return {
        f"{resource['Type']} {resolver.resolve(resource['Properties'][name])}"
        for resource in template["Resources"].values()
        for name in properties
        # A metric filter names the log group that it reads.
        if name in resource.get("Properties", {}) and resource["Type"] != "AWS::Logs::MetricFilter"
    }


def test_data_is_kept_unless_the_deployment_that_made_it_fails(template: Template) -> None:
    for name, resource in template["Resources"].items():
        policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        if resource["Type"] in KEPT:
            assert policies == ("RetainExceptOnCreate", "Retain"), name
        elif "Retain" in policies:
            assert resource["Type"] in ACCOUNTS, name
            assert "CloudWatchRole" in json.dumps({name: resource}) or "Account" in name


def test_what_a_stack_left_is_in_no_later_stacks_way(template: Template) -> None:
    first, second = (physical_names(template, region="us-east-1", stack_id=each) for each in ("aaa-1", "bbb-2"))
    left = {each for each in first if each.split()[0] in KEPT}
    assert len(left) == 4
    assert not left & second


def test_a_second_region_of_the_account_has_a_dashboard_of_its_own(template: Template) -> None:
    names = [
        {each for each in physical_names(template, region=region, stack_id="aaa-1") if "Dashboard" in each}
        for region in ("us-east-1", "eu-central-1")
    ]
    assert all(len(each) == 1 for each in names)
    assert names[0] != names[1]
    (dashboard,) = of_type(template, "AWS::CloudWatch::Dashboard").values()
    assert flat(dashboard["DashboardName"]).endswith("-<AWS::Region>")


def test_workflows_log_where_the_accounts_policy_needs_no_entry_each(template: Template) -> None:
    groups = of_type(template, "AWS::Logs::LogGroup")
    machines = of_type(template, "AWS::StepFunctions::StateMachine").values()
    assert len(machines) == 4
    for machine in machines:
        (destination,) = machine["LoggingConfiguration"]["Destinations"]
        group = groups[destination["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]]
        assert flat(group["LogGroupName"]).startswith("/aws/vendedlogs/states/")


@pytest.mark.parametrize("names", [["OffChainDev", "OffChainTest"], ["A" * 128, "A" * 127]])
def test_no_two_workflows_share_a_log_group(names: list[str], values: dict[str, Any], tmp_path: Path) -> None:
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path))
    for name in names:
        OffChainStack(app, name, settings=Settings.from_values(values))
    app.synth()
    found = [
        flat(group["LogGroupName"])
        for name in names
        for group in of_type(
            json.loads((tmp_path / f"{name}.template.json").read_text()), "AWS::Logs::LogGroup"
        ).values()
        if "LogGroupName" in group
    ]
    assert len(found) == len(set(found)) == 8
    assert max(map(len, found)) < 300
