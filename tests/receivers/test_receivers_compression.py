"""Chunks compressed side by side: in their order, never many ahead, and whatever the blocks' lengths."""

import threading

import h5py
import numpy as np
import pytest
from receivers_feed import capture, frames, header

from xsp3ioc.receivers import compression
from xsp3ioc.receivers.compression import FILTERS, MOST_THREADS, compressed, threads
from xsp3ioc.receivers.nexus import NexusFile


@pytest.mark.parametrize(
    ("name", "processors", "expected"),
    [
        ("bslz4", 1, 1), ("bslz4", 2, 1), ("bslz4", 3, 2), ("bslz4", 64, MOST_THREADS),
        ("gzip", 1, 1), ("gzip", 2, 2), ("gzip", 64, MOST_THREADS),
        ("none", 64, 1), ("blosc", 64, 1),
    ],
)  # fmt: skip
def test_as_many_threads_as_help(name, processors, expected):
    assert threads(FILTERS[name]({})[0], processors) == expected


def test_the_order_is_kept_and_little_is_made_ahead():
    made, most = [], 0
    second = threading.Event()

    def compress(chunk):
        if chunk == 0:
            assert second.wait(60)  # the first is over last
        elif chunk == 1:
            second.set()
        made.append(chunk)
        return chunk

    for count, data in enumerate(compressed(compress, list(range(20)), 3)):
        assert data == count
        most = max(most, len(made) - count)
    assert sorted(made) == list(range(20))
    assert most <= 4


def test_an_error_in_a_thread_is_the_writers():
    def compress(chunk):
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        list(compressed(compress, [1, 2, 3], 2))


@pytest.mark.parametrize("name", ["bslz4", "gzip", "none", "lz4"])
@pytest.mark.parametrize("corrected", [False, True])
def test_blocks_of_any_length_become_whole_chunks(tmp_path, monkeypatch, name, corrected):
    monkeypatch.setattr(compression.threads, "__defaults__", (4,))
    order = capture(tmp_path / "f.h5", compression=name, chunk_frames=5, corrected=corrected)
    file = NexusFile(order, order.filename)
    file.begin(header())
    first = 0
    for number, count in enumerate((1, 3, 1, 5, 10, 2, 37, 4, 5, 1, 23, 20)):
        file.write(frames(first, count))
        first += count
        if number % 3 == 0:
            file.flush()
    file.close()
    with h5py.File(order.filename) as written:
        detector = written["/entry/instrument/xspress3"]
        np.testing.assert_array_equal(detector["data_raw" if corrected else "data"], frames(0, first).mca)
