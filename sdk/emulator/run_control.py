"""Emulated library functions of a run: start and stop, progress, acknowledging, reading."""

from typing import Any

import numpy as np

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.constants import ErrorFlag
from xsp3ioc.sdk.emulator.calls import (
    ERROR,
    OK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_channel,
    check_channels,
    check_frames,
    check_one_channel,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.ring import NEVER, DoubleAcknowledge
from xsp3ioc.sdk.readout import STATUS_DTYPE

_OVERRUN_FLAG = {False: ErrorFlag.circular_overrun, True: ErrorFlag.histogram_overrun}


class RunFunctions(EmulatedCalls):
    """Run control, progress and the circular buffer."""

    @emulated
    def xsp3_histogram_start(self, path: int, card: int) -> int:
        """Begin counting, or waiting for a trigger; the cards above 0 follow card 0."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.start(count_enable=True)
        return OK

    @emulated
    def xsp3_histogram_arm(self, path: int, card: int) -> int:
        """As start, with count enable low."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.start(count_enable=False)
        return OK

    @emulated
    def xsp3_histogram_continue(self, path: int, card: int) -> int:
        """Count enable goes high: a software trigger, or a software-timed frame opens."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.resume()
        return OK

    @emulated
    def xsp3_histogram_pause(self, path: int, card: int) -> int:
        """Count enable goes low: a software-timed frame closes."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.pause()
        return OK

    @emulated
    def xsp3_histogram_stop(self, path: int, card: int) -> int:
        """End the run; succeeds without one."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.stop()
        return OK

    @emulated
    def xsp3_histogram_clear(self, path: int, first_channel: int, channels: int, first_frame: int, frames: int) -> int:
        """Zero spectra and scalers."""
        system = self.system(path)
        check_channels(system, first_channel, channels)
        check_range("first_frame", first_frame, 0, system.ring - 1)
        check_range("num_frames", frames, 0, system.ring - first_frame)
        with system.lock:
            run = system.settled()
            if run is not None:
                run.clear(first_frame, frames, first_channel, channels)
        return OK

    @emulated
    def xsp3_histogram_is_any_busy(self, path: int) -> int:
        """1 while a frame is being counted."""
        system = self.system(path)
        with system.lock:
            run = system.settled()
            return int(run is not None and not run.ring.stuck and run.timeline.running(system.now))

    @emulated
    def xsp3_scaler_check_progress(self, path: int) -> int:
        """Return the number of complete frames."""
        return min(self._progress(path), 0x7FFFFFFF)

    @emulated
    def xsp3_scaler_check_progress_details(self, path: int, flags: Any, quiet: int, furthest: Any) -> int:
        """Return the number of complete frames, and what went wrong."""
        system = self.system(path)
        complete = self._progress(path)
        run = system.run
        if flags != ffi.NULL:
            overrun = run is not None and run.ring.overrun(-1)[0] > 0
            flags[0] = int(_OVERRUN_FLAG[system.settings.family.compulsory_acknowledge]) if overrun else 0
        if furthest != ffi.NULL:
            furthest[0] = complete
        return complete

    def _progress(self, path: int) -> int:
        system = self.system(path)
        if system.run is None and system.settings.family.compulsory_acknowledge:
            raise Refusal(ERROR, "no progress before the first arm or start")
        return system.progress()

    @emulated
    def xsp3_scaler_get_num_tf(self, path: int) -> int:
        """Frames of scalers that fit."""
        return self.system(path).ring

    @emulated
    def xsp3_histogram_circ_ack(self, path: int, channel: int, frame: int, channels: int, frames: int) -> int:
        """Release frames; any range of them is accepted."""
        system = self.system(path)
        check_channels(system, channel, channels)
        if system.settings.family.compulsory_acknowledge:  # acknowledges whole cards
            channel, channels = 0, system.channels
        with system.lock:
            run = system.settled()
            if run is not None:
                try:
                    run.acknowledge(frame, frames, channel, channels)
                except DoubleAcknowledge:
                    raise Refusal(ERROR, f"frames {frame}..{frame + frames - 1} are already acknowledged") from None
        return OK

    @emulated
    def xsp3_histogram_get_circ_overrun(self, path: int, channel: int, first: Any) -> int:
        """Frames overwritten before they were acknowledged, and the first of them."""
        system = self.system(path)
        check_channel(system, channel)
        with system.lock:
            run = system.settled()
            count, frame = (0, NEVER) if run is None else run.ring.overrun(channel)
        if first != ffi.NULL:
            first[0] = frame
        return count

    @emulated
    def xsp3_histogram_get_tf_status_block(self, path: int, channel: int, frame: int, frames: int, out: Any) -> int:
        """State, full number and markers of what the frames' slots hold."""
        system = self.system(path)
        check_one_channel(system, channel)
        slot = check_frames(system, frame, frames)
        status = np.frombuffer(ffi.buffer(out, frames * STATUS_DTYPE.itemsize), STATUS_DTYPE)
        with system.lock:
            run = system.settled()
            status["markers"] = 0
            status["state"] = 0 if run is None else run.ring.uses(slot, frames, channel)
            status["time_frame"] = NEVER if run is None else run.ring.numbers(slot, frames)
        return OK


