"""Loaded by the server under test before anything else: it notes, and refuses, every way out of this machine."""

import ipaddress
import os
import sys


def _is_here(host: object) -> bool:
    if not isinstance(host, str | bytes) or not host:
        return True  # a Unix socket, or any address of this machine
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.split("%")[0]).is_loopback
    except ValueError:
        return False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        with open(os.environ["FOREIGN_HOSTS"], "a", encoding="utf-8") as note:
            note.write(f"{event} {host!r}\n")
        raise OSError(f"the tests let nothing out: {host!r}")


if "FOREIGN_HOSTS" in os.environ:
    sys.addaudithook(_watch)
