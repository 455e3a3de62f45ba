"""The host that an address leads to, and whether words about it tell the truth."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, urlsplit

_MAX_WORDS = 300
"""Words of a link that are read (characters)."""
_HOST = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+(?:[^\W\d_]{2,}|xn--[\w-]+|\d{1,3})")
_NAME, _ADDRESS = re.compile(r"[^\s\[\]<>\"'%@/\\?#]+"), re.compile(r"[0-9a-f.]*:[0-9a-f:.]*")
_TURNED = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of text, so that it reads otherwise than it is."""
_ENDINGS = frozenset(
    """com org net edu gov mil int info biz app dev cloud online site shop store tech page wiki blog news xyz top
    bank pay support live link click zip mov""".split()  # noqa: SIM905 - a list of words reads as words
)
_FILES = frozenset(
    ("md", "py", "rs", "sh", "js", "ts", "cc", "go", "rb", "pl", "ps", "hs", "ml", "mm", "so", "kt", "cs")
)
"""What ends names of files; other endings of two letters are countries."""
_LOOK_LATIN = frozenset("асԁеһіјӏорԛѕԝхуъЬҽпгѵѡαοριντυγκ")
"""Letters of other scripts that look like Latin ones."""
_EAST_ASIAN = frozenset(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "KATAKANA-HIRAGANA"))


def host_of(url: str) -> str | None:
    """Return the host that a browser would go to, or write to; nothing when no browser could read the address."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "mailto":
            name, _, host = unquote(parts.path).lower().rpartition("@")
        else:
            name, host = "web", unquote(parts.hostname or "").rstrip(".")
    except ValueError:
        return None
    literal = "[" in parts.netloc
    return host if name and (_ADDRESS if literal else _NAME).fullmatch(host) else None


def has_user(url: str) -> bool:
    """Return whether a web address names a user before its host: `https://openai.com@evil.example`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme != "mailto" and "@" in parts.netloc


def readable(host: str) -> str:
    """Return a host as it may be shown: in its own script, in ASCII where letters of several scripts could deceive."""
    return ".".join(_readable_label(label) for label in host.split("."))


def _readable_label(label: str) -> str:
    text = label
    if label.lower().startswith("xn--"):
        try:
            text = label[4:].encode("ascii").decode("punycode")
        except UnicodeError:
            return label
    if text.isascii() or _is_plain(text):
        return text
    return "xn--" + text.encode("punycode").decode("ascii")


def _is_plain(text: str) -> bool:
    letters = [character for character in text if character.isalpha() or not character.isascii()]
    scripts = {unicodedata.name(character, "?").split()[0] for character in letters}
    scripts = {"EAST ASIAN" if script in _EAST_ASIAN else script for script in scripts}
    is_word = all(unicodedata.category(character)[0] in "LMN" for character in letters)
    return is_word and len(scripts) == 1 and not _LOOK_LATIN.issuperset(letters)


def is_misleading(words: str, url: str) -> bool:
    """Return whether a link's words look like another place than the one its address leads to."""
    host = host_of(url) or ""
    honest = {_bare(host), _bare(readable(host))}
    return has_user(url) or bool(_TURNED.search(words)) or any(_bare(claim) not in honest for claim in _claims(words))


def _bare(host: str) -> str:
    return host.lower().removeprefix("www.")


def _claims(words: str) -> list[str]:
    """Return what looks like a host in a link's words."""
    text = unicodedata.normalize("NFKC", words[:_MAX_WORDS]).replace("。", ".").lower()
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    found = []
    for word in re.split(r"[\s()\[\]<>{}\"'“”‘’«»,;!|*]+", text):
        scheme = re.match(r"(?:\w+:)?//", word)
        place, slash, _ = word[scheme.end() if scheme else 0 :].partition("/")
        for part in re.split(r"[@?#:\\]", place):
            host = part.strip(".-_…")
            ending = host.rpartition(".")[2]
            sure = scheme or slash or ending in _ENDINGS or (len(ending) == 2 and ending not in _FILES)
            if _HOST.fullmatch(host) and (sure or host.startswith("www.") or ending.startswith("xn--")):
                found.append(host)
    return found
