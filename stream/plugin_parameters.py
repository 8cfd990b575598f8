"""The plugins on a frame's way to the displays, and their parameters: does it come through, how many have, whence."""

from __future__ import annotations

from typing import Any, NamedTuple

from xsp3ioc.stream.parameter import DISABLE_ENABLE, Parameter, Severity


class Plugin(NamedTuple):
    """One of the plugins that clients know."""

    records: str
    """How the names of its records begin."""
    source: str
    """The asyn port from which it has its frames."""
    question: str
    """What its EnableCallbacks says."""
    behind: tuple[str, ...] = ()
    """Through which others a frame comes to it."""


PLUGINS = {
    "cut": Plugin("ROI{chan}", "XSP3", "Do frames reach the channel's spectrum and ROIs"),
    "spectrum": Plugin("MCA{chan}", "CHAN{chan}", "Does the spectrum follow the frames", ("cut",)),
    "roi": Plugin("MCA{chan}ROI", "CHAN{chan}", "Look at the channel's ROIs at all", ("cut",)),
    "summing": Plugin("Proc1", "XSP3", "Are spectra summed"),
    "sum_cut": Plugin("ROISUM{chan}", "PROC1", "Do sums reach the channel's summed spectrum", ("summing",)),
    "sum_spectrum": Plugin(
        "MCASUM{chan}", "CHANSUM{chan}", "Does the summed spectrum follow the frames", ("summing", "sum_cut")
    ),
    "scaler": Plugin("C{chan}SCA", "XSP3", "Do scalers and their sums follow the frames"),
    "scaler_series": Plugin("C{chan}SCA:TS", "XSP3.C{chan}SCA", "Does the time series get points", ("scaler",)),
}
"""By what the names of their parameters begin with."""
SOURCES = {name: plugin.source for name, plugin in PLUGINS.items()} | {"file": "XSP3"}
"""The asyn port from which each has its frames, the file too."""


def _plugin(default: Any, records: str, record: str, doc: str, **more: Any) -> Parameter:
    return Parameter(default, doc, pv=f"/{records}:{record}", per_channel="{chan}" in records, expert=True, **more)


def _source(records: str) -> Parameter:
    return _plugin("", records, "NDArrayPort", "Where frames come from; there is no other way", command=True)


def _parameters(records: str, question: str) -> dict[str, Parameter]:
    handed, rate = "Frames that came here since it was set to 0", "Frames per second that come here"
    return {
        "enabled": _plugin(
            True, records, "EnableCallbacks", question, choices=DISABLE_ENABLE, severity={1: Severity.minor}
        ),
        "handed": _plugin(0, records, "ArrayCounter", handed, low=0, high=2**31 - 1, command=True),
        "rate": _plugin(0.0, records, "ArrayRate_RBV", rate, unit="Hz", precision=2, writable=False),
        "source": _source(records),
    }


class PluginParameters:
    """The records `ROI<channel>:`, `ROISUM<channel>:`, `MCA<channel>:` and so on, without what they show."""

    file_source = _source("HDF1")
    file_address = _plugin(0, "HDF1", "NDArrayAddress", "All channels are written", low=0, high=0, command=True)


for _name, _one in PLUGINS.items():
    for _what, _parameter in _parameters(_one.records, _one.question).items():
        _parameter.__set_name__(PluginParameters, f"{_name}_{_what}")
        setattr(PluginParameters, _parameter.name, _parameter)
