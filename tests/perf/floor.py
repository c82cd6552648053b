"""The floor: the least that a Textual app costs (one Static, nothing changes). The console is compared with it, in the same job."""

from textual.app import App
from textual.widgets import Static


class Floor(App):
    BINDINGS = [("q", "quit", "Quit")]

    def compose(self):
        yield Static("READYFLOOR")


Floor().run()
