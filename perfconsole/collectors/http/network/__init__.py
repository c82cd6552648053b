"""Names, sockets, TLS and certificates, with the kernel's own times; and what may go wrong with them, in words.

Knows bytes and addresses. Nothing here knows HTTP, a check's expectations, or an endpoint.
"""
