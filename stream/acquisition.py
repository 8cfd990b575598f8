"""The acquisition thread, the way of a frame: wait, read a block, verify it, acknowledge it, hand it on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from xsp3ioc.sdk import STATUS_DTYPE, ErrorFlag, Xspress3, Xspress3Error
from xsp3ioc.stream.blocks import Arrays, Block, FrameStatus
from xsp3ioc.stream.data_socket import DataSocket
from xsp3ioc.stream.formulas import Scaler, dead_time_factors
from xsp3ioc.stream.heartbeat import Heartbeat
from xsp3ioc.stream.messages import EVENT_WIDTH, image_of
from xsp3ioc.stream.pool import Lease, Pool
from xsp3ioc.stream.room import Room
from xsp3ioc.stream.series import Series
from xsp3ioc.stream.verification import Faulty, runs, verify, whole

log = logging.getLogger(__name__)

LONGEST_SLEEP = 0.01
"""Seconds between two looks at the progress, at most; half a frame if that is less."""
STOPPED_BY_OVERRUN = ErrorFlag.histogram_overrun | ErrorFlag.scaler_overrun
HANDLED = ErrorFlag.playback_underrun | ErrorFlag.circular_overrun | STOPPED_BY_OVERRUN
"""Flags that are no news: an underrun of the playback is harmless, overruns show in the frames themselves."""
PATIENCE = 2.0
"""Seconds without a frame after which the cards are asked whether they are there: a lost one just stops counting."""


class Acquisition(threading.Thread):
    """Reads one series to its end; ends with it. Costs no processor time but its looks at the progress."""

    def __init__(
        self,
        series: Series,
        sdk: Xspress3,
        pool: Pool,
        data: DataSocket,
        on_block: Callable[[Block], None],
        on_warning: Callable[[str], None],
        on_end: Callable[[Series], None],
    ) -> None:
        """Call back from this thread: `on_warning` says what was lost, or is wrong, `on_end` comes exactly once."""
        super().__init__(name=f"series {series.id}", daemon=True)
        self._series = series
        self._sdk = sdk
        self._data = data
        self._on_block = on_block
        self._on_warning = on_warning
        self._on_end = on_end
        self._status = np.zeros((pool.channels, pool.slab_frames), STATUS_DTYPE)
        # None: all of them count, and the library's own progress is theirs.
        self._enabled = series.enabled if series.enabled is not None and not series.enabled.all() else None
        self._room = Room(pool, data.subscribers, sdk.ring)
        self._flags = ErrorFlag(0)
        self._patient_until = time.monotonic() + PATIENCE
        self._heartbeat = Heartbeat()
        self._cut_off: set[str] = set()
        """Names of subscribers of whom it has been said that they are too slow."""
        self.furthest = 0
        """Frames that the hardware has finished."""
        self.messages = 1
        """Messages of the series published so far, its header included."""

    def run(self) -> None:
        """Read until all is read, it is stopped, or it fails."""
        series = self._series
        try:
            self._read_all()
        except Exception as error:
            known = isinstance(error, Xspress3Error)
            log.error("Series %d failed at frame %d: %s", series.id, series.next, error, exc_info=not known)
            series.reason, series.error = "failed", str(error)
            self._stop_failed()
            self._lose_rest("failed")
        finally:
            self._on_end(series)

    def _read_all(self) -> None:
        series = self._series
        wanted = series.header.frames
        # Where a gate sets the exposure, it is 0 in the header.
        pause = min(LONGEST_SLEEP, (series.header.exposure + series.header.gap) / 2) or LONGEST_SLEEP
        while True:
            stopping = series.stop_asked.is_set()
            if series.abandoned.is_set() and not stopping:
                return  # given up by the core: the hardware may be somebody else's by now
            ready = self._stop_hardware() if stopping else self._look()
            if wanted:
                ready = min(ready, wanted)
            idle = ready <= series.next
            look_again = time.monotonic() + LONGEST_SLEEP
            while series.next < ready and not series.abandoned.is_set():
                self._read_block(ready)  # at least one frame, or the reason why not
                if series.error:
                    self._sdk.stop()
                    self._lose_rest("overrun")
                    return
                if not stopping and (series.stop_asked.is_set() or time.monotonic() > look_again):
                    break  # the hardware stops first; or how far it is must be known, for the room that is left
            if idle and series.error:
                self._sdk.stop()
                return
            if stopping:
                series.reason = series.reason if series.reason != "complete" else "stopped"
                if series.next < ready:
                    series.lose(series.next, ready - 1, "abandoned")
                return
            if wanted and series.next >= wanted:
                self._sdk.stop()
                return
            if idle:
                self._suspect()
                series.stop_asked.wait(pause)

    def _suspect(self) -> None:
        """Ask hardware from which nothing has come for long whether it is there; Xspress3Error if it is not."""
        now = time.monotonic()
        if now > self._patient_until:
            self._patient_until = now + PATIENCE
            self._heartbeat.listen(self._sdk)

    def _lose_rest(self, reason: str) -> None:
        """Name the frames that the hardware had finished and nobody will read."""
        series = self._series
        after = max(series.next, series.missing[-1].last + 1 if series.missing else 0)
        end = min(self.furthest, series.header.frames or self.furthest)
        if after < end:
            series.lose(after, end - 1, reason)

    def _stop_failed(self) -> None:
        if self._series.abandoned.is_set():
            return  # the hardware may be somebody else's by now
        try:
            self._sdk.stop()
        except Xspress3Error as error:
            log.error("Nor can it be stopped: %s", error)

    def _look(self) -> int:
        progress = self._sdk.progress()
        self.furthest = progress.furthest
        if new := progress.flags & ~(self._flags | HANDLED):
            self._flags |= new
            where = f"frame {progress.frames} of series {self._series.id}"
            self._on_warning(f"The detector reports {_words(new)} at {where}")
        if progress.flags & STOPPED_BY_OVERRUN and progress.frames <= self._series.next and not self._series.error:
            # A Mini stops at a frame that was not acknowledged in time: no more will come.
            self._series.reason = "overrun"
            self._series.error = (
                f"Overrun: the detector stopped at frame {progress.frames}, its memory of {self._sdk.ring} frames was "
                f"full; {self._series.acquired} frames before it are safe"
            )
        return progress.frames if self._enabled is None else self._look_at_enabled(progress.frames)

    def _look_at_enabled(self, frames: int) -> int:
        """Return how many frames are complete on the channels that count, where the library waits for all of them."""
        first = max(frames, self._series.next)
        room = self._sdk.ring - first % self._sdk.ring
        count = min(self.furthest - first, room, self._status.shape[1])
        if self._enabled is None or count <= 0:
            return frames
        status = self._status[:, :count]
        self._sdk.frame_status(first, status)
        return first + whole(status, first, self._enabled)

    def _stop_hardware(self) -> int:
        """Stop counting; return how many frames are whole.

        The frame that a stop cuts short is closed by the library; where the generator makes frames it is no frame
        of the exposure asked for, and is left out. A software or gated frame is over when it is closed.
        """
        before = self._look()
        self._sdk.stop()
        for _ in range(20):
            if not self._sdk.busy:
                break
            time.sleep(0.01)
        return before if self._series.trigger.exposed else self._look()

    def _read_block(self, ready: int) -> None:
        series, sdk = self._series, self._sdk
        if self._skip_overwritten():
            return
        first = series.next
        lease = self._lease(min(ready - first, sdk.ring - first % sdk.ring))
        if lease is None:
            return
        arrays = lease.arrays
        count = len(arrays.frames)
        status = self._status[:, :count]
        sdk.read_mca(first, arrays.mca)
        sdk.read_scalers(first, arrays.scalers)
        # After the data: a frame that was overwritten while it was read says so now.
        sdk.frame_status(first, status)  # each channel has a receiver of its own
        if series.abandoned.is_set():
            return  # given up while the library was busy: these frames have been said to be lost
        sdk.acknowledge(first, count)
        faulty = verify(status, first, self._enabled)
        arrays.frames["markers"] = np.bitwise_or.reduce(status["markers"])
        arrays.frames["status"] = FrameStatus.valid
        if faulty is None:
            series.acquired += count
        else:
            count = self._mark(arrays, faulty)
        if count:
            self._hand_on(lease, count)

    def _lease(self, frames: int) -> Lease | None:
        """Room for frames, when it is time to read them. None: they are gone, or the series is given up."""
        series = self._series
        while (lease := self._room.lease(frames, self.furthest - series.next)) is None:
            if series.abandoned.is_set():
                return None
            cut = self._room.cut_off(series.id, self.furthest - series.next)
            if cut is not None and cut[0] not in self._cut_off:  # how much it is in all is said at the end
                name, gaps = cut
                self._cut_off.add(name)
                text = ", ".join(f"{gap.first}..{gap.last}" for gap in gaps)
                self._on_warning(f"Subscriber {name!r} is too slow and lost frames {text} of series {series.id}")
            time.sleep(0.0005)
            self._look()
            if self._skip_overwritten():
                return None
        return lease

    def _skip_overwritten(self) -> bool:
        """Leave out frames that are surely gone: more than a whole ring behind."""
        series = self._series
        if self.furthest - series.next <= self._sdk.ring:
            return False
        # A quarter of the ring is left for catching up, else every block would be overwritten while it is read.
        first_kept = self.furthest - self._sdk.ring * 3 // 4
        if series.header.frames:
            first_kept = min(first_kept, series.header.frames)
        self._overrun(series.next, first_kept - 1)
        series.elapsed += (first_kept - series.next) * (series.header.exposure + series.header.gap)
        series.next = first_kept
        return True

    def _mark(self, arrays: Arrays, faulty: Faulty) -> int:
        """Return how many frames of the block are handed on: those before the first overrun, or all of them."""
        series, first = self._series, self._series.next
        count = frames = len(faulty.overrun)
        if series.stop_on_overrun and faulty.overrun.any():
            count = int(faulty.overrun.argmax())
        kept = faulty.before(count)
        for start, last in runs(kept.missing):
            self._missing(first + start, first + last)
        for start, last in runs(kept.overrun):
            self._overrun(first + start, first + last)
        faulty.blank(arrays)
        series.acquired += count - int(np.count_nonzero(kept.missing | kept.overrun))
        if count < frames:
            self._overrun(first + count, first + frames - 1)
        return count

    def _missing(self, first: int, last: int) -> None:
        self._series.lose(first, last, "missing")
        self._on_warning(f"Frames {first}..{last} of series {self._series.id} did not come from the detector")

    def _overrun(self, first: int, last: int) -> None:
        series = self._series
        series.lose(first, last, "overrun")
        if series.stop_on_overrun:
            series.reason = "overrun"
            series.error = (
                f"Overrun: frame {first} was overwritten in the circular buffer of {self._sdk.ring} frames before it "
                f"was read; {series.acquired} frames before it are safe"
            )
        log.error("Series %d: frames %d..%d overwritten before they were read", series.id, first, last)

    def _hand_on(self, lease: Lease, count: int) -> None:
        series = self._series
        block = lease.arrays.block(series.id, series.next, count, lease.place)
        if series.header.dead_time_model == EVENT_WIDTH:
            dead_time_factors(block.scalers, series.event_widths, block.factors)
        else:
            self._sdk.dead_time_factors(block.scalers, block.factors)
            # The vendor's formula divides by what may be zero; ours does not.
            np.nan_to_num(block.factors, copy=False, nan=1.0, posinf=1.0, neginf=1.0)
        block.frames["time"] = series.times(block.scalers[:, 0, Scaler.total_ticks])
        before, series.latest = series.latest.end if series.latest is not None else 0, block
        self._patient_until = time.monotonic() + PATIENCE
        series.attributes = series.read_attributes()
        missing = series.gaps(before, block.first) if block.first > before else ()
        image = image_of(block, self.messages, series.attributes, missing)
        self._data.publish(image, block, series.audience_of(block))
        self.messages += 1
        series.next = block.end
        self._on_block(block)


def _words(flags: ErrorFlag) -> str:
    return ", ".join(str(flag.name).replace("_", " ") for flag in flags) or f"flags {int(flags):#x}"
