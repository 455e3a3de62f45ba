"""Short words to the person, with an undo where there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from services.errors import PanelistError
from services.messages import new_id


@dataclass(frozen=True, slots=True)
class Notice:
    """A short word to the person, with an undo where there is one."""

    text: str
    kind: Literal["info", "error"] = "info"
    undo: Callable[[], Awaitable[None]] | None = None
    mark: str = field(default_factory=new_id)
    """Tells an undo of this notice from one that arrives late, of an earlier."""


class Told(Protocol):
    """Whatever shows notices."""

    notice: Notice | None


class telling:
    """Turns an error of an intent into a notice."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, PanelistError):
            self._told.notice = Notice(str(error), "error")
            return True
        return False
