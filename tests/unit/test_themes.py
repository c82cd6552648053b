"""The shipped themes can be read by everybody; a bad one of the user's is a notice."""

from itertools import combinations
from pathlib import Path

import pytest

from perfconsole.config.themes import COLOURS, DEFAULT, list_themes, load_theme, names, read_theme, shipped_dir
from perfconsole.core.errors import ConfigError

SHIPPED = ["gruvbox", "midnight", "mono", "nord", "okabe", "paper", "terminal"]
SPECS = {name: read_theme(shipped_dir() / f"{name}.toml") for name in SHIPPED}
TRUECOLOUR = [name for name, spec in SPECS.items() if not spec.ansi]
NOBODY = {"HOME": "/nonexistent"}


def linear(colour):
    """The light of each channel, 0-1 (WCAG 2, relative luminance)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def luminance(colour):
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def deuteranope(colour):
    """What is seen without the middle cones, in L*a*b* (Machado, Oliveira and Fernandes 2009, severity 1)."""
    red, green, blue = linear(colour)
    seen = (
        0.367322 * red + 0.860646 * green - 0.227968 * blue,
        0.280085 * red + 0.672501 * green + 0.047413 * blue,
        -0.011820 * red + 0.042940 * green + 0.968881 * blue,
    )
    red, green, blue = (min(1.0, max(0.0, channel)) for channel in seen)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def test_seven_are_shipped_and_all_can_be_read():
    assert names(NOBODY) == SHIPPED
    assert load_theme(DEFAULT, env=NOBODY).spec == SPECS["midnight"]
    assert (SPECS["midnight"].dark, SPECS["paper"].dark) == (True, False)


@pytest.mark.parametrize("name", TRUECOLOUR)
@pytest.mark.parametrize("role", ["foreground", "ok", "warning", "critical", "unknown", "accent", "chart"])
def test_text_has_the_contrast_that_wcag_asks_for(name, role):
    spec = SPECS[name]
    assert contrast(getattr(spec, role), spec.background) >= 4.5


@pytest.mark.parametrize("name", TRUECOLOUR)
def test_lesser_text_and_selected_rows_can_be_read(name):
    spec = SPECS[name]
    for role in ("dim", "stale"):
        assert contrast(getattr(spec, role), spec.background) >= 4.5
        assert contrast(getattr(spec, role), spec.panel) >= 3
    for role in ("selection_fg", "foreground"):
        assert contrast(getattr(spec, role), spec.selection_bg) >= 4.5
    for role in ("ok", "warning", "critical", "dim"):
        assert contrast(getattr(spec, role), spec.selection_bg) >= 3, role
    assert luminance(spec.background) < 0.2 if spec.dark else luminance(spec.background) > 0.8


def test_okabe_is_told_apart_without_the_middle_cones():
    spec = SPECS["okabe"]
    assert (spec.ok, spec.warning, spec.critical) == ("#56b4e9", "#e69f00", "#d55e00")
    for one, other in combinations((spec.ok, spec.warning, spec.critical), 2):
        a, b = deuteranope(one), deuteranope(other)
        assert sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5 > 15  # 2.3 is just noticeable


def test_mono_has_no_colour_and_terminal_only_the_sixteen():
    assert not any(getattr(SPECS["mono"], role) for role in COLOURS)
    assert SPECS["mono"].ansi
    assert SPECS["terminal"].background == SPECS["terminal"].foreground == ""


def test_found_in_an_installed_package_and_in_a_checkout(tmp_path):
    package = tmp_path / "perfconsole"
    (tmp_path / "themes").mkdir(parents=True)
    package.mkdir()
    assert shipped_dir(package) == tmp_path / "themes"
    (package / "themes").mkdir()
    assert shipped_dir(package) == package / "themes"


# The user's -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mine(tmp_path):
    directory = tmp_path / "perfconsole" / "themes"
    directory.mkdir(parents=True)
    return directory


def good(changes=""):
    return (shipped_dir() / "midnight.toml").read_text() + changes


def test_the_users_are_added_and_stand_in_for_shipped_ones(mine, tmp_path):
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    (mine / "dusk.toml").write_text(good())
    (mine / "nord.toml").write_text(good())
    (mine / "notes.txt").write_text("no theme")
    listed = {found.name: found.origin for found in list_themes(env)}
    assert listed == {**dict.fromkeys(SHIPPED, "shipped"), "dusk": "yours", "nord": "yours"}
    assert load_theme("dusk", env=env).spec.name == "dusk"
    assert load_theme("nord", env=env).spec.background == SPECS["midnight"].background


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            good().replace('ok = "#5fc9a1"', 'ok = "green"'),
            "dusk.toml:12: ok: found 'green': accepted: \"#rrggbb\" (names only with ansi = true)",
        ),
        (good('okay = "#ffffff"\n'), "dusk.toml:18: okay: not a colour of a theme: accepted: dark ansi background"),
        (good().replace("dark = true", "dark = 1"), "dusk.toml:2: dark: found 1: accepted: true or false"),
        (good().replace("dark = true", "ansi = true"), "dusk.toml:3: background: found '#0d1117': accepted: \"\" or one of ansi_black"),
        ('background = "#000000"\n', "dusk.toml: no surface panel"),
        ("background = \n", "dusk.toml:1: not TOML"),
        ("\udcff", "dusk.toml:1: the byte 0xff is not UTF-8"),
        ("[background]\n", "dusk.toml:1: background: found {}"),
    ],
)
def test_a_bad_one_is_a_notice_with_file_line_and_key_and_the_default_is_used(mine, tmp_path, text, expected):
    (mine / "dusk.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    spec, notices = load_theme("dusk", env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert spec == SPECS[DEFAULT]
    (notice,) = notices
    assert expected in notice
    assert notice.isprintable()


def test_a_bad_one_of_a_shipped_name_gives_way_to_the_shipped_one(mine, tmp_path):
    (mine / "paper.toml").mkdir()
    (mine / "midnight.toml").write_text("nonsense")
    for name in ("paper", "midnight"):
        spec, notices = load_theme(name, env={"XDG_CONFIG_HOME": str(tmp_path)})
        assert spec == SPECS[name]
        assert len(notices) == 1


@pytest.mark.parametrize("name", ["midnigt", "", "../themes/paper", "no\0such"])
def test_an_unknown_name_is_an_error(name):
    with pytest.raises(ConfigError, match="no theme is called"):
        load_theme(name, env=NOBODY)


def test_only_the_one_file_is_read(mine, tmp_path):
    (mine / "broken.toml").write_text("nonsense")
    assert load_theme("paper", env={"XDG_CONFIG_HOME": str(tmp_path)}) == (SPECS["paper"], ())


def test_every_shipped_file_says_what_it_is():
    for path in Path(shipped_dir()).iterdir():
        assert path.read_text().startswith("# "), path
