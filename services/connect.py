"""The door to endpoints: which there are, what models they have, and how a new one is tried and kept."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.endpoints import OPENAI_URL, Endpoint, check_base_url, guess_profile, profile_of
from services.errors import Failure, InputError, ModelError
from services.keys import KeyRing, write_env
from services.messages import new_id
from services.providers.base import Provider
from services.settings import Settings, check_key
from services.storage.store import Store

_MODELS_FRESH_S = 300.0
_LOCAL_TIMEOUT_S = 0.5

LOCAL_SERVERS: tuple[tuple[str, str], ...] = (
    ("Ollama", "http://127.0.0.1:11434/v1"),
    ("LM Studio", "http://127.0.0.1:1234/v1"),
    ("llama.cpp", "http://127.0.0.1:8080/v1"),
    ("vLLM", "http://127.0.0.1:8000/v1"),
)

_NO_CHAT = re.compile(
    r"embed|whisper|\btts|dall-e|moderation|transcri|rerank|realtime|-image|image-|sora|audio|davinci|babbage", re.I
)


def chat_models(names: list[str]) -> list[str]:
    """Return the names that can hold a conversation, as far as a name tells, in their order."""
    return [name for name in names if not _NO_CHAT.search(name)]


@dataclass(frozen=True, slots=True)
class Found:
    """A model server on this machine."""

    label: str
    base_url: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying a base URL and key."""

    ok: bool
    sentence: str
    models: tuple[str, ...] = ()
    refused: bool = False
    """It was the key."""


class Connections:
    """The endpoints of this process: those of the settings and those a person set up since."""

    def __init__(self, settings: Settings, keys: KeyRing, provider: Provider, store: Store) -> None:
        self._settings = settings
        self._keys = keys
        self._provider = provider
        self._store = store
        self._endpoints = {endpoint.name: endpoint for endpoint in settings.endpoints}
        self._default = settings.endpoints[0].name
        self._models: dict[str, tuple[float, list[str]]] = {}

    async def load(self) -> None:
        """Take in what people decided about endpoints in earlier processes."""
        for name, parameters in (await self._store.dropped_parameters()).items():
            if name in self._endpoints:
                self._endpoints[name] = dataclasses.replace(self._endpoints[name], dropped=parameters)

    @property
    def first_run(self) -> bool:
        """Whether there is nothing but the demo endpoint."""
        return all(endpoint.is_demo for endpoint in self._endpoints.values())

    @property
    def default(self) -> Endpoint:
        """The endpoint of new conversations."""
        return self._endpoints[self._default]

    def endpoints(self) -> list[Endpoint]:
        """Return all endpoints, the default first, the demo last."""
        return sorted(self._endpoints.values(), key=lambda e: (e.is_demo, e.name != self._default))

    def knows(self, name: str | None) -> bool:
        """Whether an endpoint of that name is set up."""
        return name in self._endpoints

    def get(self, name: str | None) -> Endpoint:
        """Return the endpoint of that name; the default one for None.

        Raises:
            ModelError: it is not set up (any more).
        """
        if name is None:
            return self.default
        if name not in self._endpoints:
            message = f"This conversation uses the endpoint {name!r}, which is not set up any more."
            raise ModelError(Failure(kind="not_found", message=message, next_step="choose_model"))
        return self._endpoints[name]

    async def models(self, name: str) -> list[str]:
        """Return the chat models of an endpoint, asked for at most every five minutes.

        Raises:
            ModelError: the endpoint has no list or could not be asked.
        """
        known = self._models.get(name)
        if known is None or time.monotonic() - known[0] > _MODELS_FRESH_S:
            known = (time.monotonic(), chat_models(await self._provider.list_models(self.get(name))))
            self._models[name] = known
        return known[1]

    async def default_model(self, endpoint: Endpoint) -> str:
        """Return the model for conversations that chose none.

        Raises:
            ModelError: no setting names one and the endpoint lists none.
        """
        if self._settings.model and endpoint.name == self._default:
            return self._settings.model
        models = await self.models(endpoint.name)
        if not models:
            message = f"{endpoint.name} lists no model, so type the name of one above."
            raise ModelError(Failure(kind="not_found", message=message, next_step="choose_model"))
        return models[0]

    def forget_models(self, name: str) -> None:
        """Ask for the endpoint's models again when they are next wanted: another key may open others."""
        self._models.pop(name, None)

    def known_default_model(self, name: str) -> str | None:
        """Return what `default_model` would, as far as it is known without asking anybody."""
        if self._settings.model and name == self._default:
            return self._settings.model
        return next(iter(self._models.get(name, (0.0, []))[1]), None)

    def known_questions(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return the questions that an endpoint answers in a way of its own, each with what comes."""
        if name not in self._endpoints or not self._endpoints[name].is_demo:
            return ()
        from services.providers.demo import DEMO_COMMANDS  # noqa: PLC0415 - with all that it can say

        return DEMO_COMMANDS

    async def find_local(self) -> list[Found]:
        """Return the model servers that answer on this machine's usual ports within half a second."""
        found = await asyncio.gather(*(self._look(label, url) for label, url in LOCAL_SERVERS))
        return [server for server in found if server is not None]

    async def try_out(self, base_url: str, key: str) -> Tried:
        """Ask a server for its models with a key, and say in words what came of it. Changes nothing."""
        try:
            endpoint, key = self._candidate(base_url, key)
        except InputError as error:
            return Tried(False, str(error))
        return await self.try_key(endpoint, key)

    async def try_key(self, endpoint: Endpoint, key: str) -> Tried:
        """Ask an endpoint for its models with this key and no other, and say in words what came of it."""
        without = {"key_env": None, "key_file": None, "key_command": None, "more_keys": ()}
        trial = dataclasses.replace(endpoint, name=f"trial {new_id()}", **without)  # type: ignore[arg-type]
        self._keys.remember(trial, key)
        try:
            models = chat_models(await self._provider.list_models(trial))
        except ModelError as error:
            failure = error.failure
            return Tried(False, failure.message.replace(trial.name, endpoint.host), refused=failure.kind == "auth")
        finally:
            self._keys.forget(trial)
        if not models:
            return Tried(True, f"{endpoint.host} answered and lists no model; type the model's name when you chat.")
        count = "1 model" if len(models) == 1 else f"{len(models)} models"
        return Tried(True, f"It works: {endpoint.host} offers {count}.", tuple(models))

    def use(self, base_url: str, key: str) -> Endpoint:
        """Make a server the default for new conversations, its key kept in memory.

        Raises:
            InputError: the URL or key cannot be right.
        """
        endpoint, key = self._candidate(base_url, key)
        same = next((e for e in self._endpoints.values() if e.base_url == endpoint.base_url), None)
        if same is not None:
            endpoint = same
        elif endpoint.name in self._endpoints:
            free = endpoint.host if endpoint.host not in self._endpoints else endpoint.base_url
            endpoint = dataclasses.replace(endpoint, name=free)
        self._endpoints[endpoint.name] = endpoint
        self._models.pop(endpoint.name, None)
        if key:
            self._keys.remember(endpoint, key)
        self._default = endpoint.name
        return endpoint

    async def write_down(self, base_url: str, key: str) -> None:
        """Write a base URL and key to `.env`, mode 0600, so that the next start has them.

        A key that was there for another URL is taken out: it must not be sent to this one.

        Raises:
            InputError: the URL or key cannot be right, the environment sets the same names and would win, or the file
                cannot be written safely.
        """
        endpoint, key = self._candidate(base_url, key)
        values = {"OPENAI_BASE_URL": endpoint.base_url, "OPENAI_API_KEY": key or None, "OPENAI_API_KEY_FILE": None}
        fixed = sorted(self._settings.fixed & values.keys())
        if fixed:
            raise InputError(f"The environment sets {', '.join(fixed)} and wins over .env. Change it there.")
        await asyncio.to_thread(write_env, self._settings.app_dir / ".env", values)

    async def drop_parameter(self, name: str, parameter: str) -> None:
        """Never send a request field to this endpoint again."""
        endpoint = self.get(name)
        self._endpoints[name] = dataclasses.replace(endpoint, dropped=endpoint.dropped | {parameter})
        await self._store.drop_parameter(name, parameter)

    def _candidate(self, base_url: str, key: str) -> tuple[Endpoint, str]:
        try:
            url = check_base_url(base_url or OPENAI_URL)
        except ValueError as error:
            raise InputError(f"The base URL {error}.") from error
        try:
            key = check_key(key)
        except ValueError as error:
            raise InputError(f"The key {error}.") from error
        profile = guess_profile(url)
        if profile_of(profile).needs_key and not key:
            raise InputError(f"{urlsplit(url).hostname} needs a key; paste yours.")
        return Endpoint(
            name=urlsplit(url).netloc if profile == "generic" else profile, base_url=url, profile=profile
        ), key

    async def _look(self, label: str, base_url: str) -> Found | None:
        endpoint = Endpoint(name=label, base_url=base_url, profile=guess_profile(base_url))
        try:
            async with asyncio.timeout(_LOCAL_TIMEOUT_S):
                return Found(label, base_url, tuple(chat_models(await self._provider.list_models(endpoint))))
        except (TimeoutError, ModelError):
            return None  # nothing there, which is the usual case and no failure
