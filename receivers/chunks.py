"""Spectra on their way into a chunked HDF5 dataset: whole chunks, most compressed by hand and written directly."""

from __future__ import annotations

import logging
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike

from xsp3ioc.receivers.compression import FILTERS, Filter, Spectra, compressed, threads
from xsp3ioc.receivers.rows import write_rows
from xsp3ioc.stream.messages import Block, Capture, Packed, join

CHUNK_BYTES = 1 << 20
"""Spectra per chunk, uncompressed; more or less costs speed."""
MOST_CHUNK_BYTES = 64 << 20
"""Spectra per chunk, uncompressed, whatever is asked for: a chunk is held in memory, and read as a whole."""
GROW_FRAMES = 1024
"""The dataset grows in steps of this many frames: each resize costs."""

log = logging.getLogger(__name__)


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
        self,
        group: h5py.Group,
        name: str,
        per_chunk: int,
        shape: tuple[int, int],
        dtype: DTypeLike,
        chunk_filter: Filter,
        grow: int = GROW_FRAMES,
    ) -> None:
        """`shape` is (channels, bins); the dataset grows in steps of `grow` frames, or by chunks."""
        self._compress, keywords = chunk_filter
        self._threads = threads(self._compress)
        self.dataset = group.create_dataset(
            name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(per_chunk, *shape), fillvalue=0, **keywords
        )
        self.frames = 0
        self._per_chunk = per_chunk
        self._shape = shape
        self._grow = max(grow, per_chunk)
        self._extent = 0
        # Frames of the chunk that is not full yet lie in `_part`; `_part_flushed` of them are in the file.
        self._part = np.zeros((per_chunk, *shape), dtype)
        self._part_flushed = 0
        self._tail: list[Packed] = []
        """Frames of it that came compressed and are not in `_part` yet: all that it has, then."""

    def takes_packed(self, spectra: Packed) -> bool:
        """Whether spectra that come compressed are written as they are."""
        return self._compress is FILTERS["bslz4"]({})[0] and spectra.divisible

    def append_packed(self, spectra: Packed) -> None:
        """Add compressed spectra: their bytes are the file's."""
        if (offset := self.frames % self._per_chunk) and not self._tail:
            # The begin of this chunk is there as counts.
            part = min(len(spectra), self._per_chunk - offset)
            self.append(spectra.frames(0, part).counts)
            if part == len(spectra):
                return
            spectra, offset = spectra.frames(part, len(spectra)), 0
        first, start = self.frames - offset, 0
        while start < len(spectra):
            stop = min(len(spectra), start + self._per_chunk - offset)
            self._tail.append(spectra.frames(start, stop))
            self.frames += stop - start
            offset, start = offset + stop - start, stop
            if offset == self._per_chunk:
                self._write_chunk(first, join(self._tail), offset)
                self._tail.clear()
                first, offset = self.frames, 0

    def _settle(self) -> None:
        """Have what there is of a chunk as counts, whatever it came as."""
        if self._tail:
            np.concatenate([piece.counts for piece in self._tail], out=self._part[: self.frames % self._per_chunk])
            self._tail.clear()

    def append(self, mca: Spectra) -> None:
        """Add the spectra of a block, (frames, channels, bins); OSError as the file system has it."""
        self._settle()
        offset = self.frames % self._per_chunk
        first = self.frames - offset
        part = min(len(mca), self._per_chunk - offset) if offset else 0
        whole = part + (len(mca) - part) // self._per_chunk * self._per_chunk
        chunks = [mca[start : start + self._per_chunk] for start in range(part, whole, self._per_chunk)]
        if part:
            self._part[offset : offset + part] = mca[:part]
            if offset + part == self._per_chunk:
                chunks.insert(0, self._part)
        self._write(first, chunks)
        self._part[: len(mca) - whole] = mca[whole:]
        self.frames += len(mca)

    def skip(self, frames: int) -> None:
        """Leave room for `frames` frames that are missing: they read as zeros."""
        self._settle()
        offset = self.frames % self._per_chunk
        part = min(frames, self._per_chunk - offset) if offset else 0
        if part:
            self._part[offset : offset + part] = 0
            if offset + part == self._per_chunk:
                self._write(self.frames - offset, [self._part])
        # Whole chunks are left out of the file: a reader sees the fill value.
        self.frames += frames
        if frames > part:
            self._part[: self.frames % self._per_chunk] = 0

    def flush(self) -> None:
        """Write the chunk that is not full, and trim the dataset to the frames there are."""
        self._settle()
        self._resize(self.frames)
        offset = self.frames % self._per_chunk
        if offset > self._part_flushed:
            self._part[offset:] = 0
            for data in compressed(self._compress, [self._part], 1):
                self._write_chunk(self.frames - offset, data, offset)
            self._part_flushed = offset

    def _write(self, first: int, chunks: list[Spectra]) -> None:
        """Write full chunks, one after the other from frame `first` on."""
        for number, data in enumerate(compressed(self._compress, chunks, self._threads)):
            self._write_chunk(first + number * self._per_chunk, data, self._per_chunk)
            if self._part_flushed:
                # The flushed part of this chunk has just lost its place in the file: until the new place is
                # flushed too, a crash would take frames away that were safe.
                h5py.h5f.flush(self.dataset.file.id)
                self._part_flushed = 0

    def _write_chunk(self, first: int, data: Any, frames: int) -> None:
        """Write a chunk of which the first `frames` are there: its bytes, or its spectra if HDF5 compresses them."""
        if self._compress is None:
            # HDF5 writes nothing beyond the end of the dataset.
            self._resize(max(self._extent, first + frames))
            write_rows(self.dataset.id, first, data[:frames])
            return
        if first >= self._extent:
            self._resize(first + self._grow)
        self.dataset.id.write_direct_chunk((first, 0, 0), data)

    def _resize(self, frames: int) -> None:
        if frames != self._extent:
            self.dataset.id.set_extent((frames, *self._shape))
            self._extent = frames


class SpectraFile:
    """The spectra of a capture: `data`, and `data_raw` beside it where `data` are corrected for dead time."""

    def __init__(self, group: h5py.Group, capture: Capture) -> None:
        shape = capture.channels, capture.bins
        per_chunk = frames_per_chunk(*shape, capture.frames, capture.chunk_frames)
        chunk_filter = FILTERS[capture.compression](capture.compression_options)
        # Readers of a file that is being written see its length: never more than there is.
        grow = 0 if capture.swmr else GROW_FRAMES
        self._raw = Chunks(
            group, "data_raw" if capture.corrected else "data", per_chunk, shape, "u4", chunk_filter, grow
        )
        self._corrected = None
        if capture.corrected:
            self._corrected = Chunks(group, "data", per_chunk, shape, "f8", chunk_filter, grow)
        self._all = [chunks for chunks in (self._raw, self._corrected) if chunks is not None]
        for chunks in self._all:
            chunks.dataset.attrs.update({"units": "counts", "interpretation": "spectrum"})
            chunks.dataset.attrs["long_name"] = "Counts per bin"
        if self._corrected is not None:
            self._corrected.dataset.attrs["long_name"] = "Counts per bin, corrected for dead time"
        group["data"].attrs["signal"] = 1

    def append(self, block: Block) -> None:
        """Add the spectra of a block; OSError as the file system has it."""
        if isinstance(block.spectra, Packed) and self._raw.takes_packed(block.spectra):
            self._raw.append_packed(block.spectra)
        else:
            self._raw.append(block.mca)
        if self._corrected is not None:
            self._corrected.append(block.mca * block.factors[..., np.newaxis])

    def skip(self, frames: int) -> None:
        """Leave room for `frames` frames that are missing: they read as zeros."""
        for chunks in self._all:
            chunks.skip(frames)

    def flush(self) -> None:
        """Write what is not written, and trim the datasets to the frames there are."""
        for chunks in self._all:
            chunks.flush()
