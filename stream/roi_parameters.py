"""Parameters of the ROIs: what they are, what is in them, and their time series."""

from __future__ import annotations

from typing import Any

import numpy as np

from xsp3ioc.stream.detector_parameters import BINS
from xsp3ioc.stream.parameter import NO_YES, Parameter, Severity
from xsp3ioc.stream.time_series import LENGTH, PERIODS, SHOWN

CONTROLS = ("Erase/Start", "Start", "Stop", "Read", "Erase")
"""What can be done with a time series."""
EVERY_SECOND = tuple(PERIODS).index("1 second")


def _channel(default: Any, record: str, doc: str, **more: Any) -> Parameter:
    return Parameter(default, doc, pv=f"/MCA{{chan}}ROI:{record}", per_channel=True, **more)


def _roi(default: Any, record: str, doc: str, **more: Any) -> Parameter:
    return Parameter(default, doc, pv=f"/MCA{{chan}}ROI:{{roi}}:{record}", per_channel=True, per="roi", **more)


def _statistic(record: str, doc: str) -> Parameter:
    return _roi(0.0, f"{record}_RBV", f"{doc}, latest frame", unit="counts", writable=False)


def _series(record: str, doc: str) -> Parameter:
    return _roi(np.zeros(0), record, doc, length=SHOWN, writable=False, derived=True)


class RoiParameters:
    """The records `MCA<channel>ROI:` and `MCA<channel>ROI:<roi>:`."""

    roi_use = _roi(True, "Use", "Is the ROI in use, if it has any bins", choices=NO_YES)
    roi_name = _roi("", "Name", "Name of the ROI", readback=False)
    roi_min_x = _roi(0, "MinX", "First bin", unit="bin", low=0, high=BINS - 1)
    roi_size_x = _roi(0, "SizeX", "Bins; those beyond the spectrum do not count", unit="bins", low=0, high=BINS)
    roi_min_y = _roi(0, "MinY", "Not used: a spectrum has one row", low=0)
    roi_size_y = _roi(0, "SizeY", "Not used: a spectrum has one row", low=0)
    roi_first = _roi(
        0, "FirstX", "First bin; the last one stays where it is", unit="bin", low=0, high=BINS - 1, command=True,
        derived=True,
    )  # fmt: skip
    roi_last = _roi(
        0, "LastX", "Last bin, inclusive", unit="bin", low=0, high=BINS - 1, command=True, derived=True
    )
    roi_background = _roi(
        0, "BgdWidth", "Bins inside each end of the ROI that are background", unit="bins", low=0, high=BINS
    )
    roi_max_size_x = _roi(BINS, "MaxSizeX_RBV", "Bins of a spectrum", writable=False)
    roi_max_size_y = _roi(0, "MaxSizeY_RBV", "Channels of the detector", writable=False, derived=True)
    roi_total = _statistic("Total", "Sum")
    roi_net = _statistic("Net", "Sum less background")
    roi_min_value = _statistic("MinValue", "Least in a bin")
    roi_max_value = _statistic("MaxValue", "Most in a bin")
    roi_mean_value = _statistic("MeanValue", "Mean of the bins")
    roi_reset = _roi(False, "Reset", "Zero the statistics of the ROI", readback=False, command=True)
    roi_reset_all = _channel(False, "ResetAll", "Zero the statistics of all ROIs", readback=False, command=True)

    # time series: a point per frame
    roi_series_control = _channel(
        0, "TSControl", "Start, stop, publish or erase the time series", choices=CONTROLS, readback=False, command=True
    )
    roi_series_read = _channel(3, "TSRead", "Publish the time series now", readback=False, command=True)
    roi_series_period = _channel(
        EVERY_SECOND, "TSRead.SCAN", "How often a running time series is published", choices=tuple(PERIODS),
        readback=False,
    )  # fmt: skip
    roi_series_length = _channel(
        LENGTH, "TSNumPoints", f"Points of the time series, {SHOWN} at most", low=1, readback=False
    )
    roi_series_points = _channel(0, "TSCurrentPoint", "Points so far", writable=False)
    roi_series_running = _channel(
        False, "TSAcquiring", "Does the time series run", choices=("Done", "Acquiring"), writable=False,
        severity={1: Severity.minor},
    )  # fmt: skip
    roi_series_total = _series("TSTotal", "Total of each frame; NaN where it is missing")
    roi_series_net = _series("TSNet", "Net of each frame")
    roi_series_min_value = _series("TSMinValue", "Least in a bin, each frame")
    roi_series_max_value = _series("TSMaxValue", "Most in a bin, each frame")
    roi_series_mean_value = _series("TSMeanValue", "Mean of the bins, each frame")
    roi_series_times = _series("TSTimestamp", "End of each frame, s since 1990")
