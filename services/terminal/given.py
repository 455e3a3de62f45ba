"""Options of a conversation as options of a command: made from what is known of them, so that none is forgotten."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from services.options import Options
from services.parameters import PARAMETERS, Parameter, with_value
from services.terminal.reading import LATEST

CONTINUE = "--continue"

_FLAGS = {"max_output_tokens": "--max-tokens", "output": "--json-mode", "system_prompt": "--system"}
_ID = re.compile("[0-9A-HJKMNP-TV-Z]{26}")
_KINDS = {"number": "NUMBER", "count": "NUMBER", "prompt": "TEXT", "lines": "TEXT"}


def flag_of(name: str) -> str:
    """Return how an option of a conversation is called in the terminal."""
    return _FLAGS.get(name, f"--{name.replace('_', '-')}")


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has all these options, and gives them to `command` as its argument `options`."""

    def run(*, endpoint: str | None, model: str | None, **given: Any) -> None:
        options = Options(endpoint=endpoint, model=model)
        for parameter in PARAMETERS:
            options = with_value(options, parameter, _typed(parameter, given.pop(parameter.name)))
        command(**given, options=options)

    own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "options"]
    places = (
        _option("endpoint", str | None, "--endpoint", "Where the model is; `demo` is prepared text.", "NAME"),
        _option("model", str | None, "--model", "Which one answers.", "NAME"),
    )
    added = [*places, *map(_option_of, PARAMETERS)]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *added)]
    vars(run)["__signature__"] = inspect.Signature(parameters)  # which typer reads
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__doc__, run.__name__ = command.__doc__, command.__name__
    return run


def _option_of(parameter: Parameter) -> inspect.Parameter:
    flag = flag_of(parameter.name)
    match parameter.kind:
        case "level" if len(parameter.levels) == 1:
            return _option(parameter.name, bool, flag, parameter.hint)
        case "lines":
            hint = parameter.hint.replace("One a line", "May be given again")
            return _option(parameter.name, list[str] | None, flag, hint, "TEXT")
        case _:
            kind = _KINDS.get(parameter.kind) or "|".join(parameter.levels)
            return _option(parameter.name, str | None, flag, parameter.hint, kind)


def _option(name: str, kind: Any, flag: str, hint: str, metavar: str | None = None) -> inspect.Parameter:
    made = typer.Option(flag, help=hint, metavar=metavar)
    default = False if kind is bool else None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, made])


def _typed(parameter: Parameter, value: Any) -> object:
    """Return what was given as a person would type it on the page."""
    if isinstance(value, bool):
        return parameter.levels[0] if value else None
    if isinstance(value, list):
        return "\n".join(text.replace("\n", "\\n") for text in value)
    return value


class Continuing(TyperCommand):
    """A command whose `--continue` may stand alone, and then means the latest conversation."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        for place in range(end - 1, -1, -1):
            if args[place] == CONTINUE and not (place + 1 < end and _ID.fullmatch(args[place + 1])):
                args[place] = f"{CONTINUE}={LATEST}"  # what follows is a word of the question
        return super().parse_args(ctx, args)
