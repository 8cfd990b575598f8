"""Random-looking numbers that are a function of what they are for, so that any process finds the same."""

import numpy as np
from numpy.typing import NDArray

_FULL = 1 << 64


def hashed(seed: int, channels: int, first: int, frames: int) -> NDArray[np.uint64]:
    """One number per frame from `first` on and channel, all 64 bits used: uint64 (frames, channels)."""
    frame = np.arange(first, first + frames, dtype=np.uint64)
    with np.errstate(over="ignore"):
        return mixed(seed, np.add.outer(frame << np.uint64(8), np.arange(channels, dtype=np.uint64)))


def mixed(seed: int, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One number per word, splitmix64 with a seed: uint64, same shape; takes over the array that it is given."""
    with np.errstate(over="ignore"):
        z = words
        z += np.uint64((seed * 0xD1342543DE82EF95 + 1) % _FULL)
        z *= np.uint64(0x9E3779B97F4A7C15)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return z


def happens(rate: float, seed: int, channels: int, first: int, frames: int) -> NDArray[np.bool_]:
    """Whether something of probability `rate` happens to each frame and channel: bool (frames, channels)."""
    if rate >= 1:
        return np.ones((frames, channels), bool)
    return mixed(seed, hashed(seed, channels, first, frames)) < np.uint64(int(rate * _FULL))
