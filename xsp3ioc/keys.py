"""`xsp3ioc keys`: make a pair of keys for a server or a client of it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `xsp3ioc keys`; return the exit code: 1 if they could not be made."""
    parser = argparse.ArgumentParser(
        prog="xsp3ioc keys",
        description="Make a pair of CURVE keys: NAME.key is public, for whom it shall know; NAME.key_secret stays.",
    )
    parser.add_argument("name", help="whose keys: server, or a client's name in the server's log")
    parser.add_argument("--directory", type=Path, default=Path(), metavar="DIR", help="where (default: here)")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[\w-]+", options.name):
        parser.error(f"name {options.name!r}: letters, digits, _ and -")
    from xsp3ioc.receivers.keys import make_keys

    try:
        public, secret = make_keys(options.directory, options.name)
    except OSError as error:
        sys.stderr.write(f"xsp3ioc keys: {error}\n")
        return 1
    print(f"public  {public}\nsecret  {secret}")
    return 0
