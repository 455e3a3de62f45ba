"""Endpoints: where models live, and how each kind of server deviates from the OpenAI API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, get_args
from urllib.parse import urlsplit

from services.errors import mask_place

ProfileName = Literal[
    "openai",
    "azure",
    "openrouter",
    "ollama",
    "llamacpp",
    "vllm",
    "lmstudio",
    "litellm",
    "mistral",
    "deepseek",
    "groq",
    "generic",
    "demo",
]
PROFILE_NAMES: tuple[str, ...] = get_args(ProfileName)

Api = Literal["chat", "responses"]
"""Chat Completions or Responses."""

DEMO = "demo"
"""Name of the endpoint that needs nothing: it runs inside Panelist and is not an AI."""

OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a server accepts beyond, or short of, what OpenAI documents."""

    api: Api = "chat"
    """The API to speak where nobody chose one."""
    usage_in_stream: bool = True
    """Chat Completions takes `stream_options.include_usage`."""
    tells_cuts: bool = True
    """Responses says when an answer ended because it got too long; else a cut one looks complete."""
    images: bool = True
    """Pictures are taken, by those of its models that see."""
    needs_key: bool = False
    """Every request without a key is refused."""
    without: frozenset[str] = frozenset()
    """Names of options that it does not take, or takes and does nothing with."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Fields of a request that have another name there."""
    prices: str | None = "host"
    """Whose prices hold, by the price list's name; `host`: of whoever is at its base URL; None: nobody's."""


_OPENAIS_OWN = frozenset({"verbosity", "service_tier"})
_ON_CHAT = {"max_tokens": "max_completion_tokens"}  # its reasoning models refuse the old name

_PROFILES: dict[ProfileName, Profile] = {
    "openai": Profile(api="responses", needs_key=True, renamed=_ON_CHAT, prices="openai"),
    "azure": Profile(
        api="responses", needs_key=True, renamed=_ON_CHAT, without=frozenset({"service_tier"}), prices="azure"
    ),
    "openrouter": Profile(needs_key=True, without=frozenset({"service_tier"}), prices="openrouter"),
    "ollama": Profile(tells_cuts=False, without=_OPENAIS_OWN, prices=None),
    "llamacpp": Profile(tells_cuts=False, without=_OPENAIS_OWN | {"reasoning_effort"}, prices=None),
    "vllm": Profile(without=_OPENAIS_OWN, prices=None),
    "lmstudio": Profile(without=_OPENAIS_OWN | {"logprobs"}, prices=None),
    "mistral": Profile(
        usage_in_stream=False,
        needs_key=True,
        without=_OPENAIS_OWN | {"reasoning_effort", "logprobs"},
        renamed={"seed": "random_seed"},
        prices="mistral",
    ),
    "deepseek": Profile(
        images=False, needs_key=True, without=_OPENAIS_OWN | {"reasoning_effort", "seed"}, prices="deepseek"
    ),
    "groq": Profile(needs_key=True, without=frozenset({"verbosity", "logprobs"}), renamed=_ON_CHAT, prices="groq"),
    "generic": Profile(without=_OPENAIS_OWN),
    "demo": Profile(
        without=_OPENAIS_OWN
        | {"temperature", "top_p", "frequency_penalty", "presence_penalty"}
        | {"stop", "seed", "reasoning_effort", "output", "logprobs"}
    ),
}


def profile_of(name: ProfileName) -> Profile:
    """Return the named profile; a server nobody described is taken to follow the documentation."""
    return _PROFILES.get(name, Profile())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """US dollars for a million tokens."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    """Of input that was read from the endpoint's cache; as other input where nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a person said of models in the file of endpoints; it wins over what is known of them elsewhere."""

    price: Rates | None = None
    context_window: int | None = None
    """Tokens of question and answer together."""


KeyKind = Literal["typed", "env", "file", "command"]
"""Typed in by a person, the name of an environment variable, a file, or a command that prints it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """Where one key of an endpoint is."""

    name: str
    """By which a person knows it."""
    kind: KeyKind
    where: str = ""
    """The variable's name, the path, or the command."""
    max_age_s: float | None = None
    """After which a command is asked again; without, when its key was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place where models live."""

    name: str
    base_url: str
    profile: ProfileName = "generic"
    api: Api | Literal["auto"] = "auto"
    """What a person chose; `speaks` is what counts."""
    key_env: str | None = None
    key_file: str | None = None
    key_command: str | None = None
    key_max_age_s: float | None = None
    """Of what `key_command` gives; see `KeyPlace`."""
    more_keys: tuple[KeyPlace, ...] = ()
    """That are tried when the one above is refused, or there is none."""
    dropped: frozenset[str] = frozenset()
    """Request fields that this endpoint refused and a person chose to leave out."""
    facts: ModelFacts = ModelFacts()
    """Of all its models, where `models` says nothing else."""
    models: Mapping[str, ModelFacts] = field(default_factory=dict, hash=False)
    """Of some of them, by name."""

    @property
    def speaks(self) -> Api:
        """The API that requests are sent in."""
        return profile_of(self.profile).api if self.api == "auto" else self.api

    @property
    def key_places(self) -> tuple[KeyPlace, ...]:
        """Where its keys are, in the order in which they are tried."""
        if self.key_env:
            single = [KeyPlace(name=mask_place(self.key_env), kind="env", where=self.key_env)]
        elif self.key_file:
            single = [KeyPlace(name=mask_place(self.key_file.rsplit("/", 1)[-1]), kind="file", where=self.key_file)]
        elif self.key_command:
            program = mask_place(self.key_command.split()[0].rsplit("/", 1)[-1])
            max_age_s = self.key_max_age_s
            single = [KeyPlace(name=program, kind="command", where=self.key_command, max_age_s=max_age_s)]
        else:
            single = []
        return (*single, *self.more_keys)

    @property
    def is_demo(self) -> bool:
        return self.profile == "demo"

    @property
    def host(self) -> str:
        """The host as a person would name it, for sentences."""
        return urlsplit(self.base_url).netloc or self.base_url


_HOSTS: dict[str, ProfileName] = {
    "api.openai.com": "openai",
    "openrouter.ai": "openrouter",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
}
_PORTS: dict[int, ProfileName] = {11434: "ollama", 1234: "lmstudio", 8080: "llamacpp", 8000: "vllm"}


def guess_profile(base_url: str) -> ProfileName:
    """Return the profile that fits a base URL: by host, then, on this machine, by the server's usual port."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    if host.endswith(".openai.azure.com"):
        return "azure"
    if host in _HOSTS:
        return _HOSTS[host]
    if host in {"localhost", "127.0.0.1", "::1"} and parts.port in _PORTS:
        return _PORTS[parts.port]
    return "generic"


def endpoint_name(base_url: str) -> str:
    """Return the name of an endpoint that nobody named: the same for a base URL wherever it was entered."""
    profile = guess_profile(base_url)
    return profile if profile != "generic" else urlsplit(base_url).netloc


def check_base_url(text: str) -> str:
    """Return `text` as a base URL without a trailing slash.

    Raises:
        ValueError: it is not an `http` or `https` URL with a host, or carries a user name, query or fragment.
    """
    url = text.strip().rstrip("/")
    if any(ch.isspace() or ord(ch) < 32 for ch in url):
        raise ValueError("has a space or line break in it")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL ({error})") from error
    if parts.scheme not in {"http", "https"}:
        raise ValueError("must start with http:// or https://")
    if not parts.hostname:
        raise ValueError("has no host")
    if parts.username or parts.password:
        raise ValueError("must not carry a user name or password; give the key separately")
    if parts.query or parts.fragment:
        raise ValueError("must not carry a query or fragment")
    return url


def is_loopback(base_url: str) -> bool:
    """Whether a URL names this machine."""
    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        return False
    return host in {"localhost", "::1"} or host.startswith("127.") or host.endswith(".localhost")
