"""Measure Channel Access, `python benchmarks/channel_access.py [--quick]`: a beamline's clients, and a step scan.

Needs the extra `test`. Clients are libca's, each in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import time
from typing import Any

import numpy as np
from rich.console import Console
from run import Bench, bench, get_often

from xsp3ioc.catalogue import rows
from xsp3ioc.stream.parameter import place

console = Console(highlight=False, width=120)
SPAWN = multiprocessing.get_context("spawn")
CHANNELS, ROIS = 4, 48


def scan_class_names() -> list[str]:
    """Return what NSLS-II's Xspress3 class connects at 4 channels of 48 ROIs: 1,822 of the channels and plugins."""
    names = []
    for c in range(1, CHANNELS + 1):
        names += [f"C{c}SCA:{k}:Value_RBV" for k in range(11)]
        names += [f"MCA{c}:ArrayData", f"MCASUM{c}:ArrayData"]
        names += [f"MCA{c}ROI:{one}" for one in ("TSAcquiring", "TSRead", "TSNumPoints", "TSCurrentPoint", "TSControl")]
        for k in range(1, ROIS + 1):
            names += [
                f"MCA{c}ROI:{k}:{one}" for one in ("Name", "MinX", "SizeX", "Total_RBV", "Use", "Use_RBV", "TSTotal")
            ]
    more = [row.pv for row in rows() if row.pv.startswith(("det1:", "HDF1:")) and row.tier in "ABC"]
    names += [place(pv, index) for pv in more for index in (range(CHANNELS) if "{chan}" in pv else [None])]
    return names[:1822]


def _subscribe(environment: dict[str, str], prefix: str, names: list[str], heard: Any, stop: Any) -> None:
    os.environ.update(environment)
    from epics import ca, dbr

    count = 0

    def changed(**_: Any) -> None:
        nonlocal count
        count += 1

    start = time.perf_counter()
    chids = [ca.create_channel(prefix + name, connect=False, auto_cb=False) for name in names]
    while not all(map(ca.isConnected, chids)):
        ca.poll(0.05, 0.1)
    kept = [
        ca.create_subscription(chid, callback=changed, mask=dbr.DBE_VALUE | dbr.DBE_ALARM, use_time=True)
        for chid in chids
    ]
    ca.poll(0.1, 1.0)
    heard.put(time.perf_counter() - start)
    before = count
    while not stop.is_set():
        ca.poll(0.05, 0.1)
    heard.put(count - before)
    del kept


def load(seconds: float) -> None:
    """All records of a scan class to one client, all arrays to two more, and a fourth that gets."""
    names = scan_class_names()
    arrays = [name for name in names if name.endswith(":ArrayData")]
    console.print(f"\n[bold]Load[/]: {len(names)} PVs subscribed by one client, {len(arrays)} arrays by two more")
    for name, pace, rate in (("10,000 frames/s", "clock", 10_000), ("full speed", "reader", 0)):
        with bench(pace) as ours:
            _set_rois(ours)
            if rate:
                ours.client.put(f"{ours.r}AcquireTime", 1 / rate - 1e-6)
            idle = ours.acquire(rate * 3 or 60_000)
            stop, heard = SPAWN.Event(), SPAWN.Queue()
            clients = [
                SPAWN.Process(
                    target=_subscribe, args=(ours.server.environment, ours.p, wanted, heard, stop), daemon=True
                )
                for wanted in (names, arrays, arrays)
            ]
            for client in clients:
                client.start()
            connected = max(heard.get(timeout=60) for _ in clients)
            alone, answer = SPAWN.Event(), SPAWN.Queue()
            getter = SPAWN.Process(
                target=get_often, args=(ours.server.environment, f"{ours.r}DetectorState_RBV", alone, answer),
                daemon=True,
            )  # fmt: skip
            getter.start()
            time.sleep(2)
            frames = int((rate or idle) * seconds)
            start = time.perf_counter()
            taken_rate = ours.acquire(frames)
            took = time.perf_counter() - start
            alone.set()
            taken = answer.get(timeout=30)
            stop.set()
            updates = sum(heard.get(timeout=30) for _ in clients)
            p50, p99 = np.percentile(taken, (50, 99)) * 1e3
            console.print(
                f"  {name:16} {taken_rate:7,.0f} frames/s ({idle:,.0f} alone), missing {ours.missing(False)}; "
                f"get p50 {p50:.2f} ms, p99 {p99:.2f} ms of {len(taken)}; {updates / took:,.0f} updates/s; "
                f"connected in {connected:.1f} s"
            )
            for client in (*clients, getter):
                client.join(10)
                client.kill()


def _set_rois(ours: Bench) -> None:
    for c in range(1, CHANNELS + 1):
        for k in range(1, ROIS + 1):
            ours.client.put(f"{ours.p}MCA{c}ROI:{k}:MinX", 80 * k)
            ours.client.put(f"{ours.p}MCA{c}ROI:{k}:SizeX", 40)


def _scan(environment: dict[str, str], prefix: str, points: int, answer: Any) -> None:
    os.environ.update(environment)
    import epics

    acquire, total, state = (
        epics.PV(prefix + name) for name in ("det1:Acquire", "MCA1ROI:1:Total_RBV", "det1:DetectorState_RBV")
    )
    for pv in (acquire, total, state):
        pv.wait_for_connection(10)
    taken = []
    for _ in range(points):
        start = time.perf_counter()
        acquire.put(1, wait=True, timeout=10)
        total.get()
        taken.append(time.perf_counter() - start)
        if state.get() != 0:
            raise RuntimeError(f"state {state.get(as_string=True)}")
    answer.put(taken)


def step_scan(points: int) -> None:
    """One frame of 1 ms per point into one file, put-callback by libca, and a ROI read."""
    with bench("clock") as ours:
        ours.client.put(f"{ours.r}NumImages", 1)
        _set_rois(ours)
        with ours.file():
            answer = SPAWN.Queue()
            client = SPAWN.Process(target=_scan, args=(ours.server.environment, ours.p, points, answer), daemon=True)
            client.start()
            taken = 1e3 * np.array(answer.get(timeout=60 + points)) - 1.0
            client.join(10)
            written = ours.client.get(f"{ours.p}HDF1:NumCaptured_RBV")
        p50, p99 = np.percentile(taken, (50, 99))
        console.print(
            f"\n[bold]Step scan[/], {points} points of one 1 ms frame into one file, ROI read after each: "
            f"{written} frames in the file; overhead per point p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        )
        if written != points:
            raise RuntimeError(f"{points - written} frames are not in the file")


def start_up() -> None:
    """From the command to the first record, and the memory then."""
    taken, resident = [], 0.0
    for _ in range(3):
        start = time.perf_counter()
        with bench("clock") as ours:
            taken.append(time.perf_counter() - start)
            resident = ours.resident()
    console.print(f"\n[bold]Start[/] to CONNECTED: {min(taken):.2f} s; server and file writer hold {resident:.0f} MiB")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter")
    parser.add_argument("--only", choices=("load", "scan", "start"))
    options = parser.parse_args()
    console.print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    if options.only in (None, "start"):
        start_up()
    if options.only in (None, "scan"):
        step_scan(200 if options.quick else 1000)
    if options.only in (None, "load"):
        load(4 if options.quick else 15)


if __name__ == "__main__":
    main()
