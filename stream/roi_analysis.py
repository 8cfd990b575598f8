"""ROIs on the way of the blocks: statistics of the frame that is shown, and of every frame while a series runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.channel_series import ChannelSeries, Shown, without_data
from xsp3ioc.stream.messages import Block, Header
from xsp3ioc.stream.parameter import Index
from xsp3ioc.stream.plugins import passing
from xsp3ioc.stream.rois import STATISTICS, Rois, rois_of
from xsp3ioc.stream.store import Store

SHOWN = Shown(
    running=("roi_series_running",),
    points="roi_series_points",
    period="roi_series_period",
    arrays=(*(f"roi_series_{name}" for name in STATISTICS), "roi_series_times"),
)
ALL, LAST = slice(None), slice(-1, None)


class RoiAnalysis:
    """An `Analysis`. Costs next to nothing per block unless a channel's series runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.series = ChannelSeries(store, SHOWN, len(STATISTICS))
        self._rois = [rois_of(store.values, channel) for channel in range(store.values["channels"])]
        self._groups = self._grouped()
        self._corrected = False
        self._next = 0
        """Number of the frame that comes next."""

    def redefine(self, channel: int) -> None:
        """Take the ROIs of a channel anew from the parameters; they are in use from the next block on."""
        self._rois[channel] = rois_of(self._store.values, channel)
        self._groups = self._grouped()

    def _grouped(self) -> list[tuple[slice, Rois]]:
        """Neighbours with the same ROIs are looked at in one go: it takes hardly longer than one of them."""
        groups: list[tuple[slice, Rois]] = []
        for channel, rois in enumerate(self._rois):
            if groups and groups[-1][1].key == rois.key:
                groups[-1] = slice(groups[-1][0].start, channel + 1), rois
            else:
                groups.append((slice(channel, channel + 1), rois))
        return groups

    def _statistics(self, rois: Rois, block: Block, channels: slice, frames: slice = ALL) -> NDArray[np.float64]:
        """Return the statistics of channels in a block's frames, or in some of them: (frames, channels, ROIs, 5)."""
        found = rois.statistics(block.mca[frames, channels])
        if self._corrected:
            found *= block.factors[frames, channels, np.newaxis, np.newaxis]
        return found

    def begin(self, header: Header) -> None:
        """Hear that a series begins."""
        self._corrected = bool(header.parameters.get("corrected"))
        self._next = 0

    def add(self, block: Block) -> None:
        """Add a point per frame to the series that run."""
        self._skip_to(block.first)
        self._next = block.end
        if not (filled := self._filled()):
            return
        absent = without_data(block.frames, block.scalers)
        for channels, rois in self._groups:
            wanted = [channel for channel in filled if channels.start <= channel < channels.stop]
            if not wanted:
                continue
            values = self._statistics(rois, block, channels)
            if absent is not None:
                values[absent[:, channels]] = np.nan
            for channel in wanted:
                self.series.add(channel, block.frames["time"], values[:, channel - channels.start], rois.slots)

    def end(self, frames: int) -> None:
        """Hear that no more blocks come."""
        self._skip_to(frames)

    def _filled(self) -> list[int]:
        """Channels whose series get points."""
        if not (running := self.series.running):
            return running
        passes = passing(self._store.values, "roi")
        return [channel for channel in running if passes[channel]]

    def _skip_to(self, frame: int) -> None:
        if frame > self._next:
            for channel in self._filled():
                self.series.skip(channel, frame - self._next, self._rois[channel].slots)
            self._next = frame

    def erase(self, disabled: bool) -> None:
        """Zero the statistics; the series go on."""
        passes = passing(self._store.values, "roi")
        if disabled or passes.all():
            self.reset(None)
            return
        for channel in np.flatnonzero(passes).tolist():
            self.reset(channel)

    def reset(self, index: Index) -> None:
        """Zero the statistics: of one ROI, of a channel's, or of all."""
        for name in STATISTICS:
            blank = np.zeros_like(self._store.get(f"roi_{name}", index))[()]
            self._store.update(f"roi_{name}", blank, index=index)

    def show(self, block: Block, at: float, last: bool) -> None:
        """Show the statistics of the last frame, and how far the series are."""
        passes = passing(self._store.values, "roi")
        shown = np.stack([self._store.values[f"roi_{name}"] for name in STATISTICS], axis=-1)
        for channels, rois in self._groups:
            frame = np.zeros_like(shown[channels])
            frame[:, rois.slots] = self._statistics(rois, block, channels, LAST)[0]
            shown[channels] = np.where(passes[channels, np.newaxis, np.newaxis], frame, shown[channels])
        for kind, name in enumerate(STATISTICS):
            self._store.update(f"roi_{name}", shown[..., kind].copy(), at=at)
        self.series.show(at, last)
