"""Tests of the memory and of settings: circular buffer, format, regions, settings directories, refusals.

Each takes a `Bench`, returns what was found as it should be, and raises `Differs`, `NotTestable` or `Inconclusive`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from xsp3ioc.hardware_bench import STRAIGHT, Bench, Differs, Inconclusive, NotTestable
from xsp3ioc.hardware_runs import FRAMES
from xsp3ioc.sdk import (
    BINS,
    STATUS_DTYPE,
    Generation,
    Region,
    Scaler,
)
from xsp3ioc.sdk.calls import c_text, last_message
from xsp3ioc.sdk.cdef import ffi

SHORT = 1e-4
EXTRA = 50
_REGION = 16
_NO_SUCH_PATH = 33  # the library's last


def default_format(bench: Bench) -> str:
    """Check that the memory is divided into 4096 bins before it is formatted."""
    found = bench["default format"]
    if found.bins != BINS or found.aux1 != 1 or found.aux2 != 1:
        raise Differs(str(found))
    return f"{found.frames} frames"


def clock_answers(bench: Bench) -> str:
    """Check that setting up the clock returned 0 on an Xspress3, else the measured frequency."""
    found, old = bench["clock answers"], bench.handle.generation <= Generation.xspress3_v7
    if any((answer != 0) if old else abs(answer * bench.period - 1) > 0.05 for answer in found):
        raise Differs(f"{list(found)}, with a clock period of {bench.period * 1e9:g} ns")
    return str(list(found))


def acknowledge(bench: Bench) -> str:
    """Check that acknowledged frames have state 0; a second time is an error where acknowledging is compulsory."""
    handle = bench.handle
    bench.begin(FRAMES, SHORT)
    bench.wait(FRAMES, FRAMES * SHORT)
    handle.acknowledge(0, FRAMES)
    status = np.zeros((handle.channels, FRAMES), STATUS_DTYPE)
    handle.frame_status(0, status)
    if status["state"].any():
        raise Differs(f"states {np.unique(status['state']).tolist()} after acknowledging")
    if (overrun := handle.overrun())[0]:
        raise Differs(f"{overrun[0]} overruns from frame {overrun[1]} on")
    again = bench.raw("xsp3_histogram_circ_ack", handle.path, 0, 0, handle.channels, FRAMES)
    bench.stop()
    if (again < 0) != handle.must_acknowledge:
        raise Differs(f"a second acknowledgement of the same frames returns {again}")
    return f"a second time returns {again}"


def filling_stops(bench: Bench) -> str:
    """Check that without the circular flag no more frames are taken than fit in the memory."""
    ring = bench.handle.ring
    bench.begin(ring + EXTRA, SHORT, flags=STRAIGHT)
    bench.wait(min(ring, ring + EXTRA), ring * SHORT)
    bench.sleep(4 * EXTRA * SHORT)
    found = bench.progress()
    bench.stop()
    if found.frames != ring:
        raise Differs(f"{found.frames} frames in a memory of {ring}, flags {found.flags!r}")
    return f"{ring} of {ring + EXTRA} frames, flags {found.flags!r}"


def wrap(bench: Bench) -> str:
    """Check that frames beyond the memory, acknowledged as they come, keep their numbers, and nothing is overrun."""
    ring = bench.handle.ring
    frames, done, held_up = ring + EXTRA, 0, 0.0
    bench.begin(frames, SHORT)
    last, end = bench.clock(), bench.clock() + frames * SHORT + 1
    while done < ring:
        found = min(bench.progress().frames, ring)
        if found > done:
            bench.handle.acknowledge(done, found - done)
        held_up = max(held_up, bench.clock() - last)
        last, done = bench.clock(), found
        if last > end:
            raise Differs(f"{done} of {frames} frames after {frames * SHORT + 1:.1f} s")
        bench.sleep(0.005)
    bench.wait(frames, EXTRA * SHORT)
    overrun, beyond = bench.handle.overrun(), bench.read(ring, EXTRA)
    bench.stop()
    if overrun[0] and held_up > ring * SHORT / 2:
        raise Inconclusive(f"this program did not run for {held_up:.2f} s")
    if overrun[0]:
        raise Differs(f"{overrun[0]} overruns from frame {overrun[1]} on, although all was acknowledged")
    numbers = np.unique(beyond.status["time_frame"])
    if not np.array_equal(numbers, np.arange(ring, frames)):
        raise Differs(f"slots 0..{EXTRA - 1} hold frames {numbers[0]}..{numbers[-1]}, not {ring}..{frames - 1}")
    return f"frames {ring}..{frames - 1} in slots 0..{EXTRA - 1} of {ring}"


def overrun(bench: Bench) -> str:
    """Check that frames that nobody acknowledged are written over and counted, or end the run, as on this product."""
    handle, ring = bench.handle, bench.handle.ring
    bench.begin(ring + EXTRA, SHORT)
    bench.wait(ring - 1, ring * SHORT)
    bench.sleep(4 * EXTRA * SHORT)
    progress, (count, first) = bench.progress(), handle.overrun()
    bench.stop()
    text = f"progress {progress.frames} of {ring + EXTRA}, {count} overruns from {first} on, flags {progress.flags!r}"
    if handle.must_acknowledge:
        as_told = count == 1 and progress.frames <= ring
    else:
        as_told = count == EXTRA and progress.frames == ring + EXTRA and bool(progress.flags & 0x10000)
    if not as_told:
        raise Differs(text)
    return text


def frames_that_fit(bench: Bench) -> str:
    """Check that fewer bins make room for more frames in proportion."""
    found, expected = {}, {}
    for bits in (11, 10, 9):
        found[bits] = bench.handle.format(bits=bits)
        expected[bits] = bench["ring"] << 12 - bits
    if bench.handle.format() != bench["ring"]:
        raise Differs(f"{bench.handle.ring} frames of 4096 bins after all, {bench['ring']} before")
    text = ", ".join(f"2**{bits} bins: {frames}" for bits, frames in found.items())
    if found != expected:
        raise Differs(f"{text}; expected {list(expected.values())}")
    return text


def region_limits(bench: Bench) -> str:
    """Check that the upper limit of a region belongs to it: its sum is that of a window with the same limits."""
    handle, frames = bench.handle, bench["frames"]
    if handle.generation is Generation.mini:
        raise NotTestable("this product has no regions")
    high = int(frames.mca.sum(axis=(0, 1))[_REGION : BINS - 1].argmax()) + _REGION
    low = high - _REGION + 1
    with _regions(bench, low, high):
        bench.begin(1, 0.1)
        bench.wait(1, 0.1)
        bench.stop()
        read = bench.read(0, 1)
    inside = read.mca[0, :, :_REGION].sum(axis=-1)
    inclusive, exclusive = (read.scalers[0, :, scaler] for scaler in (Scaler.window0, Scaler.window1))
    if (inclusive == exclusive).all():
        raise NotTestable(f"no counts in bin {high}")
    text = f"{inside.tolist()} counts in the region {low}..{high}, {inclusive.tolist()} in the window"
    if not np.array_equal(inside, inclusive):
        raise Differs(f"{text}, {exclusive.tolist()} without bin {high}")
    return text


@contextmanager
def _regions(bench: Bench, low: int, high: int) -> Iterator[None]:
    """Set a region for all channels, and windows 0 (with its last bin) and 1 (without); put all back at the end."""
    handle = bench.handle
    before = [[handle.window(channel, number) for number in range(2)] for channel in range(handle.channels)]
    try:
        handle.format(bits=8)
        handle.set_regions(-1, [Region(low, high, _REGION)])
        handle.set_window(-1, 0, low, high)
        handle.set_window(-1, 1, low, high - 1)
        yield
    finally:
        handle.stop()
        handle.clear_regions()
        handle.format()
        for channel, windows in enumerate(before):
            for number, (first, last) in enumerate(windows):
                handle.set_window(channel, number, first, last)


def settings_round_trip(bench: Bench) -> str:
    """Check that settings saved to an empty directory and restored from it are the same."""
    handle, directory = bench.handle, Path(bench["scratch"])

    def settings() -> list[object]:
        return [
            (handle.window(channel, 0), handle.window(channel, 1), handle.good_threshold(channel),
             handle.trigger_b(channel), handle.dead_time_parameters(channel))
            for channel in range(handle.channels)
        ]  # fmt: skip

    before = settings()
    # Not the handle's own: it looks at the directory, which need not be on the host that replays a trace.
    if bench.raw("xsp3_save_settings", handle.path, c_text(directory)) < 0:
        raise Differs(f"saving to an empty directory: {last_message(bench.library)}")
    files = sorted(file.name for file in directory.iterdir()) if directory.is_dir() else []
    handle.restore_settings(directory)
    after = settings()
    if before != after:
        channel = next(number for number, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1])
        raise Differs(f"channel {channel} had {before[channel]} and has {after[channel]}")
    return f"files: {', '.join(files)}" if files else ""


def refusals(bench: Bench) -> str:
    """Check the refusals of a bad handle (-2), card or channel (-3 or -4) and argument (-6), and their texts."""
    handle, word = bench.handle, ffi.new("uint32_t *")
    other = ffi.new("uint32_t *")
    calls = {
        "handle": ((-2,), "xsp3_get_num_chan", (_NO_SUCH_PATH,)),
        "card": ((-3, -4), "xsp3_get_glob_timeA", (handle.path, handle.cards, word)),
        "channel": ((-3, -4), "xsp3_get_good_thres", (handle.path, handle.channels, word)),
        "window": ((-6,), "xsp3_get_window", (handle.path, 0, 2, word, other)),
    }
    found, wrong = [], False
    for what, (expected, name, args) in calls.items():
        status = bench.raw(name, *args)
        message = last_message(bench.library) if status < 0 else ""
        wrong |= status not in expected or not message
        found.append(f"{what} {status} {message!r}")
    if wrong:
        raise Differs("; ".join(found))
    return "; ".join(found)


def mark2_generation(bench: Bench) -> str:
    """Check that an Xspress 3X Mk2 says that it is of the Mini's generation."""
    if not bench.handle.is_mark2:
        raise NotTestable("this is no Xspress 3X Mk2")
    if bench.handle.generation is not Generation.mini:
        raise Differs(f"generation {bench.handle.generation}")
    return f"generation {int(bench.handle.generation)}"


