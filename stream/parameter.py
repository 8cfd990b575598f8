"""Parameters and commands are declared once, as data; both faces, the configuration and the tables walk them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

STRING_LENGTH = 40
"""Text that fits an EPICS string, with its final zero."""
SLOTS = {"roi": 48, "sca": 11}
"""How many values a channel has of what is declared `per` ROI or scaler."""
Index = int | tuple[int, int] | None
"""Whose value: a channel's, a channel's slot's, or all."""
NO_YES = ("No", "Yes")
DISABLE_ENABLE = ("Disable", "Enable")


@dataclass(frozen=True, eq=False)
class Parameter:
    """One value of the detector: what it is, what it may be, and its names.

    `pv` is the record's name: relative to `$(P)$(R)`, or to `$(P)` if it begins with `/`; `{chan}` counts the
    channels from 1, `{roi}` the ROIs from 1, `{sca}` the scalers from 0. A writable parameter is served as `pv` and
    `pv_RBV`, a read-only one as `pv` alone (so its name carries `_RBV` where the record's does). `tango` is the
    attribute's name, where Tango's clients know one; else they see the parameter's own.
    """

    default: Any
    """Its type is the parameter's: bool, int, float, str, or numpy array (a writable one has `length` elements)."""
    doc: str
    pv: str = ""
    tango: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    precision: int = 0
    choices: tuple[str, ...] = ()
    """Names of the values 0, 1, ... of an int or bool."""
    more_choices: tuple[tuple[str, int], ...] = ()
    """Names of further values, for which records have no state; and the state that they show instead."""
    readback_choices: tuple[str, ...] = ()
    """Where the `_RBV` record uses other words than the setpoint."""
    length: int = 0
    """Longest text (characters, 40 if not given) or array (elements)."""
    lines: bool = False
    """May text have several lines."""
    writable: bool = True
    readback: bool = True
    """False: no `_RBV` record."""
    per_channel: bool = False
    """One value per channel: `detector.values[name]` is a list (or an array whose axis 0 is the channel)."""
    per: str = ""
    """A key of `SLOTS`: each channel has one value per slot; `detector.values[name]` is an array (channels, slots)."""
    derived: bool = False
    """Its value is made when somebody asks for it, by `detector.get`; an update only says that there is a new one."""
    aliases: tuple[str, ...] = ()
    """Other record names of a read-only parameter, written like `pv`."""
    command: bool = False
    """Writing it does something; it is not a setting and not in the configuration file."""
    severity: dict[int, int] = field(default_factory=dict)
    """Alarm severity by value."""
    format: str = ""
    """How Tango's clients print it, if `precision` does not say it well: %e and the like."""
    memorized: bool = False
    """Tango's database keeps what was written last, and it is written again when the server starts."""
    expert: bool = False
    """Tango's clients show it to experts only."""
    name: str = field(default="", init=False)

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the name from the class body."""
        object.__setattr__(self, "name", name)

    def __get__(self, instance: Any, owner: type) -> Any:
        """Return the value, or the declaration when asked of the class."""
        return self if instance is None else instance.values[self.name]

    def convert(self, value: Any) -> Any:
        """`value` as this parameter's type and within its limits, or ValueError that says what is allowed."""
        if self.choices:
            return self._choice(value)
        kind = type(self.default)
        if kind is np.ndarray:
            return self._array(value)
        try:
            if kind is int and isinstance(value, float) and value != int(value):
                raise ValueError
            converted = kind(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{self.label} = {value!r} is not {_article(kind)}") from None
        if kind is str:
            longest = (self.length or STRING_LENGTH) - 1
            if len(converted) > longest:
                raise ValueError(f"{self.label} has {len(converted)} characters, more than {longest}")
            if not (self.lines or converted.isprintable()):
                raise ValueError(f"{self.label} = {converted!r} has characters that cannot be printed")
            return converted
        if math.isnan(converted):
            raise ValueError(f"{self.label} = nan is not a number")
        if self.low is not None and converted < self.low:
            raise ValueError(f"{self.label} = {_number(converted)} is below {_number(self.low)}{self._unit}")
        if self.high is not None and converted > self.high:
            raise ValueError(f"{self.label} = {_number(converted)} is above {_number(self.high)}{self._unit}")
        if math.isinf(converted):
            raise ValueError(f"{self.label} = {converted:g} is not finite")
        return converted

    def _choice(self, value: Any) -> Any:
        if isinstance(value, str):
            if value in self.names:
                return type(self.default)(self.names.index(value))
            if not value.lstrip("-").isdigit():
                raise ValueError(f"{self.label} = {value!r} is none of {self._allowed}")
        try:
            number = int(value)
            if number != float(value):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{self.label} = {value!r} is none of {self._allowed}") from None
        if not 0 <= number < len(self.names):
            raise ValueError(f"{self.label} = {number} is none of {self._allowed}")
        return type(self.default)(number)

    def _array(self, value: Any) -> Any:
        try:
            converted = np.asarray(value, self.default.dtype)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{self.label} = {value!r} is no list of numbers") from None
        if converted.shape != (self.length,):
            raise ValueError(f"{self.label} has {np.size(converted)} values, not {self.length}")
        return converted

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all values 0, 1, ... of a choice, those that records do not have included."""
        return self.choices + tuple(name for name, _ in self.more_choices)

    def state(self, value: int) -> int:
        """State in which a record shows this value of a choice."""
        more = value - len(self.choices)
        return value if more < 0 else self.more_choices[more][1]

    def text(self, value: Any) -> str:
        """Return a value as its users know it: the choice's name, or the number with its unit."""
        if self.choices:
            return self.names[int(value)]
        return f"{_number(value) if isinstance(value, float) else value}{self._unit}"

    @property
    def label(self) -> str:
        """The name that its users know: the record's, else the attribute's."""
        return self.pv.lstrip("/").removeprefix("Tango:") or self.attribute

    @property
    def attribute(self) -> str:
        """The name of Tango's attribute."""
        return self.tango or self.name

    def label_of(self, index: Index) -> str:
        """Return the name of one of its records."""
        return place(self.label, index)

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""

    @property
    def _allowed(self) -> str:
        return ", ".join(f"{choice} ({number})" for number, choice in enumerate(self.names))


def place(name: str, index: Index) -> str:
    """Fill channel, ROI and scaler into a record's name; prefixes may contain braces, so it is never formatted."""
    if index is None:
        return name
    channel, slot = index if isinstance(index, tuple) else (index, 0)
    return name.replace("{chan}", str(channel + 1)).replace("{roi}", str(slot + 1)).replace("{sca}", str(slot))


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.10g}"


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "0 or 1", str: "text"}.get(kind, kind.__name__)


def parameters(owner: type) -> dict[str, Parameter]:
    """All parameters declared on a class and its bases, in the order of their declaration."""
    found: dict[str, Parameter] = {}
    for cls in reversed(owner.__mro__):
        found |= {name: value for name, value in vars(cls).items() if isinstance(value, Parameter)}
    return found


class Severity(IntEnum):
    """How bad a value is, as EPICS counts."""

    good = 0
    minor = 1
    major = 2
    invalid = 3


@dataclass(frozen=True, slots=True)
class Update:
    """What the faces show from now on: the only way in which a value reaches a client."""

    name: str
    value: Any
    """Of the channel or slot that `index` says; without it of all: a list, or an array whose first axis is the channel,
    and the second the slot. None of a derived parameter."""
    time: float
    """Seconds since 1970, UTC."""
    index: Index = None
    severity: Severity = Severity.good
    refused: bool = False
    """A put was refused: the setpoint, not the readback, shows the old value again, INVALID until the next good put."""

    def covers(self, index: Index) -> bool:
        """Whether it includes the value at `index`."""
        return self.index in (None, index) or (isinstance(index, tuple) and self.index == index[0])

    def part(self, index: Index) -> Any:
        """Return the value at `index`, which it covers."""
        if self.index == index:
            return self.value
        return self.value[index[1] if self.index is not None and isinstance(index, tuple) else index]
