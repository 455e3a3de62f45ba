"""Tool calls, put together from the fragments a stream brings."""

from __future__ import annotations

import json

from services.events import ToolCallRequested
from services.messages import clean_text


class _Call:
    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.name = ""
        self.arguments: list[str] = []

    @property
    def told(self) -> str:
        return "".join(self.arguments)

    @property
    def looks_whole(self) -> bool:
        try:
            return isinstance(json.loads(self.told), dict)
        except (ValueError, RecursionError):
            return False

    def missing_in(self, whole: str) -> str:
        """Return what has not come of the whole arguments; nothing where they are others."""
        return whole[len(self.told) :] if whole.startswith(self.told) else ""


class CallAssembler:
    """Collects the calls of one choice. Servers disagree on everything but the order:

    `index` may be missing, start at 1 or be 0 for all (Ollama: the ids differ); the id may be missing or empty, and
    with the name it may come once or in each fragment; arguments may come as an object instead of its text.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}

    def feed(self, fragment: object, *, whole: bool = False) -> bool:
        """Take a fragment in; say whether there was anything in it. `whole`: it repeats what came of the arguments."""
        if not isinstance(fragment, dict):
            return False
        function = fragment.get("function")
        function = function if isinstance(function, dict) else {}
        index, call_id, name = fragment.get("index"), fragment.get("id"), function.get("name")
        arguments = function.get("arguments")
        arguments = json.dumps(arguments) if isinstance(arguments, dict) else arguments
        arguments = arguments if isinstance(arguments, str) else ""
        call = self._target(
            index if isinstance(index, int) else None,
            call_id if isinstance(call_id, str) else "",
            name if isinstance(name, str) else "",
            arguments if whole else "",
        )
        call.name = call.name or (name if isinstance(name, str) else "")
        call.arguments.append(call.missing_in(arguments) if whole else arguments)
        return True

    def finish(self) -> list[ToolCallRequested]:
        """Return the calls as far as they came, in the order of their first fragments."""
        return [
            ToolCallRequested(clean_text(call.id) or f"call_{number}", clean_text(call.name), clean_text(call.told))
            for number, call in enumerate(self._calls, 1)
        ]

    def __bool__(self) -> bool:
        return bool(self._calls)

    def _target(self, index: int | None, call_id: str, name: str, whole: str) -> _Call:
        """Return the call that a fragment belongs to. `whole`: all its arguments, where they are known."""
        last = self._calls[-1] if self._calls else None
        call = last if index is None else self._at.get(index)
        if call_id:
            known = next((known for known in self._calls if known.id == call_id), None)
            if known is not None:
                return known
            if call is not None and not call.id and (whole.startswith(call.told) if whole else not call.looks_whole):
                call.id = call_id
                return call
            call = None
        elif call is not None and name and call.name:
            # Without an id, a name begins the next call, unless it only repeats that of a call still being written.
            call = call if name == call.name and not call.looks_whole else None
        if call is None:
            call = _Call(call_id)
            self._calls.append(call)
        if index is not None:
            self._at[index] = call
        return call
