"""Why there is no plan, and the statement that mends it."""

import re
from typing import Final

from perfconsole.collectors.postgres.aside import RefusedError, Transaction
from perfconsole.collectors.postgres.detail.facts import quoted
from perfconsole.collectors.postgres.plans import sqltext
from perfconsole.collectors.postgres.plans.subject import Subject
from perfconsole.core.errors import RequestError
from perfconsole.core.text import safe

_LAST: Final = re.compile(r"[\s\"'„“”«»]+([^\s\"'„“”«»]+)[\s\"'„“”«»]*$")
"""The last word of a refusal names what may not be used, in whatever language the server speaks."""

_QUOTED: Final = re.compile(r"[\"„«»“”]([^\"„«»“”]+)[\"„«»“”]")
_SIMPLE: Final = re.compile(r"[a-z_][a-z0-9_]*")
_RIGHTS: Final = {
    "INSERT": "INSERT", "UPDATE": "SELECT, UPDATE", "DELETE": "SELECT, DELETE", "MERGE": "SELECT, INSERT, UPDATE, DELETE",
}  # fmt: skip
_UNTYPED: Final = ("no plan for any values", "take those of a session that runs it (live)")
_WORDS: Final = {
    "57014": ("given up", "the server is busy, or the statement needs longer than it is given; nothing was changed"),
    "55P03": ("no plan", "another session holds a lock on one of its tables, see Sessions; try again"),
    "42P18": _UNTYPED,
    "42883": _UNTYPED,
    "42725": _UNTYPED,
    "42601": ("no plan", "its text is cut, or is several statements in one"),
    "25006": ("refused", "only what reads is run"),
    "22": ("no plan with these values", "a literal is given without quotes; NULL stands for no value"),
}
"""By code, or class of codes: what to say before the server's words, and what to do."""

_FOUND: Final = "SELECT pg_catalog.to_regclass(pg_catalog.quote_ident($1))::pg_catalog.oid"
"""Asked in the path of the statement: no name in it may be looked for there."""

_TABLE: Final = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1
"""
_SCHEMAS: Final = """
SELECT n.nspname::text, has_schema_privilege(n.oid, 'USAGE') AS usable, quote_ident(n.nspname) AS quoted
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY c.relpages DESC, 1
"""


async def why(transaction: Transaction, refusal: RefusedError, subject: Subject, text: str) -> RequestError:
    """A refusal as a request tells it.

    Args:
        transaction: Still good: the refusal was taken back to a savepoint.
        refusal: What the server said.
        subject: Whose plan it would have been.
        text: What was to be planned.
    """
    said, code = refusal.said, refusal.code
    if code == "42501":
        return await _denied(transaction, refusal, subject, text)
    if code == "42P01":
        return await _missing(transaction, refusal, subject)
    if code == "42601" and sqltext.first_word(text) == "MERGE":
        return RequestError(f"no plan: {said}", "MERGE can be prepared from PostgreSQL 15 on")
    what, fix = _WORDS.get(code) or _WORDS.get(code[:2]) or ("no plan", refusal.fix)
    return RequestError(f"{what}: {said or refusal.message}", fix)


async def _denied(transaction: Transaction, refusal: RefusedError, subject: Subject, text: str) -> RequestError:
    """42501: a right on a table, a schema, or a function, by the words the server has for them."""
    user, what = transaction.server.user, f"not allowed: {refusal.said}"
    found = _LAST.search(refusal.said)
    name = found[1] if found else ""
    for kind, right in (("schema", "USAGE"), ("function", "EXECUTE")):
        if f" {kind} " in refusal.said:
            return RequestError(what, _grant(f"{right} ON {kind.upper()} {_spelt(name)}", user))
    oid = (await transaction.attempt(_FOUND, name, path=subject.path))[0][0]
    rows = await transaction.fetch(_TABLE, oid) if oid else []
    table = rows[0][0] if rows else _spelt(name)
    verb = sqltext.first_word(text)
    if verb in _RIGHTS:
        fix = _grant(f"{_RIGHTS[verb]} ON {table}", user)
        return RequestError(what, fix and f"planning it takes its right to write: {fix}")
    every = f", or {_grant('pg_read_all_data', user)}" if transaction.server.version >= 140000 else ""
    return RequestError(what, _grant(f"SELECT ON {table}", user) + every)


def _spelt(name: str) -> str:
    """A name from the server's words: those quote nothing, and a fix is made to be pasted into a session."""
    return name if _SIMPLE.fullmatch(name) else quoted(name)


def _grant(right: str, user: str) -> str:
    """The statement that gives a right; empty where a name in it cannot be written in one safe line."""
    text = f"GRANT {right} TO {quoted(user)}"
    return text if safe(text) == text else ""


async def _missing(transaction: Transaction, refusal: RefusedError, subject: Subject) -> RequestError:
    """42P01: dropped, temporary, or in a schema that may not be looked into."""
    name = _QUOTED.search(refusal.said)
    rows = await transaction.fetch(_SCHEMAS, name[1]) if name else []
    shut = [row for row in rows if not row["usable"]]
    if shut:
        fix = _grant(f"USAGE ON SCHEMA {shut[0]['quoted']}", transaction.server.user)
        return RequestError(f"not allowed: {refusal.said}: it is in schema {safe(shut[0]['nspname'], 100)}", fix)
    fix = f"it was dropped, or was temporary; looked for in: {safe(subject.path, 200)}"
    return RequestError(f"no plan: {refusal.said}", fix)
