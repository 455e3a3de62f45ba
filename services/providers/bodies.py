"""The bodies of requests: the one place where a request becomes what is sent."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable

from services.endpoints import Api, Endpoint
from services.providers import chat, responses
from services.providers.base import ModelRequest

_PATHS: dict[Api, str] = {"chat": "/chat/completions", "responses": "/responses"}
_ENCODERS: dict[Api, Callable[[ModelRequest], dict[str, object]]] = {
    "chat": chat.encode,
    "responses": responses.encode,
}


def path_of(endpoint: Endpoint) -> str:
    """Return where requests to an endpoint go, below its base URL."""
    return _PATHS[endpoint.speaks]


def body_of(request: ModelRequest) -> dict[str, object]:
    """Return the body of a request, which asks for a stream."""
    return _ENCODERS[request.endpoint.speaks](request)


def written(body: dict[str, object], *, large: bool = False) -> memoryview:
    """Return a body as it is sent.

    A `large` one is made a string at a time: in one go 20 MB stop every thread for 70 ms.
    """
    encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
    if not large:
        return memoryview(encoder.encode(body).encode())
    into = io.BytesIO()
    for piece in encoder.iterencode(body):
        into.write(piece.encode())
    return into.getbuffer()


def hash_of(content: memoryview) -> str:
    """Return what tells a body from others."""
    return hashlib.sha256(content).hexdigest()
