"""Reads the references in an SVG's styles and attributes: what they name, and for which parts they can hold.

CSS is read as CSS Syntax Level 3 has it, as far as brackets, strings and comments go. Escapes must not occur.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

BLANKS = " \t\r\n\f"
"""What XML, CSS and URLs know as white space. Python's own `strip` and `\\s` take much more for it."""

_WITH_CSS = re.compile(
    r"""style | fill | stroke | filter | backdrop-filter | clip-path | cursor | color-profile | behavior
    | (?: mask | marker | background | border | list-style | shape | offset )(?:-[a-z-]+)? | from | to | by | values""",
    re.VERBOSE,
)
_TOKEN = re.compile(
    r"""/\*.*?(?:\*/|\Z) | "[^"\n\r\f]*"? | '[^'\n\r\f]*'? | (?<![-\w\x80-\U0010ffff])url\((?P<address>[^)]*)\)?
    | [{}()\[\];]""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE | re.ASCII,
)
_CLOSED_BY = {"{": "}", "(": ")", "[": "]"}
_COMBINATORS = re.compile(rf"[{BLANKS}>+~|]+")
_COMPOUND = re.compile(r"(\*|[\w-]+)?((?:[.#][\w-]+|\[\]|::?[\w-]+(?:\(\))?)*)")
_XPOINTER = re.compile(r"xpointer\(id\(['\"]?(.*?)['\"]?\)\)", re.DOTALL)


class Reference(NamedTuple):
    """A `url()` in CSS, with its property. `selector`: of the rule that it is in; empty if it can hold for any part."""

    selector: str
    property: str
    address: str


class Compound(NamedTuple):
    """What a part must be to fit a selector, in lower case: its type (None: any), and its ids and classes."""

    type: str | None
    ids: frozenset[str]
    classes: frozenset[str]


def can_hold_css(attribute: str) -> bool:
    """True for an attribute, in lower case, that is or sets a property which can name a resource, now or in a draft of
    CSS. Other attributes, such as names, labels and an editor's own data, may hold what only looks like CSS."""
    return _WITH_CSS.fullmatch(attribute) is not None


def words(text: str) -> set[str]:
    """The words of a list that white space parts."""
    return set(re.split(f"[{BLANKS}]+", text)) - {""}


def fragments(address: str) -> frozenset[str]:
    """The ids that an address, perhaps in quotes, may mean within its own document; none if it leads elsewhere."""
    address = address.strip(BLANKS).strip("\"'").strip(BLANKS)
    if not address.startswith("#"):
        return frozenset()
    written = re.sub("[\t\r\n]", "", address[1:])  # as URLs are read
    named = {written, unquote(written)}
    return frozenset(named | {found[1] for each in named if (found := _XPOINTER.fullmatch(each))})


def references(text: str) -> Iterator[Reference]:
    """The `url()` of a style sheet, or of a `style` attribute, which has no rules."""
    place = _Place()
    end = 0
    for token in _TOKEN.finditer(text):
        place.say(text[end : token.start()])
        end = token.end()
        if token["address"] is None:
            place.mark(token[0])
        else:
            yield Reference(place.rules[-1].selector, place.property(), token["address"])


class _Rule(NamedTuple):
    """`fixed`: what is inside of it has its selector. Of `@keyframes` the selectors are moments."""

    selector: str = ""
    fixed: bool = False

    def within(self, prelude: str) -> "_Rule":
        prelude = prelude.strip(BLANKS).lower()
        if self.fixed or prelude.startswith("@"):
            return _Rule("", True) if "keyframes" in prelude else self
        return _Rule(prelude)


class _Place:
    """Where in a style sheet its reader is. What was said since the last block or declaration ended is a selector, or a
    property and its value."""

    def __init__(self) -> None:
        self.rules = [_Rule()]
        self._said: list[str] = []
        self._property: str | None = None
        self._closers: list[str] = []
        self._brackets = 0

    def property(self) -> str:
        if self._property is None:
            self._property = "".join(self._said).partition(":")[0].strip(BLANKS).lower()
        return self._property

    def say(self, text: str) -> None:
        """What is within brackets does not matter."""
        if not self._brackets:
            self._said.append(text)

    def mark(self, mark: str) -> None:
        if mark in _CLOSED_BY:
            self._open(mark)
        elif self._closers and mark == self._closers[-1]:
            self._close()
        elif mark == ";" and not self._brackets:
            self._begin()
        elif mark == "}":
            self.say(mark)

    def _begin(self) -> None:
        self._said, self._property = [], None

    def _open(self, mark: str) -> None:
        self._closers.append(_CLOSED_BY[mark])
        if mark != "{":
            self.say(mark)
            self._brackets += 1
        elif not self._brackets:
            self.rules.append(self.rules[-1].within("".join(self._said)))
            self._begin()

    def _close(self) -> None:
        mark = self._closers.pop()
        if mark != "}":
            self._brackets -= 1
            self.say(mark)
        elif not self._brackets:
            self.rules.pop()
            self._begin()


def fitting(selector: str) -> set[Compound] | None:
    """What a part must be, one of these at least, so that a rule can hold for it; None: anything. Of each selector this
    is the last compound, which a part that fits the whole selector fits, too."""
    compounds = {_compound(_COMBINATORS.split(each.strip(BLANKS))[-1]) for each in selector.split(",")}
    return None if None in compounds else {each for each in compounds if each}


def _compound(text: str) -> Compound | None:
    found = _COMPOUND.fullmatch(text)
    if not found:
        return None
    simple = re.findall(r"([.#])([\w-]+)", re.sub(r"::?[\w-]+", "", found[2]))
    type_ = None if found[1] in (None, "*") else found[1]
    ids = frozenset(name for kind, name in simple if kind == "#")
    classes = frozenset(name for kind, name in simple if kind == ".")
    return Compound(type_, ids, classes) if type_ or ids or classes else None
