"""What a live view says in words: state, progress, headroom, file; and whether what it shows is of now."""

from __future__ import annotations

import time

from xsp3ioc.receivers.view_data import Snapshot
from xsp3ioc.receivers.view_watcher import View

BAR = 20
"""Characters of a progress bar."""
MOST = 300
"""Characters of a text of the server's."""


def headline(view: View) -> str:
    """Return a line that says whether the server is there, and how it is."""
    snapshot = view.snapshot
    if snapshot is None:
        if not view.trouble:
            return f"asking {view.endpoint} ..."
        return f"{plain(view.trouble)}, asking again (for {view.seconds:.0f} s)"
    if view.trouble:
        return f"{plain(view.trouble)} for {view.seconds:.0f} s; shown is what was at {clock(snapshot.at)}"
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
        ("frames", f"{status.frame_rate:,.5g}/s, {status.exposure_time:g} s each"),
        ("acquired", f"{status.frames_acquired:,}"),
        ("streamed", f"{status.frames_streamed:,}"),
        ("written", f"{status.frames_written:,}"),
        ("missing", f"{status.frames_missing:,}"),
        ("headroom", f"{status.ring_headroom:g} %, lasts {status.seconds_to_overrun:,.4g} s"),
        ("readers", f"{status.subscribers} of the data stream"),
        ("file", file(snapshot)),
    ]


def progress(snapshot: Snapshot) -> str:
    """Return how far the series is."""
    status = snapshot.status
    if not status.frames_asked:
        return f"{status.frames_read:,}, until stopped"
    share = min(1.0, status.frames_read / status.frames_asked)
    done = int(BAR * share)
    return f"{'█' * done}{'░' * (BAR - done)} {status.frames_read:,} of {status.frames_asked:,}"


def file(snapshot: Snapshot) -> str:
    """Return the file's name, and what is with it."""
    status = snapshot.status
    name = plain(status.full_file_name) if status.full_file_name else "none yet"
    if status.capture:
        return f"{name} (open, {status.captured:,} frames)"
    return f"{name} ({plain(status.write_message)})" if status.write_status else name


def table(snapshot: Snapshot) -> list[tuple[str, str, str, str]]:
    """Return channel, input and output rate (1/s) and dead time of each channel; no numbers before the first frame."""
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
    """Return a time of the day here, from s since 1970."""
    try:
        return time.strftime("%H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):  # no time
        return "?"
