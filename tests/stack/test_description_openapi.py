"""The OpenAPI description against its template, and against the codes that the API is made with."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from openapi_spec_validator import validate
from stack_template import Template, of_type, only
from test_records import INVOICE, network, shared

from conftest import ROOT
from offchain_stack import DONOR, Access, LedgerField, OffChainRecords
from offchain_stack.__main__ import main
from offchain_stack.answers import GATEWAY_ANSWERS, create_answers, read_answers
from offchain_stack.description import Template as Described
from offchain_stack.description import openapi

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
Operations = dict[tuple[str, str], Any]


def described(template: Template) -> dict[str, Any]:
    """The template's description, which is valid OpenAPI."""
    document = openapi(Described(template["Resources"]))
    validate(document)
    return document


def operations(document: Mapping[str, Any]) -> Operations:
    return {(verb, path): each for path, verbs in document["paths"].items() for verb, each in verbs.items()}


def codes(document: Mapping[str, Any], operation: Any) -> dict[int, set[str]]:
    """The error codes that the schemas of each refusal allow."""
    found = {}
    for status, response in operation["responses"].items():
        schema = response["content"]["application/json"]["schema"]
        names = [each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])]
        properties = [document["components"]["schemas"][name]["properties"] for name in names]
        if status != "200":
            found[int(status)] = {each["error"]["const"] for each in properties if "error" in each}
    return found


def test_the_committed_description_is_current(template: Template) -> None:
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    assert committed == described(template), "run: make docs"


def test_methods_statuses_models_and_callers_are_the_templates(template: Template) -> None:
    document = described(template)
    methods = {each["OperationName"]: each for each in of_type(template, "AWS::ApiGateway::Method").values()}
    found = {each["operationId"]: (verb, each) for (verb, _), each in operations(document).items()}
    assert found.keys() == methods.keys()
    for name, (verb, operation) in found.items():
        method = methods[name]
        assert verb == method["HttpMethod"].lower()
        statuses = {each["StatusCode"] for each in method["MethodResponses"]}
        # API Gateway's own refusals need no method response.
        assert statuses <= operation["responses"].keys() <= statuses | {"403", "413", "504"}
        required = {
            f"method.request.{'querystring' if each['in'] == 'query' else each['in']}.{each['name']}": each["required"]
            for each in operation["parameters"]
            if each["in"] != "header"
        }
        assert required == method.get("RequestParameters", {})
        assert ("requestBody" in operation) == ("RequestModels" in method)
        assert operation["security"] == [{"sigv4": []}]
    schema = only(template, "AWS::ApiGateway::Model")["Schema"]
    assert document["components"]["schemas"]["CreateDonor"] == {k: v for k, v in schema.items() if k != "$schema"}
    assert operations(document).keys() == {
        ("post", "/donors"),
        ("get", "/donors"),
        ("get", "/donors/{donorUserName}"),
        ("get", "/transactions/{transactionId}"),
    }


def test_each_status_has_the_codes_that_the_api_is_made_with(template: Template) -> None:
    document = described(template)
    own = {(status, error) for status, error, _ in GATEWAY_ANSWERS.values() if status}
    for (verb, _), operation in operations(document).items():
        answers = (create_answers if verb == "post" else read_answers)(DONOR)
        expected = {(answer.status, answer.error) for answer in answers.values()}
        expected |= own | {(413, "ImageTooLarge"), (500, "InternalError")}
        assert {(status, code) for status, found in codes(document, operation).items() for code in found} == expected


def test_the_idempotency_key_is_the_create_methods_alone(template: Template) -> None:
    headers = {
        where: [each["name"] for each in operation["parameters"] if each["in"] == "header"]
        for where, operation in operations(described(template)).items()
    }
    assert headers.pop(("post", "/donors")) == ["Idempotency-Key"]
    assert not any(headers.values())


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The description of two record types."""
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path_factory.mktemp("shared")))
    shared(app)
    return described(app.synth().get_stack_by_name("Shared").template)


class TestTwoRecordTypes:
    def test_have_their_own_methods_models_and_codes(self, document: dict[str, Any]) -> None:
        found = operations(document)
        assert sorted(path for verb, path in found if verb == "get") == [
            "/donors",
            "/donors/{donorUserName}",
            "/invoices",
            "/invoices/{invoiceNumber}",
            "/transactions/{transactionId}",
        ]
        create = found["post", "/invoices"]
        model = document["components"]["schemas"]["CreateInvoice"]
        assert model["properties"]["chaincodeFunctionArgs"]["required"] == ["invoiceNumber", "supplier", "document"]
        assert codes(document, create)[409] == {"InvoiceAlreadyExists"}
        assert codes(document, create)[413] == {"DocumentTooLarge", "RequestTooLarge"}
        assert "Donor" not in json.dumps(create)

    def test_have_their_own_answers(self, document: dict[str, Any]) -> None:
        schemas = document["components"]["schemas"]
        assert schemas["CreatedInvoice"]["properties"].keys() == {"transactionId", *INVOICE.object_fields}
        assert schemas["Invoice"]["properties"].keys() == {
            *("invoiceNumber", "supplier", "document", "transactionId"),
            *INVOICE.object_fields,
        }
        assert schemas["InvoiceList"]["properties"].keys() == {"invoices", "nextToken"}

    def test_link_to_their_own_methods(self, document: dict[str, Any]) -> None:
        found = operations(document)
        assert found["post", "/invoices"]["responses"]["200"]["links"] == {
            "ReadInvoice": {
                "operationId": "ReadInvoice",
                "parameters": {"invoiceNumber": "$request.body#/chaincodeFunctionArgs/invoiceNumber"},
            },
            "ReadTransaction": {
                "operationId": "ReadTransaction",
                "parameters": {"transactionId": "$response.body#/transactionId"},
            },
        }


def called_by(access: Callable[[cdk.Stack], Access]) -> Callable[[cdk.App], None]:
    """A stack whose callers are those of `access`."""

    def build(app: cdk.App) -> None:
        stack = cdk.Stack(app, "Callers")
        vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
        OffChainRecords(stack, "Donors", vpc=vpc, network=network(stack), access=access(stack))

    return build


def user_pool(stack: cdk.Stack) -> Access:
    authorizer = apigateway.CognitoUserPoolsAuthorizer(
        stack, "Authorizer", cognito_user_pools=[cognito.UserPool(stack, "Users")]
    )
    return Access(authorizer=authorizer, scopes=("records/write",))


def lambda_authorizer(stack: cdk.Stack) -> Access:
    function = lambda_.Function.from_function_arn(
        stack, "F", "arn:aws:lambda:us-east-1:111122223333:function:authorize"
    )
    sources = [apigateway.IdentitySource.header("X-Tenant"), apigateway.IdentitySource.query_string("token")]
    authorizer = apigateway.RequestAuthorizer(stack, "Authorizer", handler=function, identity_sources=sources)
    return Access(authorizer=authorizer, api_key_required=True)


@pytest.mark.parametrize(
    ("access", "security", "schemes"),
    [
        (
            user_pool,
            {"cognito_user_pools_Authorization": ["records/write"]},
            {"cognito_user_pools_Authorization": ("header", "Authorization", "cognito_user_pools")},
        ),
        (
            lambda_authorizer,
            {"custom_X-Tenant": [], "custom_token": [], "api_key": []},
            {
                "custom_X-Tenant": ("header", "X-Tenant", "custom"),
                "custom_token": ("query", "token", "custom"),
                "api_key": ("header", "x-api-key", None),
            },
        ),
    ],
    ids=["cognito", "lambda-and-api-key"],
)
def test_says_who_may_call(
    synthesize: Synthesize,
    access: Callable[[cdk.Stack], Access],
    security: dict[str, list[str]],
    schemes: dict[str, tuple[str, str, str | None]],
) -> None:
    document = described(synthesize(called_by(access))["Callers"])
    assert all(each["security"] == [security] for each in operations(document).values())
    assert {
        name: (each["in"], each["name"], each.get("x-amazon-apigateway-authtype"))
        for name, each in document["components"]["securitySchemes"].items()
    } == schemes


def test_without_gateway_responses_api_gateway_answers_in_its_own_words(template: Template) -> None:
    resources = {
        name: each for name, each in template["Resources"].items() if each["Type"] != "AWS::ApiGateway::GatewayResponse"
    }
    document = described({"Resources": resources})
    create = operations(document)["post", "/donors"]
    assert codes(document, create)[403] == {"Forbidden"}
    for status in ("400", "403", "413", "415", "429", "504"):
        assert "#/components/schemas/ApiGatewayError" in json.dumps(create["responses"][status])
    assert "401" not in create["responses"]


def test_a_pattern_of_the_identifying_field_is_the_parameters(synthesize: Synthesize) -> None:
    fields = (LedgerField(name="invoiceNumber", max_length=40, pattern="INV-[0-9]{4}"),)

    def build(app: cdk.App) -> None:
        stack = cdk.Stack(app, "Patterns")
        vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
        record_type = dataclasses.replace(INVOICE, ledger_fields=fields)
        OffChainRecords(stack, "Invoices", vpc=vpc, network=network(stack), record_type=record_type)

    read = operations(described(synthesize(build)["Patterns"]))["get", "/invoices/{invoiceNumber}"]
    assert read["parameters"][0]["schema"]["pattern"] == "^(?:INV-[0-9]{4})$"


class TestCommand:
    def test_prints_the_description(
        self, assembly: Path, template: Template, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["openapi", str(assembly)]) == 0
        assert json.loads(capsys.readouterr().out) == described(template)

    @pytest.mark.parametrize(
        ("files", "says"),
        [
            ({}, "one template is needed, and it has none"),
            (
                {"A.template.json": "{}", "B.template.json": "{}"},
                "it has A.template.json, B.template.json. Name the file",
            ),
            ({"A.template.json": "{"}, "A.template.json: is no CloudFormation template in JSON"),
            ({"A.template.json": '{"Resources": {}}'}, "the template has 0 REST APIs"),
        ],
        ids=["empty", "two", "broken", "without-api"],
    )
    def test_says_why_it_cannot(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], says: str
    ) -> None:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        assert main(["openapi", str(tmp_path)]) == 1
        output = capsys.readouterr()
        assert says in output.err
        assert output.out == ""

    def test_says_that_the_workflow_is_elsewhere(
        self, template: Template, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        resources = {
            name: each
            for name, each in template["Resources"].items()
            if each["Type"] != "AWS::StepFunctions::StateMachine"
        }
        (tmp_path / "A.template.json").write_text(json.dumps({"Resources": resources}))
        assert main(["openapi", str(tmp_path)]) == 1
        assert "does not have the state machine and functions that it runs" in capsys.readouterr().err
