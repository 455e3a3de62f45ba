"""Endpoints and keys: trying, using, writing down."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from services.connect import LOCAL_SERVERS, chat_models
from services.errors import InputError
from services.keys import Key, write_env
from services.settings import read_settings
from tests.conftest import OpenRuntime
from tests.keyed import SHAPED
from tests.scripted import ScriptedProvider, refusal

KEY = SHAPED


class TestWriteEnv:
    def test_it_keeps_other_lines_and_is_the_owners_alone(self, tmp_path: Path) -> None:
        env = tmp_path / ".env"
        env.write_text("# mine\nOPENAI_API_KEY=old\nPANELIST_MODEL=m\nexport OPENAI_API_KEY=older", "utf-8")
        env.chmod(0o644)
        write_env(env, {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://h/v1"})
        assert stat.S_IMODE(env.stat().st_mode) == 0o600
        assert env.read_text("utf-8").splitlines()[:2] == ["# mine", "PANELIST_MODEL=m"]
        settings = read_settings({}, tmp_path)
        assert settings.endpoints[0].base_url == "http://h/v1"
        assert settings.values["OPENAI_API_KEY"] == KEY
        assert [path.name for path in tmp_path.iterdir()] == [".env"], "no temporary file is left"

    def test_never_through_a_link(self, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.write_text("untouched", "utf-8")
        (tmp_path / ".env").symlink_to(target)
        with pytest.raises(InputError, match="is a link"):
            write_env(tmp_path / ".env", {"OPENAI_API_KEY": KEY})
        assert target.read_text("utf-8") == "untouched"

    def test_a_folder_that_is_gone_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"cannot be written: No such file"):
            write_env(tmp_path / "gone" / ".env", {"OPENAI_API_KEY": KEY})


class TestTryAndUse:
    async def test_a_key_that_works_says_what_it_opens(self, open_app: OpenRuntime) -> None:
        app = await open_app(ScriptedProvider(models=("a", "text-embedding-1", "b")))
        tried = await app.connections.try_out("https://api.openai.com/v1", KEY)
        assert (tried.ok, tried.models) == (True, ("a", "b"))
        assert tried.sentence == "It works: api.openai.com offers 2 models."
        assert [e.name for e in app.connections.endpoints()] == ["127.0.0.1:9", "demo"], "trying changes nothing"

    async def test_a_key_that_is_refused_is_explained(self, open_app: OpenRuntime) -> None:
        app = await open_app(ScriptedProvider(models=refusal("auth", "openai refused the key.")))
        tried = await app.connections.try_out("https://api.openai.com/v1", KEY)
        assert (tried.ok, tried.sentence) == (False, "openai refused the key.")

    @pytest.mark.parametrize(
        ("url", "key", "says"),
        [
            ("not a url", "", "The base URL has a space or line break in it."),
            ("api.openai.com", "", "The base URL must start with http:// or https://."),
            ("https://api.openai.com/v1", "", "api.openai.com needs a key; paste yours."),
            ("https://api.openai.com/v1", "sk-a\nb", "The key has a space or line break in it; a key is one word."),
            ("https://api.openai.com/v1", "sk-“quoted”", "The key has a character in it that no key has"),
        ],
    )
    async def test_what_cannot_be_right_is_said_at_once(
        self, open_app: OpenRuntime, url: str, key: str, says: str
    ) -> None:
        app = await open_app(ScriptedProvider())
        tried = await app.connections.try_out(url, key)
        assert not tried.ok
        assert tried.sentence.startswith(says)
        with pytest.raises(InputError):
            app.connections.use(url, key)

    async def test_used_is_the_default_from_then_on(self, open_app: OpenRuntime) -> None:
        app = await open_app(ScriptedProvider())
        endpoint = app.connections.use("https://openrouter.ai/api/v1/", KEY)
        assert (endpoint.name, endpoint.base_url) == ("openrouter", "https://openrouter.ai/api/v1")
        assert app.connections.default == endpoint
        assert [e.name for e in app.connections.endpoints()] == ["openrouter", "127.0.0.1:9", "demo"]
        assert app.connections.use("https://openrouter.ai/api/v1", KEY) == endpoint, "twice is once"
        assert len(app.connections.endpoints()) == 3
        assert not (app.settings.app_dir / ".env").exists(), "nothing is written unless asked"

    async def test_written_down_it_is_there_at_the_next_start(self, open_app: OpenRuntime) -> None:
        app = await open_app(ScriptedProvider(), OPENAI_BASE_URL="")
        await app.connections.write_down("https://api.openai.com/v1", KEY)
        settings = read_settings({}, app.settings.app_dir)
        assert settings.endpoints[0].name == "openai"
        assert stat.S_IMODE(os.stat(app.settings.app_dir / ".env").st_mode) == 0o600

    async def test_an_old_key_is_never_left_beside_a_new_url(self, open_app: OpenRuntime) -> None:
        app = await open_app(ScriptedProvider(), OPENAI_BASE_URL="")
        env = app.settings.app_dir / ".env"
        env.write_text(f"OPENAI_API_KEY={KEY}\n", "utf-8")
        await app.connections.write_down("http://127.0.0.1:8000/v1", "")
        assert "canary" not in env.read_text("utf-8")

    async def test_a_key_that_is_written_down_for_another_server_stays_away_from_the_first(
        self, open_app: OpenRuntime, tmp_path: Path
    ) -> None:
        (tmp_path / ".env").write_text("OPENAI_API_KEY=of-openai\n", "utf-8")
        app = await open_app(ScriptedProvider(), OPENAI_BASE_URL="")
        first, ring = app.connections.get("openai"), app.connections._keys
        other = app.connections.use("https://openrouter.ai/api/v1", KEY)
        await app.connections.write_down("https://openrouter.ai/api/v1", KEY)
        assert KEY in (tmp_path / ".env").read_text("utf-8")
        assert [await ring.key_of(first), await ring.key_of(other)] == [
            Key("OPENAI_API_KEY", "of-openai"),
            Key("typed in", KEY),
        ]

    async def test_what_the_environment_fixes_is_not_written(self, open_app: OpenRuntime) -> None:
        app = await open_app(ScriptedProvider(), OPENAI_API_KEY="")
        with pytest.raises(InputError, match=r"The environment sets OPENAI_BASE_URL and wins over \.env"):
            await app.connections.write_down("https://api.openai.com/v1", KEY)

    async def test_two_servers_of_one_kind_keep_their_own_keys(self, open_app: OpenRuntime) -> None:
        app = await open_app(ScriptedProvider())
        one = app.connections.use("https://gw.example/v1", KEY)
        other = app.connections.use("http://gw.example/v1", "")
        assert one.name != other.name
        assert await app.connections._keys.key_of(other) is None

    async def test_a_server_has_the_same_name_after_a_restart(self, open_app: OpenRuntime) -> None:
        app = await open_app(ScriptedProvider(), OPENAI_BASE_URL="")
        endpoint = app.connections.use("https://llm.example.org/v1", KEY)
        await app.connections.write_down("https://llm.example.org/v1", KEY)
        assert read_settings({}, app.settings.app_dir).endpoints[0].name == endpoint.name

    async def test_local_servers_are_found_and_silence_is_no_failure(self, open_app: OpenRuntime) -> None:
        provider = ScriptedProvider(models=("llama",))
        app = await open_app(provider)
        found = await app.connections.find_local()
        assert [(f.label, f.models) for f in found] == [(label, ("llama",)) for label, _ in LOCAL_SERVERS]
        provider.models = refusal("unreachable")
        assert await app.connections.find_local() == []


def test_models_that_cannot_chat_are_not_offered() -> None:
    names = [
        "gpt-6",
        "text-embedding-3-small",
        "whisper-1",
        "tts-1",
        "gpt-6-mini",
        "dall-e-3",
        "omni-moderation-latest",
    ]
    assert chat_models(names) == ["gpt-6", "gpt-6-mini"]
