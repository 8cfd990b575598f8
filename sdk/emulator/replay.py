"""Replaying: a library that answers as a recorded one did."""

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from xsp3ioc.sdk.binding import Library
from xsp3ioc.sdk.cdef import ffi, prototypes
from xsp3ioc.sdk.emulator.damage import damage
from xsp3ioc.sdk.errors import MissingFunction
from xsp3ioc.sdk.signatures import Buffer, Number, Parameter, Plain, Signature, signature
from xsp3ioc.sdk.trace import FORMAT, Call, End, Entered, Header

_LONGEST_LINE = 256 << 20
_MOST_CALLS = 5_000_000
_MESSAGE_BYTES = 1024
_NOT_IN_TRACE = -1
_Line = Header | Entered | Call | End
_Lines = msgspec.json.Decoder(_Line)


class TraceError(Exception):
    """A trace cannot be read, or what is asked of it is not what it tells next; names the file and the line."""


class Recorded(NamedTuple):
    """A recorded call and the line where it stands."""

    line: int
    call: Call


class Trace:
    """A trace that was read: `header`, `calls` in the order of their lines, and what never came back."""

    def __init__(self, path: Path) -> None:
        """Read one part; raises TraceError for what is not a trace. A last line that was cut short is left out."""
        self.path = path
        self.calls: list[Recorded] = []
        self.cut = False
        """The last line is not complete: the recording program was killed, or its disk was full."""
        self.end: End | None = None
        """The last line of a trace that was closed; none if the program was killed, or the file was cut."""
        entered: dict[int, str] = {}
        returned: set[int] = set()
        try:
            with path.open("rb") as file:
                header = self._line(file, 1)
                if header is None:
                    raise TraceError(f"{path} is empty, no trace")
                if not isinstance(header, Header) or header.format != FORMAT:
                    raise TraceError(f"{path} is not a trace of this format: it should begin with a header of {FORMAT}")
                self.header: Header = header
                number = 1
                while (line := self._line(file, number := number + 1)) is not None:
                    self._take(line, number, entered, returned)
        except OSError as error:
            raise TraceError(f"cannot read {path}: {error.strerror or error}") from None
        self.unreturned = list(entered.values())
        """Functions that were entered and from which nothing came back: they hung, crashed, or ran at the end."""

    def _line(self, file: BinaryIO, number: int) -> _Line | None:
        text = file.readline(_LONGEST_LINE)
        if not text:
            return None
        try:
            return _Lines.decode(text)
        except msgspec.MsgspecError as error:
            if number > 1 and not text.endswith(b"\n"):
                self.cut = True
                return None
            what = "is no line of a trace" if number == 1 else "the trace is damaged"
            raise TraceError(f"{self.path} line {number}: {what}: {error}") from None

    def _take(self, line: _Line, number: int, entered: dict[int, str], returned: set[int]) -> None:
        if found := self._damage(line, entered, returned):
            raise TraceError(f"{self.path} line {number}: the trace is damaged: {found}")
        if isinstance(line, End):
            self.end = line
        if isinstance(line, Entered):
            entered[line.n] = line.f
        if not isinstance(line, Call):
            return
        entered.pop(line.n, None)
        returned.add(line.n)
        self.calls.append(Recorded(number, line))
        if len(self.calls) > _MOST_CALLS:
            raise TraceError(f"{self.path} has more than {_MOST_CALLS} calls")


    def _damage(self, line: _Line, entered: dict[int, str], returned: set[int]) -> str:
        """Say why a line cannot stand here; nothing where it can."""
        if self.end is not None:
            return "it goes on after its end"
        if isinstance(line, Header):
            return "a second header"
        if isinstance(line, End):
            there = len(self.calls)
            return "" if line.calls == there else f"its end speaks of {line.calls} calls, and {there} are there"
        if line.f not in prototypes():
            return f"{line.f[:80]!r} is no function of libxspress3"
        if line.n in returned or (isinstance(line, Entered) and line.n in entered):
            return f"call {line.n} stands there twice"
        if isinstance(line, Entered):
            return ""
        if entered.get(line.n, line.f) != line.f:
            return f"call {line.n} was entered as {entered[line.n]}"
        return damage(line)


class ReplayedLibrary:
    """A library that answers each function's calls in the order in which they were recorded.

    Strict: a call with other arguments than the recorded one, or one that is not in the trace, raises `TraceError`,
    which names the line and the difference. Lenient: a call takes the function's next recorded one with its
    arguments, or the last such, or the function's next or last one of all; what the trace does not have at all is
    answered by status -1 and a message. Buffers that were not kept whole come out as zeros, and `hollow` counts them.
    """

    simulated = True  # whatever was recorded: no hardware is here now

    def __init__(self, trace: Trace, *, strict: bool = True) -> None:
        self.library_name = f"{trace.header.library} (trace {trace.path.name})"
        self.hollow = 0
        """Buffers handed out so far whose content is not in the trace."""
        self._trace, self._strict = trace, strict
        self._recorded: dict[str, list[Recorded]] = defaultdict(list)
        for recorded in trace.calls:
            self._recorded[recorded.call.f].append(recorded)
        self._at: Counter[str] = Counter()
        self._absent = frozenset(trace.header.absent)
        self._lock = threading.Lock()
        self._message = ffi.new(f"char[{_MESSAGE_BYTES}]")
        self._texts: list[Any] = []
        self._now = 0.0

    def has(self, name: str) -> bool:
        """Whether the recorded library had this function."""
        return name in prototypes() and name not in self._absent

    def clock(self) -> float:
        """Return the time of the recording, in seconds: when the last call that was answered had returned."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let the time of the recording pass without waiting."""
        self._now += seconds

    def xsp3_get_error_message(self) -> Any:
        """Return the message of the last recorded failure."""
        return self._message

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in prototypes():
            raise AttributeError(f"{name} is not a declared function of libxspress3")
        known = signature(name)

        def call(*args: Any) -> Any:
            with self._lock:
                return self._answer(known, args)

        call.__name__ = name
        setattr(self, name, call)
        return call

    def _answer(self, known: Signature, args: tuple[Any, ...]) -> Any:
        if not self.has(known.name):
            raise MissingFunction(known.name, self.library_name)
        found = self._strictly(known, args) if self._strict else self._leniently(known, args)
        if found is None:
            self._say(f"{known.name} is not in the trace")
            return ffi.NULL if known.result.kind == "pointer" else _NOT_IN_TRACE
        call = found.call
        self._now = max(self._now, call.t + call.dt)
        if call.error:
            self._say(call.error)
        try:
            self._fill(known, args, call)
            return self._result(known, call.r)
        except (TypeError, ValueError, OverflowError, KeyError, IndexError, AttributeError) as error:
            raise TraceError(f"{self._where(found)} cannot be: {error}") from None

    def _say(self, message: str) -> None:
        ffi.buffer(self._message)[:] = message.encode()[: _MESSAGE_BYTES - 1].ljust(_MESSAGE_BYTES, b"\0")

    def _where(self, found: Recorded) -> str:
        return f"{self._trace.path} line {found.line}: {found.call.f}"

    def _strictly(self, known: Signature, args: tuple[Any, ...]) -> Recorded:
        recorded, at = self._recorded.get(known.name, []), self._at[known.name]
        if at == len(recorded):
            if known.name in self._trace.unreturned:
                raise TraceError(f"{self._trace.path}: {known.name} was entered and never returned")
            after = "not once more" if self._trace.end else "before the trace breaks off"
            raise TraceError(f"{self._trace.path}: {known.name} was called {at} times, {after}")
        found = recorded[at]
        difference = _difference(known, args, found.call)
        if difference:
            raise TraceError(f"{self._where(found)} had {difference}")
        self._at[known.name] += 1
        return found

    def _leniently(self, known: Signature, args: tuple[Any, ...]) -> Recorded | None:
        recorded, at = self._recorded.get(known.name, []), self._at[known.name]
        later = (i for i in range(at, len(recorded)) if not _difference(known, args, recorded[i].call))
        earlier = (i for i in range(at - 1, -1, -1) if not _difference(known, args, recorded[i].call))
        found = next(later, None)
        if found is None:
            found = next(earlier, min(at, len(recorded) - 1))
        self._at[known.name] = max(at, found + 1)
        return recorded[found] if recorded else None

    def _fill(self, known: Signature, args: tuple[Any, ...], call: Call) -> None:
        for parameter, value in zip(known.parameters, args, strict=True):
            if parameter.kind != "out" or value == ffi.NULL:
                continue
            buffer = call.returned_buffers.get(parameter.name)
            if buffer is not None:
                self._fill_buffer(known, parameter, value, args, buffer)
            elif parameter.name in call.returned:
                _put(value, parameter, call.returned[parameter.name])

    def _fill_buffer(
        self, known: Signature, parameter: Parameter, value: Any, args: tuple[Any, ...], buffer: Buffer
    ) -> None:
        size = math.prod(known.shape(parameter, args)) * ffi.sizeof(parameter.item)
        if buffer.whole is None:
            self.hollow += 1
            ffi.buffer(value, size)[:] = bytes(size)
        elif len(buffer.whole) != size:
            raise ValueError(f"{parameter.name} has {len(buffer.whole)} bytes, {size} are asked for")
        else:
            ffi.memmove(value, buffer.whole, size)

    def _result(self, known: Signature, result: Number) -> Any:
        if known.result.kind == "pointer":
            if result is None or known.result.item.cname != "char":
                return ffi.NULL  # where it pointed to is gone
            self._texts = [ffi.new("char[]", str(result).encode())]
            return self._texts[0]
        if result is None:
            raise MissingFunction(known.name, self.library_name)
        return float(result) if known.result.cname == "double" else int(result)


def replay(path: Path, *, strict: bool = True) -> Library:
    """Read a trace and make a library of it; raises TraceError."""
    return ReplayedLibrary(Trace(path), strict=strict)


def _difference(known: Signature, args: tuple[Any, ...], call: Call) -> str:
    """Say how the recorded call differs from one with these arguments; nothing where it does not."""
    given, buffers = known.given(args, 0)
    told: list[tuple[str, Plain, Plain]] = [
        (name, call.given.get(name), given.get(name)) for name in {**call.given, **given}
    ]
    told += [
        (name, _digest(call.given_buffers.get(name)), _digest(buffers.get(name)))
        for name in {**call.given_buffers, **buffers}
    ]
    return ", ".join(f"{name} = {then!r} (here: {now!r})" for name, then, now in told if then != now)


def _digest(buffer: Buffer | None) -> str | None:
    return None if buffer is None else f"{buffer.shape} with CRC {buffer.crc32:#x}"


def _put(value: Any, parameter: Parameter, plain: Plain) -> None:
    """Write what was recorded into the caller's memory."""
    items = plain if parameter.array else [plain]
    kind = ffi.typeof(value)
    if not isinstance(items, list) or (kind.kind == "array" and len(items) > len(value)):
        raise ValueError(f"{parameter.name} = {plain!r} does not fit the caller's memory")
    for index, item in enumerate(items):
        if parameter.item.kind != "struct":
            value[index] = _number(item, parameter.item)
            continue
        if not isinstance(item, dict):
            raise ValueError(f"{parameter.name} is no structure")
        for name, field in parameter.item.fields:
            member = item[name]
            if field.type.kind == "array":
                if not isinstance(member, list) or len(member) != field.type.length:
                    raise ValueError(f"{parameter.name}.{name} has another length")
                setattr(value[index], name, [_number(one, field.type.item) for one in member])
            else:
                setattr(value[index], name, _number(member, field.type))


def _number(plain: Any, item: Any) -> Any:
    """Make the Python value of a C number."""
    if item.cname in ("float", "double"):
        return float(plain)
    if not isinstance(plain, int):
        raise ValueError(f"{plain!r} is no {item.cname}")
    return bytes([plain & 0xFF]) if item.cname == "char" else plain
