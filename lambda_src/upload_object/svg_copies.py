"""Counts what an SVG draws, with a copy in place of each reference to a part of it.

A few references to parts that refer to other parts make a file of some hundred bytes draw a billion shapes. They are
counted here and not followed: each part once, from what it holds and what it refers to.

The count is never too small. If a reference may hold for more than one part, it is taken to hold for each: paint and
markers for all that is inside of the part that names them, a style rule for every part that the last part of its
selector fits. Gradients hold nothing that is drawn, and links draw nothing.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple, TypeVar

from .svg_style import Compound, Reference, can_hold_css, fitting, fragments, references, words

MOST = 8_000_000
"""Characters that an SVG may have with all its copies, where each part counts 64 more than it has."""

_PER_PART = 64
_VERTICES = 10
"""Of a part that does not list its own, such as a line or a rectangle."""
_ANIMATIONS = frozenset({"animate", "animateMotion", "animateTransform", "set"})
_GRADIENTS = frozenset({"linearGradient", "radialGradient"})
_DRAW_NOTHING = frozenset({"a"}) | _GRADIENTS | _ANIMATIONS
"""Elements that draw nothing of what their `href` leads to."""
_DRAWN_AS = {"use": "use", "textPath": "shape", "mpath": "shape"}
"""What elements draw of it; of others it is the content."""
_ONCE = frozenset({"clip-path", "mask", "mask-image", "filter"})
"""Properties that hold for a part as a whole and not for each part inside of it, unless one says `inherit`."""
_LOOKED_INTO = _ONCE | {"style", "fill", "stroke"}
_ANY = "--any"
"""Stands for a property that is not known."""

_VERTEX = re.compile(r"[A-Za-z]|[0-9]+")
_NONE: frozenset[str] = frozenset()


class Unbounded(Exception):
    """`str()` goes on from "this SVG ..."."""


class _Paint(NamedTuple):
    """What a property of a part refers to."""

    property: str
    ids: frozenset[str]


@dataclass(kw_only=True, slots=True)
class _Part:
    element: str
    parent: int | None
    size: int = _PER_PART
    vertices: int = _VERTICES
    ids: frozenset[str] = _NONE
    classes: frozenset[str] = _NONE
    leads_to: frozenset[str] = _NONE
    paint: list[_Paint] = field(default_factory=list)


class Copies:
    """Takes an SVG's elements in their order, and counts. Names of elements and attributes are the local ones."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._open: list[int] = []
        self._styles: list[str] = []
        self._once = _ONCE
        self._paint_of_context = False
        self._vertices_in_styles = 0

    def start(self, element: str, attributes: Iterable[tuple[str, str]]) -> None:
        part = _Part(element=element, parent=self._open[-1] if self._open else None)
        self._open.append(len(self._parts))
        self._parts.append(part)
        for name, value in attributes:
            self._read(part, name.lower(), value)

    def text(self, text: str) -> None:
        self._parts[self._open[-1]].size += len(text)

    def add(self, size: int) -> None:
        """Count this many characters for the last element: what is embedded in it has them."""
        self._parts[self._open[-1]].size += size

    def style(self, text: str) -> None:
        self._styles.append(text)
        self._look_into(text.lower())

    def end(self) -> None:
        self._open.pop()

    def check(self) -> int:
        """Return the characters of all copies together. Raises Unbounded if a part refers to itself, or they are more
        than MOST."""
        if self._styles or any(part.leads_to or part.paint for part in self._parts):
            for part in self._parts:
                part.vertices += self._vertices_in_styles
            drawing = _Drawing(self._parts, self._once)
            drawing.animate()
            drawing.style(self._styles)
            return drawing.count(paint_of_context=self._paint_of_context)
        size = sum(part.size for part in self._parts)
        if size > MOST:
            raise _too_many()
        return size

    def _read(self, part: _Part, name: str, value: str) -> None:
        part.size += len(value)
        match name:
            case "id":
                part.ids |= {value}
            case "class":
                part.classes |= words(value)
            case "href" | "src":
                part.leads_to |= fragments(value)
            case "d" | "points":
                part.vertices += len(_VERTEX.findall(value))
            case _ if part.element in _ANIMATIONS:
                part.vertices += len(_VERTEX.findall(value))
        if name in _LOOKED_INTO or part.element in _ANIMATIONS:
            self._look_into(value.lower())
        if "(" in value and can_hold_css(name):
            found = [each._replace(property=each.property if name == "style" else name) for each in references(value)]
            part.paint += map(_paint, found)

    def _look_into(self, style: str) -> None:
        """For what makes references, or the vertices that bear markers, hold for more than they would."""
        if "inherit" in style:
            self._once = _NONE
        if "context-" in style:
            self._paint_of_context = True
        if "path(" in style:
            self._vertices_in_styles += len(_VERTEX.findall(style))


class _Count(NamedTuple):
    """Of what is drawn for a part: parts and vertices, which bear paint and markers, and characters, all of them."""

    parts: int = 0
    vertices: int = 0
    size: int = 0

    def plus(self, other: "_Count") -> "_Count":
        return _Count(self.parts + other.parts, self.vertices + other.vertices, self.size + other.size)

    def bearing(self, paint: "_Count", marker: int) -> int:
        """The characters of the paint; `marker`: the parts of a marker, each of which bears the paint of its vertex."""
        return (self.parts + self.vertices * marker) * paint.parts + self.vertices * paint.vertices


class _Node(NamedTuple):
    """What is counted. "part": what is drawn for the part with this number; "use": for all with this id. "resource":
    the characters that are drawn to paint with a part, which takes over the paint of what it is in; "paint": with all
    of an id. "shape": the characters of what has an id, without anything inside. "inherited": those of the paint that
    parts take over from this one, for a part and for a vertex."""

    kind: str
    key: int | str


class _Drawing:
    """`once`: the properties that hold once for a part."""

    def __init__(self, parts: Sequence[_Part], once: frozenset[str]) -> None:
        self._parts, self._once = parts, once
        self._by_id = _index(() if part.element in _GRADIENTS else part.ids for part in parts)
        self._children = _index(() if part.parent is None else (part.parent,) for part in parts)
        self._counts: dict[_Node, _Count] = {}
        self._room = MOST // _PER_PART
        self._blank = False
        self._marker = 0

    def animate(self) -> None:
        """What an animation sets holds for the part that it is in, and for the one that it leads to."""
        for part in self._parts:
            if part.element in _ANIMATIONS:
                paint = [_Paint(_ANY, each.ids) for each in part.paint]
                parent = set() if part.parent is None else {part.parent}
                for number in parent.union(*(self._by_id[each] for each in part.leads_to)):
                    self._take(1 + len(paint))
                    self._parts[number].vertices += part.vertices
                    self._parts[number].paint += paint

    def style(self, styles: Iterable[str]) -> None:
        selection = _Selection(self._parts)
        for reference in (each for text in styles for each in references(text)):
            if reference.property == "src":  # of a font
                continue
            paint = _paint(reference)
            if self._known(paint.ids):
                fit = selection.of(reference.selector)
                self._take(len(fit))
                for number in fit:
                    self._parts[number].paint.append(paint)

    def count(self, *, paint_of_context: bool) -> int:
        """Count the whole. `paint_of_context`: markers may be painted as what they mark. Raises Unbounded."""
        if paint_of_context:
            self._blank = True
            self._count_all()
            markers = [number for number, part in enumerate(self._parts) if part.element == "marker"]
            self._marker = max((self._counts[_Node("part", number)].parts for number in markers), default=0)
            self._blank, self._counts = False, {}
        return self._count_all()

    def _count_all(self) -> int:
        """One after the other, each as soon as all that it needs is counted."""
        waiting, under_way = [_Node("part", 0)], set[_Node]()
        while waiting:
            node = waiting[-1]
            if node not in self._counts and node not in under_way:
                under_way.add(node)
                needed = self._needs(node)
                if not under_way.isdisjoint(needed):
                    raise Unbounded("refers to a part from within it. Remove that reference.")
                waiting += needed
                continue
            waiting.pop()
            if node in under_way:
                under_way.remove(node)
                self._counts[node] = self._counted(node)
        return self._counts[_Node("part", 0)].size

    def _take(self, places: int) -> None:
        """Each of them makes MOST nearer by a part at least."""
        self._room -= places
        if self._room < 0:
            raise _too_many()

    def _known(self, ids: frozenset[str]) -> list[str]:
        """Those that a part has which is not a gradient."""
        return [each for each in ids if self._by_id.get(each)]

    def _needs(self, node: _Node) -> list[_Node]:
        match node:
            case _Node("use", str(name)):
                return [_Node("part", number) for number in self._by_id[name]]
            case _Node("paint", str(name)):
                return [_Node("resource", number) for number in self._by_id[name]]
            case _Node("shape", _):
                return []
            case _Node("resource", int(number)):
                return [_Node("part", number), *self._around(number)]
            case _Node("inherited", int(number)):
                return [*(each for _, each in self._painted(number, but=self._once)), *self._around(number)]
            case _Node("part", int(number)):
                return [*(each for _, each in self._painted(number)), *self._drawn(number)]
        raise AssertionError(node)

    def _counted(self, node: _Node) -> _Count:
        match node:
            case _Node("part", int(number)):
                count = self._count_part(number)
            case _Node("resource", int(number)):
                count = self._count_resource(number)
            case _Node("inherited", int(number)):
                count = self._count_inherited(number)
            case _Node("shape", str(name)):
                count = _Count(size=sum(self._parts[number].size for number in self._by_id[name]))
            case _:
                count = self._sum(self._needs(node))
        if count.size > MOST:
            raise _too_many()
        return count

    def _count_part(self, number: int) -> _Count:
        part = self._parts[number]
        count = _Count(1, part.vertices, part.size).plus(self._sum(self._drawn(number)))
        size = 0
        for paint, node in self._painted(number):
            once = paint.property in self._once
            size += self._counts[node].size if once else count.bearing(self._borne(paint, node), self._marker)
        return count.plus(_Count(size=size))

    def _count_resource(self, number: int) -> _Count:
        count = self._counts[_Node("part", number)]
        return _Count(size=count.size + count.bearing(self._sum(self._around(number)), self._marker))

    def _count_inherited(self, number: int) -> _Count:
        borne = [self._borne(paint, node) for paint, node in self._painted(number, but=self._once)]
        return _total(borne).plus(self._sum(self._around(number)))

    def _sum(self, nodes: Iterable[_Node]) -> _Count:
        return _total(self._counts[each] for each in nodes)

    def _around(self, number: int) -> list[_Node]:
        parent = self._parts[number].parent
        return [] if parent is None else [_Node("inherited", parent)]

    def _drawn(self, number: int) -> list[_Node]:
        """What is drawn in a part's place or as its content. Only what is used takes over the paint of its user."""
        part = self._parts[number]
        inside = [_Node("part", each) for each in self._children[number]]
        if part.element in _DRAW_NOTHING:
            return inside
        return inside + [_Node(_DRAWN_AS.get(part.element, "paint"), each) for each in self._known(part.leads_to)]

    def _painted(self, number: int, *, but: frozenset[str] = _NONE) -> Iterator[tuple[_Paint, _Node]]:
        for paint in [] if self._blank else self._parts[number].paint:
            if paint.property not in but:
                for each in self._known(paint.ids):
                    yield paint, _Node("paint", each)

    def _borne(self, paint: _Paint, node: _Node) -> _Count:
        """The characters that paint makes of each part, and of each vertex."""
        size, unknown = self._counts[node].size, paint.property.startswith("--")
        marker = paint.property.startswith("marker")
        return _Count(0 if marker else size, size if marker or unknown else 0)


class _Selection:
    """The parts by what selectors name, in lower case."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._found: dict[str, set[int]] = {}
        self._all = set(range(len(parts)))
        self._types = _index([part.element.lower()] for part in parts)
        self._ids = _index([each.lower() for each in part.ids] for part in parts)
        self._classes = _index([each.lower() for each in part.classes] for part in parts)

    def of(self, selector: str) -> set[int]:
        if selector not in self._found:
            compounds = fitting(selector)
            self._found[selector] = self._all if compounds is None else set().union(*map(self._one, compounds))
        return self._found[selector]

    def _one(self, compound: Compound) -> set[int]:
        of_type = [self._types[compound.type]] if compound.type else []
        ids, classes = (self._ids[each] for each in compound.ids), (self._classes[each] for each in compound.classes)
        return set.intersection(*of_type, *ids, *classes)


_Name = TypeVar("_Name")


def _index(names: Iterable[Iterable[_Name]]) -> defaultdict[_Name, set[int]]:
    """The numbers of the parts by each of their names."""
    numbers = defaultdict[_Name, set[int]](set)
    for number, each in enumerate(names):
        for name in each:
            numbers[name].add(number)
    return numbers


def _total(counts: Iterable[_Count]) -> _Count:
    return reduce(_Count.plus, counts, _Count())


def _paint(reference: Reference) -> _Paint:
    return _Paint(reference.property, fragments(reference.address))


def _too_many() -> Unbounded:
    return Unbounded(
        f"refers to its own parts so often that it would have more than {MOST:,} characters with a copy in place of "
        "each reference. Use fewer references."
    )
