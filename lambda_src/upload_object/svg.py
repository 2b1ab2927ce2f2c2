"""Refuses an SVG that is active or refers to anything outside of itself.

An SVG opened by itself is a document with the powers of a web page: it can run scripts and fetch from other hosts. What
is allowed is listed, and everything else refused: elements by name, namespaces by name, and references by form (a
fragment of the same document, or an embedded PNG, JPEG or WebP). References to its own parts must not multiply it
beyond a limit. The file is judged as what its content type says, XML in UTF-8; the bytes are stored as they came and
never rewritten.

A refusal says where in the file it is about, and quotes nothing of it: Lambda logs each error's text.
"""

import re

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from .svg_copies import Copies, Unbounded
from .svg_style import BLANKS

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"

# fmt: off
_ELEMENTS = frozenset({
    "svg", "g", "defs", "symbol", "use", "switch", "view", "a", "title", "desc", "metadata", "style",
    "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "image", "text", "tspan", "textPath",
    "linearGradient", "radialGradient", "stop", "pattern", "clipPath", "mask", "marker",
    "filter", "feBlend", "feColorMatrix", "feComponentTransfer", "feFuncA", "feFuncB", "feFuncG", "feFuncR",
    "feComposite", "feConvolveMatrix", "feDiffuseLighting", "feDisplacementMap", "feDistantLight",
    "feDropShadow", "feFlood", "feGaussianBlur", "feImage", "feMerge", "feMergeNode", "feMorphology", "feOffset",
    "fePointLight", "feSpecularLighting", "feSpotLight", "feTile", "feTurbulence",
    "animate", "animateMotion", "animateTransform", "mpath", "set",
})
# fmt: on

_EDITOR_NAMESPACES = frozenset(
    {
        "http://www.inkscape.org/namespaces/inkscape",
        "http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd",
        "http://inkscape.sourceforge.net/DTD/sodipodi-0.dtd",
        "http://www.openswatchbook.org/uri/2009/osb",
        "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "http://purl.org/dc/elements/1.1/",
        "http://creativecommons.org/ns#",
        "http://web.resource.org/cc/",
        "http://www.bohemiancoding.com/sketch/ns",
        "http://www.serif.com/",
        "http://www.figma.com/figma/ns",
        "http://vectornator.io",
        "https://boxy-svg.com",
        "http://krita.org/namespaces/svg/krita",
        "http://svgjs.com/svgjs",
        "http://svgjs.dev/svgjs",
        "http://c2pa.org/manifest",
    }
)
"""Where editors keep their own notes. No renderer acts on these elements and attributes."""

_ACTIVE = frozenset({"script", "foreignObject", "iframe", "object", "embed", "audio", "video", "handler", "listener"})
"""Elements that are not allowed and that a refusal names."""

_REFERENCES = frozenset({"href", "src", "ping"})
_ANIMATIONS = frozenset({"animate", "animateMotion", "animateTransform", "set"})
_NOT_ANIMATABLE = frozenset({"href", "src", "base", "style", "class"})

_EMBEDDED = re.compile(rf"data:image/(?:png|jpe?g|webp);base64,[A-Za-z0-9+/={BLANKS}]*", re.IGNORECASE | re.ASCII)
_CSS_ADDRESS = re.compile(r"(url|src|image|image-set|element|expression)\(", re.IGNORECASE | re.ASCII)
_QUOTED = re.compile(r"""\"([^"\n\r\f]+)\"|'([^'\n\r\f]+)'""")


class RefusedSvg(Exception):
    """`str()` goes on from "this SVG ...": what is refused and how to mend it."""


def looks_like_svg(data: bytes) -> bool:
    """True where `data` begins as XML does, in whatever encoding; only `check` knows whether it is an SVG."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith((b"<", b"\xff\xfe", b"\xfe\xff", b"\0<"))


def check(data: bytes) -> None:
    """Raises RefusedSvg unless `data` is a well-formed SVG that neither acts nor refers outside of itself, nor draws
    more than `svg_copies.MOST` allows."""
    # Readers differ in how they find an encoding, so only one is left to find. Given "utf-8", expat still takes bytes
    # with NULs for UTF-16.
    if b"\0" in data:
        raise RefusedSvg("is not encoded in UTF-8. Save it as UTF-8.")
    inspector = _Inspector()
    parser = DefusedXMLParser(target=inspector, encoding="utf-8", forbid_dtd=True)
    parser.parser.XmlDeclHandler = inspector.declaration
    try:
        data.decode("utf-8")
        parser.feed(data)
        parser.close()
    except RefusedSvg as refusal:
        line, column = parser.parser.CurrentLineNumber, parser.parser.CurrentColumnNumber
        raise RefusedSvg(f"{refusal} It ends at line {line}, column {column}.") from None  # where the parser has come
    except UnicodeDecodeError:
        raise RefusedSvg("is not encoded in UTF-8. Save it as UTF-8.") from None
    except DefusedXmlException:
        raise RefusedSvg("contains a DOCTYPE or entities. Remove the <!DOCTYPE ...> declaration.") from None
    except ParseError as error:
        line, column = error.position
        raise RefusedSvg(f"is not well-formed XML (line {line}, column {column + 1}).") from None
    try:
        inspector.copies.check()
    except Unbounded as refusal:
        raise RefusedSvg(str(refusal)) from None


class _Inspector:
    """Takes the parser's events, so that no tree is built of a file that is not trusted yet."""

    def __init__(self) -> None:
        self.copies = Copies()
        self._at_root = True
        self._style: list[str] | None = None

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() != "utf-8":
            raise RefusedSvg("declares another encoding than UTF-8. Save it as UTF-8.")

    def pi(self, _target: str, _data: str | None = None) -> None:
        raise RefusedSvg("contains a processing instruction. Remove it.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, element = _split(tag)
        if self._at_root and (namespace, element) != (_SVG, "svg"):
            raise RefusedSvg(f'is none: its root must be an svg element in the namespace "{_SVG}".')
        self._at_root = False
        if self._style is not None:
            raise RefusedSvg("contains an element within a style element. Remove it.")
        self.copies.start(element, ((_split(name)[1], value) for name, value in attributes.items()))
        if namespace in _EDITOR_NAMESPACES:
            # XLink acts in any XML, and XML Events would; an editor's own attributes act nowhere.
            if any(_split(name)[0] not in {"", _XML, *_EDITOR_NAMESPACES} for name in attributes):
                raise RefusedSvg("gives an editor's element an active attribute. Export plain SVG.")
            return
        if namespace != _SVG:
            raise RefusedSvg("contains an element of a namespace that is not allowed. Export it as plain SVG.")
        if element not in _ELEMENTS:
            named = f'the element "{element}", which' if element in _ACTIVE else "an element that"
            raise RefusedSvg(f"contains {named} is not allowed. Remove it.")
        for name, value in attributes.items():
            _check_attribute(element, name, value)
        if element == "style":
            self._style = []

    def data(self, text: str) -> None:
        self.copies.text(text)
        if self._style is not None:
            self._style.append(text)

    def end(self, _tag: str) -> None:
        self.copies.end()
        if self._style is not None:
            text = "".join(self._style)
            _check_stylesheet(text)
            self.copies.style(text)
            self._style = None

    def close(self) -> None:
        pass


def _check_attribute(element: str, qualified_name: str, value: str) -> None:
    namespace, name = _split(qualified_name)
    if namespace in _EDITOR_NAMESPACES:
        return
    if namespace not in ("", _XLINK, _XML):
        raise RefusedSvg("contains an attribute of a namespace that is not allowed. Export it as plain SVG.")
    lower = name.lower()
    if lower.startswith("on"):
        raise RefusedSvg("contains an event handler. Remove it.")
    if namespace == _XML and lower == "base":
        raise RefusedSvg("contains xml:base, which redirects its references. Remove it.")
    if element == "image" and lower in _REFERENCES and value.strip(BLANKS).startswith("#"):
        raise RefusedSvg("contains an image of itself. Embed a PNG, JPEG or WebP as data:image/...;base64 instead.")
    if lower in _REFERENCES and not _is_inner_reference(value):
        raise RefusedSvg(
            f'refers to something outside of itself in "{lower}" of "{element}". '
            "Allowed are #fragments, and PNG, JPEG and WebP embedded as data:image/...;base64."
        )
    if element in _ANIMATIONS and lower == "attributename":
        animated = value.strip().rpartition(":")[2].lower()
        if animated in _NOT_ANIMATABLE or animated.startswith("on"):
            what = f'"{animated}"' if animated in _NOT_ANIMATABLE else "an event handler"
            raise RefusedSvg(f"animates {what}. Remove the animation.")
    if "\\" in value and "(" in value:
        raise RefusedSvg("contains a CSS escape in an attribute. Write it without a backslash.")
    _check_css_addresses(value)


def _check_stylesheet(text: str) -> None:
    if "\\" in text:
        raise RefusedSvg("contains a CSS escape in its style. Write it without a backslash.")
    if "@import" in text.lower():
        raise RefusedSvg("imports a style sheet. Put the style itself in.")
    _check_css_addresses(text)


def _check_css_addresses(text: str) -> None:
    """In every way in which CSS names a resource, only url() with an inner reference passes."""
    for found in _CSS_ADDRESS.finditer(text):
        end = text.find(")", found.end())
        address = text[found.end() : end].strip(BLANKS)
        if quoted := _QUOTED.fullmatch(address):
            address = quoted[1] or quoted[2]
        if found[1].lower() != "url" or end < 0 or not _is_inner_reference(address):
            raise RefusedSvg(
                f"refers to something outside of itself by {found[1].lower()}() in its style. "
                "Allowed are #fragments, and PNG, JPEG and WebP embedded as data:image/...;base64."
            )


def _is_inner_reference(address: str) -> bool:
    address = address.strip(BLANKS)
    return address.startswith("#") or _EMBEDDED.fullmatch(address) is not None


def _split(qualified_name: str) -> tuple[str, str]:
    namespace, _, name = qualified_name.rpartition("}")
    return namespace.removeprefix("{"), name
