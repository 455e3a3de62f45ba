"""`plan`: a publishing plan, asked for as a conversation and printed as whatever is wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, assert_never

from services import plans
from services.door import Answer, Begun, Door, Question, no_key, with_set
from services.errors import InputError
from services.messages import new_id
from services.options import Options
from services.plans import Item, Plan, Wish
from services.statistics import day_from
from services.terminal.ending import DONE, INCOMPLETE, UNEXPECTED, code_of, meta_of, say, tell
from services.terminal.following import Following
from services.terminal.given import flag_of
from services.terminal.output import ClosedError, Output
from services.terminal.session import Interrupts, Session
from services.terminal.tables import table

Form = Literal["bullets", "table", "json", "csv", "ics"]

_JSON = ("response_format", "text")
"""Fields of a request that ask for JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """What `plan` was told to do."""

    wish: Wish
    options: Options
    form: Form = "bullets"
    meta: bool = False


def wish_of(topic: str, items: int, start: str | None, channels: str | None, audience: str | None) -> Wish:
    """Return what was typed; InputError where it is no wish."""
    day = day_from("--start", start) if start else datetime.now().astimezone().date() + timedelta(days=1)
    names = tuple(dict.fromkeys(filter(None, (name.strip() for name in (channels or "").split(",")))))
    return Wish(topic=topic, items=items, start=day, channels=names, audience=audience)


def form_of(chosen: Mapping[Form, bool]) -> Form:
    """Return how a plan is printed; InputError where several ways are chosen."""
    forms = [form for form, wanted in chosen.items() if wanted]
    if len(forms) > 1:
        raise InputError(f"A plan is printed in one way. Leave out --{forms[1]}.")
    return forms[0] if forms else "bullets"


async def plan(session: Session, planning: Planning, interrupts: Interrupts) -> int:
    """Have a plan made, print it, and return the exit code.

    Raises:
        PanelistError: it could not be asked for.
    """

    def check() -> None:
        if session.settings.first_run and planning.options.endpoint is None:
            raise no_key()

    async with session.door(check) as door:
        asking = _Asking(session, door, interrupts)
        answer = await asking.first(planning)
        made = plans.read(answer.text, planning.wish)
        if answer.status == "complete" and made.problems:
            answer = await asking.next(answer.conversation_id, plans.again(made.problems))
            second = plans.read(answer.text, planning.wish)
            made = second if second.items else made
    as_json = planning.form == "json"
    if planning.meta:
        say(meta_of(answer))
    if made.items:
        with suppress(ClosedError):
            await _print(made.items, planning, answer)
    if answer.status != "complete":
        tell(answer, as_json=as_json)
        return code_of(answer)
    return _told(made, answer)


def _told(made: Plan, answer: Answer) -> int:
    """Say what is wrong with a plan, and return the exit code."""
    kept = f"Conversation {answer.conversation_id} has what the model said."
    if not made.items:
        say(f"The model made no plan that can be read. {kept} Ask again, or name another one with --model.")
        return UNEXPECTED
    if made.problems:
        say(f"Not all of the plan can be used: {' '.join(made.problems[:3])} {kept}")
        return INCOMPLETE
    return DONE


class _Asking:
    """Asks for a plan in one conversation."""

    def __init__(self, session: Session, door: Door, interrupts: Interrupts) -> None:
        self._session = session
        self._door = door
        self._interrupts = interrupts

    async def first(self, planning: Planning) -> Answer:
        """Ask, in JSON mode where that is taken."""
        asked = replace(planning.options, answers=None)  # a plan is one answer
        wanted = with_set(Options(system_prompt=plans.RULES, output="json"), asked)
        begun = await self._door.ask(
            Question(text=plans.question_of(planning.wish), options=wanted, request_key=new_id())
        )
        for name in begun.left_out:
            if name != "output":
                say(f"The endpoint takes no {flag_of(name)}, so it was left out.")
        answer = await self._answer(begun)
        failure = answer.failure
        if failure is not None and failure.parameter in _JSON:
            await self._door.set_options(begun.conversation_id, replace(wanted, output=None))
            answer = await self._answer(await self._door.retry(begun.conversation_id, begun.message_id))
        return answer

    async def next(self, conversation_id: str, text: str) -> Answer:
        """Say something more."""
        return await self._answer(
            await self._door.ask(Question(text=text, conversation_id=conversation_id, request_key=new_id()))
        )

    async def _answer(self, begun: Begun) -> Answer:
        return await Following(self._session, self._door, begun, show=False).answer(self._interrupts)


async def _print(items: Sequence[Item], planning: Planning, answer: Answer) -> None:
    output = Output()
    match planning.form:
        case "bullets":
            output.write(plans.bullets(items))
        case "table":
            output.write(table(output, plans.HEAD, [plans.cells(item) for item in items]))
        case "json":
            said = {
                "conversation_id": answer.conversation_id,
                "topic": planning.wish.topic,
                "items": plans.plain(items),
            }
            output.write(json.dumps(said, ensure_ascii=False, indent=2))
        case "csv":
            output.write(plans.sheet(items))
        case "ics":
            made = plans.calendar(items, planning.wish.topic, answer.conversation_id, datetime.now(UTC))
            output.write(made.decode())
        case _:
            assert_never(planning.form)
    await output.end()
