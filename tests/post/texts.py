"""Texts for the steps: any Markdown, with what they look for in any place of it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from services.messages import clean_text
from services.post.own import GROUP
from tests.corpus import ANSWERS, DOCUMENTS, KINDS, ODD

_MARKS = [
    *("a", "b c", "- ", "* ", "1. ", "> ", "# ", "```", "~~~", "`", "``", "**", "*", "_", "~~", "[", "]", "(", ")"),
    *("[a]", "[a]: ", "/u", "http://x.y/'a", "![", "|", "---", "===", "$", "$$", "\\(", "\\)", "\\[", "\\]", ": "),
    *("[^1]", "[^1]: ", '\\"', '"', "'", '"', "'", "...", "--", "---", " - ", " -- ", "don't", "'90s", "5 kg", '12"'),
    *("é", "«", "“", "’", "!", '<b c="d">', "{\"e\": 'f'}", 'x="y"', "the", "und", "le ", ":)", " ?"),
]
_SPACES = [
    "\n",
    "\n\n",
    "\n\n\n",
    "  \n",
    " ",
    "  ",
    "    ",
    "\t",
    " \t\n",
    "\\\n",
    "\\ \n",
    "|",
    "|-|-|\n",
    "|\"a\"|'b'|\n",
]

pieces = st.sampled_from(_MARKS + _SPACES)
any_text = (
    st.lists(pieces, max_size=40).map("".join)
    | st.text(max_size=60).map(lambda text: clean_text(text).replace("\r\n", "\n").replace("\r", "\n"))
    | st.sampled_from([clean_text(text).replace("\r\n", "\n").replace("\r", "\n") for text in DOCUMENTS])
)
REAL = (*ODD, *KINDS, *ANSWERS)


def offer(folder: Path, *points: str) -> None:
    """Make an installed package of a folder that offers steps by these entry points."""
    info = folder / "offered-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points, ""]))
