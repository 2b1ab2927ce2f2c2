"""What methods may demand of a caller, and what templates are told of one, by an API whose mock methods answer that."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sandbox.api import Api
from sandbox.assembly import Assembly, load
from sandbox.caller import Caller
from sandbox.limits import not_emulated

ADA = Caller(
    arn="arn:aws:iam::111122223333:user/ada", claims={"sub": "ada", "cognito:groups": "a,b", "principalId": "p"}
)
TOLD = {
    "arn": "$context.identity.userArn",
    "sub": "$context.authorizer.claims.sub",
    "groups": "$context.authorizer.claims.get('cognito:groups')",
    "indexed": "$context.authorizer.claims['cognito:groups']",
    "principal": "$context.authorizer.principalId",
    "returned": "$context.authorizer.sub",
}
NOTHING = dict.fromkeys(TOLD, "")


def method(path: str, authorization: str, **properties: Any) -> dict[str, Any]:
    integration = {
        "Type": "MOCK",
        "RequestTemplates": {"application/json": '{"statusCode": 200}'},
        "IntegrationResponses": [{"StatusCode": "200", "ResponseTemplates": {"application/json": json.dumps(TOLD)}}],
    }
    return {
        f"{path}Resource": {
            "Type": "AWS::ApiGateway::Resource",
            "Properties": {
                "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
                "PathPart": path,
                "RestApiId": {"Ref": "Api"},
            },
        },
        f"{path}Method": {
            "Type": "AWS::ApiGateway::Method",
            "Properties": {
                "HttpMethod": "GET",
                "AuthorizationType": authorization,
                "ResourceId": {"Ref": f"{path}Resource"},
                "Integration": integration,
            }
            | properties,
        },
    }


RESOURCES: dict[str, Any] = {
    "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Policy": {"Statement": []}}},
    "Validator": {"Type": "AWS::ApiGateway::RequestValidator", "Properties": {"ValidateRequestParameters": True}},
    "Pool": {"Type": "AWS::ApiGateway::Authorizer", "Properties": {"Type": "COGNITO_USER_POOLS"}},
    **method("iam", "AWS_IAM", ApiKeyRequired=True),
    **method("pool", "COGNITO_USER_POOLS", AuthorizerId={"Ref": "Pool"}, AuthorizationScopes=["records/read"]),
    **method("lambda", "CUSTOM", AuthorizerId={"Ref": "Pool"}),
    **method("open", "NONE"),
    **method(
        "demanding",
        "NONE",
        RequestValidatorId={"Ref": "Validator"},
        RequestParameters={
            "method.request.querystring.limit": True,
            "method.request.querystring.nextToken": False,
            "method.request.header.X-User": True,
        },
    ),
}


@pytest.fixture(scope="module")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    folder = tmp_path_factory.mktemp("assembly")
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://unknown-account/unknown-region",
        "properties": {"templateFile": "template.json"},
    }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {"Stack": stack}}))
    (folder / "template.json").write_text(json.dumps({"Resources": RESOURCES}))
    return load(folder)


class Called:
    """The API, and the caller of the next request."""

    def __init__(self, assembly: Assembly) -> None:
        self.caller = Caller()
        self.api = Api(assembly, lambda _: {}, caller=lambda: self.caller)

    def get(self, target: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.api.url.removeprefix("http://"), timeout=10)
        connection.request("GET", target, headers=headers or {})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer


@pytest.fixture(scope="module")
def called(assembly: Assembly) -> Iterator[Called]:
    made = Called(assembly)
    yield made
    made.api.close()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/iam", {"arn": ADA.arn}),
        ("/pool", {"sub": "ada", "groups": "a,b", "indexed": "a,b"}),
        ("/lambda", {"principal": "p", "returned": "ada"}),
        ("/open", {}),
    ],
)
def test_a_template_is_told_of_the_caller_what_the_methods_authorization_knows(
    called: Called, path: str, told: dict[str, str]
) -> None:
    called.caller = ADA
    assert called.get(path) == (200, NOTHING | told)
    called.caller = Caller()
    assert called.get(path) == (200, NOTHING)


@pytest.mark.parametrize(
    ("query", "headers", "missing"),
    [
        ("", {}, "limit, X-User"),
        ("?limit=5", {}, "X-User"),
        ("?limit=", {"x-user": " "}, "limit, X-User"),
        ("?limit=%20", {"x-user": "ada"}, "limit"),
        ("?limit=5", {"x-user": "ada"}, None),
    ],
)
def test_a_required_parameter_must_be_there_and_not_blank(
    called: Called, query: str, headers: dict[str, str], missing: str | None
) -> None:
    status, answer = called.get(f"/demanding{query}", headers)
    if missing is None:
        assert status == 200
    else:
        assert (status, answer) == (400, {"message": f"Missing required request parameters: [{missing}]"})


def test_what_is_not_checked_is_said_where_the_api_has_it(assembly: Assembly) -> None:
    said = {"Authorizers", "API keys", "The API's resource policy"}
    assert said <= {name for name, _ in not_emulated(assembly)}
    api = replace(assembly.rest_api, methods={"/open": assembly.rest_api.methods["/open"]}, has_policy=False)
    assert not said & {name for name, _ in not_emulated(replace(assembly, rest_api=api))}
