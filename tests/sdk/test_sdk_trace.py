"""Traces: what they hold, what is left after a crash, and that a replay gives what was recorded."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from contextlib import ExitStack, closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_bench import Clock, internal
from sdk_recorder import Recorder

from xsp3ioc.sdk import (
    EmulatedLibrary,
    EmulatorSettings,
    MissingFunction,
    RunFlag,
    Xspress3,
    Xspress3Error,
)
from xsp3ioc.sdk.cdef import ffi, prototypes
from xsp3ioc.sdk.emulator.replay import ReplayedLibrary, Trace, TraceError
from xsp3ioc.sdk.signatures import _COUNTS, signature
from xsp3ioc.sdk.trace import TracedLibrary

ALL = 1 << 30


def emulator(clock=None, **options):
    clock = clock or Clock()
    return EmulatedLibrary(EmulatorSettings(**options), clock, clock.sleep)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def calls(path, name=""):
    return [line for line in lines(path) if line["line"] == "call" and name in line["f"]]


def acquire(library, clock=lambda _: None):
    """A program that uses all kinds of arguments; returns all that it learned."""
    handle = Xspress3.configure(library, frames=64, base_ip="192.168.0.1")
    learned = [handle.setup_clocks(), handle.channels, handle.model, handle.firmware, handle.clock_period()]
    learned += [handle.trigger_b(1), handle.board_temperatures(), handle.dead_time_parameters(0)]
    handle.set_run_flags(RunFlag.scalers | RunFlag.histogram | RunFlag.circular)
    handle.format()
    handle.set_window(-1, 0, 100, 200)
    learned += [handle.window(2, 0), handle.good_threshold(3)]
    internal(handle, 10, 80_000)
    handle.clear(handle.ring)
    handle.start()
    for _ in range(3):
        clock(400_000)
        learned.append(handle.progress())
    frames = handle.read(0, 10)
    learned += [frames.mca.tolist(), frames.scalers.tolist(), frames.status.tolist()]
    learned.append([array.tolist() for array in handle.dead_time_factors(frames.scalers)])
    with pytest.raises(Xspress3Error) as refusal:
        handle.set_window(9, 0, 1, 2)
    learned.append(str(refusal.value))
    handle.acknowledge(0, 10)
    learned.append(handle.overrun())
    handle.stop()
    learned.append(handle.busy)
    handle.close()
    return learned


@pytest.fixture
def traced():
    """Make libraries that record, closed at the end."""
    with ExitStack() as stack:

        def trace(*arguments, **options):
            return stack.enter_context(closing(TracedLibrary(*arguments, **options)))

        yield trace


@pytest.fixture
def recorded(tmp_path, traced):
    """A trace with all that was read, and what the program had learned."""
    path, clock = tmp_path / "trace.jsonl", Clock()
    library = traced(emulator(clock), path, whole=ALL)
    learned = acquire(library, clock.ticks)
    library.close()
    return path, learned


def test_a_replay_gives_what_was_recorded(recorded):
    path, learned = recorded
    library = ReplayedLibrary(Trace(path))
    assert acquire(library) == learned
    assert library.hollow == 0
    assert library.simulated


def test_through_c_it_is_the_same(tmp_path, recorded, traced):
    path, learned = recorded
    clock = Clock()
    library = traced(Recorder(emulator(clock)), tmp_path / "c.jsonl", whole=ALL)
    assert acquire(library, clock.ticks) == learned
    assert acquire(Recorder(ReplayedLibrary(Trace(path)))) == learned
    untimed = [[(line["f"], line.get("given"), line.get("returned"), line.get("r")) for line in calls(one)]
               for one in (path, tmp_path / "c.jsonl")]  # fmt: skip
    assert untimed[0] == untimed[1]


def test_each_call_is_a_line(recorded):
    path, _ = recorded
    header, *rest = lines(path)
    assert header["line"] == "trace"
    assert (header["format"], header["library"], header["simulated"]) == (1, "emulator", True)
    assert header["host"] and header["date"] and header["xsp3ioc"] and "absent" not in header
    entered = [line for line in rest if line["line"] == "enter"]
    config = calls(path, "xsp3_config")[0]
    assert config["given"]["baseIPaddress"] == "192.168.0.1"
    assert config["given"]["baseMACaddress"] is None
    assert config["thread"] == "MainThread"
    assert [line["f"] for line in entered][0] == "xsp3_config"
    assert not [line for line in entered if "check_progress" in line["f"]]
    (trigger,) = calls(path, "trigger_b")
    assert trigger["returned"]["trig_b"]["event_time"] == 6
    refused = calls(path, "xsp3_set_window")[-1]
    assert (refused["r"], refused["error"]) == (-4, "channel 9 is outside 0..3")
    assert "returned" not in refused
    progress = calls(path, "check_progress")[-1]
    assert (progress["r"], progress["returned"]) == (10, {"flagsP": 0, "furthest_frame": 10})


def test_the_numbers_of_the_calls_are_in_order(recorded):
    path, _ = recorded
    numbers = [line["n"] for line in calls(path)]
    assert sorted(numbers) == list(range(len(numbers)))


def test_large_buffers_are_summarised(tmp_path, traced):
    path, clock = tmp_path / "trace.jsonl", Clock()
    library = traced(emulator(clock), path)
    learned = acquire(library, clock.ticks)
    buffer = calls(path, "read4d")[0]["returned_buffers"]["buffer"]
    mca = np.array(next(one for one in learned if isinstance(one, list) and np.shape(one) == (10, 4, 4096)), np.uint32)
    assert buffer == {"shape": [10, 4, 1, 4096], "sum": int(mca.sum()), "crc32": zlib.crc32(mca.tobytes())}
    assert calls(path, "scaler_read")[0]["returned_buffers"]["dest"]["whole"]
    replayed = ReplayedLibrary(Trace(path))
    handle = Xspress3.configure(replayed, frames=64, base_ip="192.168.0.1")
    handle.format()
    out = np.full((10, 4, 4096), 7, np.uint32)
    handle.read_mca(0, out)
    assert not out.any() and replayed.hollow == 1


def test_a_library_that_lacks_functions(tmp_path, traced):
    path = tmp_path / "trace.jsonl"
    missing = {"xsp3_get_clock_period", "xsp3_hist_dtc_read4d"}
    library = traced(Recorder(emulator(), missing), path)
    assert lines(path)[0]["absent"] == sorted(missing, key=list(prototypes()).index)
    handle = Xspress3.configure(library)
    assert handle.clock_period() == 12.5e-9
    replayed = ReplayedLibrary(Trace(path))
    assert not replayed.has("xsp3_get_clock_period") and replayed.has("xsp3_config")
    Xspress3.configure(replayed)
    with pytest.raises(MissingFunction):
        replayed.xsp3_hist_dtc_read4d(0, ffi.NULL, ffi.NULL, 0, 0, 0, 0, 4096, 1, 4, 1)


def test_another_argument_is_named(recorded):
    library = ReplayedLibrary(Trace(recorded[0]))
    with pytest.raises(TraceError, match=r"trace.jsonl line 3: xsp3_config had ncards = 1 \(here: 2\)"):
        Xspress3.configure(library, frames=64, base_ip="192.168.0.1", cards=2)


def test_a_call_too_many_is_named(recorded):
    library = ReplayedLibrary(Trace(recorded[0]))
    handle = Xspress3.configure(library, frames=64, base_ip="192.168.0.1")
    assert handle.channels == 4
    with pytest.raises(TraceError, match="xsp3_get_num_chan was called 1 times, not once more"):
        library.xsp3_get_num_chan(0)
    with pytest.raises(TraceError, match="xsp3_save_settings was called 0 times"):
        library.xsp3_save_settings(0, ffi.new("char[]", b"/tmp"))


def test_a_lenient_replay_repeats_itself(recorded):
    library = ReplayedLibrary(Trace(recorded[0]), strict=False)
    handle = Xspress3.configure(library, cards=3)
    assert [handle.progress().frames for _ in range(5)] == [4, 9, 10, 10, 10]
    assert handle.window(2, 0) == (100, 200)
    with pytest.raises(Xspress3Error, match="xsp3_read_xadc is not in the trace"):
        handle.monitors()
    assert handle.channels == 4 and library.xsp3_get_num_chan(0) == 4


def test_every_declared_function_can_be_recorded():
    for name, counts in _COUNTS.items():
        known = {parameter.name: parameter for parameter in signature(name).parameters}
        for pointer, shape in counts.items():
            assert known[pointer].kind in ("in", "out"), (name, pointer)
            for count in shape:
                assert isinstance(count, int) or known[count].kind == "number", (name, count)
    kinds = {name: [parameter.kind for parameter in signature(name).parameters] for name in prototypes()}
    assert kinds["xsp3_get_window"] == ["number", "number", "number", "out", "out"]
    assert kinds["xsp3_set_timing"] == ["number", "in"]
    assert kinds["xsp3_restore_settings"] == ["number", "text", "number"]
    assert {name for name, found in kinds.items() if "opaque" in found} == {"xsp3_histogram_set_new_frame_callback"}


def test_structures_and_arrays_go_in(tmp_path, traced):
    path = tmp_path / "trace.jsonl"
    handle = Xspress3.configure(traced(Recorder(emulator(), xsp3_set_timing=lambda *_: 0), path))
    timing = ffi.new("Xsp3Timing *", {"t_src": 1, "debounce": 80, "padding": [3, 4]})
    handle._call("xsp3_set_timing", timing)
    given = calls(path, "set_timing")[0]["given"]["setup"]
    assert (given["t_src"], given["debounce"], given["padding"]) == (1, 80, [3, 4])


def test_absurd_counts_are_not_believed(tmp_path, traced):
    path = tmp_path / "trace.jsonl"
    library = traced(Recorder(emulator(), xsp3_scaler_read=lambda *_: 0), path)
    Xspress3.configure(library)
    one = ffi.new("uint32_t *")
    assert library.xsp3_scaler_read(0, one, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF) == 0
    few = ffi.new("uint32_t[]", 9)
    assert library.xsp3_scaler_read(0, few, 0, 0, 0, 9, 100, 100) == 0
    first, second = calls(path, "scaler_read")
    assert first["returned"]["dest"] == [] and second["returned"]["dest"] == [0] * 9


@pytest.mark.parametrize("ending", ["", "{", '{"line":"call","n":'])
def test_a_cut_line_is_left_out(recorded, ending):
    path, learned = recorded
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]) + ending)
    trace = Trace(path)
    assert trace.cut == bool(ending)
    assert trace.end is None
    assert acquire(ReplayedLibrary(trace)) == learned


KILLED = """
import sys
from pathlib import Path
from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, Xspress3
from xsp3ioc.sdk.emulator.faults import Faults
from xsp3ioc.sdk.trace import TracedLibrary
emulator = EmulatedLibrary(EmulatorSettings(faults=Faults(hang={"xsp3_format_run": (2, 600.0)})))
handle = Xspress3.configure(TracedLibrary(emulator, Path(sys.argv[1])))
handle.format()
handle.progress()
handle.format()
"""


def test_a_killed_process_leaves_all_but_the_last_call(tmp_path):
    path = tmp_path / "trace.jsonl"
    process = subprocess.Popen([sys.executable, "-c", KILLED, path])
    deadline = time.monotonic() + 60
    while not path.exists() or path.read_text().count('"xsp3_format_run"') < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    trace = Trace(path)
    assert trace.end is None
    assert [call.f for _, call in trace.calls][-1] == "xsp3_scaler_check_progress_details"
    assert trace.unreturned == ["xsp3_format_run"]


def test_a_full_part_is_followed_by_the_next(tmp_path, traced):
    path, limit = tmp_path / "trace.jsonl", 20_000
    library = traced(emulator(), path, limit=limit)
    handle = Xspress3.configure(library)
    polls = 2000
    for _ in range(polls):
        handle.progress()
    parts = [path, tmp_path / "trace.jsonl.old", tmp_path / "trace.jsonl.new"]
    assert sorted(os.listdir(tmp_path)) == sorted(part.name for part in parts)
    assert all(part.stat().st_size <= limit for part in parts)
    first, old, new = (Trace(part) for part in parts)
    assert first.calls[0].call.f == "xsp3_config"
    assert new.calls[-1].call.n == polls
    assert [part.end and part.end.goes_on for part in (first, old, new)] == [True, True, None]
    assert new.calls[0].call.n == old.calls[-1].call.n + 1
    assert (first.header.part, old.header.part) == (0, new.header.part - 1)


def test_a_full_disk_ends_the_trace_and_not_the_run(tmp_path, caplog, traced):
    library = traced(emulator(), tmp_path / "trace.jsonl")
    handle = Xspress3.configure(library)
    library._file.close()
    library._file = open("/dev/full", "wb", buffering=0)
    assert handle.channels == 4
    assert handle.cards == 1
    assert [record.getMessage().split(" ends here: ")[1] for record in caplog.records] == ["No space left on device"]


def test_a_file_that_cannot_be_made(tmp_path, traced):
    with pytest.raises(OSError, match="No such file"):
        traced(emulator(), tmp_path / "nowhere" / "trace.jsonl")


def test_threads_write_whole_lines(tmp_path, traced):
    path = tmp_path / "trace.jsonl"
    library = traced(emulator(), path)
    handle = Xspress3.configure(library)

    def poll():
        for _ in range(200):
            handle.progress()

    threads = [threading.Thread(target=poll, name=f"poll {n}") for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trace = Trace(path)
    assert len(trace.calls) == 801
    by_thread = {name: sum(call.thread == name for _, call in trace.calls) for name in ("poll 0", "poll 3")}
    assert by_thread == {"poll 0": 200, "poll 3": 200}


BAD_LINES = {
    "no JSON": (b"hello", "line 3"),
    "another line": (b'{"line":"other"}', "line 3"),
    "a second header": (b'{"line":"trace","format":1,"xsp3ioc":"x","library":"y"}', "second header"),
    "an unknown function": (b'{"line":"call","n":1,"t":0,"dt":0,"thread":"","f":"__class__"}', "no function of libxs"),
    "a type": (b'{"line":"call","n":"1","t":0,"dt":0,"thread":"","f":"xsp3_close"}', "line 3"),
    "too deep": (b'{"line":"enter","n":1,"f":"xsp3_close","given":' + b'{"a":' * 9 + b"1" + b"}" * 10, "line 3"),
}


@pytest.mark.parametrize("line, message", BAD_LINES.values(), ids=BAD_LINES)
def test_what_is_no_trace_is_refused(tmp_path, line, message, traced):
    path = tmp_path / "trace.jsonl"
    traced(emulator(), path).close()
    header = path.read_bytes().splitlines(keepends=True)[0]
    good = b'{"line":"enter","n":0,"f":"xsp3_config"}\n'
    path.write_bytes(header + good + line + b"\n" + good)
    with pytest.raises(TraceError, match=message):
        Trace(path)


@pytest.mark.parametrize("content", [b"", b"\x7fELF\x02", b'{"line":"enter","n":0,"f":"xsp3_config"}\n', b"[]\n"])
def test_what_does_not_begin_as_a_trace_is_refused(tmp_path, content):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(content)
    with pytest.raises(TraceError, match="trace.jsonl"):
        Trace(path)


def test_the_end_counts_the_calls(recorded):
    path, _ = recorded
    trace = Trace(path)
    assert (trace.end.calls, trace.end.goes_on) == (len(trace.calls), False)
    assert lines(path)[-1] == {"line": "end", "calls": len(trace.calls)}


def test_an_empty_file_is_no_trace(tmp_path):
    (tmp_path / "trace.jsonl").touch()
    with pytest.raises(TraceError, match="trace.jsonl is empty, no trace"):
        Trace(tmp_path / "trace.jsonl")


def without_a_call(found, at):
    del found[at]
    return len(found)


def twice(found, at):
    found.insert(at + 1, found[at])
    return at + 2


def blank(found, at):
    found.insert(at, None)
    return at + 1


def no_result(found, at):
    found[at]["r"] = None
    return at + 1


def another_crc(found, at):
    found[at]["returned_buffers"]["dest"]["crc32"] ^= 1
    return at + 1


def another_sum(found, at):
    found[at]["returned_buffers"]["dest"]["sum"] += 1
    return at + 1


def other_bytes(found, at):
    whole = found[at]["returned_buffers"]["dest"]["whole"]
    found[at]["returned_buffers"]["dest"]["whole"] = ("B" if whole[0] == "A" else "A") + whole[1:]
    return at + 1


def shorter(found, at):
    found[at]["returned_buffers"]["dest"]["whole"] = found[at]["returned_buffers"]["dest"]["whole"][:-8]
    return at + 1


@pytest.mark.parametrize(
    "damage, function, message",
    [
        (without_a_call, "xsp3_get_num_chan", r"its end speaks of \d+ calls, and \d+ are there"),
        (twice, "xsp3_histogram_clear", r"call \d+ stands there twice"),
        (blank, "xsp3_histogram_clear", ""),
        (no_result, "xsp3_get_clock_period", "xsp3_get_clock_period: there is no result"),
        (no_result, "xsp3_get_num_chan", "xsp3_get_num_chan: there is no result"),
        (another_crc, "xsp3_scaler_read", "xsp3_scaler_read: dest has bytes with CRC"),
        (another_sum, "xsp3_scaler_read", "xsp3_scaler_read: dest has the sum"),
        (other_bytes, "xsp3_scaler_read", "xsp3_scaler_read: dest has bytes with CRC"),
        (shorter, "xsp3_scaler_read", r"xsp3_scaler_read: dest has \d+ bytes where"),
    ],
)
def test_damage_is_named_with_its_line(recorded, damage, function, message):
    path, _ = recorded
    found = lines(path)
    at = next(i for i, line in enumerate(found) if line["line"] == "call" and line["f"] == function)
    number = damage(found, at)
    path.write_text("".join("\n" if line is None else json.dumps(line) + "\n" for line in found))
    with pytest.raises(TraceError, match=f"trace.jsonl line {number}: the trace is damaged: {message}"):
        Trace(path)


def test_there_is_no_such_file(tmp_path):
    with pytest.raises(TraceError, match="cannot read .*: No such file"):
        Trace(tmp_path / "nothing")


LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Lines of a short trace, for each of which there is a call that it answers."""
    path, clock = tmp_path_factory.mktemp("small") / "trace.jsonl", Clock()
    with closing(TracedLibrary(emulator(clock), path)) as library:
        ask(Xspress3.configure(library, frames=64))
    return path


def ask(handle):
    out = np.zeros((4, 9), np.uint32)
    handle._call("xsp3_get_trigger_b", 0, ffi.new("Xspress3_TriggerB *"))
    handle._call("xsp3_get_window", 0, 0, ffi.new("uint32_t *"), ffi.new("uint32_t *"))
    handle._call("xsp3_i2c_read_adc_temp", 0, ffi.new("float[4]"))
    handle._call("xsp3_get_clock_period", 0)
    handle._call("xsp3_scaler_read", ffi.from_buffer("uint32_t[]", out), 0, 0, 0, 9, 4, 1)
    handle._call("xsp3_scaler_check_progress_details", ffi.new("Xsp3ErrFlag *"), 1, ffi.new("int64_t *"))


@settings(max_examples=300)
@given(data=st.data())
def test_whatever_a_trace_says_it_is_refused_or_answered(small, data):
    found = lines(small)
    line = found[data.draw(st.integers(1, len(found) - 1))]
    places = [(line, key) for key in line]
    for inner in ("given", "returned", "returned_buffers"):
        places += [(line[inner], key) for key in line.get(inner, {})]
        places += [(one, key) for one in line.get(inner, {}).values() if isinstance(one, dict) for key in one]
    table, key = data.draw(st.sampled_from(places))
    table[key] = data.draw(LEAF)
    path = small.with_name("mutated.jsonl")
    path.write_text("".join(json.dumps(one) + "\n" for one in found))
    try:
        ask(Xspress3.configure(ReplayedLibrary(Trace(path)), frames=64))
    except (TraceError, Xspress3Error):
        pass
