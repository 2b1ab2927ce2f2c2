"""The figures as tables: medians and quartiles over the rounds."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .measure import AT_A_TIME, Round


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Median and quartiles of one value a round."""
        if len(values) == 1:
            return cls(median=values[0], low=values[0], high=values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median=median, low=low, high=high)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the table. `of` takes the value from a round."""

    title: str
    unit: str
    of: Callable[[Round], float]


def _throughput(at_a_time: int) -> Measure:
    return Measure(title=f"Throughput, {at_a_time} at a time", unit="tx/s", of=lambda r: r.throughput[at_a_time])


COLD = Measure(title="Cold: process start to first commit", unit="ms", of=lambda r: r.cold * 1000)
WARM = Measure(title="Warm: submit and wait, one at a time", unit="ms", of=lambda r: r.warm * 1000)
THROUGHPUT = [_throughput(number) for number in AT_A_TIME]
MEASURES = [COLD, WARM, *THROUGHPUT]

_BARS = (
    ("Warm latency", WARM, "raw", "<=", 1.1),
    ("Warm latency", WARM, "fabric-network", "<", 1.0),
    ("Throughput at 16", THROUGHPUT[-1], "raw", ">=", 0.8),
    ("Throughput at 16", THROUGHPUT[-1], "fabric-network", ">", 1.0),
    ("Cold to first commit", COLD, "fabric-network", "<=", 0.5),
)
_OWN = "offchain-stack"


def spread(rounds: Sequence[Round], measure: Measure) -> Spread:
    """The measure over a client's rounds."""
    return Spread.of([measure.of(one) for one in rounds])


def table(rounds: Mapping[str, Sequence[Round]]) -> str:
    """Each measure of each client, as Markdown."""
    lines = [f"| median [quartiles] | {' | '.join(rounds)} |", "|---|" + "---:|" * len(rounds)]
    for measure in MEASURES:
        cells = []
        for client in rounds:
            found = spread(rounds[client], measure)
            digits = 1 if found.median < 100 else 0
            cells.append(f"{found.median:.{digits}f} [{found.low:.{digits}f} to {found.high:.{digits}f}]")
        lines.append(f"| {measure.title}, {measure.unit} | {' | '.join(cells)} |")
    failed = [str(sum(len(one.errors) for one in rounds[client])) for client in rounds]
    lines.append(f"| Calls that failed | {' | '.join(failed)} |")
    return "\n".join(lines)


def bars(rounds: Mapping[str, Sequence[Round]]) -> str:
    """What the ledger client is held to, as Markdown. A ratio is taken within each round, since the clients of a round
    shared the machine's mood, and is the median of those."""
    lines = ["| offchain-stack against | bar | measured [quartiles] | |", "|---|---|---:|---|"]
    for title, measure, other, sign, limit in _BARS:
        if other not in rounds:
            lines.append(f"| {title}: {other} | {sign} {limit:.1f} | not measured | |")
            continue
        pairs = zip(rounds[_OWN], rounds[other], strict=True)
        found = Spread.of([measure.of(own) / measure.of(others) for own, others in pairs])
        met = {
            "<=": found.median <= limit,
            "<": found.median < limit,
            ">=": found.median >= limit,
            ">": found.median > limit,
        }[sign]
        lines.append(
            f"| {title}: {other} | {sign} {limit:.1f} | {found.median:.2f} [{found.low:.2f} to {found.high:.2f}] "
            f"| {'met' if met else 'MISSED'} |"
        )
    return "\n".join(lines)
