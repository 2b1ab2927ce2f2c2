"""Active SVG and SVG that refers outside of itself, in the forms that attacks are known to take."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upload_object.svg import RefusedSvg, check, looks_like_svg
from upload_samples import SVG

PIXEL = "data:image/png;base64,iVBORw0KGgo="
OTHER = "https://example.org/x"


def document(inside: str = "", attributes: str = "", before: str = "") -> bytes:
    return (
        f'{before}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {attributes}>'
        f"{inside}</svg>"
    ).encode()


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


ATTACKS = {
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
        document(f'<g {MARK}="\\("/>'),
        document(f'<rect {MARK}="url(https://{MARK})"/>'),
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
