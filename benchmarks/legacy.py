"""Measure the streams of other protocols: `python benchmarks/legacy.py`; ratios to a raw loop of the same messages.

The publisher's own thread sends blocks to a subscriber in another process; the raw loop sends messages that are made
before. Both in turn, as fast as they can, and nobody loses a frame.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import queue
import socket as socket_module
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import zmq
from rich.console import Console

from xsp3ioc.demo_client import Client
from xsp3ioc.demo_server import EmulatedServer
from xsp3ioc.sdk import EmulatorSettings, expected_frames
from xsp3ioc.stream.blocks import FRAME_DTYPE
from xsp3ioc.stream.formulas import dead_time_factors
from xsp3ioc.stream.legacy_images import LegacyImages
from xsp3ioc.stream.legacy_publisher import LegacyPublisher
from xsp3ioc.stream.messages import Block, Header, SeriesEnd, image_of
from xsp3ioc.stream.stins_push import StinsPush

SPAWN = multiprocessing.get_context("spawn")
BLOCK = 16
RATES = (1000, 2000, 4000, 6000, 8000, 10_000, 12_000, 16_000)
AT_ONCE = 8
"""Blocks that wait at most, so that none is dropped."""
console = Console(highlight=False, width=120)


def _drain(kind: int, endpoint: str, counts: Any) -> None:
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.set_hwm(0)
        if kind == zmq.SUB:
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(endpoint)
        counts.put("connected")
        messages = 0
        while True:
            first = socket.recv_multipart(copy=False)[0]
            messages += 1
            if len(first) < 200 and b"series_end" in first.bytes:
                counts.put(messages)
                messages = 0


@contextmanager
def _drained(kind: int, endpoint: str) -> Iterator[Any]:
    counts = SPAWN.Queue()
    process = SPAWN.Process(target=_drain, args=(kind, endpoint, counts), daemon=True)
    process.start()
    counts.get(timeout=30)
    try:
        yield counts
    finally:
        process.kill()
        process.join()


def _header(channels: int) -> Header:
    per_channel = [6.0] * channels
    return Header(
        msg_number=0, series_id=1, capture_id=0, filename="", frames=0, channels=channels, bins=4096, exposure=0.001,
        gap=1e-6, clock_period=12.5e-9, trigger_mode="Internal", time=0.0, times="ticks", event_widths=per_channel,
        energy_offset=per_channel, energy_slope=per_channel, windows=[], good_thresholds=[], simulated=True,
        detector="", host="", server="", library="", firmware="", parameters={},
    )  # fmt: skip


def _blocks(channels: int) -> list[Block]:
    spectra, scalers = expected_frames(EmulatorSettings(channels=channels, cards=-(-channels // 8)), 80_000, 0, 64)
    factors = dead_time_factors(scalers, np.full(channels, 6.0))
    parts = [slice(first, first + BLOCK) for first in range(0, 64, BLOCK)]
    frames = np.zeros(BLOCK, FRAME_DTYPE)
    return [Block(1, part.start, spectra[part], scalers[part], factors[part], frames) for part in parts]


def ours(stream: Any, kind: int, channels: int, frames: int) -> tuple[float, int]:
    """Frames/s from the first block to the last message that arrives, and the messages."""
    header, blocks = _header(channels), _blocks(channels)
    stream.start()
    with _drained(kind, stream.endpoint) as counts:
        while kind == zmq.SUB and not stream.subscribers:
            time.sleep(0.01)
        start = time.perf_counter()
        stream.take(header, None)
        for number in range(frames // BLOCK):
            block = blocks[number % len(blocks)]
            while stream.waiting >= AT_ONCE:
                time.sleep(0.0002)
            stream.take(image_of(block, number), block)
        stream.take(SeriesEnd(msg_number=0, series_id=1, reason="complete", acquired=frames), None)
        messages = counts.get(timeout=60)
        seconds = time.perf_counter() - start
    stream.close()
    assert stream.dropped == 0, stream.dropped
    return frames / seconds, messages


def raw(kind: int, channels: int, frames: int, in_parts: bool) -> tuple[float, int]:
    """Return the same for a loop that sends the same messages, which are there already."""
    images = LegacyImages(_header(channels))
    pieces = [tuple(one) for block in _blocks(channels) for one in images.frames(block)]
    with zmq.Context() as context, context.socket(zmq.XPUB if kind == zmq.SUB else zmq.PUSH) as socket:
        socket.set_hwm(0)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with _drained(kind, f"tcp://127.0.0.1:{port}") as counts:
            if kind == zmq.SUB:
                socket.recv()
            start = time.perf_counter()
            for number in range(frames):
                parts = pieces[number % len(pieces)]
                if in_parts:
                    socket.send_multipart(parts[: 3 if kind == zmq.SUB else 2])
                else:
                    for part in parts:
                        socket.send(part)
            socket.send(b'{"htype": "series_end"}')
            messages = counts.get(timeout=60)
            return frames / (time.perf_counter() - start), messages


def preparing(channels: int) -> tuple[float, float]:
    """Microseconds per frame to make the JSON and the pickle, from a template and by pickling."""
    import pickle

    images, block = LegacyImages(_header(channels)), _blocks(channels)[0]
    taken = []
    for _ in range(200):
        start = time.perf_counter()
        list(images.frames(block))
        taken.append((time.perf_counter() - start) / BLOCK)
    pickled = []
    arrays = [np.ones(channels) for _ in range(8)]
    for _ in range(2000):
        start = time.perf_counter()
        pickle.dumps(arrays, 4)
        pickled.append(time.perf_counter() - start)
    return 1e6 * statistics.median(taken), 1e6 * statistics.median(pickled)


def highest_rate(option: str, kind: int, per_frame: int, seconds: float) -> None:
    """Clock pace: the highest of some rates at which a whole server of 4 channels lost nothing, and the next."""
    with socket_module.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    held = 0
    with EmulatedServer(option, str(port)) as server, Client(server.environment) as client:
        with _drained(kind, f"tcp://127.0.0.1:{port}") as counts:
            time.sleep(1)
            for rate in RATES:
                frames = int(rate * seconds)
                client.put(f"{server.detector_prefix}AcquireTime", 1 / rate - 1e-6)
                client.put(f"{server.detector_prefix}NumImages", frames)
                done = client.start(f"{server.detector_prefix}Acquire", 1)
                assert done.wait(seconds + 60) and done.succeeded
                try:
                    received = counts.get(timeout=5)
                except queue.Empty:  # even the end is lost
                    break
                if received != frames * per_frame + 2:
                    break
                held = rate
    console.print(f"  {option:15} {held:,} frames/s held for {seconds:g} s with nothing lost")


def main() -> None:
    """Show all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=3200, help="of 4 channels; no more than may wait")
    parser.add_argument("--rate", action="store_true", help="the highest rate of a whole server, instead")
    options = parser.parse_args()
    console.print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    if options.rate:
        highest_rate("--legacy-port", zmq.SUB, 3, 5)
        highest_rate("--stream1-port", zmq.PULL, 1, 5)
        return
    for channels in (4, 16):
        size, frames = channels * 4096 * 4, options.frames * 4 // channels
        template, pickled = preparing(channels)
        console.print(f"{channels} channels: {template:.1f} us to prepare a frame; to pickle it {pickled:.1f} us")
        for name, in_parts, kind in (
            ("three messages", False, zmq.SUB), ("one of three parts", True, zmq.SUB), ("stream1", True, zmq.PULL)
        ):  # fmt: skip
            pairs = []
            for _ in range(options.rounds):
                if kind == zmq.SUB:
                    stream: Any = LegacyPublisher("tcp://127.0.0.1:*", size, in_parts)
                else:
                    stream = StinsPush("tcp://127.0.0.1:*", size)
                mine, messages = ours(stream, kind, channels, frames)
                its, others = raw(kind, channels, frames, in_parts)
                assert others == messages - 1, (others, messages)
                pairs.append((mine, its))
            rate = statistics.median(mine for mine, _ in pairs)
            ratio = statistics.median(mine / its for mine, its in pairs)
            console.print(f"  {name:20} {rate:8,.0f} frames/s   {ratio:.2f} of a raw pyzmq loop of the same messages")


if __name__ == "__main__":
    main()
