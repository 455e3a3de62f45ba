"""Reads how likely a model held each piece of its answer, as both APIs send it beside the text.

Chat Completions: `choices[0].logprobs.content`; Responses: `logprobs` of a text's delta. The entries are the same:
https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.messages import clean_text
from services.probabilities import MOST_CHARS, MOST_OTHERS, Token, logprob_of
from services.providers.accumulator import items_in


class Scores:
    """Puts together what comes in pieces: a letter may take several tokens, none of which is text on its own."""

    def __init__(self) -> None:
        self._bytes = b""
        self._logprob = 0.0

    def read(self, entries: object) -> tuple[Token, ...]:
        """Return the pieces of a list of entries; what is none is left out."""
        return tuple(token for entry in items_in(entries) if isinstance(entry, dict) for token in self._token(entry))

    def _token(self, entry: Mapping[str, object]) -> Iterator[Token]:
        logprob = logprob_of(entry.get("logprob"))
        if logprob is None:
            return
        data = _bytes_of(entry)
        if data is None:
            yield Token(_named(entry), logprob, _others(entry))
            return
        whole, before = bool(self._bytes), self._bytes + data
        self._logprob += logprob
        if _is_cut(before):
            self._bytes = before
            return
        text, total = _shown(before.decode("utf-8", "replace")), logprob_of(self._logprob)
        self._bytes, self._logprob = b"", 0.0
        yield Token(text, logprob if total is None else total, () if whole else _others(entry))


def _others(entry: Mapping[str, object]) -> tuple[tuple[str, float], ...]:
    """Return what else might have stood there, without the piece itself, which is among them."""
    chosen = entry.get("token"), entry.get("bytes")
    found = [
        (_named(other), logprob)
        for other in items_in(entry.get("top_logprobs"))
        if isinstance(other, dict) and (other.get("token"), other.get("bytes")) != chosen
        if (logprob := logprob_of(other.get("logprob"))) is not None
    ]
    return tuple(sorted(found, key=lambda one: -one[1])[:MOST_OTHERS])


def _named(entry: Mapping[str, object]) -> str:
    data, token = _bytes_of(entry), entry.get("token")
    if data is not None:
        return _shown(data.decode("utf-8", "replace"))
    return _shown(token) if isinstance(token, str) else ""


def _shown(text: str) -> str:
    return clean_text(text)[:MOST_CHARS]


def _bytes_of(entry: Mapping[str, object]) -> bytes | None:
    given = entry.get("bytes")
    if not isinstance(given, list) or not all(type(one) is int and 0 <= one < 256 for one in given):
        return None
    return bytes(given)


def _is_cut(data: bytes) -> bool:
    """Whether the last letter of these bytes has yet to be ended."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False
