"""Which records a table of parameters makes: names, types and access, without a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from xsp3ioc.stream.parameter import SLOTS, STRING_LENGTH, Index, Parameter, place

READBACK = "_RBV"


@dataclass(frozen=True)
class Record:
    """One EPICS record: a view on one parameter, of one channel where there is one value per channel."""

    name: str
    parameter: Parameter
    index: Index
    writable: bool
    shows: bool
    """It tells the truth: the readback, or the only record. A setpoint beside its readback tells what was asked."""

    @cached_property
    def native(self) -> str:
        """The Channel Access type: ENUM, LONG, DOUBLE, STRING or CHAR."""
        parameter = self.parameter
        if self.choices:
            return "ENUM"
        if isinstance(parameter.default, (float, np.ndarray)):
            return "DOUBLE"
        if isinstance(parameter.default, str):
            return "CHAR" if parameter.length else "STRING"
        return "LONG"

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Names of the states, for an ENUM."""
        parameter = self.parameter
        choices = parameter.readback_choices if self.shows and not self.writable else ()
        return choices or parameter.choices or (("No", "Yes") if isinstance(parameter.default, bool) else ())

    @property
    def is_array(self) -> bool:
        """A waveform of numbers."""
        return isinstance(self.parameter.default, np.ndarray)

    @property
    def count(self) -> int:
        """Elements: 1, or the longest text or array."""
        return self.parameter.length if self.is_array or self.native == "CHAR" else 1

    @property
    def record_type(self) -> str:
        """What `.RTYP` says."""
        if self.count > 1:
            return "waveform"
        if self.native == "ENUM":
            return ("bo" if self.writable else "bi") if len(self.choices) == 2 else "mbbo" if self.writable else "mbbi"
        output, input_ = {"LONG": ("longout", "longin"), "DOUBLE": ("ao", "ai"), "STRING": ("stringout", "stringin")}[
            self.native
        ]
        return output if self.writable else input_

    @property
    def limits(self) -> tuple[float, float] | None:
        """Lowest and highest value, where both are declared: EPICS knows no limit on one side only."""
        low, high = self.parameter.low, self.parameter.high
        return None if low is None or high is None else (low, high)

    def value_from(self, values: Mapping[str, Any]) -> Any:
        """Pick what this record shows out of the detector's values."""
        value = values[self.parameter.name]
        return value if self.index is None else value[self.index]


def records(parameters: Iterable[Parameter], channels: int, prefix: str, r: str = "det1:") -> Iterator[Record]:
    """Every record of `parameters` on a system of so many channels; aliases are `alias_names`."""
    for parameter in parameters:
        if not parameter.pv:
            continue
        for index in indices(parameter, channels):
            name = full_name(parameter.pv, index, prefix, r)
            paired = parameter.writable and parameter.readback
            yield Record(name, parameter, index, writable=parameter.writable, shows=not paired)
            if paired:
                yield Record(name + READBACK, parameter, index, writable=False, shows=True)


def indices(parameter: Parameter, channels: int) -> Iterable[Index]:
    """Whose values a parameter has."""
    if not parameter.per_channel:
        return (None,)
    if not parameter.per:
        return range(channels)
    return ((channel, slot) for channel in range(channels) for slot in range(SLOTS[parameter.per]))


def alias_names(record: Record, prefix: str, r: str = "det1:") -> list[str]:
    """Other names of a record; a setpoint's are not its readback's."""
    if record.parameter.writable and not record.writable:
        return []
    return [full_name(alias, record.index, prefix, r) for alias in record.parameter.aliases]


def full_name(pv: str, index: Index, prefix: str, r: str) -> str:
    """Name of the record that is declared as `pv`."""
    pv = place(pv, index)
    return prefix + pv[1:] if pv.startswith("/") else prefix + r + pv


@dataclass(frozen=True)
class Row:
    """One line of the list of records."""

    name: str
    record_type: str
    native: str
    count: int
    access: str
    unit: str
    choices: tuple[str, ...]
    doc: str


def pv_table(parameters: Iterable[Parameter], channels: int, prefix: str, r: str = "det1:") -> list[Row]:
    """List the records and their aliases, to print."""
    rows = []
    for record in records(parameters, channels, prefix, r):
        for name in (record.name, *alias_names(record, prefix, r)):
            rows.append(
                Row(
                    name,
                    record.record_type,
                    record.native,
                    record.count,
                    "rw" if record.writable else "ro",
                    record.parameter.unit,
                    record.choices,
                    record.parameter.doc,
                )
            )
    return rows


def fit(text: str, size: int) -> bytes:
    """`text` in at most `size` bytes of UTF-8, not cut within a character."""
    return text.encode()[:size].decode(errors="ignore").encode()


def to_wire(record: Record, value: Any) -> Any:
    """`value` as the record holds it: int, float, text that fits, bytes with a final zero, or an array of its own."""
    if record.is_array:
        # A copy: the core uses its arrays again.
        return np.array(value, dtype=">f8").ravel()[: record.count]
    if record.native == "ENUM":
        return int(value) if value < len(record.choices) else record.parameter.state(int(value))
    if record.native == "LONG":
        return min(max(int(value), -(2**31)), 2**31 - 1)
    if record.native == "DOUBLE":
        return float(value)
    if record.native == "CHAR":
        # With its final zero an empty text is not an empty array, which many clients take for "no value".
        return fit(value, record.count - 1) + b"\0"
    return fit(value, STRING_LENGTH - 1).decode()
