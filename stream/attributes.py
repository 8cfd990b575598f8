"""NDAttributes: the values that areaDetector's clients ask to be written beside every frame, as data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from xsp3ioc.stream.formulas import Scaler

Kind = Literal["EPICS_PV", "PARAM", "CONST"]
"""Where a value comes from: a record of any server, a parameter of this one, the definition itself."""
EPICS_PV: Kind = "EPICS_PV"
PARAM: Kind = "PARAM"
CONST: Kind = "CONST"
KINDS: tuple[Kind, ...] = (EPICS_PV, PARAM, CONST)
MOST = 4096
"""Attributes in a set."""
STANDARD_FILE = "XSP3.xml"
"""What the areaDetector driver's users know as the file of the standard set."""

Value = float | int | str | None
"""None: there is none at the moment."""
DataType = Literal["i1", "i2", "i4", "i8", "f4", "f8", "S256"]
"""As numpy says it."""
TEXT: DataType = "S256"

CHANNEL_COLUMNS = {
    **{f"XSP3_CHAN_SCA{scaler.value}": scaler.name for scaler in Scaler},
    "XSP3_EVENT_WIDTH": "event_width",
    "XSP3_CHAN_DTFACTOR": "dead_time_correction",
    "XSP3_CHAN_DTPERCENT": "dead_time_percent",
    **{scaler.name: scaler.name for scaler in Scaler},
    "event_width": "event_width",
    "dt_factor": "dead_time_correction",
    "dead_time": "dead_time_percent",
    "output_rate": "output_count_rate",
    "input_rate": "input_count_rate",
}
"""Parameters that every frame has for every channel, as the driver and as we call them: where the file has them, in the
detector's group."""
FRAME_TYPES: dict[str, DataType] = {
    **dict.fromkeys(("ARRAY_COUNTER", "UNIQUE_ID"), "i4"),
    **dict.fromkeys(("NIMAGES_COUNTER", "frames_read", "images_done", "unique_id"), "i4"),
    **dict.fromkeys(("TIME_STAMP", "time_stamp"), "f8"),
    **dict.fromkeys(("EPICS_TS_SEC", "EPICS_TS_NSEC", "stamp_seconds", "stamp_nanoseconds"), "i8"),
}
"""Parameters that every frame has, and their types."""


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """One value per frame, under a name of its own."""

    # It becomes the name of a dataset.
    name: Annotated[str, msgspec.Meta(pattern=r"\A(?!\.{1,2}\Z)[^/\x00-\x1f\x7f]{1,100}\Z")]
    type: Kind
    source: str
    """Name of the record or parameter; of a constant its value."""
    addr: int = 0
    """The channel, from 0, of a parameter that each has for itself."""
    datatype: DataType = "f8"
    description: str = ""
    unit: str = ""
    """Of a parameter."""

    @property
    def is_text(self) -> bool:
        """Whether its values are text."""
        return self.datatype == TEXT

    @property
    def of_the_frame(self) -> bool:
        """Whether its value follows from the frame's own data: nobody has to send it."""
        return self.type == PARAM and (self.source in CHANNEL_COLUMNS or self.source in FRAME_TYPES)


class AttributeSet(msgspec.Struct, frozen=True, kw_only=True):
    """What a file has of them."""

    standard: bool = True
    """Those that the areaDetector driver's own file asks for."""
    attributes: tuple[Attribute, ...] = ()
    """Others; one of the same name goes before a standard one."""

    def with_more(self, attributes: Iterable[Attribute]) -> AttributeSet:
        """Return it with more attributes; one that has the name of another takes its place."""
        by_name = {attribute.name: attribute for attribute in (*self.attributes, *attributes)}
        return AttributeSet(standard=self.standard, attributes=tuple(by_name.values()))
