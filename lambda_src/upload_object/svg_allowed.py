"""What an SVG may be made of: names of elements, namespaces and processing instructions that neither act nor fetch."""

import re

# fmt: off
ELEMENTS = frozenset({
    "svg", "g", "defs", "symbol", "use", "switch", "view", "a", "title", "desc", "metadata", "style",
    "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "image", "text", "tspan", "textPath",
    "linearGradient", "radialGradient", "stop", "pattern", "clipPath", "mask", "marker",
    "filter", "feBlend", "feColorMatrix", "feComponentTransfer", "feFuncA", "feFuncB", "feFuncG", "feFuncR",
    "feComposite", "feConvolveMatrix", "feDiffuseLighting", "feDisplacementMap", "feDistantLight",
    "feDropShadow", "feFlood", "feGaussianBlur", "feImage", "feMerge", "feMergeNode", "feMorphology", "feOffset",
    "fePointLight", "feSpecularLighting", "feSpotLight", "feTile", "feTurbulence",
    "animate", "animateMotion", "animateTransform", "mpath", "set",
    # SVG fonts, as LibreOffice and CorelDRAW embed them.
    "font", "font-face", "font-face-src", "font-face-name", "glyph", "missing-glyph", "hkern", "vkern",
    # Drafts of SVG that Inkscape writes. Browsers do not know them.
    "flowRoot", "flowRegion", "flowPara", "flowDiv", "flowSpan", "flowLine",
    "meshgradient", "meshrow", "meshpatch", "hatch", "hatchpath", "solidcolor",
})
# fmt: on

ACTIVE = frozenset({"script", "foreignObject", "iframe", "object", "embed", "audio", "video", "handler", "listener"})
"""Elements that are not allowed and that a refusal names."""

INSTRUCTIONS = frozenset({"xpacket", "plantuml", "plantuml-src"})
"""Processing instructions with an editor's notes, as opposed to those that name a style sheet or run on a server."""

_EDITORS = frozenset(
    {
        # Inkscape, and what its extensions write
        "www.openswatchbook.org/uri/2009/osb",
        "launchpad.net/jessyink",
        "inkstitch.org/namespace",
        "www.iki.fi/pav/software/textext",
        # metadata
        "www.w3.org/1999/02/22-rdf-syntax-ns#",
        "www.w3.org/2000/01/rdf-schema#",
        "creativecommons.org/ns#",
        "web.resource.org/cc",
        "c2pa.org/manifest",
        # LibreOffice
        "xml.openoffice.org/svg/export",
        "sun.com/xmlns/staroffice/presentation",
        "urn:oasis:names:tc:opendocument:xmlns:animation:1.0",
        # SVG-edit
        "svg-edit.googlecode.com",
        "www.optimistik.fr/namespace/svg/OIdata",
        # other editors
        "adobe:ns:meta",
        "www.adobe.com/svg10-extensions",
        "www.bohemiancoding.com/sketch/ns",
        "www.serif.com",
        "www.figma.com/figma/ns",
        "vectornator.io",
        "boxy-svg.com",
        "krita.org/namespaces/svg/krita",
        "svgjs.com/svgjs",
        "svgjs.dev/svgjs",
        "lucid",
        "penpot.app/xmlns",
        "www.gtk.org/grappa",
        "taptrix.com/vectorillustrator/svg_extensions",
        "taptrix.com/inkpad/svg_extensions",
        "www.vector.evaxdesign.sk",
        # maps, chemistry, technical drawings
        "amcharts.com/ammap",
        "mapsvg.com",
        "www.opengis.net/gml",
        "www.rdkit.org/xml",
        "www.freesoftware.fsf.org/bkchem/cdml",
        "www.freecadweb.org/wiki/index.php?title=Svg_Namespace",
        "www.freecad.org/wiki/index.php?title=Svg_Namespace",
    }
)
_EDITORS_FAMILIES = (
    "www.inkscape.org/namespaces/",
    "sodipodi.sourceforge.net/",
    "inkscape.sourceforge.net/",
    "purl.org/dc/",
    "ns.adobe.com/",
    "www.corel.com/coreldraw/",
    "schemas.microsoft.com/visio/",
)
_UNRESOLVED = re.compile(r"&(?:#38;)*ns_[a-z_]+;")
"""What other editors make of Illustrator's namespaces, which it declares as entities."""


def is_editors(namespace: str) -> bool:
    """True for where editors keep their own notes. No renderer acts on these elements and attributes."""
    name = re.sub(r"^https?://", "", namespace)
    return name.rstrip("/") in _EDITORS or name.startswith(_EDITORS_FAMILIES) or bool(_UNRESOLVED.fullmatch(name))
