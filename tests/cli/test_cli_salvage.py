"""`xsp3ioc salvage` as it is typed: what it says, makes and returns."""

import json
import os

import h5py
import numpy as np
import pytest
from cli_command import xsp3ioc

from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.stream.messages import FRAME_DTYPE, Block, Capture, Header

CHANNELS, BINS, FRAMES = 2, 4096, 96


@pytest.fixture
def cut(tmp_path):
    """A file whose last bytes are gone."""
    path = tmp_path / "cut.h5"
    capture = Capture(capture_id=1, filename=str(path), channels=CHANNELS, bins=BINS, chunk_frames=8)
    file = NexusFile(capture, str(path))
    file.begin(
        Header(
            msg_number=0, series_id=1, capture_id=1, filename=str(path), frames=FRAMES, channels=CHANNELS, bins=BINS,
            exposure=0.001, gap=0.0, clock_period=12.5e-9, trigger_mode="Internal", time=1.7e9, times="ticks",
            event_widths=[6.0] * CHANNELS, energy_offset=[0.0] * CHANNELS, energy_slope=[10.0] * CHANNELS,
            windows=[[[0, 1], [2, 3]]] * CHANNELS, good_thresholds=[1] * CHANNELS, simulated=True, detector="one",
            host="here", server="xsp3ioc", library="none", firmware="1", parameters={"frames": FRAMES},
        )
    )  # fmt: skip
    rng = np.random.default_rng(1)
    for first in range(0, FRAMES, 8):
        about = np.zeros(8, FRAME_DTYPE)
        about["time"] = 1.7e9 + first + np.arange(8)
        mca = rng.integers(0, 1 << 32, (8, CHANNELS, BINS), np.uint32)
        file.write(Block(1, first, mca, np.ones((8, CHANNELS, 9), np.uint32), np.ones((8, CHANNELS)), about))
        file.flush()
    file.close()
    os.truncate(path, path.stat().st_size * 3 // 4)
    return path


def test_salvage(cut):
    looked = xsp3ioc("salvage", cut, "--dry-run", "--json", cwd=cut.parent)
    assert looked.returncode == 0, looked
    told = json.loads(looked.stdout)
    assert 0 < told["frames"] < FRAMES
    assert told["frames"] + told["dropped"] == FRAMES
    assert told["frames_per_series_asked"] == FRAMES
    assert os.listdir(cut.parent) == ["cut.h5"]
    assert "to be done: " in xsp3ioc("salvage", cut, "--dry-run", cwd=cut.parent).stdout
    done = xsp3ioc("salvage", cut, cwd=cut.parent)
    assert done.returncode == 0, done
    assert f"{told['frames']} frames" in done.stdout
    saved = cut.with_name("cut_salvaged.h5")
    assert str(saved) in done.stdout
    with h5py.File(saved) as file:
        assert len(file["/entry/data/data"]) == told["frames"]
    again = xsp3ioc("salvage", cut, cwd=cut.parent)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    in_place = xsp3ioc("salvage", cut, "--in-place", cwd=cut.parent)
    assert in_place.returncode == 0, in_place
    assert "is well" in xsp3ioc("salvage", cut, cwd=cut.parent).stdout


def test_nothing_to_save(cut):
    os.truncate(cut, 3000)
    done = xsp3ioc("salvage", cut, "--json", cwd=cut.parent)
    assert done.returncode == 1
    assert "nothing to save" in json.loads(done.stdout)["error"]


def test_not_ours(tmp_path):
    for name, content in (("text.h5", b"text"), ("missing.h5", None)):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        done = xsp3ioc("salvage", path, cwd=tmp_path)
        assert done.returncode == 2, done
        assert name in done.stderr
        assert "Traceback" not in done.stderr
