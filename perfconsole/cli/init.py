"""``perfconsole init``: a configuration in which every key is explained."""

import os
from argparse import Namespace
from pathlib import Path

from perfconsole.config import places, write
from perfconsole.core.errors import ConfigError


def run(args: Namespace) -> int:
    """Print it, or with ``--write`` create the file."""
    if args.force and not args.write:
        raise ConfigError("--force: nothing is written without --write", "perfconsole init --write --force")
    if not args.write:
        print(write.example(), end="")
        return 0
    path = Path(args.config) if args.config else places.config_dir(os.environ) / "config.toml"
    write.write_new(path, write.example(), force=args.force)
    print(f"{path} written; `perfconsole config check` after editing")
    return 0
