"""The reply that everything is measured with: Markdown of an exact number of word-like tokens, the same in every run.

It begins with `alphaword`, ends with `omegaword`, and in between words are replaced by `mark0001` to `mark0020`, spread
evenly over paragraphs, list, table and code: words that occur once, so that their appearing in a page can be seen.
"""

from __future__ import annotations

import random
import re

FIRST = "alphaword"
LAST = "omegaword"
MARKS = 20

_SEED = 20
_PARAGRAPH = 60
_SMALLEST_WITH_BLOCKS = 400

_PROSE = (
    "the a of to and in that it is was for on with as by at from this be are or an which one have not but all when "
    "there can more if out so up into them than only other time some could these two may then do first any like now "
    "such over our even most after also made many before must through years where much way well down should because "
    "each just those people how too little state good very make world still own see work long here get both between "
    "life being under never day same another know while last might great year come since against right use water "
    "place small large house system again public during without around however home thought part every general high "
    "number course less almost night point light reason result measure answer question model server browser"
)
_WORDS = _PROSE.split()

_LIST = """
- Keep **every word** that was typed, whatever happens next
- Say *plainly* what went wrong and offer one next step
- Measure first, then change `one` thing, then measure again
  - with the same reply and the same machine
  - with the order of the runs mixed
- Write down what was refused, and for which reason
"""

_TABLE = """
| what is measured | where it happens | who pays for it |
| :--- | :---: | ---: |
| reading the stream | in the server | processor |
| turning Markdown into safe HTML | in the server | processor |
| carrying what changed | between both | network |
| painting the open tail | in the browser | reader |
| scrolling to the end | in the browser | reader |
"""

_PYTHON = """
```python
from dataclasses import dataclass

@dataclass(frozen=True)
class Paint:
    frozen: str
    tail: str

def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2

for name, values in results.items():
    print(f"{name:20} {median(values):8.1f} ms")
```
"""

_SCRIPT = """
```javascript
const observer = new MutationObserver((records) => {
  for (const record of records) {
    const text = record.target.textContent
    if (text.includes("done")) { report(performance.now(), text.length) }
  }
})

observer.observe(document, {subtree: true, childList: true, characterData: true})
```
"""


def reply_tokens(count: int) -> list[str]:
    """Return the reply as `count` tokens, each a word with the white space before it; joined they are the text."""
    rng = random.Random(_SEED)
    blocks = [_LIST, _PYTHON, _TABLE, _SCRIPT] if count >= _SMALLEST_WITH_BLOCKS else []
    fixed = [_split(block.rstrip("\n")) for block in blocks]
    missing = count - sum(len(tokens) for tokens in fixed)
    gaps = len(fixed) + 1
    tokens: list[str] = []
    for index in range(gaps):
        tokens += _prose(rng, missing // gaps + (index < missing % gaps), heading=bool(fixed))
        if index < len(fixed):
            block = fixed[index]
            tokens += ["\n\n" + block[0].lstrip("\n"), *block[1:]]
    tokens[0], tokens[-1] = FIRST, " " + LAST
    return _marked(tokens)


def mark_names() -> list[str]:
    return [f"mark{number:04d}" for number in range(1, MARKS + 1)]


def _split(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _prose(rng: random.Random, count: int, heading: bool) -> list[str]:
    """Return `count` tokens of headings and paragraphs, with some bold, some code and a link now and then."""
    tokens: list[str] = []
    if heading and count > _PARAGRAPH:
        tokens = ["\n\n##", *(" " + rng.choice(_WORDS) for _ in range(4))]
    for number in range(count - len(tokens)):
        at = number % _PARAGRAPH
        word = rng.choice(_WORDS)
        if at % 17 == 11:
            word = f"**{word}**"
        elif at % 23 == 19:
            word = f"`{word}`"
        elif at == 40:
            word = f"[{word}](https://example.org/{word})"
        elif at % 13 == 12:
            word += "."
        tokens.append(("\n\n" if at == 0 else " ") + word)
    return tokens


def _marked(tokens: list[str]) -> list[str]:
    """Replace plain words at even distances by the marks."""
    plain = re.compile(r"\s*[a-z]{2,}")
    at = 0
    for number, mark in enumerate(mark_names(), 1):
        at = max(at + 1, number * len(tokens) // (MARKS + 1))
        while at < len(tokens) - 1 and not (plain.fullmatch(tokens[at]) and tokens[at].strip() not in ("def", "for")):
            at += 1
        if at >= len(tokens) - 1:
            break  # a reply too short for all of them
        tokens[at] = tokens[at].replace(tokens[at].strip(), mark)
    return tokens
