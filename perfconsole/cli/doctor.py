"""``perfconsole doctor``: what this user cannot see and why, what the terminal can do, and the versions."""

import os
import time
from argparse import Namespace
from itertools import groupby

from perfconsole.cli import checks
from perfconsole.cli.dispatch import put
from perfconsole.core.errors import ConfigError


def run(args: Namespace) -> int:
    """Print every finding; always 0, because what is limited still works."""
    found = [*checks.every(args.config), *_targets(args)]
    if args.json:
        from perfconsole.outputs.snapshot import encode, heading

        document = {
            **heading("perfconsole.doctor/1", time.time(), os.uname().nodename),
            "checks": [finding._asdict() for finding in found],
            "versions": checks.versions(),
        }
        put(encode(document))
        return 0
    for area, findings in groupby(found, key=lambda finding: finding.area):
        print(area)
        for finding in findings:
            print(f"  {_MARKS[finding.state]} {finding.name:<18} {finding.found}")
            if finding.fix:
                print(f"{'':<23} fix: {finding.fix}")
    print("versions")
    for name, version in checks.versions().items():
        print(f"    {name:<18} {version}")
    return 0


def _targets(args: Namespace) -> list[checks.Finding]:
    """What is found of what tells of changes, of endpoints and PostgreSQL servers; a configuration that is wrong was told before."""
    from perfconsole.cli import endpoint_checks, server_checks, source_checks
    from perfconsole.cli.settings import settle

    try:
        config = settle(args).config
    except ConfigError:
        return source_checks.every()
    return [*source_checks.every(security=config.security.enabled), *endpoint_checks.every(config), *server_checks.every(config)]


_MARKS = {"ok": " ", "limited": "!", "error": "X"}
