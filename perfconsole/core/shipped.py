"""The rules that ship: thresholds that colour, in force unless a configuration says otherwise."""

from typing import Final

from perfconsole.core.tick import Rule

_MOUNTED: Final = (("mountpoint", "*"),)
_ENDPOINT: Final = (("endpoint", "*"), ("service", "*"))
_DAY_S: Final = 86400.0

SHIPPED: Final = (
    Rule("cpu-warning", "warning", "system.cpu.utilization", 0.70),
    Rule("cpu-critical", "critical", "system.cpu.utilization", 0.90),
    Rule("memory-warning", "warning", "system.memory.utilization", 0.80),
    Rule("memory-critical", "critical", "system.memory.utilization", 0.90),
    Rule("disk-warning", "warning", "system.filesystem.utilization", 0.85, match=_MOUNTED),
    Rule("disk-critical", "critical", "system.filesystem.utilization", 0.95, match=_MOUNTED),
    Rule("endpoint-down", "critical", "httpcheck.up", 0.5, above=False, match=_ENDPOINT),
    Rule("response-warning", "warning", "httpcheck.duration", 0.5, match=_ENDPOINT),
    Rule("response-critical", "critical", "httpcheck.duration", 1.0, match=_ENDPOINT),
    Rule("certificate-warning", "warning", "httpcheck.tls.expiry", 14 * _DAY_S, above=False, match=_ENDPOINT),
    Rule("certificate-critical", "critical", "httpcheck.tls.expiry", 3 * _DAY_S, above=False, match=_ENDPOINT),
)
