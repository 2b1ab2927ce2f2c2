"""ExistingMethod in another project's stack: what it makes, what its roles may do, and cdk-nag's rules on it."""

import dataclasses
import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aws_cdk as cdk
import botocore.session
import pytest
from adopt_method import rest_api
from adopt_method.adoption import Wanted
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from cdk_nag import AwsSolutionsChecks
from stack_template import Template, flat, of_type, only

from offchain_stack import DONOR, DonorApi, ExistingMethod, acknowledgements

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
MACHINE = "arn:aws:states:us-east-1:111122223333:stateMachine:create"
KEY = "adopted-methods/abc123/prod/POST/donors.json"
API = "arn:<AWS::Partition>:apigateway:<AWS::Region>::/restapis/abc123"


def adopt(stack: cdk.Stack, api_id: str = "abc123", **props: Any) -> ExistingMethod:
    """The least statement, with `props` changed."""
    least: dict[str, Any] = {
        "rest_api": apigateway.RestApi.from_rest_api_id(stack, "RestApi", api_id),
        "stage_name": "prod",
        "state_machine": sfn.StateMachine.from_state_machine_arn(stack, "StateMachine", MACHINE),
        "backup_bucket": s3.Bucket.from_bucket_name(stack, "Bucket", "my-donor-images"),
    }
    return ExistingMethod(stack, "Donors", **(least | props))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("assembly")
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(folder))
    adopt(cdk.Stack(app, "Foreign"))
    app.synth()
    return json.loads((folder / "Foreign.template.json").read_text())  # type: ignore[no-any-return]


def resolved(value: Any) -> Any:
    """Properties as CloudFormation hands them to a custom resource: intrinsics as text, and each number, too."""
    match value:
        case {"Fn::Join": _} | {"Ref": _} | {"Fn::GetAtt": _}:
            return flat(value)
        case dict():
            return {name: resolved(part) for name, part in value.items()}
        case list():
            return [resolved(part) for part in value]
        case _:
            return str(value)


def statements(template: Template, role: str) -> set[tuple[str, str, str]]:
    """(action, resource, condition) of what the role whose logical id has `role` in it may do."""
    (document,) = [
        policy["PolicyDocument"]
        for name, policy in of_type(template, "AWS::IAM::Policy").items()
        if re.match(rf"DonorsTarget[0-9a-f]{{8}}(Handler)?{role}DefaultPolicy", name)
    ]
    found = set()
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        actions, resources = statement["Action"], statement["Resource"]
        for action in actions if isinstance(actions, list) else [actions]:
            for resource in resources if isinstance(resources, list) else [resources]:
                condition = json.dumps(statement["Condition"]) if "Condition" in statement else ""
                name = re.sub(
                    r"<DonorsTarget[0-9a-f]{8}(?:Handler)?(\w+?)[0-9A-F]{8}(\.Arn)?>", r"<\1>", flat(resource)
                )
                found.add((action, name, condition))
    return found


class TestTemplate:
    def test_touches_the_api_by_the_custom_resource_alone(self, template: Template) -> None:
        types = {each["Type"] for each in template["Resources"].values()}
        assert types == {
            "AWS::IAM::Role",
            "AWS::IAM::Policy",
            "AWS::Lambda::Function",
            "AWS::Logs::LogGroup",
            "Custom::AdoptedMethod",
        }

    def test_has_the_integration_that_the_api_of_its_own_has(self, template: Template, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Own")
            machine = sfn.StateMachine.from_state_machine_arn(stack, "StateMachine", MACHINE)
            DonorApi(stack, "Api", state_machine=machine)

        own = only(synthesize(build)["Own"], "AWS::ApiGateway::Method")
        adopted = only(template, "Custom::AdoptedMethod")
        roles = {"Credentials": None}
        responses = {"IntegrationResponses": adopted["IntegrationResponses"]}
        assert own["Integration"] | roles == adopted["Integration"] | responses | roles
        assert adopted["MethodResponses"] == [each["StatusCode"] for each in own["MethodResponses"]]

    def test_is_what_the_function_reads(self, template: Template) -> None:
        properties = resolved(only(template, "Custom::AdoptedMethod"))
        wanted = Wanted.from_properties(properties)
        assert wanted.target.physical_id == "abc123/prod/POST/donors"
        assert (wanted.bucket, wanted.key) == ("my-donor-images", KEY)
        assert wanted.integration["timeoutInMillis"] == 29_000
        assert wanted.integration["uri"].endswith(":states:action/StartSyncExecution")
        assert re.fullmatch(r"<DonorsTarget\w+Role\w+\.Arn>", wanted.integration["credentials"])
        assert set(wanted.integration["integrationResponses"]) <= set(wanted.statuses)
        # CloudFormation's event has them twice at most, and may have 256 KB.
        assert len(json.dumps(properties)) < 20_000

    def test_the_right_to_start_the_workflow_is_there_before_and_goes_after(self, template: Template) -> None:
        (resource,) = [each for each in template["Resources"].values() if each["Type"] == "Custom::AdoptedMethod"]
        assert [name for name in resource["DependsOn"] if "RoleDefaultPolicy" in name]

    def test_another_target_has_resources_of_its_own(self, synthesize: Synthesize, tmp_path: Path) -> None:
        """CloudFormation makes the new ones first; the former function still has its rights when it puts back."""

        def names(**props: Any) -> set[str]:
            def build(app: cdk.App) -> None:
                adopt(cdk.Stack(app, "Foreign"), **props)

            return set(synthesize(build)["Foreign"]["Resources"])

        least = names()
        assert names(record_type=dataclasses.replace(DONOR, max_data_bytes=1_024)) == least
        for other in ({"api_id": "def456"}, {"path": "/ngos"}, {"http_method": "PUT"}, {"stage_name": "dev"}):
            assert not names(**other) & least

    @pytest.mark.parametrize(
        ("props", "message"),
        [({"path": "donors"}, r"^path: 'donors' must"), ({"http_method": "post"}, r"^http_method: 'post' is not one")],
    )
    def test_wrong_arguments_are_named(self, props: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            adopt(cdk.Stack(cdk.App(context={"aws:cdk:bundling-stacks": []})), **props)


class TestLeastPrivilege:
    def test_of_the_function(self, template: Template) -> None:
        method = f"{API}/resources/*/methods/POST"
        changed = [f"{method}/integration", f"{method}/integration/responses/*", f"{method}/responses/*"]
        passed = json.dumps({"StringEquals": {"iam:PassedToService": "apigateway.amazonaws.com"}})
        listed = json.dumps({"StringEquals": {"s3:prefix": KEY}})
        bucket = "arn:<AWS::Partition>:s3:::my-donor-images"
        readable = ["resources", "resources/*/methods/POST", "stages", "stages/prod", "deployments/*"]
        assert statements(template, "FunctionRole") == {
            *(("apigateway:GET", f"{API}/{path}", "") for path in readable),
            *(("apigateway:PUT", path, "") for path in changed),
            *(("apigateway:DELETE", path, "") for path in [*changed, f"{API}/deployments/*"]),
            ("apigateway:POST", f"{API}/deployments", ""),
            ("apigateway:PATCH", f"{API}/stages/prod", ""),
            ("iam:PassRole", "<Role>", passed),
            *((f"s3:{action}", f"{bucket}/{KEY}", "") for action in ("DeleteObject", "GetObject", "PutObject")),
            ("s3:ListBucket", bucket, listed),
            *((f"logs:{action}", "<Logs>", "") for action in ("CreateLogStream", "PutLogEvents")),
        }

    def test_each_call_of_the_function_is_allowed_and_no_other(self, template: Template) -> None:
        source = Path(rest_api.__file__).read_text()
        called = set(re.findall(r"_client\.((?:get|put|delete|create|update)_\w+)", source)) - {"get_paginator"}
        called |= set(re.findall(r'get_paginator\("(\w+)"\)', source))
        model = botocore.session.get_session().get_service_model("apigateway")
        ids = {
            "restapi_id": "abc123",
            "stage_name": "prod",
            "http_method": "POST",
            "resource_id": "r1",
            "deployment_id": "d1",
            "status_code": "200",
        }
        operations = {
            re.sub(r"[A-Z]", lambda upper: f"_{upper[0].lower()}", name)[1:]: name for name in model.operation_names
        }
        calls = set()
        for name in called:
            http = model.operation_model(operations[name]).http
            calls.add((http["method"], http["requestUri"].format(**ids)))
        granted = {
            (action.removeprefix("apigateway:"), resource.removeprefix(API.removesuffix("/restapis/abc123")))
            for action, resource, _ in statements(template, "FunctionRole")
            if action.startswith("apigateway:")
        }
        assert len(calls) == 14
        assert {call for call in calls if not any(allows(each, call) for each in granted)} == set()
        assert {each for each in granted if not any(allows(each, call) for call in calls)} == set()

    def test_of_the_others(self, template: Template) -> None:
        assert statements(template, "Role") == {("states:StartSyncExecution", MACHINE, "")}
        assert statements(template, "ProviderRole") == {
            ("lambda:InvokeFunction", "<Function>", ""),
            ("lambda:GetFunction", "<Function>", ""),
            *((f"logs:{action}", "<ProviderLogs>", "") for action in ("CreateLogStream", "PutLogEvents")),
        }
        roles = of_type(template, "AWS::IAM::Role").values()
        assert not [role for role in roles if "ManagedPolicyArns" in role or "Policies" in role]
        services = [role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"] for role in roles]
        assert sorted(services) == ["apigateway.amazonaws.com", "lambda.amazonaws.com", "lambda.amazonaws.com"]

    def test_with_an_original_role_a_key_and_a_caller(self, synthesize: Synthesize) -> None:
        role, key = "arn:aws:iam::111122223333:role/ngo", "arn:aws:kms:us-east-1:111122223333:key/1234"

        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            bucket = s3.Bucket(stack, "Keyed", encryption_key=kms.Key.from_key_arn(stack, "Key", key))
            original = iam.Role.from_role_arn(stack, "Original", role)
            method = adopt(stack, backup_bucket=bucket, original_role=original)
            method.grant_create(iam.Role(stack, "Caller", assumed_by=iam.AccountRootPrincipal()))

        template = synthesize(build)["Foreign"]
        granted = {(action, resource) for action, resource, _ in statements(template, "FunctionRole")}
        assert {("iam:PassRole", role), ("kms:Decrypt", key), ("kms:GenerateDataKey", key)} <= granted
        assert only(template, "Custom::AdoptedMethod")["PassableRoles"] == [role]
        (caller,) = [each for name, each in of_type(template, "AWS::IAM::Policy").items() if name.startswith("Caller")]
        assert flat(caller["PolicyDocument"]["Statement"][0]["Resource"]).endswith(":abc123/prod/POST/donors")


def allows(granted: tuple[str, str], call: tuple[str, str]) -> bool:
    return granted[0] == call[0] and fnmatchcase(call[1], granted[1])


def test_cdk_nag_finds_what_is_acknowledged_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acknowledged: set[tuple[str, str]] = set()

    def of(construct: Any) -> Any:
        def acknowledge(*rules: Any) -> None:
            acknowledged.update((construct.node.path, rule.id) for rule in rules)
            cdk.Validations.of(construct).acknowledge(*rules)

        return SimpleNamespace(acknowledge=acknowledge)

    recorder = SimpleNamespace(Stack=cdk.Stack, Acknowledgment=cdk.Acknowledgment, Validations=SimpleNamespace(of=of))
    monkeypatch.setattr(acknowledgements, "cdk", recorder)
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path))
    adopt(cdk.Stack(app, "Foreign"))
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()  # raises where a finding is not acknowledged
    (report,) = json.loads((tmp_path / "validation-report.json").read_text())["pluginReports"]
    assert report["violations"] == []
    found = {(each["acknowledgedAt"], each["acknowledgedId"]) for each in report["suppressedViolations"]}
    assert found == acknowledged
    assert len(found) == 6
    assert all(len(each["violatingConstructs"]) == 1 for each in report["suppressedViolations"])
