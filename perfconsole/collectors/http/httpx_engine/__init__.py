"""The compatible engine: checks by way of httpx, for what the lean engine does not do.

httpx and httpcore are known in this package alone, and loaded when the first check needs them. Lines, phases, TLS and the outcome are
those of the lean engine: nothing here measures.
"""
