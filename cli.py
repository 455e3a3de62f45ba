"""Panelist in the terminal: `python cli.py COMMAND`. Same settings and same database as the page."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.errors import InputError, NotFoundError, PanelistError
from services.runtime import back_up, bring_back, catalogue_of
from services.settings import LOCAL_OWNER

APP_DIR = Path(__file__).parent

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Kind = Literal["json", "markdown", "html", "notebook"]


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


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="The file to make, - for stdout; else one here, by the title.")
    ] = None,
    conversation: Annotated[
        list[str] | None, typer.Option(help="Its id, as after ?c= in the address; all without.")
    ] = None,
    kind: Annotated[Kind, typer.Option("--as", help="What to make of it.")] = "json",
) -> None:
    """Export conversations, also while the app is writing. Attached files come in a .zip beside the JSON."""
    asyncio.run(_export(file, conversation, kind))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .json or .zip of Panelist, ChatGPT, Open WebUI or LibreChat.")],
    preview: Annotated[bool, typer.Option("--preview", help="Only say what is in it.")] = False,
) -> None:
    """Import conversations, all or none. The app must not be running; it can import, too."""
    asyncio.run(_import(file, preview))


async def _export(file: Path | None, ids: list[str] | None, kind: Kind) -> None:
    async with catalogue_of(APP_DIR, beside=True) as catalogue:
        made = await catalogue.export(LOCAL_OWNER, ids, kind)
        if file == Path("-"):
            async for piece in made.pieces:
                sys.stdout.buffer.write(piece)
            return
        target = file or Path(made.name)
        try:
            out = target.open("xb")
        except OSError as error:
            raise InputError(f"{target} cannot be made ({error.strerror}). Name another file.") from error
        try:
            with out:
                async for piece in made.pieces:
                    out.write(piece)
        except BaseException:
            target.unlink()
            raise
        typer.echo(f"Exported to {target}.")


async def _import(file: Path, preview: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        try:
            with file.open("rb") as source:
                while piece := source.read(1_000_000):
                    yield piece
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror}). Name another file.") from error

    async with catalogue_of(APP_DIR, beside=False) as catalogue:
        word = await catalogue.receive_import(LOCAL_OWNER, pieces())
        try:
            found = await catalogue.preview_import(LOCAL_OWNER, word)
            if found.left_out:
                what = ", ".join(f"{count} × {what}" for what, count in found.left_out.items())
                typer.echo(f"Cannot come along: {what}.")
            new, deleted, here = len(found.new), len(found.deleted), len(found.here)
            if found.grown:
                typer.echo(f"New messages in the file, which stay out, of conversations that are here: {found.grown}.")
            if preview:
                typer.echo(f"To import: {new}. Deleted here, to be brought back: {deleted}. Here already: {here}.")
                return
            done = await catalogue.import_(LOCAL_OWNER, word)
            typer.echo(f"Imported {len(done.added)}, brought back {len(done.restored)}, here already {done.skipped}.")
        finally:
            await catalogue.drop_import(LOCAL_OWNER, word)


def main() -> None:
    """Run a command; an error is a sentence on stderr, and exit code 2 where something else is to be given, else 1."""
    try:
        app()
    except PanelistError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2 if isinstance(error, InputError | NotFoundError) else 1) from error


if __name__ == "__main__":
    main()
