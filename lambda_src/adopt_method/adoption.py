"""Adopting a method: what was there is saved, changed, served, and one day put back exactly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from shared.observability import logger

from .backup import Backup
from .rest_api import AdoptionError, Missing, RestApiMethod, State, Target

TIME_TO_PUT_BACK = 360.0
"""Seconds kept to put back what was there: a change that has less left gives up. CDK's provider framework answers for a
handler that was stopped in the middle of a Create, and then passes no Delete on to it."""

_MARK = "## Adopted by offchain-stack. What was there before: "


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The custom resource's properties: which method, and what it is to be."""

    target: Target
    bucket: str
    key: str
    integration: Mapping[str, Any]
    """In `get_method`'s form, with its responses. Each request template begins with `mark`."""
    statuses: tuple[str, ...]
    """The method responses that the integration needs."""
    passable_roles: tuple[str, ...]
    """The roles that this function may hand to API Gateway to put back what was there."""

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> "Wanted":
        """Read the properties, named as those of AWS::ApiGateway::Method. CloudFormation makes all numbers text."""
        place, integration = properties["Backup"], properties["Integration"]
        responses = {}
        for response in properties["IntegrationResponses"]:
            responses[response["StatusCode"]] = {
                "statusCode": response["StatusCode"],
                "responseTemplates": dict(response["ResponseTemplates"]),
            }
            if "SelectionPattern" in response:
                responses[response["StatusCode"]]["selectionPattern"] = response["SelectionPattern"]
        templates = integration["RequestTemplates"]
        return cls(
            target=Target(
                rest_api_id=properties["RestApiId"],
                stage_name=properties["StageName"],
                path=properties["ResourcePath"],
                http_method=properties["HttpMethod"],
            ),
            bucket=place["Bucket"],
            key=place["Key"],
            integration={
                "type": integration["Type"],
                "httpMethod": integration["IntegrationHttpMethod"],
                "uri": integration["Uri"],
                "credentials": integration["Credentials"],
                "requestTemplates": {
                    name: f"{_mark(place['Bucket'], place['Key'])}\n{template}" for name, template in templates.items()
                },
                "passthroughBehavior": integration["PassthroughBehavior"],
                "timeoutInMillis": int(integration["TimeoutInMillis"]),
                "integrationResponses": responses,
            },
            statuses=tuple(properties["MethodResponses"]),
            passable_roles=tuple(properties.get("PassableRoles", ())),
        )

    @property
    def mark(self) -> str:
        """The line by which an adopted integration is known, whichever role it uses: it says where the original is."""
        return _mark(self.bucket, self.key)

    def runs(self, state: State) -> bool:
        """Whether the method uses this resource's own role: it works as long as this resource is there."""
        return state.integration is not None and state.integration.get("credentials") == self.integration["credentials"]


class Adoption:
    """Adopts and puts back one method.

    `remaining` gives the seconds left. What goes wrong is raised as AdoptionError, whose text names the method and how
    to mend it; Missing where there is nothing to adopt.
    """

    def __init__(
        self, wanted: Wanted, *, api_gateway: Any, s3: Any, remaining: Callable[[], float] = lambda: float("inf")
    ) -> None:
        self._wanted = wanted
        self._target = wanted.target
        self._client = api_gateway
        self._remaining = remaining
        self._backup = Backup(s3, wanted.target, bucket=wanted.bucket, key=wanted.key)
        self._name = f"{wanted.target.http_method} {wanted.target.path}"
        self._description = f"{self._name} adopted by offchain-stack ({self._backup})"

    def adopt(self, *, former: Wanted | None = None) -> str:
        """Save what is there unless it is this adoption itself, change the method, and let its stage serve the change;
        the new deployment's id.

        `former` is what this adoption was until now; None: this is its first time. A failure puts back what was there
        before it is raised: the former adoption, or the original.
        """
        api = RestApiMethod(self._client, self._target, proceed=self._check_time)
        try:
            before = api.read()
            if before.deployment_id is None:
                raise api.no_such_stage()
            saved = self._save(api, before)
            superseded = before.deployment_id if self._is_own_deployment(api, before.deployment_id) else None
        except (ClientError, BotoCoreError) as error:
            raise AdoptionError(f"{self._target} was not changed: {error}. Mend that and deploy again.") from error
        # Of another role, but marked: that one works, and its resource will find that it was followed.
        follows = self._is_marked(before) and not self._wanted.runs(before)
        original = former is None and not follows
        surplus = set(former.statuses if former else ()) - {*self._wanted.statuses, *saved.method_responses}
        deployed = None
        try:
            api.write(
                self._wanted.integration,
                method_responses={status: {} for status in self._wanted.statuses},
                surplus=surplus,
            )
            deployed = api.deploy(self._description)
            api.point_stage_at(deployed)
        except Exception as error:
            logger.exception("Not adopted")
            outcome = self._undo(saved if original else before, deployed=deployed, forget=original)
            raise AdoptionError(
                f"{self._target} was not changed: {error}. {outcome} Mend what API Gateway names, or wait a little if "
                "it only had too many requests, and deploy again."
            ) from error
        if superseded:
            api.discard(superseded)
        logger.info("Adopted", extra={"target": str(self._target), "deploymentId": deployed})
        return deployed

    def put_back(self) -> None:
        """Put back exactly what was saved, let the stage serve it, and remove the saved object.

        Nothing happens where nothing was adopted, or where the API or the method is gone. What somebody else has put in
        the place of this adoption stays, and so does the saved object; the log says so.
        """
        try:
            self._put_back()
        except Missing as missing:
            logger.warning("Nothing to put back", extra={"reason": str(missing), "saved": str(self._backup)})
        except (ClientError, BotoCoreError) as error:
            raise AdoptionError(
                f"{self._target} was not put back: {error}. Mend that and delete again. What it was before is saved in "
                f"{self._backup}."
            ) from error

    def _put_back(self) -> None:
        api = RestApiMethod(self._client, self._target)
        current = api.read()
        runs = self._wanted.runs(current)
        found = self._backup.load()
        if found is None:
            if runs:
                raise self._nothing_saved()
            logger.info("Never adopted, or put back already", extra={"target": str(self._target)})
            return
        saved, _ = found
        if not runs and current.request != saved.request:
            self._leave(api, current, saved)
            return
        if runs and not self._is_as_made(current):
            # To leave it would leave a method that uses a role and a workflow that are about to go.
            logger.warning(
                "Adopted method was changed by hand, and is put back all the same",
                extra={"target": str(self._target), "replaced": current.method},
            )
        self._restore(api, current, saved)
        back = api.read()
        if (back.request, back.integration_responses) == (saved.request, saved.integration_responses):
            self._backup.remove()
            logger.info("Put back", extra={"target": str(self._target)})
        else:
            logger.warning(
                "Put back, but API Gateway tells it differently from what was saved",
                extra={"target": str(self._target), "saved": str(self._backup)},
            )

    def _leave(self, api: RestApiMethod, current: State, saved: State) -> None:
        """Leave a method that is neither this adoption nor the original."""
        logger.warning(
            "Method was changed meanwhile, and is left as it is",
            extra={"target": str(self._target), "saved": str(self._backup), "integration": current.request},
        )
        if not self._is_marked(current) and current.deployment_id:
            # Changed, but not deployed: the stage would go on serving this adoption, without its role.
            self._restore_stage(api, current.deployment_id, saved.deployment_id, redeploy=False)

    def _save(self, api: RestApiMethod, before: State) -> State:
        """Save what is there, unless it is an adoption of this place; what is saved now."""
        found = self._backup.load()
        adopted = self._wanted.runs(before) or self._is_marked(before)
        if not adopted:
            self._check_can_be_put_back(before)
        if found is None:
            if adopted:
                raise self._nothing_saved()
            own = self._is_own_deployment(api, before.deployment_id)
            saved = State(method=before.method, deployment_id=None if own else before.deployment_id)
            if self._backup.create(saved):
                return saved
            # A second event for this resource, at the same time.
            found = self._backup.load()
            if found is None:
                raise AdoptionError(f"{self._target}: {self._backup} changes at the same time. Deploy again.")
        last, etag = found
        # The same request may be a put back that was broken off, with responses missing.
        saved = State(
            method=last.method if adopted or before.request == last.request else before.method,
            deployment_id=self._deployment_to_save(api, before, last, adopted=adopted),
        )
        if saved != last:
            logger.warning(
                "What is to be put back one day has changed",
                extra={"target": str(self._target), "saved": str(self._backup), "before": last.method},
            )
            self._backup.replace(saved, etag)
        return saved

    def _deployment_to_save(self, api: RestApiMethod, before: State, last: State, *, adopted: bool) -> str | None:
        """The deployment that the stage may go back to; None where that would lose what its owner deployed later."""
        if before.deployment_id == last.deployment_id or self._is_own_deployment(api, before.deployment_id):
            return last.deployment_id
        return None if adopted else before.deployment_id

    def _check_can_be_put_back(self, before: State) -> None:
        integration = before.integration or {}
        for template in (integration.get("requestTemplates") or {}).values():
            if (template or "").startswith(_MARK):
                place = template.splitlines()[0].removeprefix(_MARK)
                raise AdoptionError(
                    f"{self._target} is adopted already, by an ExistingMethod that saved the original in {place}. Give "
                    "this one the same backup_bucket, or remove that one and deploy first."
                )
        role = integration.get("credentials") or ""
        # arn:aws:iam::*:user/* stands for the caller, and is no role.
        if ":role/" in role and role not in self._wanted.passable_roles:
            raise AdoptionError(
                f"{self._target} uses the role {role} now. To put it back one day, this function must be allowed to "
                "hand that role to API Gateway. Give it as original_role=iam.Role.from_role_arn(...) and deploy again."
            )

    def _undo(self, state: State, *, deployed: str | None, forget: bool) -> str:
        """Go back to `state` after a failure; a sentence for the user about how that went."""
        api = RestApiMethod(self._client, self._target)
        try:
            self._restore(api, api.read(), state)
        except Missing as missing:
            logger.warning("Nothing to put back", extra={"reason": str(missing)})
            return f"It is gone meanwhile ({missing})."
        except Exception as error:
            logger.exception("Not put back")
            return (
                f"What was there before could NOT be put back: {error}. It is saved in {self._backup}: set the "
                "method's integration to it by hand and deploy the API, or deploy this stack again."
            )
        if deployed:
            api.discard(deployed)
        if forget:
            try:
                self._backup.remove()
            except (ClientError, BotoCoreError) as error:
                # Harmless: it is what the method is, and the next adoption compares.
                logger.info("Saved object stays", extra={"saved": str(self._backup), "reason": str(error)})
        return "What was there before is there again."

    def _restore(self, api: RestApiMethod, current: State, state: State) -> None:
        """Make the method and its stage what they were in `state`."""
        added = [status for status in self._wanted.statuses if status not in state.method_responses]
        api.write(state.integration, method_responses=state.method_responses, surplus=added)
        if current.deployment_id is None:
            logger.warning("Stage is gone", extra={"target": str(self._target), "stage": self._target.stage_name})
        else:
            self._restore_stage(api, current.deployment_id, state.deployment_id, redeploy=True)

    def _restore_stage(self, api: RestApiMethod, current: str, former: str | None, *, redeploy: bool) -> None:
        """Let the stage serve `former`, if nobody deployed since this adoption did; otherwise a new deployment of the
        API as it is now."""
        if current == former:
            return
        own = self._is_own_deployment(api, current)
        if own and former and api.describe_deployment(former) is not None:
            api.point_stage_at(former)
        elif redeploy:
            api.point_stage_at(api.deploy(f"{self._name} put back by offchain-stack"))
        else:
            logger.warning("Stage is left as it is", extra={"target": str(self._target), "deploymentId": current})
            return
        if own:
            api.discard(current)

    def _is_own_deployment(self, api: RestApiMethod, deployment_id: str | None) -> bool:
        return deployment_id is not None and api.describe_deployment(deployment_id) == self._description

    def _is_marked(self, state: State) -> bool:
        """Whether the method is an adoption whose original is saved at this place."""
        templates = (state.integration or {}).get("requestTemplates") or {}
        return any((template or "").splitlines()[:1] == [self._wanted.mark] for template in templates.values())

    def _is_as_made(self, state: State) -> bool:
        wanted = self._wanted.integration
        integration = state.integration or {}
        same_request = all(integration.get(name) == wanted[name] for name in wanted if name != "integrationResponses")
        return same_request and {
            status: (response.get("selectionPattern"), response.get("responseTemplates"))
            for status, response in state.integration_responses.items()
        } == {
            status: (response.get("selectionPattern"), response["responseTemplates"])
            for status, response in wanted["integrationResponses"].items()
        }

    def _nothing_saved(self) -> AdoptionError:
        return AdoptionError(
            f"{self._target} runs the workflow, and {self._backup}, which says what it was before, is gone. Put a "
            "version of that object back, or give the method its own integration by hand; then deploy or delete again."
        )

    def _check_time(self) -> None:
        if self._remaining() < TIME_TO_PUT_BACK:
            raise AdoptionError("API Gateway took too long")


def _mark(bucket: str, key: str) -> str:
    return f"{_MARK}s3://{bucket}/{key}"
