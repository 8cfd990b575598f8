"""Parameters that show frames as areaDetector's arrays: type, size, identity, memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from xsp3ioc.stream.detector_parameters import BINS
from xsp3ioc.stream.parameter import DISABLE_ENABLE, NO_YES, Parameter, Severity

UINT32, FLOAT64 = 5, 9
"""Data types, as areaDetector counts them."""
DATA_TYPES = ("Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64")
COLOR_MODES = ("Mono", "Bayer", "RGB1", "RGB2", "RGB3", "YUV444", "YUV422", "YUV421")
DIMENSIONS = 10


def _array(default: Any, doc: str, **more: Any) -> Parameter:
    return Parameter(default, doc, expert=True, **more)


def _fixed(value: int, pv: str, doc: str) -> Parameter:
    return _array(value, doc, pv=pv, low=value, high=value, command=True)


class ArrayParameters:
    """Arrays of (channels, bins)."""

    array_callbacks = Parameter(
        True, "Do frames reach the displays and the file; they are streamed in any case", pv="ArrayCallbacks",
        choices=DISABLE_ENABLE, severity={1: Severity.minor},
    )  # fmt: skip
    corrected = Parameter(
        False, "Spectra are shown and written times their dead-time factors", pv="CTRL_DTC", choices=DISABLE_ENABLE,
        readback_choices=("Disabled", "Enabled"),
    )  # fmt: skip
    data_type = _array(
        UINT32, "Type of the spectra; follows CTRL_DTC", pv="DataType", choices=DATA_TYPES, command=True
    )
    color_mode = _array(0, "Spectra have no colours", pv="ColorMode", choices=COLOR_MODES, command=True)
    bin_x = _fixed(1, "BinX", "Bins of a spectrum are not added up")
    bin_y = _fixed(1, "BinY", "Channels are not added up")
    region_min_x = _fixed(0, "MinX", "Spectra begin at bin 0")
    region_min_y = _fixed(0, "MinY", "All channels are read out")
    region_size_x = _fixed(BINS, "SizeX", "Spectra have all their bins")
    region_size_y = _array(4, "All channels are read out", pv="SizeY", low=1, command=True)
    reverse_x = _array(False, "Spectra begin at bin 0", pv="ReverseX", choices=NO_YES, command=True)
    reverse_y = _array(False, "Frames begin with channel 1", pv="ReverseY", choices=NO_YES, command=True)
    size_x = _array(BINS, "Bins of a spectrum", pv="ArraySizeX_RBV", writable=False)
    size_y = _array(4, "Channels of a frame", pv="ArraySizeY_RBV", writable=False)
    size_z = _array(0, "Not used", pv="ArraySizeZ_RBV", writable=False)
    most_x = _array(BINS, "Bins of a spectrum, at most", pv="MaxSizeX_RBV", writable=False)
    most_y = _array(4, "Channels of the system", pv="MaxSizeY_RBV", writable=False)
    dimension0 = _array(BINS, "Bins of a spectrum", pv="ArraySize0_RBV", writable=False)
    dimension1 = _array(4, "Channels of a frame", pv="ArraySize1_RBV", writable=False)
    dimension2 = _array(0, "Not used", pv="ArraySize2_RBV", writable=False)
    array_bytes = _array(0, "Bytes of the spectra of a frame", pv="ArraySize_RBV", unit="bytes", writable=False)
    dimension_count = _array(2, "Dimensions of a frame: bins, channels", pv="NDimensions_RBV", writable=False)
    dimensions = _array(
        np.zeros(DIMENSIONS), "Sizes of a frame: bins, channels", pv="Dimensions_RBV", length=DIMENSIONS,
        writable=False,
    )  # fmt: skip
    unique_id = _array(
        0, "Number of the frame that is shown, from 1 in its series", pv="UniqueId_RBV", writable=False
    )
    time_stamp = _array(
        0.0, "End of the frame that is shown, since 1990", pv="TimeStamp_RBV", unit="s", precision=3, writable=False
    )
    stamp_seconds = _array(0, "Its whole seconds", pv="EpicsTSSec_RBV", unit="s", writable=False)
    stamp_nanoseconds = _array(0, "Its nanoseconds", pv="EpicsTSNsec_RBV", unit="ns", writable=False)
    pool_limit = _array(
        0.0, "Memory for frames that wait for the file or a subscriber, at most", pv="PoolMaxMem", unit="MB",
        precision=1, writable=False,
    )  # fmt: skip
    pool_memory = _array(
        0.0, "Memory that these frames have now", pv="PoolUsedMem", unit="MB", precision=1, writable=False
    )
    pool_allocated = _array(
        0, "Buffers that have memory, each for several frames", pv="PoolAllocBuffers", writable=False
    )
    pool_free = _array(0, "Those of them that are free", pv="PoolFreeBuffers", writable=False)
    pool_used = _array(0, "Those of them that hold frames", pv="PoolUsedBuffers", writable=False)
