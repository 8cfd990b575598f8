"""Captures on the wire: the orders that the server gives its file writer, and what that reports."""

from __future__ import annotations

import os

import msgspec

from xsp3ioc.stream.attributes import AttributeSet

MOST_PARTS = 500
"""The last takes all that follows: whoever reads all frames has all parts open, and 1024 files at most (Linux)."""
RESERVE = 32 << 20
"""Bytes that the writer leaves free on a disk at least, but for a tenth of a small disk."""
RESERVE_SECONDS = 2.0
"""And for how long it could go on to write."""
ROW_BYTES = 256
"""Of a frame, and again of each of its channels, beside the spectra."""


def reserve(total: int, rate: float = 0.0) -> int:
    """Bytes that the writer leaves free on a disk of `total` bytes that fills at `rate` bytes/s."""
    return min(max(RESERVE, int(RESERVE_SECONDS * rate)), total // 10)


def row_bytes(channels: int) -> int:
    """Bytes of a frame beside its spectra: about what scalers, rates and attributes take."""
    return (channels + 1) * ROW_BYTES


class SettingsFiles(msgspec.Struct, frozen=True):
    """A settings directory as the library has read or written it."""

    directory: str = ""
    files: dict[str, str] = {}
    """Name -> its text."""
    left_out: list[str] = []
    """Of files that are too large, or no text: name, bytes, SHA-256."""


class Message(msgspec.Struct, tag_field="htype", kw_only=True):
    """JSON part of a message; `htype` says which."""


class Capture(Message, tag="capture"):
    """A file begins; it holds the series up to `capture_end`, or the first `frames` frames (0: no limit)."""

    capture_id: int
    filename: str
    channels: int
    bins: int
    frames: int = 0
    overwrite: bool = False
    create_directories: int = 0
    """How many missing levels may be made, counted from the leaf."""
    chunk_frames: int = 0
    """Frames per HDF5 chunk; 0: as files.md chooses."""
    compression: str = "bslz4"
    compression_options: dict[str, int | str] = {}
    """Of gzip: level; of szip: pixels; of blosc: codec, level, shuffle."""
    flush_interval: float = 1.0
    flush_frames: int = 0
    """Flush when so many frames are not; 0: by time only."""
    swmr: bool = False
    """Others may read while it is written; after a crash it opens with `swmr=True` only."""
    corrected: bool = False
    """`data` is float64, spectra times dead-time factors, and the spectra themselves are `data_raw`."""
    attributes: AttributeSet = AttributeSet()
    """What is written beside each frame, as areaDetector does it."""
    pattern: str = ""
    """C format that makes `filename` of `number`; empty: the name has no number."""
    number: int = 0
    next_free: bool = False
    """A number whose file exists is passed over."""
    underscore: bool = False
    """`_` is put before the ending of a name that exists, until there is no such file; Tango's rule."""
    each_frame: bool = False
    """A file for every frame; `frames` of them."""
    increment: bool = True
    """Each of these takes the next number."""
    hold: bool = False
    """The file stands under a hidden name, in the same directory, until a capture with `held` gives it its own."""
    held: str = ""
    """No new file: this one, of `frames` frames, is named."""
    part_frames: int = 0
    """Frames in a part of a long capture, whose `filename` is the master of its parts then; 0: any number."""
    part_bytes: int = 0
    """Bytes in a part, on the disk; 0: any number."""

    @property
    def in_parts(self) -> bool:
        """It may have more than one part can hold."""
        several = self.part_frames > 0 and not 0 < self.frames <= self.part_frames
        return not self.each_frame and (several or self.part_bytes > 0)

    def name(self, number: int) -> str:
        """Return the file's name with another number."""
        return self.pattern % number if self.pattern else self.filename


def part_name(filename: str, number: int) -> str:
    """Return the name of a part, counted from 1, of the capture whose master is `filename`: it lies beside that."""
    stem, ending = os.path.splitext(filename)
    return f"{stem}_part{number:04}{ending}"


class CaptureEnd(Message, tag="capture_end"):
    """The file shall be closed."""

    capture_id: int
    reason: str = "complete"


class Flush(Message, tag="flush"):
    """For the writer: what came before shall be in the file; answered by `written` with the same `flush`."""

    capture_id: int
    flush: int


class Opened(Message, tag="opened"):
    """The writer has opened the file of a capture."""

    capture_id: int
    filename: str
    """As it really is, whatever its order said."""
    number: int = 0
    """The one in its name."""


class Written(Message, tag="written"):
    """Frames of this capture that are in the file and flushed; `series_id` is set when that series is complete."""

    capture_id: int
    frames: int
    series_id: int | None = None
    missing: int = 0
    flush: int = 0
    """Which order to flush this answers; 0: none."""
    swmr: bool = False
    """Others may read the file now."""
    stored: int = 0
    """Bytes on the disk so far; of all files, where there is one for every frame."""
    filename: str = ""
    """Of a capture with a file for every frame: the last of them, and its number."""
    number: int = 0


class Closed(Message, tag="closed"):
    """The file is complete and closed."""

    capture_id: int
    filename: str
    frames: int
    seconds: float = 0.0
    """From its first frame to its end."""


class Failed(Message, tag="failed"):
    """The writer could not open, write or close, or the disk is full; `filename` keeps what was flushed before."""

    capture_id: int
    filename: str
    frames: int
    error: str


Report = Opened | Written | Closed | Failed
"""What the writer says."""
