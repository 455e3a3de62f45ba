"""Scripts and styles come in one piece."""

from __future__ import annotations

from pathlib import Path

import pytest
from tornado.web import StaticFileHandler

from components import resources


@pytest.mark.parametrize(("start", "end"), [(None, None), (70_000, None), (None, 70_000), (65_000, 66_000), (-5, None)])
def test_a_file_comes_in_one_piece_and_a_huge_one_in_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int | None, end: int | None
) -> None:
    monkeypatch.setattr(StaticFileHandler, "get_content", StaticFileHandler.__dict__["get_content"])
    resources.install()
    file = tmp_path / "script.js"
    data = bytes(range(256)) * 1_000
    file.write_bytes(data)
    start = len(data) + start if start is not None and start < 0 else start
    assert StaticFileHandler.get_content(str(file), start, end) == data[start:end]
    monkeypatch.setattr(resources, "MOST_IN_ONE", len(data) - 1)
    pieces = list(StaticFileHandler.get_content(str(file), start, end))
    assert b"".join(map(bytes, pieces)) == data[start:end]
