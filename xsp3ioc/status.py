"""`xsp3ioc status`: a running server at a glance, asked through its monitor socket."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from xsp3ioc.receivers.monitor import DEFAULT, NoAnswerError, ask
from xsp3ioc.stream.declared import DETECTOR_STATES


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc status`; return the exit code: 1 if nobody answers."""
    parser = argparse.ArgumentParser(prog="xsp3ioc status", description="Show a running server at a glance.")
    parser.add_argument("--monitor", default=DEFAULT, metavar="ADDRESS", help="its monitor socket (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        values = msgspec.json.decode(ask(options.monitor, "status")[0], type=dict[str, Any])
        rows = _rows(values)
    except (NoAnswerError, ValueError) as error:
        sys.stderr.write(f"xsp3ioc status: {error}\n")
        return 1
    except (msgspec.MsgspecError, KeyError, IndexError):
        sys.stderr.write(f"xsp3ioc status: {options.monitor} answers, but not as an xsp3ioc server does\n")
        return 1
    _print(rows)
    return 0


def _rows(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Make names and texts of the status; KeyError if it lacks something."""
    asked = {0: "1", 1: str(values["frames"]), 2: "until stopped"}[values["image_mode"]]
    file = values["full_file_name"] or "none yet"
    if values["capture"]:
        file += f" (open, {values['captured']} frames)"
    elif values["write_status"]:
        file += f" ({values['write_message']})"
    return [
        ("detector", f"{values['model']}, {values['channels']} channels, library {values['sdk_version'] or '?'}"),
        ("state", DETECTOR_STATES[values["detector_state"]]),
        ("message", values["status_message"]),
        ("series", f"{values['frames_read']} of {asked} frames of {values['exposure_time']:g} s"),
        ("acquired", str(values["frames_acquired"])),
        ("streamed", f"{values['frames_streamed']} (subscribers: {values['subscribers']})"),
        ("written", str(values["frames_written"])),
        ("missing", str(values["frames_missing"])),
        (
            "stalls",
            f"of the disk or of a subscriber cost no frame for up to {values['seconds_to_overrun']:g} s at these "
            f"settings ({values['ring_headroom']:g} % of the memory is free)",
        ),
        ("disk", _disk(values)),
        ("file", file),
    ]


def _disk(values: dict[str, Any]) -> str:
    if not values["file_path"]:
        return "no FilePath yet"
    return (
        f"{values['disk_free']:.1f} GB free for {values['file_path']}: room for {values['frames_left']:,} frames, "
        f"{values['seconds_left'] / 60:,.0f} min"
    )


def _print(rows: list[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        # Text: a prefix or path may have brackets, which rich would take for markup.
        table.add_row(name, Text(text))
    Console(highlight=False).print(table)
