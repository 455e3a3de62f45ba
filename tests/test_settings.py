"""Settings: what wins, and one sentence for whatever cannot be read."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from services.endpoints import KeyPlace, ModelFacts, Rates, guess_profile
from services.errors import SettingsError
from services.settings import SETTING_NAMES, read_settings
from tests.keyed import SHAPED

ROOT = Path(__file__).parent.parent


def read(tmp_path: Path, env_file: str | None = None, toml: str | None = None, **environ: str):
    if env_file is not None:
        (tmp_path / ".env").write_text(env_file, "utf-8")
    if toml is not None:
        (tmp_path / "endpoints.toml").write_text(toml, "utf-8")
        environ["PANELIST_ENDPOINTS"] = "endpoints.toml"
    return read_settings(environ, tmp_path)


def test_nothing_set_means_the_demo_endpoint(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert settings.first_run
    assert [endpoint.name for endpoint in settings.endpoints] == ["demo"]
    assert settings.data_dir == (tmp_path / "data").resolve()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, "PANELIST_MODEL=from-file\nPANELIST_STALL_S=5\n", PANELIST_MODEL="from-environment")
    assert (settings.model, settings.stall_s) == ("from-environment", 5.0)


def test_an_empty_name_in_the_environment_is_not_set(tmp_path: Path) -> None:
    written = "OPENAI_BASE_URL='https://llm.example.org/v1'\nOPENAI_API_KEY='sk-theirs'\n"
    settings = read(tmp_path, written, OPENAI_BASE_URL="", OPENAI_API_KEY=" ")
    assert settings.endpoints[0].base_url == "https://llm.example.org/v1", "else their key would go to OpenAI"
    assert settings.values["OPENAI_API_KEY"] == "sk-theirs"


def test_a_key_alone_is_openai_and_a_url_alone_needs_no_key(tmp_path: Path) -> None:
    openai, demo = read(tmp_path, OPENAI_API_KEY="sk-x").endpoints
    assert (openai.name, openai.profile, openai.key_env) == ("openai", "openai", "OPENAI_API_KEY")
    assert demo.is_demo
    local = read(tmp_path, OPENAI_BASE_URL="http://localhost:11434/v1/").endpoints[0]
    assert (local.name, local.base_url, local.key_env) == ("ollama", "http://localhost:11434/v1", None)


def test_more_endpoints_come_from_toml(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        toml='[[endpoint]]\nname = "team"\nbase_url = "https://llm.example.org/v1"\nprofile = "vllm"\n'
        'key_command = "pass show llm"\napi = "chat"\n[[endpoint]]\nname = "or"\n'
        'base_url = "https://openrouter.ai/api/v1"\nkey_env = "OR_KEY"\n',
    )
    team, router, _demo = settings.endpoints
    assert (team.profile, team.key_command) == ("vllm", "pass show llm")
    assert router.profile == "openrouter", "guessed from its host"


def test_several_keys_come_from_toml(tmp_path: Path) -> None:
    toml = """
[[endpoint]]
name = "team"
base_url = "https://llm.example.org/v1"
key_command = "/usr/bin/pass show llm/team"
key_max_age = 3600
[[endpoint.key]]
name = "standby"
env = "TEAM_KEY"
[[endpoint.key]]
name = "mounted"
file = "/run/secrets/team"
[[endpoint.key]]
name = "vault"
command = "vault read -field=key llm"
max_age = 0.5
"""
    team = read(tmp_path, toml=toml).endpoints[0]
    assert team.key_places == (
        KeyPlace(name="pass", kind="command", where="/usr/bin/pass show llm/team", max_age_s=3600.0),
        KeyPlace(name="standby", kind="env", where="TEAM_KEY"),
        KeyPlace(name="mounted", kind="file", where="/run/secrets/team"),
        KeyPlace(name="vault", kind="command", where="vault read -field=key llm", max_age_s=0.5),
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("key = 'sk-abc'", "keys must be [[endpoint.key]] tables"),
        ("[endpoint.key]\nname='a'\nenv='A'", "keys must be [[endpoint.key]] tables"),
        ("[[endpoint.key]]\nenv='A'", "key 1 must have a name, and one of env, file and command"),
        ("[[endpoint.key]]\nname='a'", "key 1 must have a name, and one of"),
        ("[[endpoint.key]]\nname='a'\nenv='A'\nfile='f'", "key 1 must have a name, and one of"),
        ("[[endpoint.key]]\nname='a'\nenv=''", "key 1: env must be a text that is not empty"),
        ("[[endpoint.key]]\nname='a'\nevn='A'", "key 1 sets 'evn', which is no field. Did you mean env?"),
        ("[[endpoint.key]]\nname='a'\nenv='A'\n[[endpoint.key]]\nname='a'\nenv='B'", "two keys of the name 'a'"),
        ("key_env='A'\n[[endpoint.key]]\nname='A'\nenv='B'", "two keys of the name 'A'"),
        ("[[endpoint.key]]\nname='a'\nenv='A'\nmax_age=5", "key 1: max_age is of what a command gives"),
        ("[[endpoint.key]]\nname='a'\ncommand='c'\nmax_age=0", "max_age must be a number of seconds above 0"),
        ("key_command='c'\nkey_max_age='1h'", "key_max_age must be a number of seconds above 0"),
        ("key_env='A'\nkey_max_age=5", "key_max_age is of what key_command gives"),
    ],
)
def test_keys_that_cannot_be_stop_the_start(tmp_path: Path, fields: str, says: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)) as raised:
        read(tmp_path, toml=f"[[endpoint]]\nname = 'x'\nbase_url = 'https://h.example/v1'\n{fields}\n")
    assert "sk-abc" not in str(raised.value)


def test_what_models_cost_and_take_comes_from_toml(tmp_path: Path) -> None:
    here = read(
        tmp_path,
        toml='[[endpoint]]\nname = "team"\nbase_url = "https://llm.example.org/v1"\ncontext_window = 32768\n'
        "price = { input = 0.5, cached_input = 0.05, output = 2 }\n"
        '[endpoint.models."llama"]\nprice = { input = 1, output = 1.5 }\n',
    ).endpoints[0]
    rates = Rates(input=Decimal("0.5"), cached_input=Decimal("0.05"), output=Decimal(2))
    assert here.facts == ModelFacts(price=rates, context_window=32768)
    assert here.models == {"llama": ModelFacts(price=Rates(input=Decimal(1), output=Decimal("1.5")))}
    assert isinstance(hash(here), int), "endpoints are values"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("price = 2", "price must be dollars for a million tokens"),
        ("price = { input = 2 }", "price must be dollars"),
        ("price = { input = 2, output = 3, other = 1 }", "price must be dollars"),
        ("price = { input = -2, output = 3 }", "and input is -2"),
        ("price = { input = nan, output = 3 }", "and input is nan"),
        ("price = { input = '2', output = 3 }", "and input is '2'"),
        ("context_window = 0", "context_window must be a whole number"),
        ("context_window = true", "context_window must be a whole number"),
        ("models = 3", "models must be tables"),
        ("models.x = 3", "model 'x' must be a table"),
        ("models.x.prise = 3", "model 'x' sets 'prise', which is no field. Did you mean price?"),
    ],
)
def test_prices_that_cannot_be_stop_the_start(tmp_path: Path, fields: str, says: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)):
        read(tmp_path, toml=f"[[endpoint]]\nname = 'x'\nbase_url = 'https://h.example/v1'\n{fields}\n")


@pytest.mark.parametrize(
    ("fields", "speaks"),
    [
        ("", "chat"),
        ("profile = 'openai'\n", "responses"),
        ("profile = 'azure'\n", "responses"),
        ("profile = 'vllm'\n", "chat"),
        ("api = 'auto'\n", "chat"),
        ("api = 'responses'\n", "responses"),
        ("profile = 'openai'\napi = 'chat'\n", "chat"),
        ("profile = 'openai'\napi = 'auto'\n", "responses"),
    ],
)
def test_the_api_is_the_chosen_one_or_that_of_the_profile(tmp_path: Path, fields: str, speaks: str) -> None:
    settings = read(tmp_path, toml=f"[[endpoint]]\nname = 'x'\nbase_url = 'https://h.example/v1'\n{fields}")
    assert settings.endpoints[0].speaks == speaks
    assert settings.endpoints[-1].speaks == "chat", "the demo"


def test_openai_alone_speaks_responses(tmp_path: Path) -> None:
    assert read(tmp_path, OPENAI_API_KEY="sk-x").endpoints[0].speaks == "responses"
    assert read(tmp_path, OPENAI_BASE_URL="http://localhost:11434/v1").endpoints[0].speaks == "chat"


@pytest.mark.parametrize(
    ("url", "profile"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://me.openai.azure.com/openai/v1", "azure"),
        ("http://127.0.0.1:1234/v1", "lmstudio"),
        ("http://example.org:11434/v1", "generic"),
        ("https://api.openai.com.evil.example/v1", "generic"),
    ],
)
def test_profiles_are_guessed_by_host_and_local_port(url: str, profile: str) -> None:
    assert guess_profile(url) == profile


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"OPENAI_BASE_URL": "localhost:8000"}, "OPENAI_BASE_URL must start with http"),
        ({"OPENAI_BASE_URL": "http://"}, "OPENAI_BASE_URL has no host"),
        ({"OPENAI_BASE_URL": "http://host:port/v1"}, "OPENAI_BASE_URL is not a URL"),
        ({"OPENAI_BASE_URL": "http://a b/v1"}, "OPENAI_BASE_URL has a space"),
        ({"OPENAI_BASE_URL": "http://me:secret@host/v1"}, "must not carry a user name"),
        ({"OPENAI_API_KEY": "sk-abc\ndef"}, "OPENAI_API_KEY has a space or line break"),
        ({"OPENAI_API_KEY": "sk–abc"}, "OPENAI_API_KEY has a character"),
        ({"PANELIST_STALL_S": "soon"}, "PANELIST_STALL_S must be a number of seconds above 0, not 'soon'"),
        ({"PANELIST_RUN_S": "0"}, "PANELIST_RUN_S must be a number"),
        ({"PANELIST_FIRST_TOKEN_S": "nan"}, "PANELIST_FIRST_TOKEN_S must be a number"),
        ({"PANELIST_LOG": "jsn"}, "PANELIST_LOG must be one of text, json, not 'jsn'. Did you mean json?"),
        ({"PANELIST_TITLES": "yes"}, "PANELIST_TITLES must be one of on, off"),
        ({"PANELIST_ENDPOINTS": "missing.toml"}, "PANELIST_ENDPOINTS names 'missing.toml', which cannot be read"),
        (
            {"DATABASE_URL": "mysql://me:abc@host/db"},
            "DATABASE_URL must begin with postgresql:// or sqlite:///, not my",
        ),
        ({"DATABASE_URL": "postgres://me:abc@host/db"}, "DATABASE_URL must begin with postgresql://"),
        ({"DATABASE_URL": "data/abc.db"}, "DATABASE_URL must begin with postgresql:// or sqlite:///, and this one"),
        ({"DATABASE_URL": "sqlite://abc.db"}, "DATABASE_URL names no file; write sqlite:///panelist.db"),
        ({"DATABASE_URL": "sqlite:///:memory:"}, "DATABASE_URL names no file"),
        ({"DATABASE_URL": "postgresql://host"}, "DATABASE_URL cannot be read; write postgresql://user:password"),
        ({"DATABASE_URL": "postgresql://me:abc/def@host/db"}, "DATABASE_URL cannot be read"),
        ({"DATABASE_URL": "postgresql://me:abc@host:port/db"}, "DATABASE_URL cannot be read"),
        ({"DATABASE_URL": "postgresql://me:abc def@host/db"}, "DATABASE_URL cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_names_it(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(environ, tmp_path)
    assert says in str(raised.value)
    assert "secret" not in str(raised.value) or "user name" in str(raised.value)
    assert "abc" not in str(raised.value), "a key is never repeated"


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("[[endpoint]\n", "is not valid TOML"),
        ("[server]\nx=1\n", "has a table 'server'"),
        ("[endpoint]\nname='x'\n", "two brackets"),
        ("endpoint = ['a', 3]\n", "two brackets"),
        ("[[endpoint]]\nname='x'\n", "has no base_url"),
        (
            "[[endpoint]]\nname='x'\nbase_uri='http://h/v1'\n",
            "sets 'base_uri', which is no field. Did you mean base_url?",
        ),
        ("[[endpoint]]\nname='x'\nbase_url='ftp://h'\n", "base_url must start with http"),
        ("[[endpoint]]\nname='x'\nbase_url='http://h/v1'\nprofile='olama'\n", "Did you mean ollama?"),
        ("[[endpoint]]\nname='x'\nbase_url='http://h/v1'\napi='response'\n", "Did you mean responses?"),
        (
            "[[endpoint]]\nname='x'\nbase_url='http://localhost:8080/v1'\napi='responses'\n",
            "api 'responses' of llamacpp hides that an answer was cut short; use 'chat'",
        ),
        ("[[endpoint]]\nname='x'\nbase_url='http://h'\nkey_env='A'\nkey_file='b'\n", "more than one of"),
        ("[[endpoint]]\nname='demo'\nbase_url='http://h'\n", "which is taken"),
        (
            "[[endpoint]]\nname='x'\nbase_url='http://h'\n[[endpoint]]\nname='x'\nbase_url='http://h'\n",
            "which is taken",
        ),
        ("[[endpoint]]\nname=''\nbase_url='http://h'\n", "must be a text that is not empty"),
    ],
)
def test_an_endpoints_file_with_a_mistake_says_where(tmp_path: Path, toml: str, says: str) -> None:
    with pytest.raises(SettingsError, match=r"^PANELIST_ENDPOINTS") as raised:
        read(tmp_path, toml=toml)
    assert says in str(raised.value)


def test_an_unknown_name_in_the_env_file_is_refused_with_a_guess(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"PANELIST_MODLE, which is no setting. Did you mean PANELIST_MODEL"):
        read(tmp_path, "PANELIST_MODLE=x\n")


def test_names_of_others_in_the_environment_are_none_of_our_business(tmp_path: Path) -> None:
    assert read(tmp_path, PANELIST_SERVICE_HOST="10.0.0.1").first_run


def test_the_database_is_a_file_of_the_data_directory_unless_it_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, PANELIST_DATA_DIR="kept").database == tmp_path.resolve() / "kept" / "panelist.db"
    url = "postgresql://me:canary@db.example.org:5433/panelist?sslmode=require"
    settings = read(tmp_path, DATABASE_URL=url)
    assert settings.database == settings.database_url == url
    assert "canary" not in repr(settings)
    assert read(tmp_path, DATABASE_URL="sqlite:///chat.db").database == f"sqlite:///{tmp_path.resolve()}/chat.db"
    assert read(tmp_path, DATABASE_URL="sqlite:////srv/chat.db").database == "sqlite:////srv/chat.db"
    assert read(tmp_path, DATABASE_URL="postgresql:///panelist").database == "postgresql:///panelist"


def test_settings_never_print_their_secrets(tmp_path: Path) -> None:
    settings = read(tmp_path, OPENAI_API_KEY=SHAPED)
    assert "canary" not in repr(settings)


@pytest.mark.parametrize("file", ["README.md", ".env.example"])
def test_every_setting_is_documented(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert [name for name in SETTING_NAMES if name not in text] == []
