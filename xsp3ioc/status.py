"""`xsp3ioc status`: a running server at a glance, asked through its monitor socket."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta
from rich.table import Table
from rich.text import Text

from xsp3ioc.receivers import view_data
from xsp3ioc.receivers.durations import duration
from xsp3ioc.receivers.terminal import console
from xsp3ioc.receivers.view_words import file, plain
from xsp3ioc.server_command import ask, make_parser
from xsp3ioc.stream.declared import DETECTOR_STATES


class Status(view_data.Status, tag="status"):
    """What a glance shows beside what a view does."""

    detector_state: Annotated[int, Meta(ge=0, lt=len(DETECTOR_STATES))]
    sdk_version: str
    file_path: str
    disk_free: float
    """GB."""
    frames_left: int
    """Frames that the disk has room for."""
    seconds_left: float
    """How long that lasts."""


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc status`; return the exit code: 1 if nobody answers."""
    parser = make_parser("status", "Show a running server at a glance.")
    rows = _rows(ask(parser, parser.parse_args(arguments), "status", Status))
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        # Text: a prefix or path may have brackets, which rich would take for markup.
        table.add_row(name, Text(plain(text)))
    console().print(table)
    return 0


def _rows(status: Status) -> list[tuple[str, str]]:
    asked = f"of {status.frames_asked:,}" if status.frames_asked else "(until stopped)"
    return [
        ("detector", f"{status.model}, {status.channels} channels, library {status.sdk_version or '?'}"),
        ("state", DETECTOR_STATES[status.detector_state]),
        ("message", status.status_message),
        ("series", f"{status.frames_read:,} {asked} frames of {status.exposure_time:g} s"),
        ("acquired", f"{status.frames_acquired:,}"),
        ("streamed", f"{status.frames_streamed:,} (subscribers: {status.subscribers})"),
        ("written", f"{status.frames_written:,}"),
        ("missing", f"{status.frames_missing:,}"),
        (
            "stalls",
            f"of the disk or of a subscriber cost no frame for up to {duration(status.seconds_to_overrun)} at these "
            f"settings ({status.ring_headroom:g} % of the memory is free)",
        ),
        ("disk", _disk(status)),
        ("file", file(status)),
    ]


def _disk(status: Status) -> str:
    if not status.file_path:
        return "no FilePath yet"
    return (
        f"{status.disk_free:.1f} GB free for {status.file_path}: room for {status.frames_left:,} frames, "
        f"{duration(status.seconds_left)}"
    )
