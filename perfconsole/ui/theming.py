"""A theme of ours as a theme of Textual's, for the parts of the screen that are Textual's own: prompts, dialogs, the palette."""

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
    )
