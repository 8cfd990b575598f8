"""Spectra compressed as HDF5's bitshuffle filter with LZ4 does it: they can be cut and joined without being decoded."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 8192
"""Counts that are compressed together. Each such block stands for itself: whoever has frames has a chunk of them."""
HEADER = struct.Struct(">QI")
"""What the filter puts before a chunk: its bytes, and those of a block, not compressed."""
SIZE = struct.Struct(">I")
"""What is before each block: its bytes, compressed."""
WORD = 4
TOGETHER = 8
"""Numbers that are shuffled together; those at the end of a chunk that are fewer are left as they are."""

Shape = tuple[int, int, int]
"""(frames, channels, bins)."""


@cache
def load() -> Any:
    """Return the compressor, loaded when it is first needed: most servers and receivers never do."""
    # Whoever compresses has a thread for it; OpenMP's would take the processor from the one that reads frames.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import bitshuffle

    return bitshuffle


def compress(mca: NDArray[np.uint32]) -> bytes:
    """Return the bytes of an HDF5 chunk of the shape of `mca`, (frames, channels, bins)."""
    return HEADER.pack(mca.nbytes, BLOCK_BYTES) + load().compress_lz4(mca, BLOCK_BYTES // WORD).data


class Packed:
    """Compressed spectra, (frames, channels, bins); `counts` are what they say."""

    def __init__(self, payload: memoryview, shape: Shape, ends: Sequence[int]) -> None:
        """`payload` are the blocks, without the header of a chunk; they lie between each two of `ends`."""
        self.payload = payload
        self.shape = shape
        self._ends = ends
        self._counts: NDArray[np.uint32] | None = None

    @classmethod
    def from_chunk(cls, chunk: memoryview, shape: Shape) -> Packed:
        """Return what is in the bytes of an HDF5 chunk of that shape; ValueError if they are none.

        All sizes in it are checked here: the decoder believes them.
        """
        numbers = shape[0] * shape[1] * shape[2]
        if min(shape) < 1 or len(chunk) < HEADER.size:
            raise ValueError(f"a compressed chunk of {len(chunk)} bytes for {shape} is none")
        size, block = HEADER.unpack_from(chunk)
        if size != numbers * WORD or block != BLOCK_BYTES:
            raise ValueError(f"a chunk of {size} bytes in blocks of {block}; blocks have {BLOCK_BYTES}")
        payload = chunk[HEADER.size :]
        ends = _ends(payload, numbers)
        if ends[-1] != len(payload) - numbers % TOGETHER * WORD:
            raise ValueError(f"a compressed chunk of {len(chunk)} bytes is cut short, or too long")
        return cls(payload, shape, ends)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.shape[0]

    @property
    def divisible(self) -> bool:
        """Whether each frame has blocks of its own."""
        return divisible(*self.shape[1:])

    def frames(self, first: int, stop: int) -> Packed:
        """Return frames `first` to `stop`, as compressed as they are; only if it is `divisible`."""
        each = self.shape[1] * self.shape[2] * WORD // BLOCK_BYTES
        ends = self._ends[first * each : stop * each + 1]
        start, shape = ends[0], (stop - first, *self.shape[1:])
        return Packed(self.payload[start : ends[-1]], shape, [end - start for end in ends])

    @property
    def counts(self) -> NDArray[np.uint32]:
        """The spectra, (frames, channels, bins); decoded when they are first asked for."""
        if self._counts is None:
            data = np.frombuffer(self.payload, np.uint8)
            try:
                self._counts = load().decompress_lz4(data, self.shape, np.dtype("<u4"), BLOCK_BYTES // WORD)
            except Exception as error:
                # An Exception is all that it raises, whatever is wrong.
                raise ValueError(f"compressed spectra that cannot be decoded: {error}") from error
        return self._counts


def _ends(payload: memoryview, numbers: int) -> list[int]:
    """Return where each block of so many numbers ends, 0 first; it stops where the payload does."""
    blocks, rest = divmod(numbers, BLOCK_BYTES // WORD)
    ends, at, last = [0], 0, len(payload) - SIZE.size
    read = SIZE.unpack_from
    for _ in range(blocks + (rest >= TOGETHER)):
        if at > last:
            break
        at += SIZE.size + read(payload, at)[0]
        ends.append(at)
    else:
        return ends
    return [-1]


def divisible(channels: int, bins: int) -> bool:
    """Whether frames of this shape have blocks of their own, and so can be cut and joined."""
    return channels * bins * WORD % BLOCK_BYTES == 0


def join(pieces: Sequence[Packed]) -> bytes:
    """Return the bytes of an HDF5 chunk of these frames, one piece after the other; all are `divisible`."""
    nbytes = sum(piece.shape[0] * piece.shape[1] * piece.shape[2] * WORD for piece in pieces)
    return b"".join([HEADER.pack(nbytes, BLOCK_BYTES), *(piece.payload for piece in pieces)])
