"""Parameters of the scalers: the latest frame's, their sums, and their time series."""

from __future__ import annotations

from typing import Any

import numpy as np

from xsp3ioc.stream.parameter import Parameter, Severity
from xsp3ioc.stream.roi_parameters import CONTROLS
from xsp3ioc.stream.time_series import LENGTH, PERIODS, SHOWN

EVERY_HALF_SECOND = tuple(PERIODS).index(".5 second")
LONGEST = 100_000_000
LONGEST_TIME = 1e6
SCALERS = (
    "0 clock ticks, 1 reset ticks, 2 resets, 3 all events, 4 good events, 5 and 6 events in windows 1 and 2, "
    "7 pile-up, 8 event width, 9 dead-time factor, 10 dead time in percent"
)
POINT = 0.1
"""What the records call the time of a frame, s; only its ratio to the averaging time means something."""


def _series(default: Any, record: str, doc: str, **more: Any) -> Parameter:
    return Parameter(default, doc, pv=f"/C{{chan}}SCA:TS:{record}", per_channel=True, **more)


def _of_scaler(record: str, doc: str) -> Parameter:
    return Parameter(
        np.zeros(0), doc, pv=f"/C{{chan}}SCA:{record}", length=SHOWN, writable=False, per_channel=True, per="sca",
        derived=True,
    )  # fmt: skip


class ScalerParameters:
    """The records `C<channel>SCA:`, `C<channel>SCA:<scaler>:` and `C<channel>SCA:TS:`."""

    scaler = Parameter(
        0.0, f"Scalers of the latest frame: {SCALERS}", pv="/C{chan}SCA:{sca}:Value_RBV",
        aliases=("/C{chan}SCA{sca}:Value_RBV",), precision=4, writable=False, per_channel=True, per="sca",
    )  # fmt: skip
    scaler_sum = Parameter(
        0.0, "Sum of a scaler over all frames since the reset", pv="/C{chan}SCA:{sca}:ValueSum_RBV", precision=4,
        writable=False, per_channel=True, per="sca",
    )  # fmt: skip
    scaler_reset = Parameter(
        False, "Zero the scalers and their sums", pv="/C{chan}SCA:Reset", choices=("Done Reset", "Reset"),
        readback=False, per_channel=True, command=True,
    )  # fmt: skip

    # time series: a point per frame
    scaler_series_acquire = _series(
        False, "TSAcquire", "Erase and start the time series (1), or stop it (0)", choices=("Done", "Acquire"),
        readback=False, command=True,
    )  # fmt: skip
    scaler_series_control = Parameter(
        0, "Start, stop, publish or erase the time series", pv="/C{chan}SCA:TSControl", choices=CONTROLS,
        readback=False, per_channel=True, command=True,
    )  # fmt: skip
    scaler_series_running = _series(
        False, "TSAcquiring", "Does the time series run", choices=("Done", "Acquiring"), writable=False,
        severity={1: Severity.minor},
    )  # fmt: skip
    scaler_series_read = _series(
        True, "TSRead", "Publish the time series now", choices=("Done", "Read"), readback=False, command=True
    )
    scaler_series_period = _series(
        EVERY_HALF_SECOND, "TSRead.SCAN", "How often a running time series is published", choices=tuple(PERIODS),
        readback=False,
    )  # fmt: skip
    scaler_series_length = _series(
        LENGTH, "TSNumPoints", f"Points of the time series; {SHOWN} are kept", low=1, high=LONGEST, readback=False,
        aliases=("/C{chan}SCA:TSNumPoints",),
    )  # fmt: skip
    scaler_series_circular = _series(
        0, "TSAcquireMode", "Stop when the series is full, or keep the last points",
        choices=("Fixed length", "Circ. buffer"),
    )  # fmt: skip
    scaler_series_points = _series(0, "TSCurrentPoint", "Points so far", writable=False)
    scaler_series_elapsed = _series(
        0.0, "TSElapsedTime", "Time since the start of the series", unit="s", precision=3, writable=False
    )
    scaler_series_point_link = _series(
        POINT, "TSTimePerPointLink", "Sets TSTimePerPoint", unit="s", low=1e-9, high=LONGEST_TIME, readback=False,
        command=True,
    )  # fmt: skip
    scaler_series_point_time = _series(
        POINT, "TSTimePerPoint", "Time of a frame, to reckon how many are averaged", unit="s", low=1e-9,
        high=LONGEST_TIME, precision=3,
    )  # fmt: skip
    scaler_series_averaging_time = _series(
        POINT, "TSAveragingTime", "Time of a point; more than that of a frame averages", unit="s", low=1e-9,
        high=LONGEST_TIME, precision=3,
    )  # fmt: skip
    scaler_series_average = _series(1, "TSNumAverage", "Frames per point", writable=False)
    scaler_series = _of_scaler("{sca}:TSArrayValue", "A scaler of each frame; NaN where it is missing")
    scaler_series_signal = _of_scaler("TS:{sca}:TimeSeries", "The same")
    scaler_series_times = _series(
        np.zeros(0), "TSTimestamp", "End of each frame, s since 1990", length=SHOWN, writable=False, derived=True
    )
    scaler_series_axis = _series(
        np.zeros(0), "TSTimeAxis", "Time of each point since the first, s", length=SHOWN, writable=False, derived=True
    )
