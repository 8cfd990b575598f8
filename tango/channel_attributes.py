"""Attributes of one channel each, called as clients of Xspress3DS know them: Window1_Ch0, EventWidth_Ch0, ..."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from tango import AttrDataFormat, AttrWriteType

from xsp3ioc.stream.declared import BINS
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.parameter import Index, Parameter
from xsp3ioc.tango.attributes import Source


class Kind(NamedTuple):
    """What each channel has one of."""

    name: str
    type: str
    sources: tuple[str, ...]
    """The core's parameters that it shows, a value of each or the array of one; the last one changes last."""
    parameter: str
    """The one whose time it has, and to which it is put."""
    doc: str
    unit: str = ""
    length: int = 0
    """Elements; 0: a SCALAR."""
    writable: bool = False


KINDS = (
    *(
        Kind(
            f"Window{number}", "DevLong", (f"window{number}_low", f"window{number}_high"), f"window{number}",
            f"Window {number}: lowest and highest bin; values beyond the spectrum are its ends", "bins", 2, True,
        )
        for number in (1, 2)
    ),
    Kind("EventWidth", "DevShort", ("event_width",), "event_width", "Dead ticks per event, less one", "ticks"),
    Kind("Spectrum", "DevDouble", ("mca",), "mca", "Spectrum of the latest frame", "", BINS),
    Kind("SpectrumSum", "DevDouble", ("mca_sum",), "mca_sum", "Sum of the spectra since the last erase", "", BINS),
    Kind(
        "Scalers", "DevULong", ("frame_scalers",), "frame_scalers",
        "Scalers of the latest frame, as counted: " + ", ".join(one.name.replace("_", " ") for one in Scaler),
        "", len(Scaler),
    ),
)  # fmt: skip
_DTYPES = {"DevLong": np.int32, "DevShort": np.int16, "DevULong": np.uint32, "DevDouble": np.float64}


class OfChannel:
    """One channel's part of the core's values; for the device what a `Walked` is."""

    def __init__(self, kind: Kind, channel: int, parameters: Mapping[str, Parameter]) -> None:
        self.kind, self.channel = kind, channel
        self.name = f"{kind.name}_Ch{channel}"
        self.parameter = parameters[kind.parameter]
        self.writable = kind.writable
        self.is_array = kind.length > 2
        """It is pushed whether or not it differs."""

    def declaration(self) -> dict[str, Any]:
        """Return it as `tango.server.attribute` takes it."""
        kind = self.kind
        options: dict[str, Any] = {
            "name": self.name,
            "dtype": kind.type,
            "dformat": AttrDataFormat.SPECTRUM if kind.length else AttrDataFormat.SCALAR,
            "access": AttrWriteType.READ_WRITE if kind.writable else AttrWriteType.READ,
            "doc": f"{kind.doc}; channel {self.channel}, from 0",
            "unit": kind.unit,
        }
        if kind.length:
            options["max_dim_x"] = kind.length
        if kind.type == "DevDouble":
            options["format"] = "%.10g"
        return options

    def read(self, core: Source) -> Any:
        """Return its value of now, as Tango takes it."""
        return self.shown({name: {self.channel: core.get(name, self.channel)} for name in self.kind.sources})

    def shown(self, values: Mapping[str, Any]) -> Any:
        """Return what the core's `values`, each by channel, are to Tango."""
        found = [values[name][self.channel] for name in self.kind.sources]
        if not self.kind.length:
            return round(found[0])
        return np.asarray(found if len(found) > 1 else found[0], _DTYPES[self.kind.type])

    def puts(self, written: Any, core: Source) -> list[tuple[Index, Any]]:
        """Return what is to be put: index and value. ValueError: it has not as many elements as there are."""
        if np.size(written) != self.kind.length:
            raise ValueError(f"{self.name} has {np.size(written)} values, not {self.kind.length}")
        return [(self.channel, np.asarray(written).tolist())]


def channel_attributes(parameters: Mapping[str, Parameter], channels: int) -> list[OfChannel]:
    """All of them."""
    return [OfChannel(kind, channel, parameters) for channel in range(channels) for kind in KINDS]
