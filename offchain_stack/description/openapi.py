"""The OpenAPI description of the REST API, read from the template.

Paths, parameters, request models, authorization and statuses are the template's; error codes are read from its mapping
templates and gateway responses. What the workflows answer with is not in a template: the fields follow from the record
type, which is in the environment of the functions that a method's state machine calls.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from . import schemas
from .functions import FUNCTION, record_type
from .gateway_responses import GatewayResponse, gateway_responses
from .schemas import RecordType, Schema
from .starts import MACHINE
from .template import Template, text

API_VERSION = "1.0.0"
"""Of what callers rely on: raised with every change of it, its first number with one that could break a caller."""

_JSON = "application/json"
_QUERY = re.compile(r'\\"query\\":\s*\\"(\w+)\\"')
_HEADER = re.compile(r'toLowerCase\(\) == "([\w-]+)"')
_EXECUTION_ERROR = re.compile(r'#set\(\$status = (\d+)\)\s*#set\(\$error = "(\w+)"\)')
_OWN_ERROR = re.compile(r'#set\(\$context\.responseOverride\.status = (\d+)\)\s*\{"error": "(\w+)"')
_ONLY_ERROR = re.compile(r'\A(?:##.*\n)*\{"error": "(\w+)"')


def openapi(template: Template) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the methods that run a workflow.

    Raises ValueError where the template has no such method, has them in more than one REST API, or does not have all
    that they refer to.
    """
    methods = list(_methods(template))
    apis = {method.api for method in methods}
    if len(apis) != 1:
        raise ValueError(
            f"the template has {len(apis)} REST APIs with methods that run a workflow; one can be described"
        )
    return _Document(template, sorted(methods, key=lambda method: (method.path, method.verb))).document()


class _Method(NamedTuple):
    """A method that runs a workflow. `query` is what it asks the read workflow; empty where it creates."""

    api: str
    path: str
    verb: str
    properties: Mapping[str, Any]
    request_template: str
    query: str
    record_type: RecordType


def _methods(template: Template) -> Iterator[_Method]:
    for name, properties in template.of_type("AWS::ApiGateway::Method").items():
        integration = properties["Integration"]
        if not text(integration.get("Uri", "")).endswith(":states:action/StartSyncExecution"):
            continue
        request = integration["RequestTemplates"][_JSON]
        query = _QUERY.search(text(request))
        path = template.path(properties["ResourceId"])
        if path is None:
            raise ValueError(f"{name}: its resource is not in the template, so that its path is not known")
        yield _Method(
            api=text(properties["RestApiId"]),
            path=path,
            verb=properties["HttpMethod"].lower(),
            properties=properties,
            request_template=text(request),
            query=query[1] if query else "",
            record_type=_record_type(template, name, request),
        )


def _record_type(template: Template, method: str, request: Any) -> RecordType:
    for machine in template.references(request, MACHINE):
        definition = template.resources[machine]["Properties"]["DefinitionString"]
        for function in template.references(definition, FUNCTION):
            if found := record_type(template, function):
                return found
    raise ValueError(f"{method}: the template does not have the state machine and functions that it runs")


class _Document:
    def __init__(self, template: Template, methods: Sequence[_Method]) -> None:
        self._template, self._methods = template, methods
        self._api = methods[0].api
        self._schemas: dict[str, Schema] = {}
        self._security: dict[str, Schema] = {}
        (self._name,) = template.references({"Ref": self._api[2:-1]}) or ("",)
        self._gateway_responses = gateway_responses(template, self._name)
        self._creating = {
            error for method in methods if not method.query for _, error in _errors(method.properties["Integration"])
        }

    def document(self) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for method in self._methods:
            paths.setdefault(method.path, {})[method.verb] = self._operation(method)
        properties = self._template.resources[self._name]["Properties"] if self._name else {}
        return {
            "openapi": "3.1.0",
            "info": {
                "title": text(properties.get("Name", "REST API")),
                "description": text(properties.get("Description", "")),
                "version": API_VERSION,
            },
            "servers": [self._server()],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self._schemas.items())),
                "securitySchemes": dict(sorted(self._security.items())),
            },
        }

    def _server(self) -> dict[str, Any]:
        stages = [
            each
            for each in self._template.of_type("AWS::ApiGateway::Stage").values()
            if text(each["RestApiId"]) == self._api
        ]
        return {
            "url": "https://{restApiId}.execute-api.{region}.amazonaws.com/{stage}",
            "variables": {
                "restApiId": {"default": "restApiId", "description": "The API's id, part of the stack's output ApiUrl"},
                "region": {"default": "us-east-1"},
                "stage": {"default": text(stages[0]["StageName"]) if stages else "prod"},
            },
        }

    def _operation(self, method: _Method) -> dict[str, Any]:
        operation: dict[str, Any] = {
            "operationId": method.properties["OperationName"],
            "summary": schemas.summary(method.query, method.record_type),
            "parameters": list(_parameters(method)),
            "responses": self._responses(method),
        }
        models = method.properties.get("RequestModels", {})
        if models:
            operation["requestBody"] = {
                "required": True,
                "description": schemas.body_description(method.record_type),
                "content": {content_type: {"schema": self._model(model)} for content_type, model in models.items()},
            }
        if security := self._security_of(method):
            operation["security"] = [security]
        return operation

    def _model(self, model: Any) -> Schema:
        (name,) = self._template.references(model, "AWS::ApiGateway::Model")
        schema = {
            key: value
            for key, value in self._template.resources[name]["Properties"]["Schema"].items()
            # OpenAPI 3.1 has a JSON Schema of its own; what the models use means the same in both.
            if key != "$schema"
        }
        return self._component(schema.get("title", name), schema)

    def _responses(self, method: _Method) -> dict[str, Any]:
        errors: dict[int, dict[str, None]] = {}
        for status, error in _errors(method.properties["Integration"]):
            errors.setdefault(status, {})[error] = None
        own: dict[int, GatewayResponse] = {}
        for response in self._gateway_responses:
            if not response.answers(method.properties, self._template):
                continue
            if response.error:
                errors.setdefault(response.status, {})[response.error] = None
            else:
                own[response.status] = response
        responses = {"200": self._success(method)}
        for status in sorted({*errors, *own}):
            bodies = [
                self._component(error, schemas.refusal(error, method.record_type, transaction=error in self._creating))
                for error in errors.get(status, ())
            ]
            if status in own:
                bodies.append(self._component("ApiGatewayError", schemas.API_GATEWAY_ERROR))
            responses[str(status)] = {
                "description": ", ".join(errors.get(status, ("API Gateway's own refusal",))),
                "content": {_JSON: {"schema": bodies[0] if len(bodies) == 1 else {"oneOf": bodies}}},
            }
        return responses

    def _success(self, method: _Method) -> dict[str, Any]:
        answer = schemas.ANSWERS[method.query](method.record_type)
        response: dict[str, Any] = {
            "description": answer.description,
            "content": {_JSON: {"schema": self._component(answer.name, answer.schema)}},
        }
        return response | ({"links": links} if (links := self._links(method)) else {})

    def _links(self, method: _Method) -> dict[str, Any]:
        """What can be asked next with an answer, as far as the API has it."""
        name, identifier = method.record_type["name"], method.record_type["identifyingField"]
        transaction = ("transaction", {"transactionId": "$response.body#/transactionId"})
        next_queries = {
            "": [
                ("record", {identifier: f"$request.body#/chaincodeFunctionArgs/{identifier}"}),
                transaction,
            ],
            "record": [transaction],
            "list": [("list", {"nextToken": "$response.body#/nextToken"})],
        }
        operations = {
            (other.query, other.record_type["name"] if other.query != "transaction" else name): other
            for other in self._methods
        }
        links = {}
        for query, parameters in next_queries.get(method.query, ()):
            if other := operations.get((query, name)):
                operation = other.properties["OperationName"]
                links[operation] = {"operationId": operation, "parameters": parameters}
        return links

    def _component(self, name: str, schema: Schema) -> Schema:
        if self._schemas.setdefault(name, schema) != schema:
            raise ValueError(f"{name}: two different schemas have this name")
        return {"$ref": f"#/components/schemas/{name}"}

    def _security_of(self, method: _Method) -> dict[str, list[str]]:
        names = {}
        properties = method.properties
        match properties.get("AuthorizationType", "NONE"):
            case "AWS_IAM":
                names["sigv4"] = _key("Authorization", "Signed with IAM credentials (SigV4)", "awsSigv4")
            case "COGNITO_USER_POOLS" | "CUSTOM":
                names |= self._authorizer(properties["AuthorizerId"])
        if properties.get("ApiKeyRequired"):
            names["api_key"] = _key("x-api-key", "A key of the usage plan")
        self._security |= names
        scopes = properties.get("AuthorizationScopes", [])
        return {name: scopes if name.startswith("cognito") else [] for name in names}

    def _authorizer(self, reference: Any) -> dict[str, Schema]:
        found = self._template.references(reference, "AWS::ApiGateway::Authorizer")
        properties = self._template.resources[found[0]]["Properties"] if found else {}
        kind = {"COGNITO_USER_POOLS": "cognito_user_pools"}.get(properties.get("Type", ""), "custom")
        description = "A token of the user pool" if kind == "cognito_user_pools" else "What the authorizer reads"
        sources = re.findall(
            r"method\.request\.(header|querystring)\.([\w-]+)",
            text(properties.get("IdentitySource", "method.request.header.Authorization")),
        )
        places = {"header": "header", "querystring": "query"}
        return {f"{kind}_{name}": _key(name, description, kind) | {"in": places[place]} for place, name in sources}


def _key(name: str, description: str, authorization: str = "") -> Schema:
    """A security scheme, as API Gateway's own exports write it."""
    scheme: Schema = {"type": "apiKey", "name": name, "in": "header", "description": description}
    return scheme | ({"x-amazon-apigateway-authtype": authorization} if authorization else {})


def _errors(integration: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Status and code of every refusal that the integration responses' templates can write."""
    for response in integration["IntegrationResponses"]:
        template = text(response["ResponseTemplates"][_JSON])
        status = int(response["StatusCode"])
        named = [*_EXECUTION_ERROR.findall(template), *_OWN_ERROR.findall(template)]
        yield from ((int(overridden), error) for overridden, error in named)
        if only := _ONLY_ERROR.match(template):
            yield status, only[1]


def _parameters(method: _Method) -> Iterator[dict[str, Any]]:
    record_type = method.record_type
    identifier = record_type["identifyingField"]
    known = schemas.PARAMETERS | {identifier: schemas.identifier(record_type)}
    places = {"path": "path", "querystring": "query", "header": "header"}
    for parameter, required in method.properties.get("RequestParameters", {}).items():
        _, _, place, name = parameter.split(".", 3)
        schema = known.get(name, {"type": "string"})
        described = {"name": name, "in": places[place], "required": required, "schema": schema}
        # An empty one is none, as the request templates read it.
        yield described | ({"allowEmptyValue": True} if place == "querystring" else {})
    for name in _HEADER.findall(method.request_template):
        if name == "idempotency-key":
            yield {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Names the submission: the same key with the same body gives the first answer again. "
                "An empty one is none.",
                "schema": {"type": "string", "pattern": "^[ -~]{0,255}$"},
            }
