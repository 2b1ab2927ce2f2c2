"""The synthesized stack: what matters in it, its whole in a snapshot, and the rules it is checked against."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aws_cdk as cdk
import cfnlint.api
import pytest
from cdk_nag import AwsSolutionsChecks
from cfnlint.config import ManualArgs
from stack_template import Template, flat, normalised, of_type, only
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from offchain_stack import OffChainStack, Settings, acknowledgements


def test_is_as_reviewed(template: Template, snapshot: SnapshotAssertion) -> None:
    assert normalised(template) == snapshot.use_extension(JSONSnapshotExtension)


def test_cfn_lint_finds_nothing(template: Template) -> None:
    # W3005: CDK writes a DependsOn beside the reference to a role.
    arguments = ManualArgs(regions=["us-east-1"], ignore_checks=["W3005"])
    assert cfnlint.api.lint(json.dumps(template), config=arguments) == []


class TestBucket:
    def test_keeps_versions_encrypted_and_private(self, template: Template) -> None:
        bucket = only(template, "AWS::S3::Bucket")
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        encryption = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}

    def test_outlives_the_stack(self, template: Template) -> None:
        (resource,) = [each for each in template["Resources"].values() if each["Type"] == "AWS::S3::Bucket"]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")

    def test_expires_only_what_is_not_the_newest(self, template: Template) -> None:
        (rule,) = only(template, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
        assert rule == {
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
            "ExpiredObjectDeleteMarker": True,
        }

    def test_refuses_plain_http(self, template: Template) -> None:
        statements = only(template, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [
            each["Condition"] for each in statements if each["Effect"] == "Deny"
        ]


class TestGatewayEndpoint:
    def test_is_on_the_route_tables(self, template: Template, values: dict[str, Any]) -> None:
        assert endpoint(template, "Gateway")["RouteTableIds"] == values["routeTableIds"]

    def test_admits_what_the_functions_need_and_nothing_else(self, template: Template) -> None:
        statements = endpoint(template, "Gateway")["PolicyDocument"]["Statement"]
        admitted = {
            (action, flat(each["Resource"]))
            for each in statements
            for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        }
        (bucket,) = of_type(template, "AWS::S3::Bucket")
        objects = f"<{bucket}.Arn>/ngo-donor-images/*"
        chain = "us-east-1.managedblockchain/etc/managedblockchain-tls-chain.pem"
        assert admitted == {
            ("s3:PutObject", objects),
            ("s3:GetObject", objects),
            ("s3:GetObjectVersion", objects),
            ("s3:GetObjectVersionTagging", objects),
            ("s3:PutObjectVersionTagging", objects),
            ("s3:DeleteObjectVersion", objects),
            ("s3:ListBucketVersions", f"<{bucket}.Arn>"),
            ("s3:GetObject", f"arn:<AWS::Partition>:s3:::{chain}"),
        }
        for each in statements:
            assert each["Effect"] == "Allow"
            assert each["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}


class TestFunctions:
    def test_run_in_the_vpc_traced_and_logged(self, template: Template, values: dict[str, Any]) -> None:
        functions = of_type(template, "AWS::Lambda::Function")
        assert len(functions) == 6
        groups = set()
        for function in functions.values():
            assert function["Runtime"] == "python3.13"
            assert function["Architectures"] == ["x86_64"]
            assert function["TracingConfig"] == {"Mode": "Active"}
            assert function["VpcConfig"]["SubnetIds"] == values["subnetIds"]
            groups.update(flat(group) for group in function["VpcConfig"]["SecurityGroupIds"])
            assert flat(function["LoggingConfig"]["LogGroup"]).strip("<>") in of_type(template, "AWS::Logs::LogGroup")
        assert len(groups) == 6

    def test_have_time_to_answer_within_the_workflow(self, template: Template) -> None:
        assert timeouts(template) == {
            "upload_object.handler.handler": 10,
            "invoke_chaincode.handler.handler": 18,
            "query_ledger.handler.handler": 22,
            "verify_object.handler.handler": 20,
            "sweep.handler.handler": 300,
            "verify_all.handler.handler": 300,
        }

    def test_reach_only_the_ledgers_ports_and_https(self, template: Template) -> None:
        ports = {
            group["GroupDescription"]: [rule["FromPort"] for rule in group["SecurityGroupEgress"]]
            for group in of_type(template, "AWS::EC2::SecurityGroup").values()
            if "endpoint" not in group["GroupDescription"]
        }
        assert sorted(ports.values()) == [[443], [443], *[[443, 30001, 30003]] * 4]

    def test_environment_is_what_the_functions_read(
        self, template: Template, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
    ) -> None:
        from shared.identities import Identities
        from shared.record_type import RecordType

        by_handler = {
            each["Handler"].partition(".")[0]: each["Environment"]["Variables"]
            for each in of_type(template, "AWS::Lambda::Function").values()
        }
        signing = {"invoke_chaincode", "query_ledger", "sweep", "verify_all"}
        for name, environment in by_handler.items():
            record_type = RecordType.from_json(environment["RECORD_TYPE"])
            assert (record_type.identifying_field, record_type.max_data_bytes) == ("donorUserName", 184_320)
            assert ("FABRIC_NETWORK" in environment) == (name in signing)
            assert ("FABRIC_IDENTITIES" in environment) == (name in signing | {"upload_object"})
            assert ("S3_BUCKET" in environment) == (name not in {"invoke_chaincode", "query_ledger"})
        identities = Identities(by_handler["upload_object"]["FABRIC_IDENTITIES"])
        assert (identities.msp_id, identities.default_user) == (values["mspId"], "lambdaUser")
        functions = {"invoke": ["createDonor"], "query": ["queryDonor", "queryAllDonors"]}
        for name in ("upload_object", "invoke_chaincode"):
            assert json.loads(by_handler[name]["CHAINCODE_FUNCTIONS"]) == functions
        network = json.loads(by_handler["invoke_chaincode"]["FABRIC_NETWORK"])
        assert network["peers"] == values["peers"]
        assert network["orderers"] == values["orderers"]
        assert (network["channel"], network["chaincode"], network["endorsements"]) == ("mychannel", "ngo", 1)

    def test_log_groups_forget(self, template: Template) -> None:
        groups = of_type(template, "AWS::Logs::LogGroup")
        assert len(groups) == 11
        assert {group["RetentionInDays"] for group in groups.values()} == {90}


class TestApi:
    def test_logs_carry_no_body(self, template: Template) -> None:
        stage = only(template, "AWS::ApiGateway::Stage")
        assert stage["TracingEnabled"] is True
        (settings,) = stage["MethodSettings"]
        assert settings["DataTraceEnabled"] is False
        assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (50, 100)
        logged = json.loads(stage["AccessLogSetting"]["Format"]).values()
        private = ("input", "body", "header", "path}", "$context.path")
        assert not [value for value in logged if any(part in value for part in private)]

    def test_takes_signed_json_and_nothing_else(self, template: Template) -> None:
        methods = of_type(template, "AWS::ApiGateway::Method").values()
        assert sorted(method["HttpMethod"] for method in methods) == ["GET", "GET", "GET", "POST"]
        for method in methods:
            assert method["AuthorizationType"] == "AWS_IAM"
            assert method["Integration"]["PassthroughBehavior"] == "NEVER"
            assert list(method["Integration"]["RequestTemplates"]) == ["application/json"]
        assert only(template, "AWS::ApiGateway::RequestValidator")["ValidateRequestBody"] is True

    def test_the_model_quotes_no_data_and_admits_no_unknown_field(self, template: Template) -> None:
        schema = only(template, "AWS::ApiGateway::Model")["Schema"]
        arguments = schema["properties"]["chaincodeFunctionArgs"]
        assert schema["additionalProperties"] is arguments["additionalProperties"] is False
        assert arguments["properties"]["image"] == {"type": "string"}
        assert arguments["required"] == ["donorUserName", "email", "image"]
        assert arguments["properties"]["donorUserName"]["maxLength"] == 64

    def test_every_gateway_response_has_the_error_form(self, template: Template) -> None:
        responses = of_type(template, "AWS::ApiGateway::GatewayResponse").values()
        bodies = {each["ResponseType"]: json.loads(each["ResponseTemplates"]["application/json"]) for each in responses}
        assert all(set(body) == {"error", "message", "requestId"} for body in bodies.values())
        codes = {kind: body["error"] for kind, body in bodies.items()}
        statuses = {each["ResponseType"]: each.get("StatusCode") for each in responses}
        assert (statuses["INTEGRATION_TIMEOUT"], codes["INTEGRATION_TIMEOUT"]) == ("504", "OutcomeUnknown")
        assert (statuses["UNSUPPORTED_MEDIA_TYPE"], codes["UNSUPPORTED_MEDIA_TYPE"]) == ("400", "InvalidRequest")
        assert (statuses["MISSING_AUTHENTICATION_TOKEN"], codes["MISSING_AUTHENTICATION_TOKEN"]) == ("403", "Forbidden")
        assert (statuses["REQUEST_TOO_LARGE"], codes["REQUEST_TOO_LARGE"]) == ("413", "ImageTooLarge")
        assert (statuses["THROTTLED"], codes["THROTTLED"]) == ("429", "TooManyRequests")


def test_an_existing_buckets_key_may_be_used(values: dict[str, Any], context: dict[str, Any], tmp_path: Path) -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    app = cdk.App(context=context, outdir=str(tmp_path))
    settings = Settings.from_values(values | {"bucketName": "my-images", "kmsKeyArn": key})
    OffChainStack(app, "Stack", settings=settings)
    app.synth()
    template = json.loads((tmp_path / "Stack.template.json").read_text("utf-8"))
    granted = {
        (re.sub("Role.*", "", flat(policy["Roles"][0])).strip("<>"), *statement["Action"])
        if isinstance(statement["Action"], list)
        else (re.sub("Role.*", "", flat(policy["Roles"][0])).strip("<>"), statement["Action"])
        for policy in of_type(template, "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if flat(statement["Resource"]) == key
    }
    assert granted == {
        ("Upload", "kms:GenerateDataKey"),
        ("Verify", "kms:Decrypt"),
        ("VerifyAllFunction", "kms:Decrypt"),
    }


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), (None, None)],
)
def test_is_of_no_partition(
    region: str | None, partition: str | None, context: dict[str, Any], values: dict[str, Any], tmp_path: Path
) -> None:
    app = cdk.App(context=context, outdir=str(tmp_path))
    env = cdk.Environment(region=region, account="111122223333") if region else None
    OffChainStack(app, "Stack", settings=Settings.from_values(values), env=env)
    app.synth()
    found = set(re.findall(r"arn:(aws[a-z-]*):", (tmp_path / "Stack.template.json").read_text()))
    assert found <= {partition}


def test_cdk_nag_finds_what_is_acknowledged_and_nothing_else(
    context: dict[str, Any], values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledged: set[tuple[str, str]] = set()

    def of(construct: Any) -> Any:
        def acknowledge(*rules: Any) -> None:
            acknowledged.update((construct.node.path, rule.id) for rule in rules)
            cdk.Validations.of(construct).acknowledge(*rules)

        return SimpleNamespace(acknowledge=acknowledge)

    recorder = SimpleNamespace(Stack=cdk.Stack, Acknowledgment=cdk.Acknowledgment, Validations=SimpleNamespace(of=of))
    monkeypatch.setattr(acknowledgements, "cdk", recorder)
    app = cdk.App(context=context, outdir=str(tmp_path))
    OffChainStack(app, "OffChainStack", settings=Settings.from_values(values))
    key = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    env = cdk.Environment(region="us-gov-west-1", account="111122223333")
    OffChainStack(app, "OwnKeys", settings=Settings.from_values(values | {"kmsKeyArn": key}), env=env)
    OffChainStack(app, "OwnBucket", settings=Settings.from_values(values | {"bucketName": "my-images"}), env=env)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()  # raises where a finding is not acknowledged
    (report,) = json.loads((tmp_path / "validation-report.json").read_text())["pluginReports"]
    assert report["violations"] == []
    found = {(each["acknowledgedAt"], each["acknowledgedId"]) for each in report["suppressedViolations"]}
    assert found == acknowledged
    of_default = [(path, rule) for path, rule in found if path.startswith("OffChainStack/")]
    assert len(of_default) == 28
    assert all(len(each["violatingConstructs"]) == 1 for each in report["suppressedViolations"])


def endpoint(template: Template, kind: str) -> Any:
    (found,) = [each for each in of_type(template, "AWS::EC2::VPCEndpoint").values() if each["VpcEndpointType"] == kind]
    return found


def timeouts(template: Template) -> dict[str, int]:
    return {each["Handler"]: each["Timeout"] for each in of_type(template, "AWS::Lambda::Function").values()}
