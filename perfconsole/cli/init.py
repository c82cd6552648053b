"""``perfconsole init``: a configuration in which every key is explained, or the SQL of a role to look at PostgreSQL with."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Final

from perfconsole.config import places, write
from perfconsole.core.errors import ConfigError

_ROLE: Final = """\
-- A role that sees everything perfconsole shows of a PostgreSQL server, and can change nothing. Run this as a superuser.
CREATE ROLE perfconsole LOGIN CONNECTION LIMIT 5;
GRANT pg_monitor TO perfconsole;
ALTER ROLE perfconsole SET default_transaction_read_only = on;
-- Its password, typed twice and never shown:        \\password perfconsole   (in psql; then keep it in ~/.pgpass)
-- To cancel and terminate sessions of other roles:  GRANT pg_signal_backend TO perfconsole;
-- To plan statements that read tables (14 and on):  GRANT pg_read_all_data TO perfconsole;
-- For statements, once per server, in one database: CREATE EXTENSION pg_stat_statements;
--   which must be preloaded, and that takes a restart: shared_preload_libraries = 'pg_stat_statements'
"""


def run(args: Namespace) -> int:
    """Print it, or with ``--write`` create the file; with ``--postgres`` print the SQL, and execute nothing."""
    if args.postgres:
        if args.write:
            raise ConfigError("--postgres: SQL is printed, not written", "perfconsole init --postgres > role.sql")
        print(_ROLE, end="")
        return 0
    if args.force and not args.write:
        raise ConfigError("--force: nothing is written without --write", "perfconsole init --write --force")
    if not args.write:
        print(write.example(), end="")
        return 0
    path = Path(args.config) if args.config else places.config_dir(os.environ) / "config.toml"
    write.write_new(path, write.example(), force=args.force)
    print(f"{path} written; `perfconsole config check` after editing")
    return 0
