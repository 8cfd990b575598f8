"""`xsp3ioc check`: whether files are complete and right; the exit code says it."""

from __future__ import annotations

import argparse
import os
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xsp3ioc.file_command import (
    EXIT_OK,
    EXIT_UNREADABLE,
    EXIT_WRONG,
    complain,
    console,
    counted,
    progress,
    run,
    write_json,
)
from xsp3ioc.hardware_report import plain

STYLES = {"ok": "green", "not checked": "dim", "warning": "yellow", "error": "bold red"}


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc check`; return the exit code: 0 complete, 1 something is missing or wrong, 2 not readable."""
    parser = argparse.ArgumentParser(
        prog="xsp3ioc check",
        description="Read files with spectra from end to end, and say whether they are complete and right. Exit code: "
        "0 all are complete; 1 something is missing or wrong in one; 2 one cannot be read, or is of another layout.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="of xsp3ioc, xspress3-streamer or areaDetector")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    parser.add_argument("-q", "--quiet", action="store_true", help="one line for each file")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for warnings, too")
    return run("check", _check, parser.parse_args(arguments))


def _check(options: argparse.Namespace) -> int:
    from xsp3ioc.receivers.check import check
    from xsp3ioc.receivers.opening import UnreadableError

    code, found, out = EXIT_OK, [], console()
    for number, path in enumerate(options.files):
        try:
            with progress(os.path.basename(path)) as tell:
                verdict = check(path, tell).as_dict()
        except UnreadableError as error:
            code = EXIT_UNREADABLE
            found.append({"path": path, "error": str(error)})
            complain("check", error)
            continue
        found.append(verdict)
        if not verdict["complete"] or (options.strict and verdict["warnings"]):
            code = max(code, EXIT_WRONG)
        if not options.json:
            if number and not options.quiet:
                out.print()
            _show(verdict, out, options.quiet)
    if options.json:
        write_json("check", code, {"files": found})
    return code


def _show(verdict: dict[str, Any], out: Console, quiet: bool) -> None:
    out.print(_headline(verdict))
    if quiet:
        return
    simulated = ", simulated data: no detector was there" if verdict["simulated"] else ""
    size = f"{verdict['bytes'] / 1e6:,.1f} MB"
    sizes = [counted(verdict[f"{name}s"], name) for name in ("frame", "channel")] + [f"{verdict['bins']} bins"]
    out.print(Text(f"layout of {verdict['layout']}, {' x '.join(sizes)}, {size}{simulated}", style="dim"))
    out.print()
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in verdict["checks"]:
        result = check["result"]
        table.add_row(Text(result, STYLES[result]), Text(check["name"]), Text(plain(check["done"]), "dim"))
        for finding in check["findings"]:
            table.add_row("", "", _finding(finding))
    out.print(table)


def _headline(verdict: dict[str, Any]) -> Text:
    """Return the one line that matters."""
    counts, warnings = verdict["counts"], verdict["warnings"]
    lost = counts["overrun"] + counts["missing"]
    line = Text(plain(verdict["path"]), style="bold")
    line.append(": ", style="not bold")
    simulated = "SIMULATED " if verdict["simulated"] else ""
    parts = next((check for check in verdict["checks"] if check["name"] == "parts"), None)
    if verdict["complete"] and verdict["cut"]:
        texts = [finding["text"] for check in verdict["checks"] for finding in check["findings"] if finding["cut"]]
        line.append(f"PART OF A SERIES, {counted(counts['valid'], f'valid {simulated}frame')}", style="bold yellow")
        line.append(f"; {plain(texts[0])}", style="yellow")
    elif verdict["complete"]:
        line.append(f"complete, {counted(counts['valid'], simulated + 'frame')}", style="green")
    else:
        word = "INCOMPLETE" if verdict["incomplete"] else "WRONG"
        line.append(f"{word}, {counted(counts['valid'], f'valid {simulated}frame')}", style="bold red")
        if lost:
            line.append(f", {lost:,} lost", style="bold red")
        line.append(f"; {counted(verdict['errors'], 'error')}", style="bold red")
    if parts is not None:
        for finding in parts["findings"]:
            line.append(f"; {plain(finding['text'].partition(':')[0])}", style="bold red")
        line.append(f"; {plain(parts['done'].partition(',')[0].partition(':')[0])}", style="not bold")
    if warnings:
        line.append(f"; {counted(warnings, 'warning')}", style="yellow")
    return line


def _finding(finding: dict[str, Any]) -> Text:
    line = Text(plain(finding["text"]), style=STYLES[finding["severity"]])
    if finding["where"]:
        line.append(f": {finding['where']}", style="not bold")
    if finding["example"]:
        line.append(f" ({plain(finding['example'])})", style="not bold dim")
    return line
