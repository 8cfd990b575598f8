"""Window counts and other values per channel over Tango, against what the stream delivered of the same frames."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from server_process import free_port
from system_desk import Desk
from tango_frames import FrameReader, ReaderPair

COMMANDS = {f"Read{kind}Counts_Window{window}" for kind in ("Raw", "Dtc") for window in (1, 2)}
CHANNELS = 4
BINS = 4096


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    pair = ReaderPair(
        tmp_path_factory.mktemp("counts"),
        server={"return_counters": True},
        emulator={"count_rate": 2e6, "faults": {"missing": {"frames": [30], "channels": [1]}}},
    )
    yield pair
    pair.end()
    assert pair.server.process.returncode == 0


def test_counts_are_those_of_the_stream(pair):
    _, scalers, factors, status = pair.acquire(40)
    expected = np.where(status[:, None, None] == 0, scalers[..., 5:7].astype(int), -1)
    expected[30] = scalers[30, :, 5:7]
    expected[30, 1] = -1  # the channel that has not got it
    for window in (1, 2):
        for channel in range(CHANNELS):
            raw = pair.tango.ask(f"ReadRawCounts_Window{window}", channel, 1, 40)
            assert raw.tolist() == expected[:, channel, window - 1].tolist()
            assert raw.dtype == np.int64
            corrected = pair.tango.ask(f"ReadDtcCounts_Window{window}", channel, 1, 40)
            there = raw >= 0
            np.testing.assert_allclose(corrected[there], (raw * factors[:, channel])[there], rtol=1e-15)
            assert (corrected[~there] == -1).all()
            assert corrected.dtype == np.float64
    assert pair.tango.ask("ReadRawCounts_Window1", 1, 31, 31).tolist() == [-1]


@pytest.mark.parametrize("first, last", [(-5, 3), (0, 3), (1, 1), (38, 44), (40, 40), (41, 43), (2**40, 2**40 + 2)])
def test_frames_count_from_1(pair, first, last):
    """Those that are not there have -1."""
    raw = pair.tango.ask("ReadRawCounts_Window2", 2, first, last).tolist()
    every = pair.tango.ask("ReadRawCounts_Window2", 2, 1, 40).tolist()
    assert raw == [every[n - 1] if n <= 40 else -1 for n in range(max(first, 1), last + 1)]


def test_counts_begin_anew_with_each_series(pair):
    """They are those of the running series, answered at once while its frames are to come."""
    last = pair.tango.ask("ReadRawCounts_Window1", 0, 1, 40).tolist()
    pair.set(3, 50.0)
    assert pair.tango.run("Arm") == ""
    assert pair.tango.ask("ReadRawCounts_Window1", 0, 1, 3).tolist() == [-1, -1, -1]
    assert pair.tango.ask("ReadDtcCounts_Window1", 0, 1, 3).tolist() == [-1, -1, -1]
    assert pair.tango.run("Stop") == ""
    assert -1 not in last


def test_counts_while_a_series_runs(pair):
    before = pair.keeper.ended()
    pair.set(300, 0.005)
    assert pair.tango.run("Arm") == ""
    answers = pair.tango.ask_until_over("ReadRawCounts_Window1", -10, 30)
    _, scalers, _, _ = pair.keeper.frames(before + 1)
    whole = scalers[:, 0, 5].astype(int).tolist() + [-1] * 50
    for first, found in answers:
        there = found >= 0
        assert there.sum() >= 20  # what the client has seen counted can be read
        assert not np.diff(there.astype(int)).max(initial=0) > 0  # the last ones are to come
        assert found[there].tolist() == whole[first - 1 : first - 1 + int(there.sum())]
    assert len(answers) > 10


def test_what_can_be_asked_for_is_said(pair):
    takes = "takes three numbers, channel (from 0), first and last frame (from 1, the last one included); not "
    for command in sorted(COMMANDS):
        ask = pair.tango.ask
        for asked in ((), (0,), (0, 1), (0, 1, 2, 3)):
            assert ask(command, *asked) == f"ValueError: {command} {takes}{len(asked)}"
        for channel in (-1, CHANNELS, 2**62):
            assert ask(command, channel, 1, 2) == f"ValueError: channel {channel} is not in 0..3"
        before = "is before the first, 5; they count from 1"
        assert ask(command, 0, 5, 4) == f"ValueError: {command}: the last frame, 4, {before}"
        allowed = "frames: 1000000 are possible at once"
        assert ask(command, 0, 1, 10_000_000) == f"ValueError: {command} of 10000000 {allowed}"
        assert ask(command, 0, -(2**63), 2**63 - 1) == f"ValueError: {command} of 9223372036854775807 {allowed}"
        assert len(ask(command, 0, 1, 1_000_000)) == 1_000_000


def test_init_keeps_the_commands(pair):
    for _ in range(3):
        assert pair.tango.run("Init") == ""
        pair.tango.wait_for("STANDBY")
        assert pair.tango.commands() >= COMMANDS
    _, scalers, _, _ = pair.acquire(5)
    assert pair.tango.ask("ReadRawCounts_Window1", 3, 1, 5).tolist() == scalers[:, 3, 5].tolist()


# attributes of one channel


def test_windows(pair):
    tango = pair.tango
    assert tango.write("Window1_Ch2", [100, 200]) == ()
    assert tango.value("Window1_Ch2") == [100, 200]
    assert tango.value("Window1_Ch1") != [100, 200]
    assert (pair.ca.get("det1:C3_SCA5_LLM_RBV"), pair.ca.get("det1:C3_SCA5_HLM_RBV")) == (100, 200)
    # Beyond the spectrum are its ends.
    assert tango.write("Window2_Ch0", [-20, 70_000]) == ()
    assert tango.value("Window2_Ch0") == [0, BINS - 1]
    # Both at once: neither [300, 200] nor [100, 50] is in between.
    for limits in ([300, 400], [10, 20], [4095, 4095]):
        assert tango.write("Window1_Ch2", limits) == ()
        assert tango.value("Window1_Ch2") == limits
    reason, words = tango.write("Window1_Ch2", [21, 20])
    assert (reason, words) == ("ValueError", "Window 1 of channel 3 (Tango: Window1_Ch2): low 21 is above high 20")
    assert tango.value("Window1_Ch2") == [4095, 4095]
    assert tango.write("Window1_Ch2", [5]) == ("ValueError", "Window1_Ch2 has 1 values, not 2")
    assert tango.write("Window1_Ch2", [5, 6, 7]) != ()
    assert tango.value("Window1_Ch2") == [4095, 4095]
    # Counted as they are.
    assert tango.write("Window1_Ch2", [500, 900]) == ()
    mca, _, _, _ = pair.acquire(4)
    inside = mca[:, 2, 500:901].sum(axis=1).tolist()
    assert tango.ask("ReadRawCounts_Window1", 2, 1, 4).tolist() == inside


def test_windows_are_pushed(pair):
    tango = pair.tango
    assert tango.write("Window1_Ch1", [10, 20]) == ()
    tango.listen("change", "Window1_Ch1", "Window1_Ch3")
    tango.heard("change", "Window1_Ch1", [10, 20])
    assert tango.write("Window1_Ch1", [30, 40]) == ()
    pair.ca.put("det1:C2_SCA5_LLM", 35)
    pair.ca.put("det1:C2_SCA5_HLM", 50)
    events = tango.heard("change", "Window1_Ch1", [35, 50], least=4)
    assert [value for value, *_ in events] == [[10, 20], [30, 40], [35, 40], [35, 50]]
    assert len(tango.heard("change", "Window1_Ch3", tango.value("Window1_Ch3"))) == 1


def test_the_latest_frame_of_a_channel(pair):
    tango = pair.tango
    tango.listen("change", "Spectrum_Ch1", "Scalers_Ch1")
    pair.ca.put("det1:ERASE", 1)
    mca, scalers, _, _ = pair.acquire(20)
    for channel in range(CHANNELS):
        assert tango.value(f"Spectrum_Ch{channel}") == mca[-1, channel].tolist()
        assert tango.value(f"SpectrumSum_Ch{channel}") == mca[:, channel].sum(axis=0).tolist()
        assert tango.value(f"Scalers_Ch{channel}") == scalers[-1, channel].tolist()
        assert tango.value(f"EventWidth_Ch{channel}") == round(tango.value("event_width")[channel])
    tango.heard("change", "Spectrum_Ch1", mca[-1, 1].tolist())
    tango.heard("change", "Scalers_Ch1", scalers[-1, 1].tolist())
    pair.ca.put("det1:ERASE", 1)
    tango.heard("change", "Scalers_Ch1", [0] * 9)
    assert tango.value("SpectrumSum_Ch0") == [0] * BINS


def test_how_they_are_declared(pair):
    found = pair.tango.configuration("Window1_Ch0", "EventWidth_Ch0", "Spectrum_Ch0", "SpectrumSum_Ch0", "Scalers_Ch0")
    told = {name: tuple(one[key] for key in ("type", "format", "access", "unit")) for name, one in found.items()}
    assert told == {
        "Window1_Ch0": ("DevLong", "SPECTRUM", "READ_WRITE", "bins"),
        "EventWidth_Ch0": ("DevShort", "SCALAR", "READ", "ticks"),
        "Spectrum_Ch0": ("DevDouble", "SPECTRUM", "READ", ""),
        "SpectrumSum_Ch0": ("DevDouble", "SPECTRUM", "READ", ""),
        "Scalers_Ch0": ("DevULong", "SPECTRUM", "READ", ""),
    }
    assert "all events" in found["Scalers_Ch0"]["doc"]
    names = pair.tango.names()
    assert all(f"Window{window}_Ch{channel}" in names for window in (1, 2) for channel in range(CHANNELS))
    assert "Window1_Ch4" not in names


def test_the_commands_come_and_go_with_init():
    port = free_port()
    server = [sys.executable, str(Path(__file__).with_name("tango_switching.py")), "test/switching/1", str(port)]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert any(line.startswith("Ready") for line in iter(process.stdout.readline, ""))
            desk = Desk(FrameReader, f"tango://127.0.0.1:{port}/test/switching/1#dbase=no")
            for kept in (False, True, True, False, False, True):
                desk.ask_with("Keep", kept)
                assert desk.run("Init") == ""
                assert desk.commands() & COMMANDS == (COMMANDS if kept else set())
                for name in COMMANDS:
                    answer = desk.ask(name, 0, 1, 2)
                    assert (answer.tolist() == [-1, -1]) if kept else ("not found" in answer)
            desk.end()
        finally:
            process.kill()
