"""Callers bound to Fabric users: what the upload function is told, and what a mapping template tells of a caller, which
nothing in a request can set."""

import copy
import json
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.assertions import Annotations, Match
from stack_template import Template, create_method, flat, of_type, only
from test_access import Synthesize, cognito_authorizer, machine, token_authorizer
from test_existing_method import adopt
from test_records import network

from offchain_stack import (
    Access,
    Callers,
    ChaincodeFunction,
    CreateWorkflow,
    FabricUser,
    OffChainRecords,
    RecordApi,
    UploadFunction,
)
from offchain_stack.integration import create_integration
from offchain_stack.record_type import DONOR, INPUT_LIMIT
from sandbox import vtl

DESK = "arn:aws:iam::111122223333:role/donor-desk"
SESSION = "arn:aws:sts::111122223333:assumed-role/donor-desk/i-0123"
CLAIM = Callers.by_claim("custom:fabricUsername")
VALUE = Callers.by_authorizer_value("fabricUsername")
PRINCIPAL = Callers.by_principal({"lambdaUser": [DESK]})
ARGUMENTS = {"donorUserName": "ada", "email": "ada@example.org", "image": "aGk="}


def context_of(callers: Callers, value: Any) -> dict[str, Any]:
    """`$context` where `value` is what API Gateway knows of the caller."""
    known: dict[str, Any] = {
        CLAIM.source: {"authorizer": {"claims": {"custom:fabricUsername": value, "sub": "of another"}}},
        VALUE.source: {"authorizer": {"fabricUsername": value, "principalId": "of another"}},
        PRINCIPAL.source: {"identity": {"userArn": value, "caller": "of another"}},
    }
    return known[callers.source]  # type: ignore[no-any-return]


def made(callers: Callers | None, context: dict[str, Any], body: Any = None, **parameters: Any) -> str:
    """What StartSyncExecution is given as `input`."""
    template = create_integration(DONOR, "arn:aws:states:::create", callers=callers).request_template
    request = vtl.Request(body=json.dumps(body or {"chaincodeFunctionArgs": ARGUMENTS}), **parameters)
    context = {"requestId": "y"} | context
    return str(json.loads(vtl.render(template, request=request, context=context))["input"])


def caller(*arguments: Any, **parameters: Any) -> str:
    return str(json.loads(made(*arguments, **parameters))["submission"]["caller"])


BINDINGS = pytest.mark.parametrize("callers", [CLAIM, VALUE, PRINCIPAL])


@pytest.mark.usefixtures("velocity")
class TestTemplate:
    @BINDINGS
    @pytest.mark.parametrize(
        "value",
        ["auditor", SESSION, "a\"\\'/\n", 'x", "fabricUsername": "admin', "$context.requestId", "#set($a = 1)", "é😀"],
    )
    def test_tells_what_api_gateway_knows_to_the_letter(self, callers: Callers, value: str) -> None:
        assert caller(callers, context_of(callers, value)) == value

    @BINDINGS
    @pytest.mark.parametrize("context", [{}, {"authorizer": {}}, {"authorizer": {"claims": {}}}, {"identity": {}}])
    def test_tells_nothing_of_a_caller_who_is_not_known(self, callers: Callers, context: dict[str, Any]) -> None:
        assert caller(callers, context) == ""

    @BINDINGS
    def test_takes_a_value_that_is_too_long_for_nobodys(self, callers: Callers) -> None:
        assert caller(callers, context_of(callers, "a" * callers.longest)) == "a" * callers.longest
        assert caller(callers, context_of(callers, "a" * (callers.longest + 1))) == ""

    def test_takes_a_number_of_a_lambda_authorizer_for_its_text(self) -> None:
        assert caller(VALUE, context_of(VALUE, 7)) == "7"

    @pytest.mark.parametrize("callers", [None, CLAIM, VALUE, PRINCIPAL])
    def test_takes_nothing_of_the_request(self, callers: Callers | None) -> None:
        names = ("caller", "userArn", "fabricUsername", "custom:fabricUsername", "claims", "context", "authorizer")
        theirs = dict.fromkeys(names, "auditor")
        body = theirs | {"submission": theirs, "identity": theirs, "chaincodeFunctionArgs": ARGUMENTS | theirs}
        place = {"header": theirs, "querystring": theirs, "path": theirs}
        assert caller(callers, {}, body, **place) == ""
        if callers:
            assert caller(callers, context_of(callers, "lambdaUser"), body, **place) == "lambdaUser"

    @pytest.mark.parametrize("context", [context_of(each, "auditor") for each in (CLAIM, VALUE, PRINCIPAL)])
    def test_tells_nothing_without_a_binding(self, context: dict[str, Any]) -> None:
        assert caller(None, context) == ""

    @pytest.mark.parametrize(
        ("callers", "character"), [(CLAIM, "😀"), (CLAIM, "\u0001"), (VALUE, "😀"), (VALUE, "'"), (PRINCIPAL, "/")]
    )
    def test_the_largest_request_still_fits(self, callers: Callers, character: str) -> None:
        names = dict.fromkeys(("fabricUsername", "functionType", "chaincodeFunction"), "😀" * 64)
        arguments = {field.name: "😀" * field.max_length for field in DONOR.ledger_fields}
        empty = json.dumps(arguments | {"image": ""}, ensure_ascii=False, separators=(",", ":"))
        room = DONOR.max_arguments_length - len(empty.encode("utf-16-le")) // 2
        body = names | {"chaincodeFunctionArgs": arguments | {"image": "A" * room}}
        longest = character * (callers.longest // (2 if character > "\uffff" else 1))
        context = context_of(callers, longest) | {"requestId": "\u0001" * 128}
        text = made(callers, context, body, header={"Idempotency-Key": "é" * 300})
        assert json.loads(text)["submission"]["caller"] == longest
        assert "chaincodeFunctionArgs" in json.loads(text)
        assert len(text.encode()) <= INPUT_LIMIT


class TestWiring:
    def upload_environment(self, template: Template) -> dict[str, Any]:
        (found,) = [
            each["Environment"]["Variables"]
            for each in of_type(template, "AWS::Lambda::Function").values()
            if each.get("Handler") == "upload_object.handler.handler"
        ]
        return found  # type: ignore[no-any-return]

    @pytest.mark.parametrize(
        ("callers", "authorizer", "rule"),
        [
            (CLAIM, cognito_authorizer, {"kind": "claim"}),
            (VALUE, token_authorizer, {"kind": "claim"}),
            (PRINCIPAL, None, {"kind": "principals", "users": {"lambdaUser": [DESK]}}),
        ],
    )
    def test_records_tell_function_and_method(
        self, synthesize: Synthesize, callers: Callers, authorizer: Any, rule: Any
    ) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Bound")
            access = Access(authorizer=authorizer and authorizer(stack))
            vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
            OffChainRecords(stack, "Donors", vpc=vpc, network=network(stack), access=access, callers=callers)

        template = synthesize(build)["Bound"]
        assert json.loads(self.upload_environment(template)["FABRIC_CALLERS"]) == rule
        request = flat(create_method(template)["Integration"]["RequestTemplates"]["application/json"])
        assert f'#set($caller = "{callers.source.replace("$", "$!")}")' in request

    def test_without_callers_nothing_is_bound(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Free")
            OffChainRecords(stack, "Donors", vpc=ec2.Vpc(stack, "Vpc", max_azs=2), network=network(stack))

        template = synthesize(build)["Free"]
        assert "FABRIC_CALLERS" not in self.upload_environment(template)
        assert "$context.identity.userArn" not in json.dumps(template)

    def test_roles_and_users_of_the_stack_are_named_by_their_arns(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            stack = cdk.Stack(app, "Bound")
            role = iam.Role(stack, "Desk", assumed_by=iam.AccountRootPrincipal())
            user = iam.User.from_user_arn(stack, "Ada", "arn:aws:iam::111122223333:user/staff/ada")
            UploadFunction(
                stack,
                "Upload",
                vpc=ec2.Vpc(stack, "Vpc", max_azs=2),
                bucket=s3.Bucket.from_bucket_name(stack, "Bucket", "my-donor-images"),
                network=network(stack),
                callers=Callers.by_principal({"lambdaUser": [role, user, DESK]}),
            )

        template = synthesize(build)["Bound"]
        (desk,) = [name for name in of_type(template, "AWS::IAM::Role") if name.startswith("Desk")]
        rule = json.loads(flat(self.upload_environment(template)["FABRIC_CALLERS"]))
        ada = "arn:aws:iam::111122223333:user/staff/ada"
        assert rule["users"] == {"lambdaUser": [f"<{desk}.Arn>", ada, DESK]}

    def test_a_method_that_is_there_already_is_told(self, synthesize: Synthesize) -> None:
        def build(app: cdk.App) -> None:
            adopt(cdk.Stack(app, "Foreign"), callers=PRINCIPAL)

        adopted = only(synthesize(build)["Foreign"], "Custom::AdoptedMethod")
        request = flat(adopted["Integration"]["RequestTemplates"]["application/json"])
        assert '#set($caller = "$!context.identity.userArn")' in request


def workflow(stack: cdk.Stack, callers: Callers | None, upload: lambda_.IFunction | None = None) -> sfn.IStateMachine:
    """The create flow with an upload function that binds `callers`, or with the one given."""
    vpc, ledger = ec2.Vpc(stack, "Vpc", max_azs=2), network(stack)
    bucket = s3.Bucket.from_bucket_name(stack, "Images", "my-donor-images")
    if not upload:
        upload = UploadFunction(stack, "Upload", vpc=vpc, bucket=bucket, network=ledger, callers=callers).function
    return CreateWorkflow(
        stack,
        "Workflow",
        upload_function=upload,
        chaincode_function=ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=ledger).function,
        bucket=bucket,
    ).state_machine


def bound_api(stack: cdk.Stack, state_machine: sfn.IStateMachine, callers: Callers | None) -> None:
    kinds = {CLAIM.authorization_type: cognito_authorizer, VALUE.authorization_type: token_authorizer}
    make = kinds.get(callers.authorization_type) if callers else None
    access = Access(authorizer=make(stack)) if make else None
    RecordApi(stack, "Api", state_machine=state_machine, access=access, callers=callers)


def bound_method(stack: cdk.Stack, state_machine: sfn.IStateMachine, callers: Callers | None) -> None:
    adopt(stack, state_machine=state_machine, callers=callers, backup_bucket=s3.Bucket(stack, "Backup"))


NOT_COMPARED = Match.string_like_regexp("callers: not compared with those of the upload function behind state_machine")
DIFFERENT = [
    (CLAIM, None, "has none"),
    (VALUE, None, "has none"),
    (PRINCIPAL, None, "has none"),
    (None, CLAIM, "has others"),
    (None, PRINCIPAL, "has others"),
    (CLAIM, PRINCIPAL, "has others"),
    (CLAIM, Callers.by_claim("sub"), "has others"),
    (PRINCIPAL, Callers.by_principal({"lambdaUser": [SESSION]}), "has others"),
    (PRINCIPAL, Callers.by_principal({"lambdaUser": [DESK, SESSION]}), "has others"),
]


@pytest.mark.parametrize("make", [bound_api, bound_method])
class TestSame:
    @pytest.mark.parametrize(("callers", "theirs", "said"), DIFFERENT)
    def test_callers_that_differ_from_the_upload_functions_are_refused(
        self, make: Any, callers: Callers | None, theirs: Callers | None, said: str
    ) -> None:
        stack = unbundled()
        with pytest.raises(ValueError, match=rf"^callers: the UploadFunction behind state_machine {said}"):
            make(stack, workflow(stack, theirs), callers)

    @pytest.mark.parametrize("callers", [None, CLAIM, VALUE, PRINCIPAL])
    def test_the_same_callers_are_taken_however_often_they_are_made(self, make: Any, callers: Callers | None) -> None:
        stack = unbundled()
        make(stack, workflow(stack, copy.deepcopy(callers)), callers)
        Annotations.from_stack(stack).has_no_warning("*", NOT_COMPARED)

    @pytest.mark.parametrize("callers", [None, PRINCIPAL])
    @pytest.mark.parametrize("what", ["state machine", "upload function"])
    def test_callers_that_cannot_be_compared_are_warned_of(self, make: Any, what: str, callers: Callers | None) -> None:
        stack = unbundled()
        upload = lambda_.Function.from_function_arn(
            stack, "Theirs", "arn:aws:lambda:us-east-1:111122223333:function:up"
        )
        make(stack, machine(stack, "Create") if what == "state machine" else workflow(stack, None, upload), callers)
        found = Annotations.from_stack(stack)
        check = found.has_warning if callers else found.has_no_warning
        check("*", NOT_COMPARED)


def unbundled() -> cdk.Stack:
    return cdk.Stack(cdk.App(context={"aws:cdk:bundling-stacks": []}), "Foreign")


class TestRefused:
    @pytest.mark.parametrize(
        ("callers", "authorizer"),
        [
            (CLAIM, None),
            (CLAIM, token_authorizer),
            (VALUE, None),
            (VALUE, cognito_authorizer),
            (PRINCIPAL, cognito_authorizer),
            (PRINCIPAL, token_authorizer),
        ],
    )
    def test_what_the_access_does_not_know(self, callers: Callers, authorizer: Any) -> None:
        stack = cdk.Stack()
        access = Access(authorizer=authorizer and authorizer(stack))
        with pytest.raises(ValueError, match=r"^callers: \$context\..* needs "):
            RecordApi(stack, "Api", state_machine=machine(stack, "Create"), access=access, callers=callers)

    @pytest.mark.parametrize(
        ("callers", "user", "message"),
        [
            (Callers.by_principal({"admin": [DESK]}), "auditor", "has no user 'admin'; it has lambdaUser, auditor"),
            (CLAIM, "u" * 65, "'u{65}' is longer than the 64"),
            (CLAIM, "😀" * 33, "'😀{33}' is longer than the 64"),
        ],
    )
    def test_users_that_the_network_does_not_have_or_no_request_could_name(
        self, callers: Callers, user: str, message: str
    ) -> None:
        stack = cdk.Stack()
        ledger = network(stack)
        ledger.users += (FabricUser.from_secret_names(user, member="org1"),)
        with pytest.raises(ValueError, match=rf"^callers: .*{message}"):
            OffChainRecords(
                stack,
                "Donors",
                vpc=ec2.Vpc(stack, "Vpc", max_azs=2),
                network=ledger,
                access=Access(authorizer=cognito_authorizer(stack)) if callers is CLAIM else None,
                callers=callers,
            )

    @pytest.mark.parametrize(
        ("users", "message"),
        [
            ({}, "give one Fabric user"),
            ({"lambdaUser": []}, "'lambdaUser' has no principal"),
            ({"lambdaUser": ["donor-desk"]}, "'donor-desk' of 'lambdaUser'"),
            ({"lambdaUser": ["*"]}, "without wildcards"),
            ({"lambdaUser": ["arn:aws:iam::111122223333:role/*"]}, "without wildcards"),
            ({"lambdaUser": ["arn:aws:iam::111122223333:root"]}, "is no role, user or session"),
            ({"lambdaUser": ["arn:aws:iam::*:role/donor-desk"]}, "is no role, user or session"),
            ({"lambdaUser": [f"{DESK}{'k' * 256}"]}, "is no role, user or session"),
        ],
    )
    def test_principals_that_are_none(self, users: Any, message: str) -> None:
        with pytest.raises(ValueError, match=r"^users: ") as refusal:
            Callers.by_principal(users)
        assert message in str(refusal.value)

    @pytest.mark.parametrize("name", ["", "it's", "a b", 'a"', "a$b", "#end", "a\\b", "x" * 129])
    def test_names_that_are_none(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"^name: "):
            Callers.by_claim(name)
        with pytest.raises(ValueError, match=r"^key: "):
            Callers.by_authorizer_value(name or "custom:fabricUsername")
