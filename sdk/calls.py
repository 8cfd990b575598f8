"""The one place that calls the library."""

import threading
import time
from typing import Any

from xsp3ioc.sdk.binding import Library
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.errors import error_for


class LibraryCalls:
    """A library and one handle of it; a negative status becomes an exception with the library's own message."""

    def __init__(self, lib: Library, path: int) -> None:
        self._lib = lib
        self._path = path
        self._pending: dict[int, tuple[str, float]] = {}

    @property
    def path(self) -> int:
        """The library's handle."""
        return self._path

    def _call(self, name: str, *args: Any) -> int:
        thread = threading.get_ident()
        self._pending[thread] = (name, time.monotonic())
        try:
            status = getattr(self._lib, name)(self._path, *args)
        finally:
            del self._pending[thread]
        if status < 0:
            raise error_for(int(status))(name, int(status), last_message(self._lib))
        return status

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


def c_text(text: str | None) -> Any:
    """Make a C string that lives as long as the result is kept; NULL for None."""
    return ffi.NULL if text is None else ffi.new("char[]", text.encode())
