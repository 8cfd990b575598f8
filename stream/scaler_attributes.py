"""Which NDAttribute each scaler record shows: at first the one that it is made for."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.attribute_commands import WHOSE, AttributeCommands
from xsp3ioc.stream.attributes import CHANNEL_COLUMNS, CONST, EPICS_PV, PARAM, Attribute, Value
from xsp3ioc.stream.parameter import SLOTS, Severity
from xsp3ioc.stream.scaler_analysis import COUNTERS, ScalerAnalysis

SLOTS_OF_CHANNEL = SLOTS["sca"]
NAMES = (*(f"SCA{number}" for number in range(COUNTERS)), "EventWidth", "DTFactor", "DTPercent")
"""Ends of the names of the standard attributes, by the scaler's number."""
SOURCES = (
    *(f"XSP3_CHAN_SCA{number}" for number in range(COUNTERS)),
    "XSP3_EVENT_WIDTH",
    "XSP3_CHAN_DTFACTOR",
    "XSP3_CHAN_DTPERCENT",
)
_STANDARD = re.compile(r"CHAN([1-9]\d*)(\w+)")
SHOWN = {
    "ARRAY_COUNTER": "frames_read",
    "UNIQUE_ID": "unique_id",
    "NIMAGES_COUNTER": "images_done",
    "TIME_STAMP": "time_stamp",
    "EPICS_TS_SEC": "stamp_seconds",
    "EPICS_TS_NSEC": "stamp_nanoseconds",
    "XSP3_CHAN_SCA8": "total_ticks",
}
"""Parameters that every frame has: where we show the latest."""

Source = tuple[int, int] | Callable[[], Value] | None
"""A scaler of a channel; or what makes the value of now; None: there is no such attribute."""


def standard_names(channels: int) -> NDArray[np.object_]:
    """Return the names that the scalers have at first, (channels, scalers)."""
    return np.array([[f"CHAN{channel + 1}{name}" for name in NAMES] for channel in range(channels)], object)


class ScalerAttributes(AttributeCommands):
    """`C<channel>SCA:<scaler>:AttrName`."""

    _scalers: ScalerAnalysis

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.values["scaler_attribute"] = standard_names(channels)

    def _put_scaler_attribute(self, value: str, index: tuple[int, int]) -> None:
        self.values["scaler_attribute"][index] = value
        self._arrange()
        known = self._find_attribute(value) is not None
        self.update("scaler_attribute", value, index=index, severity=None if known else Severity.minor)
        if not known:
            label = self.parameters["scaler_attribute"].label_of(index)
            self.say(f"{label}: there is no attribute {value!r} now; the scaler is 0 until there is", Severity.minor)

    def _definitions_changed(self) -> None:
        names = self.values["scaler_attribute"]
        self._arrange()
        for channel, slot in np.argwhere(names != standard_names(len(names))):
            name, index = names[channel, slot], (int(channel), int(slot))
            severity = None if self._find_attribute(name) is not None else Severity.minor
            self.update("scaler_attribute", name, index=index, severity=severity)

    def _arrange(self) -> None:
        """Have the scalers show from now on what the names say; those of before are counted as they were."""
        names = self.values["scaler_attribute"]
        self._scalers.settle()
        if (names == standard_names(len(names))).all():
            self._scalers.arrange = None
            return
        places = np.zeros(names.size, int)
        others: dict[int, Callable[[], Value]] = {}
        for slot, name in enumerate(names.flat):
            found = self._find_attribute(name)
            if isinstance(found, tuple):
                places[slot] = found[0] * SLOTS_OF_CHANNEL + found[1]
            else:
                others[slot] = found or (lambda: None)

        def arrange(values: NDArray[np.float64]) -> NDArray[np.float64]:
            flat = values.reshape(*values.shape[:-2], -1)[..., places]
            for slot, read in others.items():
                flat[..., slot] = number(read())
            return flat.reshape(values.shape)

        self._scalers.arrange = arrange

    def _find_attribute(self, name: str) -> Source:
        defined = {one.attribute.name: one.attribute for whose in WHOSE for one in self._definitions[whose]}
        attribute = defined.get(name) or self._standard_attribute(name)
        return None if attribute is None else self._source_of(attribute)

    def _standard_attribute(self, name: str) -> Attribute | None:
        match = _STANDARD.fullmatch(name)
        if match is None:
            return {
                "ArrayCounter": Attribute(name=name, type=PARAM, source="ARRAY_COUNTER"),
                "TIMESTAMP": Attribute(name=name, type=PARAM, source="TIME_STAMP"),
            }.get(name)
        channel, end = int(match[1]) - 1, match[2]
        if end not in NAMES or channel >= self.values["channels"]:
            return None
        return Attribute(name=name, type=PARAM, source=SOURCES[NAMES.index(end)], addr=channel)

    def _source_of(self, attribute: Attribute) -> Source:
        source = attribute.source
        if attribute.type == CONST:
            return lambda: source
        if attribute.type == EPICS_PV:
            return self._record_reader(attribute)
        if source in CHANNEL_COLUMNS:
            columns = [CHANNEL_COLUMNS[one] for one in SOURCES]
            if CHANNEL_COLUMNS[source] in columns:
                return attribute.addr, columns.index(CHANNEL_COLUMNS[source])
        return self._parameter_reader(SHOWN.get(source, source), attribute.addr, False)


def number(value: Value) -> float:
    """Return a value as a scaler can show it; 0 for one that is not there, or is no number."""
    try:
        found = float(value) if value is not None else 0.0
    except ValueError:
        return 0.0
    return found if np.isfinite(found) else 0.0
