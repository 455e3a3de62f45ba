"""The door of the process that has the database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from services.attachments import Piece, Progress
from services.chat import ChatService, Opened
from services.connect import Connections
from services.conversation import Conversation
from services.door import Answer, Begun, Door, Happened, Question, Said, ToolCall, no_key, with_set
from services.errors import InputError, NotFoundError
from services.events import TokensScored, merged
from services.messages import ErrorPart, Message, ReasoningPart, ToolCallPart
from services.options import Options
from services.parameters import PARAMETERS, offered, value_of
from services.settings import suggestion

_BUSY = "An answer is still being written in this conversation. Ask when it has ended, or begin a new one."


class OwnDoor(Door):
    """The door of the process that has the database."""

    def __init__(self, owner: str, chat: ChatService, connections: Connections) -> None:
        self._owner = owner
        self._chat = chat
        self._connections = connections

    async def ask(self, question: Question) -> Begun:
        here = question.conversation_id
        options, waiting = question.options, frozenset[str]()
        if options.endpoint is not None and not self._connections.knows(options.endpoint):
            names = await self.endpoints()
            hint = suggestion(options.endpoint, names) or f" There are: {', '.join(names)}."
            raise InputError(f"There is no endpoint {options.endpoint!r}.{hint}")
        if here is not None:
            before = (await self._chat.conversation(self._owner, here)).options
            options = with_set(before, question.options)
            if self._chat.writing(self._owner, here):
                raise InputError(_BUSY)
            waiting = await self._waiting(here)
        if options.endpoint is None and self._connections.first_run:
            raise no_key()
        if here is not None and options != before:
            await self._chat.set_options(self._owner, here, options)
        warned = self._warned()
        opened = await self._chat.send(
            self._owner,
            question.text,
            attachments=question.attachments,
            conversation_id=here,
            options=options if here is None else None,
            request_key=question.request_key,
        )
        left_out = self._left_out(question.options, options.endpoint)
        for queued in opened.waiting.messages:
            if queued.id not in waiting and queued.text == question.text.strip("\n"):  # another one was faster
                return self._begun(await self._not_waiting(opened, queued.id), warned, left_out)
        return self._begun(opened, warned, left_out)

    async def retry(self, conversation_id: str, message_id: str) -> Begun:
        warned = self._warned()
        return self._begun(await self._chat.retry(self._owner, conversation_id, message_id, anyway=True), warned)

    async def follow(self, run_id: str, after: int = 0) -> AsyncGenerator[Happened, None]:
        async with aclosing(self._chat.follow(self._owner, run_id, after)) as batches:
            async for batch in batches:
                yield Happened(
                    batch[-1].seq, tuple(merged(one.event for one in batch if not isinstance(one.event, TokensScored)))
                )

    async def stop(self, run_id: str) -> None:
        self._chat.stop(self._owner, run_id)

    async def answer(self, conversation_id: str, message_id: str, warned: int = 0) -> Answer:
        details = await self._chat.details.of(self._owner, conversation_id, message_id)
        run = details.runs[-1].run if details.runs else None
        message, last = details.message, self._chat.budgets.warned(self._owner)
        thoughts = [part.text for part in message.parts if isinstance(part, ReasoningPart) and part.text]
        return Answer(
            conversation_id=conversation_id,
            message_id=message.id,
            status=message.status,
            text=message.text,
            reasoning="".join(thoughts) or None,
            endpoint=message.endpoint,
            model=message.model,
            finish_reason=run.finish_reason if run else None,
            usage=message.usage,
            price=details.price,
            first_token_s=run.first_token_s if run else None,
            total_s=run.total_s if run else None,
            tool_calls=tuple(
                ToolCall(part.id, part.name, part.arguments) for part in message.parts if isinstance(part, ToolCallPart)
            ),
            failure=next((part.failure for part in reversed(message.parts) if isinstance(part, ErrorPart)), None),
            request_id=run.request_id if run else None,
            problems=message.processed.problems if message.processed else (),
            warning=last.sentence if last is not None and last.number > warned else None,
        )

    async def trouble(self) -> str | None:
        return self._chat.trouble

    async def conversations(self, limit: int) -> tuple[Conversation, ...]:
        return await self._chat.catalogue.conversations(self._owner, limit)

    async def conversation(self, conversation_id: str) -> Conversation:
        return await self._chat.conversation(self._owner, conversation_id)

    async def said(self, conversation_id: str, last: int) -> tuple[Said, ...]:
        path = (await self._chat.open(self._owner, conversation_id)).path
        return tuple(_said(message) for message in path[len(path) - min(last, len(path)) :])

    async def set_options(self, conversation_id: str, options: Options) -> None:
        await self._chat.set_options(self._owner, conversation_id, options)

    async def attach(self, piece: Piece) -> Progress:
        return await self._chat.attach(self._owner, piece)

    async def endpoints(self) -> tuple[str, ...]:
        return tuple(endpoint.name for endpoint in self._connections.endpoints())

    async def models(self, endpoint: str | None) -> tuple[str, ...]:
        return tuple(await self._connections.models(self._connections.get(endpoint).name))

    async def _not_waiting(self, opened: Opened, queued_id: str) -> Opened:
        """Take back a question that waits; where its turn has come meanwhile, return the conversation up to it."""
        here = opened.conversation.id
        try:
            await self._chat.unqueue(self._owner, here, queued_id)
        except NotFoundError:
            now = await self._chat.open(self._owner, here)
            place = next((place for place, message in enumerate(now.path) if message.id == queued_id), None)
            if place is not None and place + 1 < len(now.path):
                return replace(now, path=now.path[: place + 2])
        raise InputError(_BUSY)

    async def _waiting(self, conversation_id: str) -> frozenset[str]:
        waiting = await self._chat.waiting(self._owner, conversation_id)
        return frozenset(queued.id for queued in waiting.messages)

    def _warned(self) -> int:
        last = self._chat.budgets.warned(self._owner)
        return last.number if last is not None else 0

    def _left_out(self, given: Options, endpoint: str | None) -> tuple[str, ...]:
        """Return the names of what was given that the endpoint of a conversation does not take."""
        if endpoint is not None and not self._connections.knows(endpoint):
            return ()  # which the answer says
        taken = offered(self._connections.get(endpoint))
        return tuple(one.name for one in PARAMETERS if value_of(given, one) is not None and one not in taken)

    @staticmethod
    def _begun(opened: Opened, warned: int, left_out: Sequence[str] = ()) -> Begun:
        if not opened.path or opened.path[-1].role != "assistant":
            raise NotFoundError("The conversation was deleted in the moment that it was asked in. Ask again.")
        return Begun(
            conversation_id=opened.conversation.id,
            message_id=opened.path[-1].id,
            run_id=opened.run_id,
            beside=tuple(run_id for id, run_id in opened.runs.items() if id != opened.path[-1].id),
            left_out=tuple(left_out),
            warned=warned,
        )


def _said(message: Message) -> Said:
    files = tuple(part.name for part in message.attachments)
    return Said(message.role, message.text, message.status, message.id, files)
