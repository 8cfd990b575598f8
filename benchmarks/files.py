"""Measure file writing, `python benchmarks/files.py [--quick]`: the whole server, a raw loop, long captures.

Needs the extra `test`. Files lie in memory: what is measured is the program, not a disk.
"""

from __future__ import annotations

import argparse
import glob
import os
import platform
import statistics

os.environ["OMP_NUM_THREADS"] = "1"  # as the file writer does

import numpy as np
from raw_loops import raw_file
from rich.console import Console
from run import Bench, bench

from xsp3ioc.receivers.chunks import frames_per_chunk
from xsp3ioc.sdk import EmulatorSettings, expected_frames

WHAT = ("ratio", "load", "rate", "length")
COMPRESSIONS = {"bslz4": 5, "none": 0}
BINS = 4096
SOURCE_BYTES = 32 << 20
"""Spectra that the raw loop writes over and over: as many as the server's pool holds in quiet times."""
console = Console(highlight=False, width=120)


def spectra(channels: int) -> np.ndarray:
    """Return the emulator's spectra of 1 ms, in chunks as the server makes them: (chunks, frames, channels, bins)."""
    per_chunk = frames_per_chunk(channels, BINS, 0)
    chunks = SOURCE_BYTES // (per_chunk * channels * BINS * 4)
    settings = EmulatorSettings(channels=channels, cards=-(-channels // 8))
    return expected_frames(settings, 80_000, 0, chunks * per_chunk)[0].reshape(chunks, per_chunk, channels, BINS)


def ratio(channels: int, rounds: int, seconds: float) -> None:
    """Reader pace: the server's rate and the raw loop's, in turn."""
    source = spectra(channels)
    with bench("reader", channels) as ours:
        for compression, number in COMPRESSIONS.items():
            frames = int((80_000 if compression == "bslz4" else 32_000) * seconds * 4 / channels)
            frames -= frames % source.shape[1]
            ours.client.put(f"{ours.p}HDF1:Compression", number)
            pairs = [(_written(ours, frames), raw_file(frames, source, compression)) for _ in range(rounds)]
            rate, raw = (statistics.median(one) for one in zip(*pairs, strict=True))
            ratios = [mine / raw for mine, raw in pairs]
            console.print(
                f"  {channels:2} channels, {compression:5}  {rate:8,.0f} frames/s   {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f}) of a raw loop's {raw:8,.0f}; {rounds} rounds of {frames:,}"
            )


def _written(ours: Bench, frames: int) -> float:
    with ours.file():
        rate = ours.acquire(frames)
        assert ours.missing(True) == 0, "frames are missing"
    return rate


def load(frames: int) -> None:
    """Reader pace: what else goes on while the file is written."""
    console.print("\n[bold]Beside a bslz4 file[/], 4 x 4096, reader pace")
    with bench("reader") as ours:
        _beside(ours, "nothing", frames)
        with ours.subscriber():
            _beside(ours, "one subscriber", frames)


def _beside(ours: Bench, what: str, frames: int) -> None:
    alone = statistics.median(_written(ours, frames) for _ in range(5))
    with ours.file():
        taken = ours.latencies(4 * frames)
        assert ours.missing(True) == 0, "frames are missing"
    p50, p99 = np.percentile(taken, (50, 99)) * 1e3
    console.print(
        f"  {what:16} {alone:8,.0f} frames/s (median of 5 x {frames:,}); CA get meanwhile "
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms of {len(taken)}"
    )


def rate(seconds: float) -> None:
    """Clock pace, no subscriber: the highest fixed rate held with nothing lost, between 8,000 and 64,000 frames/s."""
    held, low, high = 0.0, 8_000.0, 64_000.0
    with bench("clock") as ours:
        for _ in range(5):
            wanted = (low * high) ** 0.5
            ours.client.put(f"{ours.r}AcquireTime", 1 / wanted - 1e-6)
            with ours.file():
                good = ours.acquire(int(wanted * seconds)) > 0 and ours.missing(True) == 0
            if good:
                held = low = wanted
            else:
                high = wanted
    console.print(
        f"\n[bold]Highest rate[/] held for {seconds:g} s into a bslz4 file at clock pace, nothing lost: "
        f"{held:,.0f} frames/s"
    )


def length(frames: int, rounds: int) -> None:
    """Reader pace: time per frame in the last tenth of a long capture against the first, and memory; also in parts."""
    console.print(f"\n[bold]Long captures[/] of {frames:,} frames, 4 x 4096, bslz4; rounds in turn")
    with bench("reader") as ours:
        ours.acquire(frames // 10)
        found: dict[int, list[tuple[float, float, float]]] = {0: [], frames // 20: []}
        for _ in range(rounds):
            for part_frames, measured in found.items():
                ours.client.put(f"{ours.p}HDF1:FramesPerPart", part_frames)
                measured.append(_tenths(ours, frames // 10))
        for part_frames, measured in found.items():
            rates, ratios, grown = zip(*measured, strict=True)
            console.print(
                f"  {f'parts of {part_frames:,}' if part_frames else 'one file':16} {statistics.median(rates):8,.0f} "
                f"frames/s; last tenth to first, time per frame {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
                f"{max(ratios):.2f}); memory {min(grown):+.0f} to {max(grown):+.0f} MiB from second tenth to last"
            )


def _tenths(ours: Bench, frames: int) -> tuple[float, float, float]:
    """Return frames/s of ten series in one capture, time per frame of the last to the first, and MiB added since."""
    with ours.file():
        rates, held = zip(*((ours.acquire(frames), ours.resident()) for _ in range(10)), strict=True)
        assert ours.missing(True) == 0, "frames are missing"
    for name in glob.glob(os.path.join(glob.escape(ours.directory), "*_part*.h5")):
        os.unlink(name)
    return statistics.harmonic_mean(rates), rates[0] / rates[-1], held[-1] - held[1]


def main() -> None:
    """Run all, or some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes: shorter")
    parser.add_argument("--only", choices=WHAT)
    options = parser.parse_args()
    quick = options.quick
    wanted = [options.only] if options.only else WHAT
    console.print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    if "ratio" in wanted:
        console.print("\n[bold]File writing[/], reader pace, 1 ms spectra, in turn with a raw direct-chunk loop")
        for channels in (4, 16):
            ratio(channels, 3 if quick else 9, 0.5 if quick else 1.0)
    if "load" in wanted:
        load(40_000 if quick else 80_000)
    if "rate" in wanted:
        rate(5 if quick else 60)
    if "length" in wanted:
        length(100_000 if quick else 500_000, 5)


if __name__ == "__main__":
    main()
