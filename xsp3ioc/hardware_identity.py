"""What a connected system says that it is, and what a trace says that somebody did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from xsp3ioc.hardware_report import Report, Section
from xsp3ioc.sdk import Library, MissingFunction, Xspress3, Xspress3Error
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.emulator.replay import Trace, TraceError

NO_END = "The trace has no end: the program that wrote it was killed, or it was cut."
_MOST_ERRORS = 50
_PRODUCTS = ("Xspress3", "Xspress3 with Virtex-7", "Mini or 3X", "Xspress4")
_MAJORS_PER_PRODUCT = 16


class _Features(Xspress3):
    """A handle that can also ask for the features that a card was built with."""

    def features(self, card: int) -> str:
        """Return them as text."""
        found = ffi.new("Xspress3_features *")
        self._call("xsp3_get_features", card, found)
        members = (getattr(found, name) for name, _ in ffi.typeof("Xspress3_features").fields)
        values = (ord(member) if isinstance(member, bytes) else member for member in members)
        names = (name for name, _ in ffi.typeof("Xspress3_features").fields)
        return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True) if value)


def identity(handle: Xspress3, library: Library, report: Report) -> int:
    """Ask a connected system what it is; return how many questions it refused to answer."""
    rows: list[tuple[str, str]] = []
    refused = 0
    for what, ask in _questions(handle, library):
        try:
            rows.append((what, ask()))
        except MissingFunction as error:
            rows.append((what, f"not told: {error.message}"))
        except TraceError as error:
            rows.append((what, str(error)))
        except (Xspress3Error, ValueError) as error:
            rows.append((what, str(error)))
            refused += not str(getattr(error, "message", "")).endswith("is not emulated")
    report.add(Section("System", ("what", "value"), rows))
    return refused


def _questions(handle: Xspress3, library: Library) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "model", lambda: handle.model
    yield "firmware", lambda: _firmware(handle)
    yield "channels", lambda: f"{handle.channels} of {handle.available_channels}"
    yield "cards", lambda: f"{handle.cards} with {handle.channels_per_card} channels each"
    yield "internal generator", lambda: "yes" if handle.has_itfg else "no"
    yield "memory", lambda: str(handle.memory_format())
    yield "run flags", lambda: repr(handle.run_flags())
    for card in range(handle.cards):
        yield from _of_card(handle, library, card)
    yield "temperatures", lambda: str(handle.board_temperatures())
    yield "windows", lambda: _each(handle, lambda channel: f"{tuple(handle.window(channel, 0))}")
    yield "thresholds", lambda: _each(handle, lambda channel: str(handle.good_threshold(channel)))
    yield "event widths", lambda: _each(handle, lambda channel: str(handle.event_width(channel)))
    yield "dead-time parameters of channel 0", lambda: str(handle.dead_time_parameters(0))


def _of_card(handle: Xspress3, library: Library, card: int) -> Iterator[tuple[str, Callable[[], str]]]:
    yield f"card {card}: generation", lambda: handle.generation_of(card).name
    yield f"card {card}: clock", lambda: f"{handle.clock_period(card) * 1e9:.4f} ns"
    yield f"card {card}: timing register", lambda: f"{handle.timing_register(card):#010x}"
    yield f"card {card}: features", lambda: _Features(library, handle.path).features(card)


def _each(handle: Xspress3, ask: Callable[[int], str]) -> str:
    return ", ".join(ask(channel) for channel in range(handle.channels))


def _firmware(handle: Xspress3) -> str:
    found = handle.firmware_revision
    kind = found.major // _MAJORS_PER_PRODUCT
    product = _PRODUCTS[kind] if kind < len(_PRODUCTS) else "unknown"
    return f"{handle.revision:#010x}: detector {found.detector}, major {found.major} ({product}), minor {found.minor}"


def _end(trace: Trace) -> str:
    if trace.end is None:
        return "MISSING, the last line is cut" if trace.cut else "MISSING"
    return f"complete part; goes on in {trace.path.name}.new or .old" if trace.end.goes_on else "complete"


def trace_sections(trace: Trace) -> Iterator[Section]:
    """Say where a trace comes from, what was called how often and how long, and what failed."""
    header = trace.header
    rows = [(name, str(getattr(header, name))) for name in ("library", "sha256", "date", "host", "system", "xsp3ioc")]
    rows += [(name, str(value)) for name, value in header.program.items() if value not in (None, "")]
    rows.append(("calls", str(len(trace.calls))))
    rows.append(("end", _end(trace)))
    if trace.unreturned:
        rows.append(("entered, never returned", ", ".join(trace.unreturned)))
    yield Section(f"Trace {trace.path.name}", ("what", "value"), rows, "" if trace.end else NO_END)
    times: dict[str, list[float]] = defaultdict(list)
    failed: dict[str, int] = defaultdict(int)
    errors = []
    for line, call in trace.calls:
        times[call.f].append(call.dt)
        if call.error:
            failed[call.f] += 1
            errors.append((str(line), f"{call.t:.3f}", call.f, str(call.r), call.error))
    yield Section(
        "Calls",
        ("function", "calls", "failed", "mean (ms)", "longest (ms)"),
        [
            (name, str(len(took)), str(failed[name]), f"{1e3 * sum(took) / len(took):.3f}", f"{1e3 * max(took):.3f}")
            for name, took in times.items()
        ],
    )
    if errors:
        text = f"The first {_MOST_ERRORS} of {len(errors)}:" if len(errors) > _MOST_ERRORS else ""
        yield Section("Errors", ("line", "at (s)", "function", "status", "message"), errors[:_MOST_ERRORS], text)
