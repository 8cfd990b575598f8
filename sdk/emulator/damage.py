"""Damage of a recorded call: what cannot have been written as it stands."""

from __future__ import annotations

import math
import zlib

import numpy as np

from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.signatures import Buffer, Number, Parameter, Signature, dtype_of, number, signature
from xsp3ioc.sdk.trace import Call


def damage(call: Call) -> str:
    """Say what is wrong with the result or a buffer of a call; nothing where nothing is."""
    known = signature(call.f)
    if wrong := _result(known, call):
        return f"{call.f}: {wrong}"
    by_name = {parameter.name: parameter for parameter in known.parameters}
    for name, buffer in (*call.given_buffers.items(), *call.returned_buffers.items()):
        if name not in by_name:
            return f"{call.f} has no argument {name[:80]!r}"
        if buffer.whole is not None and (wrong := _buffer(by_name[name], buffer, buffer.whole)):
            return f"{call.f}: {name} {wrong}"
    return ""


def _result(known: Signature, call: Call) -> str:
    if known.result.kind == "pointer":
        return ""
    if call.r is None:
        return "" if call.error else "there is no result"
    if known.result.cname == "double":
        try:
            float(call.r)
        except ValueError:
            return f"the result {call.r!r} is no number"
        return ""
    return "" if isinstance(call.r, int) else f"the result {call.r!r} is no {known.result.cname}"


def _buffer(parameter: Parameter, buffer: Buffer, whole: bytes) -> str:
    if parameter.kind not in ("in", "out"):
        return "is no array"
    size = math.prod(buffer.shape) * ffi.sizeof(parameter.item)
    if len(whole) != size:
        return f"has {len(whole)} bytes where {size} belong"
    if (crc := zlib.crc32(whole)) != buffer.crc32:
        return f"has bytes with CRC {crc:#x}, not {buffer.crc32:#x}"
    dtype = dtype_of(parameter.item)
    total = None if dtype is None else number(np.frombuffer(whole, dtype).sum().item())
    return "" if _same(total, buffer.sum) else f"has the sum {total}, not {buffer.sum}"


def _same(total: Number, said: Number) -> bool:
    if isinstance(total, float) and isinstance(said, int | float):
        return math.isclose(total, said, rel_tol=1e-6)  # added up in another order elsewhere
    return total == said
