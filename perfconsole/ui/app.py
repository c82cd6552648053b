"""The app: holds the source, the states and the look; turns keys into actions; owns no widget's business."""

import asyncio
import signal
import time
from collections.abc import Callable
from math import nan
from typing import ClassVar, Final

from msgspec import Struct
from rich.color import ColorSystem
from rich.console import RenderableType
from textual._compositor import ChopsUpdate
from textual.binding import Binding, BindingType
from textual.screen import Screen

from perfconsole.config.actions import Action
from perfconsole.config.themes import ThemeSpec
from perfconsole.core.errors import PerfconsoleError
from perfconsole.core.ports import Source
from perfconsole.core.requests import CONFIG_RELOAD, Done, Nothing
from perfconsole.core.tables import Key
from perfconsole.ui.alarms import ALERT_OPS
from perfconsole.ui.bell import Bell
from perfconsole.ui.driver import BUSY, ConsoleDriver, Outlet
from perfconsole.ui.emit import Changes, Pen
from perfconsole.ui.keymap import Keymap
from perfconsole.ui.look import Look
from perfconsole.ui.marks import MarksApp
from perfconsole.ui.newly import Newly
from perfconsole.ui.screens import modes
from perfconsole.ui.screens.base import ConsoleScreen
from perfconsole.ui.screens.operations import OperationsScreen
from perfconsole.ui.screens.processes import ProcessesScreen
from perfconsole.ui.settings import Settings
from perfconsole.ui.theming import textual_theme
from perfconsole.ui.verdict import checked, views
from perfconsole.ui.widgets.places import NO_ENDPOINTS

_WATCHDOG_S: Final = 2.0
_STARTED_S: Final = 1.0
_TOLD: Final = 500
"""Characters of what was copied that are told: measuring the cells of a megabyte takes a second."""

_REPLAY_HINTS: Final = (
    ("time.back", "back"), ("time.forward", "on"), ("replay.play", "play"), ("time.go", "go to"), ("alert.next", "next alert or mark"),
)  # fmt: skip
_HELD_HINTS: Final = (("time.live", "live again"),)
_STEPS: Final = frozenset({"alert.next", "alert.previous"})


class ConsoleApp(MarksApp, inherit_bindings=False):
    """The console over any source of ticks.

    Attributes:
        plan_hashes: The shape of the plan that was looked at last, by server, statement and kind of plan.
    """

    CSS_PATH = ["styles/base.tcss", "styles/operations.tcss"]
    TITLE = "perfconsole"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", "Quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "Back to the shell", show=False, priority=True),
    ]
    MODES = {
        "operations": OperationsScreen,
        "queries": modes.queries,
        "endpoints": modes.endpoints,
        "processes": ProcessesScreen,
        "alerts": modes.alerts,
        "changes": modes.changes,
    }

    def __init__(self, source: Source, settings: Settings) -> None:
        self.DEFAULT_MODE = settings.screen  # type: ignore[misc]  # else Textual makes, and paints, an empty screen first
        super().__init__(source)
        self.animation_level = "none"
        self.settings = settings
        self.host = settings.host
        self.per_core = settings.per_core
        self.look = Look(settings.theme, settings.abilities)
        self.keymap = Keymap(settings.keys)
        self.plan_hashes: dict[tuple[str, Key, str], str] = {}
        self._pen = Pen(self.console._color_system or ColorSystem.TRUECOLOR)  # noqa: SLF001  what Textual's strips ask it for, too
        self.discreet = False
        self._newly, self._bell = Newly(), Bell()
        self._behind = False
        self._shown_at = nan
        self._subscribed = False
        self._sensible = self._conditions()
        self.register_theme(textual_theme(settings.theme, plain=self.look.plain))
        self.theme = settings.theme.name
        for key in self.keymap.keys():  # noqa: SIM118  not a mapping
            self.bind(key, f"press('{key}')", show=False)

    # Life -------------------------------------------------------------------------------------------------------------------------

    def on_load(self) -> None:
        """Open the source: what it knows by the time of the first paint is in it."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._drain)

        self.source.subscribe(wake)

    def on_mount(self) -> None:
        """Listen to signals, and say what is looked at."""
        loop = asyncio.get_running_loop()
        if not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                loop.add_signal_handler(number, self.exit, 128 + number)
        self._subscribed = True
        self.look_at()
        self.call_later(self.show_state, True)  # what came before was no news to anybody
        self.set_interval(_WATCHDOG_S, self._attend)
        for notice in self.settings.notices:
            self.tell(notice, "warning")
        if self.settings.started:
            self.set_timer(_STARTED_S, self.settings.started)

    def on_unmount(self) -> None:
        """Leave the source."""
        self.source.close()

    def action_leave(self) -> None:
        """Quit, whatever is open."""
        self.exit(0)

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        self.pump.drain()

    def show_state(self, news: bool) -> None:
        """Have the current screen show the state, unless the terminal is still busy with the last paint."""
        if not self._subscribed or not self.is_running:
            return  # before the first paint and after the last
        if news:
            self.hear()
            self.learn()
        outlet = self._outlet
        if outlet and (outlet.depth > BUSY or outlet.lost):
            self._behind = True
            if outlet.depth:
                return
            outlet.lost = False
        screen = self.screen
        if self._behind:
            self._behind = False
            screen.refresh()
        elif not news:
            return
        self._shown_at = self.state.at
        if self.front:
            self.front.show(self.state)
            self.look_at()  # what is over its threshold may be another than before

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Send only what changed; see `perfconsole.ui.emit`."""
        if isinstance(renderable, ChopsUpdate):
            renderable = Changes(renderable, self._pen)
        super()._display(screen, renderable)

    @property
    def _outlet(self) -> Outlet | None:
        """Where output goes; None under a test driver."""
        return self._driver.outlet if isinstance(self._driver, ConsoleDriver) else None

    @property
    def terminal_bytes(self) -> float:
        """Bytes the terminal has taken; NaN under a test driver."""
        outlet = self._outlet
        return float(outlet.written) if outlet else nan

    @property
    def front(self) -> ConsoleScreen | None:
        """The console's screen that is on view: under a dialog, the one it lies on."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, ConsoleScreen)), None)

    def _attend(self) -> None:
        if isinstance(self._driver, ConsoleDriver) and self._driver.is_hung_up:
            self.exit(128 + signal.SIGHUP)
        self._check_silence()

    def _check_silence(self) -> None:
        # Ticks that bring nothing are no news, but the time since the last that did is.
        if self.pump.silent_s() or self.state.at - self._shown_at > _WATCHDOG_S:
            self.show_state(True)

    def tell(self, text: str, role: str = "foreground") -> None:
        """Say something in passing, in the footer; on a screen that is just being made, once that is there."""
        if self.front and self.front.is_mounted:
            self.front.footer.tell(text, role)
        elif self.front:
            self.front.call_later(self.tell, text, role)

    def look_at(self) -> None:
        """Tell the source what is looked at now."""
        if self._subscribed:
            self.look_at_views((*self.front.views(), *views(self.state)) if self.front else ())

    async def ask(self, op: str, args: Struct) -> Struct | None:
        """Run an operation; a refusal is told, and gives None."""
        try:
            return await self.source.request(op, args)
        except PerfconsoleError as error:  # an engine in this process raises its own, a configuration's for one
            self._refused(error)
            return None

    def _refused(self, error: PerfconsoleError) -> None:
        """Tell why something was not done: of several faults the first, and how many there are."""
        first, *others = str(error).splitlines()
        self.tell(f"{first}  (and {len(others)} more)" if others else first, "critical")

    def offers(self, op: str) -> bool:
        """Whether the source offers an operation: what it does not offer is not bound."""
        stream = self.state.stream
        return stream is not None and op in stream.ops and not self.frozen

    # Keys -------------------------------------------------------------------------------------------------------------------------

    def hints(self) -> list[tuple[str, str]]:
        """Keys and titles for the footer."""
        front = self.front
        held = _REPLAY_HINTS if self.replaying else _HELD_HINTS if self.frozen else ()
        hints = [*held, *(front.hints() if front else ())]
        return [(self.keymap.sign(name), title) for name, title in hints if self.keymap.sign(name) and self.can(name)]

    def actions(self) -> list[Action]:
        """What can be done here and now."""
        scope = self.front.SCOPE if self.front else ""
        return [action for action in self.keymap.actions(scope, replay=self.replaying) if self.can(action.id)]

    def can(self, action_id: str) -> bool:
        """Whether an action exists and makes sense here and now; what does not is neither done nor shown."""
        front = self.front
        if front is None or not front.is_mounted or self._doer(action_id) is None:  # a footer that is hidden asks at any time
            return False
        if action_id == "alert.edit":
            return self.changeable is not None
        if action_id in _STEPS and not hasattr(front, "do_alert_next"):
            return self.pump.past is not None
        return (action_id not in self._sensible or self._sensible[action_id]()) and front.can(action_id)

    def _conditions(self) -> dict[str, Callable[[], bool]]:
        """What makes sense at some times only, whatever the screen; the footer asks of a dozen actions with every reading."""
        return {
            "time.live": lambda: self.frozen,
            **dict.fromkeys(("time.back", "time.forward", "time.go"), lambda: self.replaying),
            "reload": lambda: self.settings.reload is not None,
            "screen.endpoints": lambda: checked(self.state),
            "mark": lambda: self.may_mark or bool(self.counted()),
            "note": lambda: self.may_mark,
            "alert.ack": lambda: self.offers(ALERT_OPS["alert.ack"]) and bool(self.meant or self.concern),
            "alert.silence": lambda: self.offers(ALERT_OPS["alert.silence"]),
        }

    def _doer(self, action_id: str) -> Callable[[], object] | None:
        name = "do_" + action_id.replace(".", "_")
        return getattr(self.front, name, None) or getattr(self, name, None)

    async def action_press(self, key: str) -> None:
        """Do what a key means on this screen."""
        if not isinstance(self.screen, ConsoleScreen):
            return
        action = self.keymap.resolve(key, self.screen.SCOPE, replay=self.replaying)
        if action:
            await self.perform(action.id)

    async def perform(self, action_id: str) -> None:
        """Do an action by its id, if it can be done here and now."""
        doer = self._doer(action_id)
        if doer and self.can(action_id):
            result = doer()
            if asyncio.iscoroutine(result):
                await result
        elif action_id == "screen.endpoints" and doer:
            self.tell(NO_ENDPOINTS, "warning")

    async def _go(self, mode: str) -> None:
        """Show a screen, and not what was opened on it: its number always leads to it."""
        await self.switch_mode(mode)
        for _ in self.screen_stack[1:]:
            self.pop_screen()  # not awaited: the one that goes may be the one whose key this is
        self.look_at()
        if self.front:
            self.front.show(self.state)

    async def do_screen_operations(self) -> None:
        await self._go("operations")

    async def do_screen_queries(self) -> None:
        await self._go("queries")

    async def do_screen_endpoints(self) -> None:
        await self._go("endpoints")

    async def do_screen_processes(self) -> None:
        await self._go("processes")

    async def do_screen_alerts(self) -> None:
        await self._go("alerts")

    async def do_screen_changes(self) -> None:
        await self._go("changes")

    def do_quit(self) -> None:
        self.exit(0)

    async def do_help(self) -> None:
        from perfconsole.ui.screens.help import HelpScreen  # noqa: PLC0415  only when asked

        await self.push_screen(HelpScreen(self.actions()))

    def do_copy(self) -> None:
        """Copy what is selected to the terminal's clipboard (OSC 52)."""
        pane = self.front.pane if self.front else None
        text = pane.copied() if pane else ""
        if text:
            self.copy_text(text)

    def copy_text(self, text: str) -> None:
        """Copy a text, and say so."""
        self.copy_to_clipboard(text)
        self.tell(f"copied: {text[:_TOLD]}")

    async def do_reload(self) -> None:
        """Read the configuration again: theme, keys, columns and endpoints change at once."""
        assert self.settings.reload
        try:
            settings = self.settings.reload()
        except PerfconsoleError as error:
            self._refused(error)
            return
        self.settings, self.per_core, self.keymap = settings, settings.per_core, Keymap(settings.keys)
        for key in self.keymap.keys():  # noqa: SIM118  not a mapping
            self.bind(key, f"press('{key}')", show=False)
        self.wear(settings.theme)
        done = await self.ask(CONFIG_RELOAD.name, Nothing()) if self.offers(CONFIG_RELOAD.name) else Done("")
        if isinstance(done, Done):
            self.tell("; ".join(filter(None, ("configuration read again", done.text, "intervals change at the next start"))))

    async def do_palette(self) -> None:
        from perfconsole.ui.screens.palette import open_palette  # noqa: PLC0415  only when asked

        await open_palette(self)

    async def do_back(self) -> None:
        if self.front:
            await self.front.back()

    def do_theme(self) -> None:
        """The next theme."""
        names = list(self.settings.themes)
        if names:
            at = names.index(self.look.spec.name) + 1 if self.look.spec.name in names else 0
            self.use_theme(names[at % len(names)])

    def use_theme(self, name: str) -> None:
        """Draw with another theme."""
        try:
            spec = self.settings.load(name)
        except PerfconsoleError as error:
            self.tell(str(error), "warning")
            return
        self.wear(spec)
        self.tell(f"theme {name}")

    def wear(self, spec: ThemeSpec) -> None:
        """Draw with a theme that was read."""
        self.look = Look(spec, self.settings.abilities)
        self.register_theme(textual_theme(spec, plain=self.look.plain))
        self.theme = spec.name
        if self.front:
            self.front.repaint()

    def said(self, text: str) -> str:
        """SQL as it may be shown now: its literals are the users' data, which no picture takes along."""
        if not self.discreet:
            return text
        from perfconsole.core.literals import hide  # noqa: PLC0415  only for pictures

        return hide(text)

    def do_screenshot(self) -> None:
        """Write the screen to an SVG file in the current directory, without what sessions say in their statements."""
        name = f"perfconsole-{time.strftime('%Y%m%d-%H%M%S')}.svg"
        assert self.front
        self.tell("")  # what was copied may still be told
        self.discreet = True
        try:
            self.front.repaint()
            told, role = f"screenshot: {self.save_screenshot(name, path='.')}", "foreground"
        except OSError as error:
            told, role = f"no screenshot: {error.strerror}: {error.filename}", "critical"
        self.discreet = False
        self.front.repaint()
        self.tell(told, role)
