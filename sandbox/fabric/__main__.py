"""`python -m sandbox.fabric --state DIR`: serves one emulated network until interrupted."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import threading
from pathlib import Path

from sandbox.fabric import FabricEmulation


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.fabric", description=__doc__)
    parser.add_argument(
        "--state", required=True, type=Path, help="folder for connection-profile.json, msp/, tls-ca.pem"
    )
    parser.add_argument("--peers", type=int, default=1)
    parser.add_argument("--orderers", type=int, default=1)
    parser.add_argument("--batch-timeout", type=float, default=0.05, help="seconds")
    parser.add_argument("--endorsements", type=int, default=1, help="distinct peers that must endorse")
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s")

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with FabricEmulation(
        peers=options.peers,
        orderers=options.orderers,
        batch_timeout=options.batch_timeout,
        endorsements_required=options.endorsements,
    ) as network:
        state: Path = options.state.resolve()
        state.mkdir(parents=True, exist_ok=True)
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
    main()
