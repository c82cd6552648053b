"""What a request about a statement begins with: its whole text, whose it is, in which database, and where its names are looked up."""

from collections import OrderedDict
from typing import Any, Final, NamedTuple

from perfconsole.collectors.postgres.aside import Asides, RefusedError
from perfconsole.collectors.postgres.connection import MARKER, Server, raw
from perfconsole.collectors.postgres.faults import ServerError
from perfconsole.collectors.postgres.statements.source import find
from perfconsole.collectors.postgres.statements.texts import theirs, without_password
from perfconsole.core.errors import RequestError
from perfconsole.core.requests import StatementArgs
from perfconsole.core.text import safe

LONGEST: Final = 1 << 20
"""Characters of a text that are read; a longer one is shown cut, and not planned."""

_HELD: Final = 8
_READ_S: Final = 4.0
HIDDEN: Final = "<insufficient privilege>"
_PATH: Final = '"$user", public'

_TEXT: Final = """
SELECT {marker} {text} AS text, s.query IS NULL AS lost, u.rolname::text AS username, d.datname::text AS database,
       d.datname = current_database() AS here,
       (SELECT substr(c, 13) FROM pg_db_role_setting r, unnest(r.setconfig) AS c
        WHERE c LIKE 'search\\_path=%' AND r.setrole IN (0, s.userid) AND r.setdatabase IN (0, s.dbid)
        ORDER BY r.setrole <> 0 DESC, r.setdatabase <> 0 DESC LIMIT 1) AS path
FROM {schema}.pg_stat_statements(true) s LEFT JOIN pg_roles u ON u.oid = s.userid LEFT JOIN pg_database d ON d.oid = s.dbid
WHERE s.queryid = $1 AND s.userid = $2 AND s.dbid = $3 ORDER BY strpos(s.query, '{marker}') LIMIT 1
"""
"""Where nested statements are tracked, one that was planned from here is there a second time, with the text of our PREPARE: last."""

_HIDDEN: Final = "SELECT EXISTS (SELECT FROM {schema}.pg_stat_statements(false) WHERE queryid IS NULL)"


class Subject(NamedTuple):
    """A statement.

    Attributes:
        text: As pg_stat_statements normalised it: `LONGEST` characters and one more of a longer one.
        user: Who ran it; empty for a role that was dropped.
        database: Where to connect to plan it; empty for the connected one.
        path: The search_path that its user begins with there; PostgreSQL's own default where none is set for user or database.
    """

    text: str
    user: str
    database: str
    path: str


class Subjects:
    """Statements looked up, the last ones kept: a text is dear, and does not change.

    Args:
        asides: Connections to ask through.
    """

    def __init__(self, asides: Asides) -> None:
        self.asides = asides
        self._held: OrderedDict[tuple[int, int, int], Subject] = OrderedDict()

    async def get(self, args: StatementArgs) -> Subject:
        """The statement of a request.

        Raises:
            RequestError: When it is not there any more, or its text may not be read.
            ServerError: When the server cannot be asked.
        """
        key = args.userid, args.dbid, args.queryid
        held = self._held.get(key)
        if held is None:
            async with self.asides.use() as server:
                held = self._held[key] = await _read(server, args)
        self._held.move_to_end(key)
        if len(self._held) > _HELD:
            self._held.popitem(last=False)
        return held


async def _read(server: Any, args: StatementArgs) -> Subject:
    await server.ready()
    extension = await find(server)
    if isinstance(extension, str):
        raise RequestError(extension)
    sql = _TEXT.format(marker=MARKER, text=raw(f"left(s.query, {LONGEST + 1})"), schema=extension.schema)
    async with server.transaction(_READ_S) as transaction:
        await transaction.say("SET LOCAL work_mem = '32MB'")  # its tuplestore would go to a temporary file with the usual 4 MB
        rows = await transaction.fetch(sql, args.queryid, args.userid, args.dbid)
        hidden = not rows and (await transaction.fetch(_HIDDEN.format(schema=extension.schema)))[0][0]
    if hidden:
        raise RequestError("the statements of other roles may not be read", f'GRANT pg_read_all_stats TO "{server.user}"')
    if not rows:
        raise RequestError("the statement is not in pg_stat_statements any more", "evicted or reset; it comes back when it runs again")
    return _subject(rows[0], server)


def _subject(row: Any, server: Server) -> Subject:
    if row["lost"]:
        raise RequestError("the server lost its text", "its file of texts could not be read: SELECT pg_stat_statements_reset()")
    text = theirs(bytes(row["text"]).decode("utf-8", "replace"))
    if text == HIDDEN:
        raise RequestError("its text is another role's, and may not be read", f'GRANT pg_read_all_stats TO "{server.user}"')
    if row["database"] is None:
        raise RequestError("its database has been dropped", "")
    user = row["username"] or ""
    path = row["path"] or _PATH
    quoted = '"' + user.replace('"', '""') + '"'
    path = path.replace('"$user"', quoted if user else "pg_catalog").replace("$user", quoted if user else "pg_catalog")
    return Subject(text, user, "" if row["here"] else row["database"], path)


def refused(error: ServerError) -> RequestError:
    """A server that cannot be asked, as a request tells it."""
    if isinstance(error, RefusedError) and error.code == "57014":
        return RequestError("the server gave up after 2 s", "it is busy, or the texts of its statements are too many")
    return RequestError(error.message, error.fix)


def shown(text: str) -> str:
    """The whole text, safe, line by line: a comment that ends with its line must not swallow the next."""
    lines = "\n".join(safe(line, LONGEST) for line in without_password(text[:LONGEST]).splitlines())
    return lines + "…" if len(text) > LONGEST else lines
