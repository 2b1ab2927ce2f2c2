"""Each construct alone, in another project's stack: the least statement that works, and what may be handed in."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from stack_template import Template, flat, of_type, only

from conftest import ROOT
from offchain_stack import (
    DONOR,
    Access,
    ChaincodeFunction,
    CreateWorkflow,
    DonorApi,
    Endpoint,
    FabricNetwork,
    FabricUser,
    OffChainApi,
    OffChainStore,
    QueryFunction,
    ReadWorkflow,
    UploadFunction,
    VerifyAllFunction,
    VerifyAllWorkflow,
    VerifyFunction,
)
from sandbox.fabric.msp import CertificateAuthority

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
PEM = (ROOT / "examples" / "settings" / "networks" / "tls" / "org1.pem").read_text()
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def foreign(app: cdk.App, name: str = "Foreign") -> tuple[cdk.Stack, ec2.Vpc]:
    stack = cdk.Stack(app, name)
    return stack, ec2.Vpc(stack, "Vpc", max_azs=2)


def network(scope: Any, **props: Any) -> FabricNetwork:
    least: dict[str, Any] = {
        "msp_id": "Org1MSP",
        "channel": "mychannel",
        "chaincode": "ngo",
        "peers": [Endpoint(address="peer0.org1.example.com:7051")],
        "orderers": [Endpoint(address="orderer.example.com:7050")],
        "tls_roots": PEM,
        "users": [FabricUser.from_secret_names("lambdaUser", member="org1")],
    }
    return FabricNetwork(scope, "Network", **(least | props))


def actions(template: Template) -> set[str]:
    """`action resource` of all statements of identity policies."""
    found = set()
    for policy in of_type(template, "AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            for action in statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]:
                resources = statement["Resource"]
                for resource in resources if isinstance(resources, list) else [resources]:
                    found.add(f"{action} {flat(resource)}")
    return found


class TestOffChainStore:
    def test_least_statement(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            OffChainStore(stack, "Store", vpc=vpc)

        template = synthesize(build)["Foreign"]
        tables = {name for name in of_type(template, "AWS::EC2::RouteTable") if "PrivateSubnet" in name}
        endpoint = only(template, "AWS::EC2::VPCEndpoint")
        assert {each["Ref"] for each in endpoint["RouteTableIds"]} == tables
        assert len(tables) == 2

    def test_chosen_subnets(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            OffChainStore(stack, "Store", vpc=vpc, subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC))

        endpoint = only(synthesize(build)["Foreign"], "AWS::EC2::VPCEndpoint")
        assert all("PublicSubnet" in each["Ref"] for each in endpoint["RouteTableIds"])

    def test_kept_endpoint(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            store = OffChainStore(stack, "Store", vpc=vpc, keep_endpoint=True)
            store.admit(actions=["s3:GetObject"], resources=["*"])

        assert not of_type(synthesize(build)["Foreign"], "AWS::EC2::VPCEndpoint")

    def test_existing_bucket(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "my-donor-images")
            store = OffChainStore(stack, "Store", vpc=vpc, bucket=bucket)
            store.grant_write(iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal()))

        template = synthesize(build)["Foreign"]
        assert not of_type(template, "AWS::S3::Bucket")
        objects = "arn:<AWS::Partition>:s3:::my-donor-images/ngo-donor-images/*"
        assert actions(template) == {f"s3:GetObject {objects}", f"s3:PutObject {objects}"}
        (statement,) = only(template, "AWS::EC2::VPCEndpoint")["PolicyDocument"]["Statement"]
        assert flat(statement["Resource"]) == objects

    def test_existing_bucket_takes_no_key(self) -> None:
        stack, vpc = foreign(cdk.App())
        bucket = s3.Bucket.from_bucket_name(stack, "Bucket", "my-donor-images")
        key = kms.Key.from_key_arn(stack, "Key", KEY)
        with pytest.raises(ValueError, match=r"^bucket: "):
            OffChainStore(stack, "Store", vpc=vpc, bucket=bucket, encryption_key=key)

    def test_customer_key(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            store = OffChainStore(stack, "Store", vpc=vpc, encryption_key=kms.Key.from_key_arn(stack, "Key", KEY))
            UploadFunction(stack, "Upload", vpc=vpc, bucket=store.bucket, network=network(stack))

        template = synthesize(build)["Foreign"]
        encryption = only(template, "AWS::S3::Bucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
        assert encryption == [{"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": default}]
        assert {each for each in actions(template) if each.startswith("kms:")} == {f"kms:GenerateDataKey {KEY}"}

    def test_access_logs(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            logs = s3.Bucket.from_bucket_name(stack, "Logs", "my-logs")
            OffChainStore(stack, "Store", vpc=vpc, access_log_bucket=logs)

        bucket = only(synthesize(build)["Foreign"], "AWS::S3::Bucket")
        assert bucket["LoggingConfiguration"]["DestinationBucketName"] == "my-logs"

    def test_grants(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            store = OffChainStore(stack, "Store", vpc=vpc)
            store.grant_delete_version(iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal()))

        template = synthesize(build)["Foreign"]
        (bucket,) = of_type(template, "AWS::S3::Bucket")
        assert actions(template) == {f"s3:DeleteObjectVersion <{bucket}.Arn>/ngo-donor-images/*"}


class TestFabricNetwork:
    def test_least_statement_makes_nothing(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            network(cdk.Stack(app, "Foreign"))

        assert not synthesize(build)["Foreign"].get("Resources")

    def test_secrets_endpoint_admits_the_users_secrets(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=network(stack, vpc=vpc))

        template = synthesize(build)["Foreign"]
        (statement,) = only(template, "AWS::EC2::VPCEndpoint")["PolicyDocument"]["Statement"]
        assert statement["Action"] == "secretsmanager:GetSecretValue"
        assert [flat(each).rpartition("/")[2] for each in statement["Resource"]] == ["signcert-??????", "pk-??????"]
        ingress = only(template, "AWS::EC2::SecurityGroupIngress")
        assert "ChaincodeSecurityGroup" in flat(ingress["SourceSecurityGroupId"])
        assert (ingress["FromPort"], ingress["ToPort"]) == (443, 443)

    def test_secrets_by_arn_with_a_customer_key(self, synthesize: Synthesize) -> None:
        partial = "arn:aws:secretsmanager:us-east-1:111122223333:secret:key"

        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            user = FabricUser(name="u", certificate=f"{partial}-AbCdEf", private_key=partial)
            key = kms.Key.from_key_arn(stack, "Key", KEY)
            role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
            network(stack, users=[user], secrets_key=key).grant_read_identities(role)

        assert actions(synthesize(build)["Foreign"]) == {
            f"secretsmanager:GetSecretValue {partial}-AbCdEf",
            f"secretsmanager:GetSecretValue {partial}-??????",
            f"kms:Decrypt {KEY}",
        }

    @pytest.mark.parametrize(
        ("props", "message"),
        [
            ({"peers": []}, "^peers: "),
            ({"orderers": []}, "^orderers: "),
            ({"users": []}, "^users: "),
            ({"endorsements": 2}, "^endorsements: 2 of 1 peers"),
            ({"endorsements": 0}, "^endorsements: "),
            ({"endorsing_organizations": 2}, "^endorsing_organizations: the peers are not of 2"),
            ({"endorsing_organizations": 0}, "^endorsing_organizations: "),
            ({"endorsing_organizations": "Org1MSP"}, "^endorsing_organizations: neither"),
            ({"endorsing_organizations": []}, "^endorsing_organizations: neither"),
            ({"endorsing_organizations": ["Org1MSP", "Org2MSP"]}, "^endorsing_organizations: no peer is of "),
            ({"tls_roots": "tls.pem"}, "^tls_roots: "),
        ],
    )
    def test_wrong_arguments_are_named(self, props: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            network(cdk.Stack(), **props)

    def test_tls_roots_too_long_for_an_environment(self) -> None:
        stack, vpc = foreign(cdk.App(context={"aws:cdk:bundling-stacks": []}))
        roots = "".join(CertificateAuthority.create(f"tlsca.{number}").pem for number in range(10))
        with pytest.raises(ValueError, match=r"^tls_roots.*s3://"):
            ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=network(stack, tls_roots=roots))

    @pytest.mark.parametrize(
        ("form", "damaged"),
        [
            (lambda pem: pem.replace("\n", " "), False),
            (lambda pem: "\ufeff" + pem.replace("\n", "\r"), False),
            (lambda pem: pem.replace("\n", "\\n"), False),
            (lambda pem: pem[:200], True),
            (lambda pem: pem + pem.replace("MII", "AAA"), True),
            (lambda pem: json.dumps({"pem": pem}), True),
            (lambda pem: pem + CertificateAuthority.create("a").issue("b")[1], True),
        ],
        ids=["blanks", "BOM and CR", "written out", "cut short", "the second is none", "JSON", "with a key"],
    )
    def test_tls_roots_are_made_canonical_or_refused_at_synth(self, form: Callable[[str], str], damaged: bool) -> None:
        if damaged:
            with pytest.raises(ValueError, match=r"^tls_roots: holds ") as refusal:
                network(cdk.Stack(), tls_roots=form(PEM))
            assert "PRIVATE KEY--" not in str(refusal.value)
            return
        told = network(cdk.Stack(), tls_roots=form(PEM)).network_environment["FABRIC_NETWORK"]
        assert json.loads(told)["tlsRoots"] == PEM


class TestFunctions:
    def test_least_statements(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            ledger = network(stack)
            UploadFunction(stack, "Upload", vpc=vpc, bucket=s3.Bucket(stack, "Bucket"), network=ledger)
            chaincode = ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=ledger, reserved_concurrency=5)
            chaincode.grant_invoke(iam.Role(stack, "Caller", assumed_by=iam.AccountRootPrincipal()))

        template = synthesize(build)["Foreign"]
        functions = of_type(template, "AWS::Lambda::Function").values()
        assert sorted(each["MemorySize"] for each in functions) == [512, 512]
        assert [each.get("ReservedConcurrentExecutions") for each in functions] == [None, 5]
        (chaincode,) = [name for name in of_type(template, "AWS::Lambda::Function") if name.startswith("Chaincode")]
        assert f"lambda:InvokeFunction <{chaincode}.Arn>" in actions(template)
        assert not [each for each in actions(template) if each.startswith("s3:GetObject arn")]

    def test_no_deadly_embrace_between_stacks(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            data, vpc = foreign(app, "Data")
            store = OffChainStore(data, "Store", vpc=vpc, encryption_key=kms.Key(data, "Key"))
            ledger = network(data, vpc=vpc, tls_roots="s3://chains/tls.pem")
            flow = cdk.Stack(app, "Flow")
            upload = UploadFunction(flow, "Upload", vpc=vpc, bucket=store.bucket, network=ledger)
            chaincode = ChaincodeFunction(flow, "Chaincode", vpc=vpc, network=ledger)
            workflow = CreateWorkflow(
                flow,
                "Workflow",
                upload_function=upload.function,
                chaincode_function=chaincode.function,
                bucket=store.bucket,
            )
            DonorApi(cdk.Stack(app, "Front"), "Api", state_machine=workflow.state_machine)

        templates = synthesize(build)
        assert set(templates) == {"Data", "Flow", "Front"}
        assert len(of_type(templates["Flow"], "AWS::EC2::SecurityGroupIngress")) == 2


class TestCreateWorkflow:
    def test_least_statement_with_foreign_functions(self, synthesize: Synthesize) -> None:
        arn = "arn:aws:lambda:us-east-1:111122223333:function:"

        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            workflow = CreateWorkflow(
                stack,
                "Workflow",
                upload_function=lambda_.Function.from_function_arn(stack, "Upload", f"{arn}upload"),
                chaincode_function=lambda_.Function.from_function_arn(stack, "Ngo", f"{arn}ngo"),
                bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "my-donor-images"),
            )
            workflow.grant_start_sync_execution(iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal()))

        template = synthesize(build)["Foreign"]
        (machine,) = of_type(template, "AWS::StepFunctions::StateMachine")
        assert {
            f"lambda:InvokeFunction {arn}upload",
            f"lambda:InvokeFunction {arn}ngo",
            "s3:DeleteObjectVersion arn:<AWS::Partition>:s3:::my-donor-images/ngo-donor-images/*",
            f"states:StartSyncExecution <{machine}>",
        } <= actions(template)


def machine(scope: Any) -> sfn.IStateMachine:
    arn = "arn:aws:states:us-east-1:111122223333:stateMachine:create"
    return sfn.StateMachine.from_state_machine_arn(scope, "StateMachine", arn)


class TestDonorApi:
    def test_least_statement(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            api = DonorApi(stack, "Api", state_machine=machine(stack))
            api.grant_create(iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal()))

        template = synthesize(build)["Foreign"]
        assert [each for each in actions(template) if each.startswith("execute-api:Invoke") and "/POST/donors" in each]

    def test_imported_api(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            api = apigateway.RestApi.from_rest_api_attributes(
                stack, "RestApi", rest_api_id="abc123", root_resource_id="root1"
            )
            assert DonorApi(stack, "Api", state_machine=machine(stack), rest_api=api).url is None

        template = synthesize(build)["Foreign"]
        for kind in ("RestApi", "Stage", "Deployment", "GatewayResponse", "Account"):
            assert not of_type(template, f"AWS::ApiGateway::{kind}")
        assert only(template, "AWS::ApiGateway::Resource")["ParentId"] == "root1"
        assert only(template, "AWS::ApiGateway::Method")["RestApiId"] == "abc123"

    def test_api_of_the_same_stack(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            DonorApi(stack, "Api", state_machine=machine(stack), rest_api=apigateway.RestApi(stack, "RestApi"))

        template = synthesize(build)["Foreign"]
        (method,) = of_type(template, "AWS::ApiGateway::Method")
        (deployment,) = [
            each for each in template["Resources"].values() if each["Type"] == "AWS::ApiGateway::Deployment"
        ]
        assert method in deployment["DependsOn"]

    def test_own_authorizer(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            handler = lambda_.Function.from_function_arn(
                stack, "Handler", "arn:aws:lambda:us-east-1:111122223333:function:authorizer"
            )
            access = Access(authorizer=apigateway.TokenAuthorizer(stack, "Authorizer", handler=handler))
            api = OffChainApi(stack, "Shared", access=access, cloud_watch_role=False)
            DonorApi(stack, "Api", state_machine=machine(stack), api=api)

        template = synthesize(build)["Foreign"]
        assert only(template, "AWS::ApiGateway::Method")["AuthorizationType"] == "CUSTOM"
        assert not of_type(template, "AWS::ApiGateway::Account")

    def test_a_changed_answer_is_deployed(self, synthesize: Synthesize) -> None:
        """A deployment is a snapshot: where its logical id stayed, a changed template would never go live."""

        def deployment(record_type: Any) -> str:
            def build(app: cdk.App) -> None:
                stack = cdk.Stack(app, "Foreign")
                DonorApi(stack, "Api", state_machine=machine(stack), record_type=record_type)

            (name,) = of_type(synthesize(build)["Foreign"], "AWS::ApiGateway::Deployment")
            return name

        fewer = dataclasses.replace(DONOR, max_data_bytes=1_024)
        assert deployment(DONOR) == deployment(DONOR)
        assert deployment(DONOR) != deployment(fewer)


class TestReading:
    def test_least_statements(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            store = OffChainStore(stack, "Store", vpc=vpc)
            store.admit_read()
            query = QueryFunction(stack, "Query", vpc=vpc, network=network(stack))
            verify = VerifyFunction(stack, "Verify", vpc=vpc, bucket=store.bucket)
            read = ReadWorkflow(stack, "Read", query_function=query.function, verify_function=verify.function)
            api = DonorApi(
                stack,
                "Api",
                state_machine=machine(stack),
                read_state_machine=read.state_machine,
            )
            caller = iam.Role(stack, "Caller", assumed_by=iam.AccountRootPrincipal())
            api.grant_read(caller)
            store.grant_read(caller)

        template = synthesize(build)["Foreign"]
        granted = actions(template)
        for path in ("/GET/donors", "/GET/donors/*", "/GET/transactions/*"):
            assert [each for each in granted if each.startswith("execute-api:Invoke") and each.endswith(path)]
        assert not [each for each in granted if "/POST/" in each]
        assert "s3:GetObjectVersion <StoreBucket4FBDE984.Arn>/ngo-donor-images/*" in granted

    def test_a_customer_key_may_be_used_to_decrypt_alone(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            key = kms.Key.from_key_arn(stack, "Key", KEY)
            store = OffChainStore(stack, "Store", vpc=vpc, encryption_key=key)
            VerifyFunction(stack, "Verify", vpc=vpc, bucket=store.bucket)

        granted = actions(synthesize(build)["Foreign"])
        assert {each for each in granted if each.startswith("kms:")} == {f"kms:Decrypt {KEY}"}

    def test_without_a_read_state_machine_nothing_can_be_read(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Foreign")
            assert not DonorApi(stack, "Api", state_machine=machine(stack)).read_methods

        assert only(synthesize(build)["Foreign"], "AWS::ApiGateway::Method")["HttpMethod"] == "POST"

    @pytest.mark.parametrize("hours", [None, 24])
    def test_everything_is_verified_by_schedule_only_where_one_is_given(
        self, synthesize: Synthesize, hours: int | None
    ) -> None:
        def build(app: cdk.App) -> None:
            stack, vpc = foreign(app)
            store = OffChainStore(stack, "Store", vpc=vpc)
            function = VerifyAllFunction(stack, "All", vpc=vpc, bucket=store.bucket, network=network(stack))
            schedule = events.Schedule.rate(cdk.Duration.hours(hours)) if hours else None
            VerifyAllWorkflow(stack, "Workflow", verify_all_function=function.function, schedule=schedule)

        rules = of_type(synthesize(build)["Foreign"], "AWS::Events::Rule")
        assert [rule["ScheduleExpression"] for rule in rules.values()] == (["rate(1 day)"] if hours else [])


class TestRecordType:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"identifying_field": "name"}, "^identifying_field: "),
            ({"data_field": "email"}, "^data_field: "),
            ({"key_prefix": "donors"}, "^key_prefix: "),
        ],
    )
    def test_contradictions_are_named(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(DONOR, **change)
