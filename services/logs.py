"""Logs: one line an event, keys masked, never the text of a conversation."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from services.errors import mask_keys


class _Masked(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return mask_keys(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": mask_keys(record.getMessage()),
            **_masked(getattr(record, "fields", {})),
        }
        if record.exc_info:
            line["exception"] = mask_keys(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def _masked(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that a line has beside its message; ids are no keys."""
    return {name: mask_keys(value, ids=True) if isinstance(value, str) else value for name, value in fields.items()}


def set_up_logging(form: Literal["text", "json"], level: str) -> None:
    """Send the logs of Panelist's own rooms to stderr. Other libraries' loggers are left as they are."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if form == "json" else _Masked("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for room in ("services", "components"):
        logger = logging.getLogger(room)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)
