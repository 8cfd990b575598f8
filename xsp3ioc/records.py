"""Which records there are: the detector's parameters in the shape that clients know, and the rest of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from xsp3ioc.catalogue import Row, rows
from xsp3ioc.stream.parameter import SLOTS, STRING_LENGTH, Index, Parameter, Severity, place

READBACK = "_RBV"
DETECTOR = "det1:"
"""How the catalogue calls the macro R."""


@dataclass(frozen=True)
class Record:
    """One EPICS record: a view on one parameter, of one channel or slot where there is one value for each."""

    name: str
    parameter: Parameter
    index: Index
    writable: bool
    shows: bool
    """It tells the truth: the readback, or the only record. A setpoint beside its readback tells what was asked."""
    row: Row | None = None
    """What clients know about it, if they know it."""
    plain: bool = False
    """Nothing in the detector knows of it."""

    @cached_property
    def native(self) -> str:
        """The Channel Access type: ENUM, LONG, DOUBLE, STRING or CHAR."""
        parameter = self.parameter
        if self.row is not None:
            return self.row.native
        if self.choices:
            return "ENUM"
        if isinstance(parameter.default, (float, np.ndarray)):
            return "DOUBLE"
        if isinstance(parameter.default, str):
            return "CHAR" if parameter.length > STRING_LENGTH else "STRING"
        return "LONG"

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Names of the states, for an ENUM."""
        parameter = self.parameter
        if self.row is not None:
            return self.row.choices
        choices = parameter.readback_choices if self.shows and not self.writable else ()
        return choices or parameter.choices or (("No", "Yes") if isinstance(parameter.default, bool) else ())

    @cached_property
    def is_array(self) -> bool:
        """A waveform of numbers."""
        return self.row.is_array if self.row is not None else isinstance(self.parameter.default, np.ndarray)

    @cached_property
    def count(self) -> int:
        """Elements: 1, or the longest text or array."""
        if not self.is_array and self.native != "CHAR":
            return 1
        return max(self.parameter.length, self.row.count if self.row is not None else 1)

    @cached_property
    def record_type(self) -> str:
        """What `.RTYP` says."""
        if self.row is not None:
            return self.row.record_type
        if self.count > 1:
            return "waveform"
        if self.native == "ENUM":
            return ("bo" if self.writable else "bi") if len(self.choices) == 2 else "mbbo" if self.writable else "mbbi"
        output, input_ = {"LONG": ("longout", "longin"), "DOUBLE": ("ao", "ai"), "STRING": ("stringout", "stringin")}[
            self.native
        ]
        return output if self.writable else input_

    @property
    def unit(self) -> str:
        """Engineering unit."""
        return self.row.unit if self.row is not None else self.parameter.unit

    @property
    def precision(self) -> int:
        """Digits behind the point."""
        return self.row.precision if self.row is not None else self.parameter.precision

    @property
    def drive_limits(self) -> tuple[float, float]:
        """Lowest and highest value of a put, where both are declared: EPICS knows no limit on one side only."""
        if self.row is not None:
            return self.row.drive_limits
        low, high = self.parameter.low, self.parameter.high
        return (0, 0) if low is None or high is None else (low, high)

    @property
    def display_limits(self) -> tuple[float, float]:
        """Ends of a scale."""
        return self.row.display_limits if self.row is not None else self.drive_limits

    @property
    def severities(self) -> dict[int, Severity]:
        """Alarm severity by value, for a record that shows the truth."""
        if self.row is not None:
            return self.row.severities
        return {value: Severity(severity) for value, severity in self.parameter.severity.items()} if self.shows else {}

    @property
    def doc(self) -> str:
        """Meaning."""
        return self.parameter.doc

    @property
    def scan(self) -> str:
        """When it is processed, as a choice of menuScan."""
        if self.row is not None:
            return self.row.scan
        return "Passive" if self.writable else "I/O Intr"


def all_records(parameters: Iterable[Parameter], channels: int, prefix: str, r: str = DETECTOR) -> list[Record]:
    """Every record on a system of so many channels: first those of `parameters`, then the plain ones."""
    known = {full_name(_pv(row), index, prefix, r): row for row in rows() for index in row.indices(channels)}
    found = list(live_records(parameters, channels, prefix, r, known))
    taken = {record.name for record in found}
    taken.update(alias for record in found for alias in alias_names(record, prefix, r))
    plain = {row.pv: row for row in rows()}
    made: dict[str, Parameter] = {}
    for row in rows():
        setpoint = plain.get(row.pv.removesuffix(READBACK), row) if not row.writable else row
        follows = setpoint.writable and not row.writable
        of = setpoint if follows else row
        if (parameter := made.get(of.pv)) is None:
            parameter = made[of.pv] = of.parameter()
        for index in row.indices(channels):
            name = full_name(_pv(row), index, prefix, r)
            if name not in taken:
                found.append(Record(name, parameter, index, row.writable, not row.writable, row, plain=True))
    return found


def live_records(
    parameters: Iterable[Parameter], channels: int, prefix: str, r: str, known: dict[str, Row]
) -> Iterator[Record]:
    """Every record of `parameters`; aliases are `alias_names`. `known` has the rows of the catalogue by full name."""
    for parameter in parameters:
        if not parameter.pv:
            continue
        for index in indices(parameter, channels):
            name = full_name(parameter.pv, index, prefix, r)
            paired = parameter.writable and parameter.readback
            yield Record(name, parameter, index, parameter.writable, not paired, known.get(name))
            if paired:
                name += READBACK
                yield Record(name, parameter, index, False, True, known.get(name))


def indices(parameter: Parameter, channels: int) -> Iterable[Index]:
    """Whose values a parameter has."""
    if not parameter.per_channel:
        return (None,)
    if not parameter.per:
        return range(channels)
    return ((channel, slot) for channel in range(channels) for slot in range(SLOTS[parameter.per]))


def alias_names(record: Record, prefix: str, r: str = DETECTOR) -> list[str]:
    """Other names of a record; a setpoint's are not its readback's."""
    if record.parameter.writable and not record.writable:
        return []
    return [full_name(alias, record.index, prefix, r) for alias in record.parameter.aliases]


def full_name(pv: str, index: Index, prefix: str, r: str) -> str:
    """Name of the record that is declared as `pv`."""
    pv = place(pv, index)
    return prefix + pv[1:] if pv.startswith("/") else prefix + r + pv


def _pv(row: Row) -> str:
    """Name of a row as a parameter would declare it."""
    return row.pv[len(DETECTOR) :] if row.pv.startswith(DETECTOR) else "/" + row.pv


def fit(text: str, size: int) -> bytes:
    """`text` in at most `size` bytes of UTF-8, not cut within a character."""
    return text.encode()[:size].decode(errors="ignore").encode()


def to_wire(record: Record, value: Any) -> Any:
    """`value` as the record holds it: int, float, text that fits, bytes with a final zero, or an array of its own."""
    if record.is_array:
        return np.array(value, dtype=">f8" if record.native == "DOUBLE" else ">i4").ravel()[: record.count]
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


@dataclass(frozen=True)
class Line:
    """One line of the list of records."""

    name: str
    record_type: str
    native: str
    count: int
    access: str
    unit: str
    choices: tuple[str, ...]
    doc: str


def pv_table(parameters: Iterable[Parameter], channels: int, prefix: str, r: str = DETECTOR) -> list[Line]:
    """List the records and their aliases, to print."""
    return [
        Line(
            name,
            record.record_type,
            record.native,
            record.count,
            "rw" if record.writable else "ro",
            record.unit,
            record.choices,
            record.doc,
        )
        for record in all_records(parameters, channels, prefix, r)
        for name in (record.name, *alias_names(record, prefix, r))
    ]
