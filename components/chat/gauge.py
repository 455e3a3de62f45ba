"""How long the message is that is being typed, as the text box says it, and what it offers when that is too long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypedDict

import param

from components.chat import attaching
from components.fitting import Decision
from components.state import ConversationState
from components.temporary import BLANK
from services.chat import MAX_TEXT
from services.errors import InputError, PanelistError
from services.estimates import Estimate
from services.fitting import Choices, Progress, too_long
from services.messages import clean_text
from services.prices import in_dollars

log = logging.getLogger(__name__)

SETTLE_S = 0.3
"""Seconds after a change of the conversation, its model or options until it is measured anew."""

TELL_S = 0.2
"""Between two words on how far a summary has come."""

_WATCHED = ["conversation", "path", "run_id", "choice", "options", "folder", "temporary"]

Tell = Callable[[dict[str, Any]], None]


class WeightView(TypedDict):
    """What the page shows of an estimate."""

    say: str
    """Empty where there is nothing to be counted."""
    parts: list[tuple[str, int]]
    about: str
    total: int
    window: int | None
    over: bool
    room: int | None
    """Tokens that the question could have."""
    factor: float


def weight_view(found: Estimate, *, empty: bool) -> WeightView:
    """Return what is shown of an estimate; `empty`: nothing was said or typed yet."""
    free = [] if found.window is None else [("Free", max(0, found.window - found.total - found.room))]
    parts = [
        ("System prompt", found.system),
        ("History", found.history),
        ("Attachments", found.attachments),
        ("This message", found.question),
        ("Room for the answer", found.room),
        *free,
    ]
    return {
        "say": "" if empty else f"about {found.total:,} tokens, {_price(found.price)}",
        "parts": [(name, tokens) for name, tokens in parts if tokens or name in {"History", "This message", "Free"}],
        "about": _about(found),
        "total": found.total,
        "window": found.window,
        "over": found.over,
        "room": None if found.window is None else found.window - found.room - (found.total - found.question),
        "factor": found.factor,
    }


def _price(nanos: int | None) -> str:
    if nanos is None:
        return "price unknown"
    return f"about {in_dollars(nanos)}" if nanos else "free"


def _about(found: Estimate) -> str:
    model = found.model or "The model"
    if found.window is None:
        takes = f"How many tokens {found.model or 'the model'} takes is unknown."
    else:
        takes = f"{model} takes {found.window:,} tokens, its answer included."
    counted = "put right by what its server counted" if found.factor != 1 else "exact for OpenAI's, about for others"
    return f"{takes} Counted with OpenAI's vocabulary, {counted}. The price is that of what is sent."


def choices_view(choices: Choices, labels: dict[tuple[str, str], str]) -> dict[str, Any]:
    """Return what is said of a message that is too long, and what can be done."""
    found = choices.estimate
    say = too_long(found)
    acts: list[dict[str, str]] = []
    if choices.trim:
        acts.append({"how": "trim", "label": f"Leave out the oldest {_messages(choices.trim)}"})
    if choices.summarise:
        acts.append({"how": "summarise", "label": f"Summarise the oldest {_messages(choices.summarise)}"})
    for endpoint, model, window in choices.larger:
        label = labels[endpoint, model]
        acts.append({"how": "model", "label": f"Switch to {label} ({window:,} tokens)", "model": label})
    acts.append({"how": "picker", "label": "Choose another model"})
    if not choices.trim:
        say += " Nothing before it can be left out for that."
    return {"say": say, "list": acts, "over": found.over}


def _messages(count: int) -> str:
    return "message" if count == 1 else f"{count:,} messages"


class Gauge:
    """Measures what the page tells of its draft, anew when something else changes; of several requests the last."""

    def __init__(self, state: ConversationState, tell: Tell, on_choose_model: Callable[[], None]) -> None:
        self._state = state
        self._tell = tell
        self._on_choose_model = on_choose_model
        self._draft = b""  # in UTF-16, as the page counts
        self._files: list[tuple[str, str]] = []
        self._to: str | None = None
        self._number = 0
        self._wanted = 0
        self._measuring = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling: asyncio.TimerHandle | None = None
        state.param.watch(self._on_change, _WATCHED)
        state.fitting.param.watch(self._on_progress, "progress")
        state.fitting.param.watch(self._on_offer, "offer")

    def begin(self) -> None:
        """The page is there, for the first time or again, and has told nothing yet."""
        self._draft, self._files, self._number = b"", [], 0
        if self._state.fitting.offer is not None:
            self._on_offer()

    def sent(self) -> None:
        """The draft was sent: the page takes it for empty."""
        self._draft, self._files = b"", []

    async def hear(self, data: object) -> None:
        """Take a word of the page. What is none of ours does nothing."""
        match data:
            case {
                "type": "weigh",
                "number": int(number),
                "conversation": str() | None as to,
                "of": int(of),
                "at": int(at),
                "cut": int(cut),
                "text": str(text),
                "files": files,
            }:
                self._number, self._to = number, to
                if not self._change(of, at, cut, text):
                    self._tell({"type": "weigh_again"})
                    return
                try:
                    self._files = attaching.as_named(files)
                except InputError:
                    self._files = []
                await self._measure()
            case {"type": "choices", "conversation": str() | None as to} if to == self._here:
                self._tell({"type": "choices", **await self._choices()})
            case {"type": "decide", "how": "trim" | "summarise" | "anyway" | "no" as how}:
                self._state.fitting.decide(Decision(how))
            case {"type": "decide", "how": "model", "model": str(label)}:
                self._state.fitting.decide(Decision("model", label))
            case {"type": "decide", "how": "picker"}:
                self._state.fitting.decide(Decision("picker"))
                self._on_choose_model()
            case {"type": "shorten", "how": "stop"}:
                self._state.fitting.stop()
            case {"type": "shorten", "how": "picker"}:
                self._on_choose_model()
            case {"type": "shorten", "conversation": str() | None as to}:
                why = await self._shorten(data) if to == self._here else "The page shows another conversation by now."
                acts = (await self._choices())["list"] if why else []
                self._tell({"type": "fitted", "why": why, "list": acts})

    def _change(self, of: int, at: int, cut: int, text: str) -> bool:
        """Change the draft as the page's was; say whether it had been the same."""
        if of * 2 != len(self._draft) or at < 0 or cut < 0 or at + cut > of or of + len(text) > 2 * MAX_TEXT:
            self._draft = b""
            return False
        put_in = text.encode("utf-16-le", "surrogatepass")
        self._draft = self._draft[: 2 * at] + put_in + self._draft[2 * (at + cut) :]
        return True

    @property
    def _here(self) -> str | None:
        state = self._state
        return state.conversation.id if state.conversation else BLANK if state.temporary else None

    @property
    def _text(self) -> str:
        return clean_text(self._draft.decode("utf-16-le", "surrogatepass"))

    async def _measure(self) -> None:
        self._wanted += 1
        wanted = self._wanted
        async with self._measuring:
            if wanted != self._wanted or self._to != self._here:
                return  # another one follows, or when the page and this are at the same place
            number, draft = self._number, (self._text, self._files)
            view: WeightView | None = None
            try:
                found = await self._state.fitting.estimate(draft)
                empty = not (draft[0] or draft[1] or self._state.path)
                view = weight_view(found, empty=empty)
            except PanelistError as error:
                log.info("a draft could not be measured: %s", error)
            except Exception:  # the last wall: the page waits for a word
                log.exception("a draft could not be measured")
        self._tell({"type": "weight", "number": number, "view": view})

    def _on_change(self, *_: object) -> None:
        if self._number and self._state.run_id is None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(SETTLE_S, self._measure_soon)

    def _measure_soon(self) -> None:
        task = asyncio.create_task(self._measure())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _choices(self) -> dict[str, Any]:
        try:
            return choices_view(*await self._state.fitting.choices((self._text, self._files)))
        except PanelistError as error:
            return {"say": str(error), "list": [], "over": True}

    def _on_offer(self, *_: object) -> None:
        """Offer what can be done about something else than the draft; nothing, where that is decided."""
        offer = self._state.fitting.offer
        if offer is None:
            self._tell({"type": "asks", "say": "", "list": [], "focus": False})
            return
        view = choices_view(offer.choices, offer.labels)
        self._tell({"type": "asks", "say": offer.why or view["say"], "list": view["list"], "focus": offer.asked})

    async def _shorten(self, data: object) -> str:
        """Do what a person chose; return why it was not done, or nothing."""
        try:
            match data:
                case {"how": "trim" | "summarise" as how}:
                    await self._state.fitting.fit((self._text, self._files), how)
                case {"how": "model", "model": str(label)}:
                    await self._state.choose(label)
        except PanelistError as error:
            return str(error)
        except Exception:  # the last wall: the page waits for a word
            log.exception("a conversation could not be made shorter")
            return "Something unforeseen went wrong in Panelist; its log says more. Your text is still here."
        return ""

    def _on_progress(self, event: param.parameterized.Event) -> None:
        if event.new is None or self._telling is None:
            self._tell_progress()

    def _tell_progress(self) -> None:
        """Tell how far a summary has come, and a little later how far it has come by then."""
        if self._telling is not None:
            self._telling.cancel()
        progress = self._state.fitting.progress
        self._tell({"type": "summing", "say": progress_words(progress) if progress is not None else ""})
        later = asyncio.get_running_loop().call_later
        self._telling = None if progress is None else later(TELL_S, self._tell_rest, progress)

    def _tell_rest(self, told: Progress) -> None:
        self._telling = None
        if self._state.fitting.progress is not told:
            self._tell_progress()


def progress_words(progress: Progress) -> str:
    """Return how far a summary has come."""
    part = f", part {progress.part} of {progress.of}" if progress.of > 1 else ""
    words = f" {progress.words:,} word{'' if progress.words == 1 else 's'}" if progress.words else ""
    return f"Summarising the oldest {_messages(progress.messages)}{part}…{words}"
