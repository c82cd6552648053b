"""What outlives the process: recordings of the stream and the audit file. Written behind the engine, never in its way."""
