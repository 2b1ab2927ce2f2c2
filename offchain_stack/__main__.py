"""`python -m offchain_stack check` examines a deployment's settings before it is deployed; `describe` and
`openapi` describe a synthesized template; `settings-schema` is for editors.

The checks run the functions' own code (`check` in the functions' sources) in a process of its own, which imports no CDK
and gets the settings as one JSON document.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .description import Template, openapi, with_pictures, write_pages
from .endpoint import Endpoint

# Each command loads what it needs, so that --help does not wait for CDK.
if TYPE_CHECKING:
    import aws_cdk as cdk

    from .fabric import FabricNetwork
    from .settings import InterfaceEndpoint, Settings

_LOOKED_UP = Endpoint(address="looked-up.invalid:443")
"""Stands for an endpoint on Managed Blockchain, which the check looks up."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 0 without an ERROR, 1 with one, 2 where the check cannot run."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _run_check(options: argparse.Namespace) -> int:
    try:
        document = _document(_context(options), connect=options.connect)
    except ValueError as error:
        for line in str(error).splitlines():
            print(f"ERROR    {line}")
        return 1
    return _check(document)


def _run_describe(options: argparse.Namespace) -> int:
    try:
        template = Template.load(options.template)
        write_pages(template, options.out)
        for page in options.pictures_in:
            page.write_text(with_pictures(template, page.read_text("utf-8")), "utf-8")
    except (OSError, ValueError) as error:
        print(f"ERROR    {error}", file=sys.stderr)
        return 1
    return 0


def _run_openapi(options: argparse.Namespace) -> int:
    try:
        document = openapi(Template.load(options.template))
    except ValueError as error:
        print(f"ERROR    {error}", file=sys.stderr)
        return 1
    print(json.dumps(document, indent=2))
    return 0


def _run_settings_schema(options: argparse.Namespace) -> int:
    from .settings import settings_schema

    print(json.dumps(settings_schema(), indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m offchain_stack", description="Tools for a deployment's settings and its template"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check",
        help="examine the settings of a deployment, and what they name, before deploying",
        description="Prints one line a finding: ok, warning, ERROR or skipped, what it is about, and how to mend it. "
        "Changes nothing. Uses the AWS credentials that boto3 finds.",
        epilog="Exit code: 0 without an ERROR, 1 with one, 2 where the check cannot run.",
    )
    check.set_defaults(run=_run_check)
    check.add_argument("--settings", metavar="FILE", help="settings, JSON or YAML, in place of those in ./cdk.json")
    check.add_argument(
        "-c",
        dest="context",
        metavar="offchain.NAME=VALUE",
        action="append",
        default=[],
        type=_setting,
        help="one setting, over those of the file, as with cdk",
    )
    check.add_argument(
        "--connect", action="store_true", help="also reach every peer and orderer, and ask what changes nothing"
    )
    template = argparse.ArgumentParser(add_help=False)
    template.add_argument(
        "template",
        metavar="TEMPLATE",
        type=Path,
        help="a synthesized template, or a cdk.out folder that has only one",
    )
    describe = commands.add_parser(
        "describe",
        parents=[template],
        help="write pages that describe a template: pictures and OpenAPI",
        description="Writes architecture.md and state-machines.md, with Mermaid pictures, and openapi.json.",
    )
    describe.set_defaults(run=_run_describe)
    describe.add_argument("--out", metavar="FOLDER", type=Path, required=True, help="where to write them")
    describe.add_argument(
        "--pictures-in",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="also put the pictures into this Markdown file, between '<!-- picture: NAME -->' (Architecture, or a "
        "state machine's title) and '<!-- end of picture -->'",
    )
    description = commands.add_parser(
        "openapi",
        parents=[template],
        help="print the OpenAPI description of a template's REST API",
        description="Prints the OpenAPI 3.1 description, as JSON, of the REST API in a synthesized template.",
    )
    description.set_defaults(run=_run_openapi)
    schema = commands.add_parser(
        "settings-schema",
        help="print the JSON schema of a settings file, for editors",
        description="Prints the JSON schema (draft 2020-12) of a settings file. An editor with a YAML language server "
        "completes and checks a file that begins with '# yaml-language-server: $schema=<path of the schema>'.",
    )
    schema.set_defaults(run=_run_settings_schema)
    return parser


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as offchain.mspId=Org1MSP")
    return name, value


def _context(options: argparse.Namespace) -> dict[str, Any]:
    """The CDK context that the app would get. Raises ValueError."""
    context: dict[str, Any] = {}
    file = Path("cdk.json")
    if file.exists():
        try:
            context |= json.loads(file.read_text("utf-8")).get("context", {})
        except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"cdk.json: is not CDK's JSON: {error}. Correct it.") from error
    elif not options.settings:
        raise ValueError(f"cdk.json: is not in {Path.cwd()}. Check where it is, or name a file with --settings.")
    if options.settings:
        context["offchainSettings"] = options.settings
    return context | dict(options.context)


def _document(context: Mapping[str, Any], *, connect: bool) -> dict[str, Any]:
    """What the check is to examine, as `check.deployment` reads it. Raises ValueError whose text begins with the
    setting."""
    import aws_cdk as cdk

    from .settings import Settings, error_of

    with tempfile.TemporaryDirectory() as scratch:
        app = cdk.App(context=dict(context), outdir=scratch, auto_synth=False)
        settings = Settings.from_context(app.node)
        stack = cdk.Stack(app, "Check")
        try:
            network = _network(stack, settings)
        except ValueError as error:
            raise error_of("connectionProfile" if settings.connection_profile else "tlsRoots", error) from error
        environment = network.network_environment | network.identities_environment
        region = stack.region
    keys = {
        "offchain.kmsKeyArn": settings.kms_key_arn,
        "offchain.secretsKeyArn": settings.secrets_key_arn,
        "offchain.tlsRootsKeyArn": settings.tls_roots_key_arn,
    }
    member = settings.managed_blockchain
    return {
        # Only the credentials know the region where no setting tells it.
        "environment": {name: value.replace(region, "${AWS::Region}") for name, value in environment.items()},
        "recordTypes": [each.to_environment()["RECORD_TYPE"] for each in settings.record_types],
        "settings": _origins(settings),
        "lookUp": member
        and {"NetworkId": member.network_id, "MemberId": member.member_id, "NodeIds": list(member.node_ids)},
        "region": settings.region,
        "account": settings.account,
        "bucket": settings.bucket_name,
        "keys": {setting: arn for setting, arn in keys.items() if arn},
        "vpc": _placement(settings),
        "alarmTopic": settings.alarm_topic_arn,
        "connect": connect,
    }


def _placement(settings: "Settings") -> dict[str, Any]:
    """Where the functions are put, and by which endpoints they reach what they need."""
    from .records import FUNCTIONS_IN_VPC

    functions = len(settings.record_types) * (FUNCTIONS_IN_VPC - bool(settings.chaincode_function_arn))
    return {
        "id": settings.vpc_id,
        "stack": settings.stack_name,
        "subnets": [{"id": subnet, "zone": zone, "table": table} for subnet, zone, table in settings.placed_subnets()],
        "s3Endpoint": settings.s3_endpoint,
        "secretsManagerEndpoint": _endpoint(settings.secrets_manager_endpoint),
        "fabricEndpoint": _endpoint(settings.fabric_endpoint) if settings.managed_blockchain else None,
        "securityGroups": settings.security_group_ids,
        # Functions with the same security groups share an interface in each subnet.
        "interfaces": 1 if settings.security_group_ids else functions,
        "dnsServers": settings.dns_servers,
        "prefixList": settings.s3_prefix_list_id,
    }


def _endpoint(chosen: "str | InterfaceEndpoint") -> str | dict[str, str]:
    if isinstance(chosen, str):
        return chosen
    return {"id": chosen.id, "securityGroupId": chosen.security_group_id}


def _network(stack: "cdk.Stack", settings: "Settings") -> "FabricNetwork":
    """The network as `OffChainStack` makes it, without the way to it."""
    from .fabric import FabricNetwork
    from .managed_blockchain import managed_blockchain_tls_roots

    common: dict[str, Any] = {
        "channel": settings.channel,
        "chaincode": settings.chaincode,
        "users": settings.users,
        "endorsements": settings.endorsements,
        "endorsing_organizations": settings.endorsing_organizations,
    }
    if settings.connection_profile:
        return FabricNetwork.from_connection_profile(
            stack,
            "Network",
            path=settings.connection_profile,
            msp_id=settings.msp_id,
            orderers=settings.orderers or (),
            tls_roots=settings.tls_roots,
            **common,
        )
    if settings.managed_blockchain:
        member = settings.managed_blockchain
        return FabricNetwork(
            stack,
            "Network",
            msp_id=member.member_id,
            peers=[replace(_LOOKED_UP, msp_id=member.member_id)] * len(member.node_ids),
            orderers=[_LOOKED_UP],
            tls_roots=managed_blockchain_tls_roots(stack),
            **common,
        )
    return FabricNetwork(
        stack,
        "Network",
        msp_id=settings.msp_id or "",
        peers=settings.peers or (),
        orderers=settings.orderers or (),
        tls_roots=settings.tls_roots or "",
        **common,
    )


def _origins(settings: "Settings") -> dict[str, str]:
    """The setting that each part of the network comes from."""
    given = {"peers": settings.peers, "orderers": settings.orderers, "tlsRoots": settings.tls_roots}
    source = "managedBlockchain" if settings.managed_blockchain else "connectionProfile"
    return {name: f"offchain.{name if value else source}" for name, value in given.items()}


def _check(document: Mapping[str, Any]) -> int:
    from .sources import SOURCES

    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SOURCES), environment.get("PYTHONPATH"))))
    # -P: nothing in the current folder can stand in for the functions' modules.
    command = [sys.executable, "-P", "-m", "check"]
    try:
        return subprocess.run(command, input=json.dumps(document), text=True, env=environment, check=False).returncode  # noqa: S603
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
