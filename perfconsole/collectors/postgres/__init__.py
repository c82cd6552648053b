"""PostgreSQL: sessions, server health and statements. The only room that knows the driver."""
