"""The configuration: what may be written, where it is looked for, how it is read and written. Knows `core` only."""
