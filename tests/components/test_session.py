"""Who may see the page while there is no login."""

from __future__ import annotations

import pytest

from components.session import is_local


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::1%lo", "::ffff:127.0.0.1"])
def test_this_machine_is_local(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address", ["10.0.0.5", "192.168.1.2", "8.8.8.8", "fe80::1%eth0", "forwarded", "", "localhost"]
)
def test_whoever_else_is_not(address: str) -> None:
    assert not is_local(address)
