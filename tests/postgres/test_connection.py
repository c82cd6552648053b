"""A connection: its limits, its faults in words, and how it comes back."""


async def test_it_is_read_only_and_limited(server):
    rows = await server.fetch("SELECT name::text, setting FROM pg_settings WHERE name = ANY($1::text[])", ["statement_timeout", "jit"])
    assert dict(rows) == {"statement_timeout": "2000", "jit": "off"}
    assert server.version > 130000
    assert server.name == "orders"
    assert not server.pooled
