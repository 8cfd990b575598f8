"""The two markers of each frame: from the TTL inputs, the software or the frame generator."""

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import MarkerSource, TimingSource
from xsp3ioc.sdk.emulator.frame_source import Itfg, TimingRegister
from xsp3ioc.sdk.emulator.pulses import PulseTrain, Ticks
from xsp3ioc.sdk.emulator.timeline import Timeline

TRIGGER_INPUTS = (0, 1, 2, 3)
"""TTL inputs of frame zero, veto and the two markers."""
_FIRST_MARKER = 2  # among the trigger functions


class Markers:
    """Marker 1 is bit 0, marker 2 is bit 1 of what the frames' status says."""

    def __init__(
        self, register: TimingRegister, fixed: int, itfg: Itfg, train: PulseTrain, inputs: tuple[int, ...]
    ) -> None:
        self.origin: int | None = None
        """When the run began to count, and the pulses began."""
        self._source = _source(register, fixed)
        self._itfg = itfg
        self._train = train
        every = (train.pulses.frame_zero_every, 1, *train.pulses.marker_every)
        self._every = [every[inputs[_FIRST_MARKER + marker]] for marker in range(2)]
        self._since = [0]
        self._set = [register.software_markers]

    def change(self, begun: int, markers: int) -> None:
        """Give the software's markers to the frames from number `begun` of the timeline on."""
        self._since.append(begun)
        self._set.append(markers)

    def of(self, timeline: Timeline, indexes: Ticks, numbers: Ticks) -> NDArray[np.int32]:
        """Return the markers of frames that stand at `indexes` in the timeline, negative ones have none: same shape."""
        known = indexes >= 0
        found = np.zeros(indexes.shape, np.int32)
        found[known] = self._of(timeline, indexes[known], numbers[known])
        return found

    @property
    def never(self) -> bool:
        """Whether no frame has a marker, whatever the inputs do."""
        if self._source is MarkerSource.itfg:
            return not self._itfg.marker_period
        return self._source is MarkerSource.ttl and not any(self._every)

    def _of(self, timeline: Timeline, indexes: Ticks, numbers: Ticks) -> NDArray[np.int32]:
        if self._source is MarkerSource.software:
            since = np.searchsorted(self._since, indexes, side="right") - 1
            return np.array(self._set, np.int32)[since]
        if self._source is MarkerSource.itfg:
            return (numbers % self._itfg.marker_period == self._itfg.marker_frame).astype(np.int32)
        if self.origin is None:
            return np.zeros(indexes.shape, np.int32)
        begin, end = (times - self.origin for times in timeline.spans(indexes))
        first, second = (self._train.high_within(every, begin, end).astype(np.int32) for every in self._every)
        return first | second << 1


def _source(register: TimingRegister, fixed: int) -> MarkerSource:
    """Where markers come from: the generator has the choice, software timing has its own, the others the inputs."""
    if register.source is TimingSource.internal:
        return MarkerSource(min(fixed >> 30, MarkerSource.itfg))
    return MarkerSource.software if register.source is TimingSource.software else MarkerSource.ttl
