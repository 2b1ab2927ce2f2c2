"""`python -m sandbox.fabric --state DIR` serves one emulated network until interrupted.

`python -m sandbox.fabric stop|kill|start|freeze|thaw --state DIR NODE...` does that to nodes of the one served there:
peer0, orderer, chaincode and so on.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from pathlib import Path

from sandbox.fabric import FabricEmulation
from sandbox.fabric.control import COMMANDS, ControlServer, send


def main() -> int | str:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.fabric", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=["serve", *COMMANDS], default="serve")
    parser.add_argument("node", nargs="*", help="peer0, orderer, chaincode, ...")
    parser.add_argument(
        "--state", required=True, type=Path, help="folder for connection-profile.json, msp/, tls-ca.pem"
    )
    parser.add_argument("--peers", type=int, default=1)
    parser.add_argument("--orderers", type=int, default=1)
    parser.add_argument("--batch-timeout", type=float, default=0.05, help="seconds")
    parser.add_argument(
        "--endorsements", type=int, default=1, help="distinct peers of a single organisation that must endorse"
    )
    parser.add_argument("--organizations", type=int, default=1, help="each with so many peers: Org1MSP, Org2MSP, ...")
    parser.add_argument("--policy", help="endorsement policy, such as \"OR('Org1MSP.peer', 'Org2MSP.peer')\"")
    options = parser.parse_intermixed_args()
    if options.command == "serve":
        _serve(options)
        return 0
    try:
        send(options.state, options.command, options.node)
    except FileNotFoundError:
        return f"no emulation serves {options.state}"
    except ValueError as error:
        return str(error)
    return 0


def _serve(options: argparse.Namespace) -> None:
    logging.basicConfig(format="%(message)s")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    state: Path = options.state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    with (
        FabricEmulation(
            peers=options.peers,
            orderers=options.orderers,
            batch_timeout=options.batch_timeout,
            endorsements_required=options.endorsements,
            other_organizations=[f"Org{number}MSP" for number in range(2, options.organizations + 1)],
            policy=options.policy,
        ) as network,
        ControlServer(network, state),
    ):
        roots = state / "tls-ca.pem"
        roots.write_text(network.tls_roots_pem)
        profile = state / "connection-profile.json"
        profile.write_text(json.dumps(network.connection_profile(tls_roots_path=str(roots)), indent=1))
        msp = network.write_msp(state / "msp", network.enroll("User1"))
        ready = {
            "ready": True,
            "emulation": True,
            "connection_profile": str(profile),
            "user_msp": str(msp),
            "msp_id": network.msp_id,
            "channel": network.channel,
            "chaincode": "ngo",
            "peers": [peer.endpoint for peer in network.peers],
            "orderers": [orderer.endpoint for orderer in network.orderers],
        }
        print(json.dumps(ready), flush=True)
        ended.wait()


if __name__ == "__main__":
    sys.exit(main())
