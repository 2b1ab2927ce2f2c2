"""`python -m bench`: the ledger client's latency and throughput on a given Fabric network.

The network is named by OFFCHAIN_FABRIC_PROFILE and OFFCHAIN_FABRIC_MSP (and OFFCHAIN_FABRIC_CHANNEL,
OFFCHAIN_FABRIC_CHAINCODE), as for tests/fabric. Every transaction creates a donor of its own there, with a name that
begins with "bench-". Writes results.md and results.svg.
"""

import argparse
import datetime
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from . import chart, machine, measure, network, report

EMULATED = (
    "THE SANDBOX'S EMULATION, NOT A FABRIC NETWORK: these figures say nothing about Fabric. The emulation shares the "
    "machine with the clients and is written in Python."
)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--output", type=Path, default=measure.ROOT / "bench" / "results", help="folder for the results"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each number of calls at a time, in each round")
    parser.add_argument("--cold", type=int, default=3, help="cold processes of each client in each round")
    parser.add_argument("--batch-timeout", help="the orderer's, where the channel's configuration cannot be read")
    parser.add_argument("--note", help="more about the network, for the report, such as its version")
    parser.add_argument("--emulation", action="store_true", help="measure the sandbox's emulation instead")
    options = parser.parse_args()
    if min(options.rounds, options.cold) < 1 or options.seconds <= 0:
        parser.error("--rounds, --cold and --seconds must be positive")
    try:
        with ExitStack() as stack:
            target = stack.enter_context(network.emulated()) if options.emulation else network.named()
            _run(target, options)
    except (network.NotUsable, measure.Failed) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(target: network.Target, options: argparse.Namespace) -> None:
    batches = options.batch_timeout or _batches(target)
    left_out = measure.fabric_network()
    clients = ["offchain-stack", "raw"] + ([] if left_out else ["fabric-network"])
    if left_out:
        print(f"fabric-network is left out: {left_out}", file=sys.stderr)
    if target.emulated:
        print(EMULATED, file=sys.stderr)
    plan = measure.Plan(rounds=options.rounds, seconds=options.seconds, cold=options.cold)
    rounds, loads = measure.run(clients, target, plan, lambda text: print(text, flush=True))

    peers, orderers = len(target.network.peers), len(target.network.orderers)
    facts = [
        datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        f"{peers} peers, {orderers} orderer{'s' * (orderers != 1)}, batch time-out {batches}"
        + (f"; {options.note}" if options.note else ""),
        *machine.describe(),
        f"fabric-network left out: {left_out}" if left_out else machine.describe_node(),
        f"rounds: {plan.rounds}, the clients in turn; in each, {plan.seconds:g} s at 1, 4 and 16 at a time; cold "
        f"processes: {plan.cold}; load average at the rounds' beginnings {min(loads):.1f} to {max(loads):.1f}",
    ]
    text = _document(rounds, facts, emulated=target.emulated)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.md").write_text(text, "utf-8")
    caption = f"Medians and quartiles of {plan.rounds} rounds; batch time-out {batches}; {facts[0]}"
    if target.emulated:
        caption = f"EMULATION, NOT FABRIC. {caption}"
    (options.output / "results.svg").write_text(chart.draw(rounds, caption), "utf-8")
    print(f"\n{text}\nWritten to {options.output}")


def _document(rounds: Mapping[str, Sequence[measure.Round]], facts: Sequence[str], *, emulated: bool) -> str:
    warning = f"**{EMULATED}**\n\n" if emulated else ""
    listed = "\n".join(f"* {fact}" for fact in facts)
    bars = "" if emulated else f"{report.bars(rounds)}\n\n"
    return f"""# Benchmark of the ledger client

{warning}{listed}

{report.table(rounds)}

{bars}![chart](results.svg)

* **offchain-stack**: `FabricLedger.submit`, called as the chaincode function calls it.
* **raw**: the necessary gRPC calls alone (endorse at the same peers, broadcast, one event stream), proposals built and
  signed ahead, without anything that makes them safe: a floor, not a client to use.
* **fabric-network**: Node's client of Fabric 2.2, discovery off (the profile names the nodes), the commit awaited at
  one peer of its own organisation, as the other two do.

Each call is `createDonor` for a new donor and counts when its transaction is committed as VALID.
"""


def _batches(target: network.Target) -> str:
    if target.emulated:
        return f"{network.EMULATED_BATCH_TIMEOUT * 1000:.0f}ms"
    from .channel_config import batches

    try:
        return batches(target)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise network.NotUsable(
            f"The channel's batch time-out cannot be read ({reason}). Is the network up? If so, say it: --batch-timeout"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
