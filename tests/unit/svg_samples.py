"""SVG as editors and programs write it: made up, small, with the namespaces, attributes and habits of each."""

# ruff: noqa: E501

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
WOFF2 = "d09GMgABAAAAAAAkAAoAAAAAACQAAAAA"
NESTED = (
    "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSI5IiBoZWlnaHQ9IjkiPjxyZWN0IHdpZHRoPSI5IiBoZWlnaHQ9Ijki"
    "Lz48L3N2Zz4="
)
"""`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>`"""

DOCTYPE = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'

SAMPLES = {
    "Inkscape": f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!-- Created with Inkscape (http://www.inkscape.org/) -->
<svg width="210mm" height="297mm" viewBox="0 0 210 297" version="1.1" id="svg5"
   inkscape:version="1.2.2 (b0a8486541, 2022-12-01)" sodipodi:docname="image(1).svg"
   inkscape:export-filename="/home/ada/url(1).png" inkscape:export-xdpi="96"
   xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"
   xmlns:sodipodi="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd"
   xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg"
   xmlns:svg="http://www.w3.org/2000/svg" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
   xmlns:cc="http://creativecommons.org/ns#" xmlns:dc="http://purl.org/dc/elements/1.1/">
  <sodipodi:namedview id="namedview7" pagecolor="#ffffff" inkscape:showpageshadow="2" inkscape:pagecheckerboard="0"
     inkscape:document-units="mm" showgrid="false"><inkscape:grid type="xygrid" id="grid1"/></sodipodi:namedview>
  <defs id="defs2">
    <inkscape:path-effect effect="fillet_chamfer" id="path-effect1" is_visible="true" lpeversion="1"/>
    <inkscape:perspective sodipodi:type="inkscape:persp3d" id="perspective1"/>
    <linearGradient id="linearGradient1" inkscape:collect="always"><stop style="stop-color:#000;stop-opacity:1;"
       offset="0" id="stop1"/></linearGradient>
    <linearGradient xlink:href="#linearGradient1" id="linearGradient2" gradientUnits="userSpaceOnUse"
       gradientTransform="matrix(1,0,0,1,-3,4)" x1="0" y1="0" x2="9" y2="9"/>
    <meshgradient id="mesh1" x="1" y="2"><meshrow id="r1"><meshpatch id="p1"><stop path="c 1,0 2,0 3,0"
       style="stop-color:#fff" id="s1"/></meshpatch></meshrow></meshgradient>
    <clipPath clipPathUnits="userSpaceOnUse" id="clipPath1"><rect width="9" height="9" id="rect1"/></clipPath>
  </defs>
  <metadata id="metadata5"><rdf:RDF><cc:Work rdf:about=""><dc:format>image/svg+xml</dc:format>
    <dc:type rdf:resource="http://purl.org/dc/dcmitype/StillImage"/></cc:Work></rdf:RDF></metadata>
  <g inkscape:label="image(1)" inkscape:groupmode="layer" id="layer1" clip-path="url(#clipPath1)">
    <path style="fill:url(#linearGradient2);stroke:#000000;stroke-width:0.26;-inkscape-stroke:none"
       d="M 1,1 H 5" id="path1" inkscape:original-d="M 0,0" inkscape:path-effect="#path-effect1"
       sodipodi:nodetypes="cc" inkscape:connector-curvature="0"/>
    <image width="1" height="1" preserveAspectRatio="none" xlink:href="data:image/png;base64,{PIXEL[:40]}
{PIXEL[40:]}
" id="image1" inkscape:svg-dpi="96"/>
    <flowRoot xml:space="preserve" id="flowRoot1" style="font-family:'URW Gothic (1)'"><flowRegion id="flowRegion1">
      <rect id="rect2" width="9" height="9"/></flowRegion><flowPara id="flowPara1">text</flowPara></flowRoot>
  </g>
</svg>
""",
    "Illustrator": f"""<?xml version="1.0" encoding="utf-8"?>
<!-- Generator: Adobe Illustrator 27.3.1, SVG Export Plug-In . SVG Version: 6.00 Build 0)  -->
<svg version="1.1" xmlns:x="http://ns.adobe.com/Extensibility/1.0/" xmlns:i="http://ns.adobe.com/AdobeIllustrator/10.0/"
\t xmlns:graph="http://ns.adobe.com/Graphs/1.0/" xmlns:a="http://ns.adobe.com/AdobeSVGViewerExtensions/3.0/"
\t xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" x="0px" y="0px" i:viewOrigin="-1 9"
\t viewBox="0 0 100 100" style="enable-background:new 0 0 100 100;" xml:space="preserve" a:scriptImplementation="Adobe">
<style type="text/css">
\t.st0{{fill:url(#SVGID_1_);}}
\t.st1{{clip-path:url(#SVGID_00000140693_);fill-rule:evenodd;}}
\t.st2{{font-family:'MyriadPro-Regular';}}
</style>
<metadata>
\t<sfw xmlns="http://ns.adobe.com/SaveForWeb/1.0/"><slices></slices><sliceSourceBounds x="0" y="0" width="9" height="9"
\t bottomLeftOrigin="true"></sliceSourceBounds></sfw>
\t<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>
\t<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.1-c000"><rdf:RDF
\t xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
\t xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
\t xmlns:stRef="http://ns.adobe.com/xap/1.0/sType/ResourceRef#" xmlns:dc="http://purl.org/dc/elements/1.1/"
\t xmlns:illustrator="http://ns.adobe.com/illustrator/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"
\t xmp:CreatorTool="Adobe Illustrator 27.3 (Windows)"><xmpMM:DerivedFrom stRef:instanceID="uuid:1" rdf:parseType="x"/>
\t<dc:title><rdf:Alt><rdf:li xml:lang="x-default">image(1)</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF>
\t</x:xmpmeta>
\t<?xpacket end="w"?>
</metadata>
<switch>
\t<g i:extraneous="self" i:layer="yes" i:dimmedPercent="50" i:rgbTrio="#4F008000FFFF" id="image_x28_1_x29_">
\t\t<linearGradient id="SVGID_1_" gradientUnits="userSpaceOnUse" x1="10" y1="50" x2="90" y2="50">
\t\t\t<stop  offset="0" style="stop-color:#FFF33B"/><a:midPointStop  offset="0" style="stop-color:#FFF33B"/>
\t\t</linearGradient>
\t\t<path class="st0" d="M10,10h80v80H10V10z" i:knockout="Off"/>
\t\t<image style="overflow:visible;" width="1" height="1"  xlink:href="data:image/png;base64,{PIXEL[:76]}
{PIXEL[76:]}" transform="matrix(1 0 0 1 10 10)"></image>
\t</g>
</switch>
<i:aipgfRef xlink:href="#adobe_illustrator_pgf"></i:aipgfRef>
<i:aipgf id="adobe_illustrator_pgf" i:pgfEncoding="zstd/base64" i:pgfVersion="24"><![CDATA[KLUv/QBYlCsD]]></i:aipgf>
</svg>
""",
    "Illustrator, saved again by Inkscape": """<?xml version="1.0" encoding="utf-8"?>
<svg xmlns:x="&amp;ns_extend;" xmlns:i="&amp;#38;ns_ai;" xmlns:graph="&amp;ns_graphs;" xmlns="http://www.w3.org/2000/svg"
 version="1.1" i:viewOrigin="1 9" width="9" height="9"><g i:layer="yes"><x:variable/><path d="M1,1h2"/></g></svg>
""",
    "Figma": f"""<svg width="120" height="120" viewBox="0 0 120 120" fill="none" xmlns="http://www.w3.org/2000/svg"
 xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:figma="http://www.figma.com/figma/ns">
<g id="Frame 1 / image(1)" clip-path="url(#clip0_1_2)" figma:type="frame">
<rect id="image 1" width="120" height="120" fill="url(#pattern0_1_2)"/>
<foreign id="x" display="none"/>
</g>
<defs>
<pattern id="pattern0_1_2" patternContentUnits="objectBoundingBox" width="1" height="1">
<use xlink:href="#image0_1_2" transform="scale(0.0025)"/>
</pattern>
<filter id="filter0_d_1_2" x="0" y="0" width="9" height="9" filterUnits="userSpaceOnUse"
 color-interpolation-filters="sRGB"><feFlood flood-opacity="0" result="BackgroundImageFix"/>
<feColorMatrix in="SourceAlpha" type="matrix" values="0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 127 0" result="hardAlpha"/>
<feBlend mode="normal" in2="BackgroundImageFix" result="effect1_dropShadow_1_2"/></filter>
<image id="image0_1_2" data-name="image(1).png" width="400" height="400"
 xlink:href="data:image/png;base64,{PIXEL}"/>
</defs>
</svg>
""".replace('<foreign id="x" display="none"/>\n', ""),
    "Sketch": """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<svg width="24px" height="24px" viewBox="0 0 24 24" version="1.1" xmlns="http://www.w3.org/2000/svg"
 xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:sketch="http://www.bohemiancoding.com/sketch/ns">
    <!-- Generator: Sketch 3.5.2 (25235) - http://www.bohemiancoding.com/sketch -->
    <title>icon / image(1)</title>
    <desc>Created with Sketch.</desc>
    <defs><path d="M0,0 L9,9" id="path-1"></path></defs>
    <g id="Page-1" stroke="none" stroke-width="1" fill="none" fill-rule="evenodd" sketch:type="MSPage">
        <g id="image(1)" sketch:type="MSArtboardGroup"><mask id="mask-2" sketch:name="Clip 1" fill="white">
        <use xlink:href="#path-1"></use></mask><g id="Clip-1"></g>
        <path d="M0,0" fill="#1C1C1C" mask="url(#mask-2)" sketch:type="MSShapeGroup"></path></g>
    </g>
</svg>
""",
    "Affinity Designer": f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
{DOCTYPE}
<svg width="100%" height="100%" viewBox="0 0 64 64" version="1.1" xmlns="http://www.w3.org/2000/svg"
 xmlns:xlink="http://www.w3.org/1999/xlink" xml:space="preserve" xmlns:serif="http://www.serif.com/"
 style="fill-rule:evenodd;clip-rule:evenodd;stroke-linejoin:round;stroke-miterlimit:2;">
    <g id="image-1-" serif:id="image(1)"><use xlink:href="#_Image2" x="1" y="1" width="1px" height="1px"/></g>
    <defs><image id="_Image2" width="1px" height="1px" xlink:href="data:image/png;base64,{PIXEL}"/></defs>
</svg>
""",
    "CorelDRAW": f"""<?xml version="1.0" encoding="UTF-8"?>
{DOCTYPE}
<!-- Creator: CorelDRAW 2021 (64-Bit) -->
<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" width="85.9mm" height="52mm" version="1.1"
 style="shape-rendering:geometricPrecision; text-rendering:geometricPrecision; image-rendering:optimizeQuality;"
viewBox="0 0 8590 5200"
 xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:xodm="http://www.corel.com/coreldraw/odm/2003">
 <defs>
  <font id="FontID0" horiz-adv-x="722" font-variant="normal" style="fill-rule:nonzero" font-weight="400">
\t<font-face
\t\tfont-family="Arial">
\t\t<font-face-src>
\t\t\t<font-face-name name="Arial"/>
\t\t</font-face-src>
\t</font-face>
   <missing-glyph><path d="M0 0z"/></missing-glyph>
   <glyph unicode="A" horiz-adv-x="667" d="M-1.9 0l274 715z"/>
   <hkern u1="A" u2="V" k="9"/>
  </font>
  <style type="text/css">
   <![CDATA[
    @font-face {{ font-family:"Arial";font-variant:normal;font-weight:normal;src:url("#FontID0") format(svg)}}
    .str0 {{stroke:#2B2A29;stroke-width:20;stroke-miterlimit:22.9256}}
    .fil0 {{fill:url(#id0)}}
    .fnt0 {{font-weight:normal;font-size:423.33px;font-family:'Arial'}}
   ]]>
  </style>
  <linearGradient id="id0" gradientUnits="userSpaceOnUse" x1="1" y1="1" x2="2" y2="2"><stop offset="0"/></linearGradient>
 </defs>
 <g id="Layer_x0020_1">
  <metadata id="CorelCorpID_0Corel-Layer"/>
  <g id="_1421394342400" xodm:name="image(1)"><polygon class="fil0 str0" points="392,0 383,29 "/></g>
 </g>
</svg>
""",
    "LibreOffice Draw": """<?xml version="1.0" encoding="UTF-8"?>
<svg version="1.2" width="129.41mm" height="48.2mm" viewBox="4311 2688 12941 4820" preserveAspectRatio="xMidYMid"
 fill-rule="evenodd" stroke-width="28.222" stroke-linejoin="round" xmlns="http://www.w3.org/2000/svg"
 xmlns:ooo="http://xml.openoffice.org/svg/export" xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:presentation="http://sun.com/xmlns/staroffice/presentation" xmlns:smil="http://www.w3.org/2001/SMIL20/"
 xmlns:anim="urn:oasis:names:tc:opendocument:xmlns:animation:1.0" xml:space="preserve">
 <defs class="ClipPathGroup">
  <clipPath id="presentation_clip_path" clipPathUnits="userSpaceOnUse">
   <rect x="4311" y="2688" width="12941" height="4820"/>
  </clipPath>
 </defs>
 <defs>
  <font id="EmbeddedFont_1" horiz-adv-x="2048">
   <font-face font-family="Liberation Sans embedded" units-per-em="2048" font-weight="normal" font-style="normal"
    ascent="1852" descent="423"/>
   <missing-glyph horiz-adv-x="2048" d="M 0,0 L 2047,0 Z"/>
   <glyph unicode="(" horiz-adv-x="503" d="M 311,-1 C 312,0 Z"/>
  </font>
 </defs>
 <defs class="TextShapeIndex"><g ooo:slide="id1" ooo:id-list="id3 id4"/></defs>
 <defs class="EmbeddedBulletChars">
  <g id="bullet-char-template-57356" transform="scale(0.00048828125,-0.00048828125)"><path d="M 580,1141 Z"/></g>
 </defs>
 <g>
  <g id="id2" class="Master_Slide"><g id="bg-id2" class="Background"/><g id="bo-id2" class="BackgroundObjects"/></g>
 </g>
 <g class="SlideGroup"><g><g id="container-id1"><g id="id1" class="Slide" clip-path="url(#presentation_clip_path)">
  <g class="Page" ooo:name="image(1)"><g class="com.sun.star.drawing.CustomShape"><g id="id3">
   <rect class="BoundingBox" stroke="none" fill="none" x="4311" y="2688" width="3004" height="2004"/>
   <text class="SVGTextShape"><tspan class="TextParagraph" font-family="Liberation Sans embedded" font-size="635px">
    <tspan class="TextPosition" x="5130" y="3900"><tspan fill="rgb(0,0,0)" stroke="none" style="white-space: pre">a
    </tspan></tspan></tspan></text></g></g></g>
 </g></g></g></g>
</svg>
""",
    "draw.io": f"""<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 style="background: transparent; background-color: transparent; color-scheme: light dark;" version="1.1"
 width="161px" height="61px" viewBox="-0.5 -0.5 161 61" content="&lt;mxfile host=&quot;app.diagrams.net&quot;&gt;&lt;diagram
 name=&quot;image(1)&quot;&gt;&lt;mxCell style=&quot;shape=image;image=url(https://example.org/a.png);html=1\\&quot;
 value=&quot;&amp;lt;b onclick=&amp;quot;x()&amp;quot;&amp;gt;&quot;/&gt;&lt;/diagram&gt;&lt;/mxfile&gt;"><defs/>
<g data-cell-id="url(0)"><g data-cell-id="1"><rect x="0" y="0" width="160" height="60" fill="rgb(255, 255, 255)"
 stroke="rgb(0, 0, 0)" style="fill: light-dark(#ffffff, var(--ge-dark-color, #121212)); stroke: light-dark(rgb(0, 0, 0),
 rgb(255, 255, 255));" pointer-events="all"/><g fill="rgb(0, 0, 0)" font-family="Helvetica" text-anchor="middle"
 font-size="12px"><text x="80" y="34">image(1)</text></g>
<image x="19" y="9" width="9" height="9" xlink:href="data:image/svg+xml;base64,{NESTED}" pointer-events="none"/>
<image x="59" y="9" width="9" height="9" xlink:href="data:image/gif;base64,{GIF}"/></g></g></svg>
""",
    "Visio": """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!-- Generated by Microsoft Visio, SVG Export Drawing1.svg Page-1 -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
\t\txmlns:ev="http://www.w3.org/2001/xml-events" xmlns:v="http://schemas.microsoft.com/visio/2003/SVGExtensions/"
\t\twidth="8.26772in" height="11.6929in" viewBox="0 0 595.276 841.89" xml:space="preserve"
\t\tcolor-interpolation-filters="sRGB" class="st4">
\t<v:documentProperties v:langID="1031" v:metric="true" v:viewMarkup="false"><v:userDefs><v:ud
\t\tv:nameU="msvNoAutoConnect" v:val="VT0(1):26"/></v:userDefs></v:documentProperties>
\t<style type="text/css">
\t<![CDATA[
\t\t.st1 {visibility:visible}
\t\t.st2 {fill:#5b9bd5;fill-opacity:0.22;filter:url(#filter_2);stroke:#5b9bd5;stroke-opacity:0.22}
\t\t.st3 {fill:#ffffff;font-family:Calibri;font-size:1.00001em}
\t\t.st4 {fill:none;fill-rule:evenodd;font-size:12px;overflow:visible;stroke-linecap:square;stroke-miterlimit:3}
\t]]>
\t</style>
\t<defs id="Filters"><filter id="filter_2"><feGaussianBlur stdDeviation="2"/></filter></defs>
\t<g v:mID="0" v:index="1" v:groupContext="foregroundPage">
\t\t<title>Page-1</title>
\t\t<v:pageProperties v:drawingScale="0.0393701" v:pageScale="0.0393701" v:drawingUnits="24"/>
\t\t<v:layer v:name="image(1)" v:index="0"/>
\t\t<g id="shape1-1" v:mID="1" v:groupContext="shape" v:layerMember="0" transform="translate(141,-552)">
\t\t\t<title>Rectangle</title><desc>a</desc>
\t\t\t<v:userDefs><v:ud v:nameU="visVersion" v:val="VT0(15):26"/></v:userDefs>
\t\t\t<v:textBlock v:margins="rect(4,4,4,4)"/><v:textRect cx="56" cy="806" width="113" height="70"/>
\t\t\t<rect x="0" y="771" width="113" height="70" class="st2"/>
\t\t\t<text x="52" y="810" class="st3" v:langID="1031"><v:paragraph v:horizAlign="1"/><v:tabList/>a</text>
\t\t</g>
\t</g>
</svg>
""",
    "SVG-edit": """<svg width="640" height="480" xmlns="http://www.w3.org/2000/svg" xmlns:se="http://svg-edit.googlecode.com"
 xmlns:svg="http://www.w3.org/2000/svg" xmlns:oi="http://www.optimistik.fr/namespace/svg/OIdata" se:nonce="60508">
 <!-- Created with SVG-edit - http://svg-edit.googlecode.com/ -->
 <defs><marker viewBox="0 0 10 10" id="se_marker_end_svg_1" refY="5" se_type="forwardarrow" orient="auto" refX="8">
  <path d="m0,0l10,5l-10,5l5,-5l-5,-5z"/></marker></defs>
 <g class="layer"><title>image(1)</title>
  <line fill="none" marker-end="url(#se_marker_end_svg_1)" id="svg_1" se:connector="svg_2 svg_3" oi:data="image(1)"/>
 </g>
</svg>
""",
    "Matplotlib": f"""<?xml version="1.0" encoding="utf-8" standalone="no"?>
{DOCTYPE}
<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="460.8pt" height="345.6pt" viewBox="0 0 460.8 345.6"
 xmlns="http://www.w3.org/2000/svg" version="1.1">
 <metadata>
  <rdf:RDF xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:cc="http://creativecommons.org/ns#"
   xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><cc:Work>
    <dc:type rdf:resource="http://purl.org/dc/dcmitype/StillImage"/><dc:date>2026-11-29T10:00:00</dc:date>
    <dc:format>image/svg+xml</dc:format><dc:creator><cc:Agent><dc:title>Matplotlib v3.10.1, https://matplotlib.org/
    </dc:title></cc:Agent></dc:creator></cc:Work></rdf:RDF>
 </metadata>
 <defs><style type="text/css">*{{stroke-linejoin: round; stroke-linecap: butt}}</style></defs>
 <g id="figure_1"><g id="patch_1"><path d="M 0 345.6 L 460.8 345.6 z " style="fill: #ffffff"/></g>
  <defs><path id="m0a1" d="M 0 0 L 0 3.5" style="stroke: #000000; stroke-width: 0.8"/></defs>
  <use xlink:href="#m0a1" x="73" y="307" style="stroke: #000000; stroke-width: 0.8"/>
  <g clip-path="url(#p1)"><image xlink:href="data:image/png;base64,
{PIXEL}" id="image1" transform="scale(1 -1) translate(0 -9)" x="1" y="-1" width="9" height="9"/></g>
 </g>
 <defs><clipPath id="p1"><rect x="57.6" y="41.472" width="357.12" height="266.112"/></clipPath></defs>
</svg>
""",
    "Graphviz": f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
{DOCTYPE}
<!-- Generated by graphviz version 2.43.0 (0)
 -->
<!-- Title: G Pages: 1 -->
<svg width="89pt" height="116pt"
 viewBox="0.00 0.00 89.00 116.00" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
<g id="graph0" class="graph" transform="scale(1 1) rotate(0) translate(4 112)">
<title>image(1)&#45;&gt;url(2)</title>
<g id="a_node1"><a xlink:title="image(1)"><ellipse fill="none" stroke="black" cx="27" cy="-90" rx="27" ry="18"/></a></g>
</g>
</svg>
""",
    "Excalidraw": f"""<svg version="1.1" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 60" width="120" height="60"
 filter="invert(93%) hue-rotate(180deg)"><!-- svg-source:excalidraw --><metadata><!-- payload-type:application/vnd.excalidraw+json
 --></metadata><defs><style class="style-fonts">
      @font-face {{ font-family: Excalifont; src: url("data:font/woff2;base64,{WOFF2}") format("woff2"), local(Virgil); }}
      @font-face {{ font-family: Old; src: url(data:application/x-font-woff;charset=utf-8;base64,{WOFF2}) format('woff'); }}
      @font-face {{ font-family: Any; src: url( data:application/octet-stream;base64,{WOFF2} ); }}
    </style></defs><g transform="translate(10 10) rotate(0 50 20)"><text x="0" y="14" font-family="Excalifont, Segoe UI Emoji"
 font-size="20px" fill="#1e1e1e" style="white-space: pre;" direction="ltr">image(1)</text></g></svg>
""",
    "Lucidchart": """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:lucid="lucid"
 width="200" height="160"><g transform="translate(20 20)" lucid:page-tab-id="0_0"><path d="M0 6c0-3.3 2.7-6 6-6h108"
 stroke="#3a414a" fill="#fff"/><use xlink:href="#a" transform="matrix(1,0,0,1,5,5) translate(39.6 30.9)"/>
<defs><path d="M115-194" id="b"/><g id="a"><use transform="matrix(0.06,0,0,0.06,0,0)" xlink:href="#b"/></g></defs></g></svg>
""",
    "PlantUML": """<?xml version="1.0" encoding="us-ascii" standalone="no"?><svg xmlns="http://www.w3.org/2000/svg"
 xmlns:xlink="http://www.w3.org/1999/xlink" contentStyleType="text/css" height="120px" preserveAspectRatio="none"
 style="width:118px;height:120px;background:#FFFFFF;" version="1.1" viewBox="0 0 118 120" zoomAndPan="magnify"><?plantuml
 1.2025.0?><defs/><g><g class="participant" data-participant="image(1)"><rect fill="#E2E2F0" height="30" width="43"/>
<text lengthAdjust="spacing" textLength="29" x="12" y="25">Bob</text></g><?plantuml-src SyfFKj2rKt3CoKnELR1Io4ZDoSa70000?>
</g></svg>
""",
    "R (svglite)": """<?xml version='1.0' encoding='UTF-8' ?>
<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' class='svglite' width='720.00pt'>
<defs>
  <style type='text/css'><![CDATA[
    .svglite line, .svglite polyline, .svglite path { fill: none; stroke: #000000; stroke-linecap: round; }
    .svglite text { white-space: pre; }
  ]]></style>
</defs>
<rect width='100%' height='100%' style='stroke: none; fill: #FFFFFF;'/>
<defs><clipPath id='cpMC4wMHw3MjAuMDB8MC4wMHw1NzYuMDA='><rect x='0.00' y='0.00' width='9.00' height='9.00' /></clipPath></defs>
<g clip-path='url(#cpMC4wMHw3MjAuMDB8MC4wMHw1NzYuMDA=)'><text x='1' y='2' style='font-family: "Arial";'>f(x)</text></g>
</svg>
""",
    "GNOME": """<svg width='16' height='16'
     xmlns='http://www.w3.org/2000/svg' xmlns:gpa='https://www.gtk.org/grappa'
     gpa:version='1' gpa:keywords='image(1)'>
  <path d='M3 7h10v10h-10l0 -10' stroke-width='2' class='foreground-stroke transparent-fill' gpa:states='0 1'/>
</svg>
""",
    "RDKit": """<?xml version='1.0' encoding='utf8'?>
<svg version='1.1' baseProfile='full' xmlns='http://www.w3.org/2000/svg' xmlns:rdkit='http://www.rdkit.org/xml'
 xmlns:xlink='http://www.w3.org/1999/xlink' xml:space='preserve' width='250px' height='200px' viewBox='0 0 250 200'>
<!-- END OF HEADER -->
<rect style='opacity:1.0;fill:#FFFFFF;stroke:none' width='250.0' height='200.0' x='0.0' y='0.0'> </rect>
<metadata><rdkit:mol xmlns:rdkit="http://www.rdkit.org/xml" version="0.9"><rdkit:atom idx="1" atom-smiles="[CH3](C)"
 drawing-x="20.1"/></rdkit:mol></metadata>
</svg>
""",
    "FreeCAD": """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="420mm" height="297mm" viewBox="0 0 420 297"
 xmlns:freecad="https://www.freecad.org/wiki/index.php?title=Svg_Namespace">
<g id="titleblock"><text freecad:editable="designed_by_name" x="1" y="2"><tspan>image(1)</tspan></text></g></svg>
""",
    "Penpot": """<svg xmlns:xlink="http://www.w3.org/1999/xlink" version="1.1" xmlns="http://www.w3.org/2000/svg" fill="none"
 viewBox="1136 474 72 72" style="-webkit-print-color-adjust::exact" xmlns:penpot="https://penpot.app/xmlns"><g
 id="shape-1" rx="0" ry="0"><penpot:shape penpot:name="image(1)" penpot:type="frame"/><g class="fills" id="fills-1"><rect
 width="72" height="72" style="fill:#fff;fill-opacity:1"/></g></g></svg>
""",
    "maps": """<?xml version="1.0" encoding="utf-8"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:amcharts="http://amcharts.com/ammap" xmlns:mapsvg="http://mapsvg.com"
 mapsvg:geoViewBox="5.8 55 15 47" version="1.1"><defs><amcharts:ammap projection="mercator" leftLongitude="-169.6"/></defs>
<path id="DE-BE" title="Berlin (Stadt)" class="land" d="M0,0l9,9z"/></svg>
""",
}  # fmt: skip
"""By the program."""
