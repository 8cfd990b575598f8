"""The picture of a live view: made once, and changed in place for each snapshot, for days."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.drawing import GROUP, Region, grouped_bins, grouped_energies, shade
from xsp3ioc.receivers.view_data import Snapshot, summed
from xsp3ioc.receivers.view_watcher import View
from xsp3ioc.receivers.view_words import RATES, clock, frame_line, headline, plain, rows, table

SIZE = (12.6, 6.8)
"""Inches, 100 dots each."""
LABELS = 10
"""Points of the numbers at the axes."""
SMALLEST = 0.4
"""Part of the size of letters to which they shrink in a small window."""
MOST_ROWS = 16
"""Channels whose rates there is room for."""
MOST_REGIONS = 48
LOWEST = 0.7
"""Counts at the lower end of a logarithmic axis."""
STEP = 0.0235
"""From one channel's rates to the next, as a part of the height."""
SIDE = 0.72
"""Where the words begin, as a part of the width."""
LETTERS = 47
"""Of a line there."""
MOST_LINES = 4
"""Of a text there."""
HEADLINE = 115
"""Letters of a line at the top."""
SUM_COLOUR = "0.1"
STALE = "firebrick"


class Picture:
    """Spectra, rates and words in a matplotlib figure; `show` makes no new artists unless channels or ROIs change."""

    def __init__(self, figure: Any, logarithmic: bool = True, accumulated: bool = False, hint: str = "") -> None:
        """`accumulated`: show the sum since the last erase, not the latest frame; `hint` stands at the bottom."""
        self.figure = figure
        self.logarithmic, self.accumulated = logarithmic, accumulated
        self._axes = axes = figure.add_axes((0.065, 0.1, SIDE - 0.09, 0.79))
        axes.grid(which="major", alpha=0.25)
        self._title = axes.set_title("", loc="left", fontsize=10, parse_math=False)
        self._headline = figure.text(0.065, 0.975, "", fontweight="bold", va="top", parse_math=False)
        small: dict[str, Any] = {"fontsize": 8.5, "family": "monospace", "va": "top", "parse_math": False}
        self._words = figure.text(SIDE, 0.905, "", linespacing=1.35, **small)
        self._small = small
        self._scale_of_letters = 1.0
        figure.text(0.065, 0.015, hint, fontsize=8, color="0.45")
        self._place = figure.text(0.985, 0.015, "", fontsize=8, color="0.45", ha="right", parse_math=False)
        self._nothing = figure.text(SIDE / 2, 0.5, "no server yet", ha="center", fontsize=22, color="0.6")
        axes.set_visible(False)
        self._lines: list[Any] = []
        self._marks: list[Any] = []
        self._rates: list[Any] = []
        self._shades: list[Any] = []
        self._marked: tuple[list[Region], Any] | None = None
        """The regions, and the energy axis, that the shades are of."""
        self._beats, self._right = 0, -np.inf
        self._limits: tuple[Any, Any] | None = None
        """Of the axes, as set here; others are somebody's who looks more closely."""

    def show(self, view: View) -> None:
        """Show what is known now."""
        self._fit_letters()
        said = wrap(headline(view), HEADLINE)
        self._headline.set_text("\n".join(said[:2]))
        self._headline.set_fontsize((12 if len(said) == 1 else 9) * self._scale_of_letters)
        self._headline.set_color(STALE if view.trouble else "0.1")
        snapshot = view.snapshot
        if view.trouble:
            self._right = -np.inf  # who answers next may be another server
        if snapshot is None:
            return
        self._axes.set_visible(True)
        if len(self._lines) != snapshot.status.channels + 1:
            self._make_lines(snapshot.status.channels)
        shown = frame_line(snapshot, self.accumulated)
        self._title.set_text(shown)
        frames = snapshot.total_frames if self.accumulated else snapshot.has_frame
        counts = snapshot.counts(self.accumulated)
        self._nothing.set_text(shown if not frames else "" if counts.any() else "no counts")
        self._place.set_text(f"{plain(view.endpoint)}, {clock(snapshot.at)}")
        self._words.set_text("\n".join(_words(snapshot)))
        self._show_rates(snapshot)
        self._show_spectra(snapshot, counts)
        for artist in (*self._lines, *self._marks, *self._rates, self._words, self._title):
            artist.set_alpha(0.35 if view.trouble else None)

    def fit(self) -> None:
        """Have the axes hold the spectra again and no more, after somebody has looked more closely."""
        self._limits, self._right = None, -np.inf

    def save(self, path: Path, form: str) -> None:
        """Write it to a file, in one of `FORMATS`; OSError if that cannot be written."""
        part = path.with_name(f".{path.name}.part")
        try:
            self.figure.savefig(part, format=form, dpi=100)
            part.replace(path)  # who looks at it sees the old one or the new one
        finally:
            part.unlink(missing_ok=True)

    def _fit_letters(self) -> None:
        """Have the letters follow the size of the window: their places do."""
        from matplotlib.text import Text

        width, height = self.figure.get_size_inches()
        before, scale = self._scale_of_letters, max(SMALLEST, min(width / SIZE[0], height / SIZE[1]))
        if scale == before:
            return
        self._scale_of_letters = scale
        for text in self.figure.findobj(Text):
            text.set_fontsize(text.get_fontsize() * scale / before)
        self._axes.tick_params(labelsize=LABELS * scale)
        self._small["fontsize"] *= scale / before
        self._marked = None

    def _make_lines(self, channels: int) -> None:
        from matplotlib import colormaps

        for artist in (*self._lines, *self._marks, *self._rates):
            artist.remove()
        colours = [colormaps["tab20" if channels > 10 else "tab10"](channel % 20) for channel in range(channels)]
        draw = {"drawstyle": "steps-mid", "linewidth": 0.8}
        self._lines = [self._axes.plot([], [], color=colour, **draw)[0] for colour in colours]
        self._lines += self._axes.plot([], [], color=SUM_COLOUR, **draw)
        self._lines[-1].set_visible(channels > 1)
        listed = [*colours[:MOST_ROWS], SUM_COLOUR][: channels + (channels > 1)]
        # From the bottom up: the words above may have more lines or fewer.
        heights = [0.085 + STEP * (len(listed) + 1 - row) for row in range(len(listed) + 1)]
        self._rates = [self.figure.text(SIDE, height, "", color=SUM_COLOUR, **self._small) for height in heights]
        self._marks = [
            self.figure.text(SIDE, height, "━", color=colour, **self._small | {"fontweight": "bold"})
            for height, colour in zip(heights[1:], listed, strict=True)
        ]

    def _show_rates(self, snapshot: Snapshot) -> None:
        lines = [RATES, *table(snapshot)[:MOST_ROWS]]
        texts = ["  {:8}{:>10}{:>11}{:>11}".format(*line) for line in lines]
        summed_up = sum(snapshot.status.enabled)
        texts.append(f"  sum of {summed_up} {'channel' if summed_up == 1 else 'channels'}")
        if (hidden := snapshot.status.channels - MOST_ROWS) > 0:
            texts[-1] += f", {hidden} not listed"
        for artist, text in zip(self._rates, texts, strict=False):  # one channel has no sum
            artist.set_text(text)

    def _show_spectra(self, snapshot: Snapshot, counts: NDArray[Any]) -> None:
        status = snapshot.status
        group = min(GROUP, status.size_x)
        total = summed(counts, snapshot.energies(), status.enabled)
        curves = grouped_bins(np.vstack([counts, total]), group)
        offset, slope = (values + values[:1] for values in (status.energy_offset, status.energy_slope))
        energies = grouped_energies(offset, slope, curves.shape[1], group)
        for line, energy, curve in zip(self._lines, energies, curves, strict=True):
            # nan: no line where nothing was counted, there is no logarithm of 0.
            line.set_data(energy, np.where(curve > 0, curve, np.nan) if self.logarithmic else curve)
        # Disabled channels are not in the sum, but may be seen.
        for line, use in zip(self._lines, status.enabled, strict=False):
            line.set_linestyle("-" if use else ":")
        doubt = "" if snapshot.calibrated else ", at the preset 10 eV per bin"
        self._axes.set_xlabel(f"energy (keV){doubt}")
        width = f" ({group * slope[0]:g} eV)" if len({*slope}) == 1 else ""
        self._axes.set_ylabel(f"counts per {group} bins{width}")
        self._scale(snapshot, float(curves.max()))
        self._mark(snapshot)

    def _scale(self, snapshot: Snapshot, highest: float) -> None:
        """Have the axes hold everything; the energy axis grows only, or it would never be still."""
        axes, status = self._axes, snapshot.status
        if status.beats < self._beats:  # another server
            self._right = -np.inf
        self._beats = status.beats
        energies = snapshot.energies()
        left = min(0.0, float(energies[:, 0].min()))
        reach = float(energies[:, snapshot.last_bin].max())
        right = max(self._right, np.ceil(reach + 0.02 * (reach - left)))
        # Until something is counted all energies are of the same interest.
        self._right = right if snapshot.total.any() or snapshot.spectra.any() else -np.inf
        scale = "log" if self.logarithmic else "linear"
        wanted = (left, right), (LOWEST, max(highest, 5) * 2)
        if not self.logarithmic:
            wanted = wanted[0], (0, max(highest, 2) * 1.1)
        changed = axes.get_yscale() != scale
        if changed:
            axes.set_yscale(scale)
        if changed or self._limits is None or self._limits == (axes.get_xlim(), axes.get_ylim()):
            axes.set_xlim(*wanted[0])
            axes.set_ylim(*wanted[1])
            self._limits = axes.get_xlim(), axes.get_ylim()

    def _mark(self, snapshot: Snapshot) -> None:
        regions = [Region(plain(name)[:20], low, high) for name, low, high in snapshot.regions()[:MOST_REGIONS]]
        marked = regions, self._axes.get_xlim()
        if marked != self._marked:
            for artist in self._shades:
                artist.remove()
            self._shades = shade(self._axes, regions, self._scale_of_letters)
            self._marked = marked


def _words(snapshot: Snapshot) -> list[str]:
    lines = []
    for name, text in rows(snapshot):
        said = wrap(text, LETTERS - 9) or [""]
        if len(said) > MOST_LINES:  # of a path, the end is what matters
            said[1 : 2 - MOST_LINES] = ["..."]
        lines += [f"{title:9}{one}" for title, one in zip_longest([name], said, fillvalue="")]
    return lines
