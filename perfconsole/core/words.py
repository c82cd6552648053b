"""Numbers and things in words, the same on screens, in text output and in messages."""

from math import isnan
from typing import Final

from perfconsole.core import units
from perfconsole.core.metrics import METRICS
from perfconsole.core.state import Labels
from perfconsole.core.tick import Alert

_NAMES: Final = {
    "system.cpu.utilization": "CPU",
    "system.memory.utilization": "memory",
    "system.paging.utilization": "swap",
    "system.filesystem.utilization": "disk",
    "system.filesystem.inodes.utilization": "inodes",
    "system.load.1m": "load",
    "system.fd.utilization": "open files",
}


def measured(metric: str, value: float) -> str:
    """A value of a metric with its unit, as people read it; of a counter its rate per second."""
    known = METRICS.get(metric)
    if isnan(value) or known is None:
        return units.UNKNOWN if isnan(value) else units.count(value)
    per_second = "/s" if known.kind == "counter" else ""
    if known.unit == "1":
        return units.percent(value)
    if known.unit in {"By", "By/s"}:
        return units.size(value) + (per_second or "/s" * (known.unit == "By/s"))
    if known.unit == "s":
        return units.percent(value) if per_second else units.latency(value)
    if known.unit == "Cel":
        return f"{value:.0f}C"
    return units.count(value) + per_second


def thing(metric: str, labels: Labels) -> str:
    """What a series is about: ``memory``, ``disk /var``, ``load``."""
    name = _NAMES.get(metric, metric.removeprefix("system."))
    values = " ".join(value for _, value in labels)
    return f"{name} {values}" if values else name


def breach(alert: Alert, value: float) -> str:
    """``memory 83% > 80%``: what is where now, and the threshold it crossed; the value at the crossing where it is unknown now."""
    shown = measured(alert.metric, alert.value if isnan(value) else value)
    return f"{thing(alert.metric, alert.labels)} {shown} {'>' if alert.above else '<'} {measured(alert.metric, alert.limit)}"


def lasting(alert: Alert, now: float, began: float) -> str:
    """``for 6m12s``; of what was already so when the engine started, only that it is older than that.

    Args:
        alert: A firing alert.
        now: Epoch seconds.
        began: When the engine started, epoch seconds.
    """
    if now - alert.since < 1:
        return "now"
    before = alert.since - began < 2.5  # its first look, or the second, which is the first that gives rates
    return f"for over {units.duration(now - alert.since)}" if before else f"for {units.duration(now - alert.since)}"
