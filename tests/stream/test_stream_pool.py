"""The pool: memory comes back when the last array over it dies, whoever has it."""

import gc
import os
import threading

import numpy as np
import pytest

from xsp3ioc.stream.pool import SLAB_BYTES, Pool

CHANNELS, BINS = 4, 4096
PER_SLAB = SLAB_BYTES // (CHANNELS * BINS * 4)


@pytest.fixture
def pool():
    return Pool(CHANNELS, BINS, 4 * SLAB_BYTES)


def test_a_lease_has_room_for_a_block(pool):
    arrays = pool.lease(5).arrays
    assert arrays.mca.shape == (5, CHANNELS, BINS)
    assert arrays.scalers.shape == (5, CHANNELS, 9)
    assert arrays.factors.shape == (5, CHANNELS)
    assert arrays.frames.shape == (5,)
    assert (arrays.mca.dtype, arrays.scalers.dtype, arrays.factors.dtype) == (np.uint32, np.uint32, np.float64)
    assert all(array.flags.c_contiguous and array.flags.aligned and array.flags.writeable for array in arrays)


def test_a_block_is_never_larger_than_a_slab(pool):
    assert len(pool.lease(1000).arrays.frames) == PER_SLAB


def test_leases_do_not_overlap(pool):
    leases = [pool.lease(3).arrays for _ in range(10)]
    for number, arrays in enumerate(leases):
        for array in arrays[:3]:
            array[...] = number
    for number, arrays in enumerate(leases):
        assert all((array == number).all() for array in arrays[:3])


def test_frames_one_by_one_share_slabs(pool):
    leases = [pool.lease(1) for _ in range(PER_SLAB)]
    assert pool.in_use == 1
    assert pool.headroom == 0.75
    leases.append(pool.lease(1))
    assert pool.in_use == 2
    del leases


def test_a_full_pool_gives_nothing(pool):
    leases = [pool.lease(PER_SLAB) for _ in range(4)]
    assert pool.lease(1) is None
    assert pool.headroom == 0.0
    del leases[2]
    assert pool.headroom == 0.25
    assert pool.lease(1) is not None


def test_any_view_keeps_the_memory(pool):
    leases = [pool.lease(PER_SLAB) for _ in range(4)]
    part = leases[0].arrays.mca[3, 1, 100:200]
    view = memoryview(leases[1].arrays.scalers)
    leases.clear()
    assert pool.headroom == 0.5
    del part
    assert pool.headroom == 0.75
    view.release()
    del view
    assert pool.headroom == 1.0


def test_a_slab_comes_back_when_its_last_block_does(pool):
    first, second = pool.lease(4), pool.lease(PER_SLAB)
    assert len(second.arrays.frames) == PER_SLAB - 4
    del first
    assert pool.headroom == 0.75
    del second
    assert pool.headroom == 1.0


def test_memory_comes_back_from_other_threads_and_from_the_garbage_collector(pool):
    leases = [pool.lease(PER_SLAB) for _ in range(4)]
    threads = [threading.Thread(target=held.clear) for held in ([leases.pop()], [leases.pop()])]
    for thread in threads:
        thread.start()
        thread.join()
    del threads
    cycle = [leases.pop()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert pool.headroom == 0.75
    assert pool.lease(1) is not None


def test_no_memory_is_lost_in_a_million_ways():
    pool = Pool(1, 64, 0)
    rng = np.random.default_rng(1)
    held = []
    for size in rng.integers(1, 3 * pool.slab_frames, 3000):
        lease = pool.lease(int(size))
        if lease is not None:
            held.append(lease.arrays.mca if size % 2 else lease)
        while held and (lease is None or rng.random() < 0.6):
            held.pop(int(rng.integers(len(held))))
            lease = held
    held.clear()
    del lease
    assert pool.headroom == 1.0


def test_few_large_frames():
    pool = Pool(256, 4096, 0)
    assert (pool.slab_frames, pool.slabs) == (1, 4)
    assert len(pool.lease(10).arrays.frames) == 1


def resident_kib(pool):
    """Memory that the pool's file really has."""
    return os.fstat(pool.descriptor).st_blocks // 2


def test_memory_of_a_stall_is_given_back_afterwards():
    pool = Pool(CHANNELS, BINS, 32 * SLAB_BYTES)
    at_first = resident_kib(pool)
    leases = [pool.lease(PER_SLAB) for _ in range(32)]
    for lease in leases:
        lease.arrays.mca[:] = 7
    assert resident_kib(pool) >= 32 * SLAB_BYTES >> 10
    pool.trim()  # takes nothing that is in use
    assert all((lease.arrays.mca == 7).all() for lease in leases)
    del leases, lease
    pool.trim()
    assert resident_kib(pool) <= at_first
    assert len([pool.lease(PER_SLAB) for _ in range(32)]) == 32
