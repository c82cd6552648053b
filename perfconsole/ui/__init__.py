"""The terminal UI (Textual). Reads states, sends watches and requests; no I/O of its own, no collector in sight."""
