"""Curves of one line of text: eighths of a character high."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCKS = " ▁▂▃▄▅▆▇█"
LOW = 5
"""% of a spectrum's groups that are drawn as low as can be: a few have next to nothing, and would flatten the rest."""
SHOWN = 0.9995
"""Share of the counts up to which a spectrum is shown."""


def spectrum_line(counts: NDArray, width: int) -> str:
    """Return the counts of `counts`, (bins,), in `width` characters: logarithmic, from nearly the least there is."""
    sums = grouped(counts, width)
    if not sums.any():
        return " " * width
    low, high = np.log(np.percentile(sums[sums > 0], LOW)), np.log(sums.max())
    share = (np.log(np.maximum(sums, 1)) - low) / max(high - low, 1e-9)
    heights = 1 + np.round((len(BLOCKS) - 2) * np.clip(share, 0, 1)).astype(int)
    return "".join(BLOCKS[height] if here else BLOCKS[0] for height, here in zip(heights, sums > 0, strict=True))


def curve_line(values: ArrayLike) -> str:
    """Return numbers from 0 on, one character each, linear; NaN leaves its place free."""
    numbers = np.asarray(values, np.float64)
    highest = np.nanmax(numbers, initial=0.0)
    if not highest > 0:
        return " " * len(numbers)
    heights = np.nan_to_num(np.round((len(BLOCKS) - 1) * numbers / highest)).astype(int)
    return "".join(BLOCKS[height] for height in heights)


def grouped(counts: NDArray, width: int) -> NDArray:
    """Return sums of neighbouring bins, as equal as can be: (width,)."""
    borders = np.linspace(0, len(counts), width + 1).astype(int)
    running = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)])
    return np.asarray(running[borders[1:]] - running[borders[:-1]])


def last_bin(spectra: NDArray) -> int:
    """Return the bin up to which nearly all counts of `spectra`, (channels, bins), lie; without counts the last one."""
    running = np.cumsum(spectra.sum(axis=0, dtype=np.float64))
    if not running[-1]:
        return len(running) - 1
    return min(int(np.searchsorted(running, SHOWN * running[-1])), len(running) - 1)
