"""Serves the template's REST API as API Gateway does: models, mapping templates, integration and gateway responses.

Parameters of the path arrive in templates percent-encoded as they were sent, those of the query string decoded.
Authorization, API keys, throttling and usage plans are not emulated: every request counts as authorised, and its caller
is who the sandbox was told. A body that is not UTF-8 is refused as invalid JSON, which it is. For a path or method that
it does not have, API Gateway answers as if the caller were not authorised; here that is 404, with those that there are.
"""

import json
import re
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import aws_json, request_model, vtl
from .assembly import Assembly, IntegrationResponse, Method
from .caller import Caller
from .errors import SandboxError
from .lambda_runner import ServiceError
from .server import HOST, Request, Response, Server

MAX_BODY = 10 * 1024 * 1024
"""Bytes of a request that API Gateway takes (its quotas)."""

_START_SYNC = re.compile(r"arn:[^:]*:apigateway:[^:]*:states:action/StartSyncExecution")
_REFUSALS = {
    "BAD_REQUEST_BODY": (400, "Invalid request body"),
    "BAD_REQUEST_PARAMETERS": (400, "Missing required request parameters: {}"),
    "REQUEST_TOO_LARGE": (413, "Request Too Long"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Unsupported Media Type"),
    "API_CONFIGURATION_ERROR": (500, "Internal server error"),
    "INTEGRATION_FAILURE": (504, "Internal server error"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
}
_LONGEST_PATH = 200
"""Characters of a path that is not served which the answer repeats."""
_VARIABLE = re.compile(r"\$(?:\{([\w.]+)\}|([A-Za-z_]\w*(?:\.\w+)*))")

StartSyncExecution = Callable[[Any], dict[str, Any]]
"""Takes and answers StartSyncExecution's JSON body; raises ServiceError where Step Functions refuses."""


class _Refused(Exception):
    """API Gateway itself answers, with the gateway response of this type. `detail` goes into its message, and
    `validation_error` is what the validator says of a body."""

    def __init__(self, response_type: str, validation_error: str = "", *, detail: str = "") -> None:
        super().__init__(response_type)
        self.response_type, self.validation_error, self.detail = response_type, validation_error, detail


class _NotServed(Exception):
    """The API has no such path, or not with this method."""


@dataclass(frozen=True, kw_only=True)
class _BackendAnswer:
    status: int
    body: str


class Api:
    """Serves from the moment it is made until `close`. `caller` is asked at each request. A line for each request, as
    the stage says, is added to the file `access_log`. Raises SandboxError where the API has an integration that the
    sandbox does not know, or where the port is in use."""

    def __init__(
        self,
        assembly: Assembly,
        start_sync_execution: StartSyncExecution,
        *,
        port: int = 0,
        caller: Callable[[], Caller] = Caller,
        access_log: Path | None = None,
    ) -> None:
        self._assembly, self._api, self._access_log = assembly, assembly.rest_api, access_log
        self._start_sync_execution, self._caller = start_sync_execution, caller
        for path, methods in self._api.methods.items():
            for name, method in methods.items():
                if method.integration_type != "MOCK" and not _START_SYNC.fullmatch(method.uri):
                    raise SandboxError(
                        f"the sandbox does not know the integration of {name} {path}: {method.uri}; "
                        "it knows Step Functions' StartSyncExecution and MOCK"
                    )
        self._server = Server(self._handle, port=port, max_body=MAX_BODY)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def _handle(self, request: Request) -> Response:
        began = time.monotonic()
        path, _, query = request.target.partition("?")
        context = self._context(request, path)
        try:
            response = self._answer(request, path, query, context)
        except _Refused as refused:
            context["error"] = {"responseType": refused.response_type}
            response = self._gateway_response(refused, context)
        except _NotServed:
            response = self._not_served(request.method, path, context)
        context |= {"status": response.status, "responseLatency": _milliseconds_since(began)}
        self._log(context)
        ids = {"x-amzn-RequestId": context["requestId"], "x-amz-apigw-id": context["extendedRequestId"]}
        return Response(status=response.status, headers={**response.headers, **ids}, body=response.body)

    def _log(self, context: Mapping[str, Any]) -> None:
        if self._access_log is None or not self._api.access_log_format:
            return
        line = _substitute(self._api.access_log_format, {"context": context}, missing="-", escaped=True)
        # The folder is gone if the sandbox ends while this request is under way.
        with suppress(FileNotFoundError), self._access_log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    def _context(self, request: Request, path: str) -> dict[str, Any]:
        now = time.time()
        return {
            "accountId": self._assembly.account,
            "apiId": "sandbox",
            "stage": self._api.stage,
            "requestId": self._request_id(request),
            "extendedRequestId": uuid.uuid4().hex[:15] + "=",
            "requestTimeEpoch": int(now * 1000),
            "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "httpMethod": request.method,
            "path": path,
            "protocol": "HTTP/1.1",
            "identity": {"sourceIp": HOST, "userAgent": request.headers.get("User-Agent", "")},
            "requestOverride": {"header": {}, "path": {}, "querystring": {}},
            "responseOverride": {"header": {}, "status": ""},
        }

    @staticmethod
    def _request_id(request: Request) -> str:
        """AWS: "Clients can override this request ID"."""
        chosen = " ".join(request.headers.get("x-amzn-RequestId", "").split())
        return chosen or str(uuid.uuid4())

    def _answer(self, request: Request, path: str, query: str, context: dict[str, Any]) -> Response:
        method, path_parameters, resource = self._find(request.method, path)
        context["resourcePath"] = resource
        self._name_caller(method, context)
        if request.too_large:
            raise _Refused("REQUEST_TOO_LARGE")
        parameters = {
            "header": dict(request.headers.items()),
            "querystring": dict(urllib.parse.parse_qsl(query, keep_blank_values=True)),
            "path": path_parameters,
        }
        if missing := _missing(method, parameters):
            raise _Refused("BAD_REQUEST_PARAMETERS", detail=f"[{', '.join(missing)}]")
        content_type = request.headers.get_content_type() if "Content-Type" in request.headers else "application/json"
        try:
            body = request.body.decode()
        except UnicodeDecodeError:
            raise _Refused("BAD_REQUEST_BODY", "Invalid JSON") from None
        if method.validates_body and content_type in method.models:
            problem = request_model.problem(body, method.models[content_type])
            if problem is not None:
                raise _Refused("BAD_REQUEST_BODY", problem)
        template = method.request_templates.get(content_type)
        if template is None and (
            method.passthrough == "NEVER" or (method.passthrough == "WHEN_NO_TEMPLATES" and method.request_templates)
        ):
            raise _Refused("UNSUPPORTED_MEDIA_TYPE")
        vtl_request = vtl.Request(body=body, **parameters)
        rendered = body if template is None else self._render(template, vtl_request, context)
        began = time.monotonic()
        answer = self._mock(rendered) if method.integration_type == "MOCK" else self._call(method, rendered)
        context["integration"] = {"status": answer.status, "latency": _milliseconds_since(began)}
        return self._integration_response(method, answer, context)

    def _name_caller(self, method: Method, context: dict[str, Any]) -> None:
        caller = self._caller()
        match method.authorization:
            case "AWS_IAM" if caller.arn:
                context["identity"]["userArn"] = caller.arn
            case "COGNITO_USER_POOLS":
                context["authorizer"] = {"claims": dict(caller.claims)}
            case "CUSTOM":
                context["authorizer"] = dict(caller.claims)

    def _find(self, http_method: str, path: str) -> tuple[Method, dict[str, str], str]:
        for resource, methods in self._api.methods.items():
            pattern = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", re.escape(resource))
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern)
            match = re.fullmatch(pattern, path)
            if match:
                method = methods.get(http_method) or methods.get("ANY")
                if method:
                    return method, match.groupdict(), resource
        raise _NotServed

    def _not_served(self, http_method: str, path: str, context: dict[str, Any]) -> Response:
        """The sandbox's own answer, in the form of the API's refusals."""
        message = (
            f"The sandbox serves no {http_method} {path[:_LONGEST_PATH]}. It serves {', '.join(self._api.routes)}."
        )
        answer = {"error": "NotFound", "message": message, "requestId": context["extendedRequestId"]}
        return Response(status=404, headers={"Content-Type": "application/json"}, body=json.dumps(answer).encode())

    def _render(self, template: str, request: vtl.Request, context: dict[str, Any]) -> str:
        try:
            return vtl.render(template, request=request, context=context, stage_variables=self._api.stage_variables)
        except vtl.TemplateError as error:
            raise _Refused("API_CONFIGURATION_ERROR") from error

    def _mock(self, rendered: str) -> _BackendAnswer:
        try:
            return _BackendAnswer(status=int(json.loads(rendered)["statusCode"]), body="")
        except (ValueError, KeyError, TypeError) as error:
            raise _Refused("API_CONFIGURATION_ERROR") from error

    def _call(self, method: Method, body: str) -> _BackendAnswer:
        answers: list[_BackendAnswer] = []

        def run() -> None:
            try:
                answer = self._start_sync_execution(aws_json.loads(body))
                answers.append(_BackendAnswer(status=200, body=json.dumps(answer)))
            except ServiceError as error:
                text = json.dumps({"__type": error.code, "message": error.message})
                answers.append(_BackendAnswer(status=error.status, body=text))
            except ValueError:
                text = json.dumps({"__type": "SerializationException", "message": "The request is not JSON."})
                answers.append(_BackendAnswer(status=400, body=text))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(method.timeout)
        if thread.is_alive():
            raise _Refused("INTEGRATION_TIMEOUT")
        if not answers:
            raise _Refused("INTEGRATION_FAILURE")
        return answers[0]

    def _integration_response(self, method: Method, answer: _BackendAnswer, context: dict[str, Any]) -> Response:
        chosen = _select(method.responses, str(answer.status))
        if chosen is None:
            raise _Refused("API_CONFIGURATION_ERROR")
        content_type, template = _preferred(chosen.templates)
        body = answer.body
        if template is not None:
            body = self._render(template, vtl.Request(body=answer.body), context)
        override = context["responseOverride"]
        headers = {"Content-Type": content_type, **chosen.headers}
        headers |= {str(name): str(value) for name, value in override["header"].items()}
        status = int(override["status"] or chosen.status)
        return Response(status=status, headers=headers, body=body.encode("utf-8", "replace"))

    def _gateway_response(self, refused: _Refused, context: dict[str, Any]) -> Response:
        status, message = _REFUSALS[refused.response_type]
        message = message.format(refused.detail)
        family = "DEFAULT_4XX" if status < 500 else "DEFAULT_5XX"
        responses = self._api.gateway_responses
        response = responses.get(refused.response_type) or responses.get(family)
        error = {
            "message": message,
            "messageString": json.dumps(message),
            "responseType": refused.response_type,
            "validationErrorString": refused.validation_error,
        }
        names = {"context": {**context, "error": error}, "stageVariables": self._api.stage_variables}
        content_type, template = _preferred(response.templates if response else {})
        body = _substitute(template or '{"message":$context.error.messageString}', names)
        return Response(
            status=(response.status if response else None) or status,
            headers={
                "Content-Type": content_type,
                "x-amzn-ErrorType": f"{refused.response_type.title().replace('_', '')}Exception",
                **(response.headers if response else {}),
            },
            body=body.encode("utf-8", "replace"),
        )


def _missing(method: Method, parameters: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The names of required parameters that are absent or blank. A header's name is compared without case."""
    headers = {name.lower(): value for name, value in parameters["header"].items()}
    return [
        name
        for place, name in method.required_parameters
        if not (headers.get(name.lower(), "") if place == "header" else parameters[place].get(name, "")).strip()
    ]


def _select(responses: tuple[IntegrationResponse, ...], status: str) -> IntegrationResponse | None:
    for response in responses:
        if response.selection_pattern and re.fullmatch(response.selection_pattern, status):
            return response
    return next((response for response in responses if not response.selection_pattern), None)


def _preferred(templates: Mapping[str, str]) -> tuple[str, str | None]:
    if not templates or "application/json" in templates:
        return "application/json", templates.get("application/json")
    return next(iter(templates.items()))


def _substitute(template: str, names: Mapping[str, Any], *, missing: str = "", escaped: bool = False) -> str:
    """Gateway responses and access logs know variables, but no Velocity. What a validator says is escaped as in a JSON
    string, and all else if `escaped`."""

    def value(match: re.Match[str]) -> str:
        found: Any = names
        for name in (match[1] or match[2]).split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if found is None:
            return missing
        quoted = escaped or (match[1] or match[2]).endswith("validationErrorString")
        return json.dumps(str(found), ensure_ascii=False)[1:-1] if quoted else str(found)

    return _VARIABLE.sub(value, template)


def _milliseconds_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
