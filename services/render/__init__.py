"""The one renderer: Markdown, code, titles and names of others become HTML here and nowhere else.

Two ideas carry it. A reply is cut into *top-level blocks*, each rendered and sanitised by itself, so a finished block
never changes and a stream and a whole text give the same HTML. And every block has a *price* (estimated µs, from its
lines and its characters, so the same everywhere): a long list, quote or table is cut between two items, and a block
that is too dear, or a text that is dearer than its length allows, is shown as escaped text, every character kept.
"""

from pathlib import Path

from services.render.code import escape
from services.render.stream import MarkdownStream, Paint, render_markdown, render_pieces

MARKDOWN_CSS = (Path(__file__).parent / "markdown.css").read_text("utf-8")
"""How it looks, wherever it is shown in an element of the class `markdown`."""

__all__ = ["MARKDOWN_CSS", "MarkdownStream", "Paint", "escape", "render_markdown", "render_pieces"]
