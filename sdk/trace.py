"""Recording: every call of a library with what went in and what came out, in a file of JSON lines."""

from __future__ import annotations

import datetime
import errno
import hashlib
import logging
import platform
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from xsp3ioc import __version__
from xsp3ioc.sdk.binding import Library
from xsp3ioc.sdk.calls import last_message
from xsp3ioc.sdk.cdef import ffi, prototypes
from xsp3ioc.sdk.signatures import Buffer, Number, Plain, number, signature

log = logging.getLogger(__name__)

Facts = dict[str, Number | bool | list[str]]
"""What a program says about itself in a trace."""
FORMAT = 1
WHOLE = 4096
"""Bytes up to which the content of a buffer is kept, unless told otherwise."""
LIMIT = 128 << 20
"""Bytes of a part of a trace, unless told otherwise."""
_END_BYTES = 64

FREQUENT = frozenset(
    name
    for name in prototypes()
    if name.startswith(("xsp3_scaler_", "xsp3_histogram_read", "xsp3_histogram_get_", "xsp3_hist_dtc"))
    or name in ("xsp3_histogram_circ_ack", "xsp3_histogram_is_any_busy", "xsp3_get_error_message")
)
"""Called for every block or poll: only their results are written, not that they were entered."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="line"):
    """Any line of a trace."""


class Header(Line, tag="trace", frozen=True, kw_only=True):
    """The first line of each part."""

    format: int
    xsp3ioc: str
    """Version of the recording program."""
    library: str
    sha256: str | None = None
    """Of the library's file."""
    simulated: bool = False
    absent: list[str] = []
    """Declared functions that the library does not have."""
    date: str = ""
    host: str = ""
    system: str = ""
    part: int = 0
    whole: int = WHOLE
    program: Facts = {}
    """What recorded it, with its options."""


class Entered(Line, tag="enter", frozen=True, kw_only=True):
    """A call has begun; not written for the `FREQUENT` ones. The call itself follows when it has come back."""

    n: int
    f: str
    given: dict[str, Plain] = {}


class Call(Line, tag="call", frozen=True, kw_only=True):
    """A call that has come back."""

    n: int
    """Number of the call, in the order in which they began."""
    t: float
    """When it began: seconds since the trace did."""
    dt: float
    """Its duration in seconds."""
    thread: str
    f: str
    """The function."""
    given: dict[str, Plain] = {}
    given_buffers: dict[str, Buffer] = {}
    r: Number = None
    """The result; a text where the function returns one; none where it raised an exception instead."""
    returned: dict[str, Plain] = {}
    returned_buffers: dict[str, Buffer] = {}
    error: str = ""
    """The library's message, or the exception, of a call that failed."""


class End(Line, tag="end", frozen=True, kw_only=True):
    """The last line of a part that was closed; one without was cut, or its program killed."""

    calls: int
    """How many calls stand in this part."""
    goes_on: bool = False
    """There is another part."""


class TracedLibrary:
    """A library whose calls are recorded in `path`.

    `path` holds the beginning. When it has `limit` bytes, `path`.new goes on, and when that is full it becomes
    `path`.old, over the older one: the beginning and the latest are always there, three parts at most. Each line is
    written in one go when its call has returned, so a crash loses none but what had not returned; the last line of
    each part that is complete says so. Buffers stand with
    shape, sum and CRC32, those of up to `whole` bytes with their content. Raises OSError if the file cannot be made;
    what goes wrong later ends the trace and is logged, and the calls go on.
    """

    def __init__(
        self,
        library: Library,
        path: Path,
        *,
        whole: int = WHOLE,
        limit: int = LIMIT,
        program: Facts | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.library_name = library.library_name
        self.simulated = library.simulated
        self.has = library.has
        self._library = library
        self._path, self._whole, self._limit = path, whole, limit
        self._clock = clock
        self._lock = threading.Lock()
        self._part = self._size = self._calls = self._written = 0
        self._header = Header(
            format=FORMAT,
            xsp3ioc=__version__,
            library=library.library_name,
            sha256=_sha256(library.library_name),
            simulated=library.simulated,
            absent=[name for name in prototypes() if not library.has(name)],
            host=socket.gethostname(),
            system=platform.platform(),
            whole=whole,
            program=program or {},
        )
        self._began = clock()
        self._file: BinaryIO | None = self._open(path)

    def close(self) -> None:
        """End the recording; the library can still be used."""
        with self._lock:
            try:
                self._end()
            except OSError as error:
                self._give_up(error)

    def _end(self, *, goes_on: bool = False) -> None:
        if self._file is not None:
            self._put(msgspec.json.encode(End(calls=self._written, goes_on=goes_on)) + b"\n")
            self._file.close()
            self._file = None

    def _put(self, text: bytes) -> None:
        if self._file is not None and self._file.write(text) != len(text):
            raise OSError(errno.ENOSPC, "No space left on device")

    def _give_up(self, error: OSError) -> None:
        """End without the last line: what is here is not all."""
        log.warning("The trace %s ends here: %s", self._path, error.strerror or error)
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self, path: Path) -> BinaryIO:
        date = datetime.datetime.now(datetime.timezone.utc).isoformat()
        header = msgspec.structs.replace(self._header, date=date, part=self._part)
        file = path.open("wb", buffering=0)
        self._size, self._written = file.write(msgspec.json.encode(header) + b"\n"), 0
        return file

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)
        if name not in prototypes():
            return function
        traced = self._traced(name, function)
        setattr(self, name, traced)
        return traced

    def _traced(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        known = signature(name)
        frequent = name in FREQUENT
        clock, whole = self._clock, self._whole

        def call(*args: Any) -> Any:
            if self._file is None:
                return function(*args)
            with self._lock:
                n = self._calls
                self._calls += 1
            given = self._try(known.given, args, whole)
            if not frequent:
                self._write(Entered(n=n, f=name, given=given[0]))
            began = clock()
            result, error = None, ""
            try:
                result = function(*args)
            except BaseException as exception:
                error = f"{type(exception).__name__}: {exception}"
                raise
            finally:
                ended = clock()
                failed = bool(error) or (isinstance(result, int | float) and result < 0)
                if failed and not error:
                    error = last_message(self._library)
                returned = ({}, {}) if failed else self._try(known.returned, args, whole)
                self._write(
                    Call(
                        n=n,
                        t=round(began - self._began, 9),
                        dt=round(ended - began, 9),
                        thread=threading.current_thread().name,
                        f=name,
                        given=given[0],
                        given_buffers=given[1],
                        r=_result(result),
                        returned=returned[0],
                        returned_buffers=returned[1],
                        error=error,
                    )
                )
            return result

        call.__name__ = name
        return call

    def _try(
        self, read: Callable[..., tuple[dict[str, Plain], dict[str, Buffer]]], args: tuple[Any, ...], whole: int
    ) -> tuple[dict[str, Plain], dict[str, Buffer]]:
        """Read arguments; what cannot be read is the call's own trouble, and must not be the trace's."""
        try:
            return read(args, whole)
        except Exception as error:
            return {"not recorded": f"{type(error).__name__}: {error}"}, {}

    def _write(self, line: Line) -> None:
        text = msgspec.json.encode(line) + b"\n"
        with self._lock:
            if self._file is None:
                return
            try:
                if self._size + len(text) + _END_BYTES > self._limit:
                    self._next_part()
                self._put(text)
                self._size += len(text)
                self._written += isinstance(line, Call)
            except OSError as error:
                self._give_up(error)

    def _next_part(self) -> None:
        new = self._path.with_name(self._path.name + ".new")
        self._end(goes_on=True)
        if self._part:
            new.replace(self._path.with_name(self._path.name + ".old"))
        self._part += 1
        self._file = self._open(new)


def _result(result: Any) -> Number:
    if result is None or isinstance(result, int | float):
        return None if result is None else number(result)
    if result == ffi.NULL:
        return None
    return ffi.string(result).decode(errors="replace") if ffi.typeof(result).item.cname == "char" else "a pointer"


def _sha256(library: str) -> str | None:
    try:
        return hashlib.sha256(Path(library).read_bytes()).hexdigest()
    except OSError:
        return None
