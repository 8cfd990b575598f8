"""The first bytes of an HDF5 file: whether a crash left it marked as open, where it ends, and mending both.

HDF5's own h5clear does the same: `-s` clears the marks, `--increment` sets the end. Superblocks at offset 0 are known,
of version 0 (libver "earliest", which has no marks) and of 2 and 3 (SWMR), with offsets of 8 bytes, as the HDF5 file
format specification has them.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

SIGNATURE = b"\x89HDF\r\n\x1a\n"
WRITER, SWMR = 1, 4
"""Bits of the consistency flags: somebody has it open to write, and lets others read."""
_LENGTHS = {0: 96, 2: 48, 3: 48}
_VERSION, _FLAGS = 8, 11
_OFFSET_SIZE = {0: 13, 2: 9, 3: 9}
_END = {0: 40, 2: 28, 3: 28}
_CHECKSUM = 44
_MASK = 0xFFFFFFFF


class NotHdf5Error(ValueError):
    """There is no superblock that we know."""


@dataclass(frozen=True)
class Superblock:
    """What it says; `raw` are its bytes."""

    raw: bytes

    @classmethod
    def read(cls, file: BinaryIO) -> Superblock:
        """Take it from an open file; NotHdf5Error says what is wrong with it."""
        file.seek(0)
        raw = file.read(max(_LENGTHS.values()))
        if not raw:
            raise NotHdf5Error("is empty: 0 bytes")
        if not raw.startswith(SIGNATURE):
            raise NotHdf5Error(f"does not begin like an HDF5 file, but with {raw[:8]!r}")
        version = raw[_VERSION] if len(raw) > _VERSION else -1
        if version not in _LENGTHS or len(raw) < _LENGTHS[version] or raw[_OFFSET_SIZE[version]] != 8:
            raise NotHdf5Error("has a superblock of another kind than those that xsp3ioc writes")
        block = cls(raw[: _LENGTHS[version]])
        if version and block.raw[_CHECKSUM:] != _checksum(block.raw[:_CHECKSUM]):
            raise NotHdf5Error("has a superblock that is damaged: its checksum is wrong")
        return block

    @property
    def version(self) -> int:
        """0: no marks, opens after a crash; 2 and 3: marked while it is open to write."""
        return self.raw[_VERSION]

    @property
    def marks(self) -> int:
        """`WRITER` and `SWMR`; 0 in a file that was closed."""
        return self.raw[_FLAGS] & (WRITER | SWMR) if self.version else 0

    @property
    def end(self) -> int:
        """Bytes that the file has, by its own account."""
        return int(struct.unpack_from("<Q", self.raw, _END[self.version])[0])

    def mended(self, end: int) -> Superblock:
        """Return it without marks, with another end."""
        raw = bytearray(self.raw)
        struct.pack_into("<Q", raw, _END[self.version], end)
        if self.version:
            raw[_FLAGS] &= ~(WRITER | SWMR) & 0xFF
            raw[_CHECKSUM:] = _checksum(bytes(raw[:_CHECKSUM]))
        return Superblock(bytes(raw))


def mend(path: str | os.PathLike[str]) -> None:
    """Clear the marks of the file at `path`, and let it end where its bytes end; a file cut short gets zeros.

    The file must be nobody else's now. NotHdf5Error and OSError.
    """
    with open(path, "r+b") as file:
        block = Superblock.read(file)
        size = os.fstat(file.fileno()).st_size
        end = max(block.end, size)
        if size < end:
            os.ftruncate(file.fileno(), end)
        os.pwrite(file.fileno(), block.mended(end).raw, 0)
        os.fsync(file.fileno())


class Mended(io.RawIOBase):
    """The bytes of a file as `mend` would make them, without changing it: for h5py to read."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` is open to read, and stays so; NotHdf5Error."""
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        """Bytes that there are; more are zeros."""
        self.superblock = Superblock.read(file)
        self._end = max(self.size, self.superblock.end)
        self._head = self.superblock.mended(self._end).raw
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte."""
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def tell(self) -> int:
        """Return where the next byte is."""
        return self._at

    def readinto(self, buffer: object) -> int:
        """Fill `buffer`, with zeros beyond the end of the file."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        got = os.preadv(self._file.fileno(), [view], self._at) if len(view) else 0
        view[got:] = bytes(len(view) - got)
        head = self._head[self._at : self._at + len(view)]
        view[: len(head)] = head
        self._at += len(view)
        return len(view)


def _checksum(data: bytes) -> bytes:
    """Bob Jenkins's lookup3 (public domain), as HDF5 uses it for its metadata: 4 bytes, little endian."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    words = struct.unpack(f"<{-(-len(data) // 12) * 3}I", data.ljust(-(-len(data) // 12) * 12, b"\0"))
    for at in range(0, len(words) - 3, 3):
        a, b, c = _mixed((a + words[at]) & _MASK, (b + words[at + 1]) & _MASK, (c + words[at + 2]) & _MASK)
    a, b, c = ((one + word) & _MASK for one, word in zip((a, b, c), words[-3:], strict=True))
    for shift, one in ((14, 0), (11, 1), (25, 2), (16, 0), (4, 1), (14, 2), (24, 0)):
        if one == 0:
            c = ((c ^ b) - _rotated(b, shift)) & _MASK
        elif one == 1:
            a = ((a ^ c) - _rotated(c, shift)) & _MASK
        else:
            b = ((b ^ a) - _rotated(a, shift)) & _MASK
    return struct.pack("<I", c)


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for shift in (4, 6, 8, 16, 19, 4):
        # The three take turns: after three steps a is where it was.
        a = ((a - c) & _MASK) ^ _rotated(c, shift)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _rotated(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _MASK
