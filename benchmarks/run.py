"""Measure the server: `python benchmarks/run.py [--quick]`; every figure with its conditions, speeds as ratios too.

Needs the extra `test`. Throughput is measured in turn with a raw loop that moves the same bytes, in the same minute.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # as the file writer does: one thread per process compresses fastest here

import numpy as np
from raw_loops import BLOCK, memory_directory, raw_file, raw_stream
from rich.console import Console

from xsp3ioc.demo_client import Client
from xsp3ioc.demo_server import EmulatedServer
from xsp3ioc.receivers.receiver import Receiver
from xsp3ioc.sdk import EmulatorSettings, expected_frames
from xsp3ioc.stream.messages import Block, SeriesEnd

WHAT = ("throughput", "responses", "rois", "arming", "memory", "rate", "tango")
console = Console(highlight=False, width=120)
SPAWN = multiprocessing.get_context("spawn")


def _subscribe(endpoint: str, counts: Any) -> None:
    with Receiver(endpoint, "benchmark") as receiver:
        frames = 0
        for event in receiver:
            if isinstance(event, Block):
                frames += len(event)
            elif isinstance(event, SeriesEnd):
                counts.put((frames, len(event.lost)))
                frames = 0


def get_often(environment: dict[str, str], name: str, stop: Any, answer: Any) -> None:
    """Get a scalar by libca until `stop` is set; answer with the times that it took, s."""
    os.environ.update(environment)
    import epics

    pv = epics.PV(name, auto_monitor=False)
    pv.wait_for_connection(10)
    taken = []
    while not stop.is_set():
        start = time.perf_counter()
        pv.get(use_monitor=False)
        taken.append(time.perf_counter() - start)
        time.sleep(0.004)
    answer.put(taken)


class Bench:
    """A server, its client, and what can be measured with them."""

    def __init__(self, server: EmulatedServer, client: Client, directory: str) -> None:
        self.server, self.client, self.directory = server, client, directory
        self.p, self.r = server.prefix, server.detector_prefix
        self.files = 0
        self._stop: Any = None
        client.put(f"{self.p}HDF1:FilePath", directory)
        client.put(f"{self.p}HDF1:FileTemplate", "%s%s_%d.h5")
        client.put(f"{self.p}HDF1:FileName", "bench")
        client.put(f"{self.r}EraseOnStart", 0)

    @contextmanager
    def subscriber(self) -> Iterator[Any]:
        """Attach a subscriber in a process of its own; yields its queue of (frames, gaps), one per series."""
        counts = SPAWN.Queue()
        process = SPAWN.Process(target=_subscribe, args=(self.server.data, counts), daemon=True)
        process.start()
        while not self.client.get(f"{self.r}Subscribers"):
            time.sleep(0.05)
        self.acquire(1000)
        counts.get(timeout=30)
        yield counts
        process.kill()
        process.join()
        self.acquire(1)  # notices that it is gone

    @contextmanager
    def file(self) -> Iterator[None]:
        """Capture into a file; checks at the end that nothing is missing."""
        self.client.put(f"{self.p}HDF1:NumCapture", 0)
        done = self.client.start(f"{self.p}HDF1:Capture", 1)
        while not self.client.get(f"{self.p}HDF1:Capture_RBV"):
            time.sleep(0.02)
        yield
        self.client.put(f"{self.p}HDF1:Capture", 0)
        assert done.wait(30) and done.succeeded
        os.unlink(self.client.get(f"{self.p}HDF1:FullFileName_RBV"))

    def acquire(self, frames: int, seconds: float = 600) -> float:
        """Take a series; return frames/s from Acquire=1 to its put-callback."""
        self.client.put(f"{self.r}NumImages", frames)
        self.client.put(f"{self.p}HDF1:NumCapture", 0)
        start = time.perf_counter()
        done = self.client.start(f"{self.r}Acquire", 1)
        assert done.wait(seconds), "the series does not end"
        return frames / (time.perf_counter() - start) if done.succeeded else 0.0

    def missing(self, recorded: bool) -> int:
        """Frames of the last series that any sink has lost."""
        get = self.client.get
        acquired = get(f"{self.r}FramesAcquired")
        sinks = [get(f"{self.r}FramesStreamed")] + ([get(f"{self.r}FramesWritten")] if recorded else [])
        return get(f"{self.r}FramesMissing") + sum(acquired - sink for sink in sinks)

    def latencies(self, frames: int) -> list[float]:
        """Return times of CA gets, s, from another process during a series of `frames`."""
        stop, answer = SPAWN.Event(), SPAWN.Queue()
        arguments = (self.server.environment, f"{self.r}DetectorState_RBV", stop, answer)
        process = SPAWN.Process(target=get_often, args=arguments, daemon=True)
        process.start()
        time.sleep(1.5)
        self.acquire(frames)
        stop.set()
        taken = answer.get(timeout=30)
        process.join(10)
        return taken

    def resident(self) -> float:
        """MiB that the server and its writer hold, the memory that they share counted twice."""
        page = os.sysconf("SC_PAGE_SIZE") / 2**20
        tasks = Path(f"/proc/{self.server.pid}/task").glob("*/children")
        pids = [self.server.pid, *(int(pid) for task in tasks for pid in task.read_text().split())]
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * page


@contextmanager
def bench(pace: str, channels: int = 4, *arguments: str) -> Iterator[Bench]:
    """Start a server whose emulator runs at `pace`, with further `arguments`."""
    with tempfile.TemporaryDirectory(dir=memory_directory()) as directory:
        config = Path(directory) / "bench.toml"
        config.write_text(
            f'[detector]\nchannels = {channels}\ncards = {-(-channels // 8)}\n'
            f'[emulator]\npace = "{pace}"\n[parameters]\nexposure_time = 0.001\n'
        )
        with EmulatedServer("--config", str(config), *arguments) as server, Client(server.environment) as client:
            deadline = time.monotonic() + 10
            while not client.get(f"{server.detector_prefix}CONNECTED"):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield Bench(server, client, directory)


def throughput(rounds: int, frames: int) -> None:
    """Reader pace: what the server can move at most."""
    spectra, _ = expected_frames(EmulatorSettings(), 80_000, 0, 64 * BLOCK[0])
    spectra = spectra.reshape(-1, *BLOCK)
    figures: dict[str, list[tuple[float, float]]] = {"stream": [], "file": [], "stream and file": []}
    with bench("reader") as ours:
        for _ in range(rounds):
            with ours.subscriber() as counts:
                rate = ours.acquire(frames)
                assert counts.get(timeout=30) == (frames, 0)
                figures["stream"].append((rate, raw_stream(frames)))
                with ours.file():
                    rate = ours.acquire(frames)
                    assert counts.get(timeout=30) == (frames, 0) and ours.missing(True) == 0
                figures["stream and file"].append((rate, raw_stream(frames)))
            with ours.file():
                rate = ours.acquire(frames)
                assert ours.missing(True) == 0
            figures["file"].append((rate, raw_file(frames, spectra)))
    console.print(f"\n[bold]Throughput[/], reader pace, 4 x 4096, 1 ms spectra, {rounds} rounds of {frames} frames")
    for name, pairs in figures.items():
        ours_rate = statistics.median(rate for rate, _ in pairs)
        ratio = statistics.median(rate / raw for rate, raw in pairs)
        against = "raw direct-chunk loop" if name == "file" else "raw pyzmq loop"
        console.print(f"  {name:16} {ours_rate:8,.0f} frames/s   {ratio:.2f} of a {against}")


def responses(frames: int) -> None:
    """CA gets from another process while frames run."""
    console.print("\n[bold]CA get[/] of a scalar from another process, one subscriber")
    with bench("clock") as ours, ours.subscriber():
        ours.client.put(f"{ours.r}AcquireTime", 49e-6)
        _show_latencies("20,000 frames/s", ours.latencies(frames))
    with bench("reader") as ours, ours.subscriber():
        _show_latencies("full speed", ours.latencies(3 * frames))


def _show_latencies(name: str, taken: list[float]) -> None:
    p50, p99 = np.percentile(taken, (50, 99)) * 1e3
    console.print(f"  {name:16} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   of {len(taken)} gets")


def rois(rounds: int) -> None:
    """Reader pace: with and without the time series of 48 ROIs and 11 scalers per channel, five values per ROI."""
    points = 16_000
    figures: dict[bool, list[float]] = {False: [], True: []}
    with bench("reader") as ours:
        for channel in range(1, 5):
            for record, value in (("TSNumPoints", points), *((f"{k}:SizeX", 30) for k in range(1, 49))):
                ours.client.put(f"{ours.p}MCA{channel}ROI:{record}", value)
            for k in range(1, 49):
                ours.client.put(f"{ours.p}MCA{channel}ROI:{k}:MinX", 80 * k)
            ours.client.put(f"{ours.p}C{channel}SCA:TS:TSNumPoints", points)
        for _ in range(rounds):
            for running, control in ((False, 2), (True, 0)):
                for name in ("MCA{}ROI:TSControl", "C{}SCA:TSControl"):
                    for channel in range(1, 5):
                        ours.client.put(ours.p + name.format(channel), control)
                figures[running].append(ours.acquire(points))
                collected = ours.client.get(f"{ours.p}MCA4ROI:TSCurrentPoint")
                assert collected == (points if running else collected), collected
    ratio = statistics.median(on / off for on, off in zip(figures[True], figures[False], strict=True))
    on, off = (statistics.median(figures[running]) for running in (True, False))
    console.print(
        f"\n[bold]Time series[/] of 4 x 48 ROIs of 30 bins and 4 x 11 scalers, a point per frame, reader pace, no "
        f"subscriber: {on:,.0f} frames/s, {ratio:.2f} of the {off:,.0f} without"
    )


def arming() -> None:
    """One-frame series: what is not exposure."""
    with bench("clock") as ours:
        for name, recorded in (("no file", False), ("into one file", True)):
            with ours.file() if recorded else tempfile.TemporaryDirectory():
                overhead = [1e3 / ours.acquire(1) - 1.0 for _ in range(200)]
            p50, p99 = np.percentile(overhead, (50, 99))
            console.print(
                f"\n[bold]One frame of 1 ms[/], {name}: put-callback to put-callback less exposure "
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
            )


def memory(frames: int) -> None:
    """Resident memory in the course of a long series, and after it."""
    with bench("reader") as ours, ours.subscriber(), ours.file():
        ours.acquire(frames // 10)
        before = ours.resident()
        ours.client.put(f"{ours.r}NumImages", frames)
        done = ours.client.start(f"{ours.r}Acquire", 1)
        samples = []
        while not done.wait(1):
            samples.append(ours.resident())
        time.sleep(6)  # the pool gives back what a stall of the machine has made it take
        console.print(
            f"\n[bold]Memory[/] of server and file writer, {frames:,} frames: before {before:.0f} MiB, "
            f"during {min(samples):.0f} to {max(samples):.0f} MiB, 6 s after {ours.resident():.0f} MiB"
        )


def highest_rate(seconds: float, recorded: bool) -> None:
    """Clock pace: the highest fixed rate held with nothing lost."""
    held = 0.0
    low, high = 1_000.0, 64_000.0
    with bench("clock") as ours, ours.subscriber() as counts:
        for trial in range(6):
            rate = 16_000.0 if trial == 0 else (low * high) ** 0.5
            ours.client.put(f"{ours.r}AcquireTime", 1 / rate - 1e-6)
            if recorded:
                with ours.file():
                    good = _hold(ours, counts, int(rate * seconds), recorded)
            else:
                good = _hold(ours, counts, int(rate * seconds), recorded)
            if good:
                held = low = rate
            else:
                high = rate
    what = "stream and file" if recorded else "stream"
    console.print(
        f"\n[bold]Highest rate[/] held for {seconds:g} s at clock pace, nothing lost, {what}: {held:,.0f} frames/s"
    )


def _hold(ours: Bench, counts: Any, frames: int, recorded: bool) -> bool:
    good = ours.acquire(frames) > 0
    received, gaps = counts.get(timeout=60)
    return good and received == frames and gaps == 0 and ours.missing(recorded) == 0


def main() -> None:
    """Run all, or the quick ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes: shorter, and no 60 s runs")
    parser.add_argument("--only", choices=WHAT)
    options = parser.parse_args()
    console.print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    wanted = [options.only] if options.only else WHAT
    if "throughput" in wanted:
        throughput(3 if options.quick else 5, 64_000 if options.quick else 160_000)
    if "responses" in wanted:
        responses(60_000 if options.quick else 400_000)
    if "rois" in wanted:
        rois(3 if options.quick else 9)
    if "arming" in wanted:
        arming()
    if "memory" in wanted:
        memory(100_000 if options.quick else 1_000_000)
    if "rate" in wanted:
        for recorded in (False, True):
            highest_rate(5 if options.quick else 60, recorded)
    if "tango" in wanted:
        import tango_calls  # it needs PyTango, and this module

        tango_calls.run_all(options.quick)


if __name__ == "__main__":
    main()
