"""A live view in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from xsp3ioc.receivers.sparkline import spectrum_line
from xsp3ioc.receivers.terminal import console
from xsp3ioc.receivers.view_data import Snapshot, summed
from xsp3ioc.receivers.view_watcher import View, Watcher
from xsp3ioc.receivers.view_words import RATES, frame_line, headline, plain, rows, table

BESIDE = 50
"""Characters that a table takes beside the spectra; where there are less, each of its cells gets a line."""
NARROWEST, WIDEST = 16, 120
"""Characters of a spectrum; there is none where it would have less."""
ROIS = ("ROI", "channel", "bins", "counts in the latest frame")
MOST_ROIS = 24
LOOK = 0.05
"""Seconds between looks whether there is something new."""

Cells = Sequence[Sequence[str]]


def render(view: View, accumulated: bool, width: int) -> RenderableType:
    """Return what is known now, `width` characters wide."""
    top = Text(headline(view), style="bold red" if view.trouble else "bold")
    snapshot = view.snapshot
    if snapshot is None:
        return top
    narrow = width < BESIDE
    places = min(width - BESIDE, WIDEST)
    shown = frame_line(snapshot, accumulated)
    headings: Sequence[str] = RATES
    channels: Cells = table(snapshot)
    if places >= NARROWEST:
        energies = snapshot.energies()[0]
        shown += f"; {energies[0]:.3g} to {energies[snapshot.last_bin]:.3g} keV, logarithmic"
        curves = _curves(snapshot, accumulated, places)
        headings = (*RATES, "")
        channels = [(*row, one) for row, one in zip([*channels, ("sum", "", "", "")], curves, strict=False)]
    parts = [_facts(rows(snapshot), narrow), Text(f" {shown}"), _table(headings, channels, narrow)]
    if rois := _rois(snapshot):
        parts.append(_table(ROIS, rois[:MOST_ROIS], narrow))
        if (more := len(rois) - MOST_ROIS) > 0:
            parts.append(Text(f"and {more} more"))
    return Group(top, *parts)


def _facts(facts: Cells, narrow: bool) -> RenderableType:
    if narrow:
        return Group(*(Text.assemble((name, "bold"), f" {text}") for name, text in facts))
    grid = Table(show_header=False, box=None)
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, text in facts:
        grid.add_row(name, Text(text))
    return grid


def _table(headings: Sequence[str], cells: Cells, narrow: bool) -> RenderableType:
    if narrow:
        return Group(*(Text("\n  ".join(map(" ".join, zip(headings, row, strict=True)))) for row in cells))
    grid = Table(box=None)
    for number, name in enumerate(headings):
        grid.add_column(name, justify="right" if number else "left", no_wrap=not name)
    for row in cells:
        grid.add_row(*map(Text, row))
    return grid


def _curves(snapshot: Snapshot, accumulated: bool, places: int) -> Iterator[str]:
    """Yield the spectrum of each channel, and their sum if there are several."""
    counts = snapshot.counts(accumulated)
    reach = snapshot.last_bin + 1
    for spectrum in counts:
        yield spectrum_line(spectrum[:reach], places)
    if len(counts) > 1:
        total = summed(counts, snapshot.energies(), snapshot.status.enabled)
        yield spectrum_line(np.round(total[:reach]), places)


def _rois(snapshot: Snapshot) -> Cells:
    return [
        (plain(name), str(channel), f"{first}..{first + bins - 1}", f"{total:,.0f}" if snapshot.has_frame else "-")
        for (channel, name, first, bins), total in zip(snapshot.rois.rois, snapshot.roi_totals, strict=True)
    ]


def print_once(view: View, accumulated: bool) -> None:
    """Print what is known."""
    terminal = console()
    terminal.print(render(view, accumulated, terminal.width))


def run(watcher: Watcher, accumulated: bool) -> None:
    """Show it until Ctrl-C: in place on a terminal, one after the other where it goes into a file."""
    terminal = console()
    shown: View | None = None

    def await_news() -> View:
        while (view := watcher.view) is shown:
            time.sleep(LOOK)
        return view

    if not terminal.is_terminal:
        while True:
            shown = await_news()
            terminal.print(render(shown, accumulated, terminal.width))
            sys.stdout.flush()
    # What a low terminal has no room for is not there without a sign.
    with Live(console=terminal, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            shown = await_news()
            live.update(render(shown, accumulated, terminal.width), refresh=True)
