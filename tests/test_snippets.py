"""Requests as JSON and as code; the code is run, and what it sends is what Panelist would."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.endpoints import Api, Endpoint, ProfileName
from services.messages import AttachmentPart, TextPart
from services.options import Options
from services.parameters import PARAMETERS
from services.providers.base import ModelRequest
from services.providers.bodies import body_of, path_of
from services.snippets import _TAKEN, Asked, Language, shortened, snippet
from tests.keyed import PLAIN
from tests.providers.asking import ANSWER, request
from tests.providers.sockets import CHUNKED, chunk, sending, serving, stay

KEY = f"{PLAIN}-0451"
HOSTILE = (
    "plain",
    'it\'s "quoted" and \\back\\slashed\\',
    "$(touch pwned) `touch pwned` $HOME ${HOME} !! %s {0} {body}",
    "line\nREQUEST\nEOF\n'''\n\"\"\"\n\\\n",
    "\r\n\t\x1b[31m tab and escape",
    "🥊 👩‍👩‍👧‍👦 e\u0301 漢字 \u202eright to left\u2066 \u2028 \ufeff \xa0 \x85 \udbff\udfff",
    "</script><!-- ]]> '; DROP TABLE --",
    "#{}[]()&|;<>*?~",
)
ALL_OPTIONS = Options(
    temperature=0.5,
    top_p=0.9,
    max_output_tokens=100,
    reasoning_effort="low",
    verbosity="low",
    output="json",
    stop=("\n'", '"$(x)'),
    frequency_penalty=0.1,
    presence_penalty=-0.1,
    seed=-(2**63),
    service_tier="flex",
)


def asking(url: str, *texts: str, api: Api = "chat", profile: ProfileName = "generic", **more: Any) -> ModelRequest:
    asked = request(url, profile=profile, api=api)
    endpoint = replace(asked.endpoint, key_env=more.pop("key_env", "HOUSE_KEY"))
    question = replace(asked.messages[0], parts=tuple(TextPart(text) for text in texts))
    return replace(asked, endpoint=endpoint, messages=(question,), **more)


def asked_of(made: ModelRequest) -> Asked:
    return Asked(made.endpoint, path_of(made.endpoint), body_of(made))


async def run(code: str, language: Language, folder: Path) -> str:
    """Run a snippet as a person would who saved it, in an empty folder, and return what it printed."""
    file = folder / ("again.py" if language == "python" else "again.sh")
    file.write_bytes(code.encode())
    command = [sys.executable, str(file)] if language == "python" else ["sh", str(file)]
    environ = {"PATH": "/usr/bin:/bin", "HOUSE_KEY": KEY, "OPENAI_API_KEY": f"other-{KEY}", "HOME": str(folder)}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env=environ, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert {path.name for path in folder.iterdir()} <= {file.name, ".cache"}, "something in it ran"
    return done.stdout.decode()


async def sent_by(made: ModelRequest, language: Language, folder: Path) -> tuple[dict[str, Any], str]:
    """Return the body and the head of the request that a snippet makes."""
    async with serving(sending(CHUNKED, chunk(ANSWER), b"0\r\n\r\n", then=stay)) as server:
        made = replace(made, endpoint=replace(made.endpoint, base_url=server.url))
        printed = await run(snippet(asked_of(made), language), language, folder)
        [received] = server.requests
    if made.endpoint.speaks == "chat":
        assert "Hello" in printed if language == "python" else "Hel" in printed
    top, _, body = received.partition(b"\r\n\r\n")
    return json.loads(body), top.decode("latin-1")


@pytest.mark.parametrize("language", ["python", "curl"])
@pytest.mark.parametrize(("api", "profile"), [("chat", "openai"), ("responses", "openai"), ("chat", "mistral")])
async def test_the_code_sends_the_same_whatever_is_in_it(
    tmp_path: Path, language: Language, api: Api, profile: ProfileName
) -> None:
    made = asking(
        "http://x", *HOSTILE, api=api, profile=profile, system_prompt=HOSTILE[2] + HOSTILE[3], options=ALL_OPTIONS
    )
    body, top = await sent_by(replace(made, model="mo'del \"$(x)\\"), language, tmp_path)
    assert body == json.loads(json.dumps(body_of(replace(made, model="mo'del \"$(x)\\"))))
    assert f"authorization: bearer {KEY}" in top.lower()


@pytest.mark.parametrize("language", ["python", "curl"])
async def test_a_megabyte_and_a_picture_go_along(tmp_path: Path, language: Language) -> None:
    picture = AttachmentPart("b" * 64, "a.png", "image/png", 3)
    made = asking("http://x", "é'\"$\n" * 200_000)
    question = replace(made.messages[0], parts=(*made.messages[0].parts, picture))
    made = replace(made, messages=(question,), images={picture.sha256: "data:image/png;base64," + "A" * 50_000})
    body, _ = await sent_by(made, language, tmp_path)
    assert body == body_of(made)


@given(st.text(st.characters(), max_size=40))
def test_any_text_is_data(text: str) -> None:
    asked = Asked(Endpoint(name="e", base_url="http://x"), "/y", {"model": "m", "messages": [{"content": text}]})
    meant = json.loads(json.dumps(asked.body))
    assert json.loads(snippet(asked, "json")) == meant
    shell = snippet(asked, "curl")
    written = shell.split("<<'REQUEST'\n", 1)[1].rsplit("\nREQUEST\n", 1)[0]
    assert json.loads(written) == meant
    assert "\nREQUEST\n" not in written
    module = ast.parse(snippet(asked, "python"))
    [call] = [
        node for node in ast.walk(module) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("create")
    ]
    given_as = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert json.loads(json.dumps(given_as)) == meant


def test_what_cannot_be_seen_is_written_out() -> None:
    asked = Asked(Endpoint(name="e", base_url="http://x"), "/y", {"model": "a\u202eb\u200b\x9bc\U000e0041 漢 🥊"})
    for language in ("json", "python", "curl"):
        code = snippet(asked, language)
        assert not set(code) & set("\u202e\u200b\x9b\U000e0041")
        assert "漢 🥊" in code


def test_keys_come_from_the_environment_and_only_for_who_needs_one() -> None:
    def code(**more: Any) -> str:
        asked = Asked(Endpoint(name="e", **more), "/chat/completions", {"model": "m"})
        return snippet(asked, "python") + snippet(asked, "curl")

    assert 'os.environ["HOUSE_KEY"]' in code(base_url="https://acme.test/v1", key_env="HOUSE_KEY")
    assert '"Authorization: Bearer $OPENAI_API_KEY"' in code(
        base_url="https://acme.test/v1", key_env='K"; rm -rf $HOME'
    )
    assert "rm -rf" not in code(base_url="https://acme.test/v1", key_env='K"; rm -rf $HOME')
    local = code(base_url="http://127.0.0.1:11434/v1", profile="ollama")
    assert "OPENAI_API_KEY" not in local, "no local server gets the key of another"
    assert "Authorization" not in local
    assert "inside Panelist" in code(base_url="http://demo.invalid/v1", profile="demo")


def test_the_sdk_takes_all_that_is_given_to_it_as_a_parameter() -> None:
    client = openai.OpenAI(api_key="none")
    creates: dict[Api, Any] = {"chat": client.chat.completions.create, "responses": client.responses.create}
    for api, create in creates.items():
        assert _TAKEN[api] <= set(inspect.signature(create).parameters)
        fields = {parameter.fields[api].split(".")[0] for parameter in PARAMETERS if api in parameter.fields}
        assert fields <= _TAKEN[api]


def test_files_are_shown_short_and_nothing_else_is() -> None:
    url = "data:image/png;base64," + "A" * 3_000_000
    body = {"messages": [{"content": [{"image_url": {"url": url}}, "data: is a word", "x" * 1000]}]}
    short, changed = shortened(body)
    assert changed
    assert json.dumps(short).count("in all)") == 1
    assert len(json.dumps(short)) < 1_500
    assert shortened({"a": ["data:short", 1, None]}) == ({"a": ["data:short", 1, None]}, False)
