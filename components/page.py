"""The page: shell, sidebar, main and dialogs. Layout only."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import panel as pn
import panel_material_ui as pmui
import param
from panel.theme import Design
from panel.util.parameters import edit_readonly
from panel_material_ui.template.base import Page

from components import ahead, collecting, early, files, resources, session, theme, wire
from components.alerts import AlertsView
from components.budgets import BudgetsView
from components.chat.commands import Commands
from components.chat.comparing import Comparison
from components.chat.composer import Composer
from components.chat.details import DetailsView
from components.chat.map import ConversationMap
from components.chat.replaying import Replaying
from components.chat.transcript import Transcript
from components.connect import ConnectView
from components.dialogs import dialog
from components.first_view import TEMPLATE
from components.importing import ImportView
from components.keys import KeysView
from components.preload import prepared
from components.sentence import SentencePane
from components.sharing import Sharing
from components.sidebar.conversations import ConversationList
from components.sidebar.model import ModelPicker
from components.sidebar.options import OptionsView
from components.sidebar.trash import Trash
from components.state import ConversationState
from services.conversation import Versions
from services.errors import PanelistError, SettingsError, StorageError
from services.options import Options
from services.render import escape
from services.runtime import Runtime, check_settings, process_runtime

if TYPE_CHECKING:
    from components.dashboard.view import UsageView

log = logging.getLogger(__name__)


class _HasTheme(Protocol):
    """A view that draws itself light or dark."""

    dark: bool


class _HasDialog(Protocol):
    """A view that is the content of a dialog of its own."""

    dialog: pmui.Dialog


Themed = TypeVar("Themed", bound=_HasTheme)
WithDialog = TypeVar("WithDialog", bound=_HasDialog)

resources.install()
early.install()
ahead.install()
wire.install()
collecting.install()

_ICON = Path(__file__).parent / "assets" / "icon.svg"

_PLUG = _ICON.with_name("plug.svg").read_text("utf-8")
"""Drawn by us: by its name it would take the kit's font of 130 KB, and be a word until that has come."""

RETRY_S = 3.0
"""Between two tries to open a database that cannot be opened."""

SHORTCUTS = (
    ("Enter", "Send the message"),
    ("Shift + Enter", "Break the line"),
    ("Ctrl + Enter", "Stop the answer and send"),
    ("Esc", "Stop the answer"),
    ("↑ ↓", "In the empty text box: earlier questions"),
    ("Alt + P", "Preview the message (on a Mac Ctrl + Shift + P)"),
    ("/", "Go to the text box; in it: commands"),
    ("Alt + [ and ]", "Previous and next version of the message that has the focus, or of the last"),
    ("Alt + M", "Show the map of the conversation"),
    ("Arrows, Enter, Del, +, -, 0", "In the map: go along the branches, go there, remove, zoom, see all"),
    ("Ctrl + Shift + O", "New chat"),
    ("Ctrl + Shift + L", "Temporary chat"),
    ("Ctrl + K", "Search conversations"),
    ("↑ ↓, F2, Del", "In the list: go, rename, delete"),
    ("← →", "On a folder in the list: fold, unfold"),
    ("Ctrl + A, Space, Esc", "In the list: select all, one more, none"),
    ("?", "Show these shortcuts"),
)


def build_page(app_dir: Path) -> Page:
    """Return the page of one browser session. It comes at once and fills when the runtime is open.

    Raises:
        SystemExit: the server is warming up (`--warm`) and a setting cannot be read, so the start ends here.
    """
    visitor = session.visitor()
    if visitor is None:
        try:
            check_settings(app_dir)
        except SettingsError as error:
            raise SystemExit(f"Panelist cannot start: {error}") from error
        files.serve_from_start(partial(process_runtime, app_dir))
    session.take_styles_from_here()
    ready = prepared() if visitor is not None and session.is_local(visitor) else None
    page = Page(
        title="Panelist",
        template=TEMPLATE,
        site_url="./app",
        favicon=_ICON,
        meta_description="A self-hosted AI chat in pure Python.",
        meta_viewport="width=device-width, initial-scale=1.0, interactive-widget=resizes-content",
        dark_theme=session.dark(),
        theme_config=theme.THEME,
        raw_css=[theme.ROOT_CSS],
        sx=theme.SHELL_SX,
        busy_indicator=None,
        sidebar_width=288,
        sidebar_open=not session.on_phone(),
        sidebar_resizable=False,
        sizing_mode="stretch_both",
    )
    _let_go(page)
    if visitor is None:
        # What is loaded now stays: 300,000 objects, and each full collection stopped everything for 90 ms to see so.
        gc.freeze()
        return page
    pn.state.on_session_destroyed(lambda _: collecting.process.page_went())
    if not session.is_local(visitor):
        page.main = [_sentence("Panelist has no login yet, so it answers only on the machine it runs on.")]
        return page

    if ready is not None:
        assert pn.state.curdoc is not None
        pn.state.curdoc.template_variables.update(ready.view)
        pn.config.browser_info = False  # it would be one more root with each
        for view in _fill(page, ready.runtime, ready.state, apart=True):
            view.design = Design  # their styles are their own
            view.server_doc(location=False)
        return page

    async def fill() -> None:
        try:
            runtime = await _patiently(page, app_dir)
            state = ConversationState(runtime.chat, runtime.connections, session.owner(), runtime.temporary)
            pn.state.on_session_destroyed(lambda _: state.close())
            await state.start(session.asked_for())
            _fill(page, runtime, state)
        except PanelistError as error:
            log.error("a page could not be built: %s", error)
            page.main = [_sentence(str(error))]
        except Exception:  # the last wall: an empty page says nothing
            log.exception("a page could not be built")
            page.main = [_sentence("Something unforeseen went wrong in Panelist; its log says more. Reload the page.")]

    pn.state.onload(fill)
    return page


async def _patiently(page: Page, app_dir: Path) -> Runtime:
    """Return the runtime, trying again while the database cannot be opened: the page comes when the cause has ended."""
    gone = asyncio.Event()
    pn.state.on_session_destroyed(lambda _: gone.set())
    while True:
        try:
            return await process_runtime(app_dir)
        except StorageError as error:
            if gone.is_set():
                raise
            page.main = [_sentence(f"{error} Panelist tries again by itself.")]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_S):
                await gone.wait()


class _Dialogs:
    """The dialogs of one page, made when they are asked for: together they take as long as the rest of the page."""

    def __init__(self, page: Page, runtime: Runtime, state: ConversationState) -> None:
        self.shelf = pn.Column(margin=0)
        self.on_close: Callable[[], None] = lambda: None
        self._page = page
        self._help = cache(lambda: self._hung(_help()))
        self._importing = cache(lambda: self._hung(ImportView(state).dialog))
        self._connect = cache(lambda: self._with_dialog(ConnectView(state, runtime.connections, self.keys)))
        self._keys = cache(lambda: KeysView(state, runtime.keys))
        self._options = cache(lambda: self._with_dialog(OptionsView(state)))
        self._budgets = cache(lambda: BudgetsView(state, runtime.chat.budgets, runtime.connections, session.owner()))
        self._sharing = cache(
            lambda: self._with_dialog(self._themed(Sharing(state, sizing_mode="stretch_width", margin=0)))
        )
        self._trash = cache(
            lambda: self._with_dialog(self._themed(Trash(state, sizing_mode="stretch_width", margin=0)))
        )
        self._comparison = cache(
            lambda: self._with_dialog(self._themed(Comparison(state, sizing_mode="stretch_width", margin=0)))
        )
        self._replaying = cache(lambda: Replaying(state, self.compare))
        self._details = cache(
            lambda: self._with_dialog(
                self._themed(DetailsView(state, self.again, sizing_mode="stretch_width", margin=0))
            )
        )
        self._alerts = cache(lambda: AlertsView(runtime.chat.alerts, runtime.chat.changes, session.owner()))
        self._usage = cache(lambda: self._with_dialog(self._themed(_usage(runtime, state, self.alerts))))
        self._map = cache(
            lambda: self._with_dialog(
                self._themed(ConversationMap(state, self.details, sizing_mode="stretch_width", margin=0))
            )
        )

    def help(self) -> None:
        self._help().open = True

    def importing(self) -> None:
        self._importing().open = True

    def connect(self) -> None:
        pn.state.execute(self._connect().open)

    def keys(self) -> None:
        pn.state.execute(partial(self._open_filled, self._keys()))

    async def _open_filled(self, view: KeysView | AlertsView | BudgetsView) -> None:
        await view.open()
        if view.dialog not in self.shelf.objects:  # only now: its list would be lost while the browser makes the rest
            self._hung(view.dialog)

    def options(self, message_id: str | None = None) -> None:
        pn.state.execute(partial(self._options().open, message_id))

    def budgets(self) -> None:
        pn.state.execute(partial(self._open_filled, self._budgets()))

    def trash(self) -> None:
        pn.state.execute(self._trash().open)

    def share(self) -> None:
        pn.state.execute(self._sharing().open)

    def compare(self, what: Versions | str, places: tuple[int, int] | None = None) -> None:
        pn.state.execute(partial(self._comparison().open, what, places))

    def again(self, message_id: str, options: Options) -> None:
        pn.state.execute(partial(self._options().open_again, message_id, options, self._replaying().ask))

    def details(self, message_id: str) -> None:
        pn.state.execute(partial(self._details().open, message_id))

    def usage(self) -> None:
        pn.state.execute(self._usage().open)

    def alerts(self) -> None:
        pn.state.execute(partial(self._open_filled, self._alerts()))

    def map(self) -> None:
        pn.state.execute(self._map().open)

    def _themed(self, view: Themed) -> Themed:
        _follow_theme(self._page, view)
        return view

    def _with_dialog(self, view: WithDialog) -> WithDialog:
        self._hung(view.dialog)
        return view

    def _hung(self, dialog: pmui.Dialog) -> pmui.Dialog:
        # It comes open: the browser does not hear of a change to what it is still making.
        dialog.open = True
        dialog.param.watch(lambda event: None if event.new else self.on_close(), "open")
        self.shelf.append(dialog)
        return dialog


def _usage(runtime: Runtime, state: ConversationState, on_alerts: Callable[[], None]) -> UsageView:
    from components.dashboard.looking import Looking  # noqa: PLC0415 - what plots takes long, and few pages show any
    from components.dashboard.view import UsageView  # noqa: PLC0415

    owner = session.owner()
    looking = Looking(
        runtime.measuring, runtime.connections, owner, lambda: [(one.endpoint, one.model) for one in state.choices]
    )
    drags = not session.on_phone()
    return UsageView(
        looking,
        runtime.chat.changes,
        owner,
        on_alerts=on_alerts,
        drags=drags,
        sizing_mode="stretch_width",
        margin=0,
    )


def _follow_theme(page: Page, view: _HasTheme) -> None:
    def update(*_: object) -> None:
        view.dark = page.dark_theme

    page.param.watch(update, "dark_theme")
    update()


def _fill(
    page: Page, runtime: Runtime, state: ConversationState, *, apart: bool = False
) -> tuple[Transcript, Composer]:
    """Fill a page; with `apart` what is returned is to be a root of its own, before the page, and not in it."""
    collecting.process.is_busy = lambda: runtime.busy
    picker = ModelPicker(state)
    dialogs = _Dialogs(page, runtime, state)

    def open_sidebar(opened: bool) -> None:
        page.sidebar_open = opened

    def fit_screen(dark: bool, narrow: bool) -> None:
        page.dark_theme = dark
        if narrow:
            open_sidebar(False)
        collecting.process.page_came()

    def choose_theme(name: str) -> None:
        page.dark_theme = name == "dark" if name else not page.dark_theme

    commands = Commands(
        state,
        on_connect=dialogs.connect,
        on_choose_model=picker.focus,
        on_theme=choose_theme,
        on_help=dialogs.help,
        on_options=dialogs.options,
        on_budgets=dialogs.budgets,
        on_keys=dialogs.keys,
        on_details=dialogs.details,
        on_trash=dialogs.trash,
        on_usage=dialogs.usage,
        on_alerts=dialogs.alerts,
        on_map=dialogs.map,
        on_download=lambda address: composer.download(address),  # noqa: PLW0108 - which is made below
        on_import=dialogs.importing,
        on_share=dialogs.share,
    )
    composer = Composer(
        state,
        commands,
        on_help=dialogs.help,
        on_options=dialogs.options,
        on_search=lambda: open_sidebar(True),
        on_send=picker.commit,
        sizing_mode="stretch_width",
        margin=0,
    )
    transcript = Transcript(
        state,
        on_connect=dialogs.connect,
        on_choose_model=picker.focus,
        on_compare=dialogs.compare,
        on_details=dialogs.details,
        on_options=dialogs.options,
        on_map=dialogs.map,
        on_share=dialogs.share,
        on_screen=fit_screen,
        sizing_mode="stretch_both",
        margin=0,
    )
    conversations = ConversationList(
        state,
        on_close=lambda: open_sidebar(False),
        on_trash=dialogs.trash,
        on_usage=dialogs.usage,
        on_download=composer.download,
        sizing_mode="stretch_both",
        margin=0,
    )
    dialogs.on_close = composer.focus  # in a shadow root a dialog cannot find what had the keyboard before
    for view in (composer, transcript, conversations):
        _follow_theme(page, view)
    plug = pmui.IconButton(
        icon=_PLUG,
        description="Connect a model",
        on_click=lambda _: dialogs.connect(),
        align="center",
        margin=(0, 16, 0, 0),
    )
    page.param.update(
        sidebar=[conversations],
        header=[picker, plug],  # no Row around them: they are drawn with the page then, not each by itself after it
        main=[
            dialogs.shelf
            if apart
            else pn.Column(transcript, composer, dialogs.shelf, sizing_mode="stretch_both", margin=0)
        ],
    )
    if apart:
        transcript.open()
    return transcript, composer


def _let_go(page: Page) -> None:
    """Cut a page off from `pn.state.busy`, which every page of panel-material-ui watches: it held all of them for ever.

    Another reference is the way to end a reference; a plain value would leave the watcher in place.
    """
    with edit_readonly(page):
        page.busy = param.rx(False)


def _help() -> pmui.Dialog:
    rows = "".join(f"<tr><td><kbd>{escape(key)}</kbd></td><td>{escape(what)}</td></tr>" for key, what in SHORTCUTS)
    table = pn.pane.HTML(
        "<style>table{border-spacing:0 10px;font:15px/1.4 var(--panelist-font);color:var(--mui-palette-text-primary)}"
        "td:first-child{padding-right:28px}kbd{font:13px var(--panelist-mono);padding:3px 8px;border-radius:6px;"
        "border:1px solid var(--mui-palette-divider)}table:focus-visible{outline:2px solid "
        "var(--mui-palette-primary-main)}</style>"
        # Focusable, so that a dialog that is higher than the window can be scrolled without a mouse.
        f'<table tabindex="0" aria-label="Keyboard shortcuts">{rows}</table>'
    )
    return dialog("Keyboard shortcuts", table)


def _sentence(text: str) -> SentencePane:
    pane = SentencePane(margin=24)
    pane.say(text)
    return pane
