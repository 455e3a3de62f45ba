"""Panelist in the terminal: `python cli.py COMMAND`. Same settings, same history and same measures as the page."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from services.errors import PanelistError
from services.options import Options
from services.terminal.ending import code_of_error, tell_error
from services.terminal.given import CONTINUE, Continuing, with_options

APP_DIR = Path(__file__).parent

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Files = Annotated[list[Path] | None, typer.Option("--file", "-f", help="Attach a file; may be given again.")]
Going = Annotated[
    str | None,
    typer.Option(CONTINUE, metavar="[ID]", help="Go on in the latest conversation, or in the one of this id."),
]
Meta = Annotated[bool, typer.Option("--meta", help="Say model, tokens, finish reason, times, cost on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print an object: answer, model, tokens, times, cost, error.")]


# ruff: noqa: PLC0415 - each command imports what it needs: the others need not wait for it


@app.command(cls=Continuing)
@with_options
def ask(
    options: Options,
    text: Annotated[list[str] | None, typer.Argument(help="The question; - stands for what is piped in.")] = None,
    file: Files = None,
    going: Going = None,
    meta: Meta = False,
    as_json: AsJson = False,
    post: Annotated[
        str | None, typer.Option(metavar="STEPS", help="What is done to the whole answer, as trim,typography,grammar.")
    ] = None,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Print the answer when it is whole.")] = False,
) -> None:
    """Ask one question; the answer is printed as it comes, and kept with the page's conversations."""
    from services.terminal import asking, session

    asked = asking.Asking(
        words=text or (),
        options=options,
        files=file or (),
        conversation=going,
        meta=meta,
        as_json=as_json,
        stream=not no_stream,
        post=post,
    )
    code = session.run(APP_DIR, lambda here, interrupts: asking.ask(here, asked, interrupts), as_json=as_json)
    raise typer.Exit(code)


@app.command(cls=Continuing)
@with_options
def chat(
    options: Options,
    text: Annotated[list[str] | None, typer.Argument(help="What to say first.")] = None,
    file: Files = None,
    going: Going = None,
) -> None:
    """Talk at the prompt; /help there lists its commands. What is piped in is said line by line."""
    from services.terminal import chatting, session

    def talk(here: session.Session) -> int:
        return chatting.Chat(here, options, file or ()).run(going, " ".join(text or ()))

    raise typer.Exit(session.run_here(APP_DIR, talk))


@app.command()
@with_options
def plan(
    options: Options,
    topic: Annotated[list[str], typer.Argument(help="What is published about.")],
    items: Annotated[int, typer.Option(help="How many.")] = 8,
    start: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The first day; tomorrow without.")] = None,
    channels: Annotated[str | None, typer.Option(metavar="A,B", help="Where; else the model chooses.")] = None,
    audience: Annotated[str | None, typer.Option(metavar="TEXT", help="For whom.")] = None,
    table: Annotated[bool, typer.Option("--table", help="Print a table; Markdown where it is no terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object with the items.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_ics: Annotated[bool, typer.Option("--ics", help="Print a calendar file (RFC 5545).")] = False,
    meta: Meta = False,
) -> None:
    """Have a publishing plan made, as a bulleted list; it is kept as a conversation."""
    from services.terminal import planning, session

    def make(here: session.Session, interrupts: session.Interrupts) -> Coroutine[Any, Any, int]:
        form = planning.form_of({"table": table, "json": as_json, "csv": as_csv, "ics": as_ics})
        wish = planning.wish_of(" ".join(topic), items, start, channels, audience)
        wanted = planning.Planning(wish=wish, options=options, form=form, meta=meta)
        return planning.plan(here, wanted, interrupts)

    raise typer.Exit(session.run(APP_DIR, make, as_json=as_json))


@app.command()
def stats(
    since: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The first day.")] = None,
    until: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="The last day, itself included.")] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="NAME", help="Of this one alone.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Of this one alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a row for each model of a day.")] = False,
) -> None:
    """Say what requests came to: tokens, times, errors and cost, by day and by model; also while the app runs."""
    from services.terminal import measured

    selection = measured.selection_of(since, until, endpoint, model)
    raise typer.Exit(asyncio.run(measured.stats(APP_DIR, selection, measured.form_of(as_json, as_csv))))


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="The file to make; it must not exist yet.")]) -> None:
    """Make a consistent copy of all conversations, also while the app is writing."""
    from services.terminal import moving

    moving.backup(APP_DIR, file)


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="A file that `backup` made.")]) -> None:
    """Bring a backup back. The app must not be running; what was there is kept beside it."""
    from services.terminal import moving

    moving.restore(APP_DIR, file)


@app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="The file to make, - for stdout; else one here, by the title.")
    ] = None,
    conversation: Annotated[
        list[str] | None, typer.Option(help="Its id, as after ?c= in the address; all without.")
    ] = None,
    kind: Annotated[
        Literal["json", "markdown", "html", "notebook"], typer.Option("--as", help="What to make of it.")
    ] = "json",
) -> None:
    """Export conversations, also while the app is writing. Attached files come in a .zip beside the JSON."""
    from services.terminal import moving

    asyncio.run(moving.export(APP_DIR, file, conversation, kind))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .json or .zip of Panelist, ChatGPT, Open WebUI or LibreChat.")],
    preview: Annotated[bool, typer.Option("--preview", help="Only say what is in it.")] = False,
) -> None:
    """Import conversations, all or none. The app must not be running; it can import, too."""
    from services.terminal import moving

    asyncio.run(moving.import_(APP_DIR, file, preview))


def main() -> None:
    """Run a command; an error is a sentence on stderr, with an exit code of its own kind."""
    try:
        app()
    except PanelistError as error:
        tell_error(error, as_json="--json" in sys.argv)
        raise SystemExit(code_of_error(error)) from error


if __name__ == "__main__":
    main()
