"""Copies of a server: its standbys and how far each is behind, slots and what they retain, replay here, and the archive of the log."""

from typing import Final

from perfconsole.collectors.postgres.detail.facts import Inquiry, Page, Row, ago, joined, literal
from perfconsole.core.requests import FactSection
from perfconsole.core.text import safe
from perfconsole.core.units import UNKNOWN, duration, latency, size

TITLE: Final = "Replication"
_LAG_S: Final = 30.0
_MUCH_BYTES: Final = 10 * 1024.0**3
_HERE: Final = (
    "CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END"
)

# By time the lag of an idle primary's standby would grow for ever: when all that was received is replayed it is 0, whatever the clock says.
_REPLAY: Final = """
SELECT pg_is_wal_replay_paused() AS paused, pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::float8 AS behind_bytes,
       CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END AS behind
"""
_RECEIVER: Final = (
    "SELECT status, slot_name, extract(epoch FROM clock_timestamp() - last_msg_receipt_time)::float8 AS heard FROM pg_stat_wal_receiver"
)
_STANDBYS: Final = f"""
SELECT application_name AS name, host(client_addr) AS address, state, sync_state,
       extract(epoch FROM write_lag)::float8 AS write, extract(epoch FROM flush_lag)::float8 AS flush,
       extract(epoch FROM replay_lag)::float8 AS replay,
       pg_wal_lsn_diff({_HERE}, sent_lsn)::float8 AS unsent, pg_wal_lsn_diff({_HERE}, replay_lsn)::float8 AS unreplayed
FROM pg_stat_replication ORDER BY unreplayed DESC NULLS LAST LIMIT 20
"""  # noqa: S608  what is put in are constants of this file
_SLOTS: Final = f"""
SELECT slot_name::text AS name, slot_type, active, wal_status, pg_wal_lsn_diff({_HERE}, restart_lsn)::float8 AS retained,
       safe_wal_size::float8 AS left, %s
FROM pg_replication_slots ORDER BY retained DESC NULLS LAST LIMIT 20
"""  # noqa: S608  likewise
_SINCE_17: Final = "extract(epoch FROM clock_timestamp() - inactive_since)::float8 AS since, invalidation_reason AS reason"
_SINCE: Final = "NULL::float8 AS since, NULL::text AS reason"
_ARCHIVE: Final = """
SELECT current_setting('archive_mode') AS mode, archived_count::float8 AS archived, last_archived_wal, failed_count::float8 AS failed,
       last_failed_wal,
       extract(epoch FROM clock_timestamp() - last_archived_time)::float8 AS archived_since,
       extract(epoch FROM clock_timestamp() - last_failed_time)::float8 AS failed_since
FROM pg_stat_archiver
"""


async def read(inquiry: Inquiry) -> FactSection:
    """Where this server stands in it, then its standbys, slots and archive."""
    page = Page(inquiry, TITLE)
    if page.server.standby:
        await _put_replay(page)
    else:
        page.put("role", "primary")
    for row in await page.ask("standbys", _STANDBYS):
        _put_standby(page, row)
    for row in await page.ask("slots", _SLOTS % (_SINCE_17 if page.server.version >= 170000 else _SINCE)):
        _put_slot(page, row)
    for row in await page.ask("archive", _ARCHIVE):
        _put_archive(page, row)
    return page.section()


async def _put_replay(page: Page) -> None:
    for row in await page.ask("replay", _REPLAY):
        if row["paused"]:
            page.put("role", "standby, replay is paused", "SELECT pg_wal_replay_resume()", "critical")
        late = (row["behind"] or 0.0) > _LAG_S
        behind = joined(
            f"{duration(row['behind'])} behind" if row["behind"] is not None else "nothing replayed yet",
            _bytes(row["behind_bytes"], "to replay"),
        )
        page.put(
            "replay" if row["paused"] else "role", f"standby  {behind}" if not row["paused"] else behind, severity="warning" if late else ""
        )
    rows = await page.ask("receiver", _RECEIVER)
    for row in rows:
        if row["status"] is None:
            page.denied("receiver", "cannot be seen")
        else:
            page.put(
                "receiver",
                joined(row["status"], f"slot {safe(row['slot_name'])}" if row["slot_name"] else "", f"heard from {ago(row['heard'])}"),
            )
    if not rows:
        page.put("receiver", "none: no connection to the primary, or the log comes from an archive", severity="warning")


def _put_standby(page: Page, row: Row) -> None:
    name = f"standby {safe(row['name'] or '', 64)}"
    if row["state"] is None:
        page.denied(name, "its lag cannot be seen")
        return
    lag = row["replay"] or 0.0
    severity = "warning" if lag > _LAG_S or row["state"] != "streaming" else ""
    # Where there is no lag the server says nothing once all is caught up.
    kinds = "  ".join(f"{kind} {latency(row[kind]) if row[kind] is not None else UNKNOWN}" for kind in ("write", "flush", "replay"))
    sizes = joined(_bytes(row["unsent"], "to send"), _bytes(row["unreplayed"], "to replay"))
    page.put(name, joined(row["state"], row["sync_state"] or "", row["address"] or "local", kinds, sizes), severity=severity)


def _put_slot(page: Page, row: Row) -> None:
    name, retained, status = safe(row["name"]), row["retained"] or 0.0, row["wal_status"]
    lost = status in {"unreserved", "lost"} or row["reason"] is not None
    severity = "critical" if lost else "warning" if retained > _MUCH_BYTES or not row["active"] else ""
    state = "active" if row["active"] else f"inactive for {duration(row['since'])}" if row["since"] is not None else "inactive"
    left = f"{size(row['left'])} until it is lost" if row["left"] is not None and row["left"] > 0 else ""
    fix = f"SELECT pg_drop_replication_slot({literal(name)})" if not row["active"] else ""
    text = joined(row["slot_type"], state, f"retains {size(retained)}", f"log {status}" if status else "", left, safe(row["reason"] or ""))
    note = "only when its consumer is gone for good: without its slot it would have to be built anew" if fix else ""
    page.put(f"slot {name}", text, fix, severity, note)


def _put_archive(page: Page, row: Row) -> None:
    if row["mode"] == "off":
        page.put("archive", "off: there is no archive of the log to restore a moment from")
        return
    failing = row["failed_since"] is not None and (row["archived_since"] is None or row["failed_since"] < row["archived_since"])
    if failing:
        wal = safe(row["last_failed_wal"] or "")
        text = f"failing: {wal} {ago(row['failed_since'])}, {row['failed']:.0f} times; the log stays until it works"
        page.put("archive", text, "the server's log says what archive_command answered", "critical")
    else:
        page.put(
            "archive",
            joined(f"last {safe(row['last_archived_wal'] or UNKNOWN)} {ago(row['archived_since'])}", f"{row['archived']:.0f} archived"),
        )
        if row["failed"]:
            page.put("archive failures", f"{row['failed']:.0f}, the last {safe(row['last_failed_wal'] or '')} {ago(row['failed_since'])}")


def _bytes(value: float | None, what: str) -> str:
    return f"{size(max(0.0, value))} {what}" if value is not None else ""
