"""Typography: what is set, in which language, and what is left alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from services.post.typography import language_of, typography
from services.render.prose import prose_of
from tests.post.texts import any_text

FRENCH = "Le chat est dans la maison et il dort. "
GERMAN = "Der Hund ist mit der Katze in dem Haus. "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"Hello," she said, "it\'s \'fine\'."', "“Hello,” she said, “it’s ‘fine’.”"),
        ('*"a"* and **"b"** ("c") "`d`"', "*“a”* and **“b”** (“c”) “`d`”"),
        ("the dogs' bowls in the '90s", "the dogs’ bowls in the ’90s"),
        ('5\'10" tall and 12" wide', '5\'10" tall and 12" wide'),
        ('an "open quote', 'an "open quote'),
        ("Wait... what ... and then...", "Wait… what … and then…"),
        ("f(...args) ../a a[...] .... 1...2", "f(...args) ../a a[...] .... 1...2"),
        ("a -- b, one---two, pages 10--20", "a – b, one—two, pages 10–20"),
        ("first - second, x - y, 5 - 3, --flag a--b", "first – second, x - y, 5 - 3, --flag a--b"),
        ("5 kg, 20 % and 3 GB of 7 apples", "5\u00a0kg, 20\u00a0% and 3\u00a0GB of 7 apples"),
        (FRENCH + '"Oui" : non ; quoi ?', FRENCH + "«\u00a0Oui\u00a0»\u00a0: non\u202f; quoi\u202f?"),
        (GERMAN + '"Ja", z. B. "so \'und\' so"', GERMAN + "„Ja“, z.\u00a0B. „so ‚und‘ so“"),
        ('彼は"はい"と言った。これは何ですか', '彼は"はい"と言った。これは何ですか'),
        ('`"a"` ["b"](c) $\'d\'$ <e f="g"> \\"', '`"a"` ["b"](c) $\'d\'$ <e f="g"> \\"'),
        ("| \"a\" | 'b' |\n|---|---|\n| -- | ... |", "| “a” | ‘b’ |\n|---|---|\n| -- | ... |"),
        ('```\n"a"\n```\n\n    "b"\n', '```\n"a"\n```\n\n    "b"\n'),
        ('# The "a"\n\n> \'b\'\n\n1. "c"', "# The “a”\n\n> ‘b’\n\n1. “c”"),
    ],
)
def test_prose_is_set_and_everything_else_is_left(text: str, expected: str) -> None:
    assert typography(text) == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("It is one of the things that you have to know.", "en"),
        (GERMAN, "de"),
        (FRENCH, "fr"),
        ("El perro es de la casa y no está en el jardín con los gatos.", "es"),
        ("Il cane è nella casa e non è nel giardino con la gatta.", "it"),
        ("O cão não está em casa e o gato é um dos mais velhos.", "pt"),
        ("De hond is niet in het huis en de kat is op de mat.", "nl"),
        ("Pies jest w domu i nie ma go na dworze, ale kot jest.", "pl"),
        ("Hunden är inte i huset och katten är på mattan.", "sv"),
        ("Собака не в доме, и кот на улице, но это не так.", "ru"),
        ("Yes.", "en"),
        ("はい、そうです。", None),
        ("Kissa istuu matolla ja koira nukkuu talossa, mutta hiiri juoksee pihalla aina vain " * 3, None),
        ("", "en"),
    ],
)
def test_the_language_is_that_of_the_commonest_words(text: str, language: str | None) -> None:
    assert language_of(prose_of(text)) == language


@given(any_text)
@settings(deadline=None, max_examples=300)
def test_letters_code_and_lines_stay_and_once_is_enough(text: str) -> None:
    done = typography(text)
    assert typography(done) == done
    assert re.findall(r"\w|\n", done) == re.findall(r"\w|\n", text)
    assert fixed(done) == fixed(text)
    assert prose_of(done).shape == prose_of(text).shape


def fixed(text: str) -> list[str]:
    """Return everything that is not prose."""
    prose = prose_of(text)
    return [
        *(text[start:end] for start, end in prose.kept),
        *(passage.text[start:end] for passage in prose.passages for start, end in passage.fixed),
    ]
