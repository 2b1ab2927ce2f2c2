"""Reading an assembly: intrinsics, what is run from it, the cache, and the error for what cannot run."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.assembly import Assembly, load, snapshot, synthesize, synthesized
from sandbox.errors import SandboxError
from sandbox.intrinsics import Resolver

TEMPLATE: dict[str, Any] = {
    "Parameters": {"Stage": {"Default": "prod"}, "Open": {}},
    "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}, "No": {"Fn::Not": [{"Condition": "IsProd"}]}},
    "Mappings": {"Map": {"us-east-1": {"value": "mapped"}}},
    "Resources": {
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {}},
        "Alias": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Function"}, "Name": "live"}},
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Fn::Sub": "b-${Stage}-${AWS::Region}"}}},
        "Other": {"Type": "AWS::S3::Bucket"},
        "Machine": {"Type": "AWS::StepFunctions::StateMachine"},
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "a/b"}},
        "Role": {"Type": "AWS::IAM::Role"},
        "Queue": {"Type": "AWS::SQS::Queue"},
    },
}


@pytest.fixture
def resolver() -> Resolver:
    return Resolver(TEMPLATE, region="us-east-1", account="123456789012", stack_name="Stack")


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ("text", "text"),
        ({"Ref": "Stage"}, "prod"),
        ({"Ref": "AWS::AccountId"}, "123456789012"),
        ({"Ref": "Function"}, "Function"),
        ({"Ref": "Other"}, "sandbox-other"),
        ({"Ref": "Machine"}, "arn:aws:states:us-east-1:123456789012:stateMachine:Machine"),
        ({"Ref": "Secret"}, "arn:aws:secretsmanager:us-east-1:123456789012:secret:a/b"),
        ({"Ref": "Alias"}, "arn:aws:lambda:us-east-1:123456789012:function:Function:live"),
        ({"Fn::GetAtt": ["Function", "Arn"]}, "arn:aws:lambda:us-east-1:123456789012:function:Function"),
        ({"Fn::GetAtt": "Role.Arn"}, "arn:aws:iam::123456789012:role/Role"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::b-prod-us-east-1"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}]]}, "a-prod"),
        ({"Fn::Sub": "${Bucket}/${Function.Arn}/${!Literal}"}, None),
        ({"Fn::Sub": ["${x}-${Stage}", {"x": {"Ref": "Function"}}]}, "Function-prod"),
        ({"Fn::Select": ["1", {"Fn::Split": ["/", "a/b/c"]}]}, "b"),
        ({"Fn::If": ["IsProd", 1, 2]}, 1),
        ({"Fn::If": ["No", 1, 2]}, 2),
        ({"Fn::FindInMap": ["Map", {"Ref": "AWS::Region"}, "value"]}, "mapped"),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [{"Ref": "AWS::NoValue"}, 1]}, {"b": [1]}),
        ({"Condition": {"StringEquals": {}}}, {"Condition": {"StringEquals": {}}}),
    ],
)
def test_an_intrinsic_becomes_the_name_in_the_sandbox(resolver: Resolver, value: object, resolved: object) -> None:
    if resolved is None:
        resolved = "b-prod-us-east-1/arn:aws:lambda:us-east-1:123456789012:function:Function/${Literal}"
    assert resolver.resolve(value) == resolved


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue"),
        ({"Ref": "Nobody"}, "'Nobody'"),
        ({"Ref": "Open"}, "parameter Open has no default"),
        ({"Fn::GetAtt": ["Bucket", "WebsiteURL"]}, "Bucket.WebsiteURL"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "no ARN for Queue, a AWS::SQS::Queue"),
    ],
)
def test_what_the_sandbox_does_not_know_is_named(resolver: Resolver, value: object, says: str) -> None:
    with pytest.raises(SandboxError, match=says):
        resolver.resolve(value)


def test_the_stack_has_what_the_sandbox_runs(assembly: Assembly) -> None:
    functions = {function.handler: function for function in assembly.functions.values()}
    upload, chaincode = functions["upload_object.handler.handler"], functions["invoke_chaincode.handler.handler"]
    assert upload.environment["S3_BUCKET"] == assembly.buckets[0].name
    method = assembly.rest_api.methods["/donors"]["POST"]
    (machine,) = [
        each for each in assembly.state_machines.values() if each.arn in method.request_templates["application/json"]
    ]
    assert machine.kind == "EXPRESS"
    assert upload.arn in machine.definition
    assert chaincode.arn in machine.definition
    assert (method.authorization, method.validates_body, method.passthrough) == ("AWS_IAM", True, "NEVER")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An app that writes an assembly of what it was given, and counts its runs."""
    root = tmp_path / "repository"
    for folder in ("offchain_stack", "lambda_src"):
        (root / folder).mkdir(parents=True)
        (root / folder / "code.py").write_text("1")
    (root / "cdk.json").write_text(json.dumps({"context": {"given": "value"}}))
    (root / "app.py").write_text(
        "import os, pathlib\n"
        "with open('runs', 'a') as runs: runs.write('x')\n"
        "out = pathlib.Path(os.environ['CDK_OUTDIR']); out.mkdir()\n"
        "(out / 'context.json').write_text(os.environ['CDK_CONTEXT_JSON'])\n"
    )
    return root


def test_synthesizing_skips_bundling_and_is_done_once_for_the_same_input(repository: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    folder = synthesize(root=repository, cache=cache)
    assert json.loads((folder / "context.json").read_text()) == {"given": "value", "aws:cdk:bundling-stacks": []}
    assert synthesize(root=repository, cache=cache) == folder
    assert (repository / "runs").read_text() == "x"
    (repository / "lambda_src" / "code.py").write_text("2")
    assert synthesize(root=repository, cache=cache) != folder
    assert (repository / "runs").read_text() == "xx"


def test_a_settings_file_takes_part_and_the_app_is_run_each_time(repository: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    for _ in range(2):
        with synthesized(settings, root=repository) as folder:
            context = json.loads((folder / "context.json").read_text())
        assert not folder.exists()
    assert context == {"given": "value", "offchainSettings": str(settings), "aws:cdk:bundling-stacks": []}
    assert (repository / "runs").read_text() == "xx"


def test_an_app_that_fails_says_why_and_leaves_no_assembly(repository: Path, tmp_path: Path) -> None:
    (repository / "app.py").write_text("raise SystemExit('offchain.mspId is missing')")
    for _ in range(2):
        with pytest.raises(SandboxError, match=r"offchain\.mspId is missing"):
            synthesize(root=repository, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("raise SystemExit('offchain.mspId: missing')", 1),
        ("raise ValueError('offchain.mspId: missing')", 1),
        ("1/0", 5),
    ],
)
def test_only_a_mistake_of_the_apps_own_comes_with_its_traceback(repository: Path, code: str, lines: int) -> None:
    (repository / "app.py").write_text(code)
    with pytest.raises(SandboxError) as failed, synthesized(Path("settings.yaml"), root=repository):
        pass
    assert len(str(failed.value).splitlines()) >= lines
    assert lines > 1 or str(failed.value) == "app.py could not be synthesized: offchain.mspId: missing"


def test_a_functions_code_is_a_copy_by_content(tmp_path: Path) -> None:
    asset, cache = tmp_path / "asset", tmp_path / "cache"
    (asset / "__pycache__").mkdir(parents=True)
    (asset / "code.py").write_text("1")
    first = snapshot(asset, cache=cache)
    (asset / "code.py").write_text("2")
    assert (first / "code.py").read_text() == "1"
    assert not (first / "__pycache__").exists()
    assert snapshot(asset, cache=cache) != first


def write(folder: Path, stacks: dict[str, Any], resources: dict[str, Any]) -> Path:
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://unknown-account/unknown-region",
        "properties": {"templateFile": "template.json"},
    }
    (folder / "manifest.json").write_text(
        json.dumps({"artifacts": {name: stack | more for name, more in stacks.items()}})
    )
    (folder / "template.json").write_text(json.dumps({"Resources": resources}))
    return folder


@pytest.mark.parametrize(
    ("stacks", "resources", "says"),
    [
        ({}, {}, "has 0 stacks"),
        ({"A": {}, "B": {}}, {}, r"has 2 stacks \(A, B\)"),
        ({"A": {}}, {}, "has 0 REST APIs"),
        (
            {"A": {}},
            {
                "F": {
                    "Type": "AWS::Lambda::Function",
                    "Properties": {"Code": {"ZipFile": ""}, "Runtime": "python3.13", "Handler": "a.b"},
                }
            },
            "code of function F is no folder",
        ),
    ],
)
def test_an_assembly_that_cannot_run_is_refused(
    tmp_path: Path, stacks: dict[str, Any], resources: dict[str, Any], says: str
) -> None:
    with pytest.raises(SandboxError, match=says):
        load(write(tmp_path, stacks, resources))


def test_a_folder_that_is_no_assembly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"no manifest\.json"):
        load(tmp_path)
