"""Opening the vendor library: ABI mode, every function bound when it is first used."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from xsp3ioc.sdk.cdef import ffi, marker_ffi, prototypes
from xsp3ioc.sdk.errors import LibraryNotLoaded, MissingFunction


class Library(Protocol):
    """What a handle needs of a library: the functions `xsp3_*` as attributes, and these three."""

    library_name: str
    simulated: bool

    def has(self, name: str) -> bool:
        """Whether the library has this function."""

    def __getattr__(self, name: str) -> Any: ...


class VendorLibrary:
    """An opened libxspress3.so; its functions are attributes, a missing one raises `MissingFunction` when called."""

    def __init__(self, path: str, opened: Any, needed: tuple[Any, ...] = (), *, simulated: bool = False) -> None:
        self.library_name = path
        self.simulated = simulated
        self._opened = opened
        self._needed = needed  # libraries it depends on stay open as long as it does

    def has(self, name: str) -> bool:
        """Whether the library exports the declared function `name`."""
        try:
            getattr(self._opened, name)
        except AttributeError:
            return False
        return True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in prototypes():
            raise AttributeError(f"{name} is not a declared function of libxspress3")
        function = getattr(self._opened, name) if self.has(name) else self._missing(name)
        setattr(self, name, function)
        return function

    def _missing(self, name: str) -> Callable[..., Any]:
        def missing(*_args: Any) -> Any:
            raise MissingFunction(name, self.library_name)

        return missing


def load(path: str | os.PathLike[str]) -> VendorLibrary:
    """Open the vendor's shared library at `path`.

    A bare name ("libxspress3.so") is searched for as the system's loader does. Raises `LibraryNotLoaded` when there
    is no such file, when it is not a library for this machine, or when it is not libxspress3.
    """
    name = os.fspath(path)
    if os.sep in name and not Path(name).is_file():
        raise LibraryNotLoaded(f"cannot load {name}: no such file; give the path of the vendor's libxspress3.so")
    needed = _needed(Path(name))
    try:
        opened = ffi.dlopen(name, ffi.RTLD_LAZY)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise LibraryNotLoaded(
            f"cannot load {name}: {reason}; check that it is the vendor's libxspress3.so for this machine "
            "and that the libraries it needs can be found (ldd, LD_LIBRARY_PATH)"
        ) from error
    library = VendorLibrary(name, opened, needed, simulated=_is_emulator(name))
    if not library.has("xsp3_config"):
        raise LibraryNotLoaded(f"cannot use {name}: it has no xsp3_config, so it is not libxspress3")
    return library


def _is_emulator(name: str) -> bool:
    """Whether a library that can be opened is our emulator: `xsp3ioc emulator build` marks it."""
    try:
        return bool(marker_ffi.dlopen(name, ffi.RTLD_LAZY).xsp3ioc_emulated)
    except (AttributeError, KeyError):
        return False


def _needed(path: Path) -> tuple[Any, ...]:
    """Open libimg_mod beside the library, globally: some builds of libxspress3 use it without naming it."""
    beside = path.with_name("libimg_mod.so")
    name = os.fspath(beside) if path.parent != Path() and beside.is_file() else beside.name
    try:
        return (ffi.dlopen(name, ffi.RTLD_LAZY | ffi.RTLD_GLOBAL),)
    except OSError:  # not installed: then the library does not need it, or its own loading says so
        return ()
