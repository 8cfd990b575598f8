"""What the records of areaDetector's arrays show."""

import numpy as np
import pytest

from xsp3ioc.stream.array_values import EPICS_EPOCH, identity_values, pool_values, shape_values
from xsp3ioc.stream.messages import FRAME_DTYPE, SCALERS, Block
from xsp3ioc.stream.pool import Pool

CHANNELS, BINS = 2, 4096


def block(first, *times):
    frames = np.zeros(len(times), FRAME_DTYPE)
    frames["time"] = times
    shape = len(times), CHANNELS
    return Block(
        1, first, np.zeros((*shape, BINS), np.uint32), np.zeros((*shape, SCALERS), np.uint32), np.ones(shape), frames
    )


def test_a_frame_is_counted_from_one_and_dated_since_1990():
    values = identity_values(block(10, EPICS_EPOCH + 1.0, EPICS_EPOCH + 2.25))
    assert values == {"unique_id": 12, "time_stamp": 2.25, "stamp_seconds": 2, "stamp_nanoseconds": 250_000_000}
    assert set(identity_values(None).values()) == {0}


@pytest.mark.parametrize("time", [1.8e9, 1.8e9 + 0.9999999, 2.5e9 + 0.5])
def test_nanoseconds_are_below_a_second(time):
    values = identity_values(block(0, time))
    assert 0 <= values["stamp_nanoseconds"] < 10**9
    seconds = values["stamp_seconds"] + values["stamp_nanoseconds"] * 1e-9
    assert seconds + EPICS_EPOCH == pytest.approx(time, abs=1e-6)


@pytest.mark.parametrize(("corrected", "number", "size"), [(False, 5, 4), (True, 9, 8)])
def test_type_and_size(corrected, number, size):
    values = shape_values(CHANNELS, corrected)
    assert values["data_type"] == number
    assert values["array_bytes"] == CHANNELS * BINS * size
    assert values["dimensions"].tolist() == [BINS, CHANNELS] + [0] * 8


def test_the_pool_adds_up():
    pool = Pool(CHANNELS, BINS, 64 << 20)
    leases = [pool.lease(pool.slab_frames) for _ in range(3)]
    values = pool_values(pool)
    assert values["pool_used"] == 3
    assert values["pool_allocated"] == values["pool_free"] + 3
    assert 0 < values["pool_memory"] <= values["pool_limit"]
    assert values["pool_limit"] == pytest.approx(64, rel=0.05)
    del leases
    assert pool_values(pool)["pool_used"] == 0
    more = [pool.lease(pool.slab_frames) for _ in range(12)]
    held = pool_values(pool)["pool_allocated"]
    del more
    pool.trim()
    assert pool_values(pool)["pool_allocated"] < held
