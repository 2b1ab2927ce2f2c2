"""Refuses an SVG that is active or refers to anything outside of itself.

An SVG opened by itself is a document with the powers of a web page: it can run scripts and fetch from other hosts. What
is allowed is listed, and everything else refused: elements by name, namespaces by name, and references by form (a
fragment of the same document, or an embedded picture or font). An embedded SVG must pass itself. References to its own
parts must not multiply it beyond a limit. The file is judged as what its content type says, XML in UTF-8; the bytes are
stored as they came and never rewritten.

A refusal says where in the file it is about, and quotes nothing of it: Lambda logs each error's text.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from .svg_allowed import ACTIVE, ELEMENTS, INSTRUCTIONS, is_editors
from .svg_copies import Copies, Unbounded
from .svg_style import BLANKS, can_hold_css

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_XML = "http://www.w3.org/XML/1998/namespace"

_UTF_8 = frozenset({"utf-8", "utf8"})
_ASCII = frozenset({"us-ascii", "ascii", "ansi_x3.4-1968"})
"""Names of ASCII that browsers know, though as those of a larger encoding."""

_REFERENCES = frozenset({"href", "src", "ping"})
_PICTURES = frozenset({"image", "feImage"})
_ANIMATIONS = frozenset({"animate", "animateMotion", "animateTransform", "set"})
_NOT_ANIMATABLE = frozenset({"href", "src", "base", "style", "class"})
_DEEPEST = 3
"""How deep SVGs may be embedded in one another."""

_FLAGS = re.IGNORECASE | re.ASCII
_EMBEDDED = re.compile(
    rf"data:(?P<type>[a-z0-9.+/-]*)(?:;[a-z0-9-]+=[a-z0-9.+_-]*)*;base64,(?P<data>[a-z0-9+/=%{BLANKS}]*)", _FLAGS
)
# Without a "+", because a type that ends in +xml is a document.
_RASTER = r"image/(?!svg)[a-z0-9.-]+"
_FONT = r"(?!.*svg)(?:(?:x-)?font/|application/[a-z0-9.-]*(?:font|opentype|truetype))[a-z0-9.-]*"
_IN_ANY = re.compile(_RASTER, _FLAGS)
_IN_PICTURE = re.compile(rf"{_RASTER}|image/svg\+xml", _FLAGS)
_IN_STYLE = re.compile(rf"{_RASTER}|{_FONT}|(?:[a-z]+/octet-stream)?", _FLAGS)
_ALLOWED = "Allowed are #fragments, and pictures embedded as data:image/...;base64."
_ALLOWED_IN_STYLE = (
    "Allowed are #fragments, and fonts and pictures embedded as data:<type>;base64. Put an SVG into an image element."
)

_CSS_ADDRESS = re.compile(r"(url|src|image|image-set|element|expression)\(", _FLAGS)
_QUOTED = re.compile(r"""\"([^"\n\r\f]+)\"|'([^'\n\r\f]+)'""")


class RefusedSvg(Exception):
    """`str()` goes on from "this SVG ...": what is refused and how to mend it."""


def looks_like_svg(data: bytes) -> bool:
    """True where `data` begins as XML does, in whatever encoding; only `check` knows whether it is an SVG."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith((b"<", b"\xff\xfe", b"\xfe\xff", b"\0<"))


def check(data: bytes) -> None:
    """Raises RefusedSvg unless `data` is a well-formed SVG that neither acts nor refers outside of itself, nor draws
    more than `svg_copies.MOST` allows."""
    _check(data, 0)


def _check(data: bytes, depth: int) -> int:
    """As `check`, for an SVG that is embedded so deep. Returns the characters that it has with all its copies."""
    # Readers differ in how they find an encoding, so only one is left to find. Given "utf-8", expat still takes bytes
    # with NULs for UTF-16.
    if b"\0" in data:
        raise RefusedSvg("is not encoded in UTF-8. Save it as UTF-8.")
    inspector = _Inspector(depth, is_ascii=data.isascii())
    parser = DefusedXMLParser(target=inspector, encoding="utf-8", forbid_dtd=True)
    parser.parser.XmlDeclHandler = inspector.declaration
    try:
        data.decode("utf-8")
        parser.feed(data)
        parser.close()
    except RefusedSvg as refusal:
        if depth:
            raise
        line, column = parser.parser.CurrentLineNumber, parser.parser.CurrentColumnNumber
        raise RefusedSvg(f"{refusal} It ends at line {line}, column {column}.") from None  # where the parser has come
    except UnicodeDecodeError:
        raise RefusedSvg("is not encoded in UTF-8. Save it as UTF-8.") from None
    except DefusedXmlException:
        raise RefusedSvg("contains a DOCTYPE or entities. Remove the <!DOCTYPE ...> declaration.") from None
    except ParseError as error:
        line, column = error.position
        raise RefusedSvg(
            f"is not well-formed XML (line {line}, column {column + 1}). Correct it, or export it anew."
        ) from None
    try:
        return inspector.copies.check()
    except Unbounded as refusal:
        raise RefusedSvg(str(refusal)) from None


class _Inspector:
    """Takes the parser's events, so that no tree is built of a file that is not trusted yet."""

    def __init__(self, depth: int, *, is_ascii: bool) -> None:
        self.copies = Copies()
        self._depth, self._is_ascii = depth, is_ascii
        self._at_root = True
        self._style: list[str] | None = None

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        declared = "utf-8" if encoding is None else encoding.lower()
        if declared in _ASCII and not self._is_ascii:
            raise RefusedSvg("declares ASCII and has other characters. Save it as UTF-8.")
        if declared not in _UTF_8 | _ASCII:
            raise RefusedSvg("declares another encoding than UTF-8. Save it as UTF-8.")

    def pi(self, target: str, _data: str | None = None) -> None:
        if target not in INSTRUCTIONS:
            raise RefusedSvg("contains a processing instruction. Remove it.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, element = _split(tag)
        if self._at_root and (namespace, element) != (_SVG, "svg"):
            raise RefusedSvg(f'is none: its root must be an svg element in the namespace "{_SVG}". Export it as SVG.')
        self._at_root = False
        if self._style is not None:
            raise RefusedSvg("contains an element within a style element. Remove it.")
        self.copies.start(element, _known(attributes))
        if is_editors(namespace):
            _check_editors(attributes)
            return
        if namespace != _SVG:
            raise RefusedSvg("contains an element of a namespace that is not allowed. Export it as plain SVG.")
        if element not in ELEMENTS:
            named = f'the element "{element}", which' if element in ACTIVE else "an element that"
            raise RefusedSvg(f"contains {named} is not allowed. Remove it.")
        for name, value in attributes.items():
            _check_attribute(element, name, value)
        if element in _PICTURES:
            self._check_pictures(attributes)
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

    def _check_pictures(self, attributes: Mapping[str, str]) -> None:
        for name, value in _known(attributes):
            if name.lower() in _REFERENCES and (data := _embedded_svg(value)) is not None:
                if self._depth == _DEEPEST:
                    raise RefusedSvg(f"contains SVGs within SVGs, more than {_DEEPEST} deep. Embed a PNG instead.")
                try:
                    self.copies.add(_check(data, self._depth + 1))
                except RefusedSvg as refusal:
                    raise RefusedSvg(f"contains an SVG that {refusal}") from None


def _known(attributes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The attributes that are no editor's own, with their local names."""
    for qualified_name, value in attributes.items():
        namespace, name = _split(qualified_name)
        if not is_editors(namespace):
            yield name, value


def _check_editors(attributes: Mapping[str, str]) -> None:
    """Of an editor's element. Its own attributes act nowhere, but XLink acts in any XML, and XML Events would."""
    for name, value in attributes.items():
        if _split(name)[0]:
            _check_attribute(None, name, value)


def _check_attribute(element: str | None, qualified_name: str, value: str) -> None:
    """`element`: None for one that is an editor's own."""
    namespace, name = _split(qualified_name)
    if is_editors(namespace):
        return
    if namespace not in ("", _XLINK, _XML):
        raise RefusedSvg("contains an attribute of a namespace that is not allowed. Export it as plain SVG.")
    lower = name.lower()
    if lower.startswith("on"):
        raise RefusedSvg("contains an event handler. Remove it.")
    if namespace == _XML and lower == "base":
        raise RefusedSvg("contains xml:base, which redirects its references. Remove it.")
    if lower in _REFERENCES:
        _check_reference(element, lower, value)
    if element in _ANIMATIONS and lower == "attributename":
        _check_animated(value.strip().rpartition(":")[2].lower())
    if can_hold_css(lower):
        if "\\" in value and "(" in value:
            raise RefusedSvg("contains a CSS escape in an attribute. Write it without a backslash.")
        _check_css(value)


def _check_reference(element: str | None, name: str, value: str) -> None:
    if element == "image" and value.strip(BLANKS).startswith("#"):
        raise RefusedSvg("contains an image of itself. Embed a PNG, JPEG or WebP as data:image/...;base64 instead.")
    if defect := _defect(value, _IN_PICTURE if element in _PICTURES else _IN_ANY):
        where = f'"{element}"' if element else "an editor's element"
        raise RefusedSvg(f'{defect} in "{name}" of {where}. {_ALLOWED}')


def _check_animated(attribute: str) -> None:
    if attribute in _NOT_ANIMATABLE or attribute.startswith("on"):
        what = f'"{attribute}"' if attribute in _NOT_ANIMATABLE else "an event handler"
        raise RefusedSvg(f"animates {what}. Remove the animation.")


def _check_stylesheet(text: str) -> None:
    if "\\" in text:
        raise RefusedSvg("contains a CSS escape in its style. Write it without a backslash.")
    if "@import" in text.lower():
        raise RefusedSvg("imports a style sheet. Put the style itself in.")
    _check_css(text)


def _check_css(text: str) -> None:
    """In every way in which CSS names a resource, only url() with an inner reference passes."""
    if "attr(" in text.lower():
        raise RefusedSvg("contains attr(), which makes CSS of any attribute, in its style. Write the value itself.")
    for found in _CSS_ADDRESS.finditer(text):
        end = text.find(")", found.end())
        address = text[found.end() : end].strip(BLANKS)
        if quoted := _QUOTED.fullmatch(address):
            address = quoted[1] or quoted[2]
        function = found[1].lower()
        if function != "url" or end < 0:
            raise RefusedSvg(f"refers to something outside of itself by {function}() in its style. {_ALLOWED_IN_STYLE}")
        if defect := _defect(address, _IN_STYLE):
            raise RefusedSvg(f"{defect} by url() in its style. {_ALLOWED_IN_STYLE}")


def _defect(address: str, types: re.Pattern[str]) -> str | None:
    """None for what is within the file: a fragment, or embedded data of one of `types`."""
    address = address.strip(BLANKS)
    if address.startswith("#"):
        return None
    if address[:5].lower() != "data:":
        return "refers to something outside of itself"
    embedded = _EMBEDDED.fullmatch(address)
    if embedded is None:
        return "contains data of another form than data:<type>;base64,<data>"
    return None if types.fullmatch(embedded["type"]) else "contains data of a type that is not allowed"


def _embedded_svg(address: str) -> bytes | None:
    embedded = _EMBEDDED.fullmatch(address.strip(BLANKS))
    if embedded is None or embedded["type"].lower() != "image/svg+xml":
        return None
    encoded = unquote_to_bytes(embedded["data"]).translate(None, BLANKS.encode())
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error:
        raise RefusedSvg("contains an SVG that is not in base64. Embed it anew.") from None


def _split(qualified_name: str) -> tuple[str, str]:
    namespace, _, name = qualified_name.rpartition("}")
    return namespace.removeprefix("{"), name
