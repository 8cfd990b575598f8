"""The walk: each of the core's parameters as a Tango attribute, how it is declared, read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tango import AttrDataFormat, AttrWriteType, DispLevel

from xsp3ioc.stream.parameter import SLOTS, Index, Parameter

BUILT_IN = ("Status",)
"""Attributes that every device has: the core's parameters of these names are not served a second time."""
READ_ONLY = ("channels",)
"""Records that take only what they are already, for areaDetector's clients; Tango's know them as read-only."""
TYPES = {bool: "DevBoolean", int: "DevLong64", float: "DevDouble", str: "DevString"}
MOST_DIGITS = 10
_DTYPES = {"DevBoolean": bool, "DevLong64": np.int64, "DevEnum": np.int16, "DevDouble": np.float64}


class Source(Protocol):
    """What is asked of the core for a value."""

    def get(self, name: str, index: Index = None) -> Any:
        """Return a value as it is now: of `index`, or of the whole parameter."""


class Walked:
    """A parameter as Tango's clients see it.

    A value per channel is a SPECTRUM (channels), an array a SPECTRUM (length), an array per channel an IMAGE
    (channels, length); a value per ROI or scaler is an IMAGE (channels, slots), an array an IMAGE (channels * slots,
    length), a channel's slots one behind the other.
    """

    def __init__(self, parameter: Parameter, channels: int) -> None:
        self.parameter = parameter
        self.name = parameter.attribute
        self.writable = parameter.writable and parameter.name not in READ_ONLY
        self.rows = [channels] if parameter.per_channel else []
        if parameter.per:
            self.rows.append(SLOTS[parameter.per])
        self.is_array = isinstance(parameter.default, np.ndarray)
        """Each of its values is an array."""

    @property
    def type(self) -> str:
        """The name of Tango's type."""
        default = self.parameter.default
        if self.is_array:
            return "DevLong64" if default.dtype.kind == "i" else "DevDouble"
        return "DevEnum" if type(default) is int and self.parameter.choices else TYPES[type(default)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its largest size: () of a SCALAR, (x,) of a SPECTRUM, (y, x) of an IMAGE."""
        if not self.is_array:
            return tuple(self.rows)
        length = self.parameter.length
        return (int(np.prod(self.rows)), length) if self.rows else (length,)

    @property
    def labels(self) -> list[str]:
        """Names of the values of a DevEnum; PyTango's clients split them at blanks, and fail where two begin alike."""
        return [re.sub(r"[\s,]+", "_", name) for name in self.parameter.names] if self.type == "DevEnum" else []

    @property
    def indices(self) -> list[Index]:
        """Whose values it has, in the order of its elements, or rows."""
        if not self.rows:
            return [None]
        if len(self.rows) == 1:
            return list(range(self.rows[0]))
        return [(channel, slot) for channel in range(self.rows[0]) for slot in range(self.rows[1])]

    @property
    def limits(self) -> dict[str, Any]:
        """What Tango refuses by itself: below `min_value`, above `max_value`; the core refuses all else."""
        parameter = self.parameter
        low, high = parameter.low, parameter.high
        # Tango takes no limits that leave one value only.
        if self.type not in ("DevLong64", "DevDouble") or not self.writable or (low is not None and low == high):
            return {}
        return {name: end for name, end in (("min_value", low), ("max_value", high)) if end is not None}

    @property
    def doc(self) -> str:
        """Its meaning; of a bool that has names for its values, these too."""
        choices = self.parameter.choices if self.type == "DevBoolean" else ()
        named = f" (0 {choices[0]}, 1 {choices[1]})" if choices and choices[0] != choices[1] else ""
        return self.parameter.doc + named

    def declaration(self) -> dict[str, Any]:
        """Return it as `tango.server.attribute` takes it."""
        parameter = self.parameter
        options: dict[str, Any] = {
            "name": self.name,
            "dtype": self.type,
            "dformat": (AttrDataFormat.SCALAR, AttrDataFormat.SPECTRUM, AttrDataFormat.IMAGE)[len(self.shape)],
            "access": AttrWriteType.READ_WRITE if self.writable else AttrWriteType.READ,
            "label": parameter.label,
            "doc": self.doc,
            "unit": parameter.unit,
            "display_level": DispLevel.EXPERT if parameter.expert else DispLevel.OPERATOR,
        } | self.limits
        if self.shape:
            options["max_dim_x"] = self.shape[-1]
        if len(self.shape) == 2:
            options["max_dim_y"] = self.shape[0]
        if self.labels:
            options["enum_labels"] = self.labels
        if self.type == "DevDouble":
            digits = f"%.{parameter.precision}f" if parameter.precision else f"%.{MOST_DIGITS}g"
            options["format"] = parameter.format or digits
        if parameter.memorized and not self.shape:
            options |= {"memorized": True, "hw_memorized": True}
        return options

    # values

    def read(self, core: Source) -> Any:
        """Return its value of now, as Tango takes it."""
        name = self.parameter.name
        if not self.parameter.derived:
            return self.shown(core.get(name))
        values = [core.get(name, index) for index in self.indices]
        return self.shown(values if self.rows else values[0])

    def shown(self, value: Any) -> Any:
        """Return a value of the core as Tango takes it: of all channels and slots, in one list or nested."""
        if not self.shape:
            return _text(value) if self.type == "DevString" else type(self.parameter.default)(value)
        if self.is_array:
            dtype = _DTYPES[self.type]
            return _rows(value, dtype) if self.rows else np.asarray(value, dtype)
        if self.type == "DevString":
            texts = [_text(one) for one in _flat(value)]
            if not self.rows[1:]:
                return texts
            slots = self.rows[1]
            return [texts[first : first + slots] for first in range(0, len(texts), slots)]
        return np.array(_flat(value), _DTYPES[self.type]).reshape(self.shape)

    # writes

    def puts(self, written: Any, core: Source) -> list[tuple[Index, Any]]:
        """Return what is to be put: index and value of each element that differs from what is; all of a command.

        An element that is not allowed is returned alone, for the core to refuse it, so that the others are not put
        either. ValueError: it has not as many elements as there are.
        """
        parameter = self.parameter
        value = written.tolist() if isinstance(written, np.ndarray) else written
        if not self.shape:
            return [(None, value)]
        values = [value] if not self.rows else _flat(value) if self.rows[1:] and not self.is_array else list(value)
        indices = self.indices
        if len(values) != len(indices) or np.shape(value)[:1] != self.shape[:1]:
            size = " x ".join(map(str, np.shape(value)))
            raise ValueError(f"{self.name} has {size} values, not {' x '.join(map(str, self.shape))}")
        every = parameter.command and not parameter.derived
        found: list[tuple[Index, Any]] = []
        for index, one in zip(indices, values, strict=True):
            try:
                converted = parameter.convert(one)
            except ValueError:
                return [(index, one)]
            if every or not np.array_equal(converted, core.get(parameter.name, index)):
                found.append((index, one))
        return found


def walk(parameters: Iterable[Parameter], channels: int) -> dict[str, Walked]:
    """All of them but those that every device has, by the core's name."""
    return {
        parameter.name: Walked(parameter, channels)
        for parameter in parameters
        if parameter.attribute not in BUILT_IN
    }


def _text(value: str) -> str:
    """Tango's text is Latin-1: what that has not is spelled."""
    return value.encode("latin-1", "backslashreplace").decode("latin-1")


def _flat(value: Any) -> list[Any]:
    """All values of a list of them, or of (channels, slots)."""
    return [one for row in value for one in (row if isinstance(row, list | tuple | np.ndarray) else (row,))]


def _rows(values: Sequence[Any], dtype: Any) -> NDArray[Any]:
    """(rows, longest): arrays under each other; NaN, or 0, behind those that are shorter."""
    rows = [np.asarray(value, dtype) for value in values]
    length = max(map(len, rows), default=0)
    if not length:
        return np.zeros((0, 0), dtype)  # Tango has no rows of nothing
    if all(len(row) == length for row in rows):
        return np.array(rows)
    image = np.full((len(rows), length), 0 if dtype is np.int64 else np.nan, dtype)
    for row, value in zip(image, rows, strict=True):
        row[: len(value)] = value
    return image
