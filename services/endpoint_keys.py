"""The door to the keys of endpoints: which there are, how old, when they were used, and how they are changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from services.connect import Connections, Tried
from services.endpoints import Endpoint, KeyPlace
from services.errors import InputError, StorageError, mask_place
from services.fingerprints import Fingerprints, Sighting
from services.keys import KeyRing, Survey
from services.settings import check_key
from services.storage.store import Store

log = logging.getLogger(__name__)

OLD = timedelta(days=90)
"""An age at which a key should be exchanged."""

_WRITE_EVERY_S = 60.0

Background = Callable[[Coroutine[object, object, None], str], "asyncio.Task[None] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStanding:
    """One key of an endpoint, and what is known of it."""

    name: str
    source: str
    """In words, where it is from."""
    state: str
    """In words, where there is none to be used; empty otherwise."""
    held: bool
    """There is one, or a command that was not run yet."""
    first: bool
    """The next request goes with it."""
    refused: bool
    """The endpoint refused it, and it comes last."""
    seen_at: datetime | None = None
    used_at: datetime | None = None
    refused_at: datetime | None = None

    def is_old(self, now: datetime) -> bool:
        """Whether it has been there for so long that it should be exchanged."""
        return self.seen_at is not None and now - self.seen_at >= OLD


class EndpointKeys:
    """What a person sees of keys, and does with them. Never a key itself."""

    def __init__(
        self,
        keys: KeyRing,
        connections: Connections,
        store: Store,
        fingerprints: Fingerprints,
        background: Background,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Hear from `keys` which of them were taken and refused, and write that down now and then."""
        self._keys = keys
        self._connections = connections
        self._store = store
        self._fingerprints = fingerprints
        self._background = background
        self._now = now
        self._pending: dict[tuple[str, str, str], Sighting] = {}
        """By endpoint, base URL and key; a fingerprint is made when they are written."""
        self._writing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        keys.on_note = self._note

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints that can have keys."""
        return [endpoint for endpoint in self._connections.endpoints() if not endpoint.is_demo]

    async def of(self, endpoint: Endpoint) -> list[KeyStanding]:
        """Return its keys, in the order in which they are tried. No command is run for it.

        Raises:
            StorageError: what is known of them cannot be read or written.
        """
        found = await self._keys.survey(endpoint)
        for one in found:
            if one.key is not None:
                self._see(endpoint, one.key.value)
        await self.write()
        known = {(one.endpoint, one.fingerprint): one for one in await self._store.sightings()}
        return [await self._standing(endpoint, one, known) for one in found]

    async def check(self, endpoint: Endpoint, name: str) -> Tried:
        """Ask the endpoint for its models with one of its keys, and say in words what came of it."""
        found = next((one for one in await self._keys.survey(endpoint, only=name)), None)
        if found is None or found.key is None:
            return Tried(False, (found and found.problem) or f"There is no key at {name!r} now.")
        tried = await self._connections.try_key(endpoint, found.key.value)
        if tried.ok or tried.refused:
            self._keys.note(endpoint, found.key.value, refused=tried.refused)
        return tried

    def use(self, endpoint: Endpoint, name: str) -> None:
        """Ask with that key before all others, until Panelist ends or the endpoint refuses it.

        Raises:
            InputError: it is not there any more.
        """
        self._keys.prefer(endpoint, name)
        self._connections.forget_models(endpoint.name)

    async def rotate(self, endpoint: Endpoint) -> str:
        """Read all places of its keys again, and say in words what came of it."""
        before = self._keys.last_read(endpoint)
        after = await self._keys.survey(endpoint, anew=True)
        new = [one.place.name for one in after if one.key is not None and one.key not in before]
        for one in after:
            if one.key is not None:
                self._see(endpoint, one.key.value)
        self._connections.forget_models(endpoint.name)
        problems = [one.problem for one in after if one.problem is not None]
        said = f"New now: {', '.join(new)}." if new else "All keys are as they were."
        return " ".join([said, *problems])

    def replace(self, endpoint: Endpoint, key: str) -> None:
        """Use a typed key from now on, in memory alone. Answers that are being written are finished with the old one.

        Raises:
            InputError: it is no key.
        """
        try:
            checked = check_key(key)
        except ValueError as error:
            raise InputError(f"The key {error}.") from error
        if not checked:
            raise InputError("Paste the new key first.")
        self._keys.remember(endpoint, checked)
        self._connections.forget_models(endpoint.name)

    async def write(self) -> None:
        """Write down what was seen since the last time.

        Raises:
            StorageError: it cannot be written; it is kept for the next time.
        """
        async with self._lock:
            pending, self._pending = self._pending, {}
            if not pending:
                return
            try:
                sightings = [
                    replace(one, fingerprint=await self._fingerprints.of(base_url, key))
                    for (_, base_url, key), one in pending.items()
                ]
                await self._store.put_sightings(sightings)
            except BaseException:
                for place, one in pending.items():
                    self._pending[place] = _joined(one, self._pending.get(place))
                raise

    async def close(self) -> None:
        """Write down what was seen, if that is possible; less than a day of a key's age is not worth more."""
        self._keys.on_note = lambda *_: None
        try:
            await self.write()
        except StorageError as error:
            log.warning("when keys were last used could not be written down: %s", error)

    def _note(self, endpoint: Endpoint, key: str, refused: bool) -> None:
        if not self._connections.knows(endpoint.name):  # one that is only tried out
            return
        now = self._now()
        self._see(endpoint, key, used_at=None if refused else now, refused_at=now if refused else None)
        if self._writing is None or self._writing.done():
            self._writing = self._background(self._write_later(), "write down when keys were used")

    def _see(
        self, endpoint: Endpoint, key: str, *, used_at: datetime | None = None, refused_at: datetime | None = None
    ) -> None:
        place = (endpoint.name, endpoint.base_url, key)
        seen = Sighting(
            endpoint=endpoint.name, fingerprint="", seen_at=self._now(), used_at=used_at, refused_at=refused_at
        )
        before = self._pending.get(place)
        self._pending[place] = seen if before is None else _joined(before, seen)

    async def _write_later(self) -> None:
        """Write once a minute for as long as there is something: no request is to wait for it."""
        while self._pending:
            await asyncio.sleep(_WRITE_EVERY_S)
            try:
                await self.write()
            except StorageError as error:
                log.warning("when keys were used is not written down yet: %s", error)

    async def _standing(self, endpoint: Endpoint, one: Survey, known: dict[tuple[str, str], Sighting]) -> KeyStanding:
        standing = KeyStanding(
            name=one.place.name,
            source=_source(one.place),
            state=one.problem or ("" if one.key is not None else _empty(one.place)),
            held=one.key is not None or (one.place.kind == "command" and one.problem is None),
            first=one.first,
            refused=one.refused,
        )
        if one.key is None:
            return standing
        seen = known.get((endpoint.name, await self._fingerprints.of(endpoint.base_url, one.key.value)))
        if seen is None:
            return standing
        return replace(standing, seen_at=seen.seen_at, used_at=seen.used_at, refused_at=seen.refused_at)


def _joined(one: Sighting, later: Sighting | None) -> Sighting:
    if later is None:
        return one
    return replace(one, used_at=later.used_at or one.used_at, refused_at=later.refused_at or one.refused_at)


def _source(place: KeyPlace) -> str:
    match place.kind:
        case "typed":
            return "in this server's memory until it ends"
        case "env":
            return f"from the environment or .env: {mask_place(place.where)}"
        case "file":
            return f"from the file {mask_place(place.where)}"
        case "command":
            return f"from the command {mask_place(place.where.split()[0])}"


def _empty(place: KeyPlace) -> str:
    return "Its command was not run yet." if place.kind == "command" else "Nothing is there now."
