"""Sources that are not this process: another engine, a recording. Each turns something else into the one stream of ticks."""
