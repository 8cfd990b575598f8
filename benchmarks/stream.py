"""Measure the data stream: `python benchmarks/stream.py [--only WHAT] [--quick]`; every figure with its conditions.

Needs the extra `test`. Speeds are measured in turn with a raw pyzmq loop of the same pattern and parts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from raw_loops import raw_stream
from run import SPAWN, Bench, bench, console

from xsp3ioc.receivers.receiver import Receiver
from xsp3ioc.stream.messages import Block, Packed, SeriesEnd

WHAT = ("subscribers", "compression", "latency", "channels", "length")


def _subscribe(endpoint: str, name: str, compression: str, answers: Any) -> None:
    """Answer each series with its frames, those lost, the bytes of spectra, and the ages of its blocks, s."""
    with Receiver(endpoint, name, compression=compression) as receiver:
        frames, size, ages = 0, 0, []
        for event in receiver:
            if isinstance(event, Block):
                ages.append(time.time() - float(event.frames["time"][-1]))
                frames += len(event)
                size += len(event.spectra.payload) if isinstance(event.spectra, Packed) else event.spectra.nbytes
            elif isinstance(event, SeriesEnd):
                answers.put((frames, sum(map(len, event.lost)), size, ages))
                frames, size, ages = 0, 0, []


@contextmanager
def subscribers(ours: Bench, count: int = 1, compression: str = "none") -> Iterator[Any]:
    """Attach so many subscribers, each a process; yields what returns their answers to the last series."""
    queues = [SPAWN.Queue() for _ in range(count)]
    processes = [
        SPAWN.Process(target=_subscribe, args=(ours.server.data, f"bench {number}", compression, queue), daemon=True)
        for number, queue in enumerate(queues)
    ]
    for process in processes:
        process.start()
    while ours.client.get(f"{ours.r}Subscribers") < count:
        time.sleep(0.05)

    def answers() -> list[tuple[int, int, int, list[float]]]:
        return [queue.get(timeout=60) for queue in queues]

    ours.acquire(1000)
    answers()
    yield answers
    for process in processes:
        process.kill()
        process.join()
    ours.acquire(1)  # notices that they are gone


def _complete(answers: list[tuple[int, int, int, list[float]]], frames: int) -> None:
    assert all(answer[:2] == (frames, 0) for answer in answers), [answer[:2] for answer in answers]


def several(rounds: int, frames: int) -> None:
    """Reader pace: one and two subscribers."""
    rates: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    with bench("reader") as ours:
        for _ in range(rounds):
            for count, pairs in rates.items():
                with subscribers(ours, count) as answers:
                    rate = ours.acquire(frames)
                    _complete(answers(), frames)
                    pairs.append((rate, raw_stream(frames, count)))
    console.print(f"\n[bold]Subscribers[/], reader pace, 4 x 4096, {rounds} rounds of {frames:,} frames, nothing lost")
    for count, pairs in rates.items():
        rate = statistics.median(rate for rate, _ in pairs)
        ratios = sorted(rate / raw for rate, raw in pairs)
        console.print(
            f"  {count}: {rate:8,.0f} frames/s, {statistics.median(ratios):.2f} of a raw loop with as many "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def compressed(rounds: int, frames: int) -> None:
    """Reader pace: with and without bslz4."""
    figures: dict[str, list[tuple[float, float]]] = {"none": [], "bslz4": []}
    with bench("reader") as ours:
        for _ in range(rounds):
            for compression, found in figures.items():
                with subscribers(ours, 1, compression) as answers:
                    rate = ours.acquire(frames)
                    (answer,) = answers()
                    _complete([answer], frames)
                    found.append((rate, answer[2] / frames))
    console.print(f"\n[bold]Compression[/], reader pace, 4 x 4096, 1 ms spectra, {rounds} rounds of {frames:,} frames")
    for compression, found in figures.items():
        rate, size = (statistics.median(column) for column in zip(*found, strict=True))
        console.print(
            f"  {compression:6} {rate:8,.0f} frames/s, {size:8,.0f} bytes of spectra per frame, "
            f"{rate * size / 1e6:,.1f} MB/s; 1 Gbit/s would carry {125e6 / size:,.0f} frames/s"
        )


def latency(frames: int) -> None:
    """Clock pace: from the end of a frame to its arrival in another process."""
    console.print(f"\n[bold]Latency[/], 1 kHz, 4 x 4096, {frames:,} frames: from the end of a frame to its arrival")
    for compression in ("none", "bslz4"):
        with bench("clock") as ours, subscribers(ours, 1, compression) as answers:
            ours.acquire(frames)
            ((count, lost, _, ages),) = answers()
            _complete([(count, lost, 0, [])], frames)
            p50, p99, worst = np.percentile(ages, (50, 99, 100)) * 1e3
            console.print(f"  {compression:6} p50 {p50:.2f} ms, p99 {p99:.2f} ms, worst {worst:.1f} ms")


def channels(rounds: int, frames: int) -> None:
    """Reader pace: bytes per second for detectors of 1 to 16 channels."""
    console.print(f"\n[bold]Channels[/], reader pace, one subscriber, {rounds} rounds, medians")
    for count in (1, 2, 4, 8, 16):
        with bench("reader", count) as ours, subscribers(ours) as answers:
            rates = []
            for _ in range(rounds):
                rates.append(ours.acquire(frames * 4 // count))
                _complete(answers(), frames * 4 // count)
            rate = statistics.median(rates)
            console.print(f"  {count:2} channels {rate:8,.0f} frames/s, {rate * count * 16384 / 1e6:6,.0f} MB/s")


def length(most: int) -> None:
    """Reader pace: the time per frame in series of many lengths."""
    console.print("\n[bold]Length[/] of a series, reader pace, 4 x 4096, one subscriber")
    with bench("reader") as ours, subscribers(ours) as answers:
        for frames in (1_000, 10_000, 100_000, 1_000_000):
            if frames > most:
                break
            times = []
            for _ in range(5 if frames <= 10_000 else 1):
                times.append(1e6 / ours.acquire(frames))
                _complete(answers(), frames)
            console.print(f"  {frames:9,} frames: {statistics.median(times):.1f} us per frame")


def main() -> None:
    """Run all, or the quick ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter: each part takes less than a minute")
    parser.add_argument("--only", choices=WHAT)
    options = parser.parse_args()
    wanted = [options.only] if options.only else WHAT
    rounds, frames = (3, 40_000) if options.quick else (5, 160_000)
    if "subscribers" in wanted:
        several(rounds, frames)
    if "compression" in wanted:
        compressed(rounds, frames)
    if "latency" in wanted:
        latency(20_000 if options.quick else 60_000)
    if "channels" in wanted:
        channels(3, frames)
    if "length" in wanted:
        length(100_000 if options.quick else 1_000_000)


if __name__ == "__main__":
    main()
