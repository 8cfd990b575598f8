"""What a live view says in words: state, progress, headroom, file; and whether what it shows is of now."""

from __future__ import annotations

import time

from xsp3ioc.receivers.durations import duration
from xsp3ioc.receivers.view_data import Snapshot, Status
from xsp3ioc.receivers.view_watcher import View

BAR = 20
"""Characters of a progress bar."""
RATES = ("channel", "input/s", "output/s", "dead time")
"""Headings of `table`."""
MOST = 300
"""Characters of a text of the server's."""


def headline(view: View) -> str:
    """Return a line that says whether the server is there, and how it is."""
    snapshot = view.snapshot
    if snapshot is None:
        if not view.trouble:
            return f"asking {view.endpoint} ..."
        return f"{plain(view.trouble)}, asking again (for {duration(view.seconds)})"
    if view.trouble:
        return f"{plain(view.trouble)} for {duration(view.seconds)}; shown is what was at {clock(snapshot.at)}"
    status = snapshot.status
    simulated = ", simulated" if status.simulated and "emulated" not in status.model else ""
    return f"{plain(status.model)}{simulated}: {plain(status.state)}"


def frame_line(snapshot: Snapshot, accumulated: bool) -> str:
    """Say what the spectra are: the latest frame, the sum since the last erase, or nothing yet."""
    image = snapshot.image
    if accumulated:
        frames = snapshot.total_frames
        return f"sum of {frames:,} {'frame' if frames == 1 else 'frames'}" if frames else "nothing summed yet"
    if not snapshot.has_frame:
        return "no frame yet"
    bad = {0: "", 1: " (overrun)"}.get(image.frame_status, " (missing)")
    return f"frame {image.frame:,}{bad} of series {image.series_id}, {clock(image.time)}"


def rows(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return names and texts of what is to be known beside the spectra."""
    status = snapshot.status
    return [
        ("message", plain(status.status_message)),
        ("series", progress(snapshot)),
        ("frames", f"{_rate(status.frame_rate)}/s, {status.exposure_time:g} s each"),
        ("acquired", f"{status.frames_acquired:,}"),
        ("streamed", f"{status.frames_streamed:,}"),
        ("written", f"{status.frames_written:,}"),
        ("missing", f"{status.frames_missing:,}"),
        ("headroom", f"{status.ring_headroom:g} %, lasts {duration(status.seconds_to_overrun)}"),
        ("readers", f"{status.subscribers} of the data stream"),
        ("file", file(status)),
    ]


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def progress(snapshot: Snapshot) -> str:
    """Return how far the series is."""
    status = snapshot.status
    if not status.frames_asked:
        return f"{status.frames_read:,}, until stopped"
    share = min(1.0, status.frames_read / status.frames_asked)
    done = int(BAR * share)
    return f"{'█' * done}{'░' * (BAR - done)} {status.frames_read:,} of {status.frames_asked:,}"


def file(status: Status) -> str:
    """Return the file's name, and what is with it."""
    name = plain(status.full_file_name) if status.full_file_name else "none yet"
    if status.capture:
        return f"{name} (open, {status.captured:,} frames)"
    if status.write_status:
        return f"{name} ({plain(status.write_message)})"
    return f"{name} (closed)" if status.full_file_name else name


def table(snapshot: Snapshot) -> list[tuple[str, str, str, str]]:
    """Return the `RATES` of each channel in the latest frame; no numbers before the first."""
    rates = snapshot.rates
    found = []
    for channel, use in enumerate(snapshot.status.enabled):
        if snapshot.has_frame:
            numbers = (
                f"{rates.input_rate[channel]:,.0f}",
                f"{rates.output_rate[channel]:,.0f}",
                f"{rates.dead_time[channel]:.2f} %",
            )
        else:
            numbers = ("-", "-", "-")
        found.append((f"{channel + 1}" + ("" if use else " off"), *numbers))
    return found


def plain(text: str) -> str:
    """Return text that came over the wire as it can stand in a line."""
    shown = text if len(text) <= MOST else f"{text[: MOST // 2]} ... {text[-MOST // 2 :]}"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in shown)


def clock(seconds: float) -> str:
    """Return a time of the day here, from s since 1970; with the date if that is not today's."""
    try:
        then = time.localtime(seconds)
        return time.strftime("%H:%M:%S" if then[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M:%S", then)
    except (OverflowError, ValueError, OSError):  # no time
        return "?"
