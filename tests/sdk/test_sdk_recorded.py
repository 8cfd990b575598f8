"""Recorded frames in the emulator: which come when, each as long as it was, read in small pieces."""

import numpy as np
import pytest

from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings, Recording, Xspress3
from xsp3ioc.sdk.emulator.recorded import RecordedPool, RecordedTrain

FRAMES, CHANNELS = 50, 3


def content(first, count):
    """A function of the number: spectra and scalers."""
    mca = np.zeros((count, CHANNELS, 4096), np.uint32)
    mca[:, :, 7] = np.arange(first, first + count)[:, np.newaxis]
    mca[:, :, 8] = np.arange(CHANNELS)
    scalers = np.arange(first, first + count, dtype=np.uint32)[:, np.newaxis, np.newaxis] * np.uint32(100)
    return mca, scalers + np.arange(9, dtype=np.uint32) + np.zeros((1, CHANNELS, 1), np.uint32)


def recording(wrap=True, read=content, ticks=None):
    ticks = np.arange(1000, 1000 + FRAMES, dtype=np.uint32) if ticks is None else np.array(ticks, np.uint32)
    return Recording("a file", ticks, read, wrap)


@pytest.mark.parametrize("first,count", [(0, 1), (10, 33), (45, 20), (3 * FRAMES - 1, 2 * FRAMES)])
def test_pool(first, count):
    numbers = np.arange(first, first + count) % FRAMES
    expected = [np.concatenate(parts) for parts in zip(*(content(n, 1) for n in numbers), strict=True)]
    for offset, channels in ((0, CHANNELS), (1, 2)):
        pool = RecordedPool(recording(), offset, channels)
        mca, scalers = np.empty((count, channels, 4096), np.uint32), np.empty((count, channels, 9), np.uint32)
        pool.mca(first, mca)
        pool.scalers(first, scalers)
        np.testing.assert_array_equal(mca, expected[0][:, offset : offset + channels])
        np.testing.assert_array_equal(scalers, expected[1][:, offset : offset + channels])


def test_little_is_read_and_kept():
    asked = []

    def read(first, count):
        asked.append((first, count))
        return content(first, count)

    pool = RecordedPool(recording(read=read, ticks=np.ones(100_000)), 0, CHANNELS)
    out = np.empty((64, CHANNELS, 4096), np.uint32)
    for first in range(0, 640, 64):
        pool.mca(first, out)
        pool.scalers(first, np.empty((64, CHANNELS, 9), np.uint32))
    assert asked == [(first, 16) for first in range(0, 640, 16)]
    assert len(pool._blocks) <= 8


def test_after_the_end():
    pool = RecordedPool(recording(wrap=False), 0, CHANNELS)
    mca = np.ones((20, CHANNELS, 4096), np.uint32)
    pool.mca(40, mca)
    np.testing.assert_array_equal(mca[:10], content(40, 10)[0])
    assert not mca[10:].any()


def test_each_lasts_as_long_as_it_did():
    train = RecordedTrain(0, np.array([5, 10, 0], np.uint32), 2)  # begin at 0, 7, 19; end at 5, 17, 20; a lap is 22
    assert train.begun(100) == 0
    train.rise(100)
    for now, begun, complete in (
        (100, 1, 0), (104, 1, 0), (105, 1, 1), (107, 2, 1), (117, 2, 2), (119, 3, 2), (120, 3, 3), (121, 3, 3),
        (122, 4, 3), (127, 4, 4), (100 + 22_000 + 7, 3002, 3001),
    ):  # fmt: skip
        assert (train.begun(now), train.complete(now)) == (begun, complete), now
    begins, ends = train.spans(np.array([0, 1, 2, 4]))
    assert begins.tolist() == [100, 107, 119, 129]
    assert ends.tolist() == [105, 117, 120, 139]
    train.stop(121)
    assert train.complete(10_000) == 3


@pytest.mark.parametrize("pace", ["clock", "reader"])
def test_through_the_library(pace):
    """The handle reads what was recorded; where that ends and does not begin anew, no more comes."""
    settings = EmulatorSettings(channels=CHANNELS, pace=pace, clock_period=10e-9, event_width=4)
    library = EmulatedLibrary(settings, recording=recording(wrap=False))
    assert library.library_name == "emulator, replay of a file"
    assert library.simulated
    sdk = Xspress3.configure(library, channels=CHANNELS)
    try:
        sdk.format()
        assert sdk.clock_period() == 10e-9
        sdk.setup_itfg(0, 800)
        sdk.set_timing(1)
        sdk.start()
        while sdk.progress().frames < FRAMES:
            pass
        mca, scalers = np.empty((FRAMES, CHANNELS, 4096), np.uint32), np.empty((FRAMES, CHANNELS, 9), np.uint32)
        sdk.read_mca(0, mca)
        sdk.read_scalers(0, scalers)
        for one, other in zip((mca, scalers), content(0, FRAMES), strict=True):
            np.testing.assert_array_equal(one, other)
        assert sdk.progress().frames == FRAMES
        sdk.stop()
    finally:
        sdk.close()
