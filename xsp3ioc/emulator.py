"""`xsp3ioc emulator build`: the emulator as a libxspress3.so, for programs that use the vendor's library."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc emulator`; return the exit code: 2 if the library cannot be built here."""
    parser = argparse.ArgumentParser(prog="xsp3ioc emulator", description="The emulator outside of the server.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser(
        "build",
        help="make a libxspress3.so of it",
        description="Make a libxspress3.so of the emulator, with the header and the companion library that programs "
        "of the vendor's library expect. gcc and the headers of Python are needed for that.",
    )
    build.add_argument("--output", metavar="DIR", type=Path, required=True, help="directory to write them to")
    return _build(parser.parse_args(arguments).output)


def _build(directory: Path) -> int:
    from xsp3ioc.sdk.emulator.build import BuildError, build
    from xsp3ioc.sdk.emulator.settings_file import VARIABLE

    try:
        made = build(directory)
    except BuildError as error:
        sys.stderr.write(f"xsp3ioc emulator: {error}\n")
        return 2
    for path in made:
        sys.stdout.write(f"{path}\n")
    sys.stdout.write(f"{VARIABLE}=FILE.toml in a program's environment says what it emulates (docs/emulator.md)\n")
    return 0
