"""The cloud assembly: synthesized from this repository's app, or given, and read into what the sandbox runs."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .errors import SandboxError
from .intrinsics import Resolver
from .record_type import RecordType

ROOT = Path(__file__).resolve().parent.parent
"""The repository: `app.py`, `cdk.json` and the folders that the assembly is made from."""

CACHE = ROOT / ".sandbox"
_INPUTS = ("app.py", "cdk.json", "offchain_stack", "lambda_src")


@dataclass(frozen=True, kw_only=True)
class Function:
    """A Lambda function. `asset` is the folder of its code; `timeout` is in seconds, `memory` in MiB."""

    name: str
    arn: str
    handler: str
    runtime: str
    asset: Path
    environment: Mapping[str, str]
    timeout: float
    memory: int

    @property
    def folder(self) -> str:
        """The folder of its handler, which says what it does: `upload_object`, `verify_all` and so on."""
        return self.handler.partition(".")[0]

    @property
    def record_type(self) -> RecordType | None:
        """None for a function that serves any."""
        text = self.environment.get("RECORD_TYPE")
        return RecordType.from_json(text) if text else None


@dataclass(frozen=True, kw_only=True)
class StateMachine:
    """A state machine. `definition` is its Amazon States Language text; `kind` is EXPRESS or STANDARD."""

    name: str
    arn: str
    role_arn: str
    definition: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Bucket:
    name: str
    versioned: bool


@dataclass(frozen=True, kw_only=True)
class IntegrationResponse:
    """`selection_pattern` is matched against the back end's HTTP status; empty for the default response."""

    selection_pattern: str
    status: int
    templates: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of the REST API with its AWS integration. `models` maps a content type to a JSON schema.
    `required_parameters` are what its validator demands: place ("path", "querystring" or "header") and name."""

    authorization: str
    api_key_required: bool
    validates_body: bool
    required_parameters: tuple[tuple[str, str], ...]
    models: Mapping[str, Any]
    integration_type: str
    uri: str
    request_templates: Mapping[str, str]
    passthrough: str
    responses: tuple[IntegrationResponse, ...]
    timeout: float


@dataclass(frozen=True, kw_only=True)
class GatewayResponse:
    """What API Gateway answers itself. `status` None leaves the one that the type has by default."""

    status: int | None
    templates: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RestApi:
    """`methods` maps a path such as `/donors` to HTTP method and Method. `has_policy`: a resource policy.
    `access_log_format` is the stage's, empty if it logs no requests."""

    name: str
    has_policy: bool
    stage: str
    stage_variables: Mapping[str, str]
    methods: Mapping[str, Mapping[str, Method]]
    gateway_responses: Mapping[str, GatewayResponse]
    access_log_format: str

    @property
    def routes(self) -> list[str]:
        """Every method as people write it, such as `POST /donors`."""
        return [f"{name} {path}" for path, methods in self.methods.items() for name in methods]

    def path_to_create(self, records: str) -> str | None:
        """The path to which requests of the record type with the path `records` are posted; None if there is none."""
        found = (path for path, methods in self.methods.items() if "POST" in methods)
        return next((path for path in found if path.endswith(f"/{records}")), None)


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """The one stack of a cloud assembly, with every name resolved. Functions and state machines are found by ARN."""

    region: str
    account: str
    functions: Mapping[str, Function]
    state_machines: Mapping[str, StateMachine]
    buckets: tuple[Bucket, ...]
    rest_api: RestApi
    resource_types: frozenset[str]

    @property
    def record_types(self) -> dict[str, RecordType]:
        """By path, in the template's order."""
        found = [function.record_type for function in self.functions.values()]
        return {each.path: each for each in found if each}

    def functions_of(self, records: str | None = None) -> dict[str, Function]:
        """By their folders, the functions that serve the record type with the path `records`, by default the first:
        its own, and those that serve any."""
        records = records or next(iter(self.record_types), None)
        return {
            function.folder: function
            for function in self.functions.values()
            if function.record_type is None or function.record_type.path == records
        }


def synthesize(*, root: Path = ROOT, cache: Path = CACHE) -> Path:
    """Run `app.py` with bundling skipped and return the assembly's folder; at once where nothing has changed.

    Raises SandboxError with the app's own error.
    """
    folder = cache / "assembly" / _digest(root)
    with _lock(cache / "assembly.lock"):
        if not folder.exists():
            folder.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                _run_app(root, Path(scratch) / "cdk.out")
                (Path(scratch) / "cdk.out").rename(folder)
    return folder


@contextmanager
def synthesized(settings: Path, *, root: Path = ROOT) -> Iterator[Path]:
    """Run `app.py` with a settings file and give the assembly's folder, which is removed in the end: the file may name
    others, so that only running the app tells whether something has changed.

    Raises SandboxError with the app's own error.
    """
    with tempfile.TemporaryDirectory(prefix="sandbox-assembly-") as scratch:
        _run_app(root, Path(scratch) / "cdk.out", {"offchainSettings": str(settings.resolve())})
        yield Path(scratch) / "cdk.out"


def snapshot(asset: Path, *, cache: Path = CACHE) -> Path:
    """A copy of a function's code in the cache, by content: later edits do not reach a running sandbox, and what Python
    compiles does not get into the asset."""
    folder = cache / "assets" / _digest_of([asset], asset)
    with _lock(cache / "assets.lock"):
        if not folder.exists():
            folder.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                shutil.copytree(asset, Path(scratch) / "asset", ignore=shutil.ignore_patterns("__pycache__"))
                (Path(scratch) / "asset").rename(folder)
    return folder


def _run_app(root: Path, folder: Path, more_context: Mapping[str, str] = MappingProxyType({})) -> None:
    try:
        context = json.loads((root / "cdk.json").read_text("utf-8")).get("context", {}) | dict(more_context)
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise SandboxError(f"{root / 'cdk.json'} is not CDK's JSON: {error}; correct it") from error
    context["aws:cdk:bundling-stacks"] = []
    process = subprocess.run(
        [sys.executable, "app.py"],
        cwd=root,
        env=os.environ
        | {
            "CDK_OUTDIR": str(folder),
            "CDK_CONTEXT_JSON": json.dumps(context),
            "CDK_VALIDATION": "false",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        said = process.stderr.strip() or f"it ended with {process.returncode}"
        *before, last = said.splitlines()
        # A prop is named by a ValueError, and settings by lines of their own.
        if last.startswith("ValueError: "):
            raise SandboxError(f"app.py could not be synthesized: {last.removeprefix('ValueError: ')}")
        raise SandboxError(f"app.py could not be synthesized:{chr(10) if before else ' '}{said[-4000:]}")


def _digest(root: Path) -> str:
    salt = f"{sys.version} {metadata.version('aws-cdk-lib')}"
    return _digest_of([root / name for name in _INPUTS], root, salt)


def _digest_of(paths: Iterable[Path], root: Path, salt: str = "") -> str:
    digest = hashlib.sha256(salt.encode())
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"\0{file.relative_to(root)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load(folder: Path) -> Assembly:
    """Read the assembly in `folder` (a `cdk.out`). Raises SandboxError where it has not exactly one stack, or where
    that stack uses something that the sandbox cannot run."""
    manifest_file = folder / "manifest.json"
    if not manifest_file.is_file():
        raise SandboxError(f"{folder} is no cloud assembly: it has no manifest.json. Give a folder made by cdk synth.")
    artifacts = json.loads(manifest_file.read_text("utf-8"))["artifacts"]
    stacks = {name: each for name, each in artifacts.items() if each["type"] == "aws:cloudformation:stack"}
    if len(stacks) != 1:
        raise SandboxError(f"{folder} has {len(stacks)} stacks ({', '.join(stacks)}); the sandbox runs exactly one.")
    ((stack_name, stack),) = stacks.items()
    account, region = stack["environment"].removeprefix("aws://").split("/")
    account = "123456789012" if account == "unknown-account" else account
    region = "us-east-1" if region == "unknown-region" else region
    template = json.loads((folder / stack["properties"]["templateFile"]).read_text("utf-8"))
    resolver = Resolver(template, region=region, account=account, stack_name=stack_name)
    assets = _assets(folder, artifacts)
    functions = [_function(resolver, logical_id, assets) for logical_id in resolver.of_type("AWS::Lambda::Function")]
    return Assembly(
        region=region,
        account=account,
        functions={function.arn: function for function in functions},
        state_machines={
            resolver.arn(logical_id): _state_machine(resolver, logical_id, properties)
            for logical_id, properties in resolver.of_type("AWS::StepFunctions::StateMachine").items()
        },
        buckets=tuple(
            Bucket(
                name=resolver.name(logical_id),
                versioned=resolver.resolve(properties).get("VersioningConfiguration", {}).get("Status") == "Enabled",
            )
            for logical_id, properties in resolver.of_type("AWS::S3::Bucket").items()
        ),
        rest_api=_rest_api(resolver),
        resource_types=frozenset(resource["Type"] for resource in resolver.resources.values()),
    )


def _assets(folder: Path, artifacts: Mapping[str, Any]) -> dict[str, Path]:
    found = {}
    for artifact in artifacts.values():
        if artifact["type"] == "cdk:asset-manifest":
            manifest = json.loads((folder / artifact["properties"]["file"]).read_text("utf-8"))
            for asset in manifest.get("files", {}).values():
                for destination in asset["destinations"].values():
                    found[destination["objectKey"]] = folder / asset["source"]["path"]
    return found


def _function(resolver: Resolver, logical_id: str, assets: Mapping[str, Path]) -> Function:
    properties = resolver.resolve(
        {
            key: value
            for key, value in resolver.resources[logical_id]["Properties"].items()
            if key in ("Code", "Handler", "Runtime", "Environment", "Timeout", "MemorySize")
        }
    )
    key = properties["Code"].get("S3Key")
    if key not in assets or not assets[key].is_dir():
        raise SandboxError(
            f"the code of function {logical_id} is no folder in the assembly; the sandbox runs only those"
        )
    if not properties["Runtime"].startswith("python"):
        raise SandboxError(f"function {logical_id} has runtime {properties['Runtime']}; the sandbox runs only Python")
    return Function(
        name=resolver.name(logical_id),
        arn=resolver.arn(logical_id),
        handler=properties["Handler"],
        runtime=properties["Runtime"],
        asset=assets[key],
        environment=properties.get("Environment", {}).get("Variables", {}),
        timeout=float(properties.get("Timeout", 3)),
        memory=int(properties.get("MemorySize", 128)),
    )


def _state_machine(resolver: Resolver, logical_id: str, properties: Mapping[str, Any]) -> StateMachine:
    definition = resolver.resolve(properties.get("DefinitionString") or properties.get("Definition"))
    if definition is None:
        raise SandboxError(f"state machine {logical_id} has no DefinitionString; the sandbox reads no other form")
    return StateMachine(
        name=resolver.name(logical_id),
        arn=resolver.arn(logical_id),
        role_arn=resolver.resolve(properties["RoleArn"]),
        definition=definition if isinstance(definition, str) else json.dumps(definition),
        kind=properties.get("StateMachineType", "STANDARD"),
    )


def _rest_api(resolver: Resolver) -> RestApi:
    apis = resolver.of_type("AWS::ApiGateway::RestApi")
    if len(apis) != 1:
        raise SandboxError(f"the template has {len(apis)} REST APIs; the sandbox serves exactly one")
    (logical_id,) = apis
    stages = [resolver.resolve(each) for each in resolver.of_type("AWS::ApiGateway::Stage").values()]
    methods: dict[str, dict[str, Method]] = {}
    paths = _paths(resolver, root=f"{resolver.name(logical_id)}/")
    for properties in resolver.of_type("AWS::ApiGateway::Method").values():
        path = paths[resolver.resolve(properties["ResourceId"])]
        methods.setdefault(path, {})[properties["HttpMethod"]] = _method(resolver, properties)
    return RestApi(
        name=resolver.name(logical_id),
        has_policy="Policy" in apis[logical_id],
        stage=stages[0].get("StageName", "") if stages else "",
        stage_variables=stages[0].get("Variables", {}) if stages else {},
        methods=methods,
        gateway_responses={
            properties["ResponseType"]: GatewayResponse(
                status=int(properties["StatusCode"]) if "StatusCode" in properties else None,
                templates=properties.get("ResponseTemplates", {}),
                headers=_static_headers(properties.get("ResponseParameters", {}), "gatewayresponse.header."),
            )
            for properties in map(resolver.resolve, resolver.of_type("AWS::ApiGateway::GatewayResponse").values())
        },
        access_log_format=stages[0].get("AccessLogSetting", {}).get("Format", "") if stages else "",
    )


def _paths(resolver: Resolver, *, root: str) -> dict[str, str]:
    resources = resolver.of_type("AWS::ApiGateway::Resource")

    def path(resource_id: str) -> str:
        if resource_id == root:
            return ""
        properties = resources[resource_id]
        return f"{path(resolver.resolve(properties['ParentId']))}/{properties['PathPart']}"

    return {root: "/"} | {resource_id: path(resource_id) for resource_id in resources}


def _method(resolver: Resolver, properties: Mapping[str, Any]) -> Method:
    resolved = resolver.resolve(properties)
    models = {resolver.name(each): schema for each, schema in resolver.of_type("AWS::ApiGateway::Model").items()}
    validator = properties.get("RequestValidatorId", {}).get("Ref")
    validates = resolver.resources[validator]["Properties"] if validator else {}
    demanded = resolved.get("RequestParameters", {}) if validates.get("ValidateRequestParameters") else {}
    places = [
        name.removeprefix("method.request.").partition(".") for name, is_demanded in demanded.items() if is_demanded
    ]
    integration = resolved["Integration"]
    return Method(
        authorization=resolved.get("AuthorizationType", "NONE"),
        api_key_required=resolved.get("ApiKeyRequired", False),
        validates_body=bool(validates.get("ValidateRequestBody")),
        required_parameters=tuple((place, name) for place, _, name in places),
        models={
            content_type: resolver.resolve(models[name]["Schema"])
            for content_type, name in resolved.get("RequestModels", {}).items()
            if name in models
        },
        integration_type=integration["Type"],
        uri=integration.get("Uri", ""),
        request_templates=integration.get("RequestTemplates", {}),
        passthrough=integration.get("PassthroughBehavior", "WHEN_NO_MATCH"),
        responses=tuple(
            IntegrationResponse(
                selection_pattern=response.get("SelectionPattern", ""),
                status=int(response["StatusCode"]),
                templates=response.get("ResponseTemplates", {}),
                headers=_static_headers(response.get("ResponseParameters", {}), "method.response.header."),
            )
            for response in integration.get("IntegrationResponses", [])
        ),
        timeout=integration.get("TimeoutInMillis", 29000) / 1000,
    )


def _static_headers(parameters: Mapping[str, str], prefix: str) -> dict[str, str]:
    headers = {}
    for name, value in parameters.items():
        if not name.startswith(prefix) or not (value.startswith("'") and value.endswith("'")):
            raise SandboxError(f"the sandbox knows only headers with a static value, not {name}: {value}")
        headers[name.removeprefix(prefix)] = value[1:-1]
    return headers
