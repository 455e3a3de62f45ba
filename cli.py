"""Panelist in the terminal: `python cli.py COMMAND`. Same settings and same database as the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.errors import PanelistError
from services.runtime import back_up, bring_back

APP_DIR = Path(__file__).parent

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The file to make; it must not exist yet.")]) -> None:
    """Make a consistent copy of all conversations, also while the app is writing."""
    back_up(APP_DIR, file)
    typer.echo(f"Backed up to {file}.")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A file that `backup` made.")]) -> None:
    """Bring a backup back. The app must not be running; what was there is kept beside it."""
    before = bring_back(APP_DIR, file)
    typer.echo(f"Restored {file}." + (f" What was there before is kept as {before}." if before else ""))


def main() -> None:
    """Run a command; an error is one sentence on stderr and the exit code 1."""
    try:
        app()
    except PanelistError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
