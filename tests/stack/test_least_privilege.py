"""Every IAM statement of the stack, walked: who may do what, and nowhere more than that."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from stack_template import Template, aslist, flat, of_type
from test_constructs import network

from offchain_stack import OffChainStack, Settings

ANY = "*"
EC2 = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
XRAY = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
LOG_DELIVERY = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
}
SECRET = "arn:<AWS::Partition>:secretsmanager:<AWS::Region>:<AWS::AccountId>:secret:dev/fabricOrgs/member1/lambdaUser"
CHAIN = "arn:<AWS::Partition>:s3:::us-east-1.managedblockchain/etc/managedblockchain-tls-chain.pem"


def grants(template: Template, effect: str) -> Iterator[tuple[str, str, str]]:
    """(construct, action, resource) of each identity policy's statements."""
    policies = {
        name: (flat(policy["Roles"][0]), policy["PolicyDocument"])
        for name, policy in of_type(template, "AWS::IAM::Policy").items()
    }
    for role, document in policies.values():
        construct = re.sub(r"Role[0-9A-F]{8}", "", role.strip("<>"))
        for statement in document["Statement"]:
            assert "NotAction" not in statement
            assert "NotResource" not in statement
            if statement["Effect"] == effect:
                for action in aslist(statement["Action"]):
                    for resource in aslist(statement["Resource"]):
                        yield construct, action, re.sub(r"[0-9A-F]{8}\b", "", flat(resource))


def test_each_role_may_do_what_its_part_needs_and_nothing_else(template: Template) -> None:
    objects = "<StoreBucket.Arn>/ngo-donor-images/*"
    assert set(grants(template, "Allow")) == {
        *(("Upload", action, ANY) for action in EC2 | XRAY),
        *(("Upload", action, "<UploadLogs.Arn>") for action in ("logs:CreateLogStream", "logs:PutLogEvents")),
        ("Upload", "s3:PutObject", objects),
        ("Upload", "s3:GetObject", objects),
        ("Upload", "secretsmanager:GetSecretValue", f"{SECRET}/signcert-??????"),
        *(("Chaincode", action, ANY) for action in EC2 | XRAY),
        *(("Chaincode", action, "<ChaincodeLogs.Arn>") for action in ("logs:CreateLogStream", "logs:PutLogEvents")),
        ("Chaincode", "secretsmanager:GetSecretValue", f"{SECRET}/signcert-??????"),
        ("Chaincode", "secretsmanager:GetSecretValue", f"{SECRET}/pk-??????"),
        ("Chaincode", "s3:GetObject", CHAIN),
        *(("Workflow", action, ANY) for action in LOG_DELIVERY | XRAY),
        ("Workflow", "lambda:InvokeFunction", "<UploadFunction.Arn>"),
        ("Workflow", "lambda:InvokeFunction", "<ChaincodeFunction.Arn>"),
        ("Workflow", "s3:DeleteObjectVersion", objects),
        *(("SweepFunction", action, ANY) for action in EC2 | XRAY),
        *(
            ("SweepFunction", action, "<SweepFunctionLogs.Arn>")
            for action in ("logs:CreateLogStream", "logs:PutLogEvents")
        ),
        ("SweepFunction", "secretsmanager:GetSecretValue", f"{SECRET}/signcert-??????"),
        ("SweepFunction", "secretsmanager:GetSecretValue", f"{SECRET}/pk-??????"),
        ("SweepFunction", "s3:GetObject", CHAIN),
        ("SweepFunction", "s3:ListBucketVersions", "<StoreBucket.Arn>"),
        ("SweepFunction", "s3:GetObjectVersion", objects),
        ("SweepFunction", "s3:GetObjectVersionTagging", objects),
        ("SweepFunction", "s3:PutObjectVersionTagging", objects),
        ("SweepFunction", "s3:DeleteObjectVersion", objects),
        *(("Sweep", action, ANY) for action in LOG_DELIVERY | XRAY),
        ("Sweep", "lambda:InvokeFunction", "<SweepFunction.Arn>"),
        ("SweepStateMachineEvents", "states:StartExecution", "<SweepStateMachine>"),
        *(("Query", action, ANY) for action in EC2 | XRAY),
        *(("Query", action, "<QueryLogs.Arn>") for action in ("logs:CreateLogStream", "logs:PutLogEvents")),
        ("Query", "secretsmanager:GetSecretValue", f"{SECRET}/signcert-??????"),
        ("Query", "secretsmanager:GetSecretValue", f"{SECRET}/pk-??????"),
        ("Query", "s3:GetObject", CHAIN),
        *(("Verify", action, ANY) for action in EC2 | XRAY),
        *(("Verify", action, "<VerifyLogs.Arn>") for action in ("logs:CreateLogStream", "logs:PutLogEvents")),
        ("Verify", "s3:ListBucketVersions", "<StoreBucket.Arn>"),
        ("Verify", "s3:GetObject", objects),
        ("Verify", "s3:GetObjectVersion", objects),
        *(("Read", action, ANY) for action in LOG_DELIVERY | XRAY),
        ("Read", "lambda:InvokeFunction", "<QueryFunction.Arn>"),
        ("Read", "lambda:InvokeFunction", "<VerifyFunction.Arn>"),
        *(("VerifyAllFunction", action, ANY) for action in EC2 | XRAY),
        *(
            ("VerifyAllFunction", action, "<VerifyAllFunctionLogs.Arn>")
            for action in ("logs:CreateLogStream", "logs:PutLogEvents")
        ),
        ("VerifyAllFunction", "secretsmanager:GetSecretValue", f"{SECRET}/signcert-??????"),
        ("VerifyAllFunction", "secretsmanager:GetSecretValue", f"{SECRET}/pk-??????"),
        ("VerifyAllFunction", "s3:GetObject", CHAIN),
        ("VerifyAllFunction", "s3:ListBucketVersions", "<StoreBucket.Arn>"),
        ("VerifyAllFunction", "s3:GetObject", objects),
        ("VerifyAllFunction", "s3:GetObjectVersion", objects),
        *(("VerifyAll", action, ANY) for action in LOG_DELIVERY | XRAY),
        ("VerifyAll", "lambda:InvokeFunction", "<VerifyAllFunction.Arn>"),
        ("Api", "states:StartSyncExecution", "<WorkflowStateMachine>"),
        ("Api", "states:StartSyncExecution", "<ReadStateMachine>"),
    }


def test_the_functions_code_may_not_use_the_rights_lambda_needs(template: Template) -> None:
    assert set(grants(template, "Deny")) == {
        (function, "ec2:*", ANY)
        for function in ("Upload", "Chaincode", "Query", "Verify", "SweepFunction", "VerifyAllFunction")
    }


def test_no_role_has_more_than_these_policies(template: Template) -> None:
    roles = of_type(template, "AWS::IAM::Role")
    managed = {name: flat(arn) for name, role in roles.items() for arn in role.get("ManagedPolicyArns", [])}
    assert [arn.rsplit("/", 1)[1] for arn in managed.values()] == ["AmazonAPIGatewayPushToCloudWatchLogs"]
    assert not [role for role in roles.values() if "Policies" in role]
    assert not of_type(template, "AWS::IAM::ManagedPolicy")
    assert not of_type(template, "AWS::Lambda::Permission")


def test_each_role_is_assumed_by_its_service_alone(template: Template) -> None:
    services = set()
    for role in of_type(template, "AWS::IAM::Role").values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
        services.add(statement["Principal"]["Service"])
    assert services == {
        "lambda.amazonaws.com",
        "states.amazonaws.com",
        "apigateway.amazonaws.com",
        "events.amazonaws.com",
    }


def test_each_service_takes_on_a_role_for_this_account_alone(template: Template) -> None:
    """API Gateway names no source when it takes on an integration's role: a condition would end in 500 each time."""
    sources = {
        "lambda.amazonaws.com": None,
        "states.amazonaws.com": "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:stateMachine:*",
        "events.amazonaws.com": "arn:<AWS::Partition>:events:<AWS::Region>:<AWS::AccountId>:rule/*",
    }
    for role in of_type(template, "AWS::IAM::Role").values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        service, condition = statement["Principal"]["Service"], statement.get("Condition")
        if service == "apigateway.amazonaws.com":
            assert condition is None
            continue
        assert condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        arn = condition.get("ArnLike", {}).get("aws:SourceArn")
        assert (flat(arn) if arn else None) == sources[service]


KEYS = {name: f"arn:aws:kms:us-east-1:111122223333:key/{name}" for name in ("pictures", "secrets", "roots")}


def key_grants(template: Template) -> set[tuple[str, str, str, str]]:
    """(function, action, key, service) of what functions may do with keys, and by way of which service alone."""
    handlers = {
        flat(each["Role"]).strip("<>").partition(".")[0]: each["Handler"].partition(".")[0]
        for each in of_type(template, "AWS::Lambda::Function").values()
    }
    found = set()
    for policy in of_type(template, "AWS::IAM::Policy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            for action in aslist(statement["Action"]):
                if action.startswith("kms:"):
                    ((operator, condition),) = statement["Condition"].items()
                    assert operator == "StringLike"
                    handler = handlers[flat(policy["Roles"][0]).strip("<>")]
                    found.add((handler, action, flat(statement["Resource"]), flat(condition["kms:ViaService"])))
    return found


def test_keys_are_used_by_way_of_the_service_that_needs_them(values: dict[str, Any], tmp_path: Path) -> None:
    given = {"kmsKeyArn": KEYS["pictures"], "secretsKeyArn": KEYS["secrets"], "tlsRootsKeyArn": KEYS["roots"]}
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path))
    OffChainStack(app, "Stack", settings=Settings.from_values(values | given))
    app.synth()
    template = json.loads((tmp_path / "Stack.template.json").read_text("utf-8"))
    s3, secrets = (f"{service}.<AWS::Region>.amazonaws.com*" for service in ("s3", "secretsmanager"))
    signing = ("invoke_chaincode", "query_ledger", "sweep", "verify_all")
    assert key_grants(template) == {
        # It writes pictures and cannot read one.
        ("upload_object", "kms:GenerateDataKey", KEYS["pictures"], s3),
        ("verify_object", "kms:Decrypt", KEYS["pictures"], s3),
        ("verify_all", "kms:Decrypt", KEYS["pictures"], s3),
        ("upload_object", "kms:Decrypt", KEYS["secrets"], secrets),
        *((each, "kms:Decrypt", KEYS["secrets"], secrets) for each in signing),
        *((each, "kms:Decrypt", KEYS["roots"], s3) for each in signing),
    }


def test_a_key_may_be_named_by_an_alias(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    stack = cdk.Stack(app, "Stack")
    alias = kms.Alias.from_alias_name(stack, "Alias", "alias/fabric")
    role = iam.Role(stack, "Role", assumed_by=iam.AccountRootPrincipal())
    network(stack, secrets_key=alias).grant_read_certificates(role)
    app.synth()
    template = json.loads((tmp_path / "Stack.template.json").read_text("utf-8"))
    (policy,) = of_type(template, "AWS::IAM::Policy").values()
    (statement,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Action"] == "kms:Decrypt"]
    assert flat(statement["Resource"]).endswith(":key/*")
    assert statement["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/fabric"}
