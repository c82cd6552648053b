"""Facts of a server or a machine in sections: a line each with its severity; below the whole of the one that is selected, and its fix."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from textual.events import Click

from perfconsole.core.requests import Fact, FactSection
from perfconsole.core.state import State
from perfconsole.core.tables import Key
from perfconsole.ui.line import Line, Parts
from perfconsole.ui.look import WORDS
from perfconsole.ui.widgets.pane import Pane
from perfconsole.ui.widgets.section import Answer, ChoiceSection, Section

if TYPE_CHECKING:
    from perfconsole.ui.screens.facts import FactsScreen

FINDINGS: Final = "Findings"
_GRAVE: Final = ("critical", "warning", "unknown")
"""What is found wrong, the worst first; what cannot be read comes last."""

_NAME_LEAST: Final = 12
_NAME_SHARE: Final = 0.45


class Item(NamedTuple):
    """A fact on the screen: which it is, and the section it stands in."""

    key: Key
    section: str
    fact: Fact


def items(sections: Iterable[FactSection]) -> Iterator[Item]:
    """All facts. One is the same after another reading if its section and name are, and how many of that name stand before it."""
    for section in sections:
        met: dict[str, int] = {}
        for fact in section.facts:
            met[fact.name] = met.get(fact.name, 0) + 1
            yield Item((hash((section.title, fact.name)), met[fact.name]), section.title, fact)


def findings(sections: Iterable[FactSection]) -> list[Item]:
    """What is wrong in any section, the worst first."""
    return sorted((item for item in items(sections) if item.fact.severity in _GRAVE), key=lambda item: _GRAVE.index(item.fact.severity))


def worst(facts: Iterable[Fact]) -> str:
    """The worst severity among facts; empty when nothing is wrong."""
    found = {fact.severity for fact in facts}
    return next((severity for severity in _GRAVE if severity in found), "")


def matches(item: Item, words: str) -> bool:
    """Whether every word is somewhere in a fact, in any case."""
    text = f"{item.fact.name} {item.fact.text} {item.fact.fix} {item.fact.severity}".lower()
    return all(word in text for word in words.lower().split())


def facts_screen(pane: Pane) -> "FactsScreen":
    """The screen a pane stands on, by its own type."""
    from perfconsole.ui.screens.facts import FactsScreen  # noqa: PLC0415  the screen mounts the panes

    assert isinstance(pane.screen, FactsScreen)
    return pane.screen


class FactsSection(ChoiceSection[Item]):
    """The facts of one section; without a title of its own those of all that deserve a look.

    Args:
        answer: What was asked for: why there is nothing, where that is so.
        title: Of the section; empty for the findings.
    """

    TITLE = "Facts"

    def __init__(self, answer: Answer[Any], title: str = "") -> None:
        super().__init__()
        self.NAME = title or FINDINGS
        self._answer = answer
        self._of = title
        self._picked = False

    @property
    def part(self) -> FactSection | None:
        """What is known of it; None for the findings, and for a section that is not there any more."""
        return next((section for section in self._facts_screen.detail_sections if section.title == self._of), None)

    @property
    def severity(self) -> str:
        """The worst of its facts."""
        return worst(item.fact for item in self._every())

    def _every(self) -> list[Item]:
        if not self._of:
            return findings(self._facts_screen.detail_sections)
        return list(items([self.part])) if self.part else []

    # Showing ----------------------------------------------------------------------------------------------------------------------

    def members(self, state: State) -> list[Item]:  # noqa: ARG002  what was read stays as it was
        """Those that match the filter."""
        return [item for item in self._every() if matches(item, self._facts_screen.match)]

    def empty(self, width: int) -> list[Parts]:
        """Why there is none."""
        if self._answer.result is None and not self._every():
            return self.unanswered(self._answer, width)
        if self._facts_screen.match:
            return self.paragraph(f"nothing matches {self._facts_screen.match}", width, "dim")
        return self.paragraph("nothing deserves a look" if not self._of else "none", width, "dim")

    def member(self, at: int, width: int, *, chosen: bool) -> Line:
        """Severity, name and text of one fact."""
        item = self._members[at]
        fact = item.fact
        line = self.line("selection" if chosen else "background")
        line.put(self.look.glyphs.marker if chosen else " ", "accent")
        # Its colour alone: what critical is elsewhere, a block, would be as wide here as the longest name.
        line.put(self.look.glyph(fact.severity) if fact.severity in WORDS else " ", f"{fact.severity or 'dim'}_bar").gap()
        line.put(fact.name, f"{fact.severity}_bar" if fact.severity in _GRAVE else "foreground", self._name_width(width)).gap(2)
        return line.put(fact.text, "foreground" if fact.severity else "dim")

    def _name_width(self, width: int) -> int:
        longest = max(len(item.fact.name) for item in self._members)
        return min(longest, max(_NAME_LEAST, int(width * _NAME_SHARE)))

    def note(self, state: State) -> str:  # noqa: ARG002  likewise
        """How many, where there is a filter."""
        return f"{len(self._members)} of {len(self._every())}" if self._facts_screen.match else ""

    def title(self, note: str) -> Line:
        """All sections with their worst severity; where they have no room, those around this one."""
        line = self.line("panel")
        for section in self._tabs():
            severity = section.severity
            front = section is self
            sign = self.look.glyphs.marker if front else self.look.glyph(severity) if severity else " "
            line.put(sign, "accent" if front else severity or "dim")
            line.put(section.NAME, severity or "title" if front else "dim").gap()
        if note and line.left > len(note) + 2:
            line.to(line.width - len(note) - 1).put(note, "dim")
        return line

    def _tabs(self) -> list["FactsSection"]:
        """The sections in the row of tabs: from the first that leaves room for this one."""
        every = self._facts_screen.parts
        own = every.index(self)
        first = 0
        while first < own and sum(len(section.NAME) + 2 for section in every[first : own + 1]) - 1 > self.size.width:
            first += 1
        return every[first:]

    @property
    def _facts_screen(self) -> "FactsScreen":
        return facts_screen(self)

    # Using ------------------------------------------------------------------------------------------------------------------------

    def _at(self) -> int:
        """Until somebody has chosen, the first: what comes in late may be worse than what was first before."""
        return super()._at() if self._picked else 0

    def move(self, rows: int) -> None:
        """Move the selection; the pane below follows."""
        self._picked = True
        super().move(rows)
        self._facts_screen.tell_chosen()

    def copied(self) -> str:
        """What would mend it; without that what it says."""
        item = self.chosen
        if item is None:
            return ""
        return item.fact.fix or f"{item.fact.name}: {item.fact.text.strip()}"

    def on_click(self, event: Click) -> None:
        """A tab, or a fact."""
        if event.y:
            self._picked = True
            super().on_click(event)
            self._facts_screen.tell_chosen()
            return
        x = 0
        for section in self._tabs():
            x += len(section.NAME) + 2
            if event.x < x:
                self._facts_screen.bring(section)
                return


class ChosenPane(Pane):
    """The whole of the selected fact: its text, what mends it, what to know before that, and how its section is to be read."""

    def lines(self, state: State, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002  what was read stays as it was
        """Name, text, fix and note, as far as there is room: the fix before the rest of a long text."""
        screen = self._facts_screen
        section = screen.front_part
        item = section.chosen if section else None
        title = screen.reading or (f"{item.section}: {item.fact.name}" if item else screen.subject)
        line = self.title_line(title, screen.read_when, item.fact.severity if item and item.fact.severity in WORDS else "")
        part = next((one for one in screen.detail_sections if item and one.title == item.section), section.part if section else None)
        fix = self._wrapped(item.fact.fix, "accent", width) if item else []
        note = self._wrapped(item.fact.note, "dim", width) if item else []
        note += self._wrapped(part.note, "dim", width) if part else []
        room = max(0, height - 1 - len(fix))
        text = self._wrapped(item.fact.text.strip(), "foreground", width)[: max(1, room)] if item else []
        return [line, *text, *fix, *note]

    def _wrapped(self, text: str, role: str, width: int) -> list[Line]:
        return [self.line().gap().put(part, role) for part in wrap(text, max(1, width - 2))]

    @property
    def _facts_screen(self) -> "FactsScreen":
        return facts_screen(self)


def sections_of(answer: Answer[Any], parts: Iterable[FactSection], known: Sequence[Section]) -> list[FactsSection]:
    """Sections for those parts that have none yet."""
    titles = {section.NAME for section in known}
    return [FactsSection(answer, part.title) for part in parts if part.title not in titles]
