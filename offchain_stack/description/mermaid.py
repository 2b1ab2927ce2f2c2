"""Mermaid flowcharts, as GitHub renders them."""

import re
from collections.abc import Iterable

_WORDS = frozenset({"class", "click", "default", "end", "graph", "style", "subgraph"})
"""What Mermaid reads as its own."""


def identifier(name: str) -> str:
    """A node's id, made of its name."""
    made = re.sub(r"\W", "_", name)
    return f"{made}_" if made.lower() in _WORDS else made


def lines(*parts: str) -> str:
    """One text of several lines, the empty ones left out."""
    return "<br/>".join(part.replace('"', "#quot;") for part in parts if part)


def edge(source: str, target: str, labels: Iterable[str] = (), *, dotted: bool = False) -> str:
    """An arrow between two ids; `labels` stand on it, one on a line."""
    text = lines(*labels)
    arrow = "-.->" if dotted else "-->"
    return f'{source} {arrow}|"{text}"| {target}' if text else f"{source} {arrow} {target}"


def flowchart(direction: str, statements: Iterable[str]) -> str:
    """A fenced block for Markdown."""
    return "\n".join(["```mermaid", f"flowchart {direction}", *(f"    {each}" for each in statements), "```"])
