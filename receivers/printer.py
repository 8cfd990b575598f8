"""A receiver that shows what comes: `xsp3-print`."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import sys
import time
from collections.abc import Iterable

from xsp3ioc.receivers.addresses import DATA_PORT, add_address
from xsp3ioc.receivers.receiver import COMPRESSION_HELP, Event, Receiver, RefusedError
from xsp3ioc.receivers.terminal import INTERRUPTED, drop_output
from xsp3ioc.stream.messages import COMPRESSIONS, Block, Header, SeriesEnd

INTERVAL = 0.5
"""s between lines, at least."""
PATIENCE = 1.5
"""s for a connection, before somebody is told that there is none."""


class Progress:
    """The lines about the running series: frames so far, and frames per second since the last line."""

    def __init__(self, header: Header) -> None:
        self.series = header.series_id, header.time
        self.received = 0
        self._asked = f" of {header.frames}" if header.frames else ""
        self._shown = time.monotonic()
        self._shown_frames = 0

    def line(self, frames: int) -> str | None:
        """Return a line for `frames` frames received so far; None while the last line is recent."""
        self.received = frames
        now = time.monotonic()
        passed = now - self._shown
        if passed < INTERVAL:
            return None
        rate = (frames - self._shown_frames) / passed
        self._shown, self._shown_frames = now, frames
        return f"  {frames}{self._asked} frames, {rate:.0f} frames/s"


def header_line(header: Header) -> str:
    """Return a line for the begin of a series."""
    asked = f"{header.frames} frames" if header.frames else "frames until stopped"
    shape = f"{header.channels} channels x {header.bins} bins"
    simulated = ", simulated" if header.simulated else ""
    return (
        f"Series {header.series_id}: {asked} of {header.exposure:g} s, {shape}, "
        f"{header.trigger_mode} ({header.detector} at {header.host}{simulated})"
    )


def end_lines(end: SeriesEnd, receiver: Receiver) -> list[str]:
    """Return lines for the end of a series: what came, and what did not."""
    missing = sum(len(gap) for gap in receiver.gaps)
    counts = f"{end.acquired} acquired, {receiver.received} received, {missing} missing"
    return [
        f"Series {end.series_id}: {end.reason}; {counts}",
        *(f"  missing {gap.first}..{gap.last}: {gap.reason}" for gap in receiver.gaps),
    ]


def show(receiver: Receiver, events: Iterable[Event], count: int) -> int:
    """Print `count` series (0: for ever) of the receiver's events; return how many frames were missing in them."""
    progress = None
    missing = ended = 0
    for event in events:
        match event:
            # One that comes again, after a reconnection, continues its series.
            case Header() if progress is None or progress.series != (event.series_id, event.time):
                if progress is not None:
                    print(f"Series {progress.series[0]}: its end never came; {progress.received} received", flush=True)
                    missing, ended = missing + 1, ended + 1
                    if ended == count:
                        break
                print(header_line(event), flush=True)
                progress = Progress(event)
            case Block() if progress and (line := progress.line(receiver.received)):
                print(line, flush=True)
            case SeriesEnd() if progress:
                progress = None
                print("\n".join(end_lines(event, receiver)), flush=True)
                missing += sum(len(gap) for gap in receiver.gaps)
                ended += 1
                if ended == count:
                    break
    return missing


def main(arguments: list[str] | None = None) -> int:
    """Run `xsp3-print`; return the exit code: 1 if frames were missing in the series counted, 130 if it was stopped."""
    parser = argparse.ArgumentParser(prog="xsp3-print", description="Show what the detector's stream brings.")
    add_address(parser, "--connect", "data", DATA_PORT)
    parser.add_argument("--name", default=f"xsp3-print-{os.getpid()}", help="how the server shall call this receiver")
    parser.add_argument("--count", type=_count, default=0, metavar="SERIES", help="end after so many series")
    parser.add_argument("--compression", choices=COMPRESSIONS, default="", help=COMPRESSION_HELP)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="xsp3-print: %(message)s")
    try:
        with Receiver(options.connect, options.name, compression=options.compression) as receiver:
            first = receiver.receive(PATIENCE)
            if first is None and not receiver.connected and not receiver.refusal:
                print(f"xsp3-print: nobody answers at {receiver.endpoint} yet; waits for it", file=sys.stderr)
            missing = show(receiver, itertools.chain([] if first is None else [first], receiver), options.count)
    except KeyboardInterrupt:
        return INTERRUPTED if options.count else 0
    except BrokenPipeError:  # whoever read it has enough (head, less)
        drop_output()
        return 0
    except ValueError as error:
        parser.error(str(error))
    except RefusedError as error:
        print(f"xsp3-print: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        drop_output()
        print(f"xsp3-print: standard output: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    return 1 if missing else 0


def _count(text: str) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: how many series, 0 for all")


if __name__ == "__main__":
    sys.exit(main())
