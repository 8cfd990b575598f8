"""What all pictures of spectra share: matplotlib if it is there, and regions of the energy axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

GROUP = 4
"""Bins drawn as one point: the lines are much wider, and the noise is less."""
LETTER = 0.0075
"""Width of a letter of a region's name, as a part of the axis."""
NAME_ROWS = 5
INSTALL = 'pip install ".[view]"'
FORMATS = ("png", "svg", "pdf")


class NoPictureError(RuntimeError):
    """There is no matplotlib, or no window can be opened."""


class Region(NamedTuple):
    """A part of the energy axis with a name: an ROI."""

    name: str
    low: float
    high: float
    """keV."""


def load_matplotlib() -> Any:
    """Return matplotlib; NoPictureError says why there is none."""
    try:
        import matplotlib
    except ImportError:
        raise NoPictureError(f"no picture without matplotlib: {INSTALL} in the source directory") from None
    except ValueError as error:  # of MPLBACKEND
        raise NoPictureError(f"matplotlib does not start: {error}") from None
    return matplotlib


def new_figure(**options: Any) -> Any:
    """Return a matplotlib figure that needs no display; NoPictureError without matplotlib."""
    load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

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


def shade(axes: Any, regions: Sequence[Region], scale: float = 1.0) -> list[Any]:
    """Shade regions, each with its name above, in rows where they are close and while there is room.

    Return what was drawn. `scale` is that of the letters.
    """
    left, right = axes.get_xlim()
    letter = LETTER * (right - left)
    ends = [-np.inf] * NAME_ROWS
    drawn = []
    for number, region in enumerate(sorted(regions, key=lambda one: one.low)):
        if not left < (region.low + region.high) / 2 < right:
            continue
        drawn.append(axes.axvspan(region.low, region.high, color=f"C{number % 10}", alpha=0.15, linewidth=0))
        half = (len(region.name) + 1) * letter / 2
        middle = min(max((region.low + region.high) / 2, left + half), right - half)
        row = next((row for row, end in enumerate(ends) if middle - half >= end), None)
        if row is None:
            continue
        ends[row] = middle + half
        name = axes.annotate(
            region.name, (middle, 1), (0, (-4 - 11 * row) * scale), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", va="top", fontsize=8 * scale, color="0.25", annotation_clip=True,
            parse_math=False,
        )  # fmt: skip
        drawn.append(name)
    return drawn
