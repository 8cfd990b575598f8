"""Parameters of the plugins on a frame's way to the displays: whether it comes through, how many have, and whence."""

from __future__ import annotations

from typing import Any

from xsp3ioc.stream.parameter import DISABLE_ENABLE, Parameter, Severity

SOURCES = {
    "cut": "XSP3",
    "spectrum": "CHAN{chan}",
    "roi": "CHAN{chan}",
    "summing": "XSP3",
    "sum_cut": "PROC1",
    "sum_spectrum": "CHANSUM{chan}",
    "scaler": "XSP3",
    "scaler_series": "XSP3.C{chan}SCA",
    "file": "XSP3",
}
"""The asyn port from which each plugin has its frames."""


def _plugin(default: Any, plugin: str, record: str, doc: str, **more: Any) -> Parameter:
    return Parameter(default, doc, pv=f"/{plugin}:{record}", per_channel="{chan}" in plugin, **more)


def _enabled(plugin: str, doc: str) -> Parameter:
    return _plugin(
        True, plugin, "EnableCallbacks", doc, choices=DISABLE_ENABLE, severity={1: Severity.minor},
    )  # fmt: skip


def _handed(plugin: str) -> Parameter:
    doc = "Frames that came here since it was set to 0"
    return _plugin(0, plugin, "ArrayCounter", doc, low=0, high=2**31 - 1, command=True)


def _rate(plugin: str) -> Parameter:
    return _plugin(0.0, plugin, "ArrayRate_RBV", "Frames per second that come here", unit="Hz", precision=2,
                   writable=False)  # fmt: skip


def _source(plugin: str) -> Parameter:
    return _plugin("", plugin, "NDArrayPort", "Where frames come from; there is no other way", command=True)


class PluginParameters:
    """The records `ROI<channel>:`, `ROISUM<channel>:`, `MCA<channel>:` and so on, without what they show."""

    cut_enabled = _enabled("ROI{chan}", "Do frames reach the channel's spectrum and ROIs")
    cut_handed = _handed("ROI{chan}")
    cut_rate = _rate("ROI{chan}")
    cut_source = _source("ROI{chan}")
    spectrum_enabled = _enabled("MCA{chan}", "Does the spectrum follow the frames")
    spectrum_handed = _handed("MCA{chan}")
    spectrum_rate = _rate("MCA{chan}")
    spectrum_source = _source("MCA{chan}")
    roi_enabled = _enabled("MCA{chan}ROI", "Look at the channel's ROIs at all")
    roi_handed = _handed("MCA{chan}ROI")
    roi_rate = _rate("MCA{chan}ROI")
    roi_source = _source("MCA{chan}ROI")
    summing_enabled = _enabled("Proc1", "Are spectra summed")
    summing_handed = _handed("Proc1")
    summing_rate = _rate("Proc1")
    summing_source = _source("Proc1")
    sum_cut_enabled = _enabled("ROISUM{chan}", "Do sums reach the channel's summed spectrum")
    sum_cut_handed = _handed("ROISUM{chan}")
    sum_cut_rate = _rate("ROISUM{chan}")
    sum_cut_source = _source("ROISUM{chan}")
    sum_spectrum_enabled = _enabled("MCASUM{chan}", "Does the summed spectrum follow the frames")
    sum_spectrum_handed = _handed("MCASUM{chan}")
    sum_spectrum_rate = _rate("MCASUM{chan}")
    sum_spectrum_source = _source("MCASUM{chan}")
    scaler_enabled = _enabled("C{chan}SCA", "Do scalers and their sums follow the frames")
    scaler_handed = _handed("C{chan}SCA")
    scaler_rate = _rate("C{chan}SCA")
    scaler_source = _source("C{chan}SCA")
    scaler_series_enabled = _enabled("C{chan}SCA:TS", "Does the time series get points")
    scaler_series_handed = _handed("C{chan}SCA:TS")
    scaler_series_rate = _rate("C{chan}SCA:TS")
    scaler_series_source = _source("C{chan}SCA:TS")
    file_source = _source("HDF1")
    file_address = _plugin(0, "HDF1", "NDArrayAddress", "All channels are written", low=0, high=0, command=True)
