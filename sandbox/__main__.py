"""`python -m sandbox up` serves the sandbox until interrupted, `python -m sandbox verify-all` verifies every record in
it; `python -m sandbox demo` tells its story."""

import argparse
import json
import os
import shlex
import signal
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from . import limits, sample, verify_all
from .assembly import CACHE
from .caller import Caller
from .errors import SandboxError
from .ledger import Network
from .logs import log_to_stderr
from .runtime import Sandbox


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        if options.command == "demo":
            from . import demo

            return demo.run(assembly=options.assembly, settings=options.settings)
        if options.command == "verify-all":
            return verify_all.run(options.ready, records=options.records, by_checksum=options.checksum)
        return _up(options)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        # 1 would say that something is wrong with a record.
        return 2 if options.command == "verify-all" else 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="serve the API, S3 and a ledger on 127.0.0.1 until interrupted")
    up.add_argument("--port", type=int, default=8787, help="of the API (default: 8787; 0 takes a free one)")
    up.add_argument("--fabric", type=Path, metavar="CONNECTION_PROFILE", help="a real network in the emulation's place")
    up.add_argument("--identity", type=Path, metavar="MSP_DIR", help="folder with signcerts/ and keystore/")
    up.add_argument(
        "--orderer",
        action="append",
        default=[],
        metavar="HOST:PORT[=NAME]",
        help="of a real network whose profile has none, and the name in its certificate; may be repeated",
    )
    up.add_argument("--tls-roots", type=Path, metavar="FILE", help="CA certificates of these orderers, in PEM")
    up.add_argument(
        "--msp-id",
        metavar="ID",
        help="of the identity, if the profile has several organizations and does not say which",
    )
    up.add_argument("--channel", default="mychannel", help="of the real network (default: mychannel)")
    up.add_argument("--chaincode", default="ngo", help="on that channel (default: ngo)")
    up.add_argument("--caller-arn", default="", metavar="ARN", help="IAM principal that every request comes from")
    up.add_argument(
        "--claim",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what a Cognito or Lambda authorizer tells of every caller; may be repeated",
    )
    verify = commands.add_parser(
        "verify-all",
        help="hold every record's object in a running sandbox against the ledger's hash",
        epilog="Exit code: 0 nothing is wrong, 1 something is tampered, missing or unreadable, 2 it could not be done.",
    )
    verify.add_argument(
        "--records", metavar="NAME", help="only this record type of several, such as donors (default: all, in turn)"
    )
    verify.add_argument("--checksum", action="store_true", help="compare the SHA-256 that S3 keeps; read no bytes")
    for command, what in ((up, "also written here while it serves"), (verify, "of the sandbox")):
        command.add_argument(
            "--ready",
            type=Path,
            default=verify_all.READY,
            metavar="FILE",
            help=f"the ready line, {what} (default: %(default)s)",
        )
    demo = commands.add_parser("demo", help="create, refuse, roll back, read and verify donors, and show what happened")
    for command in (up, demo):
        source = command.add_mutually_exclusive_group()
        source.add_argument(
            "--settings", type=Path, metavar="FILE", help="synthesize app.py with this file (default: with cdk.json)"
        )
        source.add_argument("--assembly", type=Path, metavar="DIR", help="a cdk.out folder in app.py's place")
    return parser


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _up(options: argparse.Namespace) -> int:
    with Sandbox(
        port=options.port,
        assembly=options.assembly,
        settings=options.settings,
        ledger=_network(options),
        caller=_caller(options),
        keep_logs=True,
    ) as sandbox:
        _introduce(sandbox, options)
        line = json.dumps(ready_line(sandbox))
        with _kept_in(options.ready, line):
            try:
                print(line, flush=True)
                _say(first_requests(sandbox))
                threading.Event().wait()
            except KeyboardInterrupt:
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_IGN)
                _say([f"Stopping. The logs stay in {sandbox.logs}"])
    return 0


def ready_line(sandbox: Sandbox) -> dict[str, Any]:
    """What programs need to use a sandbox. `functions` maps the folder of a handler to the function's name, of the
    first record type; of several, `recordTypes` maps each one's path to such an object."""
    assembly = sandbox.assembly

    def names(records: str | None) -> dict[str, str]:
        return {folder: function.name for folder, function in assembly.functions_of(records).items()}

    several = len(assembly.record_types) > 1
    return {
        "ready": True,
        "api": sandbox.api_url,
        "aws": sandbox.aws_endpoint,
        "bucket": sandbox.bucket,
        "functions": names(None),
    } | ({"recordTypes": {path: names(path) for path in assembly.record_types}} if several else {})


@contextmanager
def _kept_in(file: Path, line: str) -> Iterator[None]:
    """Of several sandboxes the one that started last has the file."""
    try:
        _write(file, line)
    except OSError as error:
        raise SandboxError(
            f"the ready line cannot be written to {file} ({error.strerror}): give another --ready"
        ) from error
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            if file.read_text("utf-8") == line:
                file.unlink()


def _write(file: Path, text: str) -> None:
    """Whoever reads the file finds all of the text."""
    scratch = file.with_name(f"{file.name}.{os.getpid()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch.write_text(text, "utf-8")
    scratch.replace(file)


def _network(options: argparse.Namespace) -> Network | None:
    if options.fabric is None and options.identity is None:
        for name in ("orderer", "tls_roots", "msp_id"):
            if getattr(options, name):
                raise SandboxError(f"--{name.replace('_', '-')} is for a real network: give --fabric and --identity")
        return None
    if options.fabric is None or options.identity is None:
        raise SandboxError("--fabric and --identity go together: a connection profile and the MSP folder of a user")
    from . import connection_profile

    return connection_profile.read(
        options.fabric,
        msp=options.identity,
        channel=options.channel,
        chaincode=options.chaincode,
        msp_id=options.msp_id,
        orderers=options.orderer,
        tls_roots=options.tls_roots,
    )


def _caller(options: argparse.Namespace) -> Caller:
    claims = [claim.partition("=") for claim in options.claim]
    for name, equals, _ in claims:
        if not (name and equals):
            raise SandboxError(f"--claim {name}{equals}: write it as NAME=VALUE, such as sub=ada")
    if options.caller_arn and not options.caller_arn.startswith("arn:"):
        raise SandboxError(
            f"--caller-arn {options.caller_arn}: give an ARN, such as arn:aws:iam::111122223333:user/ada"
        )
    return Caller(arn=options.caller_arn, claims={name: value for name, _, value in claims})


def _introduce(sandbox: Sandbox, options: argparse.Namespace) -> None:
    ledger = (
        f"the network of {options.fabric}: channel {options.channel}, chaincode {options.chaincode}"
        if options.fabric
        else "a Fabric emulation; all of it is lost at the end"
    )
    lines = [
        "",
        "SANDBOX FOR DEVELOPMENT: an emulation on 127.0.0.1. Put nothing real into it.",
        f"  API      {sandbox.api_url}   {', '.join(sandbox.assembly.rest_api.routes)}",
        f"  AWS      {sandbox.aws_endpoint}   S3 (bucket {sandbox.bucket}), Secrets Manager, Lambda's Invoke",
        f"  Ledger   {ledger}",
        *(f"           warning: {warning}" for warning in sandbox.warnings),
        *_added_functions(sandbox),
        *_named_caller(sandbox.caller),
        f"  Logs     {sandbox.logs}",
        "Not emulated:",
        *(f"  {name}: {meaning}." for name, meaning in limits.not_emulated(sandbox.assembly)),
        "Ctrl-C ends it.",
        "",
    ]
    _say(lines)


def _say(lines: Sequence[str]) -> None:
    """Tell people, while standard output is for programs."""
    print("\n".join(lines), file=sys.stderr, flush=True)


def first_requests(sandbox: Sandbox) -> list[str]:
    """The lines with two commands to paste into a shell: one creates a record of the first record type, the other reads
    it. Empty if that type cannot be created here."""
    upload = sandbox.assembly.functions_of().get("upload_object")
    environment = upload.environment if upload else {}
    record_type = json.loads(environment.get("RECORD_TYPE", "null"))
    path = record_type and sandbox.assembly.rest_api.path_to_create(record_type["path"])
    arguments = record_type and sample.arguments(record_type)
    if path is None or arguments is None:
        return []
    # A shell takes no more than 128 KiB in one argument, and a picture can be larger.
    body = CACHE / f"create-{record_type['path']}.json"
    _write(body, json.dumps({"chaincodeFunctionArgs": arguments}))
    url = f"{sandbox.api_url}{path}"
    headers = ["-H", "Content-Type: application/json", "-H", "Idempotency-Key: sample"]
    name = urllib.parse.quote(arguments[record_type["identifyingField"]], safe="")
    unnamed = "FABRIC_CALLERS" in environment and sandbox.caller == Caller()
    return [
        "Create a record, and read it:",
        f"  {shlex.join(['curl', *headers, '--data-binary', f'@{body}', url])}",
        f"  {shlex.join(['curl', f'{url}/{name}'])}",
        *["Here each caller has a Fabric user of its own: say with --caller-arn or --claim who calls."] * unnamed,
        "",
    ]


def _named_caller(caller: Caller) -> list[str]:
    told = [caller.arn] * bool(caller.arn) + [f"{name}={value}" for name, value in caller.claims.items()]
    return [f"  Caller   {', '.join(told)}: of every request, and not checked"] * bool(told)


def _added_functions(sandbox: Sandbox) -> list[str]:
    added = ", ".join(sandbox.added_chaincode_functions)
    return [
        f"           emulated chaincode functions: {added}, which behave like the workshop's createDonor, queryDonor "
        "and queryAllDonors"
    ] * bool(added)


if __name__ == "__main__":
    log_to_stderr()
    sys.exit(main())
