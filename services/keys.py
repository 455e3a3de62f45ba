"""Where API keys come from, and the one place that writes one down."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from services.endpoints import Endpoint
from services.errors import Failure, InputError, ModelError
from services.settings import check_key

_COMMAND_TIMEOUT_S = 20.0


class KeyRing:
    """Gives each endpoint its key: one typed in by a person first, then its environment name, file or command."""

    def __init__(self, values: Mapping[str, str], app_dir: Path) -> None:
        self._values = values
        self._app_dir = app_dir
        self._typed: dict[tuple[str, str], str] = {}

    def remember(self, endpoint: Endpoint, key: str) -> None:
        """Keep a key in memory, for as long as the process lives. It goes to this base URL and no other."""
        self._typed[endpoint.name, endpoint.base_url] = key

    def forget(self, endpoint: Endpoint) -> None:
        """Drop a remembered key."""
        self._typed.pop((endpoint.name, endpoint.base_url), None)

    async def key_of(self, endpoint: Endpoint) -> str | None:
        """Return the endpoint's key, or None where it has none.

        Raises:
            ModelError: its source cannot be read, or what it gave is no key.
        """
        typed = self._typed.get((endpoint.name, endpoint.base_url))
        if typed is not None:
            return typed
        source = endpoint.key_env or endpoint.key_file or endpoint.key_command
        if source is None:
            return None
        try:
            if endpoint.key_env:
                key = self._values.get(endpoint.key_env, "")
            elif endpoint.key_file:
                key = await asyncio.to_thread((self._app_dir / endpoint.key_file).read_text, "utf-8")
            else:
                key = await _output_of(source)
            return check_key(key) or None
        except (OSError, ValueError, TimeoutError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            sentence = f"The key of endpoint {endpoint.name!r} cannot be used: {source!r} {reason or 'took too long'}."
            raise ModelError(Failure(kind="auth", message=sentence, next_step="add_key")) from error


async def _output_of(command: str) -> str:
    """Run a key command without a shell and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_COMMAND_TIMEOUT_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:  # it took too long, or nobody waits for the key any more
            process.kill()
            await process.wait()
    if process.returncode:
        raise ValueError(f"ended with exit code {process.returncode}")
    return output.decode("utf-8", "replace")


def write_env(path: Path, values: Mapping[str, str | None]) -> None:
    """Set names in a `.env` file, or take them out for None, keeping its other lines.

    The file is replaced whole, readable by its owner only.

    Raises:
        InputError: the path is a link, which could make somebody else's file the target, or cannot be written.
    """
    if path.is_symlink():
        raise InputError(f"{path.name} is a link, and keys are never written through one. Replace it by a file.")
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        taken = re.compile(rf"^\s*(?:export\s+)?(?:{'|'.join(map(re.escape, values))})\s*=")
        kept = [line for line in lines if not taken.match(line)]
        text = "\n".join([*kept, *(f"{name}='{value}'" for name, value in values.items() if value)]) + "\n"
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env-")  # created with mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path.name} cannot be written: {error.strerror}. The key is kept in memory.") from error
