"""The memory of spectra that programs copy from directly, and when it is kept."""

import ctypes
import gc
import mmap
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sdk_bench import STRAIGHT, TICK, connect, internal

from xsp3ioc.sdk import EmulatorSettings, TimingSource, Xspress3, expected_frames
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.path_table import PathTable
from xsp3ioc.sdk.emulator.settings_file import VARIABLE

PERIOD = 1000 + 80


def pointer(emulator, channel, frame, bin_=0, row=0):
    return emulator.xsp3_histogram_get_data_ptr(0, bin_, row, channel, frame)


def words(emulator, channel, frame, count=4096, **place):
    found = pointer(emulator, channel, frame, **place)
    assert found != ffi.NULL, ffi.string(emulator.xsp3_get_error_message())
    return np.frombuffer(ffi.buffer(found, 4 * count), np.uint32).copy()


def resolve(emulator, channel=0):
    leaf, index = ffi.new("int *"), ffi.new("int *")
    return emulator.xsp3_resolve_path(0, channel, leaf, index)


def kept(emulator):
    return emulator.memory(emulator.system(0)) is not None


def test_it_is_kept_from_the_first_call_that_needs_it():
    handle, emulator, _ = connect()
    internal(handle, 10, 1000)
    handle.start()
    handle.progress()
    assert emulator.xsp3_has_get_data_ptr(0) == 1 and not kept(emulator)
    assert resolve(emulator, 9) == -4 and not kept(emulator)
    assert resolve(emulator) == 0 and kept(emulator)
    _, emulator, _ = connect()
    nothing = ffi.NULL
    assert emulator.xsp3_config_init(1, 64, nothing, -1, nothing, -1, 1, nothing, 0, 0, 1, 0, 0) == 0 and kept(emulator)


@pytest.mark.parametrize("memory", [False, True])
def test_it_is_kept_from_the_connection_on_when_asked_for(memory):
    _, emulator, _ = connect(memory=memory)
    assert kept(emulator) == memory


def test_frames_are_there_when_progress_says_so():
    handle, emulator, clock = connect(frames=8)
    resolve(emulator)
    internal(handle, 0, 1000)
    handle.start()
    memory = [pointer(emulator, channel, 0) for channel in range(4)]
    expected, _ = expected_frames(emulator.settings, 1000, 0, 40)
    done = 0
    while done < 40:
        clock.ticks(PERIOD * 3)
        complete = handle.progress().frames
        for frame in range(done, min(complete, 40)):
            for channel in range(4):
                found = np.frombuffer(ffi.buffer(memory[channel] + frame % 8 * 4096, 4 * 4096), np.uint32)
                assert np.array_equal(found, expected[frame, channel])
        handle.acknowledge(done, complete - done)
        done = complete


def test_frames_of_before_are_there_too_and_only_the_last_of_a_long_wait():
    handle, emulator, clock = connect(frames=8)
    internal(handle, 0, 1000)
    handle.start()
    clock.ticks(PERIOD * 100 + 500)
    assert handle.progress().frames == 100
    expected, _ = expected_frames(emulator.settings, 1000, 92, 8)
    for frame in range(93, 100):  # the slot of 92 has been taken by 100, which is being counted
        assert np.array_equal(words(emulator, 3, frame), expected[frame - 92, 3])


def test_a_pointer_to_a_bin():
    handle, emulator, clock = connect()
    internal(handle, 4, 100_000)
    handle.start()
    clock.ticks(1_000_000)
    whole = words(emulator, 2, 3)
    assert whole.any()
    assert np.array_equal(words(emulator, 2, 3, 96, bin_=4000), whole[4000:])
    for refused in ({"bin_": 4096}, {"row": 1}):
        assert pointer(emulator, 0, 0, **refused) == ffi.NULL
        assert b"is not within" in ffi.string(emulator.xsp3_get_error_message())
    assert pointer(emulator, 4, 0) == ffi.NULL


def test_fewer_bins_and_auxiliary_rows():
    handle, emulator, clock = connect(frames=64, count_rate=5e6)
    ring = emulator.xsp3_format_run(0, -1, 7, 0, 0, 0, 0, 10)  # two rows of 1024
    assert ring == 128
    internal(handle, 130, 100_000)
    handle.start()
    clock.ticks(200_000_000)
    handle.progress()
    row = np.zeros(1024, np.uint32)
    for frame in (2, 5, 129):
        for number in range(2):
            status = emulator.xsp3_histogram_read4d(
                0, ffi.from_buffer("uint32_t[]", row), 0, number, 1, frame % ring, 1024, 1, 1, 1
            )
            assert status == 0 and row.any()
            assert np.array_equal(words(emulator, 1, frame, 1024, row=number), row)


def test_a_new_run_starts_over():
    handle, emulator, clock = connect(frames=16)
    resolve(emulator)
    for exposure in (1000, 2000):
        internal(handle, 4, exposure)
        handle.start()
        clock.ticks(100_000)
        assert handle.progress().frames == 4
        expected, _ = expected_frames(emulator.settings, exposure, 0, 4)
        assert np.array_equal(words(emulator, 0, 3), expected[3, 0])


def test_frame_zero_counts_anew():
    pulses = {"period": 20_000 * TICK, "width": 10_000 * TICK, "jitter": 900 * TICK, "frame_zero_every": 5}
    handle, emulator, clock = connect(frames=16, pulses=pulses)  # with jitter no two frames are alike
    resolve(emulator)
    handle.set_timing(TimingSource.ttl_both)
    handle.start()
    spectrum = np.zeros(4096, np.uint32)
    counts = []
    for _ in range(30):
        clock.ticks(10_000)
        counts.append(handle.progress().frames)
        for frame in range(counts[-1]):
            buffer = ffi.from_buffer("uint32_t[]", spectrum)
            assert emulator.xsp3_histogram_read_chan(0, buffer, 2, 0, 0, frame, 4096, 1, 1) == 0
            assert np.array_equal(words(emulator, 2, frame), spectrum)
    assert max(counts) <= 5 and sum(later < before for before, later in zip(counts, counts[1:], strict=False)) >= 2


@pytest.mark.parametrize("bits", [12, 8])  # whole pages, and less
def test_clearing_zeroes_it(bits):
    handle, emulator, clock = connect(frames=8, flags=STRAIGHT)
    handle.format(bits=bits)
    assert (4 << bits) % mmap.PAGESIZE == (0 if bits == 12 else 1024)
    internal(handle, 8, 100_000)
    resolve(emulator)
    handle.start()
    clock.ticks(2_000_000)
    assert handle.progress().frames == 8
    assert emulator.xsp3_histogram_clear(0, 1, 2, 2, 3) == 0
    zero = [[not words(emulator, channel, frame, 1 << bits).any() for channel in range(4)] for frame in range(8)]
    assert zero == [[2 <= frame < 5 and 1 <= channel < 3 for channel in range(4)] for frame in range(8)]
    assert emulator.xsp3_histogram_clear(0, 0, 4, 0, 9000) == -6


def test_a_cards_own_handle():
    handle, emulator, clock = connect(channels=5, cards=2, frames=16)
    internal(handle, 8, 100_000)
    handle.start()
    clock.ticks(2_000_000)
    expected, _ = expected_frames(emulator.settings, 100_000, 0, 8)
    found = emulator.xsp3_histogram_get_data_ptr(2, 0, 0, 1, 7)
    assert found == pointer(emulator, 4, 7)
    assert np.array_equal(np.frombuffer(ffi.buffer(found, 4 * 4096), np.uint32), expected[7, 4])
    assert emulator.xsp3_scaler_check_progress(2) == 8
    assert emulator.xsp3_histogram_clear(2, 0, 1, 7, 1) == 0
    assert [bool(words(emulator, channel, 7).any()) for channel in range(5)] == [True, True, True, False, True]


def test_where_the_spectra_are_in_the_cards_there_is_none():
    handle, emulator, _ = connect(product="mini", channels=2)
    assert emulator.xsp3_has_get_data_ptr(0) == 0
    assert resolve(emulator, 1) == 0 and not kept(emulator)
    assert pointer(emulator, 0, 0) == ffi.NULL
    assert b"in the cards" in ffi.string(emulator.xsp3_get_error_message())


def test_a_closed_handle_has_none():
    handle, emulator, _ = connect()
    resolve(emulator)
    handle.close()
    assert resolve(emulator) == -2
    assert pointer(emulator, 0, 0) == ffi.NULL
    assert emulator.xsp3_histogram_clear(0, 0, 4, 0, 1) == -2


def test_pointers_stay_good(compile_program, run_program, tmp_path):
    path = tmp_path / "changing.toml"
    path.write_text("seed = 3")
    program = compile_program(Path(__file__).parent / "again.c")
    found = run_program(program, path, **{VARIABLE: str(path)})
    totals = [str(expected_frames(EmulatorSettings(seed=seed), 800_000, 0, 1)[0].sum()) for seed in (3, 7)]
    assert found == [
        ["first", totals[0]], ["again", "1", "0"], ["run", totals[0]], ["larger", "1", "0"], ["fewer", "1", "1"],
        ["closed", "1", "0"], ["replaced", "1", "0"], ["served", "1", totals[1]],
    ]  # fmt: skip


def test_a_memory_serves_the_next_system_of_its_size():
    handle, emulator, clock = connect(frames=48)
    internal(handle, 8, 1000)
    handle.start()
    clock.ticks(100_000)
    handle.progress()
    first = pointer(emulator, 3, 0)
    assert words(emulator, 3, 7).any()
    for frames in (48, 96, 48):
        Xspress3.configure(emulator, frames=frames)
        assert kept(emulator) and (pointer(emulator, 3, 0) == first) == (frames == 48)
        assert not np.frombuffer(ffi.buffer(first, 4 * 4096 * 48), np.uint32).any()
    Xspress3.configure(emulator, frames=48).close()
    Xspress3.configure(emulator, frames=48)
    assert not kept(emulator) and pointer(emulator, 3, 0) == first
    del handle, emulator
    gc.collect()
    _, emulator, _ = connect(frames=48)
    assert pointer(emulator, 3, 0) == first


def test_what_was_complete_in_an_old_run_is_not_in_the_new_one(monkeypatch):
    handle, emulator, clock = connect(frames=16)
    resolve(emulator)
    internal(handle, 10, 1000)
    handle.start()
    clock.ticks(100_000)
    follow = emulator.memory(emulator.system(0)).follow

    def late(*arguments):
        monkeypatch.undo()
        internal(handle, 10, 2000)  # as another thread would, while this one asks for the progress
        handle.start()
        follow(*arguments)

    monkeypatch.setattr(emulator.memory(emulator.system(0)), "follow", late)
    assert emulator.xsp3_scaler_check_progress(0) == 10
    clock.ticks(100_000)
    assert handle.progress().frames == 10
    expected, _ = expected_frames(emulator.settings, 2000, 0, 10)
    for frame in range(10):
        assert np.array_equal(words(emulator, 1, frame), expected[frame, 1])


def test_nobody_waits_for_a_long_catching_up(monkeypatch):
    handle, emulator, clock = connect(frames=256)
    resolve(emulator)
    internal(handle, 200, 1000)
    handle.start()
    clock.ticks(PERIOD * 201)
    reached, go_on = threading.Event(), threading.Event()
    copy = emulator.spectra

    def slow(*arguments):
        reached.set()
        assert go_on.wait(60)
        return copy(*arguments)

    monkeypatch.setattr(emulator, "spectra", slow)
    thread = threading.Thread(target=emulator.xsp3_scaler_check_progress, args=(0,))
    thread.start()
    try:
        assert reached.wait(60)
        asking = threading.Thread(target=resolve, args=(emulator, 3))
        asking.start()
        asking.join(60)
        assert not asking.is_alive()
    finally:
        go_on.set()
        thread.join()
    monkeypatch.undo()
    expected, _ = expected_frames(emulator.settings, 1000, 199, 1)
    assert np.array_equal(words(emulator, 3, 199), expected[0, 3])


def test_frames_that_come_faster_than_they_are_copied(monkeypatch):
    handle, emulator, clock = connect(frames=64)
    resolve(emulator)
    internal(handle, 0, 1000)
    handle.start()
    copy = emulator.spectra

    def slow(*arguments):
        clock.ticks(PERIOD * 20)
        return copy(*arguments)

    monkeypatch.setattr(emulator, "spectra", slow)
    clock.ticks(PERIOD * 50)
    assert handle.progress().frames == 50  # and it comes back


# The table that shows where it is


def buffers(built):
    """The addresses in Xsp3Sys: [path][channel on it], 0 for none."""
    table = (ctypes.c_char * 12648 * 34).in_dll(ctypes.CDLL(str(built / "libxspress3.so")), "Xsp3Sys")
    return [[int.from_bytes(entry[at : at + 8], "little") for at in range(376, 376 + 16 * 656, 656)] for entry in table]


def test_what_is_not_in_use_has_no_buffer(opened, built, tmp_path, monkeypatch):
    path = tmp_path / "two.toml"
    path.write_text("channels = 4\ncards = 2")
    monkeypatch.setenv(VARIABLE, str(path))
    opened.xsp3_close(0)
    for cards, channels, shown in ((1, 2, {0: 2}), (2, 4, {1: 2, 2: 2}), (2, 3, {1: 2, 2: 1}), (1, 1, {0: 1})):
        nothing = ffi.NULL
        assert opened.xsp3_config_init(cards, 64, nothing, -1, nothing, channels, 1, nothing, 0, 0, 1, 0, 0) == 0
        found = {entry: sum(map(bool, of)) for entry, of in enumerate(buffers(built)) if any(of)}
        assert found == shown
    opened.xsp3_close(0)
    assert not np.any(buffers(built))


def test_one_thread_at_a_time_writes_the_table():
    handle, emulator, _ = connect()
    entries = [
        SimpleNamespace(
            valid=0, sub_path=[0] * 16, features=SimpleNamespace(), histogram=[SimpleNamespace() for _ in range(16)]
        )
        for _ in range(34)
    ]
    table = PathTable(ffi, entries)
    reached, go_on = threading.Event(), threading.Event()

    def memory(_system):
        reached.set()
        assert go_on.wait(60)

    emulator.memory = memory
    first = threading.Thread(target=table.show, args=(emulator,))
    first.start()
    try:
        assert reached.wait(60)
        handle.close()
        second = threading.Thread(target=table.show, args=(emulator,))
        second.start()
        second.join(0.2)
    finally:
        go_on.set()
        first.join()
    second.join()
    assert entries[0].valid == 0 and entries[0].num_chan == 4
