"""Series of a Tango client on the streams of the beamlines, both at once, beside the native one."""

from __future__ import annotations

import time

import h5py
import hdf5plugin  # noqa: F401  for h5py
import numpy as np
import pytest
from stream_legacy import StinsReceiver, WritingReceiver, streams_of
from system_desk import Desk
from tango_contrast import ContrastDetector
from tango_frames import ReaderPair

DATA = "/entry/instrument/xspress3/data"


@pytest.fixture(scope="module")
def beamline(tmp_path_factory):
    """A server with both, its receivers that have joined, and contrast."""
    pair = ReaderPair(tmp_path_factory.mktemp("streams"), server={"legacy_port": 0, "stream1_port": 0})
    publisher, push = streams_of(pair.server.banner)
    pair.contrast = Desk(ContrastDetector, pair.name)
    pair.desks.append(pair.contrast)
    pair.subscriber, pair.puller = WritingReceiver(publisher), StinsReceiver(push)
    while not (pair.subscriber.complete() and pair.puller.complete()):  # a PUB does not say who has joined
        pair.acquire(1)
        time.sleep(0.02)
    yield pair
    pair.subscriber.close()
    pair.puller.close()
    pair.end()


@pytest.mark.parametrize("how", ["step by step", "burst"])
@pytest.mark.parametrize("writes", [True, False])
def test_all_three_have_every_frame(beamline, tmp_path, how, writes):
    native = beamline.keeper.ended()
    before = [receiver.complete() for receiver in (beamline.subscriber, beamline.puller)]
    path = str(tmp_path / "scan.hdf5")
    beamline.contrast.set(WriteHdf5=writes)
    if how == "burst":
        beamline.contrast.prepare(0.002, path, starts=1, burst=20)
        assert beamline.contrast.step() == ("STANDBY", 20)
    else:
        beamline.contrast.prepare(0.005, path, starts=5)
        for step in range(1, 6):
            assert beamline.contrast.step()[1] == step  # a software trigger each
    mca, scalers, factors, _ = beamline.keeper.frames(native + 1)
    assert len(mca) == (20 if how == "burst" else 5)
    subscriber = beamline.subscriber.heard(before[0] + 1)
    puller = beamline.puller.heard(before[1] + 1)
    for one in (subscriber, puller):
        assert one.numbers == list(range(len(mca)))
        assert np.array(one.spectra).tobytes() == mca.tobytes()
    assert subscriber.header["filename"] == path
    named = ("", path) if writes else (path, "")  # stream1's readers append to a file that is there
    assert (puller.header["filename"], puller.header["server_filename"]) == named
    assert (subscriber.column("all_good") == scalers[..., 4]).all()
    assert subscriber.column("dead_time_correction").tobytes() == factors.tobytes()
    assert [image["scalers"] for image in puller.images] == scalers.tolist()
    assert (puller.end["reason"], puller.end["dropped"]) == ("complete", 0)
    if writes:
        with h5py.File(path, "r") as file:
            assert file[DATA][()].tobytes() == mca.tobytes()
