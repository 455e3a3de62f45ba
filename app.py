"""Panelist in the browser: `panel serve app.py`. One page per browser session; everything else is imported."""

from pathlib import Path

from components.page import build_page

build_page(Path(__file__).parent).servable()
