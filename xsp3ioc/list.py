"""`xsp3ioc list`: the PVs of a running server, told by itself through its monitor socket."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from xsp3ioc.records import Line
from xsp3ioc.server_command import ask, make_parser

FORMATS = ("dbl", "table", "tsv")
PATIENCE = 15.0
"""Seconds: 16 channels have 40,000 records."""


class Lines(msgspec.Struct, tag="records", tag_field="htype"):
    """A server's answer to `records`."""

    lines: list[Line]


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc list`; return the exit code: 1 if nobody answers, or no PV is meant."""
    parser = make_parser("list", "List the PVs of a running server.")
    parser.add_argument(
        "pattern", nargs="?", default="*", help="part of the names, or a pattern with * and ? for the whole name"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="names, a table (default), or all columns with tabs"
    )
    options = parser.parse_args(arguments)
    lines = ask(parser, options, "records", Lines, PATIENCE).lines
    meant = [line for line in lines if _matches(line.name, options.pattern)]
    write_lines(meant, options.format)
    if not meant:
        partly = any(_matches(line.name, f"*{options.pattern}") for line in lines)
        hint = f"; some are like '*{options.pattern}'" if partly else ""
        sys.stderr.write(f"xsp3ioc list: none of {len(lines)} PVs is like {options.pattern}{hint}\n")
    return 0 if meant else 1


def _matches(name: str, pattern: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern in name
    # Only * and ? are special: prefixes may have brackets.
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def write_lines(lines: Iterable[Line], form: str) -> None:
    """Print PVs: their names (dbl), what they are (table), or all that is known, with a heading (tsv)."""
    write = sys.stdout.write
    if form == "tsv":
        write("\t".join(Line.__dataclass_fields__) + "\n")
    for line in lines:
        if form == "dbl":
            write(f"{line.name}\n")
        elif form == "table":
            write(f"{line.name:42} {line.record_type:10} {line.access:2}  {line.doc}\n")
        else:
            choices = "|".join(line.choices)
            cells = (line.name, line.record_type, line.native, line.count, line.access, line.unit, choices, line.doc)
            write("\t".join(str(cell).replace("\t", " ") for cell in cells) + "\n")
    sys.stdout.flush()
