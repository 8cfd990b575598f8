"""`xsp3ioc salvage`: make a file that a crash left behind a good one, and say what it holds."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from xsp3ioc import __version__
from xsp3ioc.file_command import write_json
from xsp3ioc.receivers.paths import describe
from xsp3ioc.receivers.remaster import MasterFinding, examine_parts, salvage_parts, shows_parts
from xsp3ioc.receivers.salvage import BusyError, Finding, examine, salvage
from xsp3ioc.receivers.survey import NothingLeftError, NotOursError
from xsp3ioc.salvage_parts import report_parts, show_parts

FINE, NOTHING, REFUSED = 0, 1, 2
"""Exit codes: well or salvaged; nothing to save; not ours, still being written, or not to be read or written."""

INTERRUPTED = 130
"""The exit code of what Ctrl-C has ended."""


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc salvage`; return the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty(), stderr=options.json)
    target = options.file if options.in_place else options.output or default_target(options.file)
    try:
        with _Shown(console) as shown:
            finding: Finding | MasterFinding
            author = f"xsp3ioc salvage {__version__}"
            if shows_parts(options.file):
                finding = examine_parts(options.file, shown.tell)
                if not finding.well and not options.dry_run:
                    salvage_parts(finding, target, None if options.in_place else default_target, author, shown.tell)
            else:
                finding = examine(options.file, shown.tell)
                if not finding.well and not options.dry_run:
                    salvage(finding, target, author, shown.tell)
    except KeyboardInterrupt:
        sys.stderr.write("xsp3ioc salvage: interrupted; no copy is left behind\n")
        return INTERRUPTED
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
        show_parts(finding, written, console)
    else:
        _show(finding, written, console)
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
    sys.stderr.write(f"xsp3ioc salvage: {text}\n")
    return code


class _Shown:
    """The progress of long work, on a terminal."""

    def __init__(self, console: Console) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %")
        self._progress = Progress(
            *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Shown:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, what: str, done: int, of: int) -> None:
        """Show how much of what is done."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=of)
        self._progress.update(self._tasks[what], completed=done, total=of)


def _show(finding: Finding, written: Path | None, console: Console) -> None:
    found = finding.survey
    if finding.well:
        console.print(f"{finding.path} is well: {found.frames} frames, closed {found.end_time}", markup=False)
    else:
        what = "Salvaged" if written else "Not salvaged, only looked at:"
        console.print(f"{what} {finding.path}", markup=False)
        for line in finding.done:
            console.print(f"  * {line if written else 'to do: ' + line}", markup=False)
    table = Table(title=f"{found.frames} frames")
    for name in ("series", "frames", "missing of these", "last frame", "asked for"):
        table.add_column(name, justify="right")
    for one in found.series:
        asked = str(found.asked) if found.asked else "not known"
        table.add_row(str(one.index), str(one.frames), str(one.missing), str(one.last), asked)
    console.print(table)
    if found.extent > found.frames:
        by = f" (least are in {found.limited_by})" if found.limited_by else ""
        console.print(f"{found.extent - found.frames} frames had a place and are not there{by}", markup=False)
    if written:
        console.print(f"File     {written}", markup=False, soft_wrap=True)
