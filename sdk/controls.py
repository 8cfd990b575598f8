"""Who makes frames, and the run: timing, internal time frame generator, start and stop."""

from collections.abc import Sequence

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import FrameGenerator, Timing, TimingState
from xsp3ioc.sdk.constants import (
    GapMode,
    InPause,
    ItfgTrigger,
    MarkerSource,
    TimingBit,
    TimingSource,
    TtlOut,
)
from xsp3ioc.sdk.identity import Identity

MOST_DEBOUNCE = 255
_MOST_FIRST_FRAME = 0xFFFFFF
_MARKER_SOURCE = 30


class TimingControls(Identity):
    """Timing, of one card or of several that follow card 0."""

    _gap = GapMode.us1
    _first_frame = 0
    _markers = MarkerSource.ttl
    _generator = FrameGenerator(0, 0, ItfgTrigger.burst, GapMode.us1)
    _ttl_out: dict[int, TtlOut] = {}

    def set_timing(
        self,
        source: TimingSource,
        *,
        card: int = -1,
        invert_f0: bool = False,
        invert_veto: bool = False,
        debounce: int = 0,
        other_debounce: int | None = None,
        loop_io: bool = False,
        frame_capture: bool = False,
    ) -> None:
        """Choose who makes frames.

        With card -1, card 0 gets the source and the others follow its veto on their TTL input. `debounce` is in clock
        cycles 0..255. The other cards have the same, except behind the internal generator: theirs is then what its gap
        needs, or they would take the gap for a glitch. `loop_io` repeats the TTL inputs on the outputs;
        `frame_capture` deletes frames at whose end TTL input 0 is low. ValueError for an impossible debounce.
        """
        source = TimingSource(source)  # ValueError for what is none: the register would keep three bits of it
        if other_debounce is None:
            other_debounce = self._gap.debounce if source is TimingSource.internal else debounce
        for name, value in (("debounce", debounce), ("other_debounce", other_debounce)):
            if not 0 <= value <= MOST_DEBOUNCE:
                raise ValueError(f"{name} = {value} is outside 0..{MOST_DEBOUNCE} clock cycles")
        extra = loop_io << TimingBit.loop_io | frame_capture << TimingBit.frame_capture
        register = source | debounce << TimingBit.debounce | extra
        register |= invert_f0 << TimingBit.invert_f0 | invert_veto << TimingBit.invert_veto
        if card >= 0:
            self._write_timing(card, register)
        elif self.is_mark2 and self.cards > 1:  # the mid-plane has no TTL chain; the library knows its wiring
            more = frame_capture << TimingBit.frame_capture
            self.apply_timing(
                Timing(
                    source, self._first_frame, self._markers, invert_f0, invert_veto, loop_io, debounce, other_debounce,
                    more | self._ttl_bits(0), more | self._ttl_bits(1),
                )
            )  # fmt: skip
        else:
            self._write_timing(0, register)
            for other in range(1, self.cards):
                self._write_timing(other, TimingSource.ttl_veto | other_debounce << TimingBit.debounce | extra)

    def _write_timing(self, card: int, register: int) -> None:
        self._call("xsp3_set_glob_timeA", card, register | self._ttl_bits(card))

    def _ttl_bits(self, card: int) -> int:
        """Keep the function of the TTL outputs, which is in the same register."""
        return self._ttl_out.get(card, TtlOut.veto) << TimingBit.ttl_out

    def apply_timing(self, timing: Timing) -> None:
        """Set the timing of all cards at once, with the library's own idea of how the other cards follow card 0."""
        setup = ffi.new("Xsp3Timing *")
        setup.t_src = int(timing.source)
        setup.fixed = self._fixed(timing.first_frame, timing.markers)
        setup.inv_f0, setup.inv_veto, setup.loop_io = timing.invert_f0, timing.invert_veto, timing.loop_io
        setup.debounce, setup.override_debounce_other = timing.debounce, timing.other_debounce
        setup.card0_a_extra, setup.cardn_a_extra = timing.card0_extra, timing.other_extra
        self._call("xsp3_set_timing", setup)

    def timing_register(self, card: int = 0) -> int:
        """Return timing register A of a card, as the hardware has it."""
        return self._get("xsp3_get_glob_timeA", card)

    def set_first_frame(self, frame: int, markers: MarkerSource | None = None) -> None:
        """Set the number of a run's first frame, 0..0xFFFFFF, and where markers come from, on every card.

        Without a source, markers are those of the internal generator if it makes any, else of the TTL inputs.
        """
        if markers is None:
            markers = MarkerSource.itfg if self._generator.marker_period else MarkerSource.ttl
        self._call("xsp3_set_glob_timeFixed", -1, self._fixed(frame, markers))
        self._first_frame, self._markers = frame, markers

    @staticmethod
    def _fixed(frame: int, markers: MarkerSource) -> int:
        if not 0 <= frame <= _MOST_FIRST_FRAME:
            raise ValueError(f"first frame = {frame} is outside 0..{_MOST_FIRST_FRAME:#x}")
        return frame | int(markers) << _MARKER_SOURCE

    def first_frame(self, card: int = 0) -> tuple[int, MarkerSource]:
        """Return the number of a run's first frame, and where markers come from."""
        register = self._get("xsp3_get_glob_timeFixed", card)
        return register & _MOST_FIRST_FRAME, MarkerSource(register >> _MARKER_SOURCE)

    def setup_itfg(
        self,
        frames: int,
        ticks: int,
        trigger: ItfgTrigger = ItfgTrigger.burst,
        gap: GapMode = GapMode.us1,
        *,
        in_pause: InPause = InPause.off,
        marker_period: int = 0,
        marker_frame: int = 0,
    ) -> None:
        """Program the internal time frame generator of card 0.

        `frames` is 1..0xFFFFFF, or 0 for until stopped; `ticks` the exposure in clock ticks, at least 2. With
        `in_pause`, frames collect from trigger to trigger and `ticks` is the number of triggers to a frame. Every
        frame n with n % marker_period == marker_frame has marker 1. Set the generator before `set_timing` and
        `set_first_frame`: the other cards' debounce and the markers' source follow from it.
        """
        generator = FrameGenerator(frames, ticks, trigger, gap, in_pause, marker_period, marker_frame)
        if in_pause or marker_period:
            self._call("xsp3_itfg_setup2", 0, *(int(value) for value in generator))
        else:
            self._call("xsp3_itfg_setup", 0, frames, ticks, int(trigger), int(gap))
        self._gap, self._generator = GapMode(gap), generator

    def itfg(self) -> FrameGenerator:
        """How the internal time frame generator of card 0 is programmed; what libraries don't tell is as last set."""
        frames, ticks, trigger, gap = ffi.new("int *"), ffi.new("uint32_t *"), ffi.new("int *"), ffi.new("int *")
        self._call("xsp3_itfg_get_setup", 0, frames, ticks, trigger, gap)
        told = FrameGenerator(frames[0], ticks[0], ItfgTrigger(trigger[0]), GapMode(gap[0]))
        return told._replace(
            in_pause=self._generator.in_pause,
            marker_period=self._generator.marker_period,
            marker_frame=self._generator.marker_frame,
        )

    def stop_itfg(self, card: int = 0) -> None:
        """Stop the generator amid a run; the frames already taken are completed."""
        self._call("xsp3_itfg_stop", card)

    def start_itfg(self, card: int = 0) -> None:
        """Let the generator run again after `stop_itfg`, without arming: the next row of a map."""
        self._call("xsp3_itfg_start", card)

    def timing_state(self, card: int = 0) -> TimingState:
        """Say what the timing does at this moment."""
        register = self._get("xsp3_get_glob_time_statA", card)
        counting, running, waiting, finished = (bool(register >> bit & 1) for bit in range(24, 28))
        return TimingState(register & _MOST_FIRST_FRAME, counting, running, waiting, finished)

    def set_ttl_out(self, function: TtlOut, card: int = -1, force: bool = False) -> None:
        """Choose what the TTL outputs show; further cards need the veto of card 0."""
        self._call("xsp3_set_alt_ttl_out", card, int(function), int(force))
        chosen = range(self.cards) if card < 0 else (card,)
        self._ttl_out = self._ttl_out | dict.fromkeys(chosen, TtlOut(function))

    def set_trigger_inputs(self, inputs: Sequence[int] = (0, 1, 2, 3), card: int = 0) -> None:
        """Choose the TTL input of each of the four trigger functions."""
        self._call("xsp3_set_glob_trigger_select", card, ffi.new("Xsp3TriggerMux *", [list(inputs)]))

    def trigger_inputs(self, card: int = 0) -> tuple[int, ...]:
        """Return the TTL input of each of the four trigger functions."""
        inputs = ffi.new("Xsp3TriggerMux *")
        self._call("xsp3_get_glob_trigger_select", card, inputs)
        return tuple(inputs.trig_sel)

    def set_input_termination(self, mask: int, card: int = -1) -> None:
        """Terminate TTL inputs with 50 ohm, a bit for each (Mini 2, Xspress4 4); card -1: of all."""
        self._call("xsp3_set_trig_in_term", card, mask)

    def input_termination(self, card: int = 0) -> int:
        """Return the TTL inputs that are terminated with 50 ohm, a bit for each."""
        return self._get("xsp3_get_trig_in_term", card, kind="int *")

    def set_output_termination(self, mask: int, card: int = -1) -> None:
        """Put 50 ohm in series with TTL outputs, a bit for each (Mini 2, Xspress4 4); card -1: of all."""
        self._call("xsp3_set_trig_out_term", card, mask)

    def output_termination(self, card: int = 0) -> int:
        """Return the TTL outputs with 50 ohm in series, a bit for each."""
        return self._get("xsp3_get_trig_out_term", card, kind="int *")


class RunControls(TimingControls):
    """Start and stop."""

    def clear(self, frames: int) -> None:
        """Zero the first `frames` slots of the memory, before a run."""
        self._call("xsp3_histogram_clear", 0, self.channels, 0, frames)

    def arm(self, card: int = -1, *, one_by_one: bool = False) -> None:
        """Get ready; frames wait for `resume`. `one_by_one`: the other cards start first, and card 0 is armed last."""
        self._begin("xsp3_histogram_arm", card, one_by_one)

    def start(self, card: int = -1, *, one_by_one: bool = False) -> None:
        """Count, or wait for the hardware's trigger or gate; a run in progress is begun again.

        `one_by_one` starts card after card, with card 0 last: the others must be ready when it begins.
        """
        self._begin("xsp3_histogram_start", card, one_by_one)

    def _begin(self, name: str, card: int, one_by_one: bool) -> None:
        if not one_by_one:
            self._call(name, card)
            return
        for other in range(1, self.cards):
            self._call("xsp3_histogram_start", other)
        self._call(name, 0)

    def resume(self, card: int = 0) -> None:
        """Count enable goes high: a software trigger, or the next software-timed frame opens."""
        self._call("xsp3_histogram_continue", card)

    def pause(self, card: int = 0) -> None:
        """Count enable goes low: a software-timed frame closes; the next `resume` triggers again."""
        self._call("xsp3_histogram_pause", card)

    def trigger(self) -> None:
        """Give one software trigger to the internal time frame generator."""
        self.resume()
        self.pause()

    def stop(self, card: int = -1) -> None:
        """End the run; a frame in progress is closed, and all stay readable. Succeeds without a run."""
        self._call("xsp3_histogram_stop", card)

    @property
    def busy(self) -> bool:
        """Whether frames are being received; says nothing on a Mini."""
        return self._call("xsp3_histogram_is_any_busy") > 0
