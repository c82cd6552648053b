"""The engine: schedules collectors, closes ticks, runs the alert stage, feeds sinks and readers. No collector is known here by name."""
