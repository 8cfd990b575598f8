"""The demo's picture: summed spectra against energy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LINES = {"Al": 1.487, "Si": 1.740, "Ca": 3.692, "V": 4.952, "Mn": 5.899, "Co": 6.930, "Cu": 8.048}
"""keV of the K-alpha lines of the elements in NIST SRM 1832, whose spectrum the emulator shows."""
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
    for channel, spectrum in enumerate(spectra):
        energy = (offset[channel] + slope[channel] * np.arange(len(spectrum))) / 1000
        # nan: no line is drawn where nothing was counted, there is no logarithm of 0.
        counts = np.where(spectrum > 0, spectrum.astype(float), np.nan)
        axes.plot(energy, counts, drawstyle="steps-mid", linewidth=0.8, alpha=0.85, label=f"channel {channel + 1}")
    last = int(np.max(np.nonzero(spectra.sum(axis=0))[0], initial=1))
    axes.set_xlim(0, (offset[0] + slope[0] * last) / 1000 * 1.02)
    axes.set_yscale("log")
    highest = max(int(spectra.max(initial=1)), 2)
    axes.set_ylim(0.7, highest * 4)
    if lines:
        for element, keV in LINES.items():  # noqa: N806
            at = np.clip(((keV * 1000 - np.array(offset)) / np.array(slope)).astype(int), 5, spectra.shape[1] - 6)
            top = max(int(spectra[channel, bin - 5 : bin + 6].max()) for channel, bin in enumerate(at))
            axes.annotate(
                element, (keV, max(top, 1)), (0, 14), textcoords="offset points", ha="center",
                arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": "0.4"},
            )  # fmt: skip
    axes.set_xlabel("energy (keV)")
    axes.set_ylabel("counts per bin")
    axes.set_title(title)
    axes.grid(which="major", alpha=0.25)
    axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=110)
