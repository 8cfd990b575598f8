"""What all pictures of spectra share: matplotlib if it is there, and regions of the energy axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

GROUP = 4
"""Bins drawn as one point: the lines are much wider, and the noise is less."""
INSTALL = 'pip install ".[view]"'
FORMATS = ("png", "svg", "pdf")


class NoPictureError(RuntimeError):
    """matplotlib is not installed."""


class Region(NamedTuple):
    """A part of the energy axis with a name: an ROI."""

    name: str
    low: float
    high: float
    """keV."""


def new_figure(**options: Any) -> Any:
    """Return a matplotlib figure that needs no display; NoPictureError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise NoPictureError(f"No picture without matplotlib: {INSTALL} in the source directory") from None
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure


def grouped_bins(counts: NDArray[Any], group: int) -> NDArray[np.float64]:
    """Return sums of `group` neighbouring bins of spectra (curves, bins): (curves, groups); a rest is left out."""
    curves, bins = counts.shape
    groups = bins // group
    sums: NDArray[np.float64] = counts[:, : groups * group].reshape(curves, groups, group).sum(axis=2, dtype=float)
    return sums


def grouped_energies(offset: ArrayLike, slope: ArrayLike, groups: int, group: int) -> NDArray[np.float64]:
    """Return the energies in the middle of groups of bins, keV, (curves, groups).

    `offset` is eV at the centre of bin 0, `slope` eV per bin, both (curves,).
    """
    middle = group * np.arange(groups) + (group - 1) / 2
    energies: NDArray[np.float64] = (np.array(offset)[:, None] + np.array(slope)[:, None] * middle) / 1000
    return energies


def shade(axes: Any, regions: Sequence[Region]) -> list[Any]:
    """Shade regions, each with its name above, in two rows where they are close; return what was drawn."""
    _, right = axes.get_xlim()
    before, row = -np.inf, 0
    drawn = []
    for number, region in enumerate(sorted(regions, key=lambda one: one.low)):
        if region.low > right:
            continue
        middle = (region.low + region.high) / 2
        row = 1 - row if middle - before < 0.06 * right else 0
        before = middle
        drawn.append(axes.axvspan(region.low, region.high, color=f"C{number % 10}", alpha=0.15, linewidth=0))
        name = axes.annotate(
            region.name, (middle, 1), (0, -4 - 11 * row), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", va="top", fontsize=8, color="0.25", annotation_clip=True,
            parse_math=False,
        )  # fmt: skip
        drawn.append(name)
    return drawn
