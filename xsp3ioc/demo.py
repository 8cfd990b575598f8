"""`xsp3ioc demo`: the whole pipeline once, on an emulated detector, seen from outside as a beamline sees it."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from xsp3ioc.demo_client import Client, ClientError, PutCallback
from xsp3ioc.demo_server import EmulatedServer, ServerError
from xsp3ioc.picture import save_picture
from xsp3ioc.receivers import rates
from xsp3ioc.receivers.drawing import NoPictureError
from xsp3ioc.receivers.summary import FileSummary, summarize
from xsp3ioc.receivers.tally import Tally
from xsp3ioc.receivers.terminal import INTERRUPTED, heed_ends
from xsp3ioc.stream.formulas import dead_time_factors

SUBSCRIBER = "demo"
SETTINGS = "[emulator]\ncount_rate = 1e6\n"
"""The server's configuration file: photons per second and channel, as at a beamline that is in a hurry."""
PATIENCE = 20.0
"""Seconds that the end of the series may take longer than its exposures."""


class DemoError(RuntimeError):
    """It cannot go on."""


@dataclass
class Outcome:
    """What each of the witnesses saw."""

    asked: int
    acquired: int
    """By the server's own count."""
    tally: Tally
    file: FileSummary
    path: Path
    seconds: float
    complaints: list[str] = field(default_factory=list)
    """What is missing and why; empty if nothing is."""


def main(arguments: list[str]) -> int:
    """Run `xsp3ioc demo`; return the exit code: 0 only if nothing was lost."""
    options = _parser().parse_args(arguments)
    heed_ends(signal.default_int_handler)
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    try:
        return _demo(options, console)
    except KeyboardInterrupt:
        sys.stderr.write("xsp3ioc demo: interrupted; the server is stopped\n")
        return INTERRUPTED
    except (DemoError, ServerError, ClientError, OSError) as error:
        sys.stderr.write(f"xsp3ioc demo: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xsp3ioc demo",
        description="Start a server with an emulated detector, acquire, stream and write frames as a beamline would, "
        "and compare what everybody got.",
    )
    parser.add_argument("--frames", type=_positive(int), default=1000, metavar="N", help="frames (default 1000)")
    parser.add_argument(
        "--exposure", type=_positive(float), default=0.001, metavar="S", help="seconds per frame (default 0.001)"
    )
    parser.add_argument("--channels", type=_positive(int), default=4, metavar="N", help="channels (default 4)")
    parser.add_argument(
        "--output", type=Path, default=Path("xsp3-demo"), metavar="DIR", help="where the files go (default xsp3-demo)"
    )
    parser.add_argument("--config", metavar="FILE.toml", help="other settings for the server")
    return parser


def _positive(kind: type) -> Any:
    def number(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    number.__name__ = "number"
    return number


def _demo(options: argparse.Namespace, console: Console) -> int:
    directory = options.output.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    console.print(f"Starting xsp3ioc --emulate with {options.channels} channels ...")
    with _settings(options.config) as config, EmulatedServer(
        "--channels", str(options.channels), "--config", config
    ) as server:
        console.print(
            f"Taking {options.frames} frames of {options.exposure:g} s through {server.detector_prefix}Acquire"
        )
        tally = Tally(server.data, SUBSCRIBER)
        tally.start()
        try:
            with Client(server.environment) as client:
                outcome = _Run(server, client, tally, options, console).outcome(directory)
        except (DemoError, ClientError) as error:
            server.check()  # that it has ended says more
            raise DemoError(f"{error}\nThe server's last words:\n{server.last_words()}") from error
        finally:
            tally.stop()
    _show(outcome, console)
    _save_picture(outcome, options, console)
    for complaint in outcome.complaints:
        sys.stderr.write(f"xsp3ioc demo: {complaint}\n")
    if not outcome.complaints:
        console.print("Nothing was lost: the spectra in the file and in the stream are the same.", style="green")
    return 1 if outcome.complaints else 0


@contextlib.contextmanager
def _settings(path: str | None) -> Iterator[str]:
    """Yield the name of the server's configuration file: the user's, or our own."""
    if path:
        yield path
        return
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as own:
        own.write(SETTINGS)
        own.flush()
        yield own.name


class _Run:
    """One capture with one series, by put and monitor alone."""

    def __init__(
        self, server: EmulatedServer, client: Client, tally: Tally, options: argparse.Namespace, console: Console
    ) -> None:
        self._server, self._client, self._tally = server, client, tally
        self._options, self._console = options, console
        self._det, self._file = server.detector_prefix, f"{server.prefix}HDF1:"

    def outcome(self, directory: Path) -> Outcome:
        """Take the frames and see what became of them."""
        self._set_up(directory)
        began = time.monotonic()
        complaints = self._acquire()
        seconds = time.monotonic() - began
        # Done when the file is closed.
        self._client.put(f"{self._file}Capture", 0)
        path = Path(self._client.get(f"{self._file}FullFileName_RBV"))
        acquired = self._client.get(f"{self._det}FramesAcquired")
        if self._client.get(f"{self._file}WriteStatus"):
            complaints.append(self._client.get(f"{self._file}WriteMessage"))
        self._tally.join(PATIENCE)
        outcome = Outcome(self._options.frames, acquired, self._tally, summarize(path), path, seconds, complaints)
        _find_losses(outcome)
        return outcome

    def _set_up(self, directory: Path) -> None:
        put = self._put
        self._until(lambda: self._client.get(f"{self._det}CONNECTED") == 1, "the detector is not connected")
        self._until(lambda: self._client.get(f"{self._det}Subscribers") > 0, self._tally.error or "nobody subscribes")
        put(f"{self._det}AcquireTime", self._options.exposure)
        put(f"{self._det}NumImages", self._options.frames)
        put(f"{self._file}NumCapture", self._options.frames)
        put(f"{self._file}FilePath", str(directory))
        put(f"{self._file}FileName", "demo")
        put(f"{self._file}FileTemplate", "%s%s_%4.4d.h5")
        put(f"{self._file}FileNumber", _next_number(directory))
        self._client.start(f"{self._file}Capture", 1)
        self._until(lambda: self._client.get(f"{self._file}Capture_RBV") == 1, "the file does not open", refusable=True)

    def _put(self, name: str, value: float | str) -> None:
        try:
            self._client.put(name, value)
        except ClientError as error:
            raise DemoError(f"{error}: {self._message()}") from error

    def _acquire(self) -> list[str]:
        """Start the series and show its progress to the end; return what the server complains about."""
        columns = TextColumn("frames"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task("", total=self._options.frames)
            self._client.watch(
                f"{self._det}ArrayCounter_RBV", lambda frames: progress.update(task, completed=frames)
            )
            done = self._client.start(f"{self._det}Acquire", 1)
            self._wait(done)
            progress.update(task, completed=self._client.get(f"{self._det}ArrayCounter_RBV"))
        if done.succeeded:
            return []
        return [f"The series did not end well: {self._client.get(f'{self._det}StatusMessage_RBV')}"]

    def _wait(self, done: PutCallback) -> None:
        patience = self._options.frames * (self._options.exposure + 1e-5) + PATIENCE
        deadline = time.monotonic() + patience
        while not done.wait(0.1):
            self._server.check()
            if time.monotonic() > deadline:
                raise DemoError(f"The series has not ended after {patience:.0f} s: {self._message()}")

    def _until(self, condition: Any, complaint: str, refusable: bool = False) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self._server.check()
            refused = refusable and self._client.get(f"{self._file}WriteStatus")
            if refused or time.monotonic() > deadline:
                raise DemoError(f"{complaint}: {self._message()}")
            time.sleep(0.02)

    def _message(self) -> str:
        return self._client.get(f"{self._det}StatusMessage_RBV")


def _next_number(directory: Path) -> int:
    numbers = [path.stem.removeprefix("demo_") for path in directory.glob("demo_*.*")]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=0)


def _find_losses(outcome: Outcome) -> None:
    """Add to the complaints what is missing: against what was asked for, not only against each other."""
    tally, file = outcome.tally, outcome.file
    for what, frames in (("acquired", outcome.acquired), ("streamed", tally.frames), ("written", file.frames)):
        if frames != outcome.asked:
            outcome.complaints.append(f"{outcome.asked - frames} of {outcome.asked} frames were not {what}")
    # What the server has lost, the subscriber misses too; the server knows why.
    gaps = {(gap.first, gap.last): gap.reason for gap in [*tally.gaps, *(tally.end.missing if tally.end else ())]}
    outcome.complaints += [f"frames {first}..{last}: {reason}" for (first, last), reason in gaps.items()]
    if tally.end is None:
        outcome.complaints.append(f"the stream did not end: {tally.error or 'no end message came'}")
    if not np.array_equal(tally.spectra, file.spectra):
        outcome.complaints.append("the spectra in the file are not those of the stream")


def _show(outcome: Outcome, console: Console) -> None:
    tally, asked = outcome.tally, outcome.asked
    counts = Table(title=f"{asked} frames in {outcome.seconds:.2f} s")
    for name in ("", "frames", "lost", "counted by"):
        counts.add_column(name, justify="left" if name in ("", "counted by") else "right")
    for name, frames, by in (
        ("acquired", outcome.acquired, "the server (FramesAcquired)"),
        ("streamed", tally.frames, "a subscriber of the data stream"),
        ("written", outcome.file.frames, "reading the file"),
    ):
        counts.add_row(name, str(frames), str(asked - frames), by)
    console.print(counts)
    if tally.header is not None and tally.frames:
        console.print(_rates(tally))
    console.print(f"File     {outcome.path}", markup=False, soft_wrap=True)


def _rates(tally: Tally) -> Table:
    header = tally.header
    if header is None:
        raise ValueError("no series was seen")
    factors = dead_time_factors(tally.scalers, header.event_widths)  # type: ignore[arg-type]
    output = rates.output_count_rate(tally.scalers, header.clock_period)  # type: ignore[arg-type]
    table = Table(title="Count rates (cps)")
    for name in ("channel", "output (OCR)", "input (ICR)", "dead time"):
        table.add_column(name, justify="right")
    for channel, (rate, factor) in enumerate(zip(output, factors, strict=True), 1):
        table.add_row(str(channel), f"{rate:,.0f}", f"{rate * factor:,.0f}", f"{100 * (1 - 1 / factor):.2f} %")
    return table


def _save_picture(outcome: Outcome, options: argparse.Namespace, console: Console) -> None:
    header = outcome.tally.header
    if header is None or not outcome.tally.frames:
        return
    path = outcome.path.with_suffix(".png")
    title = f"Emulated Xspress3, NIST SRM 1832: sum of {outcome.tally.frames} frames of {header.exposure:g} s"
    try:
        save_picture(
            path, outcome.tally.spectra, header.energy_offset, header.energy_slope, title, lines=not options.config
        )
    except NoPictureError as error:
        console.print(str(error), markup=False)
    else:
        console.print(f"Picture  {path}", markup=False, soft_wrap=True)
