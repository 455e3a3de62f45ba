"""Tells a webhook something, as JSON. The address is its owner's own: whoever has it can write there.

What is sent is the same wherever it goes, redirects are refused, and of the answer only its status is read, so that an
address inside of a network gives nothing away. It is in no sentence and no log: often it is a password.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from services.errors import InputError

if TYPE_CHECKING:
    from aiohttp.abc import ResolveResult

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
WAITS_S = (1.0, 5.0)
"""Seconds before each further try."""

_LONGEST = 2_000
_AGAIN = frozenset({408, 425, 429})


def check_hook(text: str) -> str:
    """Return the address of a webhook.

    Raises:
        InputError: it cannot be one. The sentence does not repeat it.
    """
    url = text.strip()
    how = "It is the address of a webhook, which begins with https:// or http://."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"That is no address. {how}") from error
    if parts.scheme not in {"http", "https"} or not host or len(url) > _LONGEST or not url.isprintable() or " " in url:
        raise InputError(f"That is no address. {how}")
    if parts.username or parts.password:
        raise InputError("The address must not have a name or password before the host. Take one without.")
    if _is_out_of_bounds(host):
        raise InputError("Nothing can be told at that address. Take another one.")
    return url


def host_of(url: str) -> str:
    """Return what may be shown of an address."""
    return urlsplit(url).netloc


async def tell(url: str, said: Mapping[str, Any], waits_s: Sequence[float] = WAITS_S) -> str:
    """Send it, and once more after each wait as long as that may help; return why it could not be, else nothing."""
    why = ""
    for wait_s in (0.0, *waits_s):
        await asyncio.sleep(wait_s)
        why, again = await _try(url, said)
        if not why or not again:
            break
        log.info("a webhook was not told: %s", why)
    return why


async def _try(url: str, said: Mapping[str, Any]) -> tuple[str, bool]:
    """Return why it could not be told, and whether another try may help."""
    import aiohttp  # noqa: PLC0415 - few have a webhook
    from aiohttp.resolver import ThreadedResolver  # noqa: PLC0415

    class Resolver(ThreadedResolver):
        """Finds no address that is nobody's webhook, whatever a name stands for."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = [one for one in await super().resolve(host, port, family) if not _is_out_of_bounds(one["host"])]
            if not found:
                raise OSError(f"{host} stands for no address that can be told anything")
            return found

    host = host_of(url)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Resolver()), timeout=timeout) as session,
            session.post(
                url,
                data=json.dumps(said),
                headers={"Content-Type": "application/json", "User-Agent": "Panelist"},
                allow_redirects=False,
            ) as answer,
        ):
            status = answer.status
    except TimeoutError:
        return f"{host} did not answer within {TIMEOUT_S:.0f} s. Check the address.", True
    except (aiohttp.ClientError, OSError, ValueError) as error:  # whose words have the address in them
        return f"{host} could not be reached ({type(error).__name__}). Check the address.", True
    if status < 300:
        return "", False
    if status < 400:
        return f"{host} answered with a redirect, which is not followed. Enter the address that it leads to.", False
    again = status >= 500 or status in _AGAIN
    return f"{host} answered {status}. " + ("Try again later." if again else "Check the address."), again


def _is_out_of_bounds(host: str) -> bool:
    """Whether an address is one that machines ask about themselves, or of no single machine."""
    try:
        ip = ipaddress.ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified
