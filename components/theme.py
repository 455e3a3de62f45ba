"""Palette, fonts and the few rules for what is not our own component."""

from __future__ import annotations

from typing import Any

_FONT = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif'
_MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace'


def _scheme(palette: dict[str, Any]) -> dict[str, Any]:
    return {"palette": palette, "typography": {"fontFamily": _FONT}, "shape": {"borderRadius": 10}}


THEME: dict[str, Any] = {
    "light": _scheme(
        {
            "primary": {"main": "#0b6e60", "dark": "#08564b", "light": "#3f9184", "contrastText": "#ffffff"},
            "background": {"default": "#f6f7f6", "paper": "#ffffff"},
            "text": {"primary": "#1b1f1e", "secondary": "#58615e"},
            "divider": "#dfe4e2",
            "error": {"main": "#d32f2f"},
            "action": {"hover": "rgba(0, 0, 0, 0.04)"},
        }
    ),
    "dark": _scheme(
        {
            "primary": {"main": "#58c9b5", "dark": "#7fdccb", "light": "#3fae9b", "contrastText": "#06231e"},
            "background": {"default": "#121514", "paper": "#181c1b"},
            "text": {"primary": "#e8ecea", "secondary": "#a3aeaa"},
            "divider": "#2d3533",
            "error": {"main": "#f44336"},
            "action": {"hover": "rgba(255, 255, 255, 0.08)"},
        }
    ),
}

ROOT_CSS = f":root {{ --panelist-font: {_FONT}; --panelist-mono: {_MONO}; }}"

_LIGHT = {
    "colorScheme": "light",
    "--panelist-text": "#1b1f1e",
    "--panelist-paper": "#ffffff",
    "--panelist-said": "#e9f0ed",
    "--panelist-hover": "rgb(11 60 50 / .07)",
    "--panelist-sought": "rgb(255 196 0 / .26)",
    "--panelist-field-line": "#868f8c",
    "--panelist-good": "#e6f4ec",
    "--panelist-good-line": "#a6d3b8",
    "--panelist-alert": "#fdf1ee",
    "--panelist-alert-line": "#eab9ad",
    "--panelist-over": "#b3381f",
    "--panelist-off": "#e3e8e6",
    "--panelist-on-off": "#7c8683",
    "--panelist-toast": "#222927",
    "--panelist-on-toast": "#f2f5f4",
}
_DARK = {
    "colorScheme": "dark",
    "--panelist-text": "#e8ecea",
    "--panelist-paper": "#1d2221",
    "--panelist-said": "#26302d",
    "--panelist-hover": "rgb(190 230 220 / .09)",
    "--panelist-sought": "rgb(255 206 80 / .28)",
    "--panelist-field-line": "#66726e",
    "--panelist-good": "#17302a",
    "--panelist-good-line": "#34604f",
    "--panelist-alert": "#33211d",
    "--panelist-alert-line": "#6d4036",
    "--panelist-over": "#f08a6e",
    "--panelist-off": "#2b3331",
    "--panelist-on-off": "#7f8b87",
    "--panelist-toast": "#e4eae8",
    "--panelist-on-toast": "#1b1f1e",
}

_CALM = {"@media (prefers-reduced-motion: reduce)": {"transition": "none !important", "animation": "none !important"}}

# The shell is drawn in a shadow root, so its rules travel as its own `sx`; custom properties are inherited from there
# by everything inside, our components included.
SHELL_SX: dict[str, Any] = {
    "height": "var(--panelist-height, 100dvh)",  # chat/screen.js
    "& *": _CALM,
    # The kit's spacers are headings without words, and its bar of progress has no name; ours never moves.
    "& .MuiToolbar-root > h5, & .MuiLinearProgress-root": {"visibility": "hidden"},
    "&.mui-light": _LIGHT,
    "&.mui-dark": _DARK,
    "& .header.MuiAppBar-root": {
        "backgroundColor": "var(--mui-palette-background-default)",
        "backgroundImage": "none",
        "color": "var(--mui-palette-text-primary)",
        "boxShadow": "none",
        "borderBottom": "1px solid var(--mui-palette-divider)",
    },
    "& .header .title": {
        "color": "var(--mui-palette-text-primary)",
        "font": f"650 17px/1 {_FONT}",
        "letterSpacing": "-.01em",
    },
    "& .header a:has(> .title)": {"@media (max-width: 600px)": {"display": "none !important"}},
    "& .sidebar.MuiDrawer-paper": {
        "backgroundColor": "var(--mui-palette-background-default)",
        "backgroundImage": "none",
        "borderRight": "1px solid var(--mui-palette-divider)",
    },
    # What scrolls is the list in it, whose rows are drawn as far as they can be seen.
    "& .sidebar.MuiDrawer-paper > .MuiBox-root": {"minHeight": 0, "overflow": "hidden"},
}

DIALOG_SX: dict[str, Any] = {
    "& *": _CALM,
    "& .MuiDialog-paper": {
        "backgroundColor": "var(--panelist-paper)",
        "backgroundImage": "none",
        "color": "var(--panelist-text)",
        "padding": "8px 8px 16px",
    },
    "& .MuiIconButton-root": {"color": "var(--panelist-text)"},
}


def static_css() -> str:
    """Return the colours of what comes before the kit, or is not inside it."""
    names = {
        "primary-main": ("primary", "main"),
        "primary-dark": ("primary", "dark"),
        "primary-contrastText": ("primary", "contrastText"),
        "background-default": ("background", "default"),
        "background-paper": ("background", "paper"),
        "text-primary": ("text", "primary"),
        "text-secondary": ("text", "secondary"),
        "error-main": ("error", "main"),
        "action-hover": ("action", "hover"),
    }

    def rules(scheme: str, own: dict[str, str]) -> str:
        palette = THEME[scheme]["palette"]
        colors = {f"--mui-palette-{name}": palette[group][tone] for name, (group, tone) in names.items()}
        colors["--mui-palette-divider"] = palette["divider"]
        all_of_them = {**colors, **own, "color-scheme": own["colorScheme"]}
        return ";".join(f"{name}:{value}" for name, value in all_of_them.items() if name != "colorScheme")

    places = (".first,#talk", ".first[data-theme=dark],#talk [data-theme=dark]")
    light, dark = rules("light", _LIGHT), rules("dark", _DARK)
    return f"{ROOT_CSS}\n{places[0]}{{{light}}}\n{places[1]}{{{dark}}}\n"
