"""What `xsp3ioc salvage` says of a master and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from xsp3ioc.hardware_report import plain
from xsp3ioc.receivers.remaster import MasterFinding, PartFound


def report_parts(found: MasterFinding, written: Path | None) -> dict[str, Any]:
    """Return what `--json` prints; `written` is the master that was made, if one was."""
    return {
        "file": str(found.path),
        "well": found.well,
        "written": None if written is None else str(written),
        "frames": found.frames,
        "frames_gone": sum(part.shown.frames for part in found.parts if not part.there),
        "parts": [
            {
                "name": part.shown.name,
                "frames": part.shown.frames,
                "there": part.there,
                "done": part.finding.done if part.finding else [],
            }
            for part in found.parts
        ],
        "left_out": found.left_out,
        "done": found.done,
    }


def show_parts(found: MasterFinding, written: Path | None, out: Console) -> None:
    """Tell it on the terminal."""
    if found.well:
        out.print(f"{plain(str(found.path))} is well: a master of {_parts(found)}, closed {plain(found.end_time)}")
    else:
        what = "Salvaged" if written else "Not salvaged, only looked at:"
        out.print(f"{what} {plain(str(found.path))}, a master of {_parts(found)}")
        for line in found.done:
            out.print(f"  * {plain(line if written else 'to do: ' + line)}")
    table = Table(title=f"{found.frames} frames")
    table.add_column("part")
    table.add_column("frames", justify="right")
    table.add_column("")
    for part in found.parts:
        table.add_row(plain(part.shown.name), str(part.shown.frames), plain(_state(part)))
    out.print(table)
    if gone := found.gone:
        out.print(f"MISSING: {plain(', '.join(gone))}. Put them beside the master, if you have them")
    for name, why in found.left_out.items():
        out.print(plain(f"Left out: {name}: {why}"))
    if written:
        out.print(f"File     {written}", soft_wrap=True)


def _parts(found: MasterFinding) -> str:
    count = len(found.parts)
    return f"{count} {'part' if count == 1 else 'parts'}, {found.frames} frames"


def _state(part: PartFound) -> str:
    if not part.there:
        return "not there: missing frames"
    return "; ".join(part.finding.done) if part.finding else "complete"
