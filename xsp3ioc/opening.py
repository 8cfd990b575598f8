"""Opening the library that a configuration names: the vendor's or the emulator, held by one process, perhaps traced."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import cast

from xsp3ioc.configuration import Configuration, ConfigurationError
from xsp3ioc.replay_source import open_recording
from xsp3ioc.sdk import EmulatedLibrary, Library, Xspress3Error, load
from xsp3ioc.sdk.trace import LIMIT, WHOLE, Facts, TracedLibrary


@contextlib.contextmanager
def open_library(
    configuration: Configuration, program: Facts, *, whole: int = WHOLE, limit: int = LIMIT
) -> Iterator[Library]:
    """Open it for as long as the context lasts; ConfigurationError says why it cannot be.

    `program` says in the trace, if one is asked for, what made it; `whole` and `limit` as of `TracedLibrary`.
    """
    with _library(configuration) as library:
        trace = configuration.detector.trace
        if not trace:
            yield library
            return
        try:
            traced = TracedLibrary(library, Path(trace), whole=whole, limit=limit, program=program)
        except OSError as error:
            raise ConfigurationError(f"Cannot write the trace {trace}: {error.strerror}") from None
        try:
            yield traced
        finally:
            traced.close()


@contextlib.contextmanager
def _library(configuration: Configuration) -> Iterator[Library]:
    if configuration.detector.emulate:
        # Its functions are methods; the protocol's __getattr__ speaks of a library's symbols.
        with open_recording(configuration) as recording:
            yield cast(Library, EmulatedLibrary(configuration.emulator_settings(), recording=recording))
        return
    path = configuration.detector.library
    try:
        library = load(path)
    except (Xspress3Error, OSError) as error:
        raise ConfigurationError(str(error)) from None
    with _lock(path):
        yield library


@contextlib.contextmanager
def _lock(path: str) -> Iterator[None]:
    """Keep a second server off the same library: the hardware can be opened once."""
    name = sha256(os.path.realpath(path).encode()).hexdigest()[:16]
    lock = Path(tempfile.gettempdir()) / f"xsp3ioc-{os.getuid()}-{name}.lock"
    with open(lock, "a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigurationError(f"Another server uses {path} already (lock {lock})") from None
        yield
