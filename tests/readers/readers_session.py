"""The reader's side of these tests: functions of a test module, run in a process of their own.

What has to be imported for a reader is imported by its functions: the warnings of third parties are theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

CHANNELS, BINS = 4, 4096
EXPOSURE = 0.001
SERIES = (5, 3)
"""Frames of each; the numbers begin anew."""
FRAMES = sum(SERIES)
OFFSET, SLOPE = [0.0, 5.0, -5.0, 2.5], [10.0, 10.1, 9.9, 10.0]
"""eV at bin 0 and per bin, of each channel."""


class Taken(NamedTuple):
    """A file, and what must be in it."""

    path: str
    data: np.ndarray
    """(frames, channels, bins)"""
    scalers: np.ndarray
    factors: np.ndarray


def energies():
    """eV, (channels, bins)."""
    return np.array(OFFSET)[:, np.newaxis] + np.array(SLOPE)[:, np.newaxis] * np.arange(BINS)


class Session:
    def run(self, function, *arguments):
        return function(*arguments)
