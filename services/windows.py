"""How many tokens models take: by the file of endpoints, else as servers said themselves, else by the price list."""

from __future__ import annotations

from collections.abc import Mapping

from services.endpoints import Endpoint
from services.errors import Failure
from services.prices import facts_of, window_of
from services.usage import Usage

_MOST = 10_000
"""Models that are remembered; a list of models can be of any length."""


class Windows:
    """What servers said, for as long as the process lives: what a server has loaded changes when it is started anew."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], int] = {}

    def of(self, endpoint: Endpoint, model: str) -> int | None:
        """Return how many tokens a model takes, question and answer together; None where nobody knows."""
        own = facts_of(endpoint, model).context_window
        return own or self._said.get((endpoint.name, model)) or window_of(endpoint, model)

    def listed(self, endpoint: Endpoint, windows: Mapping[str, int]) -> None:
        """Note what a list of models says."""
        for model, window in windows.items():
            self._note(endpoint, model, window)

    def answered(self, endpoint: Endpoint, model: str, failure: Failure | None, usage: Usage | None) -> None:
        """Note what an answer, or the refusal of one, says."""
        if failure is not None and failure.kind == "too_long" and failure.window is not None:
            self._note(endpoint, model, failure.window)
        elif usage is not None and usage.input > self._said.get((endpoint.name, model), usage.input):
            del self._said[endpoint.name, model]  # it takes more than it once said

    def _note(self, endpoint: Endpoint, model: str, window: int) -> None:
        if not endpoint.is_demo and len(self._said) < _MOST:  # what the demo says is prepared text
            self._said[endpoint.name, model] = window
