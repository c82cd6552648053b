"""One run of a check, of every kind: what is asked, its phases, and its outcome, whatever ends it.

Each kind of check has its module here, but for HTTP, whose engines have packages of their own: what both do alike (requests, redirects,
limits, what is told) is here. Nothing that lasts from one run to the next but what is shared; nothing that knows when a run is due.
"""
