"""The tables of the README."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from . import bill
from .bill import COLUMNS, Bill, price_of
from .deployment import HOURS, Deployment, synthesize

BEGIN, END = "<!-- python -m costs -->", "<!-- end of python -m costs -->"

_HEADS = ("a million creates", "a million reads", "an idle month", "a month, per million pictures kept")
MEASURED, QUICKER = "fabric", "fabric-500ms"
"""Entries of measured.json: on a network as Fabric configures it, and with a shorter batch time-out."""

_WIDTH = 120
_CHAINCODE = "invoke_chaincode"

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    '`"secretsManagerEndpoint": "keep"`': {"secretsManagerEndpoint": "keep"},
    "`managedBlockchain`, with its endpoint": {
        **dict.fromkeys(("mspId", "peers", "orderers", "tlsRoots")),
        "managedBlockchain": {
            "networkId": "n-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "memberId": "m-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "nodeIds": ["nd-ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
        },
    },
    "subnets in one availability zone": {
        "availabilityZones": ["us-east-1a"],
        "subnetIds": ["subnet-0123456789abcdef0"],
        "routeTableIds": ["rtb-0123456789abcdef0"],
    },
    "`kmsKeyArn` and `secretsKeyArn`, two keys": {
        name: f"arn:aws:kms:us-east-1:111122223333:key/{number}234abcd-12ab-34cd-56ef-1234567890ab"
        for number, name in enumerate(("kmsKeyArn", "secretsKeyArn"))
    },
    '`"sweepIntervalMinutes": 720`': {"sweepIntervalMinutes": 720},
    '`"monitoring": "none"`': {"monitoring": "none"},
    '`"verifyAllIntervalHours": 168`': {"verifyAllIntervalHours": 168},
}


def put_into(readme: str, text: str) -> str:
    """`readme` with `text` between its two markers."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def document() -> str:
    """What stands between the markers."""
    use = bill.measured(MEASURED)
    deployments = synthesize(SETTINGS)
    default = deployments.pop("")
    lines = bill.bill(default, use)
    options = {name: bill.bill(each, use) for name, each in deployments.items()} | dict(_what_if(default, use))
    return "\n\n".join(
        [
            _table(lines),
            _waiting(lines, use),
            _memory(default, use),
            "What an option changes, in USD:",
            _differences(lines, options, default, use),
            _sources(),
        ]
    )


def _what_if(default: Deployment, use: Mapping[str, Any]) -> Iterator[tuple[str, Bill]]:
    """What no setting does."""
    quicker = bill.measured(QUICKER)
    operations = use["operations"] | {"create": quicker["operations"]["create"]}
    yield (
        f"the network's batch time-out: {quicker['batchTimeout']}",
        bill.bill(default, {**use, "operations": operations}),
    )
    functions = {name: replace(each, architecture="arm64") for name, each in default.functions.items()}
    yield "all functions on arm64, as fast as on x86", bill.bill(replace(default, functions=functions), use)


def _memory(default: Deployment, use: Mapping[str, Any]) -> str:
    """The chaincode function, measured with the processor that it has with so much memory."""
    rows = []
    for memory, measured in use["limitedTo"].items():
        function = replace(default.functions[_CHAINCODE], memory=int(memory))
        usd = 1_000_000 * bill.gb_seconds(function, measured["ms"])
        rows.append([memory, *(f"{measured[name]:,.0f}" for name in ("ms", "initMs", "firstMs")), _usd(usd)])
    return _markdown(
        [
            "MB of the chaincode function",
            "ms a create",
            "ms to start a new environment",
            "ms, its first create",
            "USD, a million creates",
        ],
        rows,
    )


def _table(lines: Bill) -> str:
    head = ["USD", *_HEADS]
    rows = [[line, *(_usd(usd[column]) for column in COLUMNS)] for line, usd in lines.items()]
    sums = bill.total(lines)
    rows.append(["**Sum**", *(f"**{_usd(sums[column])}**" for column in COLUMNS)])
    return _markdown(head, rows)


def _differences(lines: Bill, options: Mapping[str, Bill], default: Deployment, use: Mapping[str, Any]) -> str:
    before = bill.total(lines)
    rows = []
    for name, other in options.items():
        after = bill.total(other)
        rows.append([name, *(_difference(after[column] - before[column]) for column in COLUMNS)])
    picture = price_of("transfer_out", 1_000_000 * bill.assumed()["picture_bytes"] / 1e9)
    rows.append(["each picture is fetched by its `url`, over the internet", "", _difference(picture), "", ""])
    metrics = default.request_metrics + sum(use["operations"][name]["customMetrics"] for name in ("create", "read"))
    busy = price_of("custom_metrics", metrics)
    rows.append([f"requests in every hour: {metrics} more metrics", "", "", _difference(busy), ""])
    nat = price_of("nat_gateway", HOURS)
    rows.append(["one NAT gateway, where there is none", "", "", _difference(nat), ""])
    return _markdown(["option", *_HEADS], rows)


def _waiting(lines: Bill, use: Mapping[str, Any]) -> str:
    chaincode = use["operations"]["create"]["functions"][_CHAINCODE]
    waits = 1 - chaincode["cpuMs"] / chaincode["ms"]
    share = lines[f"Lambda, {_CHAINCODE}"]["create"] / sum(
        usd["create"] for line, usd in lines.items() if not line.startswith("Sweep")
    )
    return textwrap.fill(
        f"Measured on {use['network']}, batch time-out {use['batchTimeout']}, {use['measured']}: the chaincode "
        f"function runs {chaincode['ms']:,.0f} ms a create and uses {chaincode['cpuMs']:.0f} ms of CPU time, so that "
        f"{waits:.1%} of what is billed is waiting; its processes had at most {use['mostMemoryMiB'][_CHAINCODE]} MiB. "
        f"It is {share:.0%} of what a create costs before the sweep.",
        _WIDTH,
    )


def _sources() -> str:
    known = bill.prices()
    dates = sorted({str(each.looked_up) for each in known.values()})
    unverified = [each.item for each in known.values() if each.stated_by != "AWS"]
    return textwrap.fill(
        f"Prices: [costs/prices.yaml](costs/prices.yaml), us-east-1, looked up {' and '.join(dates)}. Seen on no page "
        f"of AWS's own: {'; '.join(unverified)}.",
        _WIDTH,
    )


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _usd(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 0.005 else ""


def _difference(amount: float) -> str:
    return f"{amount:+,.2f}" if abs(amount) >= 0.005 else ""
