"""What `xsp3ioc salvage` says of a master and its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

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


def show_parts(found: MasterFinding, written: Path | None, console: Console) -> None:
    """Tell it on the terminal."""
    if found.well:
        console.print(f"{found.path} is well: a master of {_parts(found)}, closed {found.end_time}", markup=False)
    else:
        what = "Salvaged" if written else "Not salvaged, only looked at:"
        console.print(f"{what} {found.path}, a master of {_parts(found)}", markup=False)
        for line in found.done:
            console.print(f"  * {line if written else 'to do: ' + line}", markup=False)
    table = Table(title=f"{found.frames} frames")
    table.add_column("part")
    table.add_column("frames", justify="right")
    table.add_column("")
    for part in found.parts:
        table.add_row(part.shown.name, str(part.shown.frames), _state(part))
    console.print(table)
    if gone := found.gone:
        console.print(f"MISSING: {', '.join(gone)}. Put them beside the master, if you have them", markup=False)
    for name, why in found.left_out.items():
        console.print(f"Left out: {name}: {why}", markup=False)
    if written:
        console.print(f"File     {written}", markup=False, soft_wrap=True)


def _parts(found: MasterFinding) -> str:
    count = len(found.parts)
    return f"{count} {'part' if count == 1 else 'parts'}, {found.frames} frames"


def _state(part: PartFound) -> str:
    if not part.there:
        return "not there: missing frames"
    return "; ".join(part.finding.done) if part.finding else "complete"
