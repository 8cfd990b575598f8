"""Frames of a run that are not where they should be: never received, in two slots, of a lost card, overwritten."""

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.emulator.faults import Picked
from xsp3ioc.sdk.emulator.ring import NEVER, frame_numbers
from xsp3ioc.sdk.emulator.settings import EmulatorSettings

_MOST_LAPS = 64  # if that many frames in succession are missing from a slot, it holds none
_COUNTED_AT_ONCE = 1 << 14


class Losses:
    """Which frame a slot holds instead of its own, per channel."""

    def __init__(self, settings: EmulatorSettings, ring: int, first: int) -> None:
        self._missing = settings.faults.missing
        self._duplicated = settings.faults.duplicated
        self._seed = settings.seed
        self._channels = settings.channels
        self._ring = ring
        self._first = first
        self._lost: dict[int, int] = {}
        self._early: set[int] = set()
        self._counted = first
        self._counts = np.zeros(settings.channels, np.int64)

    @property
    def any(self) -> bool:
        """Whether any frame can be elsewhere than the ring says."""
        return bool(self._missing or self._duplicated or self._lost or self._early)

    @property
    def soonest(self) -> int | None:
        """The first frame that a lost card did not complete; None when none is lost."""
        return min(self._lost.values(), default=None)

    def soonest_of(self, channels: range) -> int | None:
        """Return the first frame that a lost card among these channels did not complete."""
        return min((lost for channel, lost in self._lost.items() if channel in channels), default=None)

    @property
    def end(self) -> int | None:
        """The first frame that no card completed; None unless all are lost."""
        return max(self._lost.values()) if len(self._lost) == self._channels else None

    def lose(self, channels: range, frame: int) -> None:
        """Let frames from this one on not come on some channels."""
        for channel in channels:
            self._lost[channel] = min(frame, self._lost.get(channel, frame))

    def find(self, channels: range) -> None:
        """Let all frames come, after all, on some channels."""
        for channel in channels:
            self._lost.pop(channel, None)

    def overwrite(self, frame: int) -> None:
        """Let the frame of a lap later stand in this one's slot already."""
        self._early.add(frame)

    def count(self, channel: int, until: int) -> int:
        """Return how many frames before `until` never came on a channel; `until` must not fall."""
        if self._missing is None:
            return 0
        while self._counted < until:
            frames = min(until - self._counted, _COUNTED_AT_ONCE)
            self._counts += self._picked(self._counted, frames).sum(axis=0)
            self._counted += frames
        return int(self._counts[channel])

    def held(self, pieces: list[tuple[int, int]]) -> NDArray[np.int64]:
        """Return what slots hold that should hold `pieces`: int64 frame numbers (slots, channels), `NEVER` for none."""
        plain = frame_numbers(pieces)[:, np.newaxis]
        numbers = np.repeat(plain, self._channels, axis=1)
        for frame in self._early:
            numbers[numbers == frame] += self._ring
        for channel, lost in self._lost.items():
            later = numbers[:, channel] - lost
            numbers[:, channel] -= np.where(later >= 0, later // self._ring + 1, 0) * self._ring
        if self._missing is not None:
            missing = np.concatenate([self._picked(*piece) for piece in pieces])
            for index in np.flatnonzero((missing | (numbers != plain)).any(axis=1)):
                self._step_back(numbers[index])
        if self._duplicated is not None:
            again = np.concatenate([self._again(*piece) for piece in pieces]) & (numbers == plain)
            for slot, channel in np.argwhere(again).tolist():
                numbers[slot, channel] = self._last_before(int(plain[slot, 0]), channel)
        numbers[numbers < self._first] = NEVER
        return numbers

    def _step_back(self, row: NDArray[np.int64]) -> None:
        """Find the frame before that was not missing, for each channel of one slot."""
        for _ in range(_MOST_LAPS):
            absent = [channel for channel, number in enumerate(row.tolist()) if self._picked(number, 1)[0, channel]]
            if not absent:
                return
            row[absent] -= self._ring
        row[absent] = NEVER

    def _last_before(self, number: int, channel: int) -> int:
        """Return the frame that stands in a slot of its own, and comes once more where `number` should stand."""
        for before in range(number - 1, number - 1 - _MOST_LAPS, -1):
            if not (self._again(before, 1) | self._picked(before, 1))[0, channel]:
                return before
        return NEVER

    def _again(self, first: int, frames: int) -> NDArray[np.bool_]:
        """Which slots get the frame before once more, never that of the run's first: bool (frames, channels)."""
        return self._mask(self._duplicated, self._first + 1, first, frames)

    def _picked(self, first: int, frames: int) -> NDArray[np.bool_]:
        """Which frames are missing, none of those before the run's first: bool (frames, channels)."""
        return self._mask(self._missing, self._first, first, frames)

    def _mask(self, picked: Picked | None, earliest: int, first: int, frames: int) -> NDArray[np.bool_]:
        """Which of `frames` frames from `first` on are picked, none before `earliest`: bool (frames, channels)."""
        before = min(max(earliest - first, 0), frames)
        mask = np.zeros((frames, self._channels), bool)
        if picked is not None and before < frames:
            mask[before:] = picked.mask(self._seed, self._channels, first + before, frames - before)
        return mask
