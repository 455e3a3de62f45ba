"""What is kept of a key: enough to know it again, and nothing that leads back to it."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.errors import StorageError

_SECRET_BYTES = 32
_SHOWN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """When a key was seen, by its fingerprint."""

    endpoint: str
    fingerprint: str
    seen_at: datetime
    """For the first time."""
    used_at: datetime | None = None
    """When the endpoint last took it."""
    refused_at: datetime | None = None


class Fingerprints:
    """Makes fingerprints with a secret of this data directory's own, which is in no database, backup or export."""

    def __init__(self, path: Path) -> None:
        """Keep the secret in the file `path`, made when it is first needed."""
        self._path = path
        self._secret: bytes | None = None

    async def of(self, base_url: str, key: str) -> str:
        """Return the fingerprint of a key at a base URL, 32 hexadecimal digits.

        It is HMAC-SHA256, cut to half its length (RFC 2104, https://www.rfc-editor.org/rfc/rfc2104, section 5: not
        less). A plain hash would not do: who has the database could try out what a short key may be.

        Raises:
            StorageError: there is no secret, and none can be made.
        """
        if self._secret is None:
            try:
                self._secret = await asyncio.to_thread(_secret_at, self._path)
            except OSError as error:
                failed = f"{self._path.name} in the data directory cannot be read or made: {error.strerror}"
                raise StorageError(f"{failed}. See that Panelist can write there.") from error
        return hmac.new(self._secret, f"{base_url}\n{key}".encode(), "sha256").hexdigest()[:_SHOWN]


def _secret_at(path: Path) -> bytes:
    """Return the secret, made where there is none. Of two processes that make one, both get the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # created with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass  # another one was first
            except OSError:  # a file system without links
                Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES:
        raise StorageError(f"{path.name} in the data directory is damaged. Remove it: only the ages of keys are lost.")
    return secret
