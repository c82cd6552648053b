"""How things look: styles by role and glyphs by meaning, made once from a theme and a terminal's abilities.

Every segment a live widget draws takes its style from here, so no colour stands anywhere else, and no segment is without one
(Textual's monochrome filter dies of those).
"""

from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.style import Style

from perfconsole.config.abilities import Abilities
from perfconsole.config.themes import ThemeSpec


class Glyphs(NamedTuple):
    """The characters that mean something."""

    severity: dict[str, str]
    bars: str
    gap: str
    rule: str
    side: str
    ellipsis: str
    down: str
    up: str
    branch: str
    last_branch: str
    trunk: str
    marker: str
    dot: str
    failed: str
    tick: str
    tick_down: str
    mark: str


UNICODE: Final = Glyphs(
    severity={"ok": "●", "warning": "▲", "critical": "■", "stale": "◌", "unknown": "?", "info": "●"},
    bars="▁▂▃▄▅▆▇█",
    gap="·",
    rule="─",
    side="│",
    ellipsis="…",
    down="▼",
    up="▲",
    branch="├─",
    last_branch="└─",
    trunk="│ ",
    marker="▸",
    dot="·",
    failed="×",
    tick="▴",
    tick_down="▾",
    mark="◆",
)
ASCII: Final = Glyphs(
    severity={"ok": ".", "warning": "!", "critical": "X", "stale": "~", "unknown": "?", "info": "."},
    bars="_.-=+*#@",
    gap=" ",
    rule="-",
    side="|",
    ellipsis="~",
    down="v",
    up="^",
    branch="|-",
    last_branch="`-",
    trunk="| ",
    marker=">",
    dot=",",
    failed="X",
    tick="^",
    tick_down="v",
    mark="*",
)

WORDS: Final = {"ok": "OK", "warning": "WARN", "critical": "CRIT", "stale": "STALE", "unknown": "UNKNOWN", "info": "INFO"}

_NAMED: Final = "ansi_"


class Look:
    """Styles and glyphs for one theme on one terminal.

    Attributes:
        spec: The theme.
        ascii: Only ASCII may be drawn.
        glyphs: Characters by meaning.
    """

    def __init__(self, spec: ThemeSpec, can: Abilities) -> None:
        self.spec = spec
        self.ascii = can.ascii
        self.plain = can.colours == 0 or not (spec.warning or spec.critical)
        self.glyphs = ASCII if can.ascii else UNICODE
        self._styles: dict[tuple[str, str], Style] = {}

    def style(self, role: str, on: str = "background") -> Style:
        """The style of a role on a ground.

        Args:
            role: A colour of the theme (``foreground``, ``dim``, ``accent``, ``ok`` ...), ``title`` or a severity; ``_bar`` behind
                a severity is for drawing with it.
            on: ``background``, ``panel`` (title bars) or ``selection``.
        """
        found = self._styles.get((role, on))
        if found is None:
            found = self._styles[role, on] = self._make(role, on)
        return found

    def _make(self, role: str, on: str) -> Style:
        bar, role = role.endswith("_bar"), role.removesuffix("_bar")  # a bar is its colour: neither bold nor reversed
        bold = role in {"title", "warning", "critical", "accent"} and not bar
        if self.plain:
            reverse = on == "selection" or (role == "critical" and not bar)
            return Style(color="default", bgcolor="default", bold=bold, dim=role in {"dim", "stale", "border"}, reverse=reverse)
        spec = self.spec
        ground = {"background": spec.background, "panel": spec.panel, "selection": spec.selection_bg}[on]
        stands_for = {"title": "foreground", "info": "ok"}
        ink: str = getattr(spec, stands_for.get(role, role), spec.foreground)
        if on == "selection":
            if not ground:
                return Style(color="default", bgcolor="default", reverse=True, bold=bold)
            if role in {"foreground", "title", "dim"}:
                ink = spec.selection_fg
        reverse = role == "critical" and on == "background" and not bar
        return Style(color=_colour(ink), bgcolor=_colour(ground), bold=bold, reverse=reverse)

    def glyph(self, severity: str) -> str:
        """The sign of a severity or state."""
        return self.glyphs.severity.get(severity, "?")

    def text(self, text: str) -> str:
        """Text as this terminal can show it: of the same width, in ASCII where it must be."""
        if not self.ascii or text.isascii():
            return text
        stand_ins = {"…": self.glyphs.ellipsis}
        return "".join(char if char.isascii() else stand_ins.get(char, "?" * cell_len(char)) for char in text)


def _colour(name: str) -> str:
    """A theme's colour in Rich's words."""
    return name.removeprefix(_NAMED) if name else "default"
