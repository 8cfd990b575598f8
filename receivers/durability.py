"""What was written survives a loss of power: files and the directories that name them, put on the disk in time."""

from __future__ import annotations

import os
import time
from pathlib import Path


class Durability:
    """Every `interval` seconds (0: never) what was written goes to the disk, and once more at the end of each file."""

    def __init__(self, interval: float = 0.0) -> None:
        self.interval = interval
        self._synced = 0.0
        self._frames = 0

    def due(self, frames: int) -> bool:
        """Whether it is time again for a file that has so many frames now."""
        return 0 < self.interval <= time.monotonic() - self._synced and frames != self._frames

    def named(self, path: str, levels: int = 0) -> None:
        """Keep the name of a new file, and those of up to `levels` new directories above it; OSError if it fails."""
        if self.interval > 0:
            self._synced, self._frames = time.monotonic(), 0
            for directory in list(Path(os.path.realpath(path)).parents)[: levels + 1]:
                _sync(directory)

    def sync(self, path: str, frames: int = 0) -> None:
        """Wait until all that was flushed to the file, `frames` frames, is on the disk; OSError if that fails."""
        if self.interval > 0:
            _sync(Path(path))
            self._synced, self._frames = time.monotonic(), frames


def _sync(path: Path) -> None:
    # Through whichever descriptor: what counts is the file.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, f"not safe on the disk: {error.strerror}", str(path)) from error
    finally:
        os.close(descriptor)
