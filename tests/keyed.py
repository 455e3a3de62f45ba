"""The keys that the suite runs with. What they have in common is looked for in all that it leaves behind: canary.py."""

from __future__ import annotations

WORD = "canarykeyneverseen"
"""In every key. Letters alone, so that JSON, HTML and an index of words have it as it is, and no mask knows it."""

PLAIN = WORD
"""A key that looks like none: only who knows it can mask it."""

SHAPED = f"sk-{WORD}-0123456789abcdef"
"""A key that looks like one."""

KEYED = {"OPENAI_API_KEY": PLAIN}
"""For an environment that names a base URL."""
