"""Spectra on their way into a chunked HDF5 dataset: whole chunks compressed by hand and written directly."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable
from typing import Any

import bitshuffle
import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 1 << 20
"""Spectra per chunk, uncompressed; more or less costs speed."""
MOST_CHUNK_BYTES = 64 << 20
"""Spectra per chunk, uncompressed, whatever is asked for: a chunk is held in memory, and read as a whole."""
GROW_FRAMES = 1024
"""The dataset grows in steps of this many frames: each resize costs."""
BITSHUFFLE_BLOCK = 8192
GZIP_LEVEL = 1

log = logging.getLogger(__name__)

Spectra = NDArray[np.uint32]


def _bslz4(chunk: Spectra) -> Any:
    # The filter's own header: bytes of the chunk, bytes of a bitshuffle block, big endian.
    header = struct.pack(">QI", chunk.nbytes, BITSHUFFLE_BLOCK)
    return header + bitshuffle.compress_lz4(chunk, BITSHUFFLE_BLOCK // chunk.itemsize).data


def _gzip(chunk: Spectra) -> Any:
    return zlib.compress(chunk.data, GZIP_LEVEL)


def _none(chunk: Spectra) -> Any:
    return chunk


COMPRESSORS: dict[str, tuple[Callable[[Spectra], Any], dict[str, Any]]] = {
    "bslz4": (_bslz4, dict(hdf5plugin.Bitshuffle())),
    "gzip": (_gzip, {"compression": "gzip", "compression_opts": GZIP_LEVEL}),
    "none": (_none, {}),
}
"""Name -> what makes a chunk's bytes, and the keywords of the dataset that tell readers."""


def frames_per_chunk(channels: int, bins: int, frames: int, asked: int = 0) -> int:
    """Frames in a chunk of `channels` x `bins` uint32: `asked`, or what fills 1 MiB but not more than `frames`.

    `frames` is how many there will be (0: unknown), `asked` 0 leaves the choice; more than fits into 64 MiB is not
    granted.
    """
    frame = channels * bins * 4
    if asked > 0:
        most = max(1, MOST_CHUNK_BYTES // frame)
        if asked > most:
            log.warning("Chunks of %d frames are too large: %d frames instead", asked, most)
        return min(asked, most)
    fitting = max(1, CHUNK_BYTES // frame)
    return min(fitting, frames) if frames > 0 else fitting


class Chunks:
    """The spectra of a file: appended in blocks of any length, kept in chunks of `per_chunk` frames.

    `frames` counts what was appended; after `flush` all of it is in the dataset, whose length is then that.
    """

    def __init__(
        self, group: h5py.Group, name: str, per_chunk: int, channels: int, bins: int, compression: str
    ) -> None:
        self._compress, keywords = COMPRESSORS[compression]
        self.dataset = group.create_dataset(
            name,
            (0, channels, bins),
            "u4",
            maxshape=(None, channels, bins),
            chunks=(per_chunk, channels, bins),
            fillvalue=0,
            **keywords,
        )
        self.frames = 0
        self._per_chunk = per_chunk
        self._tail_shape = (channels, bins)
        self._extent = 0
        # Frames of the chunk that is not full yet lie in `_part`; `_part_flushed` of them are in the file.
        self._part = np.zeros((per_chunk, channels, bins), np.uint32)
        self._part_flushed = 0

    def append(self, mca: Spectra) -> None:
        """Add the spectra of a block, (frames, channels, bins); OSError as the file system has it."""
        done = 0
        while done < len(mca):
            offset = self.frames % self._per_chunk
            take = min(len(mca) - done, self._per_chunk - offset)
            if take == self._per_chunk:
                self._write_chunk(self.frames, mca[done : done + take])
                self.frames += take
            else:
                self._part[offset : offset + take] = mca[done : done + take]
                self._filled(take)
            done += take

    def skip(self, frames: int) -> None:
        """Leave room for `frames` frames that are missing: they read as zeros."""
        while frames > 0:
            offset = self.frames % self._per_chunk
            take = min(frames, self._per_chunk - offset)
            if take == self._per_chunk:
                # Whole chunks are left out of the file: a reader sees the fill value.
                take = frames - frames % self._per_chunk
                self.frames += take
            else:
                self._part[offset : offset + take] = 0
                self._filled(take)
            frames -= take

    def flush(self) -> None:
        """Write the chunk that is not full, and trim the dataset to the frames there are."""
        self._resize(self.frames)
        offset = self.frames % self._per_chunk
        if offset > self._part_flushed:
            self._part[offset:] = 0
            self._write_chunk(self.frames - offset, self._part)
            self._part_flushed = offset

    def _filled(self, frames: int) -> None:
        self.frames += frames
        if self.frames % self._per_chunk == 0:
            self._write_chunk(self.frames - self._per_chunk, self._part)
            if self._part_flushed:
                # The flushed part of this chunk has just lost its place in the file: until the new place is
                # flushed too, a crash would take frames away that were safe.
                h5py.h5f.flush(self.dataset.file.id)
                self._part_flushed = 0

    def _write_chunk(self, first: int, chunk: Spectra) -> None:
        if first >= self._extent:
            self._resize(first + max(GROW_FRAMES, self._per_chunk))
        self.dataset.id.write_direct_chunk((first, 0, 0), self._compress(chunk))

    def _resize(self, frames: int) -> None:
        if frames != self._extent:
            self.dataset.id.set_extent((frames, *self._tail_shape))
            self._extent = frames
