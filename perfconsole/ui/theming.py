"""A theme of ours as a theme of Textual's, for the parts of the screen that are Textual's own: prompts, dialogs, the palette."""

from collections.abc import Callable

from textual.theme import Theme

from perfconsole.config.themes import ThemeSpec


def textual_theme(spec: ThemeSpec, *, plain: bool) -> Theme:
    """The Textual theme for a specification.

    Args:
        spec: The theme.
        plain: No colour at all: the terminal's own foreground and background.
    """
    ansi = spec.ansi or plain

    def colour(value: str) -> str:
        return "ansi_default" if plain or not value else value

    return Theme(
        name=spec.name,
        primary=colour(spec.accent),
        secondary=colour(spec.border),
        accent=colour(spec.accent),
        warning=colour(spec.warning),
        error=colour(spec.critical),
        success=colour(spec.ok),
        foreground=colour(spec.foreground),
        background=colour(spec.background),
        surface=colour(spec.surface),
        panel=colour(spec.panel),
        dark=spec.dark,
        ansi=ansi,
        variables=_variables(spec, colour) if ansi else {},
    )


def _variables(spec: ThemeSpec, colour: Callable[[str], str]) -> dict[str, str]:
    """What Textual mixes from a theme's colours and cannot mix from a palette it does not know: without them it does not start."""
    cursor = {"input-cursor-background": colour(spec.background), "input-cursor-foreground": colour(spec.foreground)}
    chosen = {
        f"{what}-{where}": colour(spec.selection_bg if where == "background" else spec.selection_fg)
        for what in ("block-cursor", "input-selection", "screen-selection")
        for where in ("background", "foreground")
    }
    ground = {"ansi-background": colour(spec.panel), "ansi-foreground": colour(spec.foreground), "border-blurred": colour(spec.border)}
    styles = {"input-cursor-text-style": "reverse", "block-cursor-text-style": "none" if spec.selection_bg else "reverse"}
    return cursor | chosen | ground | styles
