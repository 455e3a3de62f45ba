"""Tables: drawn on a terminal, as Markdown where what is printed goes into a file or another program."""

from __future__ import annotations

from collections.abc import Sequence

from services.sheets import markdown
from services.terminal.output import Output

_LEAST_WIDTH = 80
"""Columns of a table of figures at least."""


def table(output: Output, head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> str:
    """Return a table for where `output` goes; its last columns, so many, are numbers."""
    if not output.is_terminal:
        return markdown(head, rows, numbers=numbers)
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - for terminals alone
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for place, name in enumerate(head):
        counted = place >= len(head) - numbers
        drawn.add_column(name, justify="right" if counted else "left", no_wrap=counted)
    for row in rows:
        drawn.add_row(*map(Text, row))
    console = Console(color_system=None)
    if numbers:  # rather broken lines than figures cut short
        console.width = max(console.width, _LEAST_WIDTH)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get().strip("\n")
