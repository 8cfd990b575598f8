"""The program that writes NeXus/HDF5 files: the server's child process, or a receiver on another machine."""

from __future__ import annotations

import os

# Chunks are compressed side by side by threads of ours: OpenMP's would only wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"

import argparse  # noqa: E402
import itertools  # noqa: E402
import logging  # noqa: E402
import math  # noqa: E402
import mmap  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

from xsp3ioc.receivers.addresses import DATA_PORT, add_address  # noqa: E402
from xsp3ioc.receivers.durability import Durability  # noqa: E402
from xsp3ioc.receivers.facts import HDF5  # noqa: E402
from xsp3ioc.receivers.nexus import abandoned  # noqa: E402
from xsp3ioc.receivers.receiver import COMPRESSION_HELP, NO_POOL, Receiver, RefusedError  # noqa: E402
from xsp3ioc.receivers.recording import Recording  # noqa: E402
from xsp3ioc.receivers.remote import TEMPLATE, RemoteRecording  # noqa: E402
from xsp3ioc.receivers.series_table import NOT_TOLD, STOPPED  # noqa: E402
from xsp3ioc.receivers.terminal import heed_ends, say  # noqa: E402
from xsp3ioc.stream.messages import COMPRESSIONS  # noqa: E402

log = logging.getLogger(__name__)

TOKEN_VARIABLE = "XSP3IOC_TOKEN"  # noqa: S105
POOL_VARIABLE = "XSP3IOC_POOL"
"""File descriptor and size of the server's memory, `descriptor:bytes`."""
CREDIT = 32
"""Blocks on their way: what a flush may hold up."""
PATIENCE = 5.0
"""s for a backlog after the end of the server's input."""
TICK = 0.1
"""s between looks at the clock and at the reasons to stop."""


def main(arguments: list[str] | None = None) -> int:
    """Run `xsp3-write`; return the exit code."""
    parser = argparse.ArgumentParser(prog="xsp3-write", description="Write the detector's stream to NeXus/HDF5 files.")
    add_address(parser, "--connect", "data", DATA_PORT)
    parser.add_argument("--name", default=f"xsp3-write-{os.getpid()}", help="how the server shall call this writer")
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="where files may be written")
    parser.add_argument(
        "--template", default=TEMPLATE, help="file name of a series without a capture (default %(default)s)"
    )
    parser.add_argument(
        "--fsync", type=float, default=0.0, metavar="SECONDS",
        help="put what was written on the disk so often, and at the end of a file, so that it survives a loss of power "
        "(default: never)",
    )  # fmt: skip
    parser.add_argument(
        "--part-frames", type=int, default=0, metavar="N", help="frames per part of a longer file (as the server's)"
    )
    parser.add_argument(
        "--part-gb", type=float, default=0.0, metavar="GB", help="size of a part of a longer file (as the server's)"
    )
    parser.add_argument("--compression", choices=COMPRESSIONS, default="", help=COMPRESSION_HELP)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-v", "--verbose", action="store_true", help="say more")
    options = parser.parse_args(arguments)
    if not 0 <= options.fsync < math.inf:
        parser.error(f"--fsync {options.fsync:g}: it is seconds, or 0 for never")
    level = logging.DEBUG if options.verbose else logging.INFO if options.child else logging.WARNING
    # The server puts its own time before what its child says.
    line = "%(levelname)s %(message)s" if options.child else "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=level, format=line)
    code = _child(options) if options.child else _program(options, parser)
    if abandoned:
        logging.shutdown()
        os._exit(code)
    return code


def record(
    receiver: Receiver,
    recording: Recording,
    stopped: Callable[[], bool],
    joining: bool = False,
    patience: float = 0.0,
) -> None:
    """Feed `recording` from `receiver` until `stopped`; its file is closed then, whatever happened.

    `joining`: the receiver may join in the middle of a series, and keeps no place for what went by before.
    `patience`: s after `stopped` in which events are still waited for, up to the end of the capture that is open.
    RefusedError when the server does not take the receiver.
    """

    def step(timeout: float) -> bool:
        garbage = receiver.garbage
        event = receiver.receive(timeout)
        if receiver.garbage != garbage:
            recording.misread(receiver.misread)
        if event is not None:
            recording.take(event, joining and receiver.late)
        recording.tick()
        return event is not None

    try:
        while not stopped():
            step(TICK)
        # What has arrived already is not thrown away.
        deadline = time.monotonic() + patience
        for taken in itertools.count():
            left = receiver.connected and time.monotonic() < deadline
            if not left and taken >= CREDIT:
                break
            if not step(TICK if left else 0) and not (left and recording.path):
                break
    finally:
        recording.close(STOPPED if joining else NOT_TOLD)


def _child(options: argparse.Namespace) -> int:
    stop = threading.Event()
    # Ctrl-C, and the end of the terminal, reach every process of the terminal, systemd's SIGTERM every process of the
    # service: when to end is the server's decision.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
    token = os.environ.get(TOKEN_VARIABLE, "")
    with Receiver(options.connect, "writer", credit=CREDIT, token=token, library=HDF5, pool=_pool()) as receiver:
        # Only the reports of the one who has the token are taken.
        recording = Recording(receiver.report if token else lambda _: None, Durability(options.fsync))
        try:
            record(receiver, recording, stop.is_set, patience=PATIENCE)
        except RefusedError as error:
            log.error("%s", error)
            return 1
    return 0


def _pool() -> memoryview:
    """Map the server's memory, in which the blocks lie; to read only."""
    place = os.environ.get(POOL_VARIABLE)
    if place is None:
        return NO_POOL
    descriptor, size = map(int, place.split(":"))
    return memoryview(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ))


def _wait_for_parent(stop: threading.Event) -> None:
    """Set `stop` at the end of standard input: the parent has gone, or has closed it."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()


def _program(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if not options.root.is_dir():
        parser.error(f"--root {options.root}: no such directory")
    if options.part_frames < 0 or not 0 <= options.part_gb <= 1e6:
        parser.error("--part-frames and --part-gb cannot be negative, nor a part larger than 1e6 GB")
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    heed_ends(lambda *_: stop.set())
    try:
        recording = RemoteRecording(
            options.root, options.template, say, Durability(options.fsync),
            options.part_frames, int(options.part_gb * 1e9),
        )  # fmt: skip
        receiver = Receiver(options.connect, options.name, credit=CREDIT, compression=options.compression)
    except ValueError as error:
        parser.error(str(error))
    with receiver:
        print(f"xsp3-write: writes what {receiver.endpoint} sends, as soon as it is there", file=sys.stderr, flush=True)
        try:
            record(receiver, recording, stop.is_set, joining=True)
        except RefusedError as error:
            print(f"xsp3-write: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
