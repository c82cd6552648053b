"""Who may get in, and what runs that should not: listeners, accounts, keys, executables. Observations, no intrusion detection.

It compares what is there with what was there, and tells what is new; what was there at the first look is not judged, but for the oddest.
Whoever is root can hide from it. Nothing here acts, and no key, password or hash leaves the files it stands in.
"""

from perfconsole.collectors.access.collector import AccessCollector

__all__ = ["AccessCollector"]
