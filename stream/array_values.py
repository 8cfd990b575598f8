"""What the parameters of the arrays show: of a size, of the frame that came last, of the pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from xsp3ioc.stream.array_parameters import DIMENSIONS, FLOAT64, UINT32
from xsp3ioc.stream.blocks import EPICS_EPOCH, Block
from xsp3ioc.stream.detector_parameters import BINS
from xsp3ioc.stream.pool import Pool

_MIB = 1 << 20
_COUNT_CHANNELS = ("size_y", "most_y", "dimension1", "file_size_y", "file_dimension1", "region_size_y")


def shape_values(channels: int, corrected: bool) -> dict[str, Any]:
    """Return the values of all parameters that say how large a frame is, and of which type."""
    sizes = np.zeros(DIMENSIONS)
    sizes[:2] = BINS, channels
    return {
        **dict.fromkeys(_COUNT_CHANNELS, channels),
        **dict.fromkeys(("dimensions", "file_dimensions"), sizes),
        **dict.fromkeys(("data_type", "file_data_type"), FLOAT64 if corrected else UINT32),
        **dict.fromkeys(("array_bytes", "file_array_bytes"), BINS * channels * (8 if corrected else 4)),
    }


def identity_values(block: Block | None) -> dict[str, Any]:
    """Return the values of all parameters that say which frame is shown: the last of `block`, or none."""
    if block is None:
        return {"unique_id": 0, "time_stamp": 0.0, "stamp_seconds": 0, "stamp_nanoseconds": 0}
    stamp = float(block.frames["time"][-1]) - EPICS_EPOCH
    seconds = int(stamp)
    return {
        "unique_id": block.end,
        "time_stamp": stamp,
        "stamp_seconds": seconds,
        "stamp_nanoseconds": int((stamp - seconds) * 1e9),
    }


def pool_values(pool: Pool) -> dict[str, Any]:
    """Return the values of all parameters that show the pool."""
    usage = pool.usage()
    return {
        "pool_limit": pool.size / _MIB,
        "pool_memory": usage.held * pool.slab_bytes / _MIB,
        "pool_allocated": usage.held,
        "pool_free": usage.held - usage.used,
        "pool_used": usage.used,
    }
