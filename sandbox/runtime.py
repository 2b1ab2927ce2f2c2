"""The sandbox as a whole: ledger, AWS endpoint, functions, workflow and API, started together and ended together."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from . import assembly as assemblies
from .assembly import CACHE, Assembly, Bucket, Function
from .aws import CREDENTIALS, Aws
from .caller import Caller
from .errors import SandboxError
from .examination import examine
from .faults import Faults
from .lambda_runner import Answer, Invocation, LambdaRunner, ServiceError, exit_error
from .ledger import LedgerIdentity, Network, Node
from .server import require_free

if TYPE_CHECKING:
    from .api import Api
    from .fabric import FabricEmulation
    from .workflow import Workflow


class Sandbox:
    """Runs one assembly on 127.0.0.1, from `with` to its end.

    `port` is the API's (0: a free one). `assembly` is a `cdk.out` folder; without one the repository's app is
    synthesized, with the settings of `cdk.json` or of the file `settings`. `ledger` is a network read from a connection
    profile or an emulation of the caller's; without one an emulation is started, with the channel, MSP id and chaincode
    that the template names, and with the chaincode functions of its record types. `caller` is who requests come from.
    `keep_logs`: the logs stay when a sandbox that has started ends. `max_environments` bounds the processes of each
    function; `runtime` is as LambdaRunner's; `adapt` may change the assembly before it runs, such as shorten a time-out
    for a test. Raises SandboxError where something cannot run.

    Attributes: `api_url`, `aws_endpoint`, `bucket`, `assembly`, `ledger` (the emulation or the network),
    `lambda_runner`, `workflow`, `faults`, `logs` (the folder with one log per function and the API's access log),
    `added_chaincode_functions` (of the emulation, which the workshop's chaincode has not), `warnings` (about a network
    that is not an emulation), and `caller`, which may be set anew between requests.
    """

    api_url: str
    bucket: str
    assembly: Assembly
    ledger: "FabricEmulation | Network"
    lambda_runner: LambdaRunner
    workflow: "Workflow"
    warnings: Sequence[str]

    def __init__(
        self,
        *,
        port: int = 0,
        assembly: Path | None = None,
        settings: Path | None = None,
        ledger: "FabricEmulation | Network | None" = None,
        caller: Caller | None = None,
        keep_logs: bool = False,
        max_environments: int = 4,
        runtime: str | None = None,
        adapt: Callable[[Assembly], Assembly] = lambda assembly: assembly,
    ) -> None:
        self.faults = Faults()
        self.caller = caller or Caller()
        self.added_chaincode_functions: tuple[str, ...] = ()
        self._port, self._folder, self._settings_file, self._given_ledger = port, assembly, settings, ledger
        self._keep_logs = keep_logs
        self._max_environments, self._runtime, self._adapt = max_environments, runtime, adapt
        self._closing: list[Any] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started, last things first."""
        self.faults.clear()
        while self._closing:
            self._closing.pop()()

    def client(self, service: str) -> Any:
        """A boto3 client of the sandbox's AWS: "s3", "secretsmanager" or "lambda"."""
        return self._aws.client(service)

    def _start(self) -> None:
        require_free(self._port)
        self.logs = Path(tempfile.mkdtemp(prefix="sandbox-logs-"))
        self._closing.append(self._remove_logs)
        self._aws = Aws(self.faults)
        self._closing.append(self._aws.close)
        self.aws_endpoint = self._aws.endpoint
        with ThreadPoolExecutor() as pool:
            loading = pool.submit(self._load)
            # These imports take as long as synthesizing does, and that goes on in another process.
            from . import api, fabric, workflow
            from .fabric.ngo import Ngo

            self.assembly = loading.result()
            self._aws.region = self.assembly.region
            network = self._network(fabric.FabricEmulation, Ngo)
            self._aws.wait_ready()
            self._create_resources(network)
            self._start_functions(network)
            warming = pool.submit(self.lambda_runner.warm, self._functions_of_requests())
            examining = pool.submit(self._examine, network)
            self.workflow = self._make_workflow(workflow)
            self.warnings = examining.result()
            warming.result()
            self._serve(api)
        if self._keep_logs:
            self._closing.remove(self._remove_logs)

    def _remove_logs(self) -> None:
        shutil.rmtree(self.logs, ignore_errors=True)

    def _examine(self, network: Network) -> list[str]:
        """Reach a network that is not an emulation. Returns warnings; raises SandboxError if it cannot be used."""
        if self._given_ledger is not network:
            return []
        with_ledger = [each for each in self.assembly.functions.values() if "FABRIC_IDENTITIES" in each.environment]
        function = next(each for each in with_ledger if "FABRIC_NETWORK" in each.environment)
        record_types = [text for text in self._settings("RECORD_TYPE") if text]
        return examine({**function.environment, **self._environment(function, network)}, record_types)

    def _load(self) -> Assembly:
        with ExitStack() as stack:
            folder = self._folder
            if folder is None and self._settings_file is not None:
                folder = stack.enter_context(assemblies.synthesized(self._settings_file))
            loaded = self._adapt(assemblies.load(folder or assemblies.synthesize()))
            return replace(
                loaded,
                functions={
                    arn: replace(function, asset=assemblies.snapshot(function.asset))
                    for arn, function in loaded.functions.items()
                },
            )

    def _network(self, make_emulation: Any, make_chaincode: Any) -> Network:
        if isinstance(self._given_ledger, Network):
            self.ledger = self._given_ledger
            return self._given_ledger
        settings = json.loads(self._settings("FABRIC_NETWORK")[0])
        emulation = self._given_ledger
        if emulation is None:
            chaincode = make_chaincode(self.assembly.record_types.values())
            self.added_chaincode_functions = chaincode.added
            msp_id = json.loads(self._settings("FABRIC_IDENTITIES")[0])["mspId"]
            emulation = make_emulation(
                channel=settings["channel"],
                msp_id=msp_id,
                chaincodes={settings["chaincode"]: chaincode},
                endorsements_required=settings.get("endorsements", 1),
                peers=max(1, settings.get("endorsements", 1)),
                **_endorsement(settings.get("endorsingOrganizations"), msp_id),
            )
            emulation.start()
            self._closing.append(emulation.stop)
        self.ledger = emulation
        identity = emulation.enroll("sandbox")
        return Network(
            channel=emulation.channel,
            chaincode=settings["chaincode"],
            peers=tuple(
                Node(endpoint=peer.endpoint, tls_hostname="localhost", msp_id=peer.msp_id) for peer in emulation.peers
            ),
            orderers=tuple(Node(endpoint=each.endpoint, tls_hostname="localhost") for each in emulation.orderers),
            tls_roots=emulation.tls_roots_pem,
            identity=LedgerIdentity(
                msp_id=emulation.msp_id, certificate=identity.certificate_pem, private_key=identity.private_key_pem
            ),
        )

    def _settings(self, name: str) -> list[str]:
        """The values that the functions have for an environment variable, each once, in the template's order."""
        environments = [function.environment for function in self.assembly.functions.values()]
        values = dict.fromkeys(each[name] for each in environments if name in each)
        if not values:
            raise SandboxError(f"no function of the assembly has {name} in its environment")
        return list(values)

    def _create_resources(self, network: Network) -> None:
        self.bucket, *others = self._settings("S3_BUCKET")
        buckets = {bucket.name: bucket for bucket in self.assembly.buckets}
        for name in (self.bucket, *others):
            buckets.setdefault(name, Bucket(name=name, versioned=True))
        for bucket in buckets.values():
            self._aws.create_bucket(bucket)
        secrets: dict[str, str] = {}
        for text in self._settings("FABRIC_IDENTITIES"):
            for user in json.loads(text)["users"].values():
                secrets[_secret_name(user["certificate"])] = network.identity.certificate
                secrets[_secret_name(user["privateKey"])] = network.identity.private_key
        for name, value in secrets.items():
            self._aws.client("secretsmanager").create_secret(Name=name, SecretString=value)

    def _start_functions(self, network: Network) -> None:
        self.lambda_runner = LambdaRunner(
            self.assembly.functions.values(),
            environment=lambda function: self._environment(function, network),
            cache=CACHE,
            logs=self.logs,
            max_environments=self._max_environments,
            runtime=self._runtime,
        )
        self._closing.append(self.lambda_runner.close)
        self.lambda_runner.hooks.append(self._meet_faults)
        self._aws.invoke = self.lambda_runner.invoke

    def _functions_of_requests(self) -> list[str]:
        """The ARNs of the functions that a request waits for: those of the state machines that the API starts."""
        methods = [method for methods in self.assembly.rest_api.methods.values() for method in methods.values()]
        templates = [template for method in methods for template in method.request_templates.values()]
        definitions = [
            machine.definition
            for arn, machine in self.assembly.state_machines.items()
            if any(arn in template for template in templates)
        ]
        return [arn for arn in self.assembly.functions if any(arn in definition for definition in definitions)]

    def _environment(self, function: Function, network: Network) -> Mapping[str, str]:
        region = self.assembly.region
        replaced = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
        }
        if "FABRIC_NETWORK" in function.environment:
            settings = json.loads(function.environment["FABRIC_NETWORK"]) | {
                "channel": network.channel,
                "chaincode": network.chaincode,
                "peers": [node.as_setting() for node in network.peers],
                "orderers": [node.as_setting() for node in network.orderers],
                "tlsRoots": network.tls_roots,
            }
            replaced["FABRIC_NETWORK"] = json.dumps(settings)
        if "FABRIC_IDENTITIES" in function.environment:
            identities = json.loads(function.environment["FABRIC_IDENTITIES"])
            identities["mspId"] = network.identity.msp_id
            identities["users"] = {
                name: {kind: _secret_name(secret) for kind, secret in user.items()}
                for name, user in identities["users"].items()
            }
            replaced["FABRIC_IDENTITIES"] = json.dumps(identities)
        return replaced

    def _make_workflow(self, module: Any) -> "Workflow":
        made: Workflow = module.Workflow(self.assembly, _Services(self.lambda_runner, self._aws))
        made.hooks.append(self._meet_start_fault)
        return made

    def _serve(self, module: Any) -> None:
        api: Api = module.Api(
            self.assembly,
            self.workflow.start_sync_execution,
            port=self._port,
            caller=lambda: self.caller,
            access_log=self.logs / "access.log",
        )
        self._closing.append(api.close)
        self.api_url = api.url

    def _meet_start_fault(self, _request: object) -> None:
        action = self.faults.meet("states:StartSyncExecution", "before")
        if action == "throttle":
            raise ServiceError("ThrottlingException", 400, "Rate exceeded")
        if action is not None:
            raise ServiceError("ServiceUnavailable", 503, "A fault was placed here.")

    def _meet_faults(self, invocation: Invocation) -> Answer | None:
        action = self.faults.meet(f"lambda:{invocation.function}", invocation.phase)
        if action == "kill":
            self.lambda_runner.kill(invocation.function, invocation.pid)
            return exit_error(invocation.request_id, -signal.SIGKILL) if invocation.phase == "after" else None
        if action == "freeze" and invocation.pid:
            os.kill(invocation.pid, signal.SIGSTOP)
            return None
        if action == "throttle":
            raise ServiceError("TooManyRequestsException", 429, "Rate Exceeded.")
        if action is not None:
            raise ServiceError("ServiceException", 500, "A fault was placed here.")
        return None


class _Services:
    def __init__(self, runner: LambdaRunner, aws: Aws) -> None:
        self.invoke, self.client = runner.invoke, aws.client


def _endorsement(asked: int | list[str] | None, msp_id: str) -> dict[str, Any]:
    """The emulation's organisations and policy for the setting `endorsingOrganizations`, besides that of `msp_id`."""
    if asked is None:
        return {}
    names = asked if isinstance(asked, list) else [msp_id, *(f"Organization{n}MSP" for n in range(2, asked + 1))]
    principals = ", ".join(f"'{name}.peer'" for name in names)
    others = [name for name in names if name != msp_id]
    return {"other_organizations": others, "policy": f"OutOf({len(names)}, {principals})"}


def _secret_name(name_or_arn: str) -> str:
    """moto ends an ARN with characters of its own, so that a template's ARN finds nothing: its name does."""
    return name_or_arn.split(":secret:", 1)[-1]
