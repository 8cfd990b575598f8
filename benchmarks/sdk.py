"""Measure the emulator: `python benchmarks/sdk.py [--frames N]`; frames/s of 4 x 4096, and the ratio to plain copies.

At the reader's pace, in blocks: through the handle on the object in this process, and from a C program through the
shared library. Both are measured in turn with a loop that does nothing but copy the same bytes. Needs gcc.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from xsp3ioc.sdk import SCALERS, STATUS_DTYPE, EmulatedLibrary, EmulatorSettings, RunFlag, TimingSource, Xspress3
from xsp3ioc.sdk.emulator.build import build
from xsp3ioc.sdk.emulator.settings_file import VARIABLE

CHANNELS, BINS, ENTRIES = 4, 4096, 8
BLOCKS = (8, 16, 32, 64)
AHEAD = 1024
TURNS = 3

Rates = list[tuple[float, float]]
"""Of each turn: frames/s through the library, and of plain copies."""


def handle_rates(frames: int, block: int) -> Rates:
    """Read through the handle, the object behind it."""
    handle = Xspress3.configure(EmulatedLibrary(EmulatorSettings(channels=CHANNELS, pace="reader", ahead=AHEAD)))
    handle.set_run_flags(RunFlag.scalers | RunFlag.histogram | RunFlag.circular)
    handle.format()
    handle.set_timing(TimingSource.internal)
    mca = np.zeros((block, CHANNELS, BINS), np.uint32)
    _read(handle, 4096, mca)  # draws the spectra
    return [(frames / _read(handle, frames, mca), frames / _copy(frames, mca)) for _ in range(TURNS)]


def _read(handle: Xspress3, frames: int, mca: np.ndarray) -> float:
    block = len(mca)
    scalers = np.zeros((block, CHANNELS, SCALERS), np.uint32)
    status = np.zeros(block, STATUS_DTYPE)
    handle.setup_itfg(frames, 80_000)
    handle.start()
    done = 0
    start = time.perf_counter()
    while done < frames:
        complete = handle.progress().frames
        while done < complete:
            count = min(block, complete - done, handle.ring - done % handle.ring)
            handle.read_mca(done, mca[:count])
            handle.read_scalers(done, scalers[:count])
            handle.frame_status(done, status[:count])
            handle.acknowledge(done, count)
            done += count
    return time.perf_counter() - start


def _copy(frames: int, mca: np.ndarray) -> float:
    pool = np.ones((CHANNELS * ENTRIES, BINS), np.uint32)
    rows = np.random.default_rng(0).integers(0, ENTRIES, (frames, CHANNELS)) + np.arange(CHANNELS) * ENTRIES
    flat, block = mca.reshape(-1, BINS), len(mca)
    start = time.perf_counter()
    for first in range(0, frames - block + 1, block):
        pool.take(rows[first : first + block].ravel(), axis=0, out=flat, mode="clip")
    return time.perf_counter() - start


def shared_rates(program: Path, directory: Path, frames: int, block: int) -> Rates:
    """Read through the shared library, from C."""
    settings = directory / "emulator.toml"
    settings.write_text(f'pace = "reader"\nahead = {AHEAD}\n')
    command = [str(program), str(frames), str(block)]
    answer = subprocess.run(
        command, env=os.environ | {VARIABLE: str(settings)}, capture_output=True, text=True, check=True
    )
    return [(float(one), float(other)) for one, other in (line.split() for line in answer.stdout.splitlines())]


def compiled(directory: Path) -> Path:
    """Build the library and the program that reads through it."""
    build(directory)
    program = directory / "sdk_reader"
    source = Path(__file__).parent / "sdk_reader.c"
    subprocess.run(
        ["gcc", "-O2", "-std=gnu11", f"-I{directory}", "-o", program, source, f"-L{directory}", "-lxspress3",
         f"-Wl,-rpath,{directory}"],
        check=True,
    )  # fmt: skip
    return program


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000, help="frames per turn (%(default)s)")
    frames = parser.parse_args().frames
    table = Table("block", "handle, frames/s", "of plain copies", "C program, frames/s", "of plain copies")
    with tempfile.TemporaryDirectory() as directory:
        program = compiled(Path(directory))
        for block in BLOCKS:
            cells = [f"{block} frames"]
            for rates in (handle_rates(frames, block), shared_rates(program, Path(directory), frames, block)):
                cells.append(f"{statistics.median(rate for rate, _ in rates):,.0f}")
                cells.append(f"{statistics.median(rate / plain for rate, plain in rates):.2f}")
            table.add_row(*cells)
    Console(highlight=False).print(table, f"{CHANNELS} x {BINS}, medians of {TURNS} turns of {frames:,} frames")


if __name__ == "__main__":
    main()
