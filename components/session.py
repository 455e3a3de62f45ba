"""What belongs to one browser session: who it is, where it starts, and its end."""

from __future__ import annotations

import ipaddress

import panel as pn

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Host")

LOCAL_OWNER = "local"
"""The owner of everything until there is a login: the person at this machine."""


def owner() -> str:
    """Return who the session belongs to."""
    return LOCAL_OWNER


def visitor() -> str | None:
    """Return the address that the page was asked for from; None when the server warms up and nobody asked."""
    context = pn.state.curdoc.session_context if pn.state.curdoc else None
    request = getattr(context, "request", None)
    address: str | None = getattr(request, "remote_ip", None)
    if address is not None and any(name in (pn.state.headers or {}) for name in FORWARDING):
        return "forwarded"  # a proxy on this machine speaks for somebody who may be anywhere
    return address


def is_local(address: str) -> bool:
    """Whether an address is this machine's own. Without a login nobody else may read along."""
    try:
        ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def asked_for() -> str | None:
    """Return the conversation that the address names (`?c=<id>`)."""
    values = (pn.state.session_args or {}).get("c") or []
    return values[0].decode("utf-8", "replace") if values else None


def wants_dark() -> bool:
    """Whether the person's last visit was in the dark theme."""
    return bool((pn.state.cookies or {}).get("panelist_theme") == "dark")


def on_phone() -> bool:
    """Whether the browser says it is a phone's: there the sidebar would cover the page."""
    return "Mobile" in str((pn.state.headers or {}).get("User-Agent", ""))
