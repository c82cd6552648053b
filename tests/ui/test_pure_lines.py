"""Lines and what is sent of them: spans that changed, and bytes that leave a terminal with the same cells."""

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip
from world import NOWHERE

from perfconsole.config import themes
from perfconsole.config.abilities import Abilities
from perfconsole.ui import line as lines
from perfconsole.ui.emit import Changes, Pen
from perfconsole.ui.line import Line, changed
from perfconsole.ui.look import Look
from perfconsole.ui.theming import textual_theme

MIDNIGHT = themes.load_theme("midnight", env=NOWHERE).spec
LOOK = Look(MIDNIGHT, Abilities(ascii=False, colours=1 << 24))
PLAIN = Look(MIDNIGHT, Abilities(ascii=True, colours=1 << 24))
WIDTH = 40

ROLES = st.sampled_from(["foreground", "dim", "accent", "ok", "warning", "critical", "critical_bar", "chart", "title"])
TEXTS = st.text(st.sampled_from("abc 0123▁█…データé"), max_size=14)
PUTS = st.lists(st.tuples(TEXTS, ROLES, st.none() | st.integers(0, 20), st.booleans()), max_size=8)


def line_of(puts, look=LOOK, on="background"):
    line = Line(look, WIDTH, on)
    for text, role, width, right in puts:
        line.put(text, role, width, right=right)
    return line


def test_what_is_taken_for_one_cell_is_one():
    even = [char for char in map(chr, range(0x20, 0x3000)) if char.isprintable() and lines._even(char)]
    assert len(even) > 1000
    assert [char for char in even if cell_len(char) != 1] == []


def cells_of(strip):
    """A strip cell by cell; a wide character is one cell and an empty one after it."""
    out = []
    for text, style, _ in strip:
        for char in text:
            out += [(char, style), *[("", style)] * (cell_len(char) - 1)] if cell_len(char) else []
            if not cell_len(char):
                out[-1] = (out[-1][0] + char, style)
    return out


@given(PUTS)
def test_a_line_is_as_wide_as_it_should_be_whatever_is_put(puts):
    for look in (LOOK, PLAIN):
        strip = line_of(puts, look).strip()
        assert sum(cell_len(text) for text, _, _ in strip) == strip.cell_length == WIDTH
        assert all(style is not None for _, style, _ in strip)
    assert strip.text.isascii()


@given(PUTS, PUTS)
def test_changed_spans_of_the_new_line_onto_the_old_one_give_the_new_one(before, after):
    old, new = line_of(before).strip(), line_of(after).strip()
    shown = cells_of(old)
    spans = changed(old, new)
    for start, end in spans:
        assert 0 <= start < end <= WIDTH
        shown[start:end] = cells_of(new)[start:end]
    assert shown == cells_of(new)
    assert spans == sorted(spans)


@given(PUTS)
def test_a_line_that_is_the_same_has_no_changed_spans(puts):
    assert changed(line_of(puts).strip(), line_of(puts).strip()) == []


@pytest.mark.parametrize(
    ("text", "width", "right", "shown"),
    [
        ("abc", None, False, "abc"),
        ("abc", 5, False, "abc  "),
        ("abc", 5, True, "  abc"),
        ("abcdef", 4, False, "abc…"),
        ("abcdef", 1, False, "a"),
        ("abcdef", 0, False, ""),
        ("データ", 6, False, "データ"),
        ("データ", 5, False, "デー…"),
        ("データ", 4, False, "デ …"),
        ("データ", 8, True, "  データ"),
    ],
)
def test_text_is_cut_with_an_ellipsis_at_the_cell_not_the_character(text, width, right, shown):
    line = Line(LOOK, 40).put(text, "foreground", width, right=right)
    assert line.strip().text == shown.ljust(len(shown) + 40 - cell_len(shown))
    assert line.left == 0


def test_ascii_has_stand_ins_of_the_same_width():
    strip = Line(PLAIN, 12).put("é…データ▁▁▁▁▁").strip()
    assert strip.text == "?~??????????"[:11] + "~"


def test_what_does_not_fit_any_more_is_left_out():
    line = Line(LOOK, 5).put("abcde").put("f").to(3).gap(4)
    assert (line.strip().text, line.left) == ("abcde", 0)


# Bytes ------------------------------------------------------------------------------------------------------------------------------

STYLES = st.builds(
    Style,
    color=st.sampled_from([None, "default", "red", "bright_black", "#d0d7e2", "#6cb6ff"]),
    bgcolor=st.sampled_from([None, "default", "blue", "#0d1117", "#1a2230"]),
    bold=st.sampled_from([None, True, False]),
    reverse=st.sampled_from([None, True, False]),
    underline=st.sampled_from([None, True]),
)
RUNS = st.tuples(st.text(st.sampled_from("ab 01█デ"), min_size=1, max_size=6), STYLES)
SEGMENTS = st.lists(RUNS, min_size=1, max_size=6).map(lambda runs: [Segment(*run) for run in runs])
HEIGHT = 4


def padded(segments, width):
    return Strip(segments).adjust_cell_length(width)


@st.composite
def updates(draw):
    """A screen of two columns, and some spans of it to be sent."""
    split = draw(st.integers(3, WIDTH - 3))
    chops = [{0: padded(draw(SEGMENTS), split), split: padded(draw(SEGMENTS), WIDTH - split)} for _ in range(HEIGHT)]
    ends = [[split, WIDTH]] * HEIGHT
    spans = []
    for y in range(HEIGHT):
        cuts = sorted(draw(st.sets(st.integers(0, WIDTH), max_size=4)))
        edges = boundaries(chops[y])
        cuts = [cut for cut in cuts if cut in edges]  # a span never begins or ends within a wide character
        spans += [(y, start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=False) if end > start]
    return chops, spans or [(0, 0, WIDTH)], ends


def boundaries(chop):
    """The columns at which a character begins."""
    out = {0}
    for start, strip in chop.items():
        x = start
        for char in strip.text:
            x += cell_len(char)
            out.add(x)
    return out


def painted(*renders):
    terminal = pyte.Screen(WIDTH, HEIGHT)
    stream = pyte.Stream(terminal)
    for bytes_ in renders:
        stream.feed(bytes_)
    return [
        [(c.data, c.fg, c.bg, c.bold, c.reverse, c.underscore) for c in (terminal.buffer[y][x] for x in range(WIDTH))]
        for y in range(HEIGHT)
    ]


@pytest.mark.parametrize("colours", [ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT, ColorSystem.STANDARD])
@settings(max_examples=40)
@given(update=updates())
def test_the_changes_leave_the_cells_that_textuals_own_update_would(colours, update):
    chops, spans, ends = update
    console = Console(color_system={1: "standard", 2: "256", 3: "truecolor"}[colours.value], force_terminal=True)
    whole = [(y, 0, WIDTH) for y in range(HEIGHT)]
    blank = [{0: padded([Segment("x" * WIDTH, Style(color="green"))], WIDTH)} for _ in range(HEIGHT)]
    before = ChopsUpdate(blank, whole, [[WIDTH]] * HEIGHT).render_segments(console)
    stock = ChopsUpdate(chops, whole, ends).render_segments(console)
    ours = Changes(ChopsUpdate(chops, spans, ends), Pen(colours)).render_segments(console)
    right, was, shown = painted(stock), painted(before), painted(before, ours)
    sent = {(y, x) for y, x1, x2 in spans for x in range(x1, x2)}
    for y in range(HEIGHT):
        for x in range(WIDTH):
            assert shown[y][x] == (right if (y, x) in sent else was)[y][x], (y, x)
    assert ours.endswith("\x1b[0m")


def test_a_style_is_said_once_and_only_what_differs():
    style = Style(color="#d0d7e2", bgcolor="#0d1117")
    pen = Pen(ColorSystem.TRUECOLOR)
    assert pen.ink(style) == "\x1b[38;2;208;215;226;48;2;13;17;23m"
    assert pen.ink(style) == ""
    assert pen.ink(style + Style(color="#ffffff")) == "\x1b[38;2;255;255;255m"
    assert pen.ink(style + Style(bold=True)) == "\x1b[1;38;2;208;215;226m"
    assert pen.ink(style) == "\x1b[0;38;2;208;215;226;48;2;13;17;23m"
    pen.lift()
    assert pen.ink(style) == "\x1b[38;2;208;215;226;48;2;13;17;23m"


# Themes -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", themes.names(NOWHERE))
@pytest.mark.parametrize("colours", [0, 16, 1 << 24])
def test_every_theme_gives_every_role_a_style_and_textual_a_theme(name, colours):
    spec = themes.load_theme(name, env=NOWHERE).spec
    look = Look(spec, Abilities(ascii=False, colours=colours))
    roles = ["foreground", "title", "dim", "accent", "border", "ok", "info", "warning", "critical", "stale", "unknown", "chart"]
    for role in [*roles, "warning_bar", "critical_bar"]:
        for ground in ("background", "panel", "selection"):
            style = look.style(role, ground)
            assert style.color
            assert style.bgcolor
            assert style is look.style(role, ground)
    if look.plain:
        assert look.style("critical").reverse
        assert look.style("warning").bold
        assert look.style("foreground", "selection").reverse
        assert all(look.style(role).color.is_default for role in roles)
    elif spec.critical != spec.warning:
        assert look.style("critical") != look.style("warning") != look.style("ok")
    theme = textual_theme(spec, plain=look.plain)
    assert theme.name == name
    assert theme.to_color_system().generate()
