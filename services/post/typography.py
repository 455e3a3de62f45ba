"""Quotes, dashes, dots and spaces as a printer sets them, by the custom of the text's language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from services.render.prose import Edit, Passage, Prose, prose_of

_NBSP, _NARROW = "\u00a0", "\u202f"


@dataclass(frozen=True, slots=True)
class _Custom:
    """How a language sets quotes: the outer pair and the inner one."""

    quotes: str
    words: frozenset[str]
    """What tells the language: frequent short words."""
    space: str = ""
    """Inside the outer quotes."""


def _custom(quotes: str, words: str, space: str = "") -> _Custom:
    return _Custom(quotes, frozenset(words.split()), space)


_CUSTOMS = {
    "en": _custom("“”‘’", "the and of to is in that it you for with this are be or an as on have not can your"),
    "de": _custom("„“‚‘", "der die das und ist nicht ein eine ich sie mit von zu den auf für dem wird auch sind oder"),
    "fr": _custom("«»“”", "le la les et est une des du pas pour que qui dans ce il elle avec sur sont vous au", _NBSP),
    "es": _custom("«»“”", "el la los las y es una que en por con para del se como más pero su al lo está"),
    "it": _custom("«»“”", "il lo gli e è una che di per con non del della sono come più ma si nel anche questo"),
    "pt": _custom("“”‘’", "o os as e é uma que em por com para não do da dos como mais mas se no na são"),
    "nl": _custom("“”‘’", "de het en is een van niet dat in op voor met zijn je aan er maar ook als deze wordt"),
    "pl": _custom("„”«»", "i w nie się na jest to że z do jak ale o po czy dla przez od który są oraz"),
    "sv": _custom("””’’", "och att det är en som på för med inte av till den har jag om ett men kan du eller"),
    "ru": _custom("«»„“", "и в не на что это с как по но он из за то для от так или все мы вы есть"),
}
_WORDS = re.compile(r"[^\W\d_]+")
_LETTER = re.compile(r"[^\W\d_]")
_FEW, _LOOKED_AT = 20, 4_000
"""Words below which a text without evidence is taken for English, and words that are looked at."""

_MARKS = "*_~"
"""What emphasis is made of: it stands between a quote and the word beside it."""
_QUOTES = "\"'«»“”„‘’‚"
_BEFORE_OPENING, _AFTER_CLOSING = "([{-–—/" + _QUOTES, ")]}.,;:!?-–—/…%" + _QUOTES
_PAIRED = {'"': 0, "'": 2}

_ELLIPSIS = re.compile(r"(?<=[\w)\]}\"'”’»*_~!?,;:\ufffc])\.\.\.(?![.\w/\\(\]])|(?<= )\.\.\.(?= )")
_DASH = re.compile(
    r"(?<=[^\s-] )(?:--|---)(?= [^\s-])|(?<=[^\W\d_])---(?=[^\W\d_])|(?<=\d)--(?=\d)"
    r"|(?<=[^\W\d_]{2} )-(?= [^\W\d_]{2})"
)
_DASHES = {"-": "–", "--": "–", "---": "—"}
_UNITS = "kg|g|mg|km|m|cm|mm|nm|ha|ml|h|min|s|ms|kB|KB|MB|GB|TB|KiB|MiB|GiB|Hz|kHz|MHz|GHz|W|kW|MW|kWh|V|°C|°F|%|€"
_UNIT = re.compile(rf"(?<=\d) (?=(?:{_UNITS})(?!\w))")
_SPACES = {
    "de": re.compile(r"(?<=\bz\.) (?=B\.)|(?<=\bd\.) (?=h\.)|(?<=\bu\.) (?=a\.)|(?<=\bi\.) (?=d\.)|(?<=[§]) (?=\d)"),
    "fr": re.compile(r"(?<=[^\s:;!?]) (?=[:;!?»](?!\w))|(?<=«) (?=\S)"),
}


def typography(text: str) -> str:
    """Return a text with typographic quotes, apostrophes, dashes, ellipses and non-breaking spaces.

    Code, formulas, links, addresses and HTML stay as they are, and so do quotes that do not come in pairs.
    """
    prose = prose_of(text)
    language = language_of(prose)
    return prose.edited(chain.from_iterable(_edits(passage, language) for passage in prose.passages))


def language_of(prose: Prose) -> str | None:
    """Return the language a text is in, by its commonest words; None where that cannot be said.

    A text of few words in Latin letters is taken for English.
    """
    words: Counter[str] = Counter()
    count = 0
    for passage in prose.passages:
        found = _WORDS.findall(_free(passage).lower())
        words.update(found)
        count += len(found)
        if count > _LOOKED_AT:
            break
    hits = {name: sum(words[word] for word in custom.words) for name, custom in _CUSTOMS.items()}
    best = max(hits, key=lambda name: hits[name])
    if hits[best] * 12 >= count and hits[best] > 1:
        return best
    latin = all("a" <= word[0] < "\u0250" for word in words)
    return "en" if count < _FEW and latin else None


def _free(passage: Passage) -> str:
    """Return what is prose of a passage; what is not is one sign that is neither a letter nor a space each."""
    pieces: list[str] = []
    at = 0
    for start, end in passage.fixed:
        pieces += [passage.text[at:start], "\ufffc" * (end - start)]
        at = end
    return "".join([*pieces, passage.text[at:]])


def _edits(passage: Passage, language: str | None) -> Iterator[Edit]:
    text = _free(passage)
    for found in _ELLIPSIS.finditer(text):
        yield _edit(passage, found.start(), found.end(), "…")
    for found in _DASH.finditer(text):
        yield _edit(passage, found.start(), found.end(), _DASHES[found[0]])
    for found in _UNIT.finditer(text):
        yield _edit(passage, found.start(), found.end(), _NBSP)
    if language in _SPACES:
        for found in _SPACES[language].finditer(text):
            space = _NARROW if text[found.end()] in ";!?" else _NBSP
            yield _edit(passage, found.start(), found.end(), space)
    if language is not None:
        for at, quote in _quotes(text, _CUSTOMS[language]):
            yield _edit(passage, at, at + 1, quote)


def _edit(passage: Passage, start: int, end: int, text: str) -> Edit:
    at = passage.place(start)
    return Edit(at, at + end - start, text)


def _quotes(text: str, custom: _Custom) -> Iterator[tuple[int, str]]:
    """Yield where a straight quote or apostrophe stands, and what it becomes."""
    pending: dict[str, list[int]] = {'"': [], "'": []}
    for found in re.finditer("[\"']", text):
        at, quote = found.start(), found[0]
        left, right = _beside(text, at, -1), _beside(text, at, 1)
        opens = (left.isspace() or left in _BEFORE_OPENING) and not right.isspace()
        closes = not left.isspace() and (right.isspace() or right in _AFTER_CLOSING)
        if quote == "'" and (
            (_is_letter(left) and _is_letter(right)) or (opens and re.match(r"\d\ds?\b", text[at + 1 : at + 5]))
        ):
            yield at, "’"
        elif closes and pending[quote]:
            start, index = pending[quote].pop(), _PAIRED[quote]
            space = custom.space if index == 0 else ""
            yield start, custom.quotes[index] + space
            yield at, space + custom.quotes[index + 1]
        elif opens:
            pending[quote].append(at)
        elif quote == "'" and closes and _is_letter(left):
            yield at, "’"


def _beside(text: str, at: int, step: int) -> str:
    """Return the character beside a quote, emphasis aside; a space at the edge."""
    at += step
    while 0 <= at < len(text) and text[at] in _MARKS:
        at += step
    return text[at] if 0 <= at < len(text) else " "


def _is_letter(character: str) -> bool:
    return bool(_LETTER.match(character))
