"""The demo's picture: summed spectra against energy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LINES = {"Ca": 3.692, "V": 4.952, "Mn": 5.899, "Co": 6.930, "Cu": 8.048}
"""keV of the K-alpha lines that NIST SRM 1832 shows in air; the emulator's spectra are measured ones of it."""
GROUP = 4
"""Bins drawn as one point: the lines are much wider, and the noise is less."""
SHOWN = 0.9995
"""Share of the counts up to which the energy axis goes."""
INSTALL = 'pip install ".[view]"'


class NoPictureError(RuntimeError):
    """matplotlib is not installed."""


def save_picture(
    path: Path, spectra: NDArray[np.uint64], offset: list[float], slope: list[float], title: str, lines: bool
) -> None:
    """Plot `spectra` (channels, bins; counts) to a PNG; `offset` and `slope` are eV and eV per bin, per channel.

    `lines`: mark the elements of the emulator's sample. NoPictureError without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise NoPictureError(f"No picture without matplotlib: {INSTALL} in the source directory") from None
    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    channels, bins = spectra.shape
    groups = bins // GROUP
    counts = spectra[:, : groups * GROUP].reshape(channels, groups, GROUP).sum(axis=2).astype(float)
    # Energies belong to the bins' centres.
    middle = GROUP * np.arange(groups) + (GROUP - 1) / 2
    energy = (np.array(offset)[:, None] + np.array(slope)[:, None] * middle) / 1000
    for channel in range(channels):
        # nan: no line where nothing was counted, there is no logarithm of 0.
        drawn = np.where(counts[channel] > 0, counts[channel], np.nan)
        axes.plot(energy[channel], drawn, drawstyle="steps-mid", linewidth=0.9, label=f"channel {channel + 1}")
    share = np.cumsum(counts.sum(axis=0)) / max(counts.sum(), 1.0)
    last = min(int(np.searchsorted(share, SHOWN)), groups - 1)
    axes.set_xlim(0, energy[0, last] * 1.02)
    axes.set_yscale("log")
    axes.set_ylim(0.7, max(counts.max(), 2.0) * 4)
    if lines:
        for element, line in LINES.items():
            near = np.abs(energy - line) < 0.1
            axes.annotate(
                element, (line, max(counts.max(where=near, initial=1.0), 1.0)), (0, 14), textcoords="offset points",
                ha="center", arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": "0.4"},
            )  # fmt: skip
    axes.set_xlabel("energy (keV)")
    axes.set_ylabel(f"counts per {GROUP * slope[0]:g} eV")
    axes.set_title(title)
    axes.grid(which="major", alpha=0.25)
    axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=100)
