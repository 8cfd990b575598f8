"""The ROIs of a channel and what is in them: pure and vectorised, exact up to 2**53 counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATISTICS = ("total", "net", "min_value", "max_value", "mean_value")
"""What is known of an ROI in a frame, in the order of the last axis; also the ends of the parameters' names."""
_TOTAL, _NET, _SMALLEST, _LARGEST, _MEAN = range(len(STATISTICS))


class Rois:
    """The ROIs of a channel that are in use, clipped to its bins.

    An ROI is the bins `first` .. `first + size - 1`, as far as there are such bins. Its background is what its
    outermost `width` bins at each end hold on average.
    """

    def __init__(
        self,
        use: NDArray[np.bool_],
        first: NDArray[np.int64],
        size: NDArray[np.int64],
        width: NDArray[np.int64],
        bins: int,
    ) -> None:
        """Take one value per slot each; `bins` are those of a spectrum."""
        ends = np.minimum(first + size, bins)
        self.slots: list[int] = np.flatnonzero(use & (ends > first)).tolist()
        """Which of the slots are in use; (ROIs,) as all that follows."""
        self.first, ends = first[self.slots], ends[self.slots]
        self.sizes = ends - self.first
        self.widths = np.minimum(width[self.slots], self.sizes)
        self.key = tuple(self.slots), self.first.tobytes(), self.sizes.tobytes(), self.widths.tobytes()
        """Equal for channels that have the same ROIs."""
        # Cut at every end of an ROI or a background, a spectrum falls into pieces; each of those in an ROI is looked at
        # once, and an ROI is a few of them in a row. Bins in no ROI are left out first. This is the fastest: cumulative
        # sums and slices one by one take four times as long, a matrix product ten times.
        cuts = np.concatenate([self.first, self.first + self.widths, ends - self.widths, ends])
        edges, places = np.unique(cuts, return_inverse=True)
        begins, lefts, rights, stops = places.reshape(4, -1)
        opened = np.bincount(begins, minlength=len(edges)) - np.bincount(stops, minlength=len(edges))
        used = np.cumsum(opened)[:-1] > 0
        kept = np.append(0, np.cumsum(used))  # pieces that are used, before each cut
        self._begins, self._lefts, self._rights, self._stops = kept[begins], kept[lefts], kept[rights], kept[stops]
        self._pieces = np.append(0, np.cumsum(np.diff(edges)[used]))[:-1]
        """Where each piece begins, in the bins that are used."""
        changes = np.flatnonzero(np.diff(np.concatenate([[False], used, [False]])))
        self._stretches = [slice(start, stop) for start, stop in edges[changes].reshape(-1, 2).tolist()]
        """The bins that are used."""
        self._whole = bool((self._stops - self._begins == 1).all())
        """Each ROI is one piece."""

    def __len__(self) -> int:
        """Return how many are in use."""
        return len(self.slots)

    def totals(self, spectra: NDArray[np.uint32]) -> NDArray[np.uint64]:
        """Return the counts in each ROI, (..., ROIs), of `spectra` (..., bins)."""
        if not len(self):
            return np.zeros((*spectra.shape[:-1], 0), np.uint64)
        sums = self._running_sums(self._used(spectra))
        totals: NDArray[np.uint64] = sums.take(self._stops, axis=-1) - sums.take(self._begins, axis=-1)
        return totals

    def statistics(self, spectra: NDArray[np.uint32]) -> NDArray[np.float64]:
        """Return all `STATISTICS` of each ROI, (..., ROIs, 5), of `spectra` (..., bins).

        Net is the total less the mean of the background bins times the number of bins; without background the total.
        """
        found = np.empty((*spectra.shape[:-1], len(self), len(STATISTICS)))
        if not len(self):
            return found
        spectra = self._used(spectra)
        sums = self._running_sums(spectra)
        begins, stops = sums.take(self._begins, axis=-1), sums.take(self._stops, axis=-1)
        found[..., _TOTAL] = found[..., _NET] = stops - begins
        if self.widths.any():
            background = sums.take(self._lefts, axis=-1) - begins + stops - sums.take(self._rights, axis=-1)
            found[..., _NET] -= background * self.sizes / np.maximum(2 * self.widths, 1)
        found[..., _SMALLEST] = self._extreme(np.minimum, spectra)
        found[..., _LARGEST] = self._extreme(np.maximum, spectra)
        np.divide(found[..., _TOTAL], self.sizes, found[..., _MEAN])
        return found

    def _used(self, spectra: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the bins that are in some ROI, one stretch after the other."""
        if len(self._stretches) == 1:
            return spectra[..., self._stretches[0]]
        return np.concatenate([spectra[..., stretch] for stretch in self._stretches], axis=-1)

    def _running_sums(self, spectra: NDArray[np.uint32]) -> NDArray[np.uint64]:
        """Return the counts before each cut, (..., cuts)."""
        sums = np.zeros((*spectra.shape[:-1], len(self._pieces) + 1), np.uint64)
        pieces = np.add.reduceat(spectra, self._pieces, axis=-1, dtype=np.uint64)
        np.cumsum(pieces, axis=-1, out=sums[..., 1:])
        return sums

    def _extreme(self, function: np.ufunc, spectra: NDArray[np.uint32]) -> NDArray[np.uint32]:
        pieces = function.reduceat(spectra, self._pieces, axis=-1)
        if self._whole:
            return pieces.take(self._begins, axis=-1)
        # Every second pair is between two ROIs. An index behind the last piece may end an ROI, so there must be one.
        pieces = np.append(pieces, pieces[..., -1:], axis=-1)
        pairs = np.stack([self._begins, self._stops], axis=1).ravel()
        extremes: NDArray[np.uint32] = function.reduceat(pieces, pairs, axis=-1)[..., ::2]
        return extremes


def rois_of(values: Mapping[str, Any], channel: int) -> Rois:
    """ROIs of a channel as the parameters have them."""
    use, first, size, width = (values[f"roi_{what}"][channel] for what in ("use", "min_x", "size_x", "background"))
    return Rois(use, first, size, width, values["size_x"])


def named_rois(values: Mapping[str, Any], channel: int) -> list[tuple[str, int, int]]:
    """Name, first bin and size of each ROI of a channel that is in use."""
    rois = rois_of(values, channel)
    names = values["roi_name"][channel][rois.slots]
    return [(str(name), int(first), int(size)) for name, first, size in zip(names, rois.first, rois.sizes, strict=True)]
