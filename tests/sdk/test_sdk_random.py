"""Random sequences of library calls, valid, on the border and wild, against a small model of the state machine."""

import functools

import hypothesis
import msgspec
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sdk_bench import Clock, internal, read, same, status
from sdk_calls import calls, make_call, message, refused

from xsp3ioc.sdk import (
    EmulatedLibrary,
    EmulatorSettings,
    RunFlag,
    Scaler,
    TimingSource,
    Xspress3,
    Xspress3Error,
    expected_frames,
    timed_frame,
)
from xsp3ioc.sdk.emulator.ring import NEVER

INVALID_PATH = -2
GAP = 80
BLOCK = 32
PLAIN = RunFlag.scalers | RunFlag.histogram
CIRCULAR = PLAIN | RunFlag.circular
NO_HEALTH_CHECK = list(hypothesis.HealthCheck)
TEXTS = {
    "baseIPaddress": b"", "baseMACaddress": b"", "modname": b"", "filename": b"/nowhere/file", "fname": b"/nowhere/log",
}  # fmt: skip


@functools.lru_cache(maxsize=16)
def expected_block(settings, ticks, number, bits):
    decoded = msgspec.json.decode(settings, type=EmulatorSettings)
    return expected_frames(decoded, ticks, number, BLOCK, bits=bits)[0]


def content(settings, ticks, number, bits):
    """Spectra of one frame (channels, bins)."""
    first = number // BLOCK * BLOCK
    return expected_block(msgspec.json.encode(settings), ticks, first, bits)[number - first]


# ---- any calls at all


ANY_SEQUENCE = {
    "product": st.sampled_from(("xspress3", "mini", "xspress4", "x3x2")),
    "cards": st.integers(1, 2),
    "program": st.lists(st.one_of(calls(), st.integers(0, 20_000)), min_size=5, max_size=30),
}


def carry_out(product, cards, program):
    clock = Clock()
    settings = EmulatorSettings(product=product, channels=2 * cards, cards=cards, count_rate=2e5)
    emulator = EmulatedLibrary(settings, clock, clock.sleep)
    Xspress3.configure(emulator, cards=cards, frames=16)
    for step in program:
        if isinstance(step, int):
            clock.ticks(step)
            continue
        name, values = step
        texts = TEXTS | {"dir_name": b"/nowhere"}
        answer, memory = make_call(emulator, name, values, texts)
        for parameter, found in memory.items():
            assert found.untouched_around, f"{name} wrote beyond {parameter}"
        if refused(answer):
            assert message(emulator), f"{name} was refused and does not say why"
    # Whatever that was, it works on.
    with Xspress3.configure(emulator, cards=cards, frames=16) as handle:
        handle.set_run_flags(CIRCULAR)
        handle.format()
        internal(handle, 4, 2000)
        handle.start()
        clock.ticks(4 * 2080)
        assert handle.progress() == (4, 4, 0)
        mca, _ = read(handle, 0, 4)
        for number in range(4):
            assert np.array_equal(mca[number, :2], content(settings, 2000, number, 12)[:2])


@hypothesis.given(**ANY_SEQUENCE)
@hypothesis.settings(max_examples=400, suppress_health_check=NO_HEALTH_CHECK)
def test_no_sequence_of_calls_brings_it_down(product, cards, program):
    carry_out(product, cards, program)


@pytest.mark.slow
@hypothesis.given(**ANY_SEQUENCE)
@hypothesis.settings(max_examples=5000, suppress_health_check=NO_HEALTH_CHECK)
def test_no_longer_search_brings_it_down(product, cards, program):
    carry_out(product, cards, program)


# ---- the state machine

LIMITED = {
    "xsp3_set_window": {"chan": "channel", "win": (0, 1), "low": (0, 4095), "high": (0, 4095)},
    "xsp3_get_window": {"chan": "one channel", "win": (0, 1)},
    "xsp3_set_good_thres": {"chan": "channel", "good_thres": (0, 4095)},
    "xsp3_get_good_thres": {"chan": "one channel"},
    "xsp3_get_trigger_b": {"chan": "one channel"},
    "xsp3_format_run": {"chan": "channel", "aux1_thres": (0, 1023), "aux2_cont": (0, 7), "aux2_mode": (0, 7),
                        "nbits_eng": (1, 12)},
    "xsp3_itfg_setup": {"card": "card", "num_tf": (0, 0xFFFFFF), "col_time": (2, 0xFFFFFFFF), "gap_mode": (0, 3)},
    "xsp3_histogram_start": {"card": "card"},
    "xsp3_histogram_arm": {"card": "card"},
    "xsp3_histogram_continue": {"card": "card"},
    "xsp3_histogram_pause": {"card": "card"},
    "xsp3_histogram_stop": {"card": "card"},
    "xsp3_set_glob_timeA": {"card": "card"},
    "xsp3_set_glob_timeFixed": {"card": "card"},
    "xsp3_get_glob_timeA": {"card": "one card"},
    "xsp3_clocks_setup": {"card": "card"},
    "xsp3_histogram_clear": {"first_chan": "one channel"},
    "xsp3_histogram_circ_ack": {"chan": "one channel", "num_chan": "count"},
    "xsp3_histogram_get_circ_overrun": {"chan": "channel"},
    "xsp3_histogram_get_tf_status": {"chan": "one channel"},
    "xsp3_histogram_get_tf_status_block": {"chan": "one channel", "ntf": "count"},
    "xsp3_histogram_get_tf_markers": {"chan": "one channel"},
    "xsp3_histogram_read4d": {"eng": (0, 4095), "num_eng": (1, 4096), "aux": (0, 0), "num_aux": (1, 1),
                              "chan": "one channel", "num_chan": "count", "num_tf": "count"},
    "xsp3_histogram_read3d": {"x": (0, 4095), "dx": (1, 4096), "y": "one channel", "dy": "count", "dt": "count"},
    "xsp3_scaler_read": {"scaler": (0, 8), "n_scalers": (1, 9), "chan": "one channel", "n_chan": "count",
                         "dt": "count"},
}  # fmt: skip
"""What each parameter of a function may be at most, without regard to the others (sdk.md, chapter 2)."""
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("pass_time"), st.sampled_from((1, 300, 880, 5000, 20_000))),
        st.tuples(st.just("read_frames"), st.integers(1, 8)),
        st.tuples(st.just("acknowledge"), st.integers(0, 8), st.integers(0, 8), st.integers(0, 1), st.integers(1, 2)),
        st.tuples(
            st.just("acknowledge_oddly"),
            st.sampled_from((0xFFFFFFFF, 0xFFFFFFF0, 123456789, 0)),
            st.sampled_from((0, 1, 9, 0xFFFFFFFF)),
        ),
        st.tuples(st.just("count_enable"), st.booleans()),
    ),
    max_size=12,
)
"""What happens in a run: methods of the model, and their arguments."""
READ_ONLY_POINTERS = {"flagsP", "furthest_frame", "firstP"}


class Model(RuleBasedStateMachine):
    """What is set, what runs since when, what was acknowledged."""

    channels = 2
    ring = 8

    @initialize(product=st.sampled_from(("xspress3", "xspress4", "mini", "x3x2")))
    def connect(self, product):
        self.clock = Clock()
        self.settings = EmulatorSettings(product=product, channels=self.channels, count_rate=2e5, seed=3)
        self.stops = self.settings.family.compulsory_acknowledge
        self.frequency = round(1 / self.settings.family.clock_period)
        self.emulator = EmulatedLibrary(self.settings, self.clock, self.clock.sleep)
        self.configure()

    def configure(self):
        self.handle = Xspress3.configure(self.emulator, frames=self.ring)
        self.bits, self.flags = 12, PLAIN
        self.windows = np.array([[(0, 4095)] * 2] * self.channels)
        self.threshold = np.full(self.channels, 50)
        self.forget_run()

    def forget_run(self):
        self.run = None  # (frames, ticks) or "software"
        self.ended = False
        self.was = 0
        self.cut = None

    @property
    def now(self):
        return self.clock() * self.frequency // 10**9

    @property
    def slots(self):
        return self.ring * 4096 >> self.bits

    # what a user does

    @rule(data=st.data())
    def connect_again(self, data):
        self.handle.close()
        assert self.emulator.xsp3_get_num_chan(0) == self.emulator.xsp3_histogram_start(0, -1) == INVALID_PATH
        self.call_wildly(data)
        self.configure()

    @rule(flags=st.sampled_from((PLAIN, CIRCULAR, CIRCULAR)), bits=st.sampled_from((12, 12, 12, 10)))
    def prepare(self, flags, bits):
        self.handle.set_run_flags(flags)
        assert self.handle.format(bits=bits) == self.ring * 4096 >> bits
        if bits != self.bits:
            self.forget_run()
        self.flags, self.bits = flags, bits

    @rule(
        channel=st.integers(-1, 1),
        window=st.integers(0, 1),
        limits=st.tuples(*[st.integers(0, 4095)] * 2),
        threshold=st.integers(0, 4095),
    )
    def set_regions(self, channel, window, limits, threshold):
        low, high = sorted(limits)
        self.handle.set_window(channel, window, low, high)
        self.handle.set_good_threshold(channel, threshold)
        channels = slice(None) if channel < 0 else channel
        self.windows[channels, window] = low, high
        self.threshold[channels] = threshold

    @rule(
        frames=st.sampled_from((0, 0, 5, 100)),
        ticks=st.sampled_from((800, 4000)),
        generated=st.sampled_from((True, True, False)),
        armed=st.sampled_from((False, False, True)),
        actions=ACTIONS,
    )
    def start(self, frames, ticks, generated, armed, actions):
        self.handle.setup_itfg(frames, ticks)
        self.handle.set_timing(TimingSource.internal if generated else TimingSource.software)
        (self.handle.arm if armed else self.handle.start)()
        self.forget_run()
        self.run = (frames, ticks) if generated else "software"
        self.circular, self.slots_of_run = bool(self.flags & RunFlag.circular), self.slots
        self.enabled = not armed
        self.began = self.now
        self.complete, self.opened = 0, self.now if self.enabled else None
        self.waits = armed

        self.go_on(actions)

    @precondition(lambda self: self.run)
    @rule(actions=ACTIONS)
    def go_on(self, actions):
        for name, *arguments in actions:
            getattr(self, name)(*arguments)
            self.progress_is_as_the_model_says()

    @rule(ticks=st.sampled_from((1, 300, 880, 5000, 40_000)))
    def pass_time(self, ticks):
        self.clock.ns += -(-ticks * 10**9 // self.frequency)

    @rule()
    def stop(self):
        before = None if self.run is None else self.handle.progress().frames
        self.handle.stop()
        assert not self.handle.busy
        if self.run is None or self.ended:
            return
        after = self.handle.progress().frames
        assert before <= after <= before + 1  # the frame in progress is closed
        if after > before:
            self.cut = before
        if self.opened is not None:
            self.complete, self.opened = self.complete + 1, None
        self.ended, self.was = True, after

    def count_enable(self, up):
        (self.handle.resume if up else self.handle.pause)()
        if self.ended or up == self.enabled:
            return
        self.enabled = up
        if up and self.waits:
            self.began, self.waits = self.now, False
        if up:
            self.opened = self.now
        elif self.opened is not None:
            self.complete, self.opened = self.complete + 1, None

    def acknowledge(self, lag, count, channel, channels):
        channels = min(channels, self.channels - channel)
        frame = max(0, self.handle.progress().frames - lag)
        before = self.states()
        answer = self.emulator.xsp3_histogram_circ_ack(0, channel, frame & 0xFFFFFFFF, channels, count)
        slots = [number % self.slots for number in range(frame, frame + min(count, self.slots))]
        named = range(self.channels) if self.stops else range(channel, channel + channels)
        if self.stops and self.circular and any(before[other][slot] == 0 for other in named for slot in slots):
            assert answer == -1 and self.states() == before
            return
        assert answer == 0
        for other in named:
            for slot in slots:
                before[other][slot] = 0
        assert self.states() == before

    def acknowledge_oddly(self, frame, count):
        answer = self.emulator.xsp3_histogram_circ_ack(0, 0, frame, self.channels, count)
        assert answer in ((0, -1) if self.stops else (0,))

    def read_frames(self, back):
        done = self.handle.progress().frames
        first = max(0, done - min(back, self.slots))
        count = min(done - first, self.slots - first % self.slots)
        if count <= 0:
            return
        mca, scalers = read(self.handle, first, count)
        held = status(self.handle, first, count)["time_frame"]
        for index in range(count):
            number = int(held[index])
            assert number == NEVER or number % self.slots == (first + index) % self.slots
            if number == NEVER or number >= done:
                continue  # never taken, or being taken now
            self.check_frame(number, mca[index], scalers[index])

    def check_frame(self, number, mca, scalers):
        found = scalers.astype(np.int64)
        ticks = int(found[0, Scaler.total_ticks])
        assert (found[:, [Scaler.ticks, Scaler.total_ticks]] == ticks).all()
        if self.run == "software" or number == self.cut:
            assert np.array_equal(mca, timed_frame(self.settings, ticks, number, bits=self.bits)[0])
        else:
            assert ticks == self.run[1]
            assert np.array_equal(mca, content(self.settings, ticks, number, self.bits))
        total, events = mca.sum(axis=-1, dtype=np.int64), found[:, Scaler.all_event]
        assert (total <= events + 2).all() and (total >= 0.98 * events).all()
        assert (found[:, Scaler.reset_ticks] <= ticks).all()
        if self.bits < 12:
            return
        for channel in range(self.channels):
            assert found[channel, Scaler.all_good] == mca[channel, self.threshold[channel] :].sum()
            for scaler, (low, high) in zip((Scaler.window0, Scaler.window1), self.windows[channel], strict=True):
                assert found[channel, scaler] == mca[channel, low : high + 1].sum()

    # what a careless program does

    @rule(data=st.data())
    def wild_call(self, data):
        before = self.visible()
        self.call_wildly(data)
        assert self.visible() == before

    def call_wildly(self, data):
        name, values = data.draw(calls(names=tuple(LIMITED)))
        if values["path"] in self.emulator._systems and not self.bad(name, values):
            return
        answer, memory = make_call(self.emulator, name, values, {})
        assert refused(answer), f"{name}{values} answers {answer}"
        assert message(self.emulator)
        assert all((found.memory == 0xA5).all() for found in memory.values()), f"{name} wrote though it refused"

    def bad(self, name, values):
        """Whether one of the arguments is impossible whatever the others are."""
        for parameter, limits in LIMITED[name].items():
            value = values[parameter]
            most = self.channels if "channel" in str(limits) else 1
            if limits in ("channel", "card"):
                wrong = value >= most
            elif limits in ("one channel", "one card"):
                wrong = not 0 <= value < most
            elif limits == "count":
                most = self.slots if parameter in ("num_tf", "dt", "ntf") else self.channels
                wrong = not 1 <= value <= most
            else:
                wrong = not limits[0] <= value <= limits[1]
            if wrong:
                return True
        return any(value is False and parameter not in READ_ONLY_POINTERS for parameter, value in values.items())

    def states(self):
        return [status(self.handle, 0, self.slots, channel)["state"].tolist() for channel in range(self.channels)]

    def visible(self):
        """Everything that can be asked for."""
        handle = self.handle
        regions = [[handle.window(channel, window) for window in (0, 1)] for channel in range(self.channels)]
        thresholds = [handle.good_threshold(channel) for channel in range(self.channels)]
        run = None if self.run is None else (handle.progress(), handle.overrun(), handle.busy, self.states())
        return regions, thresholds, handle.run_flags(), handle.timing_register(), handle.first_frame(), run

    # what always holds

    @invariant()
    def progress_is_as_the_model_says(self):
        if not hasattr(self, "handle"):
            return  # not connected yet
        if self.run is None:
            if self.stops:
                with pytest.raises(Xspress3Error, match="before the first"):
                    self.handle.progress()
            else:
                assert self.handle.progress() == (0, 0, 0)
            return
        found = self.handle.progress()
        assert found.frames == found.furthest >= self.was
        self.was = found.frames
        assert not self.ended or not self.handle.busy
        if self.ended:
            return
        expected = self.expected_progress()
        if self.stops and self.circular and found.flags:
            assert found.frames <= max(expected) and self.handle.overrun()[0] == 1
        else:
            assert found.frames in expected

    def expected_progress(self):
        """Frames that should be complete; the clock's rounding may make it one more or less."""
        if self.run == "software":
            counts = [self.complete]
        elif self.waits:
            counts = [0]
        else:
            frames, ticks = self.run
            counts = [(self.now - self.began + GAP + off) // (ticks + GAP) for off in (-1, 0, 1)]
            counts = [min(count, frames) if frames else count for count in counts]
        return counts if self.circular else [min(count, self.slots_of_run) for count in counts]


def machine(**settings):
    chosen = hypothesis.settings(suppress_health_check=NO_HEALTH_CHECK, **settings)
    run_state_machine_as_test(Model, settings=chosen)


def test_the_library_agrees_with_the_model():
    machine(max_examples=150, stateful_step_count=30)


@pytest.mark.slow
def test_the_library_agrees_with_the_model_for_long():
    machine(max_examples=1500, stateful_step_count=60)


def test_the_model_is_of_the_library():
    assert same((content(EmulatorSettings(), 800, 40, 12),), (expected_frames(EmulatorSettings(), 800, 40, 1)[0][0],))
