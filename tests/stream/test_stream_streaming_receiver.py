"""The files that MAX IV's streaming-receiver makes of stream1."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import zmq
from server_process import free_port
from stream_core import MILLISECOND, running_core
from stream_streaming_receiver import StreamingReceiver, read, spectra_of


@pytest.fixture(scope="module")
def core():
    with running_core(places={"stream1_port": 0}) as core:
        core.set(write_destination=False)
        yield core


@contextmanager
def receiver_of(core, workers=1):
    receiver = StreamingReceiver(core.detector.beside["stream1"].endpoint, workers=workers)
    try:
        yield receiver
    finally:
        receiver.close()
        core.wait_until_nobody_pulls()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_file_for_every_series(core, tmp_path, workers):
    with receiver_of(core, workers) as receiver:
        for number in (1, 2):
            path = str(tmp_path / f"{number}.h5")
            core.set(destination=path)
            core.acquire(200)
            core.wait(lambda: receiver.ends == number or receiver.error)  # noqa: B023
            assert (receiver.state, receiver.rows, receiver.kept_back) == ("idle", 200, {})
            spectra, numbers, metadata = read(path)
            assert numbers.tolist() == list(range(200))
            assert spectra.tobytes() == core.frames(200)[0].tobytes()
            assert metadata["exptime"] == 0.001
            assert metadata["event_widths"].tolist() == list(core.get("event_width"))
            assert metadata["simulated"]
        assert {head["exposure_time"] for head in receiver.sent_on} == {0.001}


def test_no_file_where_the_server_writes_or_none_is_wanted(core):
    core.set(destination="")
    with receiver_of(core) as receiver:
        core.acquire(20)
        core.wait(lambda: receiver.ends == 1 or receiver.error)
        assert receiver.rows == 20


def test_a_server_that_comes_back_is_not_mixed_with_the_one_before(tmp_path):
    port = free_port()
    path = str(tmp_path / "after.h5")
    endpoint = f"tcp://127.0.0.1:{port}"
    with running_core(places={"stream1_port": port}) as core:
        with zmq.Context() as context, context.socket(zmq.PULL) as first:
            first.rcvhwm = 1  # most of the frames are for who comes next
            first.connect(endpoint)
            core.set(frames=1000, exposure_time=0.001)
            done = core.detector.put("acquire", True)
            assert b'"header"' in first.recv_multipart()[0]
        receiver = StreamingReceiver(endpoint)  # the header is gone: it keeps back all that comes
        done.result(20)
        core.wait(lambda: len(receiver.kept_back) > 100)
    try:
        with running_core(places={"stream1_port": port}, seed=1) as core:
            core.set(write_destination=False, destination=path)
            core.acquire(100)
            core.wait(lambda: receiver.ends or receiver.error)
            assert (receiver.ends, receiver.rows, receiver.kept_back) == (1, 100, {})
            spectra, numbers, _ = read(path)
            assert numbers.tolist() == list(range(100))
            assert spectra.tobytes() == core.frames(100)[0].tobytes()
    finally:
        receiver.close()


def test_what_was_dropped_keeps_nothing_back(core, tmp_path, monkeypatch):
    """A gap in `msg_number` would hold the rest of the series, its end and its file for ever."""
    path = str(tmp_path / "gaps.h5")
    core.set(destination=path)
    room = 50 * core.settings.channels * 4096 * 4
    monkeypatch.setattr("xsp3ioc.stream.stins_push.WAITING_BYTES", room)
    core.acquire(200)  # nobody takes it
    push = core.detector.beside["stream1"]
    core.wait(lambda: push.dropped == 150)
    core.set(frames=800)
    core.set(destination=str(tmp_path / "next.h5"))
    with receiver_of(core) as receiver:
        core.put("acquire", True)
        core.wait(lambda: receiver.ends == 2 or receiver.error)
        assert receiver.kept_back == {}
        for name in ("gaps", "next"):
            spectra, numbers, _ = read(str(tmp_path / f"{name}.h5"))
            assert len(numbers) == len(spectra) <= len(set(numbers.tolist()))
            assert (np.diff(numbers.astype(int)) > 0).all()
            assert spectra.tobytes() == spectra_of(core, numbers, MILLISECOND).tobytes()
            if name == "gaps":
                assert numbers.tolist() == list(range(50))
        assert len(numbers) == 800 - push.dropped
