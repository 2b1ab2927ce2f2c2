"""The adopt-method function on moto's API Gateway, made as strict as AWS where moto is not."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from adopt_method import rest_api
from adopt_method.adoption import TIME_TO_PUT_BACK
from adopt_method.handler import api_gateway, handler
from adopt_method.rest_api import AdoptionError, Missing
from botocore.exceptions import ClientError, ReadTimeoutError
from shared import aws

from tests.unit.deployment import Context
from tests.unit.signals import CORRELATION_ID, Signals

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/workflow"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/other"
URI = "arn:aws:apigateway:us-east-1:states:action/StartSyncExecution"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:ngo"
BUCKET = "offchain-test"
KEY = "adopted-methods/api/prod/POST/donors.json"
WHOLE = bool(os.environ.get("OFFCHAIN_WHOLE_FAULT_TABLE"))
CHANGES = {
    "PutIntegration",
    "DeleteIntegration",
    "PutIntegrationResponse",
    "DeleteIntegrationResponse",
    "PutMethodResponse",
    "DeleteMethodResponse",
    "CreateDeployment",
    "UpdateStage",
}

PROXY: dict[str, Any] = {
    "type": "AWS_PROXY",
    "integrationHttpMethod": "POST",
    "uri": f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations",
    "passthroughBehavior": "WHEN_NO_MATCH",
    "timeoutInMillis": 29_000,
    "cacheNamespace": "abc123",
}
CUSTOM: dict[str, Any] = PROXY | {
    "type": "AWS",
    "credentials": OTHER_ROLE,
    "requestParameters": {"integration.request.header.X-Kind": "'donor'"},
    "requestTemplates": {"application/json": "{\"body\": $input.json('$')}", "text/plain": ""},
    "contentHandling": "CONVERT_TO_TEXT",
    "timeoutInMillis": 3_000,
    "tlsConfig": {"insecureSkipVerification": False},
}
HTTP: dict[str, Any] = {"type": "HTTP", "integrationHttpMethod": "PUT", "uri": "https://example.org/donors"}


class StrictApiGateway:
    """What AWS does and moto 5.2.5 does not, and faults, placed in the function's own client.

    AWS: PutMethodResponse refuses a status that is there; PutIntegrationResponse one without method response, and a
    selection pattern that is there; deletes of what is not there are 404; a deployment needs an integration for each
    method, keeps what the API was, and cannot be deleted while a stage serves it; a stage takes no unknown deployment;
    GetResources comes in pages. Whether PutIntegration keeps the integration responses AWS does not say: see `both`.
    moto drops `cacheKeyParameters`, `connectionId`, `responseTransferMode` and `integrationTarget`: see what is sent.
    """

    def __init__(self, client: Any, *, keeps_responses: bool) -> None:
        self.client = client
        self.keeps_responses = keeps_responses
        self.page_size = 500
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.before: Callable[[str, dict[str, Any]], None] = lambda name, arguments: None
        self.after: Callable[[str, dict[str, Any]], None] = lambda name, arguments: None
        self._arguments: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._page = 0
        events = api_gateway().meta.events
        events.register("provide-client-params.apigateway", self._ask)
        events.register("after-call.apigateway", self._answer)

    def close(self) -> None:
        events = api_gateway().meta.events
        events.unregister("provide-client-params.apigateway", self._ask)
        events.unregister("after-call.apigateway", self._answer)

    @property
    def changes(self) -> list[str]:
        return [name for name, _ in self.sent if name in CHANGES]

    def refuse(self, name: str, code: str, message: str) -> None:
        raise getattr(self.client.exceptions, code)({"Error": {"Code": code, "Message": message}}, name)

    def _ask(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        name, self._arguments = model.name, dict(params)
        self.before(name, params)
        self.sent.append((name, dict(params)))
        check = getattr(self, f"_check_{name}", None)
        if check:
            check(params)

    def _answer(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        name, arguments = model.name, self._arguments
        if "Error" in parsed:
            return
        if name == "CreateDeployment":
            self.snapshots[parsed["id"]] = self.snapshot(arguments["restApiId"])
        if name == "GetResources":
            start = int(arguments.get("position", 0))
            end = start + min(self.page_size, arguments["limit"])
            if end < len(parsed["items"]):
                parsed["position"] = str(end)
            parsed["items"] = parsed["items"][start:end]
        if name == "PutIntegration" and self.keeps_responses:
            for status, response in self._kept.items():
                fields = {key: value for key, value in response.items() if value is not None}
                self.client.put_integration_response(**self._method(arguments), **fields | {"statusCode": status})
        self.after(name, arguments)

    def snapshot(self, api_id: str) -> dict[str, Any]:
        found = {}
        for resource in self.client.get_resources(restApiId=api_id, embed=["methods"])["items"]:
            for verb, method in resource.get("resourceMethods", {}).items():
                # moto leaves an empty list after the last one was deleted; that is the same.
                if not method.get("methodIntegration", {}).get("integrationResponses", True):
                    del method["methodIntegration"]["integrationResponses"]
                found[f"{verb} {resource['path']}"] = method
        return found

    def _method(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {name: arguments[name] for name in ("restApiId", "resourceId", "httpMethod")}

    def _current(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return self.client.get_method(**self._method(arguments))  # type: ignore[no-any-return]

    def _responses(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return self._current(arguments).get("methodIntegration", {}).get("integrationResponses") or {}

    def _check_PutIntegration(self, arguments: dict[str, Any]) -> None:
        self._kept = json.loads(json.dumps(self._responses(arguments)).replace("null", '""'))

    def _check_PutMethodResponse(self, arguments: dict[str, Any]) -> None:
        if arguments["statusCode"] in self._current(arguments)["methodResponses"]:
            self.refuse("PutMethodResponse", "ConflictException", "Response already exists for this resource")

    def _check_PutIntegrationResponse(self, arguments: dict[str, Any]) -> None:
        name, status = "PutIntegrationResponse", arguments["statusCode"]
        if status not in self._current(arguments)["methodResponses"]:
            self.refuse(name, "NotFoundException", "No method response exists for method.")
        pattern = arguments.get("selectionPattern")
        if pattern in [each.get("selectionPattern") for each in self._responses(arguments).values()]:
            self.refuse(
                name,
                "ConflictException",
                f"Integration response with selection pattern {pattern or 'default'} already exists",
            )

    def _check_DeleteIntegrationResponse(self, arguments: dict[str, Any]) -> None:
        if arguments["statusCode"] not in self._responses(arguments):
            self.refuse("DeleteIntegrationResponse", "NotFoundException", "Invalid Response status code specified")

    def _check_DeleteMethodResponse(self, arguments: dict[str, Any]) -> None:
        if arguments["statusCode"] not in self._current(arguments)["methodResponses"]:
            self.refuse("DeleteMethodResponse", "NotFoundException", "Invalid Response status code specified")

    def _check_CreateDeployment(self, arguments: dict[str, Any]) -> None:
        methods = self.snapshot(arguments["restApiId"]).values()
        if not all(method.get("methodIntegration") for method in methods):
            self.refuse("CreateDeployment", "BadRequestException", "No integration defined for method")

    def _deployments(self, arguments: dict[str, Any]) -> list[str]:
        return [each["id"] for each in self.client.get_deployments(restApiId=arguments["restApiId"])["items"]]

    def _check_GetDeployment(self, arguments: dict[str, Any]) -> None:
        if arguments["deploymentId"] not in self._deployments(arguments):
            self.refuse("GetDeployment", "NotFoundException", "Invalid Deployment identifier specified")

    def _check_DeleteDeployment(self, arguments: dict[str, Any]) -> None:
        stages = self.client.get_stages(restApiId=arguments["restApiId"])["item"]
        if arguments["deploymentId"] in [stage["deploymentId"] for stage in stages]:
            message = "Active stages pointing to this deployment must be moved or deleted"
            self.refuse("DeleteDeployment", "BadRequestException", message)

    def _check_UpdateStage(self, arguments: dict[str, Any]) -> None:
        if arguments["patchOperations"][0]["value"] not in self._deployments(arguments):
            self.refuse("UpdateStage", "BadRequestException", "Invalid deployment content specified")


class World:
    """An API of somebody's with `POST /donors`, and the custom resource's events."""

    def __init__(self, gateway: StrictApiGateway, s3: Any) -> None:
        self.gateway = gateway
        self.client = gateway.client
        self.s3 = s3
        self.api, self.resource = self.make_api()
        self.method = {"restApiId": self.api, "resourceId": self.resource, "httpMethod": "POST"}
        self.context = Context(remaining=840)

    def make_api(self) -> tuple[str, str]:
        api = self.client.create_rest_api(name="ngo")["id"]
        root = self.client.get_resources(restApiId=api)["items"][0]["id"]
        for path in ("ngos", "spend"):
            other = self.client.create_resource(restApiId=api, parentId=root, pathPart=path)["id"]
            self.put_method(api, other, "GET")
            self.client.put_integration(restApiId=api, resourceId=other, httpMethod="GET", **PROXY)
        donors = self.client.create_resource(restApiId=api, parentId=root, pathPart="donors")["id"]
        self.put_method(api, donors, "POST")
        return api, donors

    def put_method(self, api: str, resource: str, verb: str) -> None:
        self.client.put_method(
            restApiId=api,
            resourceId=resource,
            httpMethod=verb,
            authorizationType="AWS_IAM",
            apiKeyRequired=True,
            operationName="CreateDonor",
            requestModels={"application/json": "Donor"},
            requestParameters={"method.request.header.X-Kind": False},
        )

    def has(self, integration: dict[str, Any], *, api: str | None = None, resource: str | None = None) -> None:
        """The method as its owner made it, deployed to the stage prod."""
        method = self.method | {"restApiId": api or self.api, "resourceId": resource or self.resource}
        statuses = {"200": True, "500": True, "418": False} if integration is not PROXY else {"200": False}
        for status, header in statuses.items():
            parameters = {"method.response.header.Access-Control-Allow-Origin": False} if header else {}
            models = {"application/json": "Empty"} if status == "200" else {}
            self.client.put_method_response(
                **method, statusCode=status, responseParameters=parameters, responseModels=models
            )
        self.client.put_integration(**method, **integration)
        if integration is not PROXY:
            self.client.put_integration_response(
                **method,
                statusCode="200",
                responseTemplates={"application/json": ""},
                responseParameters={"method.response.header.Access-Control-Allow-Origin": "'*'"},
            )
            self.client.put_integration_response(
                **method, statusCode="500", selectionPattern=".*Error.*", responseTemplates={"text/plain": "no"}
            )
        self.deploy(api=api)

    def deploy(self, *, api: str | None = None) -> str:
        """The owner deploys."""
        api = api or self.api
        deployment: str = self.client.create_deployment(restApiId=api, description="by hand")["id"]
        self.gateway.snapshots[deployment] = self.gateway.snapshot(api)
        stages = [stage["stageName"] for stage in self.client.get_stages(restApiId=api)["item"]]
        if "prod" not in stages:
            self.client.create_stage(restApiId=api, stageName="prod", deploymentId=deployment, variables={"a": "b"})
        self.client.update_stage(
            restApiId=api,
            stageName="prod",
            patchOperations=[{"op": "replace", "path": "/deploymentId", "value": deployment}],
        )
        return deployment

    def properties(self, **changed: Any) -> dict[str, Any]:
        return {
            "ServiceToken": "arn",
            "RestApiId": self.api,
            "StageName": "prod",
            "ResourcePath": "/donors",
            "HttpMethod": "POST",
            "Integration": {
                "Type": "AWS",
                "IntegrationHttpMethod": "POST",
                "Uri": URI,
                "Credentials": ROLE,
                "RequestTemplates": {"application/json": "## request\n{}"},
                "PassthroughBehavior": "NEVER",
                "TimeoutInMillis": "29000",
            },
            "IntegrationResponses": [
                {"StatusCode": "200", "SelectionPattern": "200", "ResponseTemplates": {"application/json": "result"}},
                {"StatusCode": "500", "SelectionPattern": "4..", "ResponseTemplates": {"application/json": "refused"}},
                {"StatusCode": "504", "ResponseTemplates": {"application/json": "unanswered"}},
            ],
            "MethodResponses": ["200", "409", "500", "504"],
            "Backup": {"Bucket": BUCKET, "Key": KEY},
            "PassableRoles": [OTHER_ROLE],
        } | changed

    def with_role(self, role: str) -> dict[str, Any]:
        properties = self.properties()
        return properties | {"Integration": properties["Integration"] | {"Credentials": role}}

    def event(self, kind: str, properties: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        event = {"RequestType": kind, "ResourceProperties": properties or self.properties()} | fields
        answer: dict[str, Any] = handler(event, self.context)  # type: ignore[arg-type]
        return answer

    def create(self, properties: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.event("Create", properties)

    def update(self, properties: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.event(
            "Update", properties, OldResourceProperties=old or self.properties(), PhysicalResourceId=self.physical_id
        )

    def delete(self, properties: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.event("Delete", properties, PhysicalResourceId=self.physical_id)

    @property
    def physical_id(self) -> str:
        return f"{self.api}/prod/POST/donors"

    def now(self, api: str | None = None) -> Any:
        """All methods of the API, as `get_method` answers."""
        return self.gateway.snapshot(api or self.api)

    def stage(self, api: str | None = None) -> dict[str, Any]:
        stage: dict[str, Any] = self.client.get_stage(restApiId=api or self.api, stageName="prod")
        del stage["ResponseMetadata"]
        return stage

    def served(self, api: str | None = None) -> Any:
        """All methods as callers of the stage see them."""
        return self.gateway.snapshots[self.stage(api)["deploymentId"]]

    def deployments(self) -> set[str]:
        return {each["id"] for each in self.client.get_deployments(restApiId=self.api)["items"]}

    def saved(self) -> dict[str, Any] | None:
        try:
            body = self.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        return json.loads(body)  # type: ignore[no-any-return]

    def uri(self, methods: Any) -> str:
        return methods["POST /donors"]["methodIntegration"]["uri"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def clients(aws_emulation: None) -> Iterator[dict[str, Any]]:
    """The API's owner's, apart from the function's own."""
    api_gateway.cache_clear()
    yield {service: boto3.client(service) for service in ("apigateway", "s3")}
    api_gateway.cache_clear()


@pytest.fixture(params=[True])
def world(
    request: pytest.FixtureRequest, clients: dict[str, Any], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setattr(rest_api.time, "sleep", lambda seconds: None)
    gateway = StrictApiGateway(clients["apigateway"], keeps_responses=request.param)
    yield World(gateway, clients["s3"])
    gateway.close()


# Whether PutIntegration keeps the integration responses is not said by AWS. By default the more likely is tried.
WORLDS = {"responses-dropped": False} | ({"responses-kept": True} if WHOLE else {})
both = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS, indirect=True)
"""With an API Gateway whose PutIntegration keeps the integration responses, and with one that drops them."""


@pytest.fixture(params=[CUSTOM, *([PROXY] if WHOLE else [])], ids=lambda kind: kind["type"])
def original(request: pytest.FixtureRequest, world: World) -> Any:
    """The method as its owner made it, of two kinds: all methods of the API."""
    world.has(request.param)
    return world.now()


@pytest.fixture
def custom(world: World) -> Any:
    world.has(CUSTOM)
    return world.now()


class Killed(BaseException):
    """Lambda stops the function."""


def fail_at(world: World, number: int, *, lasting: bool = False, kind: str = "refused") -> list[str]:
    """The function's change of this number (from 0) fails; the names of those that were asked for. `kind`: refused (not
    done), lost (done, and the answer does not arrive), killed."""
    asked: list[str] = []

    def hit(name: str) -> bool:
        return name in CHANGES and (len(asked) - 1 == number or (lasting and len(asked) > number))

    def before(name: str, _arguments: dict[str, Any]) -> None:
        if name in CHANGES:
            asked.append(name)
        if kind == "killed" and hit(name):
            raise Killed
        if kind == "refused" and hit(name):
            world.gateway.refuse(name, "TooManyRequestsException", "Too Many Requests")

    def after(name: str, _arguments: dict[str, Any]) -> None:
        if kind == "lost" and hit(name):
            raise ReadTimeoutError(endpoint_url="https://apigateway")

    world.gateway.before, world.gateway.after = before, after
    return asked


def heal(world: World) -> None:
    world.gateway.before = world.gateway.after = lambda name, arguments: None


def number_of_changes(world: World, act: Callable[[], Any]) -> int:
    already = len(world.gateway.changes)
    act()
    return len(world.gateway.changes) - already


class TestCreate:
    @both
    def test_changes_the_integration_and_nothing_else(self, world: World, original: Any) -> None:
        stage = world.stage()
        answer = world.create()
        assert answer == {
            "PhysicalResourceId": world.physical_id,
            "Data": {"DeploymentId": world.stage()["deploymentId"]},
        }
        now, before = world.now(), original.pop("POST /donors")
        method = now.pop("POST /donors")
        assert now == original
        integration, responses = method.pop("methodIntegration"), method.pop("methodResponses")
        del before["methodIntegration"]
        kept = before.pop("methodResponses")
        assert method == before
        assert responses == {status: {"statusCode": status} for status in ("200", "409", "500", "504")} | kept
        assert (integration["uri"], integration["credentials"]) == (URI, ROLE)
        assert (integration["httpMethod"], integration["type"]) == ("POST", "AWS")
        assert (integration["passthroughBehavior"], integration["timeoutInMillis"]) == ("NEVER", 29_000)
        assert integration["requestTemplates"]["application/json"].splitlines() == [
            f"## Adopted by offchain-stack. What was there before: s3://{BUCKET}/{KEY}",
            "## request",
            "{}",
        ]
        assert {
            status: (each.get("selectionPattern"), each["responseTemplates"]["application/json"])
            for status, each in integration["integrationResponses"].items()
        } == {"200": ("200", "result"), "500": ("4..", "refused"), "504": (None, "unanswered")}
        assert world.served() == world.now()
        assert world.stage() == stage | {"deploymentId": answer["Data"]["DeploymentId"]}

    def test_saves_what_was_there(self, world: World, original: Any) -> None:
        deployment = world.stage()["deploymentId"]
        world.create()
        assert world.saved() == {
            "format": 1,
            "target": world.physical_id,
            "deploymentId": deployment,
            "method": original["POST /donors"],
        }

    def test_again_after_a_lost_answer_keeps_the_true_original(self, world: World, original: Any) -> None:
        world.create()
        saved, deployments = world.saved(), world.deployments()
        world.create()
        assert world.saved() == saved
        assert len(world.deployments()) == len(deployments)
        world.delete()
        assert world.now() == world.served() == original

    def test_at_the_same_time_as_another_keeps_the_true_original(
        self, world: World, custom: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.create()
        saved = world.saved()
        assert saved
        world.delete()
        listed = []
        s3 = aws.client("s3", attempts=5)
        list_objects = s3.list_objects_v2

        def other_saves_meanwhile(**arguments: Any) -> Any:
            answer = list_objects(**arguments)
            if not listed:
                world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(saved))
            listed.append(answer)
            return answer

        monkeypatch.setattr(s3, "list_objects_v2", other_saves_meanwhile)
        world.create()
        assert world.saved() == saved
        assert len(listed) == 2

    def test_pages_of_resources(self, world: World, custom: Any) -> None:
        world.gateway.page_size = 1
        world.create()
        pages = [arguments for name, arguments in world.gateway.sent if name == "GetResources"]
        assert [page.get("position") for page in pages[:4]] == [None, "1", "2", "3"]
        assert world.uri(world.now()) == URI

    def test_a_change_at_the_same_time_is_waited_for(self, world: World, custom: Any) -> None:
        left = dict.fromkeys(CHANGES, 1)

        def before(name: str, _arguments: dict[str, Any]) -> None:
            if left.pop(name, None):
                message = "Unable to complete operation due to concurrent modification. Please try again later."
                world.gateway.refuse(name, "ConflictException", message)

        world.gateway.before = before
        world.create()
        world.delete()
        assert world.now() == world.served() == custom

    def test_sends_what_moto_does_not_keep(self, world: World, custom: Any) -> None:
        world.create()
        saved = world.saved()
        assert saved
        more = {
            "cacheKeyParameters": ["method.request.header.X-Kind"],
            "connectionType": "VPC_LINK",
            "connectionId": "a",
        }
        saved["method"]["methodIntegration"] |= more
        world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(saved))
        world.delete()
        sent = [arguments for name, arguments in world.gateway.sent if name == "PutIntegration"][-1]
        assert {name: sent[name] for name in more} == more
        # Not what was saved, as read again: the saved object is kept.
        assert world.saved() == saved


class TestMissing:
    @pytest.mark.parametrize(
        ("changed", "text"),
        [
            ({"RestApiId": "nosuchapi"}, "POST /donors of REST API nosuchapi: this account has no such REST API"),
            ({"ResourcePath": "/donor"}, "no resource /donor. It has /, /donors, /ngos, /spend. Name one"),
            ({"HttpMethod": "PUT"}, "PUT /donors of .* does not exist: the resource has POST. Name one"),
            ({"ResourcePath": "/"}, "POST / of .* does not exist: the resource has none. "),
            ({"StageName": "live"}, "has no stage 'live'. It has prod. Name one"),
        ],
    )
    def test_is_named_with_what_there_is(self, world: World, custom: Any, changed: dict[str, Any], text: str) -> None:
        with pytest.raises(Missing, match=text):
            world.create(world.properties(**changed))
        assert world.now() == world.served() == custom
        assert world.saved() is None
        assert world.gateway.changes == []
        # CloudFormation's rollback, were it passed on.
        world.delete(world.properties(**changed))
        assert world.now() == world.served() == custom

    def test_a_long_list_stays_short(self, world: World, custom: Any) -> None:
        root = next(
            each["id"] for each in world.client.get_resources(restApiId=world.api)["items"] if each["path"] == "/"
        )
        for number in range(300):
            world.client.create_resource(restApiId=world.api, parentId=root, pathPart=f"part-{number}-{'x' * 40}")
        with pytest.raises(Missing, match="and 284 more") as raised:
            world.create(world.properties(ResourcePath="/donor"))
        assert len(str(raised.value)) < 2_000


@pytest.mark.long
class TestFailure:
    """A fault at each call, one after the other."""

    @both
    @pytest.mark.parametrize("kind", ["refused", "lost"])
    def test_of_create_puts_back_what_was_there(self, world: World, original: Any, kind: str) -> None:
        stage, deployments = world.stage(), world.deployments()
        count = number_of_changes(world, world.create)
        world.delete()
        assert count >= 8
        for number in range(count):
            asked = fail_at(world, number, kind=kind)
            with pytest.raises(
                AdoptionError, match=r"^POST /donors of REST API .* What was there before is there again"
            ):
                world.create()
            heal(world)
            assert world.now() == original, asked
            assert world.served() == original, asked
            assert world.stage() == stage, asked
            assert world.saved() is None
            if (kind, asked[number]) == ("lost", "CreateDeployment"):
                # Its id never arrived. It serves nobody.
                (lost,) = world.deployments() - deployments
                world.client.delete_deployment(restApiId=world.api, deploymentId=lost)
            assert world.deployments() == deployments, asked
            # CloudFormation's rollback; CDK's framework does not pass it on.
            world.delete()
            assert world.now() == world.served() == original

    @both
    @pytest.mark.parametrize("kind", ["refused", "lost"])
    def test_of_update_puts_back_the_earlier_adoption(self, world: World, custom: Any, kind: str) -> None:
        world.create()
        new = self.changed(world)
        adopted, stage, saved = world.now(), world.stage(), world.saved()
        count = number_of_changes(world, lambda: world.update(new))
        world.update(world.properties(), old=new)
        adopted, stage = world.now(), world.stage()
        for number in range(count):
            asked = fail_at(world, number, kind=kind)
            with pytest.raises(AdoptionError, match="What was there before is there again"):
                world.update(new)
            heal(world)
            assert world.now() == adopted, asked
            assert world.served() == adopted, asked
            assert world.stage() == stage, asked
            assert world.saved() == saved
        world.delete()
        assert world.now() == world.served() == custom

    @both
    @pytest.mark.parametrize("kind", ["refused", "lost"])
    def test_of_delete_is_mended_by_the_next_one(self, world: World, original: Any, kind: str) -> None:
        world.create()
        count = number_of_changes(world, world.delete)
        for number in range(count):
            world.create()
            asked = fail_at(world, number, kind=kind)
            with pytest.raises(AdoptionError, match=r"^POST /donors of .* was not put back: .* saved in s3://"):
                world.delete()
            heal(world)
            assert world.saved(), asked
            world.delete()
            assert world.now() == original, asked
            assert world.served() == original, asked
            assert world.saved() is None

    def test_that_lasts_is_told_and_the_original_is_not_lost(self, world: World, original: Any) -> None:
        count = number_of_changes(world, world.create)
        world.delete()
        for number in range(1, count):
            fail_at(world, number, lasting=True)
            with pytest.raises(AdoptionError, match=f"could NOT be put back: .* saved in s3://{BUCKET}/{KEY}"):
                world.create()
            heal(world)
            world.create()
            world.delete()
            assert world.now() == world.served() == original

    def test_by_being_killed_loses_no_original(self, world: World, original: Any) -> None:
        """The next stack has another role, and finds the original all the same."""
        count = number_of_changes(world, world.create)
        world.delete()
        for number in range(count):
            fail_at(world, number, kind="killed")
            with pytest.raises(Killed):
                world.create()
            heal(world)
            next_stack = world.with_role(f"{ROLE}-{number}")
            world.create(next_stack)
            world.delete(next_stack)
            assert world.now() == original
            assert world.uri(world.served()) == world.uri(original)

    def test_for_want_of_time_leaves_time_to_put_back(self, world: World, custom: Any) -> None:
        def before(name: str, _arguments: dict[str, Any]) -> None:
            if name == "PutIntegrationResponse":
                world.context.remaining = TIME_TO_PUT_BACK - 1

        world.gateway.before = before
        with pytest.raises(AdoptionError, match=r"API Gateway took too long\. What was there before is there again"):
            world.create()
        assert world.now() == world.served() == custom

    def test_of_saving_changes_nothing(self, world: World, custom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(**_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")

        monkeypatch.setattr(aws.client("s3", attempts=5), "put_object", refuse)
        with pytest.raises(AdoptionError, match=r"was not changed: .*AccessDenied"):
            world.create()
        assert world.gateway.changes == []

    def test_since_another_method_is_unfinished(self, world: World, custom: Any) -> None:
        root = next(
            each["id"] for each in world.client.get_resources(restApiId=world.api)["items"] if each["path"] == "/"
        )
        world.put_method(world.api, root, "GET")
        unfinished = world.now()
        with pytest.raises(AdoptionError, match=r"No integration defined for method\. What was there before"):
            world.create()
        assert (world.now(), world.served()) == (unfinished, custom)

    def test_when_the_api_goes_meanwhile(self, world: World, custom: Any) -> None:
        def before(name: str, arguments: dict[str, Any]) -> None:
            if name == "CreateDeployment":
                world.client.delete_rest_api(restApiId=world.api)
                world.gateway.refuse(name, "NotFoundException", "Invalid API identifier specified")

        world.gateway.before = before
        with pytest.raises(AdoptionError, match="It is gone meanwhile"):
            world.create()

    def changed(self, world: World) -> dict[str, Any]:
        """Other templates, one status more and one less."""
        properties = world.properties(MethodResponses=["200", "410", "500", "503", "504"])
        integration = properties["Integration"] | {"RequestTemplates": {"application/json": "new"}}
        responses = [
            {"StatusCode": "200", "SelectionPattern": "200", "ResponseTemplates": {"application/json": "new"}},
            {"StatusCode": "500", "SelectionPattern": "5..", "ResponseTemplates": {"application/json": "refused"}},
            {"StatusCode": "503", "ResponseTemplates": {"application/json": "unanswered"}},
        ]
        return properties | {"Integration": integration, "IntegrationResponses": responses}


class TestUpdate:
    @both
    def test_of_a_template_keeps_the_original(self, world: World, original: Any) -> None:
        world.create()
        saved, deployments = world.saved(), world.deployments()
        new = TestFailure().changed(world)
        assert world.update(new)["PhysicalResourceId"] == world.physical_id
        integration = world.served()["POST /donors"]["methodIntegration"]
        assert integration["requestTemplates"]["application/json"].endswith("\nnew")
        assert set(integration["integrationResponses"]) == {"200", "500", "503"}
        assert world.saved() == saved
        assert len(world.deployments()) == len(deployments)
        world.delete(new)
        assert world.served() == original
        assert world.now() == original

    def test_of_the_role(self, world: World, original: Any) -> None:
        world.create()
        new = world.with_role(f"{ROLE}-2")
        world.update(new)
        world.delete(new)
        assert world.now() == world.served() == original

    def test_to_another_api_is_another_resource(self, world: World, custom: Any) -> None:
        world.create()
        api, resource = world.make_api()
        world.has(HTTP, api=api, resource=resource)
        other = world.now(api)
        new = world.properties(RestApiId=api, Backup={"Bucket": BUCKET, "Key": KEY.replace("api", "other")})
        physical_id = world.update(new)["PhysicalResourceId"]
        assert physical_id == f"{api}/prod/POST/donors"
        assert (world.uri(world.served(api)), world.uri(world.served())) == (URI, URI)
        world.delete()  # CloudFormation's clean-up
        assert world.now() == world.served() == custom
        assert world.uri(world.served(api)) == URI
        world.event("Delete", new, PhysicalResourceId=physical_id)
        assert world.now(api) == world.served(api) == other

    def test_to_another_api_that_fails_changes_neither(self, world: World, custom: Any) -> None:
        world.create()
        adopted = world.now()
        api, resource = world.make_api()
        world.has(HTTP, api=api, resource=resource)
        other = world.now(api)
        new = world.properties(RestApiId=api, Backup={"Bucket": BUCKET, "Key": KEY.replace("api", "other")})
        fail_at(world, 5)
        with pytest.raises(AdoptionError):
            world.update(new)
        heal(world)
        assert world.now(api) == world.served(api) == other
        assert world.now() == world.served() == adopted

    def test_of_the_bucket_is_refused(self, world: World, custom: Any) -> None:
        world.create()
        new = world.properties(Backup={"Bucket": "other", "Key": KEY})
        with pytest.raises(AdoptionError, match=f"saved in s3://{BUCKET}/{KEY} and cannot move"):
            world.update(new)


class TestByOthers:
    def test_a_method_changed_by_hand_stays(self, world: World, custom: Any, caplog: pytest.LogCaptureFixture) -> None:
        world.create()
        world.client.put_integration(**world.method, **HTTP)
        deployment = world.deploy()
        theirs = world.now()
        world.delete()
        assert "Method was changed meanwhile, and is left as it is" in caplog.messages
        assert world.now() == world.served() == theirs
        assert world.stage()["deploymentId"] == deployment
        assert world.saved()

    def test_a_change_that_is_not_deployed_stays_and_the_stage_goes_back(self, world: World, custom: Any) -> None:
        world.create()
        world.client.put_integration(**world.method, **HTTP)
        theirs = world.now()
        world.delete()
        assert (world.now(), world.served()) == (theirs, custom)

    def test_an_integration_removed_by_hand_stays_away(self, world: World, custom: Any) -> None:
        world.create()
        world.client.delete_integration(**world.method)
        world.delete()
        assert "methodIntegration" not in world.now()["POST /donors"]

    def test_an_adoption_changed_by_hand_is_put_back_since_its_role_goes(
        self, world: World, custom: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.create()
        world.client.put_integration_response(
            **world.method, statusCode="504", responseTemplates={"application/json": "mine"}
        )
        world.delete()
        assert "Adopted method was changed by hand, and is put back all the same" in caplog.messages
        assert world.now() == world.served() == custom

    def test_the_original_put_back_by_hand(self, world: World, custom: Any) -> None:
        world.create()
        method = custom["POST /donors"]
        world.client.put_integration(**world.method, **CUSTOM)
        world.delete()
        assert world.now()["POST /donors"] == method
        assert world.served() == custom

    def test_other_methods_deployed_meanwhile_stay_deployed(self, world: World, custom: Any) -> None:
        world.create()
        for later in (False, True):
            root = next(
                each["id"] for each in world.client.get_resources(restApiId=world.api)["items"] if each["path"] == "/"
            )
            part = f"new-{later}"
            new = world.client.create_resource(restApiId=world.api, parentId=root, pathPart=part)["id"]
            world.put_method(world.api, new, "GET")
            world.client.put_integration(restApiId=world.api, resourceId=new, httpMethod="GET", **PROXY)
            world.deploy()
            if not later:
                world.update(TestFailure().changed(world))
        world.delete()
        served = world.served()
        assert served == world.now()
        assert {"GET /new-False", "GET /new-True"} <= set(served)
        assert served["POST /donors"]["methodIntegration"] == custom["POST /donors"]["methodIntegration"]

    def test_other_methods_deployed_before_an_update_stay_deployed(self, world: World, custom: Any) -> None:
        world.create()
        self.deploys_a_method(world)
        world.update(world.properties())
        world.delete()
        assert "GET /new" in world.served()
        assert world.served() == world.now()

    def deploys_a_method(self, world: World) -> None:
        root = next(
            each["id"] for each in world.client.get_resources(restApiId=world.api)["items"] if each["path"] == "/"
        )
        new = world.client.create_resource(restApiId=world.api, parentId=root, pathPart="new")["id"]
        world.put_method(world.api, new, "GET")
        world.client.put_integration(restApiId=world.api, resourceId=new, httpMethod="GET", **PROXY)
        world.deploy()

    def test_what_was_not_deployed_goes_live_only_as_long_as_the_adoption(self, world: World, custom: Any) -> None:
        world.client.put_integration(
            restApiId=world.api, resourceId=world.resource, httpMethod="POST", **CUSTOM | {"timeoutInMillis": 4_000}
        )
        draft = world.now()
        world.create()
        world.delete()
        assert (world.now(), world.served()) == (draft, custom)

    def test_the_owners_own_new_integration_is_put_back_later(self, world: World, custom: Any) -> None:
        world.create()
        world.client.put_integration(**world.method, **HTTP)
        world.deploy()
        theirs = world.now()
        new = TestFailure().changed(world)
        world.update(new)
        assert world.uri(world.served()) == URI
        world.delete(new)
        back = world.now()["POST /donors"]
        assert back["methodIntegration"] == theirs["POST /donors"]["methodIntegration"]
        assert world.uri(world.served()) == HTTP["uri"]

    def test_the_stage_moved_back_by_hand_stays_there(self, world: World, custom: Any) -> None:
        stage = world.stage()
        world.create()
        world.client.update_stage(
            restApiId=world.api,
            stageName="prod",
            patchOperations=[{"op": "replace", "path": "/deploymentId", "value": stage["deploymentId"]}],
        )
        world.delete()
        assert world.stage() == stage
        assert world.now() == custom

    def test_the_former_deployment_deleted(self, world: World, custom: Any) -> None:
        former = world.stage()["deploymentId"]
        world.create()
        world.client.delete_deployment(restApiId=world.api, deploymentId=former)
        world.delete()
        assert world.now() == world.served() == custom

    def test_a_deployment_that_another_stage_serves_stays(self, world: World, custom: Any) -> None:
        deployment = world.create()["Data"]["DeploymentId"]
        world.client.create_stage(restApiId=world.api, stageName="beta", deploymentId=deployment)
        world.delete()
        assert world.served() == custom
        assert deployment in world.deployments()

    def test_a_renamed_construct_takes_over(self, world: World, custom: Any) -> None:
        world.create()
        renamed = world.with_role(f"{ROLE}-renamed")
        world.create(renamed)
        adopted = world.now()
        world.delete()  # of the old construct
        assert world.now() == world.served() == adopted
        world.delete(renamed)
        assert world.now() == world.served() == custom

    def test_a_renamed_construct_that_fails_leaves_the_former_one(self, world: World, custom: Any) -> None:
        world.create()
        saved = world.saved()
        count = number_of_changes(world, lambda: world.update(world.properties()))
        adopted = world.now()
        fail_at(world, count - 1)
        with pytest.raises(AdoptionError):
            world.create(world.with_role(f"{ROLE}-renamed"))
        heal(world)
        assert world.now() == world.served() == adopted
        assert world.saved() == saved

    def test_an_adoption_saved_elsewhere_is_not_taken_for_an_original(self, world: World, custom: Any) -> None:
        world.create()
        second = world.with_role(f"{ROLE}-2") | {"Backup": {"Bucket": BUCKET, "Key": "elsewhere.json"}}
        with pytest.raises(AdoptionError, match=f"is adopted already, .* saved the original in s3://{BUCKET}/{KEY}"):
            world.create(second)

    def test_a_role_that_cannot_be_handed_back_is_refused_before_anything_changes(
        self, world: World, custom: Any
    ) -> None:
        with pytest.raises(AdoptionError, match=f"uses the role {OTHER_ROLE} now.*original_role="):
            world.create(world.properties(PassableRoles=[]))
        assert world.gateway.changes == []
        assert world.saved() is None


class TestDelete:
    @both
    def test_removes_what_it_saved(self, world: World, original: Any, caplog: pytest.LogCaptureFixture) -> None:
        stage, deployments = world.stage(), world.deployments()
        world.create()
        assert world.delete() == {"PhysicalResourceId": world.physical_id}
        assert world.now() == world.served() == original
        assert world.stage() == stage
        assert world.deployments() == deployments
        assert world.saved() is None
        assert caplog.messages == ["Adopted", "Put back"]

    def test_again_after_a_lost_answer(self, world: World, custom: Any) -> None:
        world.create()
        world.delete()
        world.delete()
        assert world.now() == world.served() == custom

    def test_of_what_was_never_adopted(self, world: World, custom: Any, caplog: pytest.LogCaptureFixture) -> None:
        world.delete()
        assert caplog.messages == ["Never adopted, or put back already"]
        assert world.gateway.changes == []

    def test_where_the_api_is_gone(self, world: World, custom: Any, caplog: pytest.LogCaptureFixture) -> None:
        world.create()
        world.client.delete_rest_api(restApiId=world.api)
        world.delete()
        assert caplog.messages[-1] == "Nothing to put back"
        assert world.saved()

    def test_where_the_method_is_gone(self, world: World, custom: Any) -> None:
        world.create()
        world.client.delete_method(**world.method)
        without = world.now()
        world.delete()
        assert world.now() == without

    def test_where_the_stage_is_gone(self, world: World, custom: Any) -> None:
        world.create()
        world.client.delete_stage(restApiId=world.api, stageName="prod")
        world.delete()
        assert world.now() == custom
        assert world.client.get_stages(restApiId=world.api)["item"] == []
        assert world.saved() is None

    def test_where_the_method_had_no_integration(self, world: World) -> None:
        world.client.put_integration(**world.method, **PROXY)
        world.deploy()
        served = world.now()
        world.client.delete_integration(**world.method)
        before = world.now()
        world.create()
        assert world.uri(world.served()) == URI
        world.delete()
        assert (world.now(), world.served()) == (before, served)

    @pytest.mark.parametrize("body", [b"{", b'{"format": 2}', b"[]"])
    def test_with_a_broken_saved_object(self, world: World, custom: Any, body: bytes) -> None:
        world.create()
        adopted = world.now()
        world.s3.put_object(Bucket=BUCKET, Key=KEY, Body=body)
        with pytest.raises(AdoptionError, match=f"s3://{BUCKET}/{KEY} does not hold what POST /donors"):
            world.delete()
        assert world.now() == adopted

    def test_without_the_saved_object(self, world: World, custom: Any) -> None:
        world.create()
        world.s3.delete_object(Bucket=BUCKET, Key=KEY)
        for act in (world.delete, world.create):
            with pytest.raises(AdoptionError, match=f"s3://{BUCKET}/{KEY}, which says what it was before, is gone"):
                act()
        (marker,) = world.s3.list_object_versions(Bucket=BUCKET, Prefix=KEY)["DeleteMarkers"][:1]
        world.s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=marker["VersionId"])
        world.delete()
        assert world.now() == world.served() == custom


def test_the_log_names_cloudformations_request(world: World, custom: Any, signals: Signals) -> None:
    world.event("Create", RequestId=CORRELATION_ID)
    with pytest.raises(AdoptionError):
        world.event("Create", world.properties(ResourcePath="/nobody"), RequestId=CORRELATION_ID)
    assert signals.message("Adopted")["target"]
    assert signals.message("Failed")["exceptionName"] == "Missing"
    signals.require_correlated("invocation")
