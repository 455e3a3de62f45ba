"""The process's configuration, read once from the environment and `.env`; the environment wins."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from dotenv import dotenv_values

from services.endpoints import (
    DEMO,
    OPENAI_URL,
    PROFILE_NAMES,
    Api,
    Endpoint,
    KeyKind,
    KeyPlace,
    ModelFacts,
    ProfileName,
    Rates,
    check_base_url,
    endpoint_name,
    guess_profile,
    profile_of,
)
from services.errors import InputError, SettingsError, mask_place
from services.parameters import step_names

SETTING_NAMES = (
    "OPENAI_API_KEY",
    "OPENAI_API_KEY_FILE",
    "OPENAI_BASE_URL",
    "PANELIST_MODEL",
    "PANELIST_ENDPOINTS",
    "PANELIST_DATA_DIR",
    "PANELIST_SYSTEM_PROMPT",
    "PANELIST_TITLES",
    "PANELIST_POST",
    "PANELIST_FIRST_TOKEN_S",
    "PANELIST_STALL_S",
    "PANELIST_RUN_S",
    "PANELIST_TRIES",
    "PANELIST_LOG",
    "PANELIST_LOG_LEVEL",
    "PANELIST_METRICS",
    "DATABASE_URL",
)

LOCAL_OWNER = "local"
"""The owner of everything until there is a login: the person at this machine."""

_ENDPOINT_FIELDS = ("name", "base_url", "api", "profile", "key_env", "key_file", "key_command")
_KEY_KINDS: tuple[KeyKind, ...] = ("env", "file", "command")
_FACTS = ("price", "context_window")
_RATES = ("input", "cached_input", "output")
_MOST_TOKENS = 1_000_000_000
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

DEMO_ENDPOINT = Endpoint(name=DEMO, base_url="http://demo.invalid/v1", profile="demo")
"""`.invalid` never resolves (RFC 2606), so a mistake cannot send anything anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    app_dir: Path
    """Where app.py and `.env` live."""
    data_dir: Path
    endpoints: tuple[Endpoint, ...]
    """In order of preference; the demo endpoint is always the last."""
    database_url: str | None = field(default=None, repr=False)
    """Begins with `postgresql://` or `sqlite:///` and an absolute path. Never printed: it can hold a password."""
    model: str | None = None
    system_prompt: str | None = None
    titles: bool = True
    """Whether a model is asked for a title after a conversation's first answer."""
    post: tuple[str, ...] = ()
    """The names of the steps that complete answers go through, unless a conversation says otherwise."""
    first_token_s: float = 60.0
    stall_s: float = 60.0
    run_s: float = 900.0
    tries: int = 3
    """How often a call that fails before its first word is made, in all."""
    log: Literal["text", "json"] = "text"
    log_level: str = "INFO"
    metrics: bool = False
    """Whether Prometheus can read what happens here."""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Every name and value read. Never printed: it holds secrets."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the environment says; it wins over `.env`, which can change. Never printed either."""
    env_file: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What `.env` said at the start. Never printed either."""
    fixed: frozenset[str] = frozenset()
    """Names that the environment sets, so that writing them to `.env` would change nothing."""

    @property
    def database(self) -> Path | str:
        """Where conversations are kept: a file of the data directory unless `database_url` names another place."""
        return self.database_url or self.data_dir / "panelist.db"

    @property
    def key_secret(self) -> Path:
        """The file of the secret by which keys are known again; see `services.fingerprints`."""
        return self.data_dir / "key-secret"

    @property
    def attachments(self) -> Path:
        """The folder of attached files."""
        return self.data_dir / "attachments"

    @property
    def first_run(self) -> bool:
        """Whether nothing but the demo endpoint is set up."""
        return all(endpoint.is_demo for endpoint in self.endpoints)


def read_settings(environ: Mapping[str, str], app_dir: Path) -> Settings:
    """Read the settings of the app in `app_dir`.

    Raises:
        SettingsError: a setting cannot be read; its text is one sentence that names it.
    """
    env_file = _env_file(app_dir / ".env")
    # An empty one is not set, as containers pass what nobody gave them: else the key in the file went to another URL.
    values = {**env_file, **{name: value for name, value in environ.items() if value.strip()}}

    def get(name: str) -> str | None:
        return values.get(name, "").strip() or None

    default = _default_endpoint(values)
    return Settings(
        app_dir=app_dir,
        data_dir=(app_dir / (get("PANELIST_DATA_DIR") or "data")).resolve(),
        endpoints=(*default, *_more_endpoints(get("PANELIST_ENDPOINTS"), app_dir, default), DEMO_ENDPOINT),
        database_url=_database_url(get("DATABASE_URL"), app_dir),
        model=get("PANELIST_MODEL"),
        system_prompt=get("PANELIST_SYSTEM_PROMPT"),
        titles=_one_of("PANELIST_TITLES", get("PANELIST_TITLES") or "on", ("on", "off")) == "on",
        post=_names("PANELIST_POST", get("PANELIST_POST")),
        first_token_s=_seconds("PANELIST_FIRST_TOKEN_S", get("PANELIST_FIRST_TOKEN_S"), 60.0),
        stall_s=_seconds("PANELIST_STALL_S", get("PANELIST_STALL_S"), 60.0),
        run_s=_seconds("PANELIST_RUN_S", get("PANELIST_RUN_S"), 900.0),
        tries=int(_one_of("PANELIST_TRIES", get("PANELIST_TRIES") or "3", ("1", "2", "3"))),
        log="json" if _one_of("PANELIST_LOG", get("PANELIST_LOG") or "text", ("text", "json")) == "json" else "text",
        log_level=_one_of("PANELIST_LOG_LEVEL", (get("PANELIST_LOG_LEVEL") or "INFO").upper(), _LEVELS),
        metrics=_one_of("PANELIST_METRICS", get("PANELIST_METRICS") or "off", ("on", "off")) == "on",
        values=values,
        environ=dict(environ),
        env_file=env_file,
        fixed=frozenset(name for name in SETTING_NAMES if environ.get(name, "").strip()),
    )


def check_key(key: str) -> str:
    """Return `key` without surrounding white space.

    Raises:
        ValueError: it could not be sent in a header; the text says why and does not repeat the key.
    """
    key = key.strip()
    if re.search(r"\s", key):
        raise ValueError("has a space or line break in it; a key is one word")
    if not key.isascii() or not key.isprintable():
        raise ValueError("has a character in it that no key has (a typographic dash or quote?)")
    return key


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean X?" when one of `known` is close to `name`, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def read_env_file(path: Path) -> dict[str, str]:
    """Return what a `.env` file sets, whatever its names are; nothing where there is none.

    Raises:
        SettingsError: it cannot be read.
    """
    if not path.exists():
        return {}
    if not path.is_file():
        raise SettingsError(f"{path.name} is not a file.")
    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} cannot be read: {error}.") from error
    return {name: value or "" for name, value in values.items()}


def _env_file(path: Path) -> dict[str, str]:
    """Return what `.env` sets at the start.

    Raises:
        SettingsError: it cannot be read, or sets what is no setting.
    """
    values = read_env_file(path)
    for name in values:
        # Only in our own file: in the environment other programs use the prefix (Kubernetes does for service names).
        if name.startswith("PANELIST_") and name not in SETTING_NAMES:
            raise SettingsError(f"{path.name} sets {name}, which is no setting.{suggestion(name, SETTING_NAMES)}")
    return values


def _default_endpoint(values: Mapping[str, str]) -> tuple[Endpoint, ...]:
    url = values.get("OPENAI_BASE_URL", "").strip()
    key = values.get("OPENAI_API_KEY", "").strip()
    key_file = values.get("OPENAI_API_KEY_FILE", "").strip()
    if not (url or key or key_file):
        return ()
    try:
        check_key(key)
    except ValueError as error:
        raise SettingsError(f"OPENAI_API_KEY {error}.") from error
    base_url = _base_url("OPENAI_BASE_URL", url or OPENAI_URL)
    profile = guess_profile(base_url)
    endpoint = Endpoint(
        name=endpoint_name(base_url),
        base_url=base_url,
        profile=profile,
        key_env="OPENAI_API_KEY" if key else None,
        key_file=None if key or not key_file else key_file,
    )
    return (endpoint,)


def _more_endpoints(file: str | None, app_dir: Path, default: tuple[Endpoint, ...]) -> list[Endpoint]:
    if file is None:
        return []
    path = app_dir / file
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"PANELIST_ENDPOINTS names {file!r}, which cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"PANELIST_ENDPOINTS: {file!r} is not valid TOML: {error}.") from error
    for name in tables:
        if name != "endpoint":
            raise SettingsError(
                f"PANELIST_ENDPOINTS: {file!r} has a table {name!r}; only [[endpoint]] tables are known."
            )
    rows = tables.get("endpoint", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingsError(f"PANELIST_ENDPOINTS: {file!r} must use [[endpoint]], with two brackets.")
    endpoints = [_endpoint(row, f"PANELIST_ENDPOINTS: endpoint {n} in {file!r}") for n, row in enumerate(rows, 1)]
    names = [DEMO, *(endpoint.name for endpoint in default)]
    for endpoint in endpoints:
        if endpoint.name in names:
            raise SettingsError(f"PANELIST_ENDPOINTS: {file!r} uses the name {endpoint.name!r}, which is taken.")
        names.append(endpoint.name)
    return endpoints


def _endpoint(row: Mapping[str, object], where: str) -> Endpoint:
    known = (*_ENDPOINT_FIELDS, *_FACTS, "key_max_age", "key", "models")
    for name, value in row.items():
        if name not in known:
            raise SettingsError(f"{where} sets {name!r}, which is no field.{suggestion(name, known)}")
        if name in _ENDPOINT_FIELDS and (not isinstance(value, str) or not value.strip()):
            raise SettingsError(f"{where}: {name} must be a text that is not empty.")
    texts = cast(Mapping[str, str], row)
    models = row.get("models", {})
    if not isinstance(models, dict):
        raise SettingsError(f'{where}: models must be tables, [endpoint.models."name"] each.')
    for name in ("name", "base_url"):
        if name not in texts:
            raise SettingsError(f"{where} has no {name}.")
    api = _one_of(f"{where}: api", texts.get("api", "auto"), ("auto", "chat", "responses"))
    if len([name for name in ("key_env", "key_file", "key_command") if name in texts]) > 1:
        more = "keep one, and give the others as [[endpoint.key]] tables"
        raise SettingsError(f"{where} has more than one of key_env, key_file and key_command; {more}.")
    if "key_max_age" in row and "key_command" not in texts:
        raise SettingsError(f"{where}: key_max_age is of what key_command gives, and there is none.")
    base_url = _base_url(f"{where}: base_url", texts["base_url"])
    named = _one_of(
        f"{where}: profile", texts.get("profile", guess_profile(base_url)), [p for p in PROFILE_NAMES if p != DEMO]
    )
    profile = cast(ProfileName, named)
    if api == "responses" and not profile_of(profile).tells_cuts:
        raise SettingsError(f"{where}: api 'responses' of {profile} hides that an answer was cut short; use 'chat'.")
    endpoint = Endpoint(
        name=texts["name"].strip(),
        base_url=base_url,
        profile=profile,
        api=cast(Api | Literal["auto"], api),
        key_env=texts.get("key_env"),
        key_file=texts.get("key_file"),
        key_command=texts.get("key_command"),
        key_max_age_s=_max_age(row.get("key_max_age"), f"{where}: key_max_age"),
        more_keys=_more_keys(row.get("key", []), where),
        facts=_facts({name: row[name] for name in _FACTS if name in row}, where),
        models={name: _facts(said, f"{where}: model {name!r}") for name, said in models.items()},
    )
    names = [place.name for place in endpoint.key_places]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(f"{where} has two keys of the name {twice!r}; give each its own.")
    return endpoint


def _more_keys(said: object, where: str) -> tuple[KeyPlace, ...]:
    """Read an endpoint's `[[endpoint.key]]` tables."""
    if not isinstance(said, list) or not all(isinstance(row, dict) for row in said):
        raise SettingsError(f"{where}: keys must be [[endpoint.key]] tables, with two brackets.")
    return tuple(_key_place(row, f"{where}: key {n}") for n, row in enumerate(said, 1))


def _key_place(row: Mapping[str, object], where: str) -> KeyPlace:
    known = ("name", *_KEY_KINDS, "max_age")
    for name, value in row.items():
        if name not in known:  # the value may be a key that stands in the wrong place, so it is not repeated
            raise SettingsError(f"{where} sets {name!r}, which is no field.{suggestion(name, known)}")
        if name != "max_age" and (not isinstance(value, str) or not value.strip()):
            raise SettingsError(f"{where}: {name} must be a text that is not empty.")
    kinds = [kind for kind in _KEY_KINDS if kind in row]
    if "name" not in row or len(kinds) != 1:
        raise SettingsError(f"{where} must have a name, and one of env, file and command.")
    if "max_age" in row and kinds != ["command"]:
        raise SettingsError(f"{where}: max_age is of what a command gives; files are looked at by themselves.")
    return KeyPlace(
        name=mask_place(str(row["name"]).strip()),
        kind=kinds[0],
        where=str(row[kinds[0]]),
        max_age_s=_max_age(row.get("max_age"), f"{where}: max_age"),
    )


def _max_age(said: object, where: str) -> float | None:
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 < said < 1e9:
        raise SettingsError(f"{where} must be a number of seconds above 0.")
    return float(said)


def _facts(said: object, where: str) -> ModelFacts:
    """Read what the file says of models."""
    if not isinstance(said, Mapping):
        raise SettingsError(f"{where} must be a table with price or context_window.")
    for name in said:
        if name not in _FACTS:
            raise SettingsError(f"{where} sets {name!r}, which is no field.{suggestion(name, _FACTS)}")
    window = said.get("context_window")
    if window is not None and (
        isinstance(window, bool) or not isinstance(window, int) or not 0 < window < _MOST_TOKENS
    ):
        raise SettingsError(f"{where}: context_window must be a whole number of tokens above 0.")
    return ModelFacts(price=_rates(said["price"], where) if "price" in said else None, context_window=window)


def _rates(said: object, where: str) -> Rates:
    how = "dollars for a million tokens, as { input = 0.5, cached_input = 0.05, output = 2 }"
    if not isinstance(said, Mapping) or not {"input", "output"} <= said.keys() <= set(_RATES):
        raise SettingsError(f"{where}: price must be {how}; cached_input can be left out.")
    rates: dict[str, Decimal] = {}
    for name, value in said.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise SettingsError(f"{where}: price must be {how}, and {name} is {value!r}.")
        rates[name] = Decimal(str(value))
    return Rates(**rates)


def _base_url(name: str, text: str) -> str:
    try:
        return check_base_url(text)
    except ValueError as error:
        raise SettingsError(f"{name} {error}: {text.strip()!r}.") from error


def _database_url(url: str | None, app_dir: Path) -> str | None:
    """Return the URL, a file's path in it made absolute. No sentence repeats it: it can hold a password."""
    if url is None:
        return None
    scheme, colon, rest = url.partition("://")
    if colon and scheme == "sqlite":
        if not rest.startswith("/") or rest in {"/", "/:memory:"}:
            raise SettingsError("DATABASE_URL names no file; write sqlite:///panelist.db or sqlite:////absolute/path.")
        return f"sqlite:///{(app_dir / rest[1:]).resolve()}"
    if not colon or scheme != "postgresql":
        found = f"not {scheme}://" if colon and scheme.replace("+", "").isalnum() else "and this one does not"
        raise SettingsError(f"DATABASE_URL must begin with postgresql:// or sqlite:///, {found}.")
    try:
        parts = urlsplit(url)
        known = parts.hostname, parts.port
    except ValueError:
        known = None
    if known is None or re.search(r"\s", url) or not parts.path.strip("/"):
        raise SettingsError(
            "DATABASE_URL cannot be read; write postgresql://user:password@host:5432/database, "
            "with @ : / # and ? in the password as %40 %3A %2F %23 and %3F."
        )
    return url


def _names(name: str, text: str | None) -> tuple[str, ...]:
    try:
        return step_names([word.strip().lower() for word in (text or "").split(",") if word.strip()]) or ()
    except InputError as error:
        raise SettingsError(f"{name} must be names with commas, such as trim,typography. {error}") from error


def _seconds(name: str, text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise SettingsError(f"{name} must be a number of seconds above 0, not {text!r}.")
    return seconds


def _one_of(name: str, text: str, known: Iterable[str]) -> str:
    known = list(known)
    if text not in known:
        raise SettingsError(f"{name} must be one of {', '.join(known)}, not {text!r}.{suggestion(text, known)}")
    return text
