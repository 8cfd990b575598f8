"""Pictures of summed spectra against energy, with matplotlib if it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.drawing import GROUP, Region, grouped_bins, grouped_energies, new_figure, shade
from xsp3ioc.receivers.sparkline import last_bin

LINES = {"Ca": 3.692, "V": 4.952, "Mn": 5.899, "Co": 6.930, "Cu": 8.048}
"""keV of the K-alpha lines that NIST SRM 1832 shows in air; the emulator's spectra are measured ones of it."""
MOST_NAMED = 12
"""Channels that the legend names; more are shown by colour only."""


@dataclass
class Spectra:
    """What a picture shows."""

    counts: NDArray[np.uint64]
    """(curves, bins)."""
    offset: Sequence[float]
    """eV at the centre of bin 0, for each curve."""
    slope: Sequence[float]
    """eV per bin."""
    names: Sequence[str]
    title: str
    lines: Mapping[str, float] = field(default_factory=dict)
    """Name -> keV of lines that are marked."""
    regions: Sequence[Region] = ()
    logarithmic: bool = True
    group: int = GROUP
    calibrated: bool = True
    """The energies are measured or set; not taken for granted."""
    note: str = ""
    """In small letters below."""
    reach: float = 0.0
    """keV that are shown in any case, whether anything was counted there or not."""


def save_picture(
    path: Path, spectra: NDArray[np.uint64], offset: list[float], slope: list[float], title: str, lines: bool
) -> None:
    """Plot `spectra` (channels, bins; counts) to a PNG; `offset` and `slope` are eV and eV per bin, per channel.

    `lines`: mark the elements of the emulator's sample. NoPictureError without matplotlib.
    """
    names = [f"channel {channel + 1}" for channel in range(len(spectra))]
    draw(path, "png", Spectra(spectra, offset, slope, names, title, LINES if lines else {}))


def draw(target: Path | BinaryIO, form: str, spectra: Spectra) -> None:
    """Draw a picture in one of `FORMATS`; NoPictureError without matplotlib."""
    figure = new_figure(figsize=(9, 5), layout="constrained")
    axes = figure.add_subplot()
    group = spectra.group
    counts = grouped_bins(spectra.counts, group)
    curves, groups = counts.shape
    energy = grouped_energies(spectra.offset, spectra.slope, groups, group)
    for curve in range(curves):
        # nan: no line where nothing was counted, there is no logarithm of 0.
        drawn = np.where(counts[curve] > 0, counts[curve], np.nan) if spectra.logarithmic else counts[curve]
        axes.plot(energy[curve], drawn, drawstyle="steps-mid", linewidth=0.9, label=spectra.names[curve])
    axes.set_xlim(min(0.0, energy[0, 0]), max(energy[0, last_bin(counts)], spectra.reach) * 1.02)
    highest = max(counts.max(), 2.0)
    if spectra.logarithmic:
        axes.set_yscale("log")
        axes.set_ylim(max(0.7, counts.min(where=counts > 0, initial=highest) / 2), highest * 4)
    else:
        axes.set_ylim(0, highest * 1.15)
    _mark_lines(axes, spectra, energy, counts)
    shade(axes, spectra.regions)
    doubt = "" if spectra.calibrated else ", if 10 eV per bin: the file does not say it"
    axes.set_xlabel(f"energy (keV){doubt}")
    axes.set_ylabel(f"counts per {group * spectra.slope[0]:g} eV")
    axes.set_title(spectra.title)
    axes.grid(which="major", alpha=0.25)
    if curves <= MOST_NAMED:
        axes.legend(frameon=False, loc="upper right")
    if spectra.note:
        figure.supxlabel(spectra.note, x=0.995, ha="right", fontsize=7, color="0.45")
    figure.savefig(target, format=form, dpi=100 if form == "png" else "figure")


def _mark_lines(axes: Any, spectra: Spectra, energy: NDArray, counts: NDArray) -> None:
    for name, line in spectra.lines.items():
        near = np.abs(energy - line) < 0.1
        axes.annotate(
            name, (line, max(counts.max(where=near, initial=1.0), 1.0)), (0, 14), textcoords="offset points",
            ha="center", arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": "0.4"},
        )  # fmt: skip
