"""The memory of frames as a ring of slots: what each slot holds, what was acknowledged, what was overwritten."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEVER = -1
"""Frame number of a slot that holds no frame of this run."""

_HALF = 1 << 31  # of the numbers of 32 bits


class DoubleAcknowledge(Exception):  # noqa: N818
    """Frames were acknowledged that are not in use."""


class Ring:
    """Slot f % frames holds frame f from its beginning on.

    `uses` counts, per slot, the frames begun there since the slot was last acknowledged: 0 free, 1 in use, more when
    frames were overwritten. One row serves all channels until some of them are acknowledged without the others.
    """

    def __init__(self, frames: int, channels: int, first: int = 0, *, compulsory: bool = False) -> None:
        self.frames = frames
        self.begun = first
        """Number of the next frame to begin."""
        self.stuck = False
        """The next frame met one that was not acknowledged, where acknowledging is compulsory."""
        self.forced: int | None = None
        """A frame that is to find its slot in use whatever was acknowledged; None once it has."""
        self._first = first
        self._oldest = first
        self._channels = channels
        self._compulsory = compulsory
        self._uses = np.zeros((1, frames), np.int32)
        self._overruns = np.zeros(1, np.int64)
        self._first_overrun = np.full(1, NEVER, np.int64)

    def restart(self) -> None:
        """Let the first frame begin again; what stands in the slots is overwritten as frames come."""
        self.begun = self._oldest = self._first

    def advance(self, begun: int) -> None:
        """Let frames begin until their number is `begun`, each in its slot, overwriting what is there."""
        if self.forced is not None and self.begun <= self.forced < begun:
            self._advance(self.forced)
            if not self.stuck:
                self._overrun_at(self.forced)
                self.forced = None
        self._advance(begun)

    def _overrun_at(self, frame: int) -> None:
        before = frame - self.frames if frame - self.frames >= self._first else frame
        uses = self._uses[:, frame % self.frames]
        if self._compulsory:
            self.stuck = True
            self._overruns[:] = 1
            self._note_first(np.ones(len(uses), bool), before)
        else:
            self._note_first(uses == 0, before)
            np.maximum(uses, 1, out=uses)  # the beginning frame counts it

    def _advance(self, begun: int) -> None:
        while self.begun < begun and not self.stuck:
            count = begun - self.begun
            slot = self.begun % self.frames
            laps = count // self.frames - 1
            if laps > 0 and slot == 0 and not self._compulsory and np.all(self._uses > 0):
                self._overruns += laps * self.frames
                self._note_first(np.ones(len(self._uses), bool), self._replaced(0))
                self._uses += laps
                self.begun += laps * self.frames
            else:
                self._begin(slot, min(count, self.frames - slot))

    def _begin(self, slot: int, count: int) -> None:
        uses = self._uses[:, slot : slot + count]
        if np.count_nonzero(uses):
            taken: NDArray[np.bool_] = uses > 0
            if self._compulsory:
                count = int(np.argmax(taken.any(axis=0)))
                uses = uses[:, :count]
                self.stuck = True
                met = taken[:, count]
                self._overruns[met] = 1
                self._note_first(met, self._replaced(count))
            else:
                self._overruns += taken.sum(axis=1)
                self._note_first(np.atleast_1d(taken.any(axis=1)), self._replaced(taken.argmax(axis=1)))
        uses += 1
        self.begun += count

    def note_overrun(self, frame: int) -> None:
        """Count a frame that was overwritten before its time."""
        self._overruns += 1
        self._note_first(np.ones(len(self._overruns), bool), frame)

    def _replaced(self, count: Any) -> Any:
        """Which frame stands where the next but `count` will: a lap before, or the same one before a restart."""
        number = self.begun + count
        return np.where(number - self.frames >= self._first, number - self.frames, number)

    def _note_first(self, rows: NDArray[Any], frames: NDArray[np.int64] | int) -> None:
        self._first_overrun = np.where(rows & (self._first_overrun == NEVER), frames, self._first_overrun)

    def acknowledge(self, frame: int, count: int, channel: int, channels: int) -> None:
        """Free the slots of `count` frames from `frame` (its low 32 bits) on, whatever they hold; any range is taken.

        Of the frames with these bits the one nearest to the next to begin is meant. Those below 0 have no slot. Raises
        `DoubleAcknowledge`, where acknowledging is compulsory, if one of them is not in use.
        """
        rows = self._rows(channel, channels)
        number = self.begun + (frame - self.begun + _HALF) % (2 * _HALF) - _HALF
        before = min(max(-number, 0), count)
        parts = self._parts((number + before) % self.frames, min(count - before, self.frames))
        if self._compulsory and before:
            raise DoubleAcknowledge
        if self._compulsory and not all(self._uses[rows, part].all() for part in parts):
            raise DoubleAcknowledge
        for part in parts:
            self._uses[rows, part] = 0

    def _rows(self, channel: int, channels: int) -> slice:
        if len(self._uses) == 1:
            if channels >= self._channels:
                return slice(0, 1)
            self._uses = np.repeat(self._uses, self._channels, axis=0)
            self._overruns = np.repeat(self._overruns, self._channels)
            self._first_overrun = np.repeat(self._first_overrun, self._channels)
        return slice(channel, channel + channels)

    def _parts(self, slot: int, count: int) -> list[slice]:
        end = slot + count
        if end <= self.frames:
            return [slice(slot, end)]
        return [slice(slot, self.frames), slice(0, end - self.frames)]

    def oldest(self) -> int:
        """Return the number of the first frame not acknowledged on every channel, or of the next to begin."""
        self._oldest = max(self._oldest, self.begun - self.frames)
        while self._oldest < self.begun:
            slot = self._oldest % self.frames
            count = min(self.begun - self._oldest, self.frames - slot)
            uses = self._uses[:, slot : slot + count]
            waiting = (uses[0] if len(uses) == 1 else uses.max(axis=0)) > 0
            skipped = int(waiting.argmax())
            if waiting[skipped]:
                self._oldest += skipped
                break
            self._oldest += count
        return self._oldest

    def held(self, slot: int, count: int) -> list[tuple[int, int]]:
        """Which frames `count` slots from `slot` on hold, as (first frame, how many); frames below 0 were never begun.

        The slots may not straddle the wrap. Frames below the run's first one are not of this run.
        """
        last = self.begun - 1
        first = last - (last - slot) % self.frames
        until = last - first + 1
        if count <= until:
            return [(first, count)]
        return [(first, until), (first + until - self.frames, count - until)]

    def numbers(self, slot: int, count: int) -> NDArray[np.int64]:
        """Frame number of each of `count` slots, `NEVER` for one unused in this run: int64 (count,)."""
        held = self.held(slot, count)
        numbers = frame_numbers(held)
        if held[-1][0] < self._first:
            numbers[numbers < self._first] = NEVER
        return numbers

    def uses(self, slot: int, count: int, channel: int) -> NDArray[np.int32]:
        """How often each of `count` slots was used since its last acknowledgement, for one channel: int32 (count,)."""
        return self._uses[min(channel, len(self._uses) - 1), slot : slot + count]

    def overrun(self, channel: int) -> tuple[int, int]:
        """Frames overwritten unacknowledged on a channel, and the first of them; channel < 0: the worst channel."""
        row = int(self._overruns.argmax()) if channel < 0 else min(channel, len(self._overruns) - 1)
        return int(self._overruns[row]), int(self._first_overrun[row])


def frame_numbers(held: list[tuple[int, int]]) -> NDArray[np.int64]:
    """Spell out pieces of (first frame, how many): int64, one number per slot."""
    pieces = [np.arange(first, first + count) for first, count in held]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
