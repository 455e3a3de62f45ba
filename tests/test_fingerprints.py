"""What is kept of keys."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import stat
from pathlib import Path

import pytest

from services.errors import StorageError
from services.fingerprints import Fingerprints

URL = "https://api.acme.test/v1"


async def test_the_same_key_is_known_again_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "data" / "key-secret"
    one = await Fingerprints(path).of(URL, "abc")
    assert one == await Fingerprints(path).of(URL, "abc"), "after a restart"
    assert one != await Fingerprints(path).of(URL, "abd")
    assert one != await Fingerprints(path).of("https://other.test/v1", "abc")
    assert one != await Fingerprints(tmp_path / "elsewhere").of(URL, "abc"), "who has only the database can try nothing"
    assert one == hmac.new(path.read_bytes(), f"{URL}\nabc".encode(), hashlib.sha256).hexdigest()[:32]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["key-secret"], "no temporary file is left"


async def test_two_that_begin_at_once_have_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "key-secret"
    assert len(set(await asyncio.gather(*(Fingerprints(path).of(URL, "abc") for _ in range(8))))) == 1


async def test_a_damaged_secret_is_said_and_never_used(tmp_path: Path) -> None:
    path = tmp_path / "key-secret"
    path.write_bytes(b"")
    with pytest.raises(StorageError, match=r"key-secret in the data directory is damaged\. Remove it"):
        await Fingerprints(path).of(URL, "abc")


async def test_one_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="key-secret in the data directory cannot be read or made"):
        await Fingerprints(tmp_path / "file" / "key-secret").of(URL, "abc")
