"""`python -m sandbox up` serves the sandbox until interrupted; `python -m sandbox demo` tells its story."""

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from . import limits
from .errors import SandboxError
from .ledger import Network
from .runtime import Sandbox


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        if options.command == "demo":
            from . import demo

            return demo.run(assembly=options.assembly)
        return _up(options)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="serve the API, S3 and a ledger on 127.0.0.1 until interrupted")
    up.add_argument("--port", type=int, default=8787, help="of the API (default: 8787; 0 takes a free one)")
    up.add_argument("--fabric", type=Path, metavar="CONNECTION_PROFILE", help="a real network in the emulation's place")
    up.add_argument("--identity", type=Path, metavar="MSP_DIR", help="folder with signcerts/ and keystore/")
    up.add_argument("--channel", default="mychannel", help="of the real network (default: mychannel)")
    up.add_argument("--chaincode", default="ngo", help="on that channel (default: ngo)")
    demo = commands.add_parser("demo", help="create a donor, refuse and roll back others, and show what happened")
    for command in (up, demo):
        command.add_argument(
            "--assembly", type=Path, metavar="DIR", help="a cdk.out folder (default: app.py, synthesized)"
        )
    return parser


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _up(options: argparse.Namespace) -> int:
    with Sandbox(port=options.port, assembly=options.assembly, ledger=_network(options)) as sandbox:
        _introduce(sandbox, options)
        ready = {
            "ready": True,
            "api": sandbox.api_url,
            "aws": sandbox.aws_endpoint,
            "bucket": sandbox.bucket,
        }
        print(json.dumps(ready), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            print("Stopping.", file=sys.stderr)
    return 0


def _network(options: argparse.Namespace) -> Network | None:
    if options.fabric is None and options.identity is None:
        return None
    if options.fabric is None or options.identity is None:
        raise SandboxError("--fabric and --identity go together: a connection profile and the MSP folder of a user")
    from . import connection_profile

    return connection_profile.read(
        options.fabric, msp=options.identity, channel=options.channel, chaincode=options.chaincode
    )


def _introduce(sandbox: Sandbox, options: argparse.Namespace) -> None:
    ledger = (
        f"the network of {options.fabric}: channel {options.channel}, chaincode {options.chaincode}"
        if options.fabric
        else "a Fabric emulation; all of it is lost at the end"
    )
    routes = [f"{name} {path}" for path, methods in sandbox.assembly.rest_api.methods.items() for name in methods]
    lines = [
        "",
        "SANDBOX FOR DEVELOPMENT: an emulation on 127.0.0.1. Put nothing real into it.",
        f"  API      {sandbox.api_url}   {', '.join(routes)}",
        f"  AWS      {sandbox.aws_endpoint}   S3 (bucket {sandbox.bucket}), Secrets Manager, Lambda's Invoke",
        f"  Ledger   {ledger}",
        f"  Logs     {sandbox.logs}",
        "Not emulated:",
        *(f"  {name}: {meaning}." for name, meaning in limits.not_emulated(sandbox.assembly)),
        "Ctrl-C ends it.",
        "",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
