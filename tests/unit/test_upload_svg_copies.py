"""SVG whose references multiply it: what is refused without being drawn, and what harmless files need."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_upload_svg import document
from upload_object import svg_copies
from upload_object.svg import RefusedSvg, check

LEAF = '<rect id="p0"/>'
LONG_PATH = '<path id="a" d="M0 0' + "h1" * 30_000 + '"/>'


def ten(part: str) -> str:
    return part * 10


def billion(part: str, first: str = LEAF) -> str:
    """Nine times `part`, in which {n} stands for its level, and {m} for the one below, to which it refers ten times."""
    return first + "".join(part.replace("{n}", str(level)).replace("{m}", str(level - 1)) for level in range(1, 10))


def painted(style: str) -> str:
    """A billion by a style sheet: patterns of ten rectangles, which a rule paints with the one below."""
    return (
        "<style>"
        + billion(style, "")
        + "</style>"
        + billion('<pattern id="p{n}">' + ten('<rect id="r{n}" class="a c{n} b"/>') + "</pattern>")
    )


BOMBS = {
    "use": billion('<g id="p{n}">' + ten('<use href="#p{m}"/>') + "</g>"),
    "use, xlink": billion('<g id="p{n}">' + ten('<use xlink:href="#p{m}"/>') + "</g>"),
    "use, blanks and line ends": billion('<g id="p{n}">' + ten('<use href=" &#10;#p&#9;{m} "/>') + "</g>"),
    "use, percent-encoded": billion('<g id="p{n}">' + ten('<use href="#%70{m}"/>') + "</g>"),
    "use by XPointer": billion('<g id="p{n}">' + ten('<use href="#xpointer(id(&apos;p{m}&apos;))"/>') + "</g>"),
    "use by xml:id": billion('<g xml:id="p{n}">' + ten('<use href="#p{m}"/>') + "</g>"),
    "use of symbols": billion('<symbol id="p{n}">' + ten('<use href="#p{m}"/>') + "</symbol>"),
    "use of SVGs inside": billion('<svg id="p{n}">' + ten('<use href="#p{m}"/>') + "</svg>"),
    "use from deep inside": billion('<g id="p{n}">' + "<g>" * 20 + ten('<use href="#p{m}"/>') + "</g>" * 20 + "</g>"),
    "use of the second of an id": billion('<g id="p{n}"/><g id="p{n}">' + ten('<use href="#p{m}"/>') + "</g>"),
    "use in definitions": "<defs>" + billion('<g id="p{n}">' + ten('<use href="#p{m}"/>') + "</g>") + "</defs>",
    "use of many parts": '<g id="a">' + "<path/>" * 10_000 + "</g>" + '<use href="#a"/>' * 2_000,
    "use of a long text": '<text id="a">' + "x" * 60_000 + "</text>" + '<use href="#a"/>' * 2_000,
    "use of a long path": LONG_PATH + '<use href="#a"/>' * 2_000,
    "use of many of one id": '<g id="a"/>' * 6_000 + '<use href="#a"/>' * 5_000,
    "a chain of uses, each drawn": "".join(f'<g id="a{n}"><use href="#a{n + 1}"/></g>' for n in range(3_000)),
    "pattern": billion('<pattern id="p{n}">' + ten('<rect fill="url(#p{m})"/>') + "</pattern>"),
    "pattern as stroke": billion('<pattern id="p{n}">' + ten("<rect stroke=\"url('#p{m}') red\"/>") + "</pattern>"),
    "pattern in a style": billion(
        '<pattern id="p{n}">' + ten('<rect style="x:y;FILL : URL( #p{m} )"/>') + "</pattern>"
    ),
    "pattern of a group": billion('<pattern id="p{n}"><g fill="url(#p{m})">' + ten("<rect/>") + "</g></pattern>"),
    "pattern of what is used": billion(
        '<g id="s{n}">'
        + ten("<rect/>")
        + '</g><pattern id="p{n}"><g fill="url(#p{m})"><use href="#s{n}"/></g></pattern>'
    ),
    "pattern around a pattern": billion('<g fill="url(#p{m})"><pattern id="p{n}">' + ten("<rect/>") + "</pattern></g>"),
    "pattern far around a pattern": billion(
        '<g stroke="url(#p{m})"><g><pattern id="p{n}">' + ten("<rect/>") + "</pattern></g></g>"
    ),
    "pattern in a variable": billion(
        '<g style="--x:url(#p{m})"><pattern id="p{n}">' + ten('<rect fill="var(--x)"/>') + "</pattern></g>"
    ),
    "marker in a variable": billion(
        '<marker id="p{n}"><path style="--x:url(#p{m});marker-mid:var(--x)" d="M0 0' + "h1" * 20 + '"/></marker>'
    ),
    "pattern by an animation": billion(
        '<pattern id="p{n}">' + ten('<rect><set attributeName="fill" to="url(#p{m})"/></rect>') + "</pattern>"
    ),
    "pattern by an animation of a group": billion(
        '<pattern id="p{n}"><g><animate attributeName="fill" values="red;url(#p{m})"/>'
        + ten("<rect/>")
        + "</g></pattern>"
    ),
    "pattern by an animation elsewhere": billion(
        '<set href="#g{n}" attributeName="fill" to="url(#p{m})"/><pattern id="p{n}"><g id="g{n}">'
        + ten("<rect/>")
        + "</g></pattern>"
    ),
    "pattern by an animation of many": '<g id="a"/>' * 4_000 + '<set href="#a" to="url(#a)"/>' * 4_000,
    "pattern with another's content": billion(
        '<pattern id="q{n}">' + ten('<rect fill="url(#p{m})"/>') + '</pattern><pattern id="p{n}" href="#q{n}"/>'
    ),
    "mask": billion('<mask id="p{n}">' + ten('<rect mask="url(#p{m})"/>') + "</mask>"),
    "mask that is inherited": billion(
        '<mask id="p{n}"><g mask="url(#p{m})">' + ten('<rect mask="inherit"/>') + "</g></mask>"
    ),
    "mask that is inherited in a style": billion(
        '<mask id="p{n}"><g mask="url(#p{m})">' + ten('<rect style="mask:inherit"/>') + "</g></mask>"
    ),
    "mask that is inherited by a rule": "<style>rect{all:INHERIT}</style>"
    + billion('<mask id="p{n}"><g mask="url(#p{m})">' + ten("<rect/>") + "</g></mask>"),
    "clipPath": billion('<clipPath id="p{n}">' + ten('<rect clip-path="url(#p{m})"/>') + "</clipPath>"),
    "filter": billion(
        '<filter id="f{n}"><feImage href="#p{m}"/></filter><g id="p{n}">' + ten('<rect filter="url(#f{n})"/>') + "</g>"
    ),
    "marker at each vertex": billion(
        '<marker id="p{n}"><path marker-mid="url(#p{m})" d="M0 0' + "h1" * 20 + '"/></marker>'
    ),
    "marker of a group": billion(
        '<marker id="p{n}"><g marker="url(#p{m})"><path d="M0 0' + "h1" * 20 + '"/></g></marker>'
    ),
    "marker of a polygon": billion(
        '<marker id="p{n}"><polygon points="' + ten("1,2 ") + '" marker-start="url(#p{m})"/></marker>'
    ),
    "marker of an animated path": billion(
        '<marker id="p{n}"><path marker-mid="url(#p{m})"><animate attributeName="d" to="M0 0'
        + "h1" * 20
        + '"/></path></marker>'
    ),
    "marker of lines": billion('<marker id="p{n}">' + ten('<line marker-start="url(#p{m})"/>') + "</marker>"),
    "marker of rectangles": billion('<marker id="p{n}"><rect marker-mid="url(#p{m})"/></marker>'),
    "marker of a path in a style": "<style>path{d:path('M0 0"
    + "h1" * 20
    + "')}</style>"
    + billion('<marker id="p{n}"><path marker-mid="url(#p{m})"/></marker>'),
    "marker of a path in a variable": '<g style="--d:path(&quot;M0 0'
    + "h1" * 500
    + '&quot;)">'
    + "".join(f'<marker id="p{n}"><path style="d:var(--d)" marker-mid="url(#p{n - 1})"/></marker>' for n in range(1, 4))
    + LEAF
    + "</g>",
    "pattern of what is marked": '<marker id="m0"><rect fill="context-fill"/></marker>'
    + billion('<pattern id="p{n}"><path marker-mid="url(#m0)" fill="url(#p{m})" d="M0 0' + "h1" * 20 + '"/></pattern>'),
    "pattern of what is marked, by a style": '<marker id="m"><use href="#s"/></marker><g id="s">'
    + ten('<rect style="stroke:CONTEXT-FILL"/>')
    + "</g>"
    + billion('<pattern id="p{n}"><g marker="url(#m)"><line fill="url(#p{m})"/></g></pattern>'),
    "mask that an animation lets be inherited": billion(
        '<mask id="p{n}"><g mask="url(#p{m})">'
        + ten('<rect><set attributeName="mask" to="inherit"/></rect>')
        + "</g></mask>"
    ),
    "pattern of what is marked, by an animation": '<marker id="m"><rect><set attributeName="fill" to="context-fill"/>'
    "</rect></marker>"
    + billion('<pattern id="p{n}"><path marker-mid="url(#m)" fill="url(#p{m})" d="M0 0' + "h1" * 20 + '"/></pattern>'),
    "textPath": LONG_PATH + '<textPath href="#a"/>' * 2_000,
    "mpath": LONG_PATH + '<rect><animateMotion><mpath href="#a"/></animateMotion></rect>' * 1_000,
    "rule of a class": painted(".c{n}{fill:url(#p{m})}"),
    "rule of an id": painted("#r{n}{fill:url(#p{m})}"),
    "rule of a class in capitals": painted(".C{n}{FILL:URL(#p{m})}"),
    "rule of a class and a type": painted("rect.a.c{n}{fill:url(#p{m})}"),
    "rule of a class inside": painted("pattern  >  .c{n}{fill:url(#p{m})}"),
    "rule of a class beside": painted("rect.a+.c{n} , .nothing{fill:url(#p{m})}"),
    "rule of one of several": painted(".nothing,.c{n}.b,.none{fill:url(#p{m})}"),
    "rule of a pseudo-class": painted(".c{n}:not(.nothing,#none):hover{fill:url(#p{m})}"),
    "rule of an attribute": painted('.c{n}[class="a,]{;"]{fill:url(#p{m})}'),
    "rule of a namespace": "<style>@namespace s url(#x);</style>" + painted("s|rect.c{n}{fill:url(#p{m})}"),
    "rule within a rule": painted(".nothing{fill:red;.c{n}{fill:url(#p{m})}}"),
    "rule in a rule for media": painted("@media (min-width:1px){@supports (x:y){.c{n}{fill:url(#p{m})}}}"),
    "rule around a rule for media": painted(".c{n}{@media print{fill:url(#p{m})}}"),
    "rule after strings": painted(""".x{a:"}";b:'{'}.c{n}{a:"} .none{";fill:url(#p{m})}"""),
    "rule after a string that a line ends": painted('.c{n}{a:"\n;fill:url(#p{m});b:"\n}'),
    "rule after comments": painted("/*{*/.c{n}/*.none{*/{a:b/*}.none{*/;fill:/*;*/url(#p{m})}/*"),
    "rule after brackets": painted(".c{n}{a:(}.none{};[);fill:url(#p{m})}"),
    "rule after brackets that are not closed": painted("(]}){}.c{n}{fill:url(#p{m})}"),
    "rule with a variable": painted(".c{n}{--x:url(#p{m});fill:var(--x)}"),
    "rule with several declarations": painted(".c{n}{mask:none;;fill:red;stroke:url(#p{m}) }"),
    "rule of who knows what": painted(":is(.c{n}){fill:url(#p{m})}"),
}


@pytest.mark.parametrize("inside", BOMBS.values(), ids=BOMBS)
def test_a_picture_of_a_billion_copies_is_refused_without_drawing_it(inside: str) -> None:
    with pytest.raises(RefusedSvg, match=r"^refers to (its own parts so often|a part from within it)") as refusal:
        check(document(inside))
    assert len(str(refusal.value)) < 300


def test_the_refusal_says_what_the_limit_is() -> None:
    with pytest.raises(
        RefusedSvg, match=r"more than 8,000,000 characters with a copy in place of each reference\. Use"
    ):
        check(document(BOMBS["use"]))


CYCLES = {
    "use of what it is in": '<g id="a"><g><use href="#a"/></g></g>',
    "use of each other": '<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>',
    "use of the whole": '<use href="#whole"/>',
    "pattern of its own content": '<pattern id="a"><rect fill="url(#a)"/></pattern>',
    "patterns of each other": '<pattern id="a"><rect style="fill:url(#b)"/></pattern><pattern id="b" href="#a"/>',
    "mask of its own content": '<mask id="a"><g><rect mask="url(#a)"/></g></mask>',
    "marker by a rule": '<style>path{marker-mid:url(#a)}</style><marker id="a"><path d="M0 0h1"/></marker>',
    "filter of what it filters": '<filter id="f"><feImage href="#a"/></filter><rect id="a" filter="url(#f)"/>',
}


@pytest.mark.parametrize("inside", CYCLES.values(), ids=CYCLES)
def test_a_part_that_refers_to_itself_is_refused(inside: str) -> None:
    with pytest.raises(RefusedSvg, match=r"^refers to a part from within it"):
        check(document(inside, 'id="whole"'))


STOP = '<stop offset="0"/>'

HARMLESS = {
    "a text of glyphs": "".join(f'<path id="g{n}" d="{"M12.5 3.25q1 2 3 4" * 25}"/>' for n in range(60))
    + "".join(f'<use x="{n}" href="#g{n % 60}"/>' for n in range(2_500)),
    "a map with signs": "".join(
        f'<symbol id="s{n}">' + '<path d="M0 0h1v1h-1z"/>' * 10 + "</symbol>" for n in range(20)
    )
    + "".join(f'<use x="{n}" y="{n}" href="#s{n % 20}"/>' for n in range(2_000)),
    "a gradient for thousands": f'<linearGradient id="g">{STOP * 20}</linearGradient><radialGradient id="h" href="#g"/>'
    + '<g fill="url(#g)" stroke="url(#h)">'
    + '<path d="M0 0h1v1z"/>' * 5_000
    + "</g>",
    "clip paths by class": "<style>"
    + "".join(f".k{n}{{clip-path:url(#k{n});}}.f{n}{{fill:url(#f{n});}}" for n in range(200))
    + "</style>"
    + "".join(
        f'<clipPath id="k{n}"><rect class="f{n}"/></clipPath><linearGradient id="f{n}">{STOP * 2}</linearGradient>'
        for n in range(200)
    )
    + "".join(f'<g class="k{n % 200}">' + f'<path class="f{n % 200}" d="M0 0h1"/>' * 5 + "</g>" for n in range(400)),
    "a mask within what it masks": '<g mask="url(#m)"><mask id="m"><rect fill="white"/></mask><path d="M0 0h1"/></g>',
    "a pattern for hundreds": '<pattern id="p"><path d="M0 0h1"/><path d="M0 1h1"/></pattern>'
    + '<rect fill="url(#p)"/>' * 1_000,
    "arrows of their lines' colours": '<marker id="m"><path fill="context-stroke" d="M0 0h1v1z"/></marker>'
    '<pattern id="p"><rect/></pattern><rect fill="url(#p)"/>'
    + '<path marker-end="url(#m)" d="M0 0c1 2 3 4 5 6"/>'
    * 500,
    "arrows on many lines": '<marker id="m"><path d="M0 0h1v1z"/></marker>'
    + '<path marker-end="url(#m)" d="M0 0c1 2 3 4 5 6"/>' * 2_000,
    "links to what they are in": '<g id="a"><a href="#a"><text>up</text></a><a xlink:href="#whole"/></g>',
    "an animation of what it is in": '<g id="a"><animate href="#a" attributeName="x" to="1"/></g>',
    "a way along one's own shape": '<path id="a" d="M0 0h1"><animateMotion><mpath href="#a"/></animateMotion></path>',
    "a text along a path": '<path id="a" d="M0 0h1"/><text><textPath href="#a">x</textPath></text>',
    "references to nothing": '<use href="#none"/><rect fill="url(#none)" style="mask:url(#no)"/>'
    "<style>a{b:url(#c)}</style>",
    "no reference at all": "<g/>" * 40_000,
    "a deep nest with a use": "<g>" * 20_000 + '<use href="#a"/>' + "</g>" * 20_000 + '<rect id="a"/>',
    "a picture in a style": f"<style>rect{{fill:url(data:image/png;base64,{'iVBO' * 5_000})}}</style>"
    + "<rect/>" * 1_000,
    "rules that fit nothing": '<pattern id="p"/><style>'
    + ".a.b{fill:url(#p)}" * 4_000
    + "</style>"
    + '<g class="a"/><g class="b"/>' * 2_000,
}


@pytest.mark.parametrize("inside", HARMLESS.values(), ids=HARMLESS)
def test_what_harmless_pictures_refer_to_is_within_the_limit(inside: str) -> None:
    check(document(inside, 'id="whole"'))


def chars(element: ET.Element) -> int:
    """Of an element alone, as they are counted."""
    return 64 + sum(map(len, element.attrib.values())) + len((element.text or "").strip())


class Browser:
    """Draws, as browsers do, what the documents below have: paint by attributes, styles and rules of one class, taken
    over from what a part is in; markers at vertices; masks once."""

    def __init__(self, data: bytes) -> None:
        root = ET.fromstring(data)
        self.rules = dict(re.findall(r"\.(\w+)\{([^}]*)\}", "".join(root.itertext())))
        self.parents = {child: parent for parent in root.iter() for child in parent}
        self.by_id = {each.get("id"): each for each in root.iter() if each.get("id")}
        self.size = self.draw(root, {})

    def named(self, element: ET.Element) -> dict[str, str]:
        """Each property that refers to a part, by the cascade."""
        style = self.rules.get(element.get("class", ""), "") + ";" + element.get("style", "")
        declared = dict(re.findall(r"([\w-]+):url\(#(\w+)\)", style))
        of_attributes = {name: value[5:-1] for name, value in element.attrib.items() if value.startswith("url(#")}
        return of_attributes | declared

    def around(self, element: ET.Element) -> dict[str, str]:
        """What an element takes over where it stands."""
        parent = self.parents.get(element)
        if parent is None:
            return {}
        return {name: id_ for name, id_ in (self.around(parent) | self.named(parent)).items() if name != "mask"}

    def paint(self, id_: str) -> int:
        element = self.by_id[id_]
        return self.draw(element, self.around(element))

    def draw(self, element: ET.Element, taken_over: dict[str, str]) -> int:
        named = taken_over | self.named(element)
        size = chars(element) + (self.paint(named.pop("mask")) if "mask" in named else 0)
        if element.tag.endswith("}path"):
            size += self.paint(named["fill"]) if "fill" in named else 0
            size += element.get("d", "").count("h") * self.paint(named["marker"]) if "marker" in named else 0
        if "href" in element.attrib:
            size += self.draw(self.by_id[element.attrib["href"][1:]], named)
        return size + sum(self.draw(child, named) for child in element)


PROPERTIES = ("fill", "marker", "mask")


@st.composite
def pictures(draw: st.DrawFn) -> bytes:
    """Some parts, each of which refers only to those before it, in any of the ways."""
    rules: list[str] = []
    known: list[str] = []

    def reference() -> str:
        property_, target = draw(st.sampled_from(PROPERTIES)), draw(st.sampled_from(known))
        match draw(st.sampled_from(["attribute", "style", "rule"])):
            case "attribute":
                return f' {property_}="url(#{target})"'
            case "style":
                return f' style="{property_}:url(#{target})"'
        rules.append(f".c{len(rules)}{{{property_}:url(#{target})}}")
        return f' class="c{len(rules) - 1}"'

    def part(depth: int) -> str:
        refers = known and draw(st.booleans())
        attributes = reference() if refers else ""
        if known and draw(st.integers(0, 3)) == 0:
            return f'<use href="#{draw(st.sampled_from(known))}"{attributes}/>'
        if depth and draw(st.booleans()):
            return f"<g{attributes}>{parts(depth - 1)}</g>"
        return f'<path d="M0 0{"h1" * draw(st.integers(0, 3))}"{attributes}/>'

    def parts(depth: int) -> str:
        return "".join(part(depth) for _ in range(draw(st.integers(1, 3))))

    inside = ""
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["pattern", "marker", "mask", "symbol", "g"]))
        around = known and draw(st.integers(0, 3)) == 0
        opening = f"<g{reference()}>" if around else "<g>"
        inside += f'{opening}<{kind} id="p{number}">{parts(1)}</{kind}></g>'
        known.append(f"p{number}")
    return document(f"<style>{''.join(rules)}</style>{inside}{parts(2)}")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(picture=pictures())
def test_no_picture_is_counted_for_less_than_a_browser_draws(picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Browser(picture).size
    assume(drawn > 64 * 64)
    monkeypatch.setattr(svg_copies, "MOST", drawn - 1)
    with pytest.raises(RefusedSvg, match=r"^refers to"):
        check(picture)


SLOW = {
    "brackets": "(" * 150_000,
    "strings": "x''" * 50_000 + "{}",
    "comments": "/*" * 75_000,
    "declarations": "a{" + "x:y;" * 37_000,
    "rules in rules": "a{" * 8_000 + "fill:url(#p);" * 4_000,
    "selectors": "a," * 70_000 + "a{fill:url(#p)}",
    "compounds": ".a" * 75_000 + "{fill:url(#p)}",
    "descendants": "a " * 75_000 + "{fill:url(#p)}",
    "a url() without an end to its property": "a{fill:" + "url(#p) " * 18_000,
}


@pytest.mark.parametrize("style", SLOW.values(), ids=SLOW)
def test_no_style_sheet_takes_a_step_for_every_pair(style: str) -> None:
    check(document(f'<pattern id="p"/><style>{style}</style>' + "<g/>" * 1_000))
