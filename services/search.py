"""Search as pure functions: what a text is found by, what was typed into the search box, what a hit shows."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple, cast

from services.folders import clean_tag
from services.messages import AttachmentPart, Part, Role, TextPart, clean_text

Field = Literal["text", "title", "model"]

MAX_QUERY = 500
"""Characters of a query; what is typed after them is not looked at."""

MAX_INDEXED = 200_000
"""Characters of a message that it is found by: more than a long book's chapter, and 50 ms of work."""

_MAX_TOKEN = 64  # characters: nobody types more of a word, and databases limit it

# Scripts that are written without spaces, or (Korean) whose words take endings: Thai, Lao, Myanmar, Khmer, kana, Han,
# Hangul.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua9e0-\ua9ff\uaa60-\uaa7f\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# Signs that belong to the letter before them: Python counts them neither as letters nor as digits.
_SIGNS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0963\u0971-\u0dff"
)
_PICTURES = "\u2600-\u27bf\U0001f000-\U0001faff"
_LETTER = f"(?![{_UNSPACED}])[^\\W_]"
_RUNS = re.compile(f"([{_UNSPACED}]+)|{_LETTER}(?:{_LETTER}|[{_SIGNS}])*|[{_PICTURES}]")
_PLAIN = re.compile("[a-z0-9]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
_GAP = re.compile(f"[^\\w{_SIGNS}{_UNSPACED}]")  # in no word of any script
_KEPT = re.compile(f"[^\\W_]|[{_SIGNS}{_PICTURES}]")  # no space, quote or the like is ever part of a token


class Token(NamedTuple):
    """A piece of a text that it is found by, and where it is."""

    text: str
    start: int
    end: int
    unspaced: bool = False
    """It is of a script without spaces: two characters, or the last one of a run."""
    tail: bool = False
    """It is the last character of such a run, which also is in the token before unless the run has only this one."""


@dataclass(frozen=True, slots=True)
class Term:
    """Tokens that follow one another in a text."""

    tokens: tuple[str, ...]
    open: bool = False
    """The last token may go on."""
    field: Field = "text"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """Where a conversation is to be."""

    kind: Literal["tag", "folder", "is"]
    value: str
    """A tag, the name of a folder in small letters, or one of `STATES`."""
    open: bool = False
    """A tag or a name may go on."""
    negated: bool = False


STATES = ("archived", "pinned")
"""What `is:` takes."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: all of it must be true of a hit."""

    terms: tuple[Term, ...] = ()
    after: datetime | None = None
    """The first moment that counts."""
    before: datetime | None = None
    """The first moment that does not count any more."""
    places: tuple[Where, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms) or bool(self.places) or self.after is not None or self.before is not None

    def of(self, *fields: Field, negated: bool = False) -> tuple[Term, ...]:
        """Return the terms of these fields."""
        return tuple(term for term in self.terms if term.field in fields and term.negated is negated)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a snippet."""

    text: str
    found: bool
    """Whether this is what was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A message, or a conversation's title, in which everything was found."""

    conversation_id: str
    title: str
    message_id: str | None
    """None where the title is what was found."""
    role: Role | None
    at: datetime
    snippet: tuple[Piece, ...]
    place: int
    """Where it stands among all hits; the next page begins below the last one's."""


def tokens_of(text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[Token]:
    """Yield what a text, or what stands between two places of it, is found by, in its order.

    A run of Chinese, say, gives each pair of neighbours and its last character: so any part of it is found, by one
    character too. Everything else is found by its words. Letters are folded: neither case nor accents matter.
    """
    for run in _RUNS.finditer(text, start, end):
        start, end = run.span()
        if run[1] is None:
            folded = _folded(run[0])[:_MAX_TOKEN]
            if folded:
                yield Token(folded, start, end)
            continue
        folded = unicodedata.normalize("NFKC", run[0])
        exact = len(folded) == end - start  # else the places in it are not known, and all of it counts as found
        last = len(folded) - 1
        for i in range(last + 1):
            where = (start + i, start + min(i + 2, last + 1)) if exact else (start, end)
            yield Token(folded[i : i + 2], *where, unspaced=True, tail=i == last)


def words_of(text: str) -> list[str]:
    """Return the texts of a text's tokens: ten times as fast where there is nothing but ASCII."""
    if text.isascii():
        return [word[:_MAX_TOKEN] for word in _PLAIN.findall(text.lower())]
    return [token.text for token in tokens_of(text)]


def indexed_text(parts: Sequence[Part]) -> str:
    """Return what of a message is searched: what was said, and the names of attached files."""
    said = "".join(part.text for part in parts if isinstance(part, TextPart))
    names = [part.name for part in parts if isinstance(part, AttachmentPart)]
    return normal("\n".join([said[:MAX_INDEXED], *names]))


def normal(text: str) -> str:
    """Return a text as it is searched and shown in snippets: signs joined to their letters."""
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=10_000)  # few words make most of a text
def _folded(word: str) -> str:
    return word.lower() if word.isascii() else "".join(_KEPT.findall(_plain(word)))


def _plain(text: str) -> str:
    """Return a text without what tells its words from those that are found with them."""
    if text.isascii():
        return text.lower()
    wide = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", wide))


_QUOTES = str.maketrans("“”„‟＂", '"""""')
_TYPED = re.compile(
    r'(-?)(?:(title|model|before|after|tag|folder|is):)?(?:"([^"]*)("?)(\*?)|([^\s"]+)|(?<=:))', re.IGNORECASE
)
_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?", re.ASCII)


def parse(typed: str, zone: tzinfo = UTC) -> Query:
    """Return what was typed as a query. Anything is one.

    Words, of which the last may go on while it is being typed; "phrases"; prefix*; -not; title: and model: before a
    word or phrase; before: and after: a year, month or day, which begins at midnight in `zone`; tag: a tag, folder: a
    folder's name, is:archived and is:pinned. What is none of these is a word.
    """
    typed = normal(clean_text(typed[:MAX_QUERY]).translate(_QUOTES))
    terms: list[Term] = []
    dates: dict[str, datetime] = {}
    places: list[Where] = []
    for found in _TYPED.finditer(typed):
        minus, name, phrase, closed, star, word = found.groups()
        last = found.end() == len(typed)
        value = word if phrase is None else phrase
        if not value:
            continue
        field = (name or "text").lower()
        if field in ("before", "after"):
            moment = None if minus else _moment(value, zone)
            if moment is not None:
                dates[field] = moment
                continue
            value, field = f"{name} {value}", "text"
        unfinished = last and not minus and not closed
        if field in ("tag", "folder", "is"):
            where = _where(field, value, unfinished or value.endswith("*"), bool(minus))
            if where is not None:
                places.append(where)
                continue
            value, field = f"{name} {value}", "text"
        open = bool(star) or value.endswith("*") or unfinished or field == "model"
        term = _term(value, open, cast(Field, field), bool(minus))
        if term.tokens:
            terms.append(term)
    return Query(tuple(terms), dates.get("after"), dates.get("before"), tuple(places))


def _where(kind: str, value: str, open: bool, negated: bool) -> Where | None:
    match kind:
        case "tag":
            tag = clean_tag(value)
            return Where("tag", tag, open, negated) if tag else None
        case "folder":
            return Where("folder", value.rstrip("*").casefold(), open, negated)
        case _:
            state = value.lower()
            return Where("is", state, negated=negated) if state in STATES else None


def _term(value: str, open: bool, field: Field, negated: bool) -> Term:
    tokens = list(tokens_of(value))
    if tokens and tokens[-1].tail:
        # The text may go on where the query ends: then this character is not the last of its run.
        alone = len(tokens) == 1 or not tokens[-2].unspaced or tokens[-2].tail
        open = alone
        if not alone:
            tokens.pop()
    return Term(tuple(token.text for token in tokens), open, field, negated)


def _moment(value: str, zone: tzinfo) -> datetime | None:
    found = _DATE.fullmatch(value)
    try:
        return datetime(*(int(number or 1) for number in found.groups()), tzinfo=zone) if found else None  # type: ignore[arg-type, misc]
    except ValueError:
        return None


_BEFORE, _LENGTH = 50, 180
"""Characters of a snippet: before what was found, and all."""

_PIECE = 1_000
"""Characters in which a term is looked for at once; a phrase is not seen where it is longer."""

_MOST_TAKEN_APART = 20_000
"""Characters of a text that are taken apart for one snippet: the last words of a phrase may stand everywhere in it."""


def snippet(text: str, terms: Sequence[Term]) -> tuple[Piece, ...]:
    """Return the piece of a text in which the first of the terms is found, or its beginning, as one line.

    It is the beginning too where they are hard to find: all of the words of a phrase everywhere, and it far below.
    """
    terms = [term for term in terms if not term.negated]
    first = _first(text, terms)
    start = 0 if first is None else _word_begins(text, max(0, first[0] - _BEFORE))
    end = min(len(text), start + _LENGTH)
    pieces: list[Piece] = []
    at = start
    for begins, ends in () if first is None else _spans(text, first[0], _gap(text, end), terms):
        if at < ends and begins < end:
            pieces += [Piece(text[at : max(at, begins)], False), Piece(text[max(at, begins) : min(ends, end)], True)]
            at = min(ends, end)
    pieces.append(Piece(text[at:end], False))
    pieces = [replace(piece, text=re.sub(r"\s+", " ", piece.text)) for piece in pieces]
    cut = [Piece("…", False)]
    return tuple(piece for piece in (*(cut if start else ()), *pieces, *(cut if end < len(text) else ())) if piece.text)


def _word_begins(text: str, at: int) -> int:
    """Return a place at or a little after `at` where a word begins."""
    if at == 0:
        return 0
    space = re.compile(r"\s").search(text, at, at + 20)
    return space.end() if space else at


def _gap(text: str, at: int) -> int:
    """Return a place at or a little after `at` that is in no word; `at` itself in a very long one."""
    gap = _GAP.search(text, at, at + _MAX_TOKEN)
    return gap.start() if gap else at


def _first(text: str, terms: Sequence[Term]) -> tuple[int, int] | None:
    """Return where a term is found first.

    Taking a text apart is slow. So only those pieces are that hold all tokens of a term, together with the one before.
    """
    begun, before, taken = 0, "", 0
    start = 0
    while terms and start < len(text) and taken < _MOST_TAKEN_APART:
        stop = _gap(text, start + _PIECE)
        here = _plain(text[start:stop])
        likely = [t for t in terms if t.tokens[-1] in here and all(token in before + here for token in t.tokens)]
        if likely:
            found = next(_spans(text, begun, stop, likely), None)
            if found is not None:
                return found
            taken += stop - begun
        begun, before, start = start, here, stop
    return None


def _spans(text: str, start: int, end: int, terms: Sequence[Term]) -> Iterator[tuple[int, int]]:
    """Yield where a term is found between two places, from the first on."""
    recent: deque[Token] = deque(maxlen=max(len(term.tokens) for term in terms))
    exact = {term.tokens[-1] for term in terms if not term.open}
    begun = tuple(term.tokens[-1] for term in terms if term.open)
    for token in tokens_of(text, start, end):
        recent.append(token)
        if token.text not in exact and not token.text.startswith(begun):  # which is so for nearly all
            continue
        found = [span for term in terms if (span := _span(tuple(recent), term)) is not None]
        if found:
            yield min(start for start, _ in found), max(end for _, end in found)


def _span(recent: Sequence[Token], term: Term) -> tuple[int, int] | None:
    """Return where the term is, if it ends with the last of these tokens."""
    count = len(term.tokens)
    if count > len(recent):
        return None
    here = recent[-count:]
    last, wanted = here[-1], term.tokens[-1]
    if not (last.text.startswith(wanted) if term.open else last.text == wanted):
        return None
    if any(token.text != other for token, other in zip(here[:-1], term.tokens[:-1], strict=True)):
        return None
    end = last.start + 1 if last.unspaced and len(wanted) < len(last.text) else last.end
    return here[0].start, max(end, here[-2].end if count > 1 else 0)
