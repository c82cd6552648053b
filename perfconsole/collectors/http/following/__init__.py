"""What is known of endpoints, from outcome to outcome: each one, each service, all of them, and the rows and words that tell it.

Outcomes come in, readings and rows go out. Nothing here knows who carries a check out, or how; no socket, no TLS library.
"""
