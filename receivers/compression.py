"""How the spectra of a chunk become its bytes: a capture's filters, by hand and on several threads where that helps."""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

import bitshuffle
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

BITSHUFFLE_BLOCK = 8192
SHUFFLES = {"none": 0, "byte": 1, "bit": 2}
MOST_THREADS = 4
"""More would wait for the thread that writes."""
PROCESSORS = len(os.sched_getaffinity(0))

Spectra = NDArray[np.uint32] | NDArray[np.float64]
Compress = Callable[[Spectra], Any]
Filter = tuple[Compress | None, dict[str, Any]]
"""What makes a chunk's bytes (None: HDF5 does it), and the keywords of the dataset that tell readers."""
Options = Mapping[str, Any]

_threads = ThreadPoolExecutor(MOST_THREADS, "compress")


def _compress_bslz4(chunk: Spectra) -> Any:
    # The filter's own header: bytes of the chunk, bytes of a bitshuffle block, big endian.
    header = struct.pack(">QI", chunk.nbytes, BITSHUFFLE_BLOCK)
    return header + bitshuffle.compress_lz4(chunk, BITSHUFFLE_BLOCK // chunk.itemsize).data


def _compress_gzip(level: int, chunk: Spectra) -> Any:
    return zlib.compress(chunk.data, level)


def _plain(chunk: Spectra) -> Any:
    return chunk


def _none(options: Options) -> Filter:
    return _plain, {}


def _bslz4(options: Options) -> Filter:
    return _compress_bslz4, dict(hdf5plugin.Bitshuffle())


def _gzip(options: Options) -> Filter:
    level = options.get("level", 1)
    return partial(_compress_gzip, level), {"compression": "gzip", "compression_opts": level}


def _szip(options: Options) -> Filter:
    return None, {"compression": "szip", "compression_opts": ("nn", options.get("pixels", 16))}


def _blosc(options: Options) -> Filter:
    shuffle = SHUFFLES[options.get("shuffle", "byte")]
    codec, level = options.get("codec", "blosclz"), options.get("level", 5)
    return None, dict(hdf5plugin.Blosc(cname=codec, clevel=level, shuffle=shuffle))


def _lz4(options: Options) -> Filter:
    return None, dict(hdf5plugin.LZ4())


FILTERS: dict[str, Callable[[Options], Filter]] = {
    "bslz4": _bslz4, "gzip": _gzip, "szip": _szip, "blosc": _blosc, "lz4": _lz4, "none": _none,
}  # fmt: skip
"""By the names of the captures."""


def threads(compress: Compress | None, processors: int = PROCESSORS) -> int:
    """Return how many chunks are to be compressed at the same time; 1: by the thread that writes.

    bslz4 is nearly as fast as the frames come, so one processor is left to the server: with two, a second thread
    takes from it what it gains. gzip is so slow that every processor helps.
    """
    if compress is None or compress is _plain:
        return 1
    return min(MOST_THREADS, max(1, processors - (compress is _compress_bslz4)))


def compressed(compress: Compress | None, chunks: Sequence[Spectra], at_once: int) -> Iterator[Any]:
    """Yield what is written for each of `chunks`, in their order; `at_once` are compressed at a time, few ahead.

    The chunks must stay as they are until the last one has come.
    """
    if compress is None:
        yield from chunks
        return
    if at_once == 1 or len(chunks) == 1:
        yield from map(compress, chunks)
        return
    left = iter(chunks)
    ahead = deque(_threads.submit(compress, chunk) for chunk in islice(left, at_once))
    while ahead:
        done = ahead.popleft().result()
        # The next one is under way before this one is written.
        ahead.extend(_threads.submit(compress, chunk) for chunk in islice(left, 1))
        yield done
