"""`xsp3ioc hardware-check`: the first look at a real system, and with --run a test of what is believed about it."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import msgspec

from xsp3ioc import __version__
from xsp3ioc.configuration import Configuration, ConfigurationError, read_configuration
from xsp3ioc.hardware_bench import Bench
from xsp3ioc.hardware_host import host_sections, shared_segments, symbols
from xsp3ioc.hardware_identity import NO_END, identity, trace_sections
from xsp3ioc.hardware_report import DIFFERS, NOT_TESTABLE, OK, Report, Section, plain
from xsp3ioc.hardware_statements import STATEMENTS, examine
from xsp3ioc.opening import open_library
from xsp3ioc.sdk import Connection, Library, Xspress3, Xspress3Error
from xsp3ioc.sdk.emulator.replay import ReplayedLibrary, Trace, TraceError

FRAMES = 4096
EXIT_OK, EXIT_DIFFERS, EXIT_FAILED = 0, 1, 2
_WHOLE = 32 << 20
_TRACE_LIMIT = 1 << 30
_MOST_CHANNELS, _MOST_CARDS = 256, 16


class Program(Connection, kw_only=True):
    """What is done; a trace says it too, so that the same can be done with the trace."""

    command: str = "hardware-check"
    run: bool = False
    frames: int = FRAMES
    settings: str = ""
    scratch: str = ""
    """An empty directory."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xsp3ioc hardware-check",
        description="Look at a system through the vendor's library, without changing it but for connecting; with "
        "--run, take short runs to test what is believed about it. Exit code: 0 all is as expected, 1 something "
        "differs, 2 it could not run.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--library", metavar="PATH", help="the vendor's libxspress3.so")
    what.add_argument("--emulate", action="store_true", help="an emulated detector, to see what this does")
    what.add_argument("--replay", metavar="FILE", help="report from a trace that somebody sent in")
    parser.add_argument("--config", metavar="FILE.toml", help="the server's settings: [detector], [emulator]")
    parser.add_argument("--cards", type=int, metavar="N", help="cards of the system")
    parser.add_argument("--channels", type=int, metavar="N", help="channels (default: all)")
    parser.add_argument("--base-ip", metavar="ADDR", help="address of the host (default: the library's, 192.168.0.1)")
    parser.add_argument("--frames", type=int, metavar="N", default=FRAMES, help="frames of memory (%(default)s)")
    parser.add_argument("--settings", metavar="DIR", help="settings directory; restored with --run")
    parser.add_argument("--no-connect", action="store_true", help="stop before xsp3_config")
    parser.add_argument("--run", action="store_true", help="test the statements of docs/hardware.md by short runs")
    parser.add_argument("--patience", type=float, metavar="S", default=120.0, help="seconds before a call is given up")
    parser.add_argument("--trace", metavar="FILE", help="record every call of the library")
    parser.add_argument("--report", metavar="FILE", help="write the report here too, as Markdown")
    return parser


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc hardware-check`; return the exit code: 0 as expected, 1 something differs, 2 could not run."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped and closed before leaving, as with Ctrl-C
    try:
        _refuse_same_file(options)
        configuration = None if options.replay else _configuration(options)
        report = _report(options)
        code = _check(configuration, options, report) if configuration else _replay(Path(options.replay), report)
        return EXIT_FAILED if report.lost else code
    except (ConfigurationError, TraceError, Xspress3Error, OSError) as error:
        sys.stderr.write(f"xsp3ioc hardware-check: {plain(str(error))}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("xsp3ioc hardware-check: interrupted\n")
        return EXIT_FAILED


def _configuration(options: argparse.Namespace) -> Configuration:
    configuration = read_configuration(options.config) if options.config else Configuration()
    detector = configuration.detector
    for name in ("library", "cards", "channels", "base_ip", "settings", "trace"):
        if (value := getattr(options, name)) is not None:
            setattr(detector, name, value)
    if options.library:
        detector.emulate = False
    elif options.emulate:
        detector.emulate, detector.library = True, ""
    detector.ring_frames = options.frames
    configuration.check()
    if detector.emulate and configuration.emulator_settings().pace != "clock":
        raise ConfigurationError('[emulator]: only pace = "clock" has the timing that is tested here')
    return configuration


def _refuse_same_file(options: argparse.Namespace) -> None:
    named = [(name, getattr(options, name)) for name in ("config", "replay", "trace") if getattr(options, name)]
    for name, file in named:
        if options.report and os.path.realpath(options.report) == os.path.realpath(file):
            raise ConfigurationError(f"--report {options.report} would overwrite the file of --{name}")


def _report(options: argparse.Namespace) -> Report:
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    file = Path(options.report) if options.report else None
    try:
        return Report(f"xsp3ioc {__version__} hardware-check, {date}", file)
    except OSError as error:
        raise ConfigurationError(f"Cannot write the report {file}: {error.strerror or error}") from None


def _check(configuration: Configuration, options: argparse.Namespace, report: Report) -> int:
    detector = configuration.detector
    program = Program(run=options.run, settings=detector.settings, **msgspec.structs.asdict(detector.connection))
    if not (options.channels or options.config or detector.emulate):
        program.channels = -1
    for section in host_sections(
        detector.library, program.settings, program.cards, program.channels, program.frames
    ):
        report.add(section)
    with contextlib.ExitStack() as stack:
        program.scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="xsp3ioc-settings-"))
        facts = msgspec.to_builtins(program)
        library = stack.enter_context(open_library(configuration, facts, whole=_WHOLE, limit=_TRACE_LIMIT))
        report.add(symbols(library))
        if options.no_connect:
            report.note("Not connected: --no-connect.")
            return EXIT_OK
        _say_what_comes(report, options.run, program.settings)
        watch = stack.enter_context(_Watch(report, options.patience))
        code = _examine(library, program, report, watch, time.monotonic, time.sleep)
    _say_what_to_send(report, options)
    return code


def _say_what_comes(report: Report, run: bool, settings: str) -> None:
    text = "Next, xsp3_config connects, which initialises the cards; no other program may be using them."
    if run:
        text += " Then clocks, "
        text += f"the settings of {settings}, " if settings else ""
        text += (
            "format, timing and run flags are set and short runs taken. Windows, regions and dead-time parameters that "
            "are changed are put back; in the end the system is stopped, formatted to 4096 bins, and closed."
        )
    else:
        text += " Beyond that the system is only asked. In the end it is closed."
    report.note(text)


def _say_what_to_send(report: Report, options: argparse.Namespace) -> None:
    if not options.run:
        return
    files = [name for name in (options.report, options.trace) if name]
    missing = [option for option, given in (("--report", options.report), ("--trace", options.trace)) if not given]
    text = "To help others who have such a system, open an issue of this project"
    text += f" with {' and '.join(files)}" if files else ""
    text += f" (run again with {' FILE '.join(missing)} FILE to have it all)" if missing else ""
    text += ". Read it before: it holds names and addresses of this host, and settings of the detector, no passwords."
    report.note(text)


def _examine(
    library: Library,
    program: Program,
    report: Report,
    watch: _Watch | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> int:
    """Connect, ask, and run if that is wanted; return the exit code."""
    with watch.during("xsp3_config") if watch else contextlib.nullcontext():
        handle = program.open(library)
    try:
        if watch:
            watch.handle = handle
            if not library.simulated:
                report.add(shared_segments("Shared memory of the library after connecting"))
        if handle.channels > _MOST_CHANNELS or handle.cards > _MOST_CARDS:
            raise ConfigurationError(f"There can be no {handle.channels} channels on {handle.cards} cards")
        failures = identity(handle, library, report)
        if program.run:
            failures += _run(handle, library, program, report, clock, sleep)
    finally:
        with contextlib.suppress(Xspress3Error, TraceError):
            if program.run:
                handle.stop()
            handle.close()
    return EXIT_DIFFERS if failures else EXIT_OK


def _run(
    handle: Xspress3,
    library: Library,
    program: Program,
    report: Report,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> int:
    """Set the system up, test all statements, and return how many differ."""
    prepared: dict[str, object] = {"scratch": program.scratch}
    with contextlib.suppress(Xspress3Error):
        prepared["default format"] = handle.memory_format()
    prepared["clock answers"] = handle.setup_clocks()
    if program.settings:
        handle.restore_settings(program.settings)
    prepared["ring"] = handle.format()
    bench = Bench(handle, library, clock, sleep, lambda: getattr(library, "hollow", 0))
    bench.kept.update(prepared)
    report.note("Statements about the library, with the section of the reference that makes them:")
    for statement in STATEMENTS:
        report.find(examine(statement, bench))
    counts = ", ".join(f"{report.count(outcome)} {outcome}" for outcome in (OK, DIFFERS, NOT_TESTABLE))
    report.note(f"Statements: {counts}.")
    return report.count(DIFFERS)


def _replay(path: Path, report: Report) -> int:
    """Report from a trace: what was recorded, the identity it tells, and the statements if it is of a check."""
    trace = Trace(path)
    for section in trace_sections(trace):
        report.add(section)
    own = trace.header.program.get("command") == Program().command
    try:
        program = msgspec.convert(trace.header.program, Program) if own else Program()
    except msgspec.ValidationError as error:
        raise TraceError(f"{path} line 1: {error}") from None
    replayed = ReplayedLibrary(trace, strict=own)
    library = cast(Library, replayed)
    report.add(symbols(library))
    try:
        code = _examine(library, program, report, None, replayed.clock, replayed.sleep)
    except (TraceError, Xspress3Error) as error:
        if trace.end is not None:
            raise
        report.note(str(error))
    if trace.end is not None:
        return code
    stuck = f" These were entered and never returned: {', '.join(trace.unreturned)}." if trace.unreturned else ""
    report.note(NO_END + stuck)
    return EXIT_DIFFERS


class _Watch:
    """Gives up when a call of the library does not come back: the report says which, and the process ends."""

    def __init__(self, report: Report, patience: float) -> None:
        self.handle: Xspress3 | None = None
        self._report, self._patience = report, patience
        self._call: tuple[str, float] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    @contextlib.contextmanager
    def during(self, name: str) -> Iterator[None]:
        """Watch a call that has no handle yet."""
        self._call = name, time.monotonic()
        try:
            yield
        finally:
            self._call = None

    def _watch(self) -> None:
        while not self._over.wait(min(0.2, self._patience / 4)):
            name, seconds = "", 0.0
            if call := self._call:
                name, seconds = call[0], time.monotonic() - call[1]
            elif self.handle is not None and (pending := self.handle.pending):
                name, seconds = pending
            if seconds > self._patience:
                text = f"{name} has not come back for {self._patience:g} s; the detector may be running."
                self._report.add(Section("Given up", text=text))
                sys.stdout.flush()
                os._exit(EXIT_FAILED)
