"""The keys of endpoints: where they are read, which one is used, and how they are exchanged while the app runs."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from services.endpoints import OPENAI_URL, Endpoint, KeyPlace
from services.errors import InputError, ModelError
from services.keys import Key, KeyRing, Refusals, Survey
from services.settings import read_settings
from tests.keyed import SHAPED

KEY = SHAPED

P = ParamSpec("P")
T = TypeVar("T")


def endpoint(*more: KeyPlace, **source: str) -> Endpoint:
    return Endpoint(name="x", base_url="http://127.0.0.1:9/v1", more_keys=more, **source)  # type: ignore[arg-type]


def printing(path: Path) -> str:
    """Return a command that prints what a file holds, and notes in another one that it ran."""
    script = "import sys; open(sys.argv[1] + '.ran', 'a').write('x'); print(open(sys.argv[1]).read())"
    return shlex.join([sys.executable, "-c", script, str(path)])


def runs_of(path: Path) -> int:
    ran = path.with_name(f"{path.name}.ran")
    return len(ran.read_text()) if ran.exists() else 0


async def value_of(ring: KeyRing, one: Endpoint, *refused: str) -> str | None:
    key = await ring.key_of(one, Refusals([Key("", value) for value in refused]))
    return key.value if key is not None else None


def firsts(found: list[Survey]) -> list[str]:
    return [one.place.name for one in found if one.first]


class Late(ThreadPoolExecutor):
    """Holds back the result of the first thing that it does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._first = True
        self.done = asyncio.Event()
        self.go_on = threading.Event()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if not self._first:
            return super().submit(fn, *args, **kwargs)
        self._first = False

        def job() -> T:
            result = fn(*args, **kwargs)
            self._loop.call_soon_threadsafe(self.done.set)
            self.go_on.wait()
            return result

        return super().submit(job)


class TestPlaces:
    async def test_each(self, tmp_path: Path) -> None:
        (tmp_path / "main.key").write_text(f"{KEY}\n", "utf-8")
        ring = KeyRing({"MY_KEY": KEY}, tmp_path)
        assert await ring.key_of(endpoint()) is None
        assert await ring.key_of(endpoint(key_env="MY_KEY")) == Key("MY_KEY", KEY)
        assert await ring.key_of(endpoint(key_env="UNSET")) is None
        assert await ring.key_of(endpoint(key_file="main.key")) == Key("main.key", KEY)
        assert await value_of(ring, endpoint(key_command=printing(tmp_path / "main.key"))) == KEY

    async def test_a_typed_key_comes_first_until_forgotten(self, tmp_path: Path) -> None:
        ring = KeyRing({"MY_KEY": "from-env"}, tmp_path)
        ring.remember(endpoint(), "typed")
        assert await value_of(ring, endpoint(key_env="MY_KEY")) == "typed"
        elsewhere = Endpoint(name="x", base_url="http://127.0.0.1:8/v1")
        assert await ring.key_of(elsewhere) is None, "a key goes to the URL that it was typed for, and no other"
        ring.forget(endpoint())
        assert await value_of(ring, endpoint(key_env="MY_KEY")) == "from-env"

    @pytest.mark.parametrize(
        "source",
        [
            {"key_file": "missing"},
            {"key_file": "broken.key"},
            {"key_file": KEY},
            {"key_command": "false"},
            {"key_command": "no-such-program-here"},
            {"key_command": "unclosed 'quote"},
            {"key_command": f"false {KEY}"},
        ],
    )
    async def test_one_that_gives_none_is_a_sentence_without_the_key(
        self, tmp_path: Path, source: dict[str, str]
    ) -> None:
        (tmp_path / "broken.key").write_text(f"{KEY}\nsecond line", "utf-8")
        with pytest.raises(ModelError) as raised:
            await KeyRing({}, tmp_path).key_of(endpoint(**source))
        assert raised.value.failure.next_step == "add_key"
        assert "canary" not in str(raised.value)

    async def test_one_that_cannot_be_read_leaves_the_others(self, tmp_path: Path) -> None:
        ring = KeyRing({"B": "b"}, tmp_path)
        both = endpoint(KeyPlace(name="b", kind="env", where="B"), key_file="missing")
        assert await ring.key_of(both) == Key("b", "b")
        [broken, used] = await ring.survey(both)
        assert broken.problem == "The key of endpoint 'x' cannot be used: 'missing' No such file or directory."
        assert (used.first, used.problem) == (True, None)

    def test_a_key_is_not_in_what_is_printed_of_it(self) -> None:
        assert KEY not in repr(Key("main", KEY))


class TestReadAgain:
    async def test_a_file_that_changed(self, tmp_path: Path) -> None:
        path = tmp_path / "main.key"
        path.write_text("one", "utf-8")
        ring = KeyRing({}, tmp_path)
        at = endpoint(key_file="main.key")
        assert await value_of(ring, at) == "one"
        kept = path.stat()
        path.write_text("two", "utf-8")
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        assert await value_of(ring, at) == "one", "nothing tells that it changed"
        assert await value_of(ring, at, "one") == "two", "but a refused one is looked at again"
        (tmp_path / "new").write_text("six", "utf-8")
        os.utime(tmp_path / "new", ns=(kept.st_atime_ns, kept.st_mtime_ns))
        (tmp_path / "new").replace(path)
        assert await value_of(ring, at) == "six", "of the same size and time, but another file"
        path.write_text("longer", "utf-8")
        assert await value_of(ring, at) == "longer"

    async def test_the_env_file_but_never_over_the_environment(self, tmp_path: Path) -> None:
        env = tmp_path / ".env"
        env.write_text("A=file-a\nB=file-b\n", "utf-8")
        ring = KeyRing({"A": "outer"}, tmp_path)
        assert await value_of(ring, endpoint(key_env="A")) == "outer"
        assert await value_of(ring, endpoint(key_env="B")) == "file-b"
        env.write_text("A=changed-a\nB=changed-b\nC=added\n", "utf-8")
        assert await value_of(ring, endpoint(key_env="A")) == "outer"
        assert await value_of(ring, endpoint(key_env="B")) == "changed-b"
        assert await value_of(ring, endpoint(key_env="C")) == "added"
        env.unlink()
        assert await ring.key_of(endpoint(key_env="B")) is None

    async def test_an_env_file_that_would_not_start_stops_no_request(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        env = tmp_path / ".env"
        ring = KeyRing({}, tmp_path)
        at = endpoint(key_env="B")
        env.write_text("PANELIST_MODLE=x\nB=one\n", "utf-8")
        assert await value_of(ring, at) == "one", "names are looked at when Panelist starts"
        for before, again in (("one", "two"), ("two", "three")):
            env.write_bytes(b"B=\xff\n")
            assert [await value_of(ring, at), await value_of(ring, at)] == [before, before]
            env.write_text(f"B={again}\n", "utf-8")
            assert await value_of(ring, at) == again
        env.unlink()
        env.mkdir()
        assert await value_of(ring, at) == "three"
        said = "the keys that .env held before stay in use: .env "
        assert [record.getMessage()[: len(said)] for record in caplog.records] == [said] * 3, "once each time"

    @pytest.mark.parametrize("outer", [{}, {"OPENAI_BASE_URL": ""}, {"OPENAI_BASE_URL": "https://outer.test/v1"}])
    @pytest.mark.parametrize("started", ["", "OPENAI_BASE_URL=https://one.test/v1\n"])
    async def test_a_key_for_another_url_is_left_alone(
        self, tmp_path: Path, started: str, outer: dict[str, str]
    ) -> None:
        env = tmp_path / ".env"
        env.write_text(f"{started}OPENAI_API_KEY=a\nB=b1\n", "utf-8")
        settings = read_settings(outer, tmp_path)
        ring = KeyRing(settings.environ, tmp_path, settings.env_file)
        default, team = settings.endpoints[0], endpoint(key_env="OPENAI_API_KEY")
        env.write_text("OPENAI_BASE_URL=https://two.test/v1\nOPENAI_API_KEY=of-two\nB=b22\n", "utf-8")
        assert [await value_of(ring, default), await value_of(ring, team)] == ["a", "a"]
        assert await value_of(ring, endpoint(key_env="B")) == "b22", "other names are for no URL of this file"
        env.write_text("OPENAI_BASE_URL=https://two.test/v1\n", "utf-8")
        assert await value_of(ring, default) == "a"
        url = "https://one.test/v1" if started else outer.get("OPENAI_BASE_URL") or OPENAI_URL
        env.write_text(f"OPENAI_BASE_URL={url}/\nOPENAI_API_KEY=a-later\n", "utf-8")
        assert [await value_of(ring, default), await value_of(ring, team)] == ["a-later", "a-later"]
        env.unlink()
        assert await value_of(ring, default) is None, "whoever takes the file away wants it to be used no more"

    async def test_a_file_whose_reader_went_away(self, tmp_path: Path) -> None:
        """What a thread read counts when it was taken in, not before: its request may have been stopped meanwhile."""
        (tmp_path / "main.key").write_text("one", "utf-8")
        loop = asyncio.get_running_loop()
        late = Late(loop)
        loop.set_default_executor(late)
        ring = KeyRing({}, tmp_path)
        at = endpoint(key_file="main.key")
        stopped = asyncio.create_task(value_of(ring, at))
        try:
            await late.done.wait()
            assert await value_of(ring, at) == "one", "read, but not taken in by the first"
            stopped.cancel()
        finally:
            late.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        assert await value_of(ring, at) == "one"

    async def test_a_command_once_it_was_refused_or_is_too_old(self, tmp_path: Path) -> None:
        path = tmp_path / "main.key"
        path.write_text("one", "utf-8")
        clock = [0.0]
        ring = KeyRing({}, tmp_path, now=lambda: clock[0])
        at = endpoint(key_command=printing(path))
        assert [await value_of(ring, at), await value_of(ring, at)] == ["one", "one"]
        assert runs_of(path) == 1
        path.write_text("two", "utf-8")
        clock[0] = 1e6
        assert await value_of(ring, at) == "one"
        assert await value_of(ring, at, "one") == "two"
        assert await value_of(ring, at) == "two"
        assert runs_of(path) == 2
        short = endpoint(KeyPlace(name="short", kind="command", where=printing(path), max_age_s=60))
        assert await value_of(ring, short) == "two"
        path.write_text("three", "utf-8")
        clock[0] += 59
        assert await value_of(ring, short) == "two"
        clock[0] += 1
        assert await value_of(ring, short) == "three"

    async def test_a_refused_command_that_says_the_same_is_not_run_for_each_other_key(self, tmp_path: Path) -> None:
        path = tmp_path / "main.key"
        path.write_text("one", "utf-8")
        ring = KeyRing({"B": "b", "C": "c"}, tmp_path)
        more = [KeyPlace(name=name, kind="env", where=name) for name in ("B", "C")]
        at = endpoint(*more, key_command=printing(path))
        assert await value_of(ring, at) == "one"
        assert await value_of(ring, at, "one") == "b"
        assert await value_of(ring, at, "one", "b") == "c"
        assert await value_of(ring, at, "one", "b", "c") is None
        assert runs_of(path) == 2

    async def test_all_when_a_person_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "main.key"
        path.write_text("one", "utf-8")
        ring = KeyRing({}, tmp_path)
        at = endpoint(key_command=printing(path))
        [unread] = await ring.survey(at)
        assert (unread.key, unread.first) == (None, True), "looking at it runs nothing"
        assert runs_of(path) == 0
        assert [one.key for one in await ring.survey(at, anew=True)] == [Key(at.key_places[0].name, "one")]
        path.write_text("two", "utf-8")
        assert [one.key.value for one in await ring.survey(at) if one.key] == ["one"]
        assert [one.key.value for one in await ring.survey(at, anew=True) if one.key] == ["two"]


class TestOrder:
    at = endpoint(
        KeyPlace(name="b", kind="env", where="B"), KeyPlace(name="file", kind="file", where="main.key"), key_env="A"
    )

    async def test_a_refused_one_comes_last_until_it_is_another(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("A=a1", "utf-8")
        (tmp_path / "main.key").write_text("f", "utf-8")
        ring = KeyRing({"B": "b"}, tmp_path)
        assert await value_of(ring, self.at) == "a1"
        ring.note(self.at, "a1", refused=True)
        assert await value_of(ring, self.at) == "b"
        ring.note(self.at, "b", refused=True)
        assert await value_of(ring, self.at) == "f"
        ring.note(self.at, "f", refused=True)
        assert await value_of(ring, self.at) == "a1", "all were: in their order again"
        assert await value_of(ring, self.at, "a1") == "b"
        (tmp_path / ".env").write_text("A=a22", "utf-8")
        assert await value_of(ring, self.at) == "a22"
        assert firsts(await ring.survey(self.at)) == ["A"]

    async def test_one_that_is_taken_again_is_as_good_as_any(self, tmp_path: Path) -> None:
        ring = KeyRing({"A": "a", "B": "b"}, tmp_path)
        await ring.key_of(self.at)
        ring.note(self.at, "a", refused=True)
        ring.note(self.at, "a", refused=False)
        assert await value_of(ring, self.at) == "a"

    async def test_a_chosen_one_comes_first(self, tmp_path: Path) -> None:
        ring = KeyRing({"A": "a", "B": "b"}, tmp_path)
        ring.prefer(self.at, "b")
        assert await value_of(ring, self.at) == "b"
        assert firsts(await ring.survey(self.at)) == ["b"]
        assert await value_of(ring, self.at, "b") == "a"
        ring.remember(self.at, "typed")
        assert await value_of(ring, self.at) == "typed", "whoever types one in wants it to be used"
        with pytest.raises(InputError, match="no key 'gone'"):
            ring.prefer(self.at, "gone")

    async def test_what_is_held_can_be_asked_for(self, tmp_path: Path) -> None:
        ring = KeyRing({"A": "a"}, tmp_path)
        ring.remember(self.at, "old")
        assert ring.holds(self.at.base_url, "old")
        assert not ring.holds("http://127.0.0.1:8/v1", "old")
        ring.remember(self.at, "new")
        assert not ring.holds(self.at.base_url, "old")
        assert ring.holds("http://anywhere.test", ""), "no key at all is always one"
