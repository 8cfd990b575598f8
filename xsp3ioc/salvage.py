"""`xsp3ioc salvage`: make a file that a crash left behind a good one, and say what it holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from xsp3ioc import __version__
from xsp3ioc.file_command import complain, console, progress, run, write_json
from xsp3ioc.hardware_report import plain
from xsp3ioc.receivers.paths import describe
from xsp3ioc.receivers.remaster import MasterFinding, examine_parts, salvage_parts, shows_parts
from xsp3ioc.receivers.salvage import BusyError, Finding, examine, salvage
from xsp3ioc.receivers.survey import NothingLeftError, NotOursError
from xsp3ioc.salvage_parts import report_parts, show_parts

FINE, NOTHING, REFUSED = 0, 1, 2
"""Exit codes: well or salvaged; nothing to save; not ours, still being written, or not to be read or written."""


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc salvage`; return the exit code."""
    return run("salvage", _salvage, _parser().parse_args(arguments), "; no copy is left behind")


def _salvage(options: argparse.Namespace) -> int:
    # A file without a name is a directory: examined, it is refused.
    unnamed = not options.file.name
    target = options.file if options.in_place or unnamed else options.output or default_target(options.file)
    try:
        with progress() as shown:

            def tell(what: str, done: int, of: int) -> None:
                shown(done, of, what)

            finding: Finding | MasterFinding
            author = f"xsp3ioc salvage {__version__}"
            if shows_parts(options.file):
                finding = examine_parts(options.file, tell)
                if not finding.well and not options.dry_run:
                    salvage_parts(finding, target, None if options.in_place else default_target, author, tell)
            else:
                finding = examine(options.file, tell)
                if not finding.well and not options.dry_run:
                    salvage(finding, target, author, tell)
    except NothingLeftError as error:
        return _refuse(options, NOTHING, f"{options.file}: nothing to save: {error}")
    except (BusyError, NotOursError) as error:
        return _refuse(options, REFUSED, f"{options.file} {error}")
    except OSError as error:
        return _refuse(options, REFUSED, describe(error, str(options.file)))
    written = None if finding.well or options.dry_run else target
    if options.json:
        told = report_parts(finding, written) if isinstance(finding, MasterFinding) else report(finding, written)
        write_json("salvage", FINE, told)
    elif isinstance(finding, MasterFinding):
        show_parts(finding, written, console())
    else:
        _show(finding, written, console())
    return FINE


def default_target(path: Path) -> Path:
    """Return where the salvaged copy of a file goes: `NAME_salvaged.h5` beside it."""
    return path.with_name(f"{path.stem}_salvaged{path.suffix or '.h5'}")


def report(finding: Finding, written: Path | None) -> dict[str, Any]:
    """Return what `--json` prints; `written` is the file that was made or changed, if one was."""
    found = finding.survey
    return {
        "file": str(finding.path),
        "well": finding.well,
        "written": None if written is None else str(written),
        "frames": found.frames,
        "dropped": found.extent - found.frames,
        "limited_by": found.limited_by,
        "series": [
            {"index": one.index, "frames": one.frames, "missing": one.missing, "last_frame": one.last}
            for one in found.series
        ],
        "frames_per_series_asked": found.asked,
        "damaged": {name: [list(span) for span in spans] for name, spans in found.damaged.items()},
        "lost_datasets": found.lost,
        "marked_as_open": bool(finding.marks),
        "bytes_cut_off": finding.cut,
        "done": finding.done,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xsp3ioc salvage",
        description="Make a file that a crash left behind a good one: a copy of it beside it, unless told otherwise. "
        "Exit code 0: it is well, or salvaged; 1: nothing to save; 2: not a file of xsp3ioc, or still being written.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--in-place", action="store_true", help="change the file itself, not a copy")
    where.add_argument("--output", type=Path, metavar="FILE", help="the copy's name (default FILE_salvaged.h5)")
    where.add_argument("--dry-run", action="store_true", help="only tell what there is and what would be done")
    parser.add_argument("--json", action="store_true", help="tell it in JSON, for programs")
    return parser


def _refuse(options: argparse.Namespace, code: int, text: str) -> int:
    if options.json:
        write_json("salvage", code, {"file": str(options.file), "error": text})
    complain("salvage", text)
    return code


def _show(finding: Finding, written: Path | None, out: Console) -> None:
    found = finding.survey
    if finding.well:
        out.print(f"{plain(str(finding.path))} is well: {found.frames:,} frames, closed {plain(found.end_time)}")
    else:
        what = "Salvaged" if written else "Not salvaged, only looked at:"
        out.print(f"{what} {plain(str(finding.path))}")
        for line in finding.done:
            out.print(f"  * {plain(line if written else 'to be done: ' + line)}")
    table = Table(title=f"{found.frames:,} frames")
    for name in ("series", "frames", "missing of these", "last frame", "asked for"):
        table.add_column(name, justify="right")
    for one in found.series:
        asked = f"{found.asked:,}" if found.asked else "not known"
        table.add_row(str(one.index), f"{one.frames:,}", f"{one.missing:,}", f"{one.last:,}", asked)
    out.print(table)
    if found.extent > found.frames:
        by = f" (least are in {plain(found.limited_by)})" if found.limited_by else ""
        out.print(f"{found.extent - found.frames:,} frames had a place and are not there{by}")
    if written:
        out.print(f"File     {written}", soft_wrap=True)
