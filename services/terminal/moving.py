"""`backup`, `restore`, `export` and `import`: conversations out and in."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from services.errors import InputError
from services.runtime import back_up, bring_back, catalogue_of
from services.settings import LOCAL_OWNER
from services.terminal.output import tell

Kind = Literal["json", "markdown", "html", "notebook"]


def backup(app_dir: Path, file: Path) -> None:
    """Copy everything into a new file."""
    back_up(app_dir, file)
    tell(f"Backed up to {file}.")


def restore(app_dir: Path, file: Path) -> None:
    """Bring a backup back."""
    before = bring_back(app_dir, file)
    tell(f"Restored {file}." + (f" What was there before is kept as {before}." if before else ""))


async def export(app_dir: Path, file: Path | None, ids: list[str] | None, kind: Kind) -> None:
    """Write conversations into a file, or with `-` to stdout."""
    async with catalogue_of(app_dir, beside=True) as catalogue:
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
        tell(f"Exported to {target}.")


async def import_(app_dir: Path, file: Path, preview: bool) -> None:
    """Store what a file holds, or with `preview` only say what it is."""

    async def pieces() -> AsyncIterator[bytes]:
        try:
            with file.open("rb") as source:
                while piece := source.read(1_000_000):
                    yield piece
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror}). Name another file.") from error

    async with catalogue_of(app_dir, beside=False) as catalogue:
        word = await catalogue.receive_import(LOCAL_OWNER, pieces())
        try:
            found = await catalogue.preview_import(LOCAL_OWNER, word)
            if found.left_out:
                what = ", ".join(f"{count} × {what}" for what, count in found.left_out.items())
                tell(f"Cannot come along: {what}.")
            new, deleted, here = len(found.new), len(found.deleted), len(found.here)
            if found.grown:
                tell(f"New messages in the file, which stay out, of conversations that are here: {found.grown}.")
            if preview:
                tell(f"To import: {new}. Deleted here, to be brought back: {deleted}. Here already: {here}.")
                return
            done = await catalogue.import_(LOCAL_OWNER, word)
            tell(f"Imported {len(done.added)}, brought back {len(done.restored)}, here already {done.skipped}.")
        finally:
            await catalogue.drop_import(LOCAL_OWNER, word)
