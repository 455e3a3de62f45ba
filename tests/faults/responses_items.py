"""The faults that the Responses API can have because it says everything several times: in pieces, parts and items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from tests.faults.catalogue import Fault, harmless, once
from tests.faults.upstream import Play
from tests.faults.wires import LENGTH, RESPONSES, TEXT, WORDS, over
from tests.providers import responses as rs

BEGIN, SPOKEN, UNFINISHED = RESPONSES.begin, RESPONSES.spoken, RESPONSES.unfinished
say = RESPONSES.say


def wholes() -> Iterator[Fault]:
    """A text comes in pieces, and again whole: what if the two do not agree?"""
    said, nothing = rs.said(TEXT), over()
    for name, events in {
        "output_text.done": [rs.text_done(TEXT), nothing],
        "content_part.done": [rs.part("done", TEXT), nothing],
        "output_item.done": [rs.ended(said), nothing],
        "completed": [over(said)],
    }.items():
        end = say(*events)
        yield once(f"every word only in {name}", Play(BEGIN + end, TEXT, whole=True))
        yield Fault(f"words from here on only in {name}", partial(_rest, end))
        if events[1:]:
            yield once(f"every word only in {name}, cut", Play(BEGIN + say(events[0]), TEXT))
    yield Fault("a word that only the whole text has", _hole)
    yield Fault("a word twice", lambda i: _reordered([*range(i + 1), *range(i, 5)]))
    yield Fault("words out of order", lambda i: _reordered([*range(i), 4, *range(i, 4)]))
    for name, text in {
        "other words": "Etwas anderes.",
        "fewer words": "".join(WORDS[:2]),
        "the last word alone": WORDS[-1],
        "words in other spaces": TEXT.replace(" ", "  "),
        "nothing": "",
    }.items():
        yield once(f"the whole text has {name}", Play(SPOKEN + RESPONSES.end(text), TEXT, whole=True))
    blank = RESPONSES.delta("\n")
    yield once("the whole text is trimmed", Play(SPOKEN + blank + RESPONSES.end(), f"{TEXT}\n", whole=True))
    yield once("the words are trimmed", Play(SPOKEN + RESPONSES.end(f"\n{TEXT}\n"), TEXT, whole=True))
    long = "x" * 1_000_000
    yield once("a whole text of 1 MB", Play(BEGIN + RESPONSES.delta(long) + RESPONSES.end(long), long, whole=True))
    yield once("a whole text of 1 MB, cut", Play(BEGIN + RESPONSES.delta(long) + RESPONSES.end(long)[:-900_000], long))
    for odd in (None, 7, {"text": TEXT}):
        whole = {**said, "content": [{"type": "output_text", "text": odd}]}
        end = say(rs.text_done(odd), rs.ended(whole), over(whole))
        yield once(f"the whole text is {json.dumps(odd)[:9]}", Play(SPOKEN + end, TEXT, whole=True))


def _rest(end: bytes, i: int) -> Play:
    return replace(RESPONSES.upto(i, end), text=TEXT, whole=True)


def _hole(i: int) -> Play:
    """Leave word `i` out: what came stays, and the whole text is said after it; a last word just follows."""
    words, rest = [*RESPONSES.words], [*WORDS]
    del words[i], rest[i]
    text = TEXT if i == 4 else "".join([*rest, "\n\n", TEXT])
    return Play(BEGIN + b"".join(words) + RESPONSES.end(), text, whole=True)


def _reordered(order: list[int]) -> Play:
    words = b"".join(RESPONSES.words[n] for n in order)
    return Play(BEGIN + words + RESPONSES.end(), "".join(WORDS[n] for n in order), whole=True)


def items() -> Iterator[Fault]:
    message = {**rs.said(), "status": "in_progress"}
    new = {"type": "brand_new_call", "id": "x_1", "text": "x", "message": "x"}
    for name, extra in {
        "an item added twice": say(rs.added(message)),
        "a part added twice": say(rs.part("added", "")),
        "an item of an unknown type": say(rs.added(new, 1), rs.ended(new, 1)),
        "an item that is null": say(rs.added(None), rs.ended(None)),
        "an item without a type": say(rs.added({}, 1), rs.ended({}, 1)),
        "an item that is missing": say(rs.ev("output_item.added"), rs.ev("output_item.done")),
        "the end of an unknown item": say(rs.ended(rs.said(), 9)),
        "an item of another server's tool": say(rs.ended({"type": "web_search_call", "id": "ws_1"}, 1)),
        "a delta that is null": say(rs.delta(None)),
        "a delta that is an object": say(rs.delta({"text": "x"})),
    }.items():
        yield harmless(RESPONSES, name, extra)
    stray = [{**rs.delta(word, 9), "item_id": f"msg_{n}"} for n, word in enumerate(WORDS)]
    yield once("an item of its own for every word", Play(BEGIN + say(*stray) + RESPONSES.end(), TEXT, whole=True))
    yield Fault("a word of an unknown item", lambda i: _stray(i, {"item_id": "msg_9", "output_index": 9}))
    yield Fault("a word of no item", lambda i: _stray(i, {"item_id": None, "output_index": None}))
    yield Fault("an item that ends too early", _early_end)
    yield once("an item that ends twice", Play(UNFINISHED + RESPONSES.close() + RESPONSES.finish(), TEXT, whole=True))
    unannounced = b"".join(RESPONSES.words) + RESPONSES.close() + RESPONSES.close() + say(over())
    yield once("an item that ends twice, unannounced", Play(unannounced, TEXT, whole=True))
    yield from _messages()


def _stray(i: int, place: dict[str, object]) -> Play:
    words = [rs.delta(word) | (place if n == i else {}) for n, word in enumerate(WORDS)]
    return Play(BEGIN + say(*words) + RESPONSES.end(), TEXT, whole=True)


def _early_end(i: int) -> Play:
    """End the item with word `i` and go on with it all the same, as OmniRoute did."""
    words, close = RESPONSES.words, RESPONSES.close("".join(WORDS[: i + 1]))
    return Play(BEGIN + b"".join([*words[: i + 1], close, *words[i + 1 :]]) + RESPONSES.end(), TEXT, whole=True)


def _messages() -> Iterator[Fault]:
    """Two messages in one answer."""
    first, second = rs.said(TEXT), {**rs.said("Noch."), "id": "msg_2"}
    both, last = f"{TEXT}\n\nNoch.", say(over(first, second))
    word = say({**rs.delta("Noch.", 1), "item_id": "msg_2"})
    begun, ended = say(rs.added({**second, "content": []}, 1)), say(rs.ended(second, 1))
    for name, more in {
        "with a delta": begun + word + ended,
        "unannounced": word + ended,
        "whole in its item": ended,
        "in the end only": b"",
    }.items():
        yield once(f"a second message {name}", Play(UNFINISHED + more + last, both, whole=True))
    mixed = SPOKEN + begun + say(rs.ended(first)) + word + ended + last
    yield once("a second message before the first ends", Play(mixed, both, whole=True))
    same = say(over(first, {**first, "id": "msg_2"}))
    again = say(rs.ended({**first, "id": "msg_2"}, 1))
    yield once("a second message like the first", Play(UNFINISHED + again + same, f"{TEXT}\n\n{TEXT}", whole=True))


def refusals() -> Iterator[Fault]:
    no = "I cannot."
    item = {**rs.said(), "content": [{"type": "refusal", "refusal": no}]}
    word = say(rs.delta(no, kind="refusal"))
    done = rs.ev("refusal.done", item_id="msg_1", output_index=0, content_index=0, refusal=no)
    part = rs.ev("content_part.done", item_id="msg_1", output_index=0, content_index=0, part=item["content"][0])
    end = say(done, part, rs.ended(item), over(item))
    yield once("a refusal", Play(BEGIN + word + end, no))
    yield Fault("a refusal after words", lambda i: RESPONSES.upto(i, word + say(over()), text=no))
    yield Fault("a refusal, cut", lambda i: RESPONSES.upto(i, word + word[:-9], text=no))
    for name, events in {
        "refusal.done": [done, over()],
        "content_part.done": [part, over()],
        "output_item.done": [rs.ended(item), over()],
        "completed": [over(item)],
    }.items():
        yield once(f"a refusal only in {name}", Play(BEGIN + say(*events), no))
    told = say(rs.ended(item), over(item))
    yield once("a refusal that only the item calls one", Play(BEGIN + say(rs.delta(no)) + told, no))
    cut = say(over(item, status="incomplete", incomplete_details=LENGTH))
    yield once("a refusal, incomplete", Play(BEGIN + word + cut, no))


def thoughts() -> Iterator[Fault]:
    hm = "Hm. So so."
    item, sealed = rs.thought(hm), rs.thought(hm, encrypted="gAAAA" * 20)
    kind = "reasoning_summary_text"
    pieces = say(rs.added(rs.thought()), rs.delta("Hm.", kind=kind), rs.delta(" So", kind=kind))
    answer = b"".join(RESPONSES.words) + RESPONSES.end()
    for name, told in {
        "summary_text.done": rs.text_done(hm, kind),
        "reasoning_text.done": rs.text_done(hm, "reasoning_text"),
        "summary_part.done": rs.ev("reasoning_summary_part.done", item_id="rs_1", part=item["summary"][0]),
        "content_part.done": rs.ev("content_part.done", part={"type": "reasoning_text", "text": hm}),
        "output_item.done": rs.ended(item),
    }.items():
        end = say(told)
        yield once(f"a thought only in {name}", Play(BEGIN + end + answer, TEXT, True, thoughts=hm))
        yield once(f"a thought only in {name}, cut", Play(BEGIN + end, thoughts=hm))
        yield once(f"a thought that ends in {name}", Play(BEGIN + pieces + end + answer, TEXT, True, thoughts=hm))
    last = say(over(item, rs.said(TEXT)))
    yield once("a thought only in completed", Play(UNFINISHED + last, TEXT, True, thoughts=hm))
    two = say(rs.ended(rs.thought("Hm.", "So so.")), rs.ended(rs.thought("Hm.", "So so."), 1))
    yield once("two thoughts", Play(BEGIN + two + answer, TEXT, True, thoughts="Hm.\n\nSo so.\n\nHm.\n\nSo so."))
    done = say(rs.ended(sealed))
    yield once("a sealed thought", Play(BEGIN + pieces + done + answer, TEXT, True, thoughts=hm))
    yield once("a sealed thought, cut", Play(BEGIN + pieces + done[:-60], thoughts="Hm. So"))
    yield once("a sealed thought and no answer", Play(BEGIN + pieces + done + say(over(sealed)), thoughts=hm))
    late = UNFINISHED + done + RESPONSES.finish()
    yield once("a sealed thought after the answer", Play(late, TEXT, True, thoughts=hm))
    for odd in (None, 7, {"x": 1}, "\x00", ""):
        unsealed = say(rs.ended({**sealed, "encrypted_content": odd}))
        yield once(f"a thought sealed with {odd!r}", Play(BEGIN + unsealed + answer, TEXT, True, thoughts=hm))
    for name, fields in {
        "summary: null": {"summary": None},
        "no id": {"id": None},
        "content": {"content": [{}]},
    }.items():
        odd_item = {**rs.thought(encrypted="gAAAA"), **fields}
        yield once(f"a sealed thought, {name}", Play(BEGIN + say(rs.ended(odd_item)) + answer, TEXT, True))


def calls() -> Iterator[Fault]:
    asked = '{"city": "Bern"}'
    begun, *pieces = RESPONSES.calling(asked[:5], asked[5:])
    item = rs.call(arguments=asked)
    done = rs.ev("function_call_arguments.done", item_id="fc_a", output_index=1, arguments=asked)
    for name, events in {
        "arguments.done": [done, over()],
        "output_item.done": [rs.ended(item, 1), over()],
        "completed": [over(rs.said(TEXT), item)],
    }.items():
        end = say(*events)
        yield once(f"a tool call only in {name}", Play(UNFINISHED + begun + end, TEXT, calls=(asked,)))
        if events[1:]:
            half = UNFINISHED + begun + pieces[0]
            yield once(f"a tool call that ends in {name}", Play(half + end, TEXT, calls=(asked,)))
            yield once(f"a tool call that ends in {name}, cut", Play(half + say(events[0]), TEXT, calls=(asked,)))
    called = begun + b"".join(pieces) + say(done, rs.ended(item, 1))
    yield once("a tool call", Play(UNFINISHED + called + say(over(rs.said(TEXT), item)), TEXT, calls=(asked,)))
    other = say(over(rs.said(TEXT), {**item, "call_id": "b", "id": "fc_b"}))
    yield once("a tool call under two ids", Play(UNFINISHED + called + other, TEXT, calls=(asked,)))
    yield once("a tool call that was not announced", Play(UNFINISHED + pieces[0], TEXT, calls=(asked[:5],)))
    stray = [
        {**rs.delta(piece, kind="function_call_arguments"), "output_index": None} for piece in (asked[:5], asked[5:])
    ]
    yield once("a tool call without a place", Play(UNFINISHED + begun + say(*stray, over()), TEXT, calls=(asked,)))
    again = say(done, rs.ended(item, 1), over())
    yield once("a tool call that ends twice", Play(UNFINISHED + called + again, TEXT, calls=(asked,)))
    late = b"".join(pieces) + say(rs.ended(item, 1), over())
    yield once("a tool call that is named late", Play(UNFINISHED + late, TEXT, calls=(asked,)))
    cut = say(over(rs.said(TEXT), status="incomplete", incomplete_details=LENGTH))
    yield once("a tool call, incomplete", Play(UNFINISHED + begun + pieces[0] + cut, TEXT, calls=(asked[:5],)))
