"""What belongs to one browser session: who it is, where it starts, and its end."""

from __future__ import annotations

import ipaddress

import panel as pn
from panel.io.resources import get_dist_path

from services.settings import LOCAL_OWNER

FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Host")


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


def take_styles_from_here() -> None:
    """Let this server be where the session's styles come from.

    Panel sees to that only while it answers a page. A session that ended before its page opened the socket, as on a
    slow line, begins anew with the socket, and would send the browser to Panel's CDN.
    """
    if pn.state.curdoc:
        pn.state.curdoc.template_variables["dist_url"] = get_dist_path(cdn=False)


def asked_for() -> str | None:
    """Return the conversation that the address names (`?c=<id>`)."""
    values = (pn.state.session_args or {}).get("c") or []
    return values[0].decode("utf-8", "replace") if values else None


def chosen_dark() -> bool | None:
    """Whether the person chose the dark theme; None while they have not chosen any."""
    chosen = (pn.state.cookies or {}).get("panelist_theme")
    return None if chosen is None else chosen == "dark"


def system_dark() -> bool | None:
    """Whether the system was dark at the last visit; None on the first."""
    said = (pn.state.cookies or {}).get("panelist_system")
    return None if said is None else said == "dark"


def dark() -> bool:
    """Whether the page is dark at first."""
    chosen = chosen_dark()
    return bool(system_dark() if chosen is None else chosen)


def on_phone() -> bool:
    """Whether the window is narrow, as it was last time or a phone's browser says: a sidebar would cover it."""
    last = (pn.state.cookies or {}).get("panelist_narrow")
    return last == "1" if last else "Mobile" in str((pn.state.headers or {}).get("User-Agent", ""))
