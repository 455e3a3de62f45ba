"""`stats`: what the terminal says of what was measured is what was measured."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path

from services.runtime import open_runtime
from services.settings import LOCAL_OWNER, read_settings
from services.terminal.measured import COLUMNS
from tests.cli.conftest import Model, Terminal
from tests.conftest import whole_run
from tests.faults.upstream import Play
from tests.faults.wires import CHAT, event
from tests.scripted import ScriptedProvider, answer

USED = event(
    {
        "choices": [],
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
    }
)
DEAR = "price = { input = 1, cached_input = 0.5, output = 2 }\n"


def today() -> str:
    return datetime.now().astimezone().date().isoformat()


async def asked(terminal: Terminal, model: Model) -> None:
    """Ask twice with success, and once without."""
    file = terminal.folder / "endpoints.toml"
    file.write_text(f'[[endpoint]]\nname = "dear"\nbase_url = "{model.url}/v1"\n{DEAR}')
    terminal.environ |= {"PANELIST_ENDPOINTS": str(file), "PANELIST_TITLES": "off"}
    model.default = ["Yes.", CHAT.finish() + USED]
    for name in ("tiny", "=large"):
        done = await terminal("ask", "Is it?", "--endpoint", "dear", "--model", name)
        assert done.code == 0, done.err
    model.once = Play(
        b'{"error": {"message": "slow down"}}', head="429 Too Many\r\nContent-Type: application/json", end="length"
    )
    assert (await terminal("ask", "Is it?", "--endpoint", "dear", "--model", "tiny")).code == 4


async def test_what_was_asked_is_added_up(terminal: Terminal, model: Model) -> None:
    await asked(terminal, model)
    said = json.loads((await terminal("stats", "--json")).out)
    assert (said["requests"], said["failed"], said["errors"]) == (3, 1, {"rate_limit": 1})
    assert said["usage"] == {"input": 24, "cached_input": 8, "output": 10, "reasoning": 0}
    assert said["cost_usd"] == (2 * (8 * 1 + 4 * 0.5 + 5 * 2)) / 1e6
    assert said["first_token_s"]["count"] == said["total_s"]["count"] == 2
    assert 0 < said["first_token_s"]["p50"] <= said["first_token_s"]["p95"] <= said["total_s"]["p95"] * 1.1
    [day] = said["days"]
    assert day.pop("day") == today()
    assert day == {name: said[name] for name in day}
    assert {(of["model"], of["endpoint"], of["requests"], of["failed"]) for of in said["models"]} == {
        ("tiny", "dear", 2, 1),
        ("=large", "dear", 1, 0),
    }


async def test_tables_say_the_same_as_text(terminal: Terminal, model: Model) -> None:
    await asked(terminal, model)
    ended = await terminal("stats")
    assert (ended.code, ended.err) == (0, "")
    head, *_ = ended.out.splitlines()
    assert head.startswith("3 requests (1 failed) · tokens 24 in (8 cached), 10 out · first word ")
    assert head.endswith(" · cost $0.00004")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in ended.out.splitlines() if "|" in line]
    assert [today(), "3", "33.3 %", "24", "10"] in [row[:5] for row in rows]
    assert ["tiny", "dear", "2", "50.0 %", "12", "5"] in [row[:6] for row in rows]
    assert ["Rate limit", "1"] in rows
    assert "\x1b" not in ended.out


async def test_csv_has_a_row_for_each_model_of_a_day(terminal: Terminal, model: Model) -> None:
    await asked(terminal, model)
    head, *rows = csv.reader(io.StringIO((await terminal("stats", "--csv")).out))
    assert tuple(head) == COLUMNS
    found = {row[2]: dict(zip(head, row, strict=True)) for row in rows}
    assert set(found) == {"tiny", "'=large"}, "and no spreadsheet runs a model's name"
    tiny = found["tiny"]
    assert [tiny[name] for name in ("day", "requests", "failed", "input", "cost_usd")] == [
        today(),
        "2",
        "1",
        "12",
        "0.00002",
    ]
    assert float(tiny["first_token_p50_s"]) > 0


async def test_a_part_of_it(terminal: Terminal, model: Model) -> None:
    await asked(terminal, model)

    async def count(*options: str) -> int:
        return int(json.loads((await terminal("stats", "--json", *options)).out)["requests"])

    assert await count("--model", "tiny") == 2
    assert await count("--endpoint", "dear", "--since", today(), "--until", today()) == 3
    assert await count("--endpoint", "elsewhere") == 0
    assert await count("--until", "2020-01-01") == 0
    none = await terminal("stats", "--since", "2020-01-01", "--until", "2020-01-02")
    assert (none.code, none.out) == (
        0,
        "No request is of these days, this endpoint and this model. Leave some of that out.\n",
    )


async def test_where_nothing_was_asked_yet(bare: Terminal) -> None:
    ended = await bare("stats")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("No model was asked anything here yet. Begin with: python cli.py ask")
    assert json.loads((await bare("stats", "--json")).out)["days"] == []
    assert (await bare("stats", "--csv")).out == ",".join(COLUMNS) + "\n"
    assert not bare.data.exists(), "to look makes nothing"


async def test_wrong_use_is_a_sentence(bare: Terminal) -> None:
    for options, sentence in (
        (["--since", "yesterday"], "--since is a day, written as YYYY-MM-DD, and not 'yesterday'."),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "The days from 2026-02-01 to 2026-01-01 are none."),
        (["--json", "--csv"], "Figures are printed in one way."),
    ):
        ended = await bare("stats", *options)
        assert (ended.code, ended.out) == (2, "")
        assert sentence in ended.err


async def test_it_reads_while_a_server_writes(bare: Terminal, tmp_path: Path) -> None:
    settings = read_settings({"PANELIST_DATA_DIR": str(bare.data), "PANELIST_TITLES": "off"}, tmp_path)
    app = await open_runtime(settings, provider=ScriptedProvider(answer("Yes."), answer("No.")))
    try:
        for count in (1, 2):
            await whole_run(app.chat, await app.chat.send(LOCAL_OWNER, "Is it?"), LOCAL_OWNER)
            assert json.loads((await bare("stats", "--json")).out)["requests"] == count
    finally:
        await app.close()
