"""Files that somebody made on purpose: each is refused with a sentence."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services import importing, jsonfile
from services.conversation import Whole
from services.errors import InputError
from services.importing import opened
from services.messages import ProviderMetadata, ReasoningPart
from tests.test_exporting import told
from tests.trees import NOTE, NOTE_PART, exported, plain, read, wholes

Spoil = Callable[[dict[str, Any]], object]


def of(file: dict[str, Any]) -> dict[str, Any]:
    """Return the first conversation of a file."""
    conversation: dict[str, Any] = file["conversations"][0]
    return conversation


def message(file: dict[str, Any], index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = of(file)["messages"][index]
    return found


def twice(file: dict[str, Any]) -> None:
    file["conversations"].append(of(file))


def same_message(file: dict[str, Any]) -> None:
    other = json.loads(json.dumps(of(file)))
    other["id"] = "other"
    file["conversations"].append(other)


def waits(number: int) -> dict[str, Any]:
    return {"id": f"q{number}", "text": "x", "created_at": "2026-01-01T00:00:00+00:00", "attachments": []}


NUMBER = {"kind": "reasoning", "data": {"text": "", "seconds": -1}}
FILE = {"sha256": "../../etc/passwd", "name": "a", "media_type": "text/plain", "size": 1}
WRONG: dict[str, tuple[Spoil, str]] = {
    "another schema": (lambda f: f.update(schema="else.where"), "does not say that it is an export of Panelist"),
    "no version": (lambda f: f.pop("version"), "does not say that it is an export"),
    "a future schema": (lambda f: f.update(version=2), "later version of Panelist"),
    "no list": (lambda f: f.update(conversations={}), "not JSON"),
    "no conversation": (lambda f: f.update(conversations=[]), "no conversation in it"),
    "no object": (lambda f: f.update(conversations=[1]), "conversation 1 is none"),
    "a circle": (lambda f: message(f).update(parent=message(f, 1)["id"]), "follows one that is not before it"),
    "its own parent": (lambda f: message(f).update(parent=message(f)["id"]), "follows one that is not before it"),
    "a foreign parent": (lambda f: message(f, 1).update(parent="01ABC"), "follows one that is not before it"),
    "a foreign head": (lambda f: of(f).update(head="01ABC"), "“head”"),
    "no head": (lambda f: of(f).update(head=None), "“head”"),
    "an id twice": (lambda f: message(f, 1).update(id=message(f)["id"]), "repeats the id"),
    "a conversation twice": (twice, "repeats the id"),
    "a message in two": (same_message, "repeats the id"),
    "an id that is a path": (lambda f: of(f).update(id="../x"), "“id”"),
    "an id without end": (lambda f: message(f).update(id="x" * 65), "“id”"),
    "a title that is none": (lambda f: of(f).update(title=7), "“title”"),
    "a title without end": (lambda f: of(f).update(title="x" * 121), "“title”"),
    "no options": (lambda f: of(f).pop("options"), "“options”"),
    "a model that is none": (lambda f: of(f)["options"].update(model=[]), "“model”"),
    "a role of others": (lambda f: message(f).update(role="system"), "does not know"),
    "an unfinished answer": (lambda f: message(f, 1).update(status="streaming"), "does not know"),
    "messages that are none": (lambda f: of(f).update(messages=[1]), "“messages”"),
    "parts that are none": (lambda f: message(f).update(parts="x"), "“parts”"),
    "a part of the future": (lambda f: message(f)["parts"][0].update(kind="smell"), "does not know"),
    "a text that is none": (lambda f: message(f)["parts"][0].update(data={"text": 1}), "“text”"),
    "a number below nothing": (lambda f: message(f)["parts"].append(NUMBER), "out of all bounds"),
    "a number without end": (lambda f: message(f).update(usage={"input": 2**70}), "out of all bounds"),
    "usage of words": (lambda f: message(f).update(usage={"input": "1"}), "“input”"),
    "usage of truths": (lambda f: message(f).update(usage={"input": True}), "“input”"),
    "no time": (lambda f: of(f).update(updated_at="yesterday"), "“updated_at”"),
    "a time without a zone": (lambda f: of(f).update(updated_at="2026-01-01T00:00:00"), "“updated_at”"),
    "the end of time": (lambda f: of(f).update(updated_at="9999-12-31T23:59:59+00:00"), "“updated_at”"),
    "beyond time": (lambda f: of(f).update(updated_at="0001-01-01T00:00:00+14:00"), "“updated_at”"),
    "a run of nothing": (lambda f: of(f).update(runs=[{"id": "r", "message": "01ABC"}]), "“message”"),
    "a run of a question": (lambda f: of(f).update(runs=[{"id": "r", "message": message(f)["id"]}]), "“message”"),
    "a run that is not there": (lambda f: message(f, 1).update(run="01ABC"), "“run”"),
    "runs that are none": (lambda f: of(f).update(runs={}), "“runs”"),
    "what waits without a text": (lambda f: of(f).update(queue=[{"id": "q", "attachments": []}]), "“text”"),
    "more than can wait": (lambda f: of(f).update(queue=[waits(n) for n in range(21)]), "“queue”"),
    "NUL": (lambda f: message(f)["parts"][0]["data"].update(text="a\0b"), "NUL"),
    "half an emoji": (lambda f: message(f)["parts"][0]["data"].update(text="\ud83e"), "half of an emoji"),
    "NUL in a name": (lambda f: of(f).update({"\0": 1}), "NUL"),
    "a file that is a path": (lambda f: message(f)["parts"].append({"kind": "attachment", "data": FILE}), "attach"),
}


@pytest.mark.parametrize(("spoil", "says"), WRONG.values(), ids=WRONG)
def test_a_hostile_file_is_refused(tmp_path: Path, spoil: Spoil, says: str) -> None:
    file = plain(told("Why?", "Because."))
    spoil(file)
    refuses(tmp_path, json.dumps(file).encode(), says)


def refuses(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InputError, match="This file was not imported") as error, opened(path) as source:
        source.contents()
    assert says in str(error.value)
    assert "Nothing was changed." in str(error.value)


WHOLE = exported([told("Why?", "Because.")]).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no list of conversations"),
        (b"{}", "does not say"),
        (b"hello", "no list of conversations"),
        (b"\xff\xfe\x00", "UTF-8"),
        (WHOLE[:-3], "cut off"),
        (WHOLE[: len(WHOLE) // 2], "cut off"),
        (WHOLE + b"{}", "not JSON"),
        (WHOLE.replace(b"Why?", b"Wh\0?"), "not JSON"),
        (WHOLE.replace(b'"Why?"', b"NaN"), "not JSON"),
        (WHOLE.replace(b'"Why?"', b"1" * 5_000), "not JSON"),
        (WHOLE.replace(b'"Why?"', b"1e999"), "out of all bounds"),
        (WHOLE.replace(b'"Why?"', b"[" * 100_000 + b"]" * 100_000), "nested too deeply"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"schema":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    refuses(tmp_path, data, says)


@pytest.mark.parametrize(
    "data", ["", "{", "[]", '"x"', '{"type":"message"}', "[" * 100_000, '{"type":"reasoning","x":NaN']
)
def test_what_endpoints_never_gave_is_not_given_to_them(tmp_path: Path, data: str) -> None:
    file = plain(told("Why?", "Because."))
    good = '{"type":"reasoning","id":"rs_1"}'
    for each in (data, good):
        metadata = {"origin": "openai", "data": each}
        message(file, 1)["parts"].append({"kind": "reasoning", "data": {"text": "Hm.", "provider_metadata": metadata}})
    path = tmp_path / "file"
    path.write_text(json.dumps(file))
    bad, kept = (part for part in read(path)[0].messages[1].parts if isinstance(part, ReasoningPart))
    assert bad == ReasoningPart("Hm.")
    assert kept.provider_metadata == ProviderMetadata("openai", good)


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonfile, "MAX_VALUE", 300_000)
    refuses(tmp_path, WHOLE.replace(b"Why?", b"x" * 2_000_000), "one conversation in it has more than")
    monkeypatch.setattr(jsonfile, "MAX_JSON", 400_000)
    refuses(tmp_path, WHOLE + b" " * 500_000, "of text")
    monkeypatch.setattr(importing, "MAX_FILE", 100)
    refuses(tmp_path, WHOLE, "it has more than")


@pytest.mark.parametrize("inner", ["[]", "{}", "0", '{"a":0}'])
def test_a_value_of_too_many_pieces_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str) -> None:
    monkeypatch.setattr(jsonfile, "MAX_VALUES", 50_000)
    many = ",".join([inner] * 60_000)
    for text in (f'[{{"x":[{many}]}}]', f'{{"schema":[{many}]}}', WHOLE.decode().replace('"Why?"', f"[{many}]")):
        refuses(tmp_path, text.encode(), "more than 50,000 pieces")
    commas = WHOLE.replace(b"Why?", b'[,{\\"' * 100_000)
    path = tmp_path / "file"
    path.write_bytes(commas)
    assert len(read(path)) == 1, "what stands in a text is one piece"


def test_no_more_than_a_little_is_decoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 0

    class Watched(json.JSONDecoder):
        def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
            nonlocal most
            value, end = super().raw_decode(s, idx)
            most = max(most, end - idx)
            return value, end

    monkeypatch.setattr("json.JSONDecoder", Watched)
    path = tmp_path / "file"
    messages = [text for number in range(3_000) for text in (f"{number}? " * 40, f"{number}. " * 40)]
    path.write_text(exported([told(*messages)]))
    assert len(read(path)[0].messages) == 6_000
    assert 0 < most < 300_000 < path.stat().st_size


def archive(*entries: tuple[str, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packed) as file:
        for name, data in entries:
            file.writestr(name, data)
    return out.getvalue()


JSON = ("conversations.json", WHOLE)


def with_note(size: int | None = None) -> bytes:
    """Return a file whose question comes with a note, of whatever size it says."""
    file = plain(told("Why?", "Because."))
    data = {"sha256": NOTE_PART.sha256, "name": NOTE_PART.name, "media_type": "text/plain", "size": size or len(NOTE)}
    message(file)["parts"].append({"kind": "attachment", "data": data})
    return json.dumps(file).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (archive(("other.json", WHOLE)), "no conversations.json"),
        (archive(JSON, ("../evil", b"")), "lead elsewhere"),
        (archive(JSON, ("/evil", b"")), "lead elsewhere"),
        (archive(JSON, ("a\\..\\evil", b"")), "lead elsewhere"),
        (archive(JSON, ("C:evil", b"")), "lead elsewhere"),
        (archive(JSON, packed=zipfile.ZIP_LZMA), "unusual way"),
        (archive(JSON)[:-5], "damaged"),
        (archive(JSON)[:200], "damaged"),
        (archive(JSON).replace(b"PK\x01\x02", b"PK\x01\x03"), "damaged"),
        (archive(JSON)[:-10] + b"\xff" * 4 + archive(JSON)[-6:], "more than 20,000 files"),
    ],
)
def test_a_hostile_archive_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    refuses(tmp_path, data, says)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonfile, "MAX_JSON", 2_000_000)
    bomb = archive(("conversations.json", WHOLE + b" " * 100_000_000))
    assert len(bomb) < 200_000
    refuses(tmp_path, bomb, "of text")
    path = tmp_path / "file"
    entry = f"attachments/{NOTE_PART.sha256}"
    for data in (b"\0" * 100_000_000, b"Rain fails.\n", b""):
        path.write_bytes(archive(("conversations.json", with_note()), (entry, data)))
        with opened(path) as source:
            [part] = source.contents().attachments.values()
            with pytest.raises(InputError, match="not what it is said to be"):
                source.attachment(part)


def test_an_archive_with_files_and_one_without(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(
        archive(("conversations.json", with_note()), (f"attachments/{NOTE_PART.sha256}", NOTE), ("x", b""))
    )
    with opened(path) as source:
        contents = source.contents()
        assert source.attachment(contents.attachments[NOTE_PART.sha256]) == NOTE
    assert hashlib.sha256(NOTE).hexdigest() in contents.attachments
    path.write_bytes(with_note())
    with opened(path) as source:
        assert source.contents().left_out == {"missing attached file": 1}


@settings(deadline=None)
@given(st.lists(wholes(), min_size=1, max_size=3))
def test_what_was_exported_is_read_as_it_was(tmp_path_factory: pytest.TempPathFactory, trees: list[Whole]) -> None:
    path = tmp_path_factory.getbasetemp() / "trees.json"
    path.write_text(exported(trees), "utf-8")
    assert read(path) == trees
    path.write_text(json.dumps(json.loads(exported(trees)), indent=4), "utf-8-sig")
    assert read(path) == trees, "laid out in another way"
