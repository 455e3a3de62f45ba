"""The door to how answers were written: who was asked, who answered, how long it took, what it cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from services import prices
from services.asking import recipe_of, request_of
from services.connect import Connections
from services.conversation import Difference, RunRecord, Written, Wrote, differences
from services.errors import InputError, ModelError, NotFoundError
from services.events import KeyRefused, RequestSent, RetryScheduled, RunEvent, StepFinished, StepStarted, is_delta
from services.messages import Message, ReasoningPart
from services.options import Options
from services.prices import price_of
from services.providers.bodies import body_of, hash_of, path_of
from services.providers.bodies import written as as_sent
from services.recipes import Recipe, as_it_was
from services.runner import RunLog, RunManager
from services.snippets import Asked
from services.storage.codec import failure_to_json
from services.storage.store import Store
from services.system_prompts import SystemPrompts
from services.usage import Usage

E = TypeVar("E", bound=RunEvent)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetails:
    """One run that wrote an answer, or part of it."""

    run: RunRecord
    asked: str | None
    """The model as it was asked for; `run.model` is the one that answered."""
    raw_reason: str | None
    """The endpoint's own word for why the model stopped."""
    retries: tuple[RetryScheduled, ...]
    """The tries after the first, each with why the one before it failed."""
    refused_keys: tuple[KeyRefused, ...]
    """Those after which the next one was tried."""
    price: int | None
    """Nanodollars; None where nobody knows."""
    tokens_per_s: float | None
    """Of the answer as it was written, from its first token on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerDetails:
    """How an answer came to be."""

    message: Message
    runs: tuple[RunDetails, ...]
    """In the order in which they began, several where it was gone on with; none where it was written elsewhere."""
    price: int | None
    """Of all of them, in nanodollars; None where it is unknown of one."""


Truth = Literal["same", "different", "unsent", "guessed"]
"""How a request that is made again stands to the one that went out: it is the same, byte by byte; it is not, because
something of it is gone; none went out; or it is made of what holds today, because what held then was not kept."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The request of a run, made again."""

    asked: Asked
    truth: Truth


class Details:
    """How an owner's answers were written. Every method takes the owner first and sees nothing of anybody else."""

    def __init__(self, store: Store, runs: RunManager, connections: Connections, prompts: SystemPrompts) -> None:
        self._prompts = prompts
        self._store = store
        self._runs = runs
        self._connections = connections

    async def of(self, owner: str, conversation_id: str, message_id: str) -> AnswerDetails:
        """Return how an answer was written; of one that is being written, as far as it has come.

        Raises:
            NotFoundError: there is no such answer for this owner.
        """
        written = await self._written(owner, conversation_id, message_id)
        # The first price has the list of prices read, which takes longer than the event loop may wait.
        return await asyncio.to_thread(self._details, written)

    async def request(self, owner: str, conversation_id: str, message_id: str, run_id: str) -> Rebuilt:
        """Return what a run of an answer asked, made again of what is stored, by the code that makes requests.

        Raises:
            InputError: it cannot be made any more; the sentence says why.
            NotFoundError: there is no such run of this answer for this owner.
        """
        wrote, path, recipe = await self._recipe(owner, conversation_id, message_id, run_id)
        try:
            request = await request_of(self._store, owner, path, recipe)
        except ModelError as error:
            raise InputError(f"The request cannot be made again: {error.failure.message}") from error
        body = await asyncio.to_thread(body_of, request)
        sent = _of(RequestSent, wrote)
        if wrote.recipe is None:
            truth: Truth = "guessed"
        elif not sent:
            truth = "unsent"
        else:
            same = await asyncio.to_thread(lambda: hash_of(as_sent(body, large=request.is_large)) == sent[-1].sha256)
            truth = "same" if same else "different"
        return Rebuilt(Asked(recipe.endpoint, path_of(recipe.endpoint), body), truth)

    async def options(self, owner: str, conversation_id: str, message_id: str, run_id: str) -> Options:
        """Return the options that ask for one answer as a run did, with its model and the system prompt that held.

        Raises:
            InputError: that cannot be told any more; the sentence says why.
            NotFoundError: there is no such run of this answer for this owner.
        """
        _, _, recipe = await self._recipe(owner, conversation_id, message_id, run_id)
        return replace(_options_of(recipe), answers=None)

    async def _recipe(
        self, owner: str, conversation_id: str, message_id: str, run_id: str
    ) -> tuple[Wrote, Sequence[Message], Recipe]:
        """Return a run, the path to its answer, and what it asked with."""
        written = await self._written(owner, conversation_id, message_id)
        wrote = next((one for one in written.runs if one.run.id == run_id), None)
        if wrote is None:
            raise NotFoundError("What was asked for this answer is not known any more.")
        try:
            path = await self._store.path(owner, wrote.run.conversation_id, wrote.run.message_id)
            return wrote, path, wrote.recipe or await self._guessed(owner, written.message, wrote, path)
        except NotFoundError as error:
            raise InputError("The original of this copy was removed, and what was asked with it.") from error
        except ModelError as error:
            raise InputError(f"The request cannot be made again: {error.failure.message}") from error

    async def differences(self, owner: str, conversation_id: str, one_id: str, other_id: str) -> tuple[Difference, ...]:
        """Return what differs in how two answers were asked for.

        Raises:
            NotFoundError: one of them is not there for this owner.
        """
        one, other = [await self._written(owner, conversation_id, id) for id in (one_id, other_id)]
        asked = [found.runs[-1].recipe if found.runs else None for found in (one, other)]
        before, after = asked
        if before is None or after is None:  # of one of them less is known, and that is no difference
            return differences(one.message, other.message)
        return differences(_asked(one.message, before), _asked(other.message, after))

    async def _written(self, owner: str, conversation_id: str, message_id: str) -> Written:
        written = await self._store.written(owner, conversation_id, message_id)
        if written.message.role != "assistant":
            raise NotFoundError("There are details of answers only, and this is a question.")
        live = [self._runs.log_of(wrote.run.id) for wrote in written.runs]
        return replace(written, runs=tuple(map(_as_it_is, written.runs, live)))

    async def _guessed(self, owner: str, message: Message, wrote: Wrote, path: Sequence[Message]) -> Recipe:
        """Return what a run would ask with today; of one that is older than recipes nothing else is known.

        Raises:
            InputError: nothing was asked.
            ModelError: its endpoint is not set up any more.
        """
        steps = _of(StepStarted, wrote)
        run, options = wrote.run, message.options or Options()
        model = steps[-1].model if steps else options.model or run.model
        if model is None or (run.status == "failed" and not steps):
            raise InputError("Nothing was asked: it failed before that.")
        here = await self._store.conversation(owner, run.conversation_id)
        prompt = await self._prompts.of(owner, options, here.folder_id)
        beginning = [*path[:-1], as_it_was(path[-1], None)]
        return recipe_of(beginning, self._connections.get(run.endpoint), model, options, prompt)

    def _details(self, written: Written) -> AnswerDetails:
        prices.load()
        runs = tuple(self._run(written.message, wrote) for wrote in written.runs)
        message = written.message
        if runs:
            known = [run.price for run in runs if run.price is not None]
            price = sum(known) if len(known) == len(runs) else None
        else:
            price = self._price(message.usage, message, message.model, message.endpoint)
        return AnswerDetails(message=message, runs=runs, price=price)

    def _run(self, message: Message, wrote: Wrote) -> RunDetails:
        run = wrote.run
        steps, ends = _of(StepStarted, wrote), _of(StepFinished, wrote)
        options = message.options or Options()
        asked = steps[-1].model if steps else options.model if run.id == message.run_id else None
        return RunDetails(
            run=run,
            asked=asked,
            raw_reason=ends[-1].raw if ends else None,
            retries=_of(RetryScheduled, wrote),
            refused_keys=_of(KeyRefused, wrote),
            price=self._price(run.usage, message, run.model, run.endpoint, run=run, asked=asked),
            tokens_per_s=_speed(run, message),
        )

    def _price(
        self,
        usage: Usage | None,
        message: Message,
        model: str | None,
        endpoint: str | None,
        *,
        run: RunRecord | None = None,
        asked: str | None = None,
    ) -> int | None:
        if usage is None or endpoint is None or not self._connections.knows(endpoint):
            return None
        at = message.created_at if run is None else run.started_at
        tier = message.options.service_tier if message.options is not None else None
        return price_of(usage, self._connections.get(endpoint), model, asked, at=at, service_tier=tier)


def plain_of(details: AnswerDetails) -> dict[str, Any]:
    """Return the details as JSON has them, without what the answer says."""
    from services.exporting import plain_options, plain_run  # noqa: PLC0415 - comes with all that renders

    message = details.message
    return {
        "message": message.id,
        "status": message.status,
        "endpoint": message.endpoint,
        "model": message.model,
        "options": None if message.options is None else plain_options(message.options),
        "price_usd": None if details.price is None else details.price / prices.NANOS,
        "runs": [
            {
                **plain_run(one.run),
                "asked_model": one.asked,
                "raw_finish_reason": one.raw_reason,
                "retries": [
                    {"attempt": retry.attempt, "of": retry.of, "failure": json.loads(failure_to_json(retry.failure))}
                    for retry in one.retries
                ],
                "refused_keys": [refused.key for refused in one.refused_keys],
                "price_usd": None if one.price is None else one.price / prices.NANOS,
                "tokens_per_s": one.tokens_per_s,
            }
            for one in details.runs
        ],
    }


def _asked(message: Message, recipe: Recipe) -> Message:
    """Return an answer with the options that hold for it, wherever they are from."""
    return replace(message, options=_options_of(recipe))


def _options_of(recipe: Recipe) -> Options:
    """Return what a run asked with as options that say all of it."""
    options = replace(recipe.options, system_prompt=recipe.system_prompt)
    return replace(options, endpoint=recipe.endpoint.name, model=recipe.model)


def _as_it_is(wrote: Wrote, live: RunLog | None) -> Wrote:
    """Return a run with what storage has not got yet."""
    if live is None:
        return wrote
    reply = live.reply
    run = replace(
        wrote.run,
        model=reply.model or wrote.run.model,
        first_token_s=live.meter.first_token_s,
        finish_reason=reply.finish_reason,
        response_id=reply.response_id,
        request_id=reply.request_id,
        usage=reply.usage,
    )
    events = tuple(numbered for numbered in live.events if not is_delta(numbered.event))
    return Wrote(run, events, live.recipe)


def _of(kind: type[E], wrote: Wrote) -> tuple[E, ...]:
    return tuple(numbered.event for numbered in wrote.events if isinstance(numbered.event, kind))


def _speed(run: RunRecord, message: Message) -> float | None:
    """Return the tokens of a second, from the first that came on.

    Those of a reasoning that nothing was shown of were spent before.
    """
    if run.usage is None or run.first_token_s is None or run.total_s is None:
        return None
    thoughts = any(isinstance(part, ReasoningPart) and part.text for part in message.parts)
    tokens = run.usage.output - (0 if thoughts else run.usage.reasoning)
    seconds = run.total_s - run.first_token_s
    return tokens / seconds if tokens > 0 and seconds > 0 else None
