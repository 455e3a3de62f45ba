"""What is done to an answer once it is complete: a list of steps, each a function from text to text.

Everything here is synchronous and may take a second: call it in a thread. The answer as it came is not touched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.errors import InputError
from services.messages import clean_text
from services.post.grammar import HARPER, grammar
from services.post.grammar import is_installed as has_grammar
from services.post.grammar import load as load_grammar
from services.post.own import Own, StepError, own_steps
from services.post.trim import trim
from services.post.typography import typography

_log = logging.getLogger(__name__)

MAX_CHARS = 400_000
"""A longer answer stays as it is; steps of our own leave alone what comes after half of that."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that can be done to an answer, as a person chooses it."""

    name: str
    label: str
    hint: str
    why_not: str | None = None
    """A sentence if it cannot be used here, with what to do about it."""

    @property
    def is_available(self) -> bool:
        return self.why_not is None


@dataclass(frozen=True, slots=True)
class Changed:
    """What one step did."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Processed:
    """An answer after its steps."""

    text: str
    changes: tuple[Changed, ...] = ()
    """Of the steps that changed something, in order."""
    problems: tuple[str, ...] = ()
    """A sentence for each step that was left out."""

    @property
    def changed_by(self) -> tuple[str, ...]:
        """The names of the steps that changed something, in order."""
        return tuple(change.name for change in self.changes)


Function = Callable[[str], str]

_TRIM = Step("trim", "Trim white space", "Spaces at the end of lines and needless blank lines go; code stays as it is.")
_TYPOGRAPHY = Step(
    "typography", "Typography", "Quotes, dashes, ellipses and non-breaking spaces as the answer's language sets them."
)
_GRAMMAR = Step(
    "grammar", "Grammar and style", "English: what Harper has one sure correction for. The first use takes a second."
)
_NO_GRAMMAR = Step(
    _GRAMMAR.name, _GRAMMAR.label, _GRAMMAR.hint, f"Harper is not installed. Run: pip install '{HARPER}', and restart."
)


def steps() -> tuple[Step, ...]:
    """Return all steps there are, those that cannot be used among them."""
    return tuple(step for step, _ in _table().values())


def label_of(name: str) -> str:
    """Return what a step is called on the page; its name where it is not known here."""
    known = _table().get(name)
    return known[0].label if known else name


def read_names(text: str) -> tuple[str, ...]:
    """Return the names of steps in a list such as `trim,typography`; each once.

    Raises:
        InputError: one of them is no step.
    """
    names = tuple(dict.fromkeys(filter(None, (name.strip().lower() for name in text.split(",")))))
    for name in names:
        if name not in _table():
            raise InputError(f"There is no step {name[:50]!r}. Steps are {', '.join(_table())}.")
    return names


def prepare(names: Iterable[str]) -> None:
    """Load what these steps need, so that the first answer need not wait for it."""
    if "grammar" in names and has_grammar():
        load_grammar()


def run(text: str, names: Sequence[str]) -> Processed:
    """Return what these steps make of an answer, one after the other. Never raises: a step that cannot is left out."""
    if len(text) > MAX_CHARS:
        said = f"The answer has {len(text):,} characters; above {MAX_CHARS:,} it stays as it is."
        return Processed(text, problems=(said,) if names else ())
    changes: list[Changed] = []
    problems: list[str] = []
    now = clean_text(text).replace("\r\n", "\n").replace("\r", "\n")
    for name in names:
        try:
            after = _function(name)(now)
        except StepError as error:
            problems.append(str(error))
        except Exception:  # an answer is worth more than a step
            _log.exception("the step %r failed on %d characters", name, len(now))
            problems.append(f"The step {name!r} was left out: it failed unexpectedly. See the log.")
        else:
            if after != now:
                changes.append(Changed(name, now, after))
            now = after
    return Processed(now if changes else text, tuple(changes), tuple(problems))


def _function(name: str) -> Function:
    known = _table().get(name)
    if known is None:
        raise StepError(f"The step {name[:50]!r} was left out: there is none of that name here.")
    step, function = known
    if step.why_not is not None and not isinstance(function, Own):
        raise StepError(f"The step {name!r} was left out. {step.why_not}")
    return function


def _table(own: Iterable[Own] | None = None) -> dict[str, tuple[Step, Function]]:
    """Return all steps by name, ours first; a step of others does not take the name of one of ours."""
    ours: tuple[tuple[Step, Function], ...] = (
        (_TRIM, trim),
        (_TYPOGRAPHY, typography),
        (_GRAMMAR if has_grammar() else _NO_GRAMMAR, grammar),
    )
    table: dict[str, tuple[Step, Function]] = {step.name: (step, function) for step, function in ours}
    for one in own_steps() if own is None else own:
        table.setdefault(one.name, (Step(one.name, one.name, one.hint, one.why_not), one))
    return table
