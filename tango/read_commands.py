"""Commands that read frames: window counts, spectra and their sum. Channels count from 0, frames from 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tango import AutoTangoAllowThreads
from tango.server import command

from xsp3ioc.stream.recent_frames import RecentFrames
from xsp3ioc.stream.window_counts import WindowCounts
from xsp3ioc.tango.refusal import refuse

MOST_COUNTS = 1_000_000
"""Frames of which the counts are returned at once."""
ASKED = "channel (from 0), first and last frame (from 1, the last one included)"
ASKED_ALL = "channel (from 0; -1: all), first and last frame (from 1, the last one included)"
COUNTS = "one value per frame, -1 where there is none"
Frames = Sequence[int] | NDArray[np.int64]


class ReadCommands:
    """What `Xspress3DS` answers of frames; at once, without waiting for those to come."""

    core: Any
    add_command: Callable[..., Any]
    remove_command: Callable[..., None]
    _counts_served: tuple[str, ...] = ()

    def serve_counts(self) -> None:
        """Have the commands that return window counts exactly if these are kept; called by every Init."""
        counts: WindowCounts = self.core.window_counts
        for name in self._counts_served:
            self.remove_command(name, free_it=True, clean_db=False)
        self._counts_served = ()
        if not counts.enabled:
            return
        made = [
            made
            for window in (0, 1)
            for made in (
                _counts_command(f"ReadRawCounts_Window{window + 1}", "DevVarLong64Array", counts.raw, window),
                _counts_command(f"ReadDtcCounts_Window{window + 1}", "DevVarDoubleArray", counts.corrected, window),
            )
        ]
        for one in made:
            self.add_command(one)
        self._counts_served = tuple(one.__name__ for one in made)

    @command(
        dtype_in="DevVarLong64Array", doc_in=ASKED_ALL, dtype_out="DevVarULongArray",
        doc_out="Counts as they are: frames x bins, for all channels frames x channels x bins",
    )  # fmt: skip
    def ReadSpectra(self, asked: Frames) -> NDArray[np.uint32]:  # noqa: N802
        """Return spectra of the running or last series that are in the detector's circular buffer still."""
        recent: RecentFrames = self.core.recent_frames
        return self._read("ReadSpectra", recent.spectra, asked).reshape(-1)

    @command(
        dtype_in="DevVarLong64Array", doc_in=ASKED_ALL,
        dtype_out="DevVarULong64Array", doc_out="Counts as they are: bins",
    )  # fmt: skip
    def ReadSpectrumSum(self, asked: Frames) -> NDArray[np.uint64]:  # noqa: N802
        """Return the sum over frames, and channels, of spectra that are in the circular buffer still."""
        recent: RecentFrames = self.core.recent_frames
        return self._read("ReadSpectrumSum", recent.spectrum_sum, asked)

    def _read(self, name: str, read: Callable[[int, range], Any], asked: Frames) -> Any:
        # Without the lock of the device: State, progress and Stop answer meanwhile.
        with AutoTangoAllowThreads(self):
            try:
                return read(*_wanted(name, asked))
            except Exception as error:
                refusal = error
        refuse(refusal, name)


def _counts_command(name: str, kind: str, read: Callable[[int, int, range], Any], window: int) -> Any:
    def answer(asked: Frames) -> Any:
        try:
            channel, frames = _wanted(name, asked)
            if len(frames) > MOST_COUNTS:
                raise ValueError(f"{name} of {len(frames)} frames: {MOST_COUNTS} are possible at once")
            return read(window, channel, frames)
        except Exception as error:
            refuse(error, name)

    answer.__name__ = name
    answer.__doc__ = f"Return the counts of window {window + 1} in frames of the running or last series."
    return command(answer, dtype_in="DevVarLong64Array", doc_in=ASKED, dtype_out=kind, doc_out=COUNTS)


def _wanted(name: str, asked: Frames) -> tuple[int, range]:
    """Return channel and frames, these counted from 0; ValueError says what is to be asked."""
    if len(asked) != 3:
        raise ValueError(f"{name} takes three numbers, {ASKED}; not {len(asked)}")
    channel, first, last = map(int, asked)
    first = max(first, 1)
    if last < first:
        raise ValueError(f"{name}: the last frame, {last}, is before the first, {first}; they count from 1")
    return channel, range(first - 1, last)
