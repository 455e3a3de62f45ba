from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.arranging import Archive, Move, Tag
from services.events import RunFinished, TextDelta
from services.folders import Folder
from services.messages import TextPart, new_id
from services.search import Hit, parse
from services.storage import searching
from services.storage.dialects import dialect_of
from services.storage.migrate import migrate
from services.storage.store import Store
from tests.storage import make
from tests.storage.make import ANN, BEN, Exchange, Rows
from tests.storage.test_migrate import bare  # noqa: F401 - a fixture


async def search(store: Store, typed: str, owner: str = ANN, **page: int) -> list[Hit]:
    return await store.search(owner, parse(typed), **page)


async def found(store: Store, typed: str, owner: str = ANN) -> list[str | None]:
    """Return the ids of the messages found, None for a title."""
    return [hit.message_id for hit in await search(store, typed, owner)]


async def said(store: Store, question: str, answer: str, title: str = "Rain") -> Exchange:
    new = make.exchange(make.conversation(title), question)
    await make.begin(store, new)
    await make.finish(store, new.run_id, answer)
    return new


async def test_a_question_is_found_at_once_and_an_answer_when_it_has_ended(store: Store) -> None:
    new = await make.asked(store, "How do clouds form?")
    assert await found(store, "cloud") == [new.question.id]
    await store.append_events(new.run_id, make.numbered(TextDelta("Vapour condenses.")))
    assert await found(store, "vapour") == []
    await make.finish(store, new.run_id, "Vapour condenses.")
    [hit] = await search(store, "vapour")
    assert (hit.conversation_id, hit.title, hit.message_id, hit.role, hit.at) == (
        *(new.conversation.id, "Rain", new.answer.id),
        *("assistant", new.answer.created_at),
    )
    assert [(piece.text, piece.found) for piece in hit.snippet] == [("Vapour", True), (" condenses.", False)]


@pytest.mark.parametrize(
    ("typed", "is_found"),
    [
        ("rain", True),
        ("RAIN ", True),
        ("rai", True),
        ("rai ", False),
        ("rai* heavy", True),
        ("rain heavy", True),
        ('"rain heavy"', False),
        ('"heavy rain"', True),
        ("rain -heavy", False),
        ('rain -"rain heavy"', True),
        ("rain snow", False),
        ("-rain", False),
        ("-snow", True),
        ("cafe", True),
        ("it ", True),
        ("5", True),
        ("天气", True),
        ("气预", True),
        ("天", True),
        ("报", True),
        ("天预", False),
        ("🎉", True),
        ("model:other", False),
        ("rain title:trip", True),
        ("rain title:home", False),
        ("rain -title:home", True),
        ("rain -title:trip", False),
        ("rain after:2026-11-01", True),
        ("rain after:2026-11-02", False),
        ("rain before:2026-11-01", False),
        ("before:2026-11-02", True),
    ],
)
async def test_what_a_message_is_found_by(store: Store, typed: str, is_found: bool) -> None:
    text = "It is 5 pm: heavy rain at the Café. 今日天气预报 🎉"
    new = make.exchange(make.conversation("My trip"), text)
    await make.begin(store, new)
    assert await found(store, typed) == ([new.question.id] if is_found else [])


async def test_a_model_is_found_by_its_name_and_its_beginning(store: Store) -> None:
    new = await said(store, "Which one?", "This one.")
    assert await found(store, "model:tiny") == [new.answer.id]
    assert await found(store, "model:ti this") == [new.answer.id]
    assert await found(store, "this -model:tiny ") == []
    assert await found(store, "tiny") == []


async def test_titles_are_found_before_messages_and_the_newest_first(store: Store) -> None:
    old = await said(store, "Rain?", "Wet.", "About rain")
    new = make.exchange(make.conversation("Else"), "More rain?")
    new = replace(new, question=replace(new.question, created_at=make.WHEN + timedelta(days=1)))
    await make.begin(store, new)
    assert await found(store, "rain") == [None, new.question.id, old.question.id]
    [title] = await search(store, "title:rain")
    assert (title.conversation_id, title.role, title.at) == (old.conversation.id, None, old.conversation.created_at)
    assert [piece.text for piece in title.snippet if piece.found] == ["rain"]


async def test_hits_come_in_pages_without_a_gap(store: Store) -> None:
    first = make.exchange(make.conversation("Rain"), "rain 0")
    await make.begin(store, first)
    for number in range(1, 12):
        await make.asked(store, f"rain {number}")  # all at one moment, and each titled "Rain"
    seen: list[Hit] = []
    before = None
    while page := await store.search(ANN, parse("rain"), limit=5, before=before):
        assert len(page) <= 5
        seen += page
        before = page[-1].place
    assert len({(hit.conversation_id, hit.message_id) for hit in seen}) == len(seen) == 24
    assert [hit.message_id is None for hit in seen] == [True] * 12 + [False] * 12


async def test_a_new_title_takes_the_place_of_the_old_one(store: Store) -> None:
    new = await said(store, "Why?", "So.", "Old words")
    await store.rename(ANN, new.conversation.id, "New words", "user")
    assert await found(store, "title:old") == []
    assert await found(store, "title:new") == [None]


async def test_what_was_deleted_is_found_again_when_it_is_back(store: Store) -> None:
    new = await said(store, "Why?", "Secret.", "Secret")
    await store.delete(ANN, new.conversation.id)
    assert await found(store, "secret") == []
    await store.restore(ANN, new.conversation.id)
    assert await found(store, "secret") == [None, new.answer.id]


async def test_nobody_finds_what_somebody_else_has(store: Store) -> None:
    await said(store, "My secret", "Our secret", "Secret")
    theirs = await make.asked(store, "A secret", BEN)
    assert await found(store, "secret", BEN) == [theirs.question.id]
    for typed in ("-nothing", "after:2000", "title:secret", "model:tiny", "-title:secret"):
        hits = await search(store, typed, BEN)
        assert {hit.conversation_id for hit in hits} <= {theirs.conversation.id}
        assert await found(store, typed, "cid") == []


async def test_an_answer_that_goes_on_is_found_by_all_of_it(store: Store) -> None:
    new = await make.asked(store, "Why?")
    await make.stop(store, new.run_id, "First half")
    await store.resume_run(ANN, new.conversation.id, new.answer.id, "again")
    assert await found(store, "half") == [new.answer.id]
    await make.finish(store, "again", ", second part.")
    assert await found(store, '"half second part"') == [new.answer.id]


async def test_an_answer_that_a_crash_cut_off_is_found(store: Store) -> None:
    new = await make.asked(store, "Why?")
    await store.append_events(new.run_id, make.numbered(TextDelta("Because of a thunderstorm")))
    await store.interrupt_orphans()
    assert await found(store, "thunderstorm") == [new.answer.id]


async def test_both_answers_of_a_question_are_found(store: Store) -> None:
    first = await said(store, "Why?", "Clouds, they say.")
    second = await make.again(store, first)
    await store.finish_run(
        second.run_id,
        reply=make.folded(TextDelta("Clouds, I say."), RunFinished("complete")),
        first_token_s=None,
        total_s=1.0,
    )
    assert set(await found(store, "clouds")) == {first.answer.id, second.answer.id}


async def test_a_message_without_words_is_no_trouble(store: Store) -> None:
    new = await make.asked(store, "…")
    assert new.question.id in await found(store, "-anything")


@pytest.mark.parametrize("piece", ["rain ", "雨が降る日本", "a'b\"c\\ ", "\x00\ud83d "])
async def test_a_message_of_any_length_is_stored_and_found(store: Store, piece: str) -> None:
    new = make.exchange(make.conversation(), "needle " + piece * (1_000_000 // len(piece)))
    await make.begin(store, new)
    assert await found(store, "needle") == [new.question.id]


async def test_ten_thousand_different_characters_are_stored_and_found(store: Store) -> None:
    text = "needle " + "".join(chr(0x4E00 + (i * 7919) % 20_000) for i in range(300_000))
    new = make.exchange(make.conversation(), text)
    await make.begin(store, new)
    assert await found(store, "needle") == [new.question.id]


HOSTILE = [
    '"',
    "'",
    "\\",
    "'; DROP TABLE searched; --",
    '" OR 1=1',
    "NEAR(a b)",
    "a AND OR NOT b",
    "words:x",
    "^a + b",
    "(((((",
    "a & | ! <-> b:*",
    "\0" * 50,
    "🎉" * 5_000,
    "x" * 10_000,
    "a " * 5_000,
    "天" * 10_000,
    "-a " * 3_000,
    "%s %(x)s :x ?1",
    "\ud83d",
    "title:" * 100,
    "before:0000 after:9999-12-31",
    "before:0001-01-01",
]


@pytest.mark.parametrize("typed", HOSTILE)
async def test_whatever_is_typed_is_only_looked_for(store: Store, typed: str) -> None:
    await make.asked(store, "Why does it rain?")
    await search(store, typed)
    await search(store, f"rain {typed}")
    assert len(await found(store, "rain")) == 2


@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(typed=st.text(max_size=40))
async def test_no_text_is_an_error(store: Store, typed: str) -> None:
    await search(store, typed)


@pytest.mark.parametrize("bare", ["sqlite", "postgresql"], indirect=True)
async def test_what_was_stored_before_there_was_a_search_is_found(bare: Path | str) -> None:  # noqa: F811
    await _to_the_schema_before(bare)
    store = await Store.open(bare)
    assert [hit.title for hit in await search(store, "title:kept")] == ["Kept"]
    assert sorted(map(str, await found(store, "rain"))) == ["m1", "m2"]
    assert await found(store, "unfinished") == []
    await store.interrupt_orphans()
    await store.close()


@given(st.lists(st.integers(0, 20), max_size=60))
def test_everything_gets_the_first_free_place_at_or_after_its_moment(moments: list[int]) -> None:
    after: dict[int, int] = {}
    taken: set[int] = set()
    for moment in moments:
        place = searching._take_place(after, moment)
        assert place == next(free for free in itertools.count(moment) if free not in taken)
        taken.add(place)


def test_however_many_messages_may_have_been_imported_as_of_one_moment() -> None:
    after: dict[int, int] = {}
    for number in range(300_000):  # each looking on from the first would take an hour
        assert searching._take_place(after, 7) == 7 + number


async def _to_the_schema_before(where: Path | str) -> None:
    migrate(dialect_of(where), "0004")
    rows = Rows(where)
    when = "'2026-01-01 00:00:00.000000'"
    rows.execute(
        "INSERT INTO conversations (id, owner, title, title_source, created_at, updated_at) "
        f"VALUES ('c', 'ann', 'Kept', 'user', {when}, {when})"
    )
    for seq, (id, role, status, text) in enumerate(
        [
            ("m1", "user", "complete", "Why rain?"),
            ("m2", "assistant", "complete", "Rain comes."),
            ("m3", "assistant", "streaming", "Unfinished"),
            ("m4", "user", "complete", None),
        ]
    ):
        rows.execute(
            "INSERT INTO messages (id, conversation_id, seq, role, status, created_at) "
            f"VALUES (:id, 'c', :seq, :role, :status, {when})",
            {"id": id, "seq": seq, "role": role, "status": status},
        )
        data = "damaged" if text is None else f'{{"text":"{text}"}}'
        rows.execute("INSERT INTO parts VALUES (:id, 0, 'text', :data)", {"id": id, "data": data})


async def test_an_attached_file_is_found_by_its_name(store: Store) -> None:
    file = await store.add_attachment(ANN, "invoice March.txt", "text/plain", b"x")
    new = make.exchange(make.conversation())
    new = replace(new, question=replace(new.question, parts=(TextPart("Look"), file)))
    await make.begin(store, new)
    assert await found(store, "invoice") == [new.question.id]


async def test_where_a_conversation_is_narrows_what_is_found(store: Store) -> None:
    work, trips = Folder(id=new_id(), name="Work"), Folder(id=new_id(), name="Trips")
    await store.add_folder(ANN, work)
    await store.add_folder(ANN, replace(trips, parent_id=work.id))
    plain, filed, put_away = [await said(store, f"Why rain {n}?", "Clouds.", f"Title {n}") for n in range(3)]
    await store.arrange(ANN, [filed.conversation.id], Move(trips.id))
    await store.arrange(ANN, [filed.conversation.id, put_away.conversation.id], Tag(("wet",)))
    await store.arrange(ANN, [put_away.conversation.id], Archive())

    async def of(typed: str) -> set[tuple[str, bool]]:
        return {(hit.conversation_id, hit.message_id is None) for hit in await search(store, typed)}

    ids = [one.conversation.id for one in (plain, filed, put_away)]
    assert await of("rain") == {(id, False) for id in ids}, "archived or not"
    assert await of("tag:wet") == {(ids[1], True), (ids[2], True)}, "alone it is conversations that are looked for"
    assert await of("tag:we") == await of("tag:wet")
    assert await of("tag:we ") == set()
    assert await of("rain -tag:wet") == {(ids[0], False)}
    assert await of("tag:wet is:archived clouds") == {(ids[2], False)}
    assert await of("-is:archived title:title") == {(ids[0], True), (ids[1], True)}
    assert await of("folder:work") == await of("folder:TRIPS") == {(ids[1], True)}, "and what is in it"
    assert await of("-folder:work rain") == {(ids[0], False), (ids[2], False)}
    assert await of("folder:none") == set()
    assert await search(store, "tag:wet", BEN) == []
