"""Measure the Tango face, `python benchmarks/run.py --only tango`: a storm of calls at full speed, and what it costs.

Needs the extra `test`. Clients are PyTango's, each in a process of its own. (A module `tango` here would hide PyTango.)
"""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from run import SPAWN, Bench, bench, console

DEVICE = "test/bench/1"
THREADS = 8
CALLS = ("State", "nFramesAcquired", "Status", "write frames", "mca", "State", "write energy_slope", "roi_total")
"""What each thread does in turn. (No thresholds: at each, the emulator counts the scalers of all its frames, 2 ms.)"""
LONG = 10_000_000
"""Frames of a series that does not end by itself."""


def _free_port() -> int:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return tcp.getsockname()[1]


def _call(proxy: Any, what: str, number: int) -> None:
    if what == "State":
        proxy.state()
    elif what == "Status":
        proxy.status()
    elif what == "write frames":
        proxy.write_attribute("frames", LONG + number)
    elif what == "write energy_slope":
        proxy.write_attribute("energy_slope", [10.0 + number / 1000] * 4)
    else:
        proxy.read_attribute(what)


def _storm(name: str, calls: int, answer: Any) -> None:
    """Make so many calls from all threads; answer with their times by kind, s, and the refusals."""
    import tango

    taken: dict[str, list[float]] = defaultdict(list)
    refusals: list[str] = []
    start = threading.Barrier(THREADS)

    def run(first: int) -> None:
        with tango.EnsureOmniThread():
            proxy = tango.DeviceProxy(name)
            proxy.state()
            start.wait()
            for number in range(first, calls, THREADS):
                what = CALLS[(number // THREADS + first) % len(CALLS)]
                begun = time.perf_counter()
                try:
                    _call(proxy, what, number)
                except tango.DevFailed as refused:
                    refusals.append(f"{what}: {refused.args[0].desc}")
                taken[what].append(time.perf_counter() - begun)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer.put((dict(taken), refusals))


def _listen(name: str, heard: Any, stop: Any) -> None:
    """Subscribe to the change events of all attributes, and count."""
    import tango

    count = 0

    def hear(event: Any) -> None:
        nonlocal count
        count += 1

    proxy = tango.DeviceProxy(name)
    for attribute in proxy.get_attribute_list():
        proxy.subscribe_event(attribute, tango.EventType.CHANGE_EVENT, hear)
    heard.put(count)
    stop.wait()
    heard.put(count)


def storm(calls: int, rounds: int) -> None:
    """Measure calls from 8 threads while frames run at full speed, without and with a client of all events."""
    port = _free_port()
    name = f"tango://127.0.0.1:{port}/{DEVICE}#dbase=no"
    console.print(f"\n[bold]Tango[/]: {rounds} storms of {calls} calls from {THREADS} threads, reader pace, 4 x 4096")
    with bench("reader", 4, "--tango", DEVICE, "--tango-port", str(port)) as ours:
        for title, listening in (("no events", False), ("all change events to one client", True)):
            stop, heard = SPAWN.Event(), SPAWN.Queue()
            if listening:
                listener = SPAWN.Process(target=_listen, args=(name, heard, stop), daemon=True)
                listener.start()
                heard.get(timeout=60)
            rate = ours.acquire(100_000)
            ours.client.put(f"{ours.r}NumImages", LONG)
            done = ours.client.start(f"{ours.r}Acquire", 1)
            everything: dict[str, list[float]] = defaultdict(list)
            p99s, begun = [], time.perf_counter()
            for _ in range(rounds):
                answer = SPAWN.Queue()
                client = SPAWN.Process(target=_storm, args=(name, calls, answer), daemon=True)
                client.start()
                taken, refusals = answer.get(timeout=120)
                client.join(10)
                if refusals:
                    raise RuntimeError(f"{len(refusals)} calls failed: {refusals[:3]}")
                for what, times in taken.items():
                    everything[what] += times
                p99s.append(float(np.percentile(sum(taken.values(), []), 99)))
            frames, seconds = ours.client.get(f"{ours.r}FramesAcquired"), time.perf_counter() - begun
            ours.client.put(f"{ours.r}Acquire", 0)
            done.wait(30)
            p50, p99, most = np.percentile(sum(everything.values(), []), (50, 99, 100)) * 1e3
            console.print(
                f"  {title}: p50 {p50:.1f} ms, p99 {p99:.1f} ms (of single storms {min(p99s) * 1e3:.1f} to "
                f"{max(p99s) * 1e3:.1f}), longest {most:.1f} ms; none failed; {frames / seconds:,.0f} frames/s "
                f"meanwhile, {rate:,.0f} before; missing {ours.missing(False)}"
            )
            for what, times in everything.items():
                p50, p99 = np.percentile(times, (50, 99)) * 1e3
                console.print(f"    {what:20} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  of {len(times)}")
            if listening:
                stop.set()
                console.print(f"    {heard.get(timeout=30):,} events heard")
                listener.kill()


def cost(rounds: int, frames: int) -> None:
    """Frames/s and idle time of the processor, in turn with Tango and without, nobody asking."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    idle: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for served in (False, True):
            options = ("--tango", DEVICE, "--tango-port", "0") if served else ()
            with bench("reader", 4, *options) as ours:
                ours.acquire(frames // 4)
                rates[served].append(ours.acquire(frames))
                used = _processor_time(ours)
                time.sleep(3)
                idle[served].append((_processor_time(ours) - used) / 3)
    ratio = statistics.median(on / off for on, off in zip(rates[True], rates[False], strict=True))
    with_it, without = (statistics.median(rates[served]) for served in (True, False))
    console.print(
        f"\n[bold]Cost of Tango[/], nobody asking: {with_it:,.0f} frames/s with it, {without:,.0f} without "
        f"({ratio:.2f}); idle it uses {100 * statistics.median(idle[True]):.1f} % of a processor, without "
        f"{100 * statistics.median(idle[False]):.1f} %"
    )


def _processor_time(ours: Bench) -> float:
    fields = Path(f"/proc/{ours.server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_all(quick: bool) -> None:
    """Run both."""
    storm(1000, 3 if quick else 10)
    cost(1 if quick else 3, 100_000 if quick else 200_000)
