"""The ordered list of the steps that complete answers go through, switched and moved by a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from panel.models.esm import DataEvent

from components.scripts import ScriptComponent, joined
from services.errors import InputError
from services.parameters import step_names
from services.post import Step

_HERE = Path(__file__).parent
_NOT_HERE = "There is no step of this name here."


class StepsList(ScriptComponent):
    """All steps there are; `names` are those that are switched on, in order, None for those that hold everywhere."""

    _esm = joined(_HERE, "steps")
    _stylesheets = [(_HERE / "steps.css").read_text("utf-8")]  # noqa: RUF012 - Panel's own class attribute

    def __init__(self, load: Callable[[], Awaitable[Sequence[Step]]], **params: Any) -> None:
        """Take what finds out which steps there are; it is asked once the page is there, which need not wait for it."""
        super().__init__(**params)
        self.on_msg(self._on_message)
        self.names: tuple[str, ...] | None = None
        self._load = load
        self._steps: Sequence[Step] = ()
        self._everywhere: tuple[str, ...] = ()

    def fill(self, everywhere: tuple[str, ...], names: tuple[str, ...] | None) -> None:
        """Show what is switched on here, and what everywhere."""
        self._everywhere, self.names = everywhere, names
        self._tell_steps()

    def _tell_steps(self) -> None:
        if not self._steps:
            return  # they are told once they are known
        known = {step.name for step in self._steps}
        # One that is switched on and no step here is shown as well, so that it can be let go.
        gone = dict.fromkeys(name for name in (*(self.names or ()), *self._everywhere) if name not in known)
        self.tell(
            {
                "type": "steps",
                "steps": [
                    {"name": step.name, "label": step.label, "hint": step.hint, "why_not": step.why_not}
                    for step in (*self._steps, *(Step(name, name, "", _NOT_HERE) for name in gone))
                ],
                "everywhere": list(self._everywhere),
                "names": None if self.names is None else list(self.names),
            }
        )

    async def _on_message(self, event: DataEvent) -> None:
        match event.data:
            case {"type": "ready"}:
                self._steps = await self._load()
                self._tell_steps()
            case {"type": "chosen", "names": names}:
                try:
                    self.names = step_names(names)
                except InputError:
                    self._tell_steps()  # it was none of ours that sent this
