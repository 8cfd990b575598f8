"""Parameters of each channel: its settings, and what the latest frame says."""

from __future__ import annotations

import numpy as np

from xsp3ioc.stream.detector_parameters import BINS
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.parameter import NO_YES, Parameter


def _threshold(pv: str, doc: str) -> Parameter:
    return Parameter(0, doc, pv=pv, unit="bin", low=0, high=BINS - 1, per_channel=True)


def _dead_time(name: str, doc: str, unit: str) -> Parameter:
    return Parameter(
        0.0, doc, pv=f"C{{chan}}_DTC_{name}_RBV", unit=unit, precision=4, writable=False, per_channel=True,
        expert=True,
    )  # fmt: skip


class ChannelParameters:
    """One value per channel each."""

    # per channel: settings
    good_threshold = _threshold("C{chan}_SCA4_THRESHOLD", "Lowest bin that counts as good event")
    window1_low = _threshold("C{chan}_SCA5_LLM", "Window 1, lowest bin")
    window1_high = _threshold("C{chan}_SCA5_HLM", "Window 1, highest bin")
    window2_low = _threshold("C{chan}_SCA6_LLM", "Window 2, lowest bin")
    window2_high = _threshold("C{chan}_SCA6_HLM", "Window 2, highest bin")
    event_width = Parameter(
        5.0, "Dead ticks per event, less one", pv="/C{chan}:EventWidth", unit="ticks", low=0, high=1023, precision=1,
        per_channel=True, readback=False,
    )  # fmt: skip
    enabled = Parameter(
        True, "Does the channel count: a frame is whole without those that do not", pv="C{chan}_Enable", choices=NO_YES,
        per_channel=True,
    )  # fmt: skip
    energy_offset = Parameter(
        0.0, "Energy at bin 0", pv="/C{chan}:EnergyOffset", unit="eV", precision=2, per_channel=True
    )
    energy_slope = Parameter(
        10.0, "Energy per bin", pv="/C{chan}:EnergySlope", unit="eV", low=1e-3, precision=4, per_channel=True
    )
    energy = Parameter(
        np.zeros(0), "Energy of each bin", pv="/C{chan}:Energy_RBV", unit="eV", precision=1, length=BINS,
        writable=False, per_channel=True, derived=True,
    )  # fmt: skip

    # per channel: the library's own dead-time model, from the calibration
    dtc_flags = Parameter(
        0, "How the library corrects dead time", pv="C{chan}_DTC_FLAGS_RBV", writable=False, per_channel=True,
        expert=True,
    )  # fmt: skip
    dtc_event_gradient = _dead_time("AEG", "Process dead time of all events, per energy", "s/keV")
    dtc_event_offset = _dead_time("AEO", "Process dead time of all events", "s")
    dtc_window_gradient = _dead_time("IWG", "Process dead time of events in a window, per energy", "s/keV")
    dtc_window_offset = _dead_time("IWO", "Process dead time of events in a window", "s")

    # per channel: the latest frame
    mca = Parameter(
        np.zeros(0), "Spectrum of the latest frame", pv="/MCA{chan}:ArrayData", unit="", length=BINS,
        writable=False, per_channel=True,
    )  # fmt: skip
    mca_sum = Parameter(
        np.zeros(0), "Sum of the spectra since the last erase", pv="/MCASUM{chan}:ArrayData", length=BINS,
        writable=False, per_channel=True,
    )  # fmt: skip
    sum_frames = Parameter(0, "Frames in the sum", pv="/Proc1:NumFiltered_RBV", writable=False)
    sum_reset = Parameter(
        True, "Begin the sum of the spectra anew", pv="/Proc1:ResetFilter", choices=NO_YES, readback=False, command=True
    )
    frame_scalers = Parameter(
        np.zeros(0),
        "Scalers of the latest frame, as counted: " + ", ".join(one.name.replace("_", " ") for one in Scaler),
        length=len(Scaler), writable=False, per_channel=True,
    )  # fmt: skip
    total_ticks = Parameter(
        0.0, "Total clock ticks", pv="/C{chan}:TotalTicks_RBV", writable=False, per_channel=True
    )
    dead_time = Parameter(
        0.0, "Dead time of the latest frame", pv="/C{chan}:DeadTime_RBV", unit="%", precision=5, writable=False,
        per_channel=True,
    )  # fmt: skip
    mean_dead_time = Parameter(
        0.0, "Mean dead time of the enabled channels", pv="/MeanDeadTime_RBV", unit="%", precision=5, writable=False
    )
    max_dead_time = Parameter(
        0.0, "Highest dead time of the enabled channels", pv="/MaxDeadTime_RBV", unit="%", precision=5, writable=False
    )
    dt_factor = Parameter(
        1.0, "Dead-time correction factor of the latest frame", pv="/C{chan}:DTFactor_RBV", precision=5,
        writable=False, per_channel=True,
    )  # fmt: skip
    output_rate = Parameter(
        0.0, "Output count rate of the latest frame", pv="/C{chan}:OCR_RBV", unit="cps", precision=1, writable=False,
        per_channel=True,
    )  # fmt: skip
    input_rate = Parameter(
        0.0, "Input count rate of the latest frame", pv="/C{chan}:ICR_RBV", unit="cps", precision=1, writable=False,
        per_channel=True,
    )  # fmt: skip
