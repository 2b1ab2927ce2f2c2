"""The figures as a chart: an SVG of grouped bars, one panel for times and one for throughput."""

from collections.abc import Mapping, Sequence
from html import escape

from .measure import AT_A_TIME, Round
from .report import COLD, THROUGHPUT, WARM, Measure, Spread, spread

_COLOURS = {"offchain-stack": "#2563eb", "raw": "#94a3b8", "fabric-network": "#f59e0b"}
_HEIGHT, _TOP, _BASE = 300, 70, 250
_PANELS: tuple[tuple[str, str, Sequence[tuple[str, Measure]]], ...] = (
    ("Cold: start to first commit (ms)", "less is better", (("a new process", COLD),)),
    ("Warm: submit and wait (ms)", "less is better", (("one at a time", WARM),)),
    (
        "Throughput (tx/s)",
        "more is better",
        tuple((f"{n} at a time", measure) for n, measure in zip(AT_A_TIME, THROUGHPUT, strict=True)),
    ),
)


def draw(rounds: Mapping[str, Sequence[Round]], caption: str) -> str:
    """The chart as SVG text: medians, with the quartiles as whiskers."""
    clients = list(rounds)
    bar, gap, margin = 40, 26, 34
    parts: list[str] = []
    x = margin
    for title, note, groups in _PANELS:
        found = [[spread(rounds[client], measure) for client in clients] for _, measure in groups]
        scale = (_BASE - _TOP - 14) / max(one.high for group in found for one in group)
        width = max(len(groups) * (bar * len(clients) + gap) - gap, 250)
        parts.append(_text(x, _TOP - 26, title, size=13, weight="bold"))
        parts.append(_text(x, _TOP - 11, note, size=11, colour="#64748b"))
        parts.append(f'<line x1="{x}" y1="{_BASE}" x2="{x + width}" y2="{_BASE}" stroke="#94a3b8"/>')
        at = x
        for (label, _), group in zip(groups, found, strict=True):
            for client, one in zip(clients, group, strict=True):
                parts.append(_bar(at, bar - 6, one, scale, _COLOURS[client]))
                at += bar
            middle = at - bar * len(clients) / 2
            parts.append(_text(middle, _BASE + 16, label, size=11, anchor="middle", colour="#334155"))
            at += gap
        x += width + margin
    legend = margin
    for client in clients:
        parts.append(f'<rect x="{legend}" y="12" width="12" height="12" fill="{_COLOURS[client]}"/>')
        parts.append(_text(legend + 18, 22, client, size=12))
        legend += 40 + 7 * len(client)
    parts.append(_text(margin, _HEIGHT - 8, caption, size=10, colour="#64748b"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {x} {_HEIGHT}" font-family="system-ui, sans-serif">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _bar(x: float, width: float, value: Spread, scale: float, colour: str) -> str:
    top, low, high = (_BASE - scale * y for y in (value.median, value.low, value.high))
    middle = x + width / 2
    digits = 0 if value.median >= 100 else 1
    return (
        f'<rect x="{x}" y="{top:.1f}" width="{width}" height="{_BASE - top:.1f}" fill="{colour}"/>'
        f'<line x1="{middle}" y1="{low:.1f}" x2="{middle}" y2="{high:.1f}" stroke="#0f172a"/>'
        + _text(middle, high - 4, f"{value.median:.{digits}f}", size=11, anchor="middle")
    )


def _text(
    x: float, y: float, text: str, *, size: int, weight: str = "normal", anchor: str = "start", colour: str = "#0f172a"
) -> str:
    return (
        f'<text x="{x}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
