"""What is expected of an answer, held against it, and answers in words: bodies, JSON, patterns, headers.

Everything that is looked at here was chosen by somebody else: what it costs is bounded, and no secret or control character leaves. Nothing
here sends or waits for a network.
"""
