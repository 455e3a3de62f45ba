"""Imports point one way; this reads them and fails on a step up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Lower may not import higher. Adapters do not import one another.
LEVELS = {
    **dict.fromkeys(
        [
            *("messages", "attachments", "conversation", "events", "usage", "options", "parameters", "settings"),
            *(
                "errors",
                "endpoints",
                "prices",
                "measures",
                "spending",
                "statistics",
                "alerts",
                "numbers",
                "probabilities",
            ),
            *("tokens", "tokenizing", "windows", "pictures"),
            "recipes",
            *(
                "keys",
                "fingerprints",
                "logs",
                "changes",
                "intents",
                "pacing",
                "search",
                "folders",
                "arranging",
                "listing",
            ),
        ],
        0,
    ),
    **dict.fromkeys(["providers", "storage", "tools", "retrieval", "media"], 1),
    **dict.fromkeys(
        [
            "runner",
            "metering",
            "observing",
            "telemetry",
            "webhooks",
            "metrics",
            "trouble",
            "loop",
            "retries",
            "context",
            "titles",
            "export",
            "structured",
            "render",
            "uploads",
            "post",
            "asking",
            "attached",
            "snippets",
        ],
        2,
    ),
    **dict.fromkeys(
        [
            "exporting",
            "sharing",
            "notebook",
            "importing",
            "jsonfile",
            "foreign",
            "chatgpt",
            "openwebui",
            "librechat",
            "exchange",
            "sheets",
            "plans",
        ],
        2,
    ),
    **dict.fromkeys(
        [
            "chat",
            "catalogue",
            "branching",
            "queueing",
            "answering",
            "batch",
            "connect",
            "temporary",
            "budgets",
            "alerting",
            "measuring",
            "endpoint_keys",
            "door",
        ],
        3,
    ),
    "details": 3,
    **dict.fromkeys(["estimates", "summaries", "system_prompts"], 2),
    **dict.fromkeys(["asides", "weighing", "summarising", "fitting"], 3),
    "processing": 3,
    "runtime": 4,
    "terminal": 5,
}
FOREIGN_TO_SERVICES = {"panel", "bokeh", "param", "panel_material_ui", "components", "app", "cli"}
FOREIGN_TO_COMPONENTS = {"openai", "httpx2", "sqlalchemy", "sqlite3", "dotenv", "os", "app", "cli"}
BELOW_THE_DOORS = {"services.storage", "services.providers", "services.runner", "services.loop", "services.keys"}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides the room it comes from"
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "services"}
    return found


def python_files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "services").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", python_files("services"), ids=lambda path: str(path.relative_to(ROOT)))
def test_services_import_downwards_only(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert room in LEVELS, f"{room} has no place in the house yet"
    for name in imports_of(path):
        assert name.split(".")[0] not in FOREIGN_TO_SERVICES, f"{path} imports {name}"
        parts = name.split(".")
        if parts[0] == "services" and len(parts) > 1:
            other = parts[1]
            level = LEVELS[room]
            allowed = other == room or LEVELS[other] < level or (LEVELS[other] == level and level != 1)
            assert allowed, f"{path} imports {name}, a step up or sideways"


@pytest.mark.parametrize("path", python_files("components"), ids=lambda path: str(path.relative_to(ROOT)))
def test_components_use_doors_and_vocabulary_only(path: Path) -> None:
    for name in imports_of(path):
        assert name.split(".")[0] not in FOREIGN_TO_COMPONENTS, f"{path} imports {name}"
        assert not any(name == low or name.startswith(low + ".") for low in BELOW_THE_DOORS), f"{path} imports {name}"


def test_one_file_imports_the_sdk() -> None:
    importers = [p for p in (*python_files("services"), *python_files("components")) if "openai" in imports_of(p)]
    assert importers == [ROOT / "services/providers/client.py"]


def test_the_state_knows_no_panel() -> None:
    assert not {name.split(".")[0] for name in imports_of(ROOT / "components/state.py")} & {"panel", "bokeh"}


def test_app_is_short_and_only_builds_the_page() -> None:
    source = (ROOT / "app.py").read_text("utf-8")
    assert len(source.splitlines()) < 15
    assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(ast.parse(source)))


def test_widgets_are_never_made_from_params_of_a_class() -> None:
    """`from_param` before `super().__init__()` binds one session's value to everybody's default."""
    for path in python_files("components"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                body = ast.unparse(node)
                before = body.split("super().__init__", 1)[0]
                assert "from_param" not in before, f"{path}: from_param before super().__init__()"
