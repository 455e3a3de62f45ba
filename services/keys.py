"""Where API keys come from, and the one place that writes one down."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, assert_never

from services.endpoints import OPENAI_URL, Endpoint, KeyPlace
from services.errors import Failure, InputError, ModelError, SettingsError, mask_place
from services.settings import check_key, read_env_file

log = logging.getLogger(__name__)

_COMMAND_TIMEOUT_S = 20.0

TYPED = KeyPlace(name="typed in", kind="typed")
"""The key that a person typed in. It comes before all others."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the name by which a person knows where it is from."""

    name: str
    value: str = field(repr=False)


@dataclass(slots=True)
class Refusals:
    """What an endpoint refused while one request looks for a key that it takes."""

    keys: list[Key] = field(default_factory=list)
    """In the order in which they were tried."""
    read_again: set[KeyPlace] = field(default_factory=set)
    """Places that were read again for it. They give no more: some commands make a new key each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one place of a key holds."""

    place: KeyPlace
    key: Key | None = None
    """None where nothing is there, or nothing was read yet: a command is not run to be looked at."""
    problem: str | None = None
    """A sentence, where it cannot be read."""
    refused: bool = False
    """The endpoint refused what is there now."""
    first: bool = False
    """The next request goes with it."""


_Stamp = tuple[int, int, int]
"""Of a file: when it was changed, its size and its number. A secret that is replaced has at least another number."""

_Read = TypeVar("_Read")
"""What was made of a file."""


class _Place:
    """One place, and what was last read there."""

    def __init__(self, place: KeyPlace, value: str = "") -> None:
        self.place = place
        self.value = value
        self.refused = False
        self.stamp: _Stamp | None = None
        self.read_at: float | None = None
        self.reading = asyncio.Lock()

    def take(self, text: str) -> None:
        """Take in what was read.

        Raises:
            ValueError: it is no key.
        """
        value = check_key(text)
        self.refused = self.refused and value == self.value
        self.value = value


class KeyRing:
    """Gives each endpoint its keys: one that a person typed in, then those of its places in their order.

    What a place holds is read again when its file has changed, when a command's output is too old, and when the
    endpoint refused it. A key that was refused comes last from then on, until another one is read in its place.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        app_dir: Path,
        env_file: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look names up in `environ`, then in the `.env` file of `app_dir`, which said `env_file` at the start."""
        self._environ = environ
        self._app_dir = app_dir
        self._now = now
        self._places: dict[tuple[str, str], dict[KeyPlace, _Place]] = {}
        self._preferred: dict[tuple[str, str], str] = {}
        self._env: Mapping[str, str] = env_file or {}
        self._env_stamp: _Stamp | None = None
        self._env_url = self._url_in(self._env)
        self._env_unreadable = False
        self.on_note: Callable[[Endpoint, str, bool], None] = lambda *_: None
        """Called with each key that an endpoint took or, with True, refused."""

    def remember(self, endpoint: Endpoint, key: str) -> None:
        """Keep a key in memory, for as long as the process lives. It goes to this base URL and no other."""
        self._known(endpoint)[TYPED] = _Place(TYPED, key)
        self._preferred.pop(_id(endpoint), None)

    def forget(self, endpoint: Endpoint) -> None:
        """Drop a remembered key."""
        self._known(endpoint).pop(TYPED, None)
        if not self._known(endpoint):
            del self._places[_id(endpoint)]

    def prefer(self, endpoint: Endpoint, name: str) -> None:
        """Use the key of that name before all others, for as long as the process lives and the endpoint takes it.

        Raises:
            InputError: there is none.
        """
        source = next((source for source in self._sources(endpoint) if source.place.name == name), None)
        if source is None:
            raise InputError(f"{endpoint.name} has no key {name!r} any more. Close this and open it again.")
        source.refused = False
        self._preferred[_id(endpoint)] = name

    async def key_of(self, endpoint: Endpoint, refusals: Refusals | None = None) -> Key | None:
        """Return the endpoint's first key that is not among those refused, or None where it has none.

        Of what was refused last the place is read again, once for each request: it may hold another one by now.

        Raises:
            ModelError: nothing was refused, and its place cannot be read, or what it gave is no key.
        """
        refusals = refusals or Refusals()
        refused = refusals.keys[-1] if refusals.keys else None
        unusable: ModelError | None = None
        last: Key | None = None
        for source in self._sources(endpoint):
            if source.place in refusals.read_again:
                continue
            anew = refused is not None and source.value == refused.value
            if anew or (refused is not None and source.place.name == refused.name):  # another request may have read it
                refusals.read_again.add(source.place)
            try:
                await self._read(endpoint, source, anew=anew)
            except ModelError as error:
                unusable = unusable or error
                continue
            if source.value and all(source.value != key.value for key in refusals.keys):
                key = Key(source.place.name, source.value)
                if not source.refused:
                    return key
                last = last or key
        if last is None and unusable is not None and refused is None:
            raise unusable
        return last

    def note(self, endpoint: Endpoint, key: str, *, refused: bool) -> None:
        """Take in whether the endpoint took a key."""
        for source in self._sources(endpoint):
            if source.value == key:
                source.refused = refused
        self.on_note(endpoint, key, refused)

    def holds(self, base_url: str, key: str) -> bool:
        """Whether a key can still be asked for by an endpoint at that URL."""
        return not key or any(
            source.value == key
            for (_, url), known in self._places.items()
            if url == base_url
            for source in known.values()
        )

    def last_read(self, endpoint: Endpoint) -> list[Key]:
        """Return the keys that its places held when they were read last."""
        return [Key(source.place.name, source.value) for source in self._sources(endpoint) if source.value]

    async def survey(self, endpoint: Endpoint, *, anew: bool = False, only: str | None = None) -> list[Survey]:
        """Return what all its places hold; `anew` reads them again, commands too. With `only`, that place alone."""
        found: list[Survey] = []
        for source in self._sources(endpoint):
            if only not in (None, source.place.name):
                continue
            problem: str | None = None
            unread = source.place.kind == "command" and source.read_at is None and only is None
            try:
                if anew or not unread:
                    await self._read(endpoint, source, anew=anew)
            except ModelError as error:
                problem = error.failure.message
            key = Key(source.place.name, source.value) if source.value and problem is None else None
            usable = key is not None or (unread and problem is None and not anew)
            found.append(Survey(place=source.place, key=key, problem=problem, refused=source.refused, first=usable))
        # Whatever is usable and was not refused is what a request goes with; else the first that is usable at all.
        best = next((one for one in found if one.first and not one.refused), None)
        best = best or next((one for one in found if one.first), None)
        listed = [replace(one, first=one is best) for one in found]
        order = [TYPED, *endpoint.key_places]
        return sorted(listed, key=lambda one: order.index(one.place))

    def _known(self, endpoint: Endpoint) -> dict[KeyPlace, _Place]:
        return self._places.setdefault(_id(endpoint), {})

    def _sources(self, endpoint: Endpoint) -> Iterator[_Place]:
        """Yield its places, in the order in which they are asked."""
        known = self._known(endpoint)
        sources = [known[TYPED]] if TYPED in known else []
        sources += [known.setdefault(place, _Place(place)) for place in endpoint.key_places]
        preferred = self._preferred.get(_id(endpoint))
        yield from sorted(sources, key=lambda source: source.place.name != preferred)

    async def _read(self, endpoint: Endpoint, source: _Place, *, anew: bool) -> None:
        """Read a place again if there is reason to, and one thing at a time: many requests may want the same key."""
        place = source.place
        try:
            match place.kind:
                case "typed":
                    pass
                case "env":
                    source.take(await self._variable(place.where))
                case "file":
                    known = None if anew else source.stamp
                    read = await asyncio.to_thread(_changed, self._app_dir / place.where, known, _text_of)
                    if read is not None:
                        source.take(read[1])
                        source.stamp = read[0]
                case "command":
                    seen = source.value
                    async with source.reading:
                        if self._is_due(source) or (anew and source.value == seen):
                            source.take(await _output_of(place.where))
                            source.read_at = self._now()
                case _:
                    assert_never(place.kind)
        except (OSError, ValueError, TimeoutError) as error:
            source.stamp = None
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            where = mask_place(place.where)  # a key that stands where its place should be named is one all the same
            sentence = f"The key of endpoint {endpoint.name!r} cannot be used: {where!r} {reason or 'took too long'}."
            raise ModelError(Failure(kind="auth", message=sentence, next_step="add_key")) from error

    def _is_due(self, source: _Place) -> bool:
        age = source.place.max_age_s
        return source.read_at is None or (age is not None and self._now() - source.read_at >= age)

    async def _variable(self, name: str) -> str:
        """Return what the environment says, which cannot change any more, or else `.env`, which can."""
        if name in self._environ:
            return self._environ[name]
        try:
            read = await asyncio.to_thread(_changed, self._app_dir / ".env", self._env_stamp, read_env_file)
        except FileNotFoundError:
            self._env, self._env_stamp, self._env_unreadable = {}, None, False
        except (OSError, SettingsError) as error:
            if not self._env_unreadable:  # said once, not with each request
                log.warning("the keys that .env held before stay in use: %s", error)
            self._env_unreadable = True
        else:
            self._env_unreadable = False
            if read is not None:
                self._env_stamp, values = read
                self._env = self._of_this_url(values)
        return self._env.get(name, "")

    def _of_this_url(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Return what `.env` sets, its `OPENAI_API_KEY` only where that is for the base URL of the start.

        Endpoints keep their base URLs until the next start, so that a key for another one is not sent to these.
        """
        if self._url_in(values) == self._env_url:
            return values
        return {**values, "OPENAI_API_KEY": self._env.get("OPENAI_API_KEY", "")}

    def _url_in(self, env_file: Mapping[str, str]) -> str:
        """Return the base URL that the `OPENAI_API_KEY` of a `.env` file is for: the file's own before all others."""
        said = (place.get("OPENAI_BASE_URL", "").strip().rstrip("/") for place in (env_file, self._environ))
        return next(filter(None, said), OPENAI_URL)


def _id(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.name, endpoint.base_url


def _stamp_of(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _text_of(path: Path) -> str:
    return path.read_text("utf-8")


def _changed(path: Path, known: _Stamp | None, read: Callable[[Path], _Read]) -> tuple[_Stamp, _Read] | None:
    """Return a file's stamp and what `read` makes of it, or None where its stamp is the one that is known.

    It changes nothing: it runs in a thread, and whoever awaits it may be gone before its result is taken in.
    """
    stamp = _stamp_of(path)
    return None if stamp == known else (stamp, read(path))


async def _output_of(command: str) -> str:
    """Run a key command without a shell and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_COMMAND_TIMEOUT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:  # it took too long, or nobody waits for the key any more
            process.kill()
            await process.wait()
    if process.returncode:
        raise ValueError(f"ended with exit code {process.returncode}")
    return output.decode("utf-8", "replace")


def write_env(path: Path, values: Mapping[str, str | None]) -> None:
    """Set names in a `.env` file, or take them out for None, keeping its other lines.

    The file is replaced whole, readable by its owner only.

    Raises:
        InputError: the path is a link, which could make somebody else's file the target, or cannot be written.
    """
    if path.is_symlink():
        raise InputError(f"{path.name} is a link, and keys are never written through one. Replace it by a file.")
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        taken = re.compile(rf"^\s*(?:export\s+)?(?:{'|'.join(map(re.escape, values))})\s*=")
        kept = [line for line in lines if not taken.match(line)]
        text = "\n".join([*kept, *(f"{name}='{value}'" for name, value in values.items() if value)]) + "\n"
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env-")  # created with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path.name} cannot be written: {error.strerror}. The key is kept in memory.") from error
