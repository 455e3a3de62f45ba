"""The list of conversations: open, rename, arrange, select, delete."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.models.esm import DataEvent

from components.catalogue import HITS, NOTHING
from components.files import address_of_export
from components.notices import Notice
from components.scripts import ScriptComponent, joined
from components.state import Choice, ConversationState
from services.arranging import MAX_AT_ONCE
from services.errors import PanelistError
from services.exporting import SUFFIXES, Kind
from services.folders import MAX_TAG, Defaults, Folder, defaults_of, in_order
from services.listing import MAX_ROWS, Listing, View
from services.options import Options
from services.search import Hit

_HERE = Path(__file__).parent

DAY = 24 * 60 - 1
"""Minutes that a clock can be away from UTC, as far as Python takes them."""

MAX_EXPORTED = 1_000
"""Conversations that are chosen for one file: their ids are an address."""

_MOST_ROWS = 10**9
_LAST_MOMENT = 4_000_000_000_000  # in ms since 1970: later than any day that somebody sees begin

_PLACE = re.compile(r"-?\d{1,18}|1\d{18}", re.ASCII)  # below 2**61


class ConversationList(ScriptComponent):
    """One component for the rows in view, however many there are; the page says which these are."""

    items: str = param.String(default="{}", doc="JSON of the list, as the page begins.")  # type: ignore[assignment]
    current: str | None = param.String(default=None, allow_None=True, doc="The open conversation, as the page begins.")  # type: ignore[assignment]
    dark: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = joined(_HERE, "search", "menus", "dialogs", "windowing", "selecting", "moving", "conversations")
    _stylesheets = [  # noqa: RUF012 - Panel's own class attribute
        (_HERE / f"{part}.css").read_text("utf-8") for part in ("conversations", "order", "search")
    ]
    _constants: ClassVar[dict[str, Any]] = {"most": MAX_AT_ONCE}

    _written: ClassVar[tuple[Listing, View | None, str]] = (NOTHING, None, "{}")

    def __init__(
        self,
        state: ConversationState,
        on_close: Callable[[], None],
        on_trash: Callable[[], None],
        on_usage: Callable[[], None],
        on_download: Callable[[str], None],
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.on_msg(self._on_message)
        self._state = state
        self._on_close = on_close
        self._on_trash = on_trash
        self._on_usage = on_usage
        self._on_download = on_download
        self._ready = False
        self._rows: tuple[str, str | None, str | None] = ("{}", None, None)
        state.catalogue.param.watch(self._update, "listing")
        state.param.watch(self._update, ["conversation", "folder"])
        self._update()

    def _update(self, *_: object) -> None:
        state = self._state
        here, begins = state.conversation, state.folder
        items = self._items(state.catalogue.listing, state.catalogue.seen)
        before, self._rows = self._rows, (items, here.id if here else None, begins.id if begins else None)
        if not self._ready:
            self.items, self.current = self._rows[:2]
        elif self._rows != before:  # the short way: this goes to every tab whenever anything happens in one of them
            self.say(["rows", *self._rows])

    @classmethod
    def _items(cls, listing: Listing, seen: View) -> str:
        """Return the list as JSON. All tabs that were given one and the same list share the text, too."""
        if cls._written[0] is not listing or cls._written[1] != seen:
            text = json.dumps(_list(listing, seen), ensure_ascii=False, separators=(",", ":"))
            cls._written = listing, seen, text
        return cls._written[2]

    async def _on_message(self, event: DataEvent) -> None:
        catalogue = self._state.catalogue
        match event.data:
            case {"type": "ready", **seen}:
                self._ready = True
                await self._see(seen)
                self.say(["rows", *self._rows])
            case {"type": "see", **seen}:
                await self._see(seen)
                self.say(["rows", *self._rows])
            case {"type": "rename", "id": str(id), "title": str(title)}:
                await catalogue.rename(id, title)
            case {"type": "delete", "id": str(id)}:
                await catalogue.delete(id)
            case {"type": "trash"}:
                self._on_trash()
            case {"type": "usage"}:
                self._on_usage()
            case {"type": "close"}:
                self._on_close()
            case {"type": "search", "number": int(number), "text": str(text), "west": int(west), **more}:
                await self._search(number, text, west, more.get("before"))
            case {"type": "ids", "number": int(number), "first": int(first), "count": int(count)}:
                self.say(["ids", number, json.dumps(await catalogue.ids(first, count))])
            case {"type": "export", "ids": list(ids), "kind": str(kind)} if kind in SUFFIXES:
                self._export(_texts(ids), kind)
            case {"ids": list(ids), **arrangement}:
                await self._arrange(_texts(ids), arrangement)
            case _:
                await self._on_folder(event.data)

    def _export(self, ids: Sequence[str], kind: Kind) -> None:
        if len(ids) > MAX_EXPORTED:
            said = f"{MAX_EXPORTED:,} conversations are the most in one file of some; /export all takes all of them."
            self._state.notice = Notice(said, "error")
        elif ids:  # none would be all
            self._on_download(address_of_export(kind, *ids))

    async def _see(self, data: Mapping[object, object]) -> None:
        """Show the part of the list that the page says it shows."""
        match data:
            case {"first": int(first), "count": int(count), "midnight": int(midnight), **more}:
                tag = more.get("tag")
                seen = View(
                    first=max(0, min(first, _MOST_ROWS)),
                    count=max(1, min(count, MAX_ROWS)),
                    archived=more.get("archived") is True,
                    tag=tag[:MAX_TAG] if isinstance(tag, str) else None,
                    midnight=datetime.fromtimestamp(max(0, min(midnight, _LAST_MOMENT)) / 1000, UTC),
                )
                await self._state.catalogue.see(seen)

    async def _arrange(self, ids: Sequence[str], data: Mapping[object, object]) -> None:
        """Do with conversations what the page says."""
        catalogue = self._state.catalogue
        match data:
            case {"type": "pin", "on": bool(on)}:
                await catalogue.pin(ids, on)
            case {"type": "archive", "on": bool(on)}:
                await catalogue.archive(ids, on)
            case {"type": "move", "folder": str() | None as folder}:
                await catalogue.move(ids, folder)
            case {"type": "tag", "add": list(add), "remove": list(remove)}:
                await catalogue.tag(ids, _texts(add), _texts(remove))
            case {"type": "delete"}:
                await catalogue.delete_all(ids)

    async def _on_folder(self, data: object) -> None:
        """Do with a folder what the page says. What is none of ours does nothing."""
        catalogue = self._state.catalogue
        match data:
            case {"type": "add_folder", "name": str(name), "parent": str() | None as parent}:
                made = await catalogue.add_folder(name, parent)
                self.say(["made", made.id if made else None])
            case {"type": "rename_folder", "id": str(id), "name": str(name)}:
                await catalogue.rename_folder(id, name)
            case {"type": "move_folder", "id": str(id), "parent": str() | None as parent}:
                await catalogue.move_folder(id, parent)
            case {"type": "remove_folder", "id": str(id)}:
                await catalogue.remove_folder(id)
            case {"type": "unfold", "id": str(id), "on": bool(on)}:
                await catalogue.unfold(id, on)
            case {"type": "settings", "id": str(id)} if folder := catalogue.folder(id):
                await self._tell_settings(folder)
            case {"type": "set", "id": str(id), "model": str(model), "prompt": str(prompt)}:
                was = catalogue.folder(id)
                if was is not None and model == _label(was.options):
                    options = was.options  # also where its endpoint gives no list at the moment
                else:
                    chosen = self._state.choice_of(model)
                    options = Options(endpoint=chosen.endpoint, model=chosen.model) if chosen else Options()
                await catalogue.set_defaults(id, Defaults(options, prompt))

    async def _tell_settings(self, folder: Folder) -> None:
        """Tell the page what a folder says, and what holds where it says nothing."""
        known = {one.id: one for one in self._state.catalogue.listing.folders}
        around = defaults_of(known, folder.parent_id)
        settings = {
            "id": folder.id,
            "name": folder.name,
            "model": _label(folder.options),
            "prompt": folder.system_prompt or "",
            "around": {"model": _label(around.options), "prompt": around.system_prompt or ""},
            "models": [choice.label for choice in self._state.choices],
        }
        self.say(["settings", json.dumps(settings, ensure_ascii=False)])

    async def _search(self, number: int, text: str, west: int, before: object) -> None:
        """Answer the page's search of a number; `west` are the minutes that its clock is behind UTC."""
        zone = timezone(timedelta(minutes=-max(-DAY, min(west, DAY))))
        place = int(before) if isinstance(before, str) and _PLACE.fullmatch(before) else None
        try:
            hits = await self._state.catalogue.search(text, zone=zone, before=place)
        except PanelistError as error:
            self.say(["refused", number, str(error)])
        else:
            rows = json.dumps([_row(hit) for hit in hits], ensure_ascii=False, separators=(",", ":"))
            self.say(["hits", number, rows, len(hits) == HITS])


def _list(listing: Listing, seen: View) -> dict[str, Any]:
    """Return a list for the page. System prompts stay here: they may be long, and are seldom looked at."""
    return {
        "sections": [[one.kind, one.name, one.count, one.depth, one.holds] for one in listing.sections],
        "first": listing.first,
        "rows": [
            {
                "id": c.id,
                "title": c.title,
                **({"pinned": True} if c.pinned_at else {}),
                **({"archived": True} if c.archived_at else {}),
                **({"folder": c.folder_id} if c.folder_id else {}),
                **({"tags": c.tags} if c.tags else {}),
            }
            for c in listing.conversations
        ],
        "folders": [
            {"id": one.id, "name": one.name, "parent": one.parent_id, "open": one.unfolded, "depth": depth}
            for one, depth in in_order(listing.folders)
        ],
        "tags": listing.tags,
        "archived": seen.archived,
        "tag": seen.tag,
    }


def _label(options: Options) -> str:
    return Choice(options.endpoint, options.model).label if options.endpoint and options.model else ""


def _texts(given: Sequence[object]) -> list[str]:
    return [one for one in given if isinstance(one, str)]


def _row(hit: Hit) -> dict[str, Any]:
    """Return a hit for the page; its place is a text, because it is no number that JavaScript has."""
    return {
        "id": hit.conversation_id,
        "title": hit.title,
        "at": hit.message_id,
        "role": hit.role,
        "time": int(hit.at.timestamp() * 1000),
        "pieces": [[piece.text, piece.found] for piece in hit.snippet],
        "place": str(hit.place),
    }
