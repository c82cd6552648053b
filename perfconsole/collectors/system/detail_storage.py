"""Sections about storage on demand: deleted files that still take up space, and who writes now."""

import os
from collections import Counter
from collections.abc import Sequence
from math import isnan
from typing import Final

from perfconsole.collectors.system.detail_descriptors import name_of, processes, right
from perfconsole.collectors.system.detail_files import UNKNOWN, Held, Writer
from perfconsole.core import units
from perfconsole.core.requests import Fact, FactSection

_MOST_DELETED, _MOST_WRITERS, _MOST_FILES = 20, 10, 2

_HOW: Final = "over the last second, by the ends of files that move, and by /proc/PID/io for what is written in place"
_FREED: Final = "the space is free once it is closed: restart the process, or have it open its log again"


def deleted(proc: str, held: Sequence[Held], note: str) -> FactSection:
    """Deleted files that are open, largest first, with what all of them come to on each filesystem."""
    sums = Counter[str]()
    for each in held:
        sums[each.mount] += max(each.size, 0)
    notes = [f"{mount} {units.size(size)}" for mount, size in sums.most_common(5) if size]
    together = f"together: {', '.join(notes)}" if notes else ""
    more = f"{len(held) - _MOST_DELETED} smaller ones are not shown" if len(held) > _MOST_DELETED else ""
    facts = [
        Fact(
            units.size(each.size) if each.size >= 0 else "not asked",
            f"{name_of(proc, each.pid)}{f' and {each.holders - 1} more' if each.holders > 1 else ''}  {each.name}  on {each.mount}",
            note=_FREED,
        )
        for each in held[:_MOST_DELETED]
    ]
    return FactSection("Deleted, still open", facts, "; ".join(filter(None, (together, more, note))))


def writers(proc: str, found: Sequence[Writer], denied: int, note: str) -> FactSection:
    """Who writes, by filesystem: the one that is written most first."""
    sums = Counter[str]()
    for writer in found:
        sums[writer.mount] += round(writer.rate)
    order = {mount: place for place, (mount, _) in enumerate(sums.most_common())}
    shown = sorted(sorted(found, key=lambda writer: -writer.rate)[:_MOST_WRITERS], key=lambda writer: (order[writer.mount], -writer.rate))
    unseen = f"what {processes(denied)} of others write cannot be seen: {right()}" if denied else ""
    return FactSection("Writers now", [_writer(proc, writer) for writer in shown], "; ".join(filter(None, (_HOW, unseen, note))))


def _writer(proc: str, writer: Writer) -> Fact:
    who = f"{name_of(proc, writer.pid)}{', this console' if writer.pid == os.getpid() else ''}"
    files = [name if isnan(rate) else f"{name} {units.rate(rate)}" for name, rate in writer.files[:_MOST_FILES]]
    if len(writer.files) > _MOST_FILES:
        files.append(f"{len(writer.files) - _MOST_FILES} more files")
    where = ", ".join(files) if files else "to storage, which file is not known"
    name = "not known where" if writer.mount == UNKNOWN else writer.mount
    return Fact(name, f"{units.rate(writer.rate)}  {who}  {where}")
