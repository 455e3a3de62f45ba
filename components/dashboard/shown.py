"""What the page shows of measured requests, in words and numbers; it makes no HTML of them."""

from __future__ import annotations

from typing import Any

from components.dashboard.looking import Looked
from services.errors import FailureKind
from services.numbers import NOTHING, cost_of, percent, requests, seconds, short, words_of
from services.prices import in_dollars
from services.statistics import Costly, Instead, OfModel, Stats, Sums

TEMPORARY = "Temporary chats"
DELETED = "a deleted conversation"


def shown(looked: Looked) -> dict[str, Any]:
    """Return what the page shows; days as text, so that no time zone of the reader's moves them."""
    look, stats = looked.look, looked.stats
    order = order_of(looked.period)
    return {
        "type": "shown",
        "period": look.period,
        "first": _text(looked.selection.first),
        "last": _text(looked.selection.last),
        "brushed": None if look.brushed is None else [day.isoformat() for day in look.brushed],
        "endpoint": look.endpoint,
        "model": look.model,
        "models": [[of.endpoint, of.model, of.sums.requests] for of in looked.models],
        "empty": not looked.period.sums.requests,
        "cards": cards_of(stats),
        "days": [
            {
                "day": day.date.isoformat(),
                "price": cost_of(day.sums),
                "requests": day.sums.requests,
                "failed": day.sums.failed,
                "input": day.sums.input - min(day.sums.cached_input, day.sums.input),
                "cached": min(day.sums.cached_input, day.sums.input),
                "output": day.sums.output,
                "errors": [[place, day.errors[kind]] for place, kind in enumerate(order) if day.errors.get(kind)],
            }
            for day in stats.days
        ],
        "errors": [[words_of(kind), stats.errors.get(kind, 0)] for kind in order],
        "of_models": [row_of(of) for of in stats.models],
        "costly": [conversation_of(one) for one in looked.costly],
        "choices": [list(place) for place in looked.choices],
        "instead": None if look.instead is None else list(look.instead),
        "compared": said_of(looked.instead, stats) if look.instead is not None else "",
    }


def order_of(stats: Stats) -> list[FailureKind]:
    """Return the classes of errors in the order of their colours."""
    return list(stats.errors)


def cards_of(stats: Stats) -> list[list[str]]:
    """Return the figures at the top: what, how much, and a note each."""
    sums, first, speed = stats.sums, stats.times.first_token_s, stats.times.tokens_per_s
    failed = f"{percent(sums.failed, sums.requests)} failed"
    retries = f", {sums.retries:,} retries" if sums.retries else ""
    nearly_all = f"95 % within {seconds(first.p95)}" if first.count else ""
    half = "half of all answers" if speed.count else ""
    return [
        ["Spent", in_dollars(sums.price), notes_of(sums)],
        ["Requests", f"{sums.requests:,}", f"{failed}{retries}"],
        ["Tokens", short(sums.tokens), f"{short(sums.input)} in, {short(sums.output)} out"],
        ["First word", seconds(first.p50), nearly_all],
        ["Speed", f"{speed.p50:.0f} tokens/s" if speed.p50 is not None else NOTHING, half],
        ["From a cache", percent(sums.cached_input, sums.input), f"{short(sums.cached_input)} tokens of input"],
    ]


def notes_of(sums: Sums) -> str:
    """Return what has to be known beside a price."""
    notes = []
    if sums.unpriced:
        notes.append(f"{sums.unpriced:,} of unknown price")
    if sums.guessed:
        notes.append(f"{in_dollars(sums.guessed)} of it estimated")
    return ", ".join(notes)


def row_of(of: OfModel) -> dict[str, Any]:
    """Return a model's row."""
    times = of.times
    return {
        "model": of.model or "unknown",
        "endpoint": of.endpoint,
        "requests": of.sums.requests,
        "failed": percent(of.sums.failed, of.sums.requests),
        "tokens": of.sums.tokens,
        "price": cost_of(of.sums),
        "first": [seconds(times.first_token_s.p50), seconds(times.first_token_s.p95)],
        "total": [seconds(times.total_s.p50), seconds(times.total_s.p95)],
        "speed": NOTHING if times.tokens_per_s.p50 is None else f"{times.tokens_per_s.p50:.0f}",
    }


def conversation_of(one: Costly) -> dict[str, Any]:
    """Return a conversation's row; one that is there can be opened."""
    here = one.conversation_id is not None and one.title is not None
    return {
        "id": one.conversation_id if here else None,
        "title": one.title or (TEMPORARY if one.conversation_id is None else DELETED),
        "requests": one.requests,
        "tokens": one.tokens,
        "price": "unknown" if one.unpriced == one.requests else in_dollars(one.price) + ("+" if one.unpriced else ""),
    }


def said_of(instead: Instead | None, stats: Stats) -> str:
    """Return what would have been, in a sentence."""
    if instead is None:
        return "That endpoint is not set up any more. Choose another model."
    if not instead.requests:
        return "No request in this time has tokens that could be priced."
    if instead.price is None:
        return f"Nobody knows what {instead.model} would have cost."
    difference = instead.price - instead.actual
    more_or_less = f"{in_dollars(abs(difference))} {'more' if difference > 0 else 'less'} than"
    compared = more_or_less if difference else "as much as"
    count = stats.sums.unpriced
    unknown = f" ({requests(count)} {'has' if count == 1 else 'have'} no known price)" if count else ""
    out = instead.left_out
    left_out = f" {requests(out)} without known tokens {'is' if out == 1 else 'are'} left out." if out else ""
    return (
        f"The same tokens on {instead.model} would have cost {in_dollars(instead.price)}: {compared} the "
        f"{in_dollars(instead.actual)} that they did cost{unknown}.{left_out} Another model would write other answers."
    )


def _text(day: object) -> str:
    return "" if day is None else str(day)
