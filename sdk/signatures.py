"""What goes into a library function and what comes out of it, argument by argument, as plain values."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from xsp3ioc.sdk.cdef import ffi, prototypes

Number = int | float | str | None
Members = dict[str, Number | list[Number]]
Plain = Number | Members | list[Number | Members]
"""A value as it stands in a file: a number (a float that is none as text), a text, NULL as None, a structure's members,
or several of these."""

Kind = Literal["number", "text", "in", "out", "opaque"]

FEW = 32
"""Up to so many items stand one by one; more are summarised as a `Buffer`."""
_MOST = 1 << 30  # bytes; no call moves more, and no claim of more is believed

_CUBE = ("dt", "dy", "dx")
_SPECTRA = ("num_tf", "num_chan", "num_aux", "num_eng")
_DTC = ("num_tf", "num_chan")
_COUNTS: dict[str, dict[str, tuple[str | int, ...]]] = {
    "xsp3_histogram_read4d": {"buffer": _SPECTRA},
    "xsp3_histogram_read3d": {"buffer": _CUBE},
    "xsp3_calib_histogram_read3d": {"buffer": _CUBE},
    "xsp3_diag_histogram_read3d": {"buffer": _CUBE},
    "xsp3_histogram_read_chan": {"buffer": ("num_tf", "num_aux", "num_eng")},
    "xsp3m_histogram_read_frames": {"buffer": ("num_tf", "num_chan", "num_eng")},
    "xsp3_scaler_read": {"dest": ("dt", "n_chan", "n_scalers")},
    "xsp3m_scaler_read": {"dest": ("dt", "n_chan", "n_scalers")},
    "xsp3_scaler_read_sf": {"dest": ("dt", "n_chan", "n_sf", "n_scalers")},
    "xsp3_scaler_dtc_read": {"dest": ("dt", "n_chan", "n_scalers")},
    "xsp3_scaler_dtc_read_sf": {"dest": ("dt", "n_chan", "n_sf", "n_scalers")},
    "xsp3_hist_dtc_read4d": {"hist_buff": _SPECTRA, "scal_buff": (*_DTC, 9)},
    "xsp3_hist_dtc_read4d_sf": {"hist_buff": _SPECTRA, "scal_buff": (*_DTC, "num_aux", 9)},
    "xsp3_hist_dtc_read3d": {"hist_buff": ("num_tf", "dy", "num_eng")},
    "xsp3_calculateDeadtimeCorrectionFactors": {
        "hardwareScalerReadings": (*_DTC, 9), "dtcFactors": _DTC, "inpEst": _DTC,
    },
    "xsp3_calculateDeadtimeCorrectionFactors_sf": {
        "hardwareScalerReadings": (*_DTC, "num_sub_frames", 9),
        "dtcFactors": (*_DTC, "num_sub_frames"), "inpEst": (*_DTC, "num_sub_frames"),
    },
    "xsp3_histogram_get_tf_status_block": {"tf_status": ("ntf",)},
    "xsp3_histogram_get_tf_markers": {"markers": ("num_tf",)},
    "xsp3_set_roi": {"roi": ("num_roi",)},
    "xsp3_read_reg": {"value": ("size",)},
    "xsp3_read_marker_chan": {"value": ("size",)},
    "xsp3_read_fan_cont": {"value": ("size",)},
    "xsp3_write_fan_cont": {"value": ("size",)},
    "xsp3_read_xadc": {"data": ("num",)},
    "xsp3_i2c_read_adc_temp": {"temp": (4,)},
    "xsp3_i2c_read_fem_temp": {"temp": (2,)},
    "xsp3_i2c_read_mid_plane_temp": {"temp": (3,)},
    "xsp3_playback_load_x3": {"src": (16,)},
}  # fmt: skip
"""Function -> parameter -> how many items it points to: arguments or numbers, slowest dimension first. Others: one."""

_GIVEN = {"hardwareScalerReadings", "src", "roi"}  # input, whatever the function is called
_GIVING = ("xsp3_set_", "xsp3_write_", "xsp3_playback_")


class Buffer(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What was in an array of numbers or structures."""

    shape: tuple[int, ...]
    crc32: int
    sum: Number = None
    """Sum of all numbers; none for structures."""
    whole: bytes | None = None
    """The bytes themselves, where they were kept."""


class Parameter(NamedTuple):
    """One parameter: `item` is the C type it points to."""

    name: str
    kind: Kind
    item: Any
    counts: tuple[str | int, ...] = ()
    array: bool = False


class Signature:
    """The parameters of a function, and how to read and write what they point to."""

    def __init__(self, name: str) -> None:
        prototype = prototypes()[name]
        function = ffi.typeof(prototype.pointer_type)
        self.name = name
        self.result: Any = function.result
        self.parameters = tuple(
            _parameter(name, parameter, kind)
            for parameter, kind in zip(prototype.parameters, function.args, strict=True)
        )

    def given(self, args: Sequence[Any], whole: int) -> tuple[dict[str, Plain], dict[str, Buffer]]:
        """Return what a call hands over, small values and buffers; buffers of up to `whole` bytes are kept whole."""
        return self._read(args, "in", whole)

    def returned(self, args: Sequence[Any], whole: int) -> tuple[dict[str, Plain], dict[str, Buffer]]:
        """Return what a call that succeeded has left in the caller's memory; see `given`."""
        return self._read(args, "out", whole)

    def _read(self, args: Sequence[Any], kind: Kind, whole: int) -> tuple[dict[str, Plain], dict[str, Buffer]]:
        plain: dict[str, Plain] = {}
        buffers: dict[str, Buffer] = {}
        for parameter, value in zip(self.parameters, args, strict=False):
            if parameter.kind in ("number", "text"):
                if kind == "in":
                    plain[parameter.name] = _argument(parameter, value)
            elif parameter.kind == kind:
                if value == ffi.NULL:
                    plain[parameter.name] = None
                    continue
                shape = self.shape(parameter, args)
                if math.prod(shape) > FEW:
                    buffers[parameter.name] = _summary(parameter, value, shape, whole)
                else:
                    items = [_plain(value[i], parameter.item) for i in range(math.prod(shape))]
                    plain[parameter.name] = items if parameter.array else items[0]
        return plain, buffers

    def shape(self, parameter: Parameter, args: Sequence[Any]) -> tuple[int, ...]:
        """How many items an argument points to: what the other arguments say, or what the caller's array has."""
        if not parameter.array:
            return (1,)
        by_name = {known.name: value for known, value in zip(self.parameters, args, strict=False)}
        shape = tuple(int(by_name[count]) if isinstance(count, str) else count for count in parameter.counts)
        value = by_name[parameter.name]
        kind = ffi.typeof(value)
        room = len(value) if kind.kind == "array" else _MOST // ffi.sizeof(parameter.item)
        if kind.kind == "array" and all(isinstance(count, int) for count in parameter.counts):
            return (room,)  # of one card, or of all: the caller knows
        return shape if min(shape) >= 0 and math.prod(shape) <= room else (room if kind.kind == "array" else 0,)


def _parameter(function: str, name: str, kind: Any) -> Parameter:
    if kind.kind != "pointer":
        return Parameter(name, "number", kind)
    item = kind.item
    if item.kind in ("function", "void", "pointer"):
        return Parameter(name, "opaque", item)
    if item.cname == "char":
        return Parameter(name, "text", item)
    way: Kind = "in" if name in _GIVEN or function.startswith(_GIVING) else "out"
    counts = _COUNTS.get(function, {}).get(name)
    return Parameter(name, way, item, counts or (1,), counts is not None)


@cache
def signature(name: str) -> Signature:
    """Return the signature of a declared function."""
    return Signature(name)


def number(value: Any) -> Number:
    """Make a plain number; one that JSON has no word for becomes text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value[0] if isinstance(value, bytes) else int(value)


def _argument(parameter: Parameter, value: Any) -> Number:
    if parameter.kind == "text":
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        return None if value == ffi.NULL else ffi.string(value).decode(errors="replace")
    return number(float(value) if parameter.item.cname == "double" else value)


def _plain(value: Any, item: Any) -> Number | Members:
    if item.kind != "struct":
        return number(value)
    return {
        name: [number(one) for one in getattr(value, name)] if field.type.kind == "array"
        else number(getattr(value, name))
        for name, field in item.fields
    }  # fmt: skip


def _summary(parameter: Parameter, value: Any, shape: tuple[int, ...], whole: int) -> Buffer:
    size = math.prod(shape) * ffi.sizeof(parameter.item)
    memory = ffi.buffer(value, size)
    kept = bytes(memory) if size <= whole else None
    dtype = dtype_of(parameter.item)
    total = None if dtype is None else number(np.frombuffer(memory, dtype).sum().item())
    return Buffer(shape, zlib.crc32(memory), total, kept)


def dtype_of(item: Any) -> np.dtype[Any] | None:
    """Return the dtype of a C number; none for structures."""
    if item.kind != "primitive":
        return None
    letter = "f" if item.cname in ("float", "double") else "u" if item.cname.startswith("u") else "i"
    return np.dtype(f"{letter}{ffi.sizeof(item)}")
