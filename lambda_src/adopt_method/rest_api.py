"""One method of a REST API and the stage that serves it, through API Gateway's control plane.

What is written here is not live: a stage serves a deployment, a snapshot of the whole API. Only `point_stage_at`
changes what callers see.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from shared.observability import logger

_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between two tries of a change that met somebody else's."""

_NAMED_AT_MOST = 20

_Answer = TypeVar("_Answer")


class AdoptionError(Exception):
    """The method cannot be adopted or put back; the text is what CloudFormation shows."""


class Missing(AdoptionError):
    """The API, its resource, the method or the stage does not exist; the text names those that do."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A method, and the stage that is to serve its change."""

    rest_api_id: str
    stage_name: str
    path: str
    http_method: str

    @property
    def physical_id(self) -> str:
        """The custom resource's physical id: another target is another resource."""
        return f"{self.rest_api_id}/{self.stage_name}/{self.http_method}{self.path}"

    def __str__(self) -> str:
        return f"{self.http_method} {self.path} of REST API {self.rest_api_id}"


@dataclass(frozen=True, kw_only=True)
class State:
    """A method as `get_method` answers, and the id of the stage's deployment."""

    method: Mapping[str, Any]
    deployment_id: str | None

    @property
    def integration(self) -> Mapping[str, Any] | None:
        return self.method.get("methodIntegration")

    @property
    def method_responses(self) -> Mapping[str, Mapping[str, Any]]:
        return self.method.get("methodResponses") or {}

    @property
    def integration_responses(self) -> Mapping[str, Mapping[str, Any]]:
        return (self.integration or {}).get("integrationResponses") or {}

    @property
    def request(self) -> dict[str, Any] | None:
        """The integration without its responses: what `put_integration` writes in one step."""
        if self.integration is None:
            return None
        return {name: value for name, value in self.integration.items() if name != "integrationResponses"}


class RestApiMethod:
    """Reads and changes the method `target`.

    `proceed` is called before each change and may raise. Methods raise Missing, or botocore's errors after its retries.
    """

    def __init__(self, client: Any, target: Target, *, proceed: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._target = target
        self._proceed = proceed

    def read(self) -> State:
        """The method and its stage as they are; `deployment_id` is None where the stage does not exist."""
        method = self._client.get_method(**self._ids())
        del method["ResponseMetadata"]
        try:
            stage = self._client.get_stage(restApiId=self._target.rest_api_id, stageName=self._target.stage_name)
        except self._client.exceptions.NotFoundException:
            return State(method=method, deployment_id=None)
        return State(method=method, deployment_id=stage["deploymentId"])

    def no_such_stage(self) -> Missing:
        """The error that says that the stage is missing."""
        stages = self._client.get_stages(restApiId=self._target.rest_api_id)["item"]
        return Missing(
            f"{self._target} cannot be adopted: the API has no stage {self._target.stage_name!r}. It has "
            f"{_named(stage['stageName'] for stage in stages)}. Name one of these as stage_name, or deploy the API to "
            f"a stage {self._target.stage_name!r} first."
        )

    def write(
        self,
        integration: Mapping[str, Any] | None,
        *,
        method_responses: Mapping[str, Mapping[str, Any]],
        surplus: Collection[str],
    ) -> None:
        """Give the method this integration and its responses, in `get_method`'s form; None removes it.

        `method_responses` that are missing are added, those there are stay as they are; `surplus` ones (by status) go.
        """
        self._again_on_conflict(lambda: self._write(integration, method_responses, surplus))

    def deploy(self, description: str) -> str:
        """Snapshot the API as it is now; the new deployment's id. No stage serves it yet."""
        self._proceed()
        answer = self._again_on_conflict(
            # With a stageName API Gateway would make a stage that somebody has just deleted.
            lambda: self._client.create_deployment(restApiId=self._target.rest_api_id, description=description)
        )
        return str(answer["id"])

    def point_stage_at(self, deployment_id: str) -> None:
        """Let the stage serve this deployment; its variables, settings and logs stay as they are."""
        self._proceed()
        self._again_on_conflict(
            lambda: self._client.update_stage(
                restApiId=self._target.rest_api_id,
                stageName=self._target.stage_name,
                patchOperations=[{"op": "replace", "path": "/deploymentId", "value": deployment_id}],
            )
        )

    def describe_deployment(self, deployment_id: str) -> str | None:
        """The deployment's description; None where the deployment does not exist."""
        try:
            answer = self._client.get_deployment(restApiId=self._target.rest_api_id, deploymentId=deployment_id)
        except self._client.exceptions.NotFoundException:
            return None
        return str(answer.get("description", ""))

    def discard(self, deployment_id: str) -> None:
        """Delete a deployment that the stage does not serve any more. One that cannot be deleted, for example since
        another stage serves it, stays and harms nobody."""
        try:
            self._client.delete_deployment(restApiId=self._target.rest_api_id, deploymentId=deployment_id)
        except (ClientError, BotoCoreError) as error:
            logger.info("Deployment stays", extra={"deploymentId": deployment_id, "reason": str(error)})

    def _write(
        self,
        integration: Mapping[str, Any] | None,
        method_responses: Mapping[str, Mapping[str, Any]],
        surplus: Collection[str],
    ) -> None:
        ids = self._ids()
        current = self._client.get_method(**ids)
        there = current.get("methodResponses") or {}
        if integration is not None:
            self._change(self._client.put_integration, **ids, **_integration_arguments(integration))
            # An integration response needs the method response of its status.
            for status, response in method_responses.items():
                if status not in there:
                    self._change(
                        self._client.put_method_response, **ids, statusCode=status, **_arguments(response, "statusCode")
                    )
            self._write_integration_responses(ids, integration.get("integrationResponses") or {})
        elif current.get("methodIntegration"):
            self._delete(self._client.delete_integration, **ids)
        for status in surplus:
            if status in there:
                self._delete(self._client.delete_method_response, **ids, statusCode=status)

    def _write_integration_responses(self, ids: dict[str, str], wanted: Mapping[str, Mapping[str, Any]]) -> None:
        # Read again: API Gateway's reference does not say whether they outlive a put of the integration.
        there = self._client.get_method(**ids)["methodIntegration"].get("integrationResponses") or {}
        # First those that go: two with one selection pattern would be refused.
        for status, response in there.items():
            if response != wanted.get(status):
                self._delete(self._client.delete_integration_response, **ids, statusCode=status)
        for status, response in wanted.items():
            if response != there.get(status):
                self._change(
                    self._client.put_integration_response,
                    **ids,
                    statusCode=status,
                    **_arguments(response, "statusCode"),
                )

    def _ids(self) -> dict[str, str]:
        """The three ids of the method. Raises Missing naming what there is in its place."""
        target = self._target
        pages = self._client.get_paginator("get_resources").paginate(
            restApiId=target.rest_api_id, PaginationConfig={"PageSize": 500}
        )
        try:
            resources = {item["path"]: item for page in pages for item in page["items"]}
        except self._client.exceptions.NotFoundException:
            raise Missing(
                f"{target}: this account has no such REST API in this region. Name the API that has the method as "
                "rest_api (aws apigateway get-rest-apis lists them)."
            ) from None
        if target.path not in resources:
            raise Missing(
                f"{target} does not exist: the API has no resource {target.path}. It has {_named(resources)}. "
                "Name one of these as path, or create the resource and its method first."
            )
        resource = resources[target.path]
        methods = resource.get("resourceMethods") or {}
        if target.http_method not in methods:
            raise Missing(
                f"{target} does not exist: the resource has {_named(methods)}. Name one of these as http_method, or "
                "create the method first."
            )
        return {"restApiId": target.rest_api_id, "resourceId": resource["id"], "httpMethod": target.http_method}

    def _change(self, call: Callable[..., Any], **arguments: Any) -> None:
        self._proceed()
        call(**arguments)

    def _delete(self, call: Callable[..., Any], **arguments: Any) -> None:
        self._proceed()
        # Not found: gone already, perhaps by a call whose answer was lost.
        with contextlib.suppress(self._client.exceptions.NotFoundException):
            call(**arguments)

    def _again_on_conflict(self, change: Callable[[], _Answer]) -> _Answer:
        """Run `change`, which reads before it writes, again where API Gateway refuses it since somebody else changes
        the API at the same time, or since an earlier try with a lost answer has made part of it."""
        for pause in _PAUSES:
            try:
                return change()
            except self._client.exceptions.ConflictException as conflict:
                logger.info("Conflict", extra={"reason": str(conflict)})
                time.sleep(pause)
        return change()


def _integration_arguments(integration: Mapping[str, Any]) -> dict[str, Any]:
    """`get_method`'s form of an integration as `put_integration`'s, where httpMethod is the method's own."""
    arguments = _arguments(integration, "httpMethod", "integrationResponses")
    if integration.get("httpMethod"):
        arguments["integrationHttpMethod"] = integration["httpMethod"]
    return arguments


def _arguments(answer: Mapping[str, Any], *without: str) -> dict[str, Any]:
    """An answer's fields as a request takes them: an empty template is answered as null, and only taken as text."""
    return {
        name: {key: "" if part is None else part for key, part in value.items()} if isinstance(value, dict) else value
        for name, value in answer.items()
        if value is not None and name not in without
    }


def _named(names: Iterable[str]) -> str:
    """A list for an error's text, bounded: CloudFormation takes 4 KB."""
    found = sorted(names)
    more = f" and {len(found) - _NAMED_AT_MOST} more" if len(found) > _NAMED_AT_MOST else ""
    return (", ".join(found[:_NAMED_AT_MOST]) or "none") + more
