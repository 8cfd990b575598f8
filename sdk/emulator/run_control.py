"""Emulated library functions of a run: start and stop, progress, acknowledging, reading."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.arguments import array_at, check_one_card, required
from xsp3ioc.sdk.emulator.calls import (
    ERROR,
    ILLEGAL_CHANNEL,
    OK,
    EmulatedCalls,
    Refusal,
    check_card,
    check_channels,
    check_frames,
    check_one_channel,
    check_range,
    emulated,
)
from xsp3ioc.sdk.emulator.ring import NEVER, DoubleAcknowledge
from xsp3ioc.sdk.emulator.system import System
from xsp3ioc.sdk.readout import STATUS_DTYPE


class RunFunctions(EmulatedCalls):
    """Run control, progress and the circular buffer."""

    @emulated
    def xsp3_histogram_start(self, path: int, card: int) -> int:
        """Begin counting, or waiting for a trigger; a run begins with card 0, and the others must be ready by then."""
        system = self.system(path)
        system.start(check_card(system, card), count_enable=True)
        return OK

    @emulated
    def xsp3_histogram_arm(self, path: int, card: int) -> int:
        """As start, with count enable low."""
        system = self.system(path)
        system.start(check_card(system, card), count_enable=False)
        return OK

    @emulated
    def xsp3_histogram_continue(self, path: int, card: int) -> int:
        """Count enable of card 0 goes high: a software trigger, or a software-timed frame opens."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.resume()
        return OK

    @emulated
    def xsp3_histogram_pause(self, path: int, card: int) -> int:
        """Count enable of card 0 goes low: a software-timed frame closes."""
        system = self.system(path)
        if 0 in check_card(system, card):
            system.pause()
        return OK

    @emulated
    def xsp3_histogram_stop(self, path: int, card: int) -> int:
        """End the run, or what a card behind card 0 adds to it; succeeds without one."""
        system = self.system(path)
        system.stop(check_card(system, card))
        return OK

    @emulated
    def xsp3_system_start_count_enb(self, path: int, card: int, count_enable: int, playback: int, scope: int) -> int:
        """Start as for a look at the scope, with or without count enable."""
        system = self.system(path)
        cards = check_card(system, card)
        check_range("count_enb", count_enable, 0, 1)
        check_range("pb_num_t", playback, 0, 0x7FFFFFFF)
        check_range("scope_num_t", scope, 0, 0x7FFFFFFF)
        system.start(cards, count_enable=bool(count_enable))
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
        return self._busy(self.system(path))

    @emulated
    def xsp3_histogram_is_busy(self, path: int, channel: int) -> int:
        """1 while a frame is being counted on one channel."""
        system = self.system(path)
        check_one_channel(system, channel)
        return self._busy(system, range(channel, channel + 1))

    @staticmethod
    def _busy(system: System, channels: range | None = None) -> int:
        with system.lock:
            run = system.settled()
            if run is None or run.ring.stuck or not run.timeline.running(system.now):
                return 0
            return int(channels is None or run.losses.soonest_of(channels) is None)

    @emulated
    def xsp3_scaler_check_progress(self, path: int) -> int:
        """Return the number of complete frames."""
        return min(self._progress(path), 0x7FFFFFFF)

    @emulated
    def xsp3_scaler_check_progress_details(self, path: int, flags: Any, quiet: int, furthest: Any) -> int:
        """Return the number of complete frames, and what went wrong."""
        system = self.part(path).system
        complete = self._progress(path)
        with system.lock:
            run, now = system.settled(), system.now
            if flags != ffi.NULL:
                flags[0] = 0 if run is None else int(run.flags(now))
            if furthest != ffi.NULL:
                furthest[0] = complete if run is None else max(complete, run.furthest(now))
        return complete

    def _progress(self, path: int) -> int:
        system, _, channels = self.part(path)
        if system.run is None and system.settings.family.compulsory_acknowledge:
            raise Refusal(ERROR, "no progress before the first arm or start")
        return system.progress(channels)

    @emulated
    def xsp3_scaler_check_desc(self, path: int, card: int) -> int:
        """Return the number of frames that one card has completed."""
        system = self.system(path)
        return min(system.progress(system.channels_of(check_one_card(system, card))), 0x7FFFFFFF)

    @emulated
    def xsp3_histogram_get_dropped(self, path: int, channel: int) -> int:
        """Return the number of frames of one channel that never came."""
        system = self.system(path)
        check_one_channel(system, channel)
        with system.lock:
            run = system.settled()
            return 0 if run is None else run.dropped(channel, system.now)

    @emulated
    def xsp3_scaler_get_num_tf(self, path: int) -> int:
        """Frames of scalers that fit."""
        return self.system(path).ring

    @emulated
    def xsp3_histogram_circ_ack(self, path: int, channel: int, frame: int, channels: int, frames: int) -> int:
        """Release frames; any range of them is accepted."""
        system = self.system(path)
        check_channels(system, channel, channels)
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
        """Frames overwritten before they were acknowledged, and the first of them; channel < 0: of the worst."""
        system, _, own = self.part(path)
        if channel >= len(own):
            raise Refusal(ILLEGAL_CHANNEL, f"channel {channel} is outside 0..{len(own) - 1}")
        with system.lock:
            run = system.settled()
            count, frame = 0, NEVER
            if run is not None:
                channels = own if channel < 0 else own[channel : channel + 1]
                count, frame = max((run.ring.overrun(number) for number in channels), key=lambda found: found[0])
        if first != ffi.NULL:
            first[0] = frame
        return count

    @emulated
    def xsp3_histogram_get_tf_status(self, path: int, channel: int, frame: int, out: Any) -> int:
        """State, full number and markers of what a frame's slot holds."""
        system = self.system(path)
        required(tf_status=out)
        _status(system, channel, check_frames(system, frame, 1), array_at(out, STATUS_DTYPE, 1))
        return OK

    @emulated
    def xsp3_histogram_get_tf_status_block(self, path: int, channel: int, frame: int, frames: int, out: Any) -> int:
        """State, full number and markers of what the frames' slots hold."""
        system = self.system(path)
        slot = check_frames(system, frame, frames)
        required(tf_status=out)
        _status(system, channel, slot, array_at(out, STATUS_DTYPE, frames))
        return OK

    @emulated
    def xsp3_histogram_get_tf_markers(self, path: int, channel: int, frame: int, frames: int, out: Any) -> int:
        """Return the markers of what the frames' slots hold."""
        system = self.system(path)
        slot = check_frames(system, frame, frames)
        required(markers=out)
        status = np.zeros(frames, STATUS_DTYPE)
        _status(system, channel, slot, status)
        array_at(out, np.int32, frames)[:] = status["markers"]
        return OK


def _status(system: System, channel: int, slot: int, out: NDArray[Any]) -> None:
    """Fill `out` with what the slots hold, from `slot` on."""
    check_one_channel(system, channel)
    with system.lock:
        run = system.settled()
        if run is None:
            out["state"], out["time_frame"], out["markers"] = 0, NEVER, 0
            return
        out["state"], out["time_frame"] = run.status(slot, len(out), channel)
        out["markers"] = system.markers(run, out["time_frame"])
