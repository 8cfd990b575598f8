"""What runs inside the emulator's libxspress3.so: one `EmulatedLibrary` behind the C functions, and `Xsp3Sys`.

`ffi` and `lib` are those of the compiled library; the object's own pointers are as good there, as long as they are to
plain types.
"""

import logging
import os
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from xsp3ioc.sdk.cdef import prototypes
from xsp3ioc.sdk.emulator.calls import ERROR, FILE_READ_FAILED
from xsp3ioc.sdk.emulator.library import EmulatedLibrary
from xsp3ioc.sdk.emulator.path_table import PathTable
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.emulator.settings_file import VARIABLE, UnusableSettingsError, settings_from_environment

_IN_C = "xsp3_get_error_message"
_CONNECTING = ("xsp3_config", "xsp3_config_init")
_SHOWING = ("xsp3_close", "xsp3_set_run_flags", "xsp3_format_run", "xsp3_format_sub_frames", "xsp3_resolve_path")
"""Functions after which `Xsp3Sys` is written anew."""
_MOVING = ("xsp3_scaler_check_progress", "xsp3_scaler_check_progress_details")
"""Functions after which frames' numbers are."""

log = logging.getLogger(__name__)


class _SharedLibrary(EmulatedLibrary):
    """The object with its message in the C library's buffer."""

    def __init__(self, settings: EmulatorSettings, message: Any) -> None:
        super().__init__(settings)
        self._message = message


class _Server:
    """Leads the C functions to an emulated library, a new one whenever a program connects with nothing open."""

    def __init__(self, ffi: Any, lib: Any) -> None:
        self._ffi, self._lib = ffi, lib
        self._table = PathTable(ffi, lib.Xsp3Sys)
        self._chosen: tuple[str, EmulatorSettings] = "", EmulatorSettings()
        self._library = self._serve(EmulatorSettings())

    def _serve(self, settings: EmulatorSettings) -> EmulatedLibrary:
        library = _SharedLibrary(settings, self._lib.xsp3ioc_message)
        for name, prototype in prototypes().items():
            if name != _IN_C:
                self._ffi.def_extern(
                    name=f"py_{name}",
                    error=self._ffi.NULL if "*" in prototype.result else ERROR,
                    onerror=partial(_failed, library, name),
                )(self._function(library, name))
        return library

    def _function(self, library: EmulatedLibrary, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(library, name)
        if name in _CONNECTING:
            return partial(self._connect, name)
        if name in _SHOWING:
            return partial(self._then, self._table.show, function)
        if name in _MOVING:
            return partial(self._then, self._table.move, function)
        return function

    def _connect(self, name: str, *arguments: Any) -> int:
        if self._library.open_system((0,)) is None:
            try:
                chosen = os.environ.get(VARIABLE, ""), settings_from_environment()
            except UnusableSettingsError as problem:
                return self._library.refuse(FILE_READ_FAILED, str(problem))
            if chosen != self._chosen:  # faults that come with a later connection are those of the same library
                self._chosen, self._library = chosen, self._serve(chosen[1])
        return self._then(self._table.show, getattr(self._library, name), *arguments)

    def _then(self, after: Callable[[EmulatedLibrary], None], function: Callable[..., int], *arguments: Any) -> int:
        status = function(*arguments)
        after(self._library)  # a thread may come back from one that has been replaced
        return status


def _failed(
    library: EmulatedLibrary, name: str, kind: type[BaseException], error: BaseException, trace: TracebackType
) -> None:
    """Answer for a call that our own code did not survive."""
    library.refuse(ERROR, f"{name}: {kind.__name__}: {error}")
    log.error("%s", name, exc_info=(kind, error, trace))


def serve(ffi: Any, lib: Any) -> None:
    """Put Python behind the compiled library's functions."""
    _Server(ffi, lib)
