"""The one place that calls the library."""

import os
import threading
import time
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.binding import Library
from xsp3ioc.sdk.cdef import ffi, prototypes
from xsp3ioc.sdk.companions import STATUS_DTYPE
from xsp3ioc.sdk.errors import InvalidPath, OutOfRange, error_for

_POINTERS = {
    np.dtype(np.uint32): ffi.typeof("uint32_t[]"),
    np.dtype(np.int32): ffi.typeof("int[]"),
    np.dtype(np.float64): ffi.typeof("double[]"),
    STATUS_DTYPE: ffi.typeof("Xsp3TFStatus[]"),
}


@cache
def _floating() -> frozenset[str]:
    """Functions that take numbers which are not whole."""
    return frozenset(name for name, known in prototypes().items() if "double" in known.parameter_text)


class LibraryCalls:
    """A library and one handle of it; a negative status becomes an exception with the library's own message."""

    def __init__(self, lib: Library, path: int) -> None:
        self._lib = lib
        self._path = path
        self._closed = False
        self._pending: dict[int, tuple[str, float]] = {}

    @property
    def path(self) -> int:
        """The library's handle."""
        return self._path

    def _call(self, name: str, *args: Any) -> int:
        if self._closed:
            raise InvalidPath(name, -2, f"path {self._path} is not open, this handle has been closed")
        if float in map(type, args) and name not in _floating():
            # A C library refuses it; the emulator in Python would find out much later.
            raise TypeError(f"{name}: an integer is required, not {next(a for a in args if isinstance(a, float))}")
        thread = threading.get_ident()
        self._pending[thread] = (name, time.monotonic())
        try:
            status = getattr(self._lib, name)(self._path, *args)
        except OverflowError as error:  # a number that its C type cannot hold
            raise OutOfRange(name, -6, str(error)) from None
        finally:
            del self._pending[thread]
        if status < 0:
            raise error_for(int(status))(name, int(status), last_message(self._lib))
        return status

    def _get(self, name: str, *args: Any, kind: str = "uint32_t *") -> Any:
        """Call a function whose last argument is a pointer to its one result."""
        result = ffi.new(kind)
        self._call(name, *args, result)
        return result[0]

    @property
    def pending(self) -> tuple[str, float] | None:
        """The oldest call that has not come back yet: the function's name, and for how many seconds."""
        calls = list(self._pending.values())
        if not calls:
            return None
        name, since = min(calls, key=lambda call: call[1])
        return name, time.monotonic() - since


def last_message(lib: Library) -> str:
    """Return the library's text about the last failure; empty if it has none."""
    if not lib.has("xsp3_get_error_message"):
        return ""
    pointer = lib.xsp3_get_error_message()
    return ffi.string(pointer).decode(errors="replace").strip() if pointer != ffi.NULL else ""


def c_text(text: str | os.PathLike[str] | None) -> Any:
    """Make a C string that lives as long as the result is kept; NULL for None. ValueError if it holds a zero byte."""
    if text is None:
        return ffi.NULL
    content = os.fsencode(text)
    if b"\0" in content:
        raise ValueError(f"{text!r} holds a zero byte")
    return ffi.new("char[]", content)


def c_array(array: NDArray[Any], *, writable: bool = True) -> Any:
    """Pass a C-contiguous array of uint32, int32, float64 or STATUS_DTYPE without copying it."""
    return ffi.from_buffer(_POINTERS[array.dtype], array, writable)


def check_array(array: NDArray[Any], dtype: Any, *axes: int | str) -> None:
    """Raise ValueError unless the array has this type, is C-contiguous and has these axes: lengths, or names of any."""
    fits = array.ndim == len(axes) and array.dtype == dtype and array.flags.c_contiguous
    for axis, length in zip(axes, array.shape, strict=False):
        fits = fits and (axis == length or isinstance(axis, str))
    if not fits:
        wanted = f"{np.dtype(dtype) if dtype != STATUS_DTYPE else 'STATUS_DTYPE'} ({', '.join(map(str, axes))})"
        raise ValueError(f"the block is {array.dtype} {array.shape}, not C-contiguous {wanted}")
