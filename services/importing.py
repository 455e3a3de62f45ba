"""Files that conversations come in: what is in them, checked before anything is stored. Nothing is written here."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self, TypeVar, cast, get_args

from services import chatgpt, librechat, openwebui
from services.attachments import IMAGE_TYPES, MAX_TEXT_KEPT, TEXT, check_size, clean_name, media_type_of
from services.conversation import MAX_TITLE, Conversation, Queued, RunRecord, TitleSource, Whole
from services.errors import InputError, PanelistError
from services.events import MAX_NAMED, FinishReason
from services.exporting import SCHEMA, VERSION, entry_of
from services.folders import MAX_DEPTH, clean_tags, folder_name
from services.foreign import unknown
from services.jsonfile import JsonFile, check_values, damage_told, refused
from services.messages import (
    MESSAGE_STATUSES,
    TRANSITIONS,
    AttachmentPart,
    Memory,
    Message,
    MessageStatus,
    Part,
    Processed,
    ReasoningPart,
    Role,
    TextPart,
)
from services.options import Options
from services.parameters import from_plain, step_names
from services.storage.codec import (
    Fields,
    attachment_from,
    failure_from,
    memory_from,
    part_from,
    processed_from,
    tokens_in,
)
from services.storage.queue import MAX_QUEUED
from services.usage import Usage

MAX_FILE = 500_000_000
"""Bytes of a file."""

MAX_UNPACKED = 2 * MAX_FILE
"""Bytes of all attached files in an archive: a small one could fill the disk."""

MAX_ENTRIES = 20_000
"""Files in an archive."""

_LIST_OF_ENTRIES = 8_000_000
"""Bytes of an archive's list of its files."""

_END = struct.Struct("<4s4H2LH")  # https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.16
_END_64 = b"PK\x06\x07"

_FINAL = tuple(status for status in MESSAGE_STATUSES if not TRANSITIONS[status])
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_HASH = re.compile("[0-9a-f]{64}")
_CONVERSATIONS = re.compile(r"conversations(-\d+)?\.json")
_OTHERS = (("ChatGPT", chatgpt), ("Open WebUI", openwebui), ("LibreChat", librechat))
_YEARS = range(1970, 2200)
_MAX_METADATA = 1_000_000
"""Characters of what an endpoint gave along with a thought, to get back."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation of a file, as a person chooses by."""

    id: str
    """As the file has it."""
    title: str
    messages: tuple[str, ...]
    """Their ids, likewise."""


@dataclass(slots=True)
class Contents:
    """What is in a file."""

    source: str = ""
    """Who made it."""
    listed: list[Listed] = field(default_factory=list)
    attachments: dict[str, AttachmentPart] = field(default_factory=dict)
    """The attached files whose bytes are in it, by hash."""
    left_out: Counter[str] = field(default_factory=Counter)
    """What cannot come along, and how much of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation of a file, and what of it cannot come along."""

    source: str
    whole: Whole | None
    """None where nothing of it can."""
    left_out: Counter[str]


class ImportFile:
    """A file that is open for reading. Every method raises InputError, with one sentence, for what is wrong in it."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None) -> None:
        self._path = path
        self._archive = archive
        self._entries = {entry.filename: entry for entry in archive.infolist()} if archive else {}

    def contents(self) -> Contents:
        """Go through the whole file and return what is in it."""
        contents = Contents()
        unpacked = 0
        for found in self.conversations():
            whole = found.whole
            contents.source = found.source
            contents.left_out += found.left_out
            if whole is None:
                continue
            ids = tuple(message.id for message in whole.messages)
            contents.listed.append(Listed(whole.conversation.id, whole.conversation.title, ids))
            for part in whole.attachments:
                if part.sha256 in contents.attachments:
                    continue
                if entry_of(part.sha256) in self._entries:
                    contents.attachments[part.sha256] = part
                    unpacked += part.size
                    if unpacked > MAX_UNPACKED:
                        raise refused(f"the attached files in it have more than {MAX_UNPACKED // 1_000_000:,} MB")
                else:
                    contents.left_out["missing attached file"] += 1
        if not contents.listed:
            raise refused("there is no conversation in it")
        return contents

    def conversations(self) -> Iterator[Found]:
        """Yield the conversations, each once it has been checked."""
        seen: set[str] = set()
        for text in self._texts():
            for number, found in enumerate(_conversations(JsonFile(text)), start=1):
                for id in _ids(found.whole):
                    if id in seen:
                        raise refused(f"conversation {number} repeats the id {id}")
                    seen.add(id)
                yield found

    def attachment(self, part: AttachmentPart) -> bytes:
        """Return what an attached file holds."""
        assert self._archive is not None, "it is among the entries"
        with damage_told(), self._archive.open(self._entries[entry_of(part.sha256)]) as file:
            data = file.read(part.size + 1)
        if len(data) != part.size or hashlib.sha256(data).hexdigest() != part.sha256:
            raise refused(f"the attached file “{part.name}” is not what it is said to be")
        if media_type_of(part.name, data[:32]) != part.media_type:
            raise refused(f"the attached file “{part.name}” is not of the kind it is said to be")
        return data

    def _texts(self) -> Iterator[IO[str]]:
        if self._archive is None:
            with self._path.open(encoding="utf-8-sig") as text:
                yield text
            return
        names = sorted(name for name in self._entries if _CONVERSATIONS.fullmatch(name))
        if not names:
            raise refused("there is no conversations.json in this archive")
        for name in names:
            with ExitStack() as stack:
                with damage_told():
                    file = stack.enter_context(self._archive.open(self._entries[name]))
                yield io.TextIOWrapper(file, "utf-8-sig")


@contextmanager
def opened(path: Path) -> Iterator[ImportFile]:
    """Open a file to be imported: JSON, or an archive with JSON and attached files in it."""
    if path.stat().st_size > MAX_FILE:
        raise too_large()
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            yield ImportFile(path, None)
            return
        _check_list(file)
        with ExitStack() as stack:
            with damage_told():
                archive = stack.enter_context(zipfile.ZipFile(file))
            _check_entries(archive.infolist())
            yield ImportFile(path, archive)


def too_large() -> PanelistError:
    return refused(f"it has more than {MAX_FILE // 1_000_000:,} MB")


def _check_list(file: IO[bytes]) -> None:
    """Look how long the list of an archive's files is, before it is read."""
    size = file.seek(0, io.SEEK_END)
    start = file.seek(max(0, size - 2**16 - _END.size - 20))
    last = file.read(size - start)
    at = last.rfind(b"PK\x05\x06")
    if at < 0 or len(last) - at < _END.size or _END_64 in last[max(0, at - 20) : at]:
        raise refused("the archive is damaged, or too large")
    if _END.unpack_from(last, at)[5] > _LIST_OF_ENTRIES:
        raise refused(f"the archive holds more than {MAX_ENTRIES:,} files")


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    names = Counter(entry.filename for entry in entries)
    if len(entries) > MAX_ENTRIES:
        raise refused(f"the archive holds more than {MAX_ENTRIES:,} files")
    for name, count in names.items():
        if count > 1 or name.startswith(("/", "\\")) or ":" in name or ".." in re.split(r"[/\\]", name):
            raise refused("the archive holds names that lead elsewhere, or one name twice")
    # The others cannot be unpacked piece by piece, so a few bytes could become gigabytes at once.
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise refused("the archive is packed in an unusual way. Pack it as a plain .zip")


def _ids(whole: Whole | None) -> Iterator[str]:
    if whole is not None:
        yield whole.conversation.id
        yield from whole.ids


def _conversations(file: JsonFile) -> Iterator[Found]:
    match file.peek():
        case "{":
            yield from _ours(file)
        case "[":
            for number, item in enumerate(file.items(), start=1):
                yield _of_others(item, number)
        case _:
            raise refused("it is no list of conversations that Panelist knows")
    file.end()


def _ours(file: JsonFile) -> Iterator[Found]:
    """Yield what Panelist wrote, or the one conversation that another program did."""
    said: dict[str, object] = {}
    for name in file.names():
        if name != "conversations":
            said[name] = file.value()
            continue
        _check_schema(said)
        for number, item in enumerate(file.items(), start=1):
            check_values(item)
            yield Found("Panelist", _whole(_Fields(f"conversation {number}", _object(item, number))), Counter())
    if any(module.is_ours(said) for _, module in _OTHERS):
        yield _of_others(said, 1)
    else:
        _check_schema(said)


def _of_others(item: object, number: int) -> Found:
    """Return a conversation that another program wrote, told by its shape."""
    for program, module in _OTHERS:
        if module.is_ours(item):
            return Found(program, *module.read(item, number))
    raise unknown(number)


def _check_schema(said: dict[str, object]) -> None:
    version = said.get("version")
    if said.get("schema") != SCHEMA or not isinstance(version, int):
        raise refused("it does not say that it is an export of Panelist")
    if version > VERSION:
        raise refused("a later version of Panelist made it. Update Panelist")


def _object(item: object, number: int) -> dict[str, object]:
    if not isinstance(item, dict):
        raise refused(f"conversation {number} is none")
    return item


Number = TypeVar("Number", int, float)


class _Fields(Fields):
    """The fields of an object in a file."""

    def unknown(self, what: str) -> PanelistError:
        return refused(f"there is {what[:200]} in it, which this version does not know")

    def damaged(self, name: str) -> PanelistError:
        return refused(f"in {self.what} there is something wrong with “{name}”")

    def count(self, name: str) -> int:
        return _counted(super().count(name))

    def seconds(self, name: str) -> float:
        return _counted(super().seconds(name))

    def id(self, name: str) -> str:
        value = self.text(name)
        if not _ID.fullmatch(value):
            raise self.damaged(name)
        return value

    def name_or_none(self, name: str) -> str | None:
        value = self.text_or_none(name)
        return value if value is None else value[:MAX_NAMED]

    def time(self, name: str) -> datetime:
        try:
            at = datetime.fromisoformat(self.text(name))
            at = at.astimezone(UTC) if at.tzinfo else at
        except (ValueError, OverflowError) as error:
            raise self.damaged(name) from error
        if at.tzinfo is None or at.year not in _YEARS:
            raise self.damaged(name)
        return at

    def time_or_none(self, name: str) -> datetime | None:
        return None if self.text_or_none(name) is None else self.time(name)

    def words(self, name: str) -> list[str]:
        value = self._data.get(name, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.damaged(name)
        return [str(word) for word in value]

    def some(self, name: str, what: str) -> list[Self]:
        """Return the objects of a list that files from before there was one do not have."""
        found = self.each(name) if name in self._data else []
        for one in found:
            one.what = what
        return found

    def needed(self, name: str) -> _Fields:
        inner = self.inner(name)
        if inner is None:
            raise self.damaged(name)
        return inner


def _whole(data: _Fields) -> Whole:
    id, title = data.id("id"), data.text("title")
    data.what = f"“{title[:60]}”"
    options = data.needed("options")
    messages: dict[str, Message] = {}
    for given in data.each("messages"):
        given.what = data.what
        message = _message(id, given)
        if message.id in messages:
            raise refused(f"{data.what} repeats the id {message.id}")
        if message.parent_id is not None and message.parent_id not in messages:
            raise refused(f"in {data.what} a message follows one that is not before it")
        messages[message.id] = message
    head = data.text_or_none("head")
    if len(title) > MAX_TITLE:
        raise data.damaged("title")
    if (head is None) != (not messages) or (head is not None and head not in messages):
        raise data.damaged("head")
    conversation = Conversation(
        id=id,
        title=title,
        title_source=cast(TitleSource, data.word("title_source", get_args(TitleSource))),
        head_id=head,
        options=_options(options, options),
        created_at=data.time("created_at"),
        updated_at=data.time("updated_at"),
        pinned_at=data.time_or_none("pinned_at"),
        archived_at=data.time_or_none("archived_at"),
        tags=_cleaned(data, "tags", clean_tags),
    )
    runs = tuple(_run(id, given, messages) for given in data.some("runs", data.what))
    queue = tuple(_queued(given) for given in data.some("queue", data.what))
    if len(queue) > MAX_QUEUED:
        raise data.damaged("queue")
    wrote = {run.id for run in runs}
    if any(message.run_id is not None and message.run_id not in wrote for message in messages.values()):
        raise data.damaged("run")
    return Whole(conversation, tuple(messages.values()), runs, queue, _cleaned(data, "folder", _folder_path))


def _cleaned(data: _Fields, name: str, clean: Callable[[list[str]], tuple[str, ...]]) -> tuple[str, ...]:
    """Return words that are as `clean` makes them; none where an older file says nothing of them."""
    words = data.words(name)
    try:
        cleaned = clean(words)
    except InputError as error:
        raise data.damaged(name) from error
    if list(cleaned) != words:
        raise data.damaged(name)
    return cleaned


def _folder_path(names: list[str]) -> tuple[str, ...]:
    if len(names) > MAX_DEPTH:
        raise InputError("Too deep.")
    return tuple(map(folder_name, names))


def _run(conversation_id: str, data: _Fields, messages: Mapping[str, Message]) -> RunRecord:
    failure = data.inner("failure")
    reason = data.text_or_none("finish_reason")
    message = messages.get(data.id("message"))
    if message is None or message.role != "assistant":
        raise data.damaged("message")
    return RunRecord(
        id=data.id("id"),
        conversation_id=conversation_id,
        message_id=message.id,
        status=cast(MessageStatus, data.word("status", _FINAL)),
        endpoint=data.name_or_none("endpoint"),
        model=data.name_or_none("model"),
        started_at=data.time("started_at"),
        finished_at=None if data.text_or_none("finished_at") is None else data.time("finished_at"),
        first_token_s=data.seconds_or_none("first_token_s"),
        total_s=data.seconds_or_none("total_s"),
        finish_reason=None
        if reason is None
        else cast(FinishReason, data.word("finish_reason", get_args(FinishReason))),
        response_id=data.name_or_none("response_id"),
        request_id=data.name_or_none("request_id"),
        usage=_usage(data.inner("usage")),
        failure=None if failure is None else failure_from(failure),
        probabilities=tokens_in(data, "probabilities") if "probabilities" in data.all else (),
    )


def _queued(data: _Fields) -> Queued:
    parts = tuple(map(attachment_from, data.each("attachments")))
    for part in parts:
        _check_attachment(data, part)
    return Queued(id=data.id("id"), text=data.text("text"), created_at=data.time("created_at"), attachments=parts)


def _message(conversation_id: str, data: _Fields) -> Message:
    parts = [_harmless(part_from(given.text("kind"), given.needed("data"))) for given in data.each("parts")]
    for part in parts:
        if isinstance(part, AttachmentPart):
            _check_attachment(data, part)
    return Message(
        id=data.id("id"),
        conversation_id=conversation_id,
        parent_id=data.text_or_none("parent"),
        role=cast(Role, data.word("role", get_args(Role))),
        parts=tuple(parts),
        status=cast(MessageStatus, data.word("status", _FINAL)),
        created_at=data.time("created_at"),
        endpoint=data.name_or_none("endpoint"),
        model=data.name_or_none("model"),
        options=None if (options := data.inner("options")) is None else _options(options, data),
        usage=_usage(data.inner("usage")),
        picked_from=None if data.text_or_none("picked_from") is None else data.id("picked_from"),
        memory=_memory(data),
        processed=_processed(data.inner("processed"), parts),
        together=None if data.text_or_none("together") is None else data.id("together"),
        run_id=data.text_or_none("run"),
    )


def _processed(data: _Fields | None, parts: Sequence[Part]) -> Processed | None:
    """Return what was made of an answer, where it can have been made of these parts."""
    if data is None:
        return None
    made = processed_from(data)
    try:
        step_names(made.steps)
    except InputError as error:
        raise data.damaged("steps") from error
    if len(made.texts) != sum(isinstance(part, TextPart) for part in parts):
        raise data.damaged("texts")
    return made


def _memory(data: _Fields) -> Memory | None:
    inner = data.inner("memory")
    if inner is None:
        return None
    return replace(memory_from(inner), at=inner.time("at"), model=inner.name_or_none("model"))


def _harmless(part: Part) -> Part:
    """Return a part without what would go to an endpoint as it is, unless that is what endpoints give."""
    if not isinstance(part, ReasoningPart) or part.provider_metadata is None:
        return part
    data = part.provider_metadata.data
    try:
        item = json.loads(data) if len(data) <= _MAX_METADATA else None
    except (ValueError, RecursionError):
        item = None
    known = isinstance(item, dict) and item.get("type") == "reasoning"
    return part if known else replace(part, provider_metadata=None)


def _counted(number: Number) -> Number:
    if number < 0:
        raise refused("there is a number in it that is out of all bounds")
    return number


def _options(data: _Fields, beside: _Fields) -> Options:
    named = Options(endpoint=beside.name_or_none("endpoint"), model=data.name_or_none("model"))
    try:
        return from_plain(named, data.all)
    except InputError as error:
        raise refused(f"in {beside.what} there is an option that cannot be: {error}") from error


def _usage(data: _Fields | None) -> Usage | None:
    if data is None:
        return None
    return Usage(**{name: data.count(name) for name in ("input", "cached_input", "output", "reasoning")})


def _check_attachment(data: _Fields, part: AttachmentPart) -> None:
    known = part.media_type in {*IMAGE_TYPES, TEXT}
    if not known or not _HASH.fullmatch(part.sha256) or clean_name(part.name) != part.name:
        raise data.damaged("attachment")
    check_size(part.name, part.media_type, part.size, most_text=MAX_TEXT_KEPT)
