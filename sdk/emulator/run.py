"""One emulated run, from its start to the next: timeline, ring and content of the frames together."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import ErrorFlag
from xsp3ioc.sdk.emulator.losses import Losses
from xsp3ioc.sdk.emulator.pool import FramePool, Regions, timed_frame
from xsp3ioc.sdk.emulator.recorded import RecordedPool
from xsp3ioc.sdk.emulator.ring import NEVER, Ring, frame_numbers
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.timeline import Timeline

Kind = Literal["mca", "scalers"]

_NO_FLAGS = ErrorFlag(0)
_REMEMBERED = 256  # frames of their own length


class Held(NamedTuple):
    """What some slots hold at a moment: pieces of (first frame, how many), and where channels differ, which frame."""

    pieces: list[tuple[int, int]]
    odd: NDArray[np.int64] | None = None
    """Frame number per slot and channel, `NEVER` for none: int64 (slots, channels); None if all are as in `pieces`."""

    def numbers(self, channels: int) -> NDArray[np.int64]:
        """Frame number per slot and channel: int64 (slots, channels)."""
        if self.odd is not None:
            return self.odd
        return np.repeat(frame_numbers(self.pieces)[:, np.newaxis], channels, axis=1)

    def same(self, other: "Held") -> bool:
        """Whether the slots hold the same still."""
        if self.odd is None or other.odd is None:
            return self.pieces == other.pieces and self.odd is other.odd
        return np.array_equal(self.odd, other.odd)


class Run:
    """Frames `first` and up. Not thread-safe but for `fill`, which only reads what does not change."""

    def __init__(
        self,
        settings: EmulatorSettings,
        timeline: Timeline,
        ring: Ring,
        pool: FramePool | RecordedPool | None,
        regions: Regions,
        bits: int,
        *,
        first: int,
        circular: bool,
    ) -> None:
        self.timeline = timeline
        self.ring = ring
        self.first = first
        self.losses = Losses(settings, ring.frames, first)
        self._settings = settings
        self._channels = settings.channels
        self._pool = pool
        self._regions = regions
        self._bits = bits
        self._limit = None if circular else max(0, ring.frames - first)
        self._base = 0  # where frame `first` stands in the timeline; it may be counted again
        self._settled = 0  # frames of the timeline that are in the ring
        self._timed: dict[tuple[int, int], dict[Kind, NDArray[np.uint32]]] = {}
        self._cleared: NDArray[np.int64] | None = None
        self.make_room()

    def settle(self, now: int) -> None:
        """Bring the ring up to the time `now`, in ticks."""
        begun = self.timeline.begun(now)
        if begun == self._settled:
            return
        for zero in self.timeline.zeros(max(self._settled, self._base + 1), begun):
            self._advance(zero)
            self.ring.restart()
            self._base = zero
        self._settled = begun
        self._advance(begun)

    def _advance(self, begun: int) -> None:
        number = self.first + self._limited(begun - self._base)
        end = self.losses.end
        self.ring.advance(number if end is None else min(number, end + 1))

    def acknowledge(self, frame: int, count: int, channel: int, channels: int) -> None:
        """Free slots, see `Ring.acknowledge`; at the reader's pace that makes room for more frames.

        Where acknowledging is compulsory, one channel stands for its whole card.
        """
        if self._settings.family.compulsory_acknowledge:
            per_card = self._settings.channels_per_card
            end = min(-(-(channel + channels) // per_card) * per_card, self._channels)
            channel -= channel % per_card
            channels = end - channel
        self.ring.acknowledge(frame, count, channel, channels)
        self.make_room()

    def make_room(self) -> None:
        """At the reader's pace, let as many frames come as there is room for."""
        if self.timeline.room is None:
            return
        if self._limit is not None:
            self.timeline.room = self.ring.frames
            return
        taken = self.ring.oldest() - self.first + self._base
        room = taken + min(self._settings.ahead, self.ring.frames)
        # A frame that restarts the number waits until all before it have been read.
        self.timeline.room = min([room, *self.timeline.zeros(taken + 1, room)])

    def complete(self, now: int, channels: range | None = None) -> int:
        """Return the number after that of the last frame complete on some channels, or everywhere, 0 before any.

        The ring must be settled.
        """
        return self._so_far(now, self.losses.soonest if channels is None else self.losses.soonest_of(channels))

    def furthest(self, now: int) -> int:
        """Return the same for the channel most ahead."""
        return self._so_far(now, self.losses.end)

    def _so_far(self, now: int, lost: int | None) -> int:
        count = self._limited(max(0, self.timeline.complete(now) - self._base))
        if self.ring.stuck:
            count = min(count, self.ring.begun - self.first)
        if lost is not None:
            count = min(count, max(0, lost - self.first))
        return self.first + count if count else 0

    def flags(self, now: int) -> ErrorFlag:
        """Return what went wrong so far; the ring must be settled."""
        flags = _NO_FLAGS
        compulsory = self._settings.family.compulsory_acknowledge
        if self.ring.overrun(-1)[0]:
            flags |= ErrorFlag.histogram_overrun if compulsory else ErrorFlag.circular_overrun
        if compulsory and any(self.dropped(channel, now) for channel in range(self._channels)):
            flags |= ErrorFlag.histogram_missing
        return flags

    def dropped(self, channel: int, now: int) -> int:
        """Return how many frames of a channel never came; the ring must be settled."""
        return self.losses.count(channel, self.complete(now))

    def stop(self, now: int) -> None:
        """End the run."""
        self.settle(now)
        self.timeline.stop(now)
        self.settle(now)

    def _limited(self, count: int) -> int:
        return count if self._limit is None else min(count, self._limit)

    def held(self, slot: int, count: int) -> Held:
        """Which frames `count` slots from `slot` on hold; the slots may not straddle the wrap."""
        pieces = self.ring.held(slot, count)
        return Held(pieces, self.losses.held(pieces) if self.losses.any else None)

    def status(self, slot: int, count: int, channel: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """State and frame number of each of `count` slots, for one channel: int32 and int64 (count,)."""
        uses, numbers = self.ring.uses(slot, count, channel), self.ring.numbers(slot, count)
        if not self.losses.any:
            return uses, numbers
        held = self.held(slot, count).numbers(self._channels)[:, channel]
        held = np.where(held < self.first, NEVER, held)
        # Of two frames that should be there only one came, or one more than should; another's is one, too.
        gone = (held < numbers) & ((held == NEVER) | ((numbers - held) % self.ring.frames == 0))
        return np.maximum(uses - gone + (held > numbers), 0), held

    def overwrite(self, frame: int) -> None:
        """Let the frame that comes a lap later stand in this one's slot from now on."""
        self.losses.overwrite(frame)
        self.ring.note_overrun(frame)

    def clear(self, slot: int, count: int, channel: int, channels: int) -> None:
        """Zero what the slots hold now, for some channels."""
        if self._cleared is None:
            self._cleared = np.full((self._channels, self.ring.frames), NEVER, np.int64)
        numbers = self.held(slot, count).numbers(self._channels).T
        self._cleared[channel : channel + channels, slot : slot + count] = numbers[channel : channel + channels]

    def set_regions(self, regions: Regions) -> None:
        """Count with other thresholds and windows from now on."""
        self._regions = regions
        self._timed.clear()
        if self._pool is not None:
            self._pool.set_regions(regions)

    def fill(self, kind: Kind, slot: int, held: Held, out: NDArray[np.uint32]) -> None:
        """Fill `out` (slots, channels, bins or 9) from `slot` on with the frames that `held` named."""
        at = 0
        for first, count in held.pieces:
            self.frames(kind, first, out[at : at + count])
            at += count
        if held.odd is not None:
            self._fill_odd(kind, held.odd, frame_numbers(held.pieces), out)
        if self._cleared is not None:
            out[self._cleared[:, slot : slot + at].T == held.numbers(self._channels)] = 0

    def _fill_odd(
        self, kind: Kind, odd: NDArray[np.int64], numbers: NDArray[np.int64], out: NDArray[np.uint32]
    ) -> None:
        one = np.empty_like(out[:1])
        for index, channel in np.argwhere(odd != numbers[:, np.newaxis]).tolist():
            number = int(odd[index, channel])
            if number == NEVER:
                out[index, channel] = 0
            else:
                self.frames(kind, number, one)
                out[index, channel] = one[0, channel]

    def frames(self, kind: Kind, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out` with frames from number `first` on; those before the run's first are zero."""
        unused = min(max(self.first - first, 0), len(out))
        if unused:
            out[:unused] = 0
            first, out = first + unused, out[unused:]
        if not len(out):
            return
        if self._pool is None:
            out[:] = 0
        elif kind == "mca":
            self._pool.mca(first, out)
        else:
            self._pool.scalers(first, out)
        if isinstance(self._pool, RecordedPool):
            return  # however long it lasts here, it holds what it held
        base = self._base
        for index, ticks in self.timeline.uneven(first - self.first + base, len(out)).items():
            number = index - base + self.first
            out[number - first] = self._timed_frame(number, ticks)[kind]

    def indexes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where frames stand in the timeline: int64, same shape; negative for those that are not of this run."""
        found = numbers + (self._base - self.first)
        found[numbers < self.first] = NEVER
        return found

    def _timed_frame(self, number: int, ticks: int) -> dict[Kind, NDArray[np.uint32]]:
        found = self._timed.get((number, ticks))
        if found is None:
            threshold, windows = self._regions
            mca, scalers = timed_frame(
                self._settings, ticks, number, good_threshold=threshold, windows=windows, bits=self._bits
            )
            found = {"mca": mca, "scalers": scalers}
            if len(self._timed) >= _REMEMBERED:
                self._timed.clear()
            self._timed[number, ticks] = found
        return found
