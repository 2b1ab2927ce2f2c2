"""Active SVG and SVG that refers outside of itself, in the forms that attacks are known to take."""

import base64
import re
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from svg_samples import DOCTYPE, GIF, NESTED, SAMPLES, WOFF2
from upload_object.svg import RefusedSvg, check, looks_like_svg
from upload_samples import SVG

PIXEL = "data:image/png;base64,iVBORw0KGgo="
OTHER = "https://example.org/x"


def document(inside: str = "", attributes: str = "", before: str = "") -> bytes:
    return (
        f'{before}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>'
        f"{inside}</svg>"
    ).encode()


def words(text: str) -> list[str]:
    return text.split()


def embedded(svg: str | bytes) -> str:
    data = svg.encode() if isinstance(svg, str) else svg
    return f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"


def nested(depth: int, innermost: bytes = SVG) -> bytes:
    return document(f'<image href="{embedded(nested(depth - 1, innermost))}"/>') if depth else innermost


@pytest.mark.parametrize(
    "data",
    [
        SVG,
        b"\xef\xbb\xbf" + SVG,
        document(before='<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<!-- made by hand -->\n'),
        document("<title>a &lt; b &#38; c</title><desc><![CDATA[<script>]]></desc>"),
        document(
            '<defs><linearGradient id="g"><stop offset="0"/></linearGradient></defs><path fill="url(#g)" d="M0 0"/>'
        ),
        document("<path style=\"fill: url('#g'); filter:url( &quot;#f&quot; ) ; stroke:rgb(1,2,3)\"/>"),
        document('<g id="a"/><use href="#a"/><use xlink:href=" #a "/><a href="#a"><text>up</text></a>'),
        document(
            f'<image href="{PIXEL}"/><image xlink:href="{PIXEL.replace("png", "jpeg")}"/><feImage href="{PIXEL}"/>'
        ),
        document('<image href="data:image/WEBP;base64,UklG\n  Rg=="/>'),
        document(
            f"<style>@media (min-width: 1px) {{ .a {{ fill: url({PIXEL}); transform: translate(1px) }} }}</style>"
        ),
        document("<style><![CDATA[ .a > .b { fill: red } @keyframes x { to { opacity: 0 } } ]]></style>"),
        document(
            '<rect><animate attributeName="x" values="0;9" begin="0s"/><set attributeName="fill" to="red"/></rect>'
        ),
        document('<g aria-label="x" data-name="curly (1)" class="a" role="img" xml:space="preserve"/>'),
        document('<path id="C:\\x" font-family="a\\b"/>'),
        document(
            '<sodipodi:namedview inkscape:zoom="1" only_selected="x"/><metadata><rdf:RDF><cc:Work rdf:about="">'
            '<dc:type rdf:resource="http://purl.org/dc/dcmitype/StillImage"/></cc:Work></rdf:RDF></metadata>'
            '<g inkscape:export-filename="/home/ada/url(x).png"/>',
            'xmlns:sodipodi="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd" '
            'xmlns:cc="http://creativecommons.org/ns#" '
            'xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" xmlns:dc="http://purl.org/dc/elements/1.1/" '
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"',
        ),
        b'<s:svg xmlns:s="http://www.w3.org/2000/svg"><s:path d="M0 0"/></s:svg>',
    ],
)
def test_a_picture_that_keeps_to_itself_passes(data: bytes) -> None:
    assert looks_like_svg(data)
    check(data)


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_what_editors_export_passes(text: str) -> None:
    if DOCTYPE in text:
        with pytest.raises(RefusedSvg, match=r"contains a DOCTYPE or entities\. Remove the <!DOCTYPE"):
            check(text.encode())
    check(text.replace(DOCTYPE, "").encode())


LOOKS_LIKE_CSS = [
    "image(1)",
    "url(1)",
    f"url({OTHER})",
    "src(x)",
    "expression(1)",
    "C:\\(x)",
    "@import 'x'",
    "url(#a",
    "attr(x)",
]
NAMES = words("""id class name label title role lang aria-label aria-description data-name data-x content text
    alt layer value unicode glyph-name font-family systemLanguage d points transform pathLength result in
    tabindex desc href-text xml:id xml:lang xlink:title xlink:role inkscape:label""")


@pytest.mark.parametrize("name", NAMES)
def test_what_looks_like_css_is_harmless_where_no_css_can_be(name: str) -> None:
    inkscape = 'xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
    for value in LOOKS_LIKE_CSS:
        check(document(f'<g {name}="{value}"/>', attributes=inkscape))
        check(document(f"<title>{value}</title>", attributes=f'{name}="{value}" {inkscape}'))


@pytest.mark.parametrize("name", ["aria-label", "data-name", "content", "title"])
def test_what_looks_like_a_reference_is_none_where_no_css_can_be(name: str) -> None:
    check(document(f'<g id="a"><g {name}="url(#a)"/></g>'))


PICTURE_TYPES = words("""image/png image/jpeg image/jpg image/pjpeg image/gif image/GIF image/webp image/avif
    image/bmp image/x-ms-bmp image/tiff image/apng image/x-png image/vnd.microsoft.icon image/emf""")
FONT_TYPES = words("""font/woff font/woff2 font/ttf font/otf font/sfnt font/collection font/opentype
    application/font-woff application/font-woff2 application/x-font-woff application/x-font-ttf
    application/x-font-truetype application/font-sfnt application/x-font-opentype
    application/vnd.ms-fontobject application/vnd.ms-opentype application/octet-stream
    application/x-truetype-font x-font/woff""")
PARAMETERS = ["", ";charset=utf-8", ";charset=UTF-8;name=a_b.png"]


@pytest.mark.parametrize("media_type", PICTURE_TYPES)
def test_embedded_pictures_pass(media_type: str) -> None:
    for parameters in PARAMETERS:
        url = f"data:{media_type}{parameters};base64,{GIF}"
        check(document(f'<image href="{url}"/><feImage xlink:href=" {url}&#10;"/><image href="{url[:-4]}%3D%0A"/>'))
        check(document(f"<style>a{{mask:url({url}) url(\"{url}\")}}</style><g style='mask-image:url( {url} )'/>"))


@pytest.mark.parametrize("media_type", [*FONT_TYPES, ""])
def test_embedded_fonts_pass_in_styles_only(media_type: str) -> None:
    for parameters in PARAMETERS:
        url = f"data:{media_type}{parameters};base64,{WOFF2}"
        sources = f"local('y'), url({url}) format('woff2'), url('{url}')"
        check(document(f"<style>@font-face {{ font-family: x; src: {sources} }}</style>"))
        for element in ("image", "a", "use", "feImage"):
            with pytest.raises(
                RefusedSvg, match=f'contains data of a type that is not allowed in "href" of "{element}"'
            ):
                check(document(f'<{element} href="{url}"/>'))


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/svg+xml;base64,{NESTED}",
        f"data:image/SVG+XML;charset=utf-8;base64,{NESTED[:40]}\n  {NESTED[40:]}",
        f"data:image/svg+xml;base64,{NESTED.replace('=', '%3D')}%0D%0A",
        embedded(b"\xef\xbb\xbf" + SVG),
        embedded(document(f'<image href="{PIXEL}"/><style>a{{fill:url(#b)}}</style>')),
        embedded(nested(2)),
    ],
)
def test_an_embedded_svg_passes_if_it_would_by_itself(url: str) -> None:
    for element in ("image", "feImage"):
        for name in ("href", "xlink:href"):
            check(document(f'<{element} {name}="{url}"/>'))


@pytest.mark.parametrize("element", ["image", "feImage"])
@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<script>1</script>", 'contains an SVG that contains the element "script", which is not allowed. Remove it.'),
        ('<g onclick="1"/>', "contains an SVG that contains an event handler. Remove it."),
        (
            f'<image href="{OTHER}"/>',
            'contains an SVG that refers to something outside of itself in "href" of "image".',
        ),
        (
            f"<style>a{{fill:url({OTHER})}}</style>",
            "contains an SVG that refers to something outside of itself by url()",
        ),
        ("<g>", "contains an SVG that is not well-formed XML (line 1, "),
        ('<g id="a"><use href="#a"/></g>', "contains an SVG that refers to a part from within it."),
    ],
)
def test_an_embedded_svg_is_refused_for_its_own_reason(element: str, inside: str, said: str) -> None:
    with pytest.raises(RefusedSvg, match=re.escape(said)):
        check(document(f'<{element} href="{embedded(document(inside))}"/>'))
    with pytest.raises(RefusedSvg, match=re.escape(f"contains an SVG that {said}")):
        check(nested(1, document(f'<{element} href="{embedded(document(inside))}"/>')))


def test_svgs_are_embedded_in_one_another_only_so_deep() -> None:
    check(nested(3))
    for depth in (4, 5, 12):
        with pytest.raises(RefusedSvg, match="SVGs within SVGs, more than 3 deep"):
            check(nested(depth))


def test_copies_of_an_embedded_svg_count_with_its_own_copies() -> None:
    inner = document('<g id="a">' + "<path/>" * 1_000 + "</g>" + '<use href="#a"/>' * 100)
    check(document(f'<image id="a" href="{embedded(inner)}"/>'))
    for outside in (
        f'<image href="{embedded(inner)}"/>' * 2,
        f'<image id="a" href="{embedded(inner)}"/><use href="#a"/>',
        f'<image href="{embedded(nested(1, document(f"""<image href="{embedded(inner)}"/>""" * 2)))}"/>',
    ):
        with pytest.raises(RefusedSvg, match="refers to its own parts so often"):
            check(document(outside))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        *((name, "é") for name in ("UTF-8", "utf-8", "utf8", "UTF8", "Utf-8")),
        *((name, "e") for name in ("ascii", "ASCII", "us-ascii", "US-ASCII", "ANSI_X3.4-1968")),
    ],
)
def test_a_declared_encoding_that_the_bytes_have_passes(encoding: str, text: str) -> None:
    check(document(f"<title>{text}</title>", before=f'<?xml version="1.0" encoding="{encoding}"?>'))


@pytest.mark.parametrize("encoding", ["ascii", "US-ASCII"])
def test_a_file_that_declares_ascii_has_no_other_characters(encoding: str) -> None:
    with pytest.raises(RefusedSvg, match="declares ASCII and has other characters"):
        check(document("<title>é</title>", before=f"<?xml version='1.0' encoding='{encoding}'?>"))


NAMESPACES = words("""http://www.inkscape.org/namespaces/inkscape
    https://www.inkscape.org/namespaces/inkscape/ http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd
    http://sodipodi.sourceforge.net/DTD/sodipodi-0.0.dtd http://www.openswatchbook.org/uri/2009/osb
    http://ns.adobe.com/AdobeIllustrator/10.0/ http://ns.adobe.com/Flows/1.0/
    http://ns.adobe.com/xap/1.0/sType/ResourceRef# http://ns.adobe.com/photoshop/1.0/ adobe:ns:meta/
    http://purl.org/dc/elements/1.1/ http://purl.org/dc/terms/ http://svg-edit.googlecode.com
    http://xml.openoffice.org/svg/export http://sun.com/xmlns/staroffice/presentation
    http://www.corel.com/coreldraw/odm/2003 http://www.serif.com/ http://www.serif.com
    http://schemas.microsoft.com/visio/2003/SVGExtensions/ http://www.bohemiancoding.com/sketch/ns lucid
    http://taptrix.com/inkpad/svg_extensions http://inkstitch.org/namespace https://launchpad.net/jessyink
    https://penpot.app/xmlns https://www.gtk.org/grappa &amp;ns_ai; &amp;#38;ns_sfw;""")
NO_EDITORS = words("""http://www.w3.org/1999/xhtml https://www.w3.org/2000/svg http://www.w3.org/2000/svg/
    http://example.org/ns http://www.w3.org/2001/xml-events http://www.w3.org/1998/Math/MathML
    http://www.w3.org/2001/XInclude http://www.mozilla.org/xbl http://www.w3.org/ns/xbl
    urn:schemas-microsoft-com:vml http://www.w3.org/2001/SMIL20/ http://www.w3.org/1999/XSL/Transform
    http://www.w3.org/2002/xforms http://example.org/ns.adobe.com/x http://ns.adobe.com.example.org/
    &amp;other; http://www.w3.org/2001/xml-events#http://ns.adobe.com/""")


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_what_editors_note_in_their_own_namespaces_passes(namespace: str) -> None:
    check(
        document(
            '<x:y z="image(1)" onclick="x"><path x:fill="url(1)"/></x:y><path x:on="1"/>', f'xmlns:x="{namespace}"'
        )
    )
    for inside in (
        "<x:y><script/></x:y>",
        f'<x:y xlink:href="{OTHER}"/>',
        '<x:y xml:base="https://example.org/"><use href="#a"/></x:y>',
        '<x:y ev:event="load" xmlns:ev="http://www.w3.org/2001/xml-events"/>',
        '<x:y><z onload="1" xmlns="http://www.w3.org/1999/xhtml"/></x:y>',
    ):
        with pytest.raises(RefusedSvg):
            check(document(inside, f'xmlns:x="{namespace}"'))


@pytest.mark.parametrize("namespace", NO_EDITORS)
def test_other_namespaces_are_refused(namespace: str) -> None:
    for inside in ("<x:y/>", '<path x:y="1"/>', "<metadata><x:y/></metadata>", "<x:script>1</x:script>"):
        with pytest.raises(RefusedSvg, match=r"of a namespace that is not allowed\. Export it as plain SVG"):
            check(document(inside, f'xmlns:x="{namespace}"'))


def test_an_inner_reference_of_an_editors_element_passes() -> None:
    check(
        document(
            '<i:pgfRef xlink:href="#pgf" xlink:type="simple"/>', 'xmlns:i="http://ns.adobe.com/AdobeIllustrator/10.0/"'
        )
    )


PROPERTIES = words("""fill stroke filter clip-path cursor mask mask-image mask-border-source marker
    marker-start marker-mid marker-end background background-image border-image border-image-source list-style
    list-style-image shape-inside shape-outside shape-subtract offset offset-path backdrop-filter
    color-profile behavior -moz-binding -webkit-mask -webkit-mask-image -webkit-filter -webkit-clip-path
    -webkit-box-reflect""")
FETCHES = [
    f"url({OTHER})",
    f"red url( '{OTHER}#a' )",
    f"URL(&quot;{OTHER}&quot;)",
    "url(//example.org)",
    "url(x.svg#a)",
    "url(#a) url(x)",
    "url()",
    "url(javascript:alert(1))",
    "url(data:text/html;base64,PHNjcmlwdD4=)",
    "url(data:image/svg+xml,x)",
    f"url({embedded(SVG)})",
    f"url({embedded('<svg onload=&quot;x&quot;/>')}#a)",
    "url(data:application/xhtml+xml;base64,eA==)",
    "url(data:image/x+xml;base64,eA==)",
    "url(data:font/svg;base64,eA==)",
    "url(data:application/x-font-svg;base64,eA==)",
    f"image-set('{OTHER}' 1x)",
    f"-webkit-image-set(url({OTHER}) 1x)",
    f"image('{OTHER}')",
    f"src('{OTHER}')",
    f"cross-fade(url({OTHER}), red)",
    "element(#a)",
    "attr(data-a type(*))",
    "attr(data-a url)",
    "u\\72l(x)",
]
ANIMATED = ["fill", "filter", "mask", "clip-path", "marker-start", "cursor", "stroke"]
WITH_CSS = [
    *(f'<rect {each}="$"/>' for each in PROPERTIES if not each.startswith("-")),
    *(f'<rect style="{each}:$"/>' for each in PROPERTIES),
    '<rect style="--a:$;fill:var(--a)"/>',
    "<style>@font-face{font-family:x;src:$}</style>",
    "<style>a{fill:$}</style>",
    "<style>a::before{content:$}</style>",
    "<style>@property --a{syntax:'*';inherits:true;initial-value:$}</style>",
    "<style>@media print{@supports (x:y){a{b{fill:$}}}}</style>",
    *(f'<rect><set attributeName="{each}" to="$"/></rect>' for each in ANIMATED),
    *(f'<rect><animate attributeName="fill" {each}="red;$"/></rect>' for each in ("values", "from", "to", "by")),
]


@pytest.mark.parametrize("value", FETCHES)
def test_css_that_fetches_is_refused_wherever_css_can_be(value: str) -> None:
    for inside in WITH_CSS:
        with pytest.raises(RefusedSvg, match=r" in its style\. | in an attribute\. "):
            check(document(inside.replace("$", value)))


LEADS_OUT = [
    OTHER,
    "//example.org/x",
    "x.svg",
    "x.svg#a",
    "",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java&#9;script:alert(1)",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://example.org/x",
    "feed:x",
    "data:,x",
    "data:text/html,&lt;script>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "data:text/xml;base64,eA==",
    "data:application/xml;base64,eA==",
    "data:application/xhtml+xml;base64,eA==",
    "data:image/svg;base64,eA==",
    "data:image/svg+xml,%3Csvg/%3E",
    "data:image/svg+xml;utf8,&lt;svg/>",
    "data:image/x+xml;base64,eA==",
    "data:image/png;base64,eA==,x",
    "data:image/png;x;base64,eA==",
    "data:image/png;base64;a=b,eA==",
    "data:image/png;base64,eA==#x",
    "data:image/png,text/html;base64,eA==",
    "data:image/png text/html;base64,eA==",
    "data:image/*;base64,eA==",
    "data:image/;base64,eA==",
    "data:;base64,eA==",
    "data:base64,eA==",
    "d&#10;ata:text/html;base64,eA==",
]
REFERRING = words("""a use image feImage pattern linearGradient radialGradient filter textPath mpath animate
    set animateMotion mask clipPath marker symbol g svg style title font-face glyph flowRoot meshgradient
    hatch""")


@pytest.mark.parametrize("address", LEADS_OUT)
def test_a_reference_that_leads_out_or_to_a_document_is_refused_in_every_element(address: str) -> None:
    for element, name in product(REFERRING, ("href", "xlink:href", "src", "xlink:src", "ping", "HREF")):
        with pytest.raises(RefusedSvg, match=r"^(refers to something outside of itself|contains (data|an SVG) )"):
            check(document(f'<{element} {name}="{address}"/>'))


@pytest.mark.parametrize("element", ["animate", "set", "animateTransform", "animateMotion"])
@pytest.mark.parametrize(
    "attribute",
    [
        "href",
        "xlink:href",
        "l:href",
        " href ",
        "HREF",
        "src",
        "xml:base",
        "style",
        "class",
        "onclick",
        "onload",
        "x:onbegin",
    ],
)
def test_what_leads_out_is_not_animated_whatever_starts_it(attribute: str, element: str) -> None:
    for begin in ("x.click", "0s", "accessKey(a)", "click", "x.begin+1s"):
        for change in ('to="javascript:alert(1)"', 'values="#a"', 'from="#a" by="x"', ""):
            with pytest.raises(RefusedSvg, match=r"^animates "):
                check(document(f'<a id="x"><{element} attributeName="{attribute}" begin="{begin}" {change}/></a>'))
    check(
        document('<rect id="x"><set attributeName="x" to="1" begin="x.click; accessKey(a)" end="wallclock(1)"/></rect>')
    )


ATTACKS = {
    **{
        f"embedded {name}": document(f'<image href="{embedded(svg)}"/>')
        for name, svg in {
            "script": document("<script>alert(1)</script>"),
            "handler": document(attributes='onload="alert(1)"'),
            "reference": document(f'<image href="{OTHER}"/>'),
            "DOCTYPE": document(before="<!DOCTYPE svg>"),
            "UTF-16": document().decode().encode("utf-16"),
            "HTML": b"<html xmlns='http://www.w3.org/1999/xhtml'/>",
            "no XML": b"x",
            "nothing": b"",
            "compressed": b"\x1f\x8b\x08\x00",
        }.items()
    },
    "embedded SVG of damaged base64": document(f'<image href="{embedded(SVG)[:-3]}"/>'),
    "embedded SVG behind padding": document(f'<image href="data:image/svg+xml;base64,eA=={NESTED}"/>'),
    "embedded SVG in a use": document(f'<use href="{embedded(SVG)}"/>'),
    "embedded SVG in a link": document(f'<a href="{embedded(SVG)}"/>'),
    "embedded SVG with a fragment": document(f'<image href="{embedded(SVG)}#a"/>'),
    "escape in a property": document('<rect mask-image="\\75rl(x)"/>'),
    "script of an instruction": document("<?xpacket?><script/>"),
    "style sheet, inside": document('<?xml-stylesheet href="#a"?>'),
    "ASCII that is none": document("<title>é</title>", before='<?xml version="1.0" encoding="us-ascii"?>'),
    "declared windows-1252": document(before='<?xml version="1.0" encoding="windows-1252"?>'),
    "color profile": document(f'<color-profile name="x" xlink:href="{OTHER}"/>'),
    "cursor element": document(f'<cursor xlink:href="{OTHER}"/>'),
    "font by address": document(
        f'<font-face><font-face-src><font-face-uri xlink:href="{OTHER}"/></font-face-src></font-face>'
    ),
    "font element with a handler": document('<font onload="1"/>'),
    "tref": document(f'<text><tref xlink:href="{OTHER}"/></text>'),
    "script": document("<script>alert(1)</script>"),
    "script reference": document(f'<script href="{OTHER}"/>'),
    "script by prefix": document('<x:script xmlns:x="http://www.w3.org/2000/svg">alert(1)</x:script>'),
    "script of XHTML": document('<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>'),
    "script by prefix of XHTML": document('<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>'),
    "script after a namespace reset": document('<g xmlns=""><script xmlns="http://www.w3.org/2000/svg"/></g>'),
    "brace in a namespace": document('<x:rect xmlns:x="http://example.org/}http://www.w3.org/2000/svg"/>'),
    "script in metadata": document("<metadata><script>alert(1)</script></metadata>"),
    "script in an editor's element": document(
        '<i:x xmlns:i="http://www.inkscape.org/namespaces/inkscape"><script>alert(1)</script></i:x>'
    ),
    "unknown element": document("<blink/>"),
    "element in another case": document("<SCRIPT>alert(1)</SCRIPT>"),
    "handler of SVG Tiny": document('<handler type="application/ecmascript">alert(1)</handler>'),
    "foreignObject": document(
        '<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="javascript:1"/></foreignObject>'
    ),
    "iframe": document('<iframe src="https://example.org"/>'),
    "MathML": document('<math xmlns="http://www.w3.org/1998/Math/MathML" href="javascript:1"/>'),
    "XInclude": document('<include xmlns="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>'),
    "XBL": document('<binding xmlns="http://www.mozilla.org/xbl"/>'),
    "unknown namespace of an attribute": document('<g x:y="1" xmlns:x="http://example.org/ns"/>'),
    "XML Events": document('<g ev:event="click" xmlns:ev="http://www.w3.org/2001/xml-events"/>'),
    "onload": document(attributes='onload="alert(1)"'),
    "OnClick": document('<g OnClick="alert(1)"/>'),
    "onbegin": document('<animate onbegin="alert(1)" attributeName="x"/>'),
    "handler by character references": document('<g on&#x6c;oad="1"/>'),
    **{
        f"{how}, {ord(blank):04x} before it": document(inside.replace("^", blank))
        # White space to Python, and to Unicode, but to no browser.
        for blank in "\x85\xa0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000\ufeff\u200b"
        for how, inside in {
            "link": '<a href="^#a"/>',
            "use": '<use xlink:href="^#a"/>',
            "filter image": '<filter><feImage href="^#a"/></filter>',
            "url in an attribute": '<rect fill="url(^#a)"/>',
            "url in quotes": "<rect fill=\"url('^#a')\"/>",
            "url in a style": '<rect style="fill:url( ^#a)"/>',
            "url in a style sheet": "<style>rect{fill:url(^#a)}</style>",
        }.items()
    },
    "blank of another script in base64": document(f'<image href="{PIXEL[:40]}\xa0{PIXEL[40:]}"/>'),
    "letters that fold to base64": document('<image href="data:image/png;ba\u017fe64,iVBORw0KGgo="/>'),
    "image of itself": document('<image href="#a"/>'),
    "image of itself by xlink": document('<image xlink:href=" #"/>'),
    "animated class": document('<rect><set attributeName="class" to="a"/></rect>'),
    "url with the quote inside": document("<style>a{fill:url('#a'b')}</style>"),
    "url that a line ends": document("<style>a{fill:url('#a\n')}</style>"),
    "url that a line of an attribute ends": document('<rect style="fill:url(&quot;#a&#10;&quot;)"/>'),
    "javascript link": document('<a href="javascript:alert(1)"><text>x</text></a>'),
    "javascript link, xlink": document('<a xlink:href="javascript:alert(1)"/>'),
    "javascript link, other prefix": document(
        '<a l:href="javascript:alert(1)" xmlns:l="http://www.w3.org/1999/xlink"/>'
    ),
    "javascript link, references and tabs": document(
        '<a href="&#x1;java&#9;script&colon;alert(1)"/>'.replace("&colon;", "&#58;")
    ),
    "external link": document(f'<a href="{OTHER}"/>'),
    "ping": document(f'<a href="#a" ping="{OTHER}"/>'),
    "relative link": document('<a href="x.html"/>'),
    "empty link": document('<a href=""/>'),
    "external use": document(f'<use href="{OTHER}#a"/>'),
    "protocol-relative image": document('<image href="//example.org/x.png"/>'),
    "external image": document(f'<image xlink:href="{OTHER}"/>'),
    "external feImage": document(f'<filter><feImage href="{OTHER}"/></filter>'),
    "external gradient": document(f'<linearGradient href="{OTHER}#g"/>'),
    "external textPath": document(f'<text><textPath href="{OTHER}#p">x</textPath></text>'),
    "src": document(f'<image src="{OTHER}"/>'),
    "href in capitals": document(f'<image HREF="{OTHER}"/>'),
    "data URL of text": document('<use href="data:text/html;base64,PHNjcmlwdD4="/>'),
    "data URL of SVG": document('<image href="data:image/svg+xml;base64,PHN2Zy8+"/>'),
    "data URL not in base64": document('<image href="data:image/png,x"/>'),
    "data URL with a tail": document(f'<image href="{PIXEL}#x"/>'),
    "XLink on an editor's element": document(
        f'<i:x xlink:href="{OTHER}" xmlns:i="http://www.inkscape.org/namespaces/inkscape"/>'
    ),
    "xml:base": document('<use href="#a"/>', attributes=f'xml:base="{OTHER}"'),
    "url in a presentation attribute": document(f'<rect fill="url({OTHER}#g)"/>'),
    "url in quotes": document(f"<rect filter=\"url('{OTHER}')\"/>"),
    "url in capitals": document(f'<rect mask="URL( {OTHER} )"/>'),
    "url after an inner one": document(f'<rect style="fill:url(#a);filter:url({OTHER})"/>'),
    "url with a quoted bracket": document('<rect style="filter:url(&quot;#a)https://example.org&quot;)"/>'),
    "url without an end": document("<style>a{fill:url(#a</style>"),
    "url within url": document("<style>a{fill:url(#url(x))}</style>"),
    "url by a CSS escape": document(f'<rect style="fill:u\\72l({OTHER})"/>'),
    "url by a CSS escape in an attribute": document(f'<rect fill="ur\\6c({OTHER})"/>'),
    "url in an animation": document(f'<rect><set attributeName="fill" to="url({OTHER})"/></rect>'),
    "url by a character reference": document(f'<rect fill="url&#40;{OTHER})"/>'),
    "cursor": document(f'<rect cursor="url({OTHER}),auto"/>'),
    "image-set": document(f"<style>a{{cursor:image-set('{OTHER}' 1x)}}</style>"),
    "-webkit-image-set": document(f"<style>a{{cursor:-webkit-image-set('{OTHER}' 1x)}}</style>"),
    "image()": document(f"<style>a{{mask:image('{OTHER}')}}</style>"),
    "src()": document(f"<style>a{{mask:src('{OTHER}')}}</style>"),
    "expression()": document("<style>a{width:expression(alert(1))}</style>"),
    "url in a style sheet": document(f"<style>a{{fill:url({OTHER})}}</style>"),
    "font of another host": document(f"<style>@font-face{{font-family:x;src:url({OTHER})}}</style>"),
    "binding": document(f"<style>a{{-moz-binding:url({OTHER}#x)}}</style>"),
    "import": document(f"<style>@import '{OTHER}';</style>"),
    "import in capitals": document(f"<style>@IMPORT '{OTHER}';</style>"),
    "import by an escape": document(f"<style>@\\69mport '{OTHER}';</style>"),
    "import in CDATA": document(f"<style><![CDATA[@import '{OTHER}';]]></style>"),
    "import split by a comment": document(f"<style>@imp<!-- x -->ort '{OTHER}';</style>"),
    "import split by CDATA": document(f"<style>@imp<![CDATA[ort]]> '{OTHER}';</style>"),
    "import by a character reference": document(f"<style>&#64;import '{OTHER}';</style>"),
    "import split by an element": document(f"<style>@imp<g/>ort '{OTHER}';</style>"),
    "import in a second style": document(f"<style>a{{}}</style><g><style>@import '{OTHER}';</style></g>"),
    "animated href": document('<a href="#"><animate attributeName="href" values="javascript:alert(1)"/></a>'),
    "set xlink:href": document('<a href="#"><set attributeName="xlink:href" to="javascript:alert(1)"/></a>'),
    "set href by another prefix": document(
        '<a><set attributeName=" l:href " to="x" xmlns:l="http://www.w3.org/1999/xlink"/></a>'
    ),
    "set onclick": document('<a><set attributeName="onclick" to="alert(1)"/></a>'),
    "style sheet by processing instruction": document(before='<?xml-stylesheet href="https://example.org/x.css"?>'),
    "processing instruction inside": document("<?php echo 1 ?>"),
    "processing instruction at the end": SVG + b"<?x y?>",
    "DOCTYPE": document(
        before='<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    ),
    "external entity": document("&x;", before='<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "exploding entities": document("&b;", before='<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'),
    "attributes by DTD": document(before='<!DOCTYPE svg [<!ATTLIST svg onload CDATA "alert(1)">]>'),
    "undefined entity": document("&nbsp;"),
    "UTF-16": document().decode().encode("utf-16"),
    "UTF-16 without byte order mark": document().decode().encode("utf-16-le"),
    "UTF-16, big end first": document().decode().encode("utf-16-be"),
    "script in UTF-16": document("<script/>").decode().encode("utf-16"),
    "UTF-7": document(before='<?xml version="1.0" encoding="UTF-7"?>'),
    "ISO-2022-JP": document(before='<?xml version="1.0" encoding="ISO-2022-JP"?>'),
    "ISO-8859-1": document("<title>é</title>").replace("é".encode(), b"\xe9"),
    "declared ISO-8859-1": document(before='<?xml version="1.0" encoding="ISO-8859-1"?>'),
    "overlong UTF-8": document("<title>\x00</title>").replace(b"\x00", b"\xc0\xbc"),
    "half a surrogate pair": document("<title>X</title>").replace(b"X", b"\xed\xa0\x80"),
    "no namespace": b"<svg><rect/></svg>",
    "HTML": b"<!doctype html><html><body><svg/></body></html>",
    "XHTML": b'<html xmlns="http://www.w3.org/1999/xhtml"><svg xmlns="http://www.w3.org/2000/svg"/></html>',
    "other root": b'<g xmlns="http://www.w3.org/2000/svg"/>',
    "root in capitals": b'<SVG xmlns="http://www.w3.org/2000/svg"/>',
    "cut short": SVG[:-8],
    "not well-formed": document("<g>"),
    "second root": SVG + SVG,
    "tail": SVG + b"<script>",
    "control character": document("<title>\x01</title>"),
    "declaration after a line break": b'\n<?xml version="1.0"?>' + SVG,
}


@pytest.mark.parametrize("data", ATTACKS.values(), ids=ATTACKS)
def test_an_active_or_referring_svg_is_refused_with_the_reason(data: bytes) -> None:
    assert looks_like_svg(data)
    with pytest.raises(RefusedSvg) as refusal:
        check(data)
    assert str(refusal.value).startswith(
        ("is ", "contains ", "refers ", "declares ", "imports ", "animates ", "gives ")
    )
    assert len(str(refusal.value)) < 300


MARK = "textOfTheRequest"


@pytest.mark.parametrize(
    "data",
    [
        document(f"<{MARK}/>"),
        document(f'<x:y xmlns:x="http://example.org/{MARK}"/>'),
        document(f'<i:{MARK} xlink:href="{OTHER}" xmlns:i="http://www.inkscape.org/namespaces/inkscape"/>'),
        document(f'<g x:y="1" xmlns:x="http://example.org/{MARK}"/>'),
        document(f'<g on{MARK}="1"/>'),
        document(f'<g xml:base="{MARK}"/>'),
        document(f'<a href="https://{MARK}.example.org"/>'),
        document(f'<rect style="filter:url(https://{MARK}.example.org)"/>'),
        document(f'<g style="{MARK}\\("/>'),
        document(f'<rect fill="url(https://{MARK})"/>'),
        document(f'<rect style="fill:attr({MARK})"/>'),
        document(f'<image href="data:{MARK};base64,eA=="/>'),
        document(f'<image href="data:image/png,{MARK}"/>'),
        document(f"<style>a{{mask:url(data:image/{MARK}+xml;base64,eA==)}}</style>"),
        document(f'<image href="{embedded(f"<{MARK}/>")}"/>'),
        document(f'<image href="{embedded(document(f"<{MARK}/>"))}"/>'),
        document(f'<a><set attributeName="on{MARK}" to="1"/></a>'),
        document(f"<style>@import '{MARK}';</style>"),
        document(f"<?{MARK} {MARK}?>"),
        document(before=f'<?xml version="1.0" encoding="{MARK}"?>'),
        document(before=f"<!DOCTYPE {MARK}>"),
        document(f"&{MARK};"),
        document(f"<{MARK}>"),
        document(f'<{MARK} a="1" a="2"/>'),
        document(f"<{MARK}:g/>"),
    ],
)
def test_a_refusal_quotes_nothing_of_the_file_since_lambda_logs_it(data: bytes) -> None:
    with pytest.raises(RefusedSvg) as refusal:
        check(data)
    assert MARK.lower() not in str(refusal.value).lower()
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_a_refusal_says_where_in_the_file_it_is_about() -> None:
    with pytest.raises(RefusedSvg, match=r'^contains the element "script", .* It ends at line 3, column 11\.$'):
        check(document("\n<g/>\n  <script/>"))


@pytest.mark.parametrize(
    "data",
    [
        document("<g>" * 25_000 + "</g>" * 25_000),
        document("<style>" + "url(#a)" * 20_000 + "</style>"),
        document("<rect fill='" + "url(#a) " * 20_000 + "'/>"),
        document(f'<image href="{PIXEL}{" " * 150_000}"/>'),
    ],
)
def test_a_large_svg_takes_neither_a_deep_stack_nor_a_step_for_every_pair(data: bytes) -> None:
    check(data)


@given(st.sampled_from(list(ATTACKS.values())), st.binary(min_size=1, max_size=8), st.data())
def test_no_bytes_get_anything_but_a_typed_refusal(attack: bytes, noise: bytes, drawn: st.DataObject) -> None:
    position = drawn.draw(st.integers(0, len(attack)))
    with suppress(RefusedSvg):
        check(attack[:position] + noise + attack[position + len(noise) :])


@given(st.text(max_size=30))
def test_no_text_makes_a_script_pass(text: str) -> None:
    with pytest.raises(RefusedSvg):
        check(document(f"<title>{text}</title><script>1</script>").replace(b"\0", b""))
