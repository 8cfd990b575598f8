"""A live view in a terminal."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Sequence

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from xsp3ioc.receivers.sparkline import last_bin, spectrum_line
from xsp3ioc.receivers.view_data import Snapshot, summed
from xsp3ioc.receivers.view_watcher import View, Watcher
from xsp3ioc.receivers.view_words import frame_line, headline, plain, rows, table

NARROWEST, WIDEST = 16, 120
"""Characters of a spectrum."""
BESIDE = 50
"""Characters of a line that are beside the spectrum."""
MOST_ROIS = 24
LOOK = 0.05
"""Seconds between looks whether there is something new."""


def render(view: View, accumulated: bool, width: int) -> RenderableType:
    """Return what is known now, `width` characters wide."""
    top = Text(headline(view), style="bold red" if view.trouble else "bold")
    if view.snapshot is None:
        return top
    return Group(top, _rows(view.snapshot), *_channels(view.snapshot, accumulated, width), *_rois(view.snapshot))


def _rows(snapshot: Snapshot) -> Table:
    grid = Table(show_header=False, box=None)
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, text in rows(snapshot):
        grid.add_row(name, Text(text))
    return grid


def _channels(snapshot: Snapshot, accumulated: bool, width: int) -> Sequence[RenderableType]:
    counts = snapshot.total if accumulated else snapshot.spectra
    energies = snapshot.energies()
    reach = last_bin(snapshot.total) + 1
    places = min(max(width - BESIDE, NARROWEST), WIDEST)
    grid = Table(box=None)
    end = f"{energies[0, 0]:.3g} to {energies[0, reach - 1]:.3g} keV, logarithmic"
    for name, justify in (("channel", "left"), ("input/s", "right"), ("output/s", "right"), ("dead time", "right")):
        grid.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    grid.add_column(no_wrap=True)
    for row, spectrum in zip(table(snapshot), counts, strict=True):
        grid.add_row(*row, Text(spectrum_line(spectrum[:reach], places)))
    if len(counts) > 1:
        total = summed(counts, energies, snapshot.status.enabled)
        grid.add_row("sum", "", "", "", Text(spectrum_line(np.round(total[:reach]), places)))
    return Text(f" {frame_line(snapshot, accumulated)}; {end}"), grid


def _rois(snapshot: Snapshot) -> Sequence[RenderableType]:
    if not snapshot.rois.rois:
        return []
    grid = Table(box=None)
    for name in ("ROI", "channel", "bins", "counts in the latest frame"):
        grid.add_column(name, justify="left" if name == "ROI" else "right")
    for (channel, name, first, bins), total in list(zip(snapshot.rois.rois, snapshot.roi_totals, strict=True))[
        :MOST_ROIS
    ]:
        counted = f"{total:,.0f}" if snapshot.has_frame else "-"
        grid.add_row(Text(plain(name)), str(channel), f"{first}..{first + bins - 1}", counted)
    more = len(snapshot.rois.rois) - MOST_ROIS
    return [grid, Text(f"and {more} more")] if more > 0 else [grid]


def _console() -> Console:
    # Spectra and ROI names on a terminal that knows ASCII only come as question marks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False)


def print_once(view: View, accumulated: bool) -> None:
    """Print what is known."""
    console = _console()
    console.print(render(view, accumulated, console.width))


def run(watcher: Watcher, accumulated: bool) -> None:
    """Show it until Ctrl-C: in place on a terminal, one after the other where it goes into a file."""
    console = _console()
    shown: View | None = None

    def await_news() -> View:
        while (view := watcher.view) is shown:
            time.sleep(LOOK)
        return view

    if not console.is_terminal:
        while True:
            shown = await_news()
            console.print(render(shown, accumulated, console.width))
            sys.stdout.flush()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            shown = await_news()
            live.update(render(shown, accumulated, console.width), refresh=True)
