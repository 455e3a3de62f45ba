"""TeX as MathML, made here so that a page needs no script for it; the source stays in the formula, for copying."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, tostring

from latex2mathml import exceptions
from latex2mathml.converter import convert_to_element
from latex2mathml.symbols_parser import convert_symbol

MAX_TEX, _MAX_DEPTH = 2_000, 40
"""A formula that is longer (characters) or nested deeper (elements) is shown as its source."""

TAGS = frozenset(
    re.findall(
        r"\w+",
        """math semantics annotation mrow mi mn mo mtext mspace msub msup msubsup munder mover munderover mfrac msqrt
        mroot mstyle mpadded mphantom menclose mtable mtr mtd""",
    )
)
_LENGTHS = frozenset(re.findall(r"\w+", "width height depth lspace rspace voffset minsize maxsize linethickness"))
ATTRIBUTES = _LENGTHS | frozenset(
    re.findall(
        r"\w+",
        """accent columnalign displaystyle fence form largeop mathvariant movablelimits notation scriptlevel separator
        stretchy class""",
    )
)
"""What may be in a formula: nothing that links, loads, styles or runs, and no length that reaches far out of it."""
_LENGTH = re.compile(r"-?(?:\d?(?:\.\d{1,4})?(?:em|ex|cm)|\d{0,2}(?:\.\d{1,4})?(?:px|pt|mm)|0)")
_SPACES = {"thin": "0.167em", "medium": "0.222em", "thick": "0.278em"}

_REFUSED = re.compile(r"\\(?:(?:re)?new|provide|def\b|edef\b|gdef\b|let\b|DeclareMathOperator)")
"""Definitions: a few of them make a formula of any size."""
_ENVIRONMENTS = {
    **dict.fromkeys(("aligned", "align", "flalign", "flalign*", "eqnarray", "eqnarray*", "split"), "align*"),
    **dict.fromkeys(("gather", "gather*", "gathered", "multline", "multline*"), "matrix"),
    "dcases": "cases",
}
"""What the converter does not know, or would number, as what looks the same."""
_LIMITS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
_CHILDREN = {**dict.fromkeys(("mfrac", "mroot", "msub", "msup", "munder", "mover"), 2), "msubsup": 3, "munderover": 3}
_BARS = {"mover": "top", "munder": "bottom"}
_LIMIT_WORDS = frozenset(re.findall(r"\w+", "lim max min sup inf limsup liminf"))
_LETTERS = {"double-struck": "mathbb", "script": "mathcal", "fraktur": "mathfrak"}
_WORDS = frozenset(("mi", "mn", "mo", "mtext"))
_NAMES = "∞∅⊤⊥∎"
"""Signs that the converter takes for operators."""
_ERRORS: tuple[type[Exception], ...] = (
    *(error for error in vars(exceptions).values() if isinstance(error, type) and issubclass(error, Exception)),
    *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration, RuntimeError),
)
"""What the converter raises on TeX that is none, recursion among it."""


class _UnreadableError(ValueError):
    """The converter did not understand a part of the formula and left it out or as it was."""


@lru_cache(maxsize=256)
def mathml(tex: str, *, display: bool) -> str | None:
    """Return a formula as a `<math>` element; nothing when it cannot be read or would cost too much."""
    if len(tex) > MAX_TEX or _REFUSED.search(tex):
        return None
    try:
        row = convert_to_element(_prepared(tex), display="block" if display else "inline")[0]
        _mend(row)
    except _ERRORS:
        return None
    root = Element("math", {"display": "block"} if display else {})
    semantics = SubElement(root, "semantics")
    semantics.append(row)
    SubElement(semantics, "annotation", encoding="application/x-tex").text = tex
    return tostring(root, encoding="unicode")


def _prepared(tex: str) -> str:
    tex = re.sub(r"(?<!\\)((?:\\\\)*)%", r"\1\\%", tex)  # models mean a percent sign, not a comment
    tex = re.sub(r"\\label\s*\{[^{}]*\}|\\(?:nonumber|notag)(?![a-zA-Z])", "", tex)
    return re.sub(
        r"\\(begin|end)\s*\{(\w+\*?)\}(?:\[[tbc]\])?",
        lambda found: f"\\{found[1]}{{{_ENVIRONMENTS.get(found[2], found[2])}}}",
        tex,
    )


def _mend(root: Element) -> None:
    """Make of the converter's elements what browsers show well; refuse what it did not understand."""
    todo = [(root, 0)]
    while todo:
        element, depth = todo.pop()
        if depth > _MAX_DEPTH or element.tag not in TAGS:
            raise _UnreadableError(element.tag)
        _mend_attributes(element)
        _mend_text(element)
        if element.tag in _WORDS and len(element):  # nothing but words may be in these
            element.tag = "mrow"
            if element.text:
                raise _UnreadableError(element.text)
        if any(child.tag == "mspace" and "linebreak" in child.attrib for child in element):
            _break_lines(element)
        if (
            element.tag in _BARS and len(element) == 2 and element[1].text == "&#x02015;"
        ):  # does not stretch in every font
            element.attrib = {"notation": _BARS[element.tag]}
            element.tag = "menclose"
            element.remove(element[1])
        if len(element) != _CHILDREN.get(element.tag, len(element)):
            raise _UnreadableError(element.tag)
        if element.tag in _LIMITS and element[0].text in _LIMIT_WORDS:
            element.tag = _LIMITS[element.tag]
            element[0].set("movablelimits", "true")
        if element.tag == "mrow" and len(element) == 1 and element[0].text in {",", "&#x0002C;"}:
            element[0].attrib.update(lspace="0", rspace="0")  # 10{,}000
        for child, following in pairwise(element):
            if following.text == "&#x00028;" and (child.text or "")[1:].isalpha():
                child.set("rspace", "0")  # sin(x)
        todo += [(child, depth + 1) for child in element]


def _mend_attributes(element: Element) -> None:
    if element.tag == "mtable":
        _draw_lines(element)
    if element.tag != "mtd":  # whose class is ours
        element.attrib.pop("class", None)
    for name, value in list(element.attrib.items()):
        if name == "linebreak":
            continue
        if name == "width" and (space := re.fullmatch(r"(negative)?(thin|medium|thick)mathspace", value)):
            element.set(name, ("-" if space[1] else "") + _SPACES[space[2]])
        elif name not in ATTRIBUTES or (name in _LENGTHS and not _LENGTH.fullmatch(value)):
            del element.attrib[name]


def _mend_text(element: Element) -> None:
    written = element.text or ""
    text = html.unescape(written)
    variant = element.get("mathvariant", "")
    if element.tag == "mtext":
        text = re.sub(r"\\([_&%$#{} ])", r"\1", text)
    elif (text.startswith("\\") and len(text) > 1) or (text == "&" and element.tag == "mi"):
        raise _UnreadableError(text)
    elif element.tag == "mi" and len(text) == 1 and written != text and text.isascii() and text.isalpha():
        element.set("mathvariant", "normal")  # \mathrm{d}
    elif element.tag == "mi" and len(text) == 1 and (unicodedata.category(text) == "Sm" or "←" <= text <= "⇿"):
        element.tag = "mo"
    elif element.tag == "mo" and text and text in _NAMES:
        element.tag = "mi"
    elif element.tag in {"mi", "mo"} and len(text) > 1 and text.replace("\u2009", "").isalpha() and variant != "normal":
        element.tag = "mo"
        element.attrib.update({"lspace": "0.1em", "rspace": "0.167em"} | element.attrib)  # sin x
    if variant in _LETTERS and (code := convert_symbol(f"\\{_LETTERS[variant]}{{{text}}}")):
        text = chr(int(code, 16))
        del element.attrib["mathvariant"]
    element.text = text or None


def _break_lines(row: Element) -> None:
    """Make a column of a row that is broken by `\\\\` outside of any environment."""
    children = list(row)
    for child in children:
        row.remove(child)
    table = SubElement(row, "mtable", displaystyle="true")
    cell = SubElement(SubElement(table, "mtr"), "mtd")
    for child in children:
        if "linebreak" in child.attrib:
            cell = SubElement(SubElement(table, "mtr"), "mtd")
        else:
            cell.append(child)


def _draw_lines(table: Element) -> None:
    """Mark the cells that have a line before or above them: browsers leave the table's own attributes out."""
    columns, rows = table.get("columnlines", "").split(), table.get("rowlines", "").split()
    for i, row in enumerate(table):
        ruled = 0 < i <= len(rows) and rows[i - 1] != "none"
        for j, cell in enumerate(row):
            barred = 0 < j <= len(columns) and columns[j - 1] != "none"
            if ruled or barred:
                cell.set("class", " ".join(name for name, on in (("ruled", ruled), ("barred", barred)) if on))
