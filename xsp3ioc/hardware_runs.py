"""Tests of the run: a burst of ten frames and its numbers, starts and stops, triggers, the length of the gap.

Each takes a `Bench`, returns what was found as it should be, and raises `Differs`, `NotTestable` or `Inconclusive`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.hardware_bench import Bench, Differs, Inconclusive, NotTestable, Point
from xsp3ioc.sdk import GapMode, ItfgTrigger, Scaler

FRAMES = 10
EXPOSURE = 0.02
_LONG = 0.1
_PART = 0.25
_SHORT = 1e-4
_GAP_FRAMES = 4000
_TICKS = 2  # the exposure is right within so many
_SLAVE = 2  # other cards see the veto so many ticks early or late
_GAP_CYCLES = 6  # a gap is found this well, or the host's timing is too bad
_FEWEST_POINTS = 20
_PERIOD_OFF = 0.005
_BLOCKS = 8
_SIGMAS = 3


def stop_without_run(bench: Bench) -> str:
    """Stop before anything was started."""
    bench.handle.stop()
    return ""


def burst(bench: Bench) -> str:
    """Take ten frames, and no more."""
    ticks = bench.ticks(EXPOSURE)
    began = bench.clock()
    bench.begin(FRAMES, EXPOSURE)
    bench.wait(FRAMES, FRAMES * EXPOSURE)
    took = bench.clock() - began
    bench.sleep(2 * EXPOSURE)
    found = bench.progress()
    bench.kept["burst"] = ticks
    if found.frames != FRAMES:
        raise Differs(f"{found.frames} frames instead of {FRAMES}")
    if found.flags:
        raise Differs(f"error flags {found.flags!r}")
    if took < 0.9 * FRAMES * EXPOSURE:
        raise Differs(f"{FRAMES} frames of {EXPOSURE} s were there after {took:.3f} s")
    return f"{FRAMES} frames of {ticks} ticks in {took:.3f} s, furthest channel {found.furthest}"


def generator_read_back(bench: Bench) -> str:
    """Check that the generator's set-up reads back as it was written."""
    found, expected = bench.handle.itfg()[:4], (FRAMES, bench["burst"], ItfgTrigger.burst, GapMode.us1)
    if found != expected:
        raise Differs(f"{found} instead of {expected}")
    return ""


def finished_bit(bench: Bench) -> str:
    """Check that the generator says that it has finished; `data_stay` then stops it."""
    _ = bench["burst"]
    state = bench.handle.timing_state()
    bench.kept["finished state"] = state
    if not state.finished or state.running or state.counting:
        raise Differs(f"after the last frame: {state}")
    return f"frame field {state.frame}"


def frame_status(bench: Bench) -> str:
    """Check that each frame's status has state 1 and its own number, on every channel."""
    _ = bench["burst"]
    frames = bench.read(0, FRAMES)
    bench.kept["frames"] = frames
    numbers = frames.status["time_frame"]
    wrong = (frames.status["state"] != 1) | (numbers != np.arange(FRAMES))
    if wrong.any():
        channel, frame = np.argwhere(wrong)[0]
        raise Differs(f"channel {channel}, frame {frame}: {frames.status[channel, frame]}; {wrong.sum()} such")
    return f"{wrong.size} entries"


def exposure_ticks(bench: Bench) -> str:
    """Check that scaler 0 is scaler 8 and the exposure, and the same from frame to frame."""
    scalers, ticks = bench["frames"].scalers.astype(np.int64), bench["burst"]
    live, total = scalers[..., Scaler.ticks], scalers[..., Scaler.total_ticks]
    spread = np.ptp(live, axis=0)
    text = f"{live.min()}..{live.max()} ticks for {ticks}, spread within a channel up to {spread.max()}"
    per_card = max(1, -(-bench.handle.channels // bench.handle.cards))
    allowed = np.where(np.arange(bench.handle.channels) < per_card, 1, _SLAVE)
    if (live != total).any():
        raise Differs(f"scaler 0 is not scaler 8 in {(live != total).sum()} places; {text}")
    if (np.abs(live - ticks) > _TICKS).any() or (spread > allowed).any():
        raise Differs(text)
    return text


def invariants(bench: Bench) -> str:
    """Check that AllGood, both windows and AllEvent agree with the spectrum of each frame and channel."""
    frames = bench["frames"]
    mca, scalers = frames.mca.astype(np.int64), frames.scalers.astype(np.int64)
    total, events = mca.sum(axis=-1), scalers[..., Scaler.all_event]
    wrong: dict[str, NDArray[np.bool_]] = {}
    good, windows = np.zeros_like(total), np.zeros((2, *total.shape), np.int64)
    for channel in range(bench.handle.channels):
        good[:, channel] = mca[:, channel, bench.handle.good_threshold(channel) :].sum(axis=-1)
        for number in range(2):
            low, high = bench.handle.window(channel, number)
            windows[number, :, channel] = mca[:, channel, low : high + 1].sum(axis=-1)
    if not total.any():
        raise NotTestable("no counts at all: let the detector see X-rays, and restore its settings")
    wrong["AllGood = sum(MCA[good_thres..])"] = scalers[..., Scaler.all_good] != good
    wrong["InWindow0"] = scalers[..., Scaler.window0] != windows[0]
    wrong["InWindow1"] = scalers[..., Scaler.window1] != windows[1]
    wrong["AllEvent - 2 % <= sum(MCA) <= AllEvent + 2"] = (total < 0.98 * events - 1) | (total > events + 2)
    wrong["ResetTicks <= ticks"] = scalers[..., Scaler.reset_ticks] > scalers[..., Scaler.ticks]
    failed = [f"{name} is wrong in {there.sum()} of {there.size}" for name, there in wrong.items() if there.any()]
    if failed:
        raise Differs("; ".join(failed))
    return f"{total.size} spectra with {total.min()}..{total.max()} counts"


def data_stay(bench: Bench) -> str:
    """Check that a stop leaves spectra, scalers and progress, ends being busy, and clears the finished bit."""
    before = bench["frames"]
    bench.stop()
    after = bench.read(0, FRAMES)
    if not (np.array_equal(before.mca, after.mca) and np.array_equal(before.scalers, after.scalers)):
        raise Differs("spectra or scalers changed with the stop")
    if (found := bench.progress().frames) != FRAMES:
        raise Differs(f"the progress is {found} after the stop")
    if "finished state" in bench.kept and bench.handle.timing_state().finished:
        raise Differs("the finished bit is still set")
    return ""


def restart(bench: Bench) -> str:
    """Check that a start amid a run begins it again."""
    bench.begin(FRAMES, _LONG)
    before = bench.wait(3, 3 * _LONG)
    began = bench.clock()
    bench.handle.start()
    found = bench.progress().frames
    took = bench.clock() - began
    bench.stop()
    if took > before * _LONG:
        raise Inconclusive(f"{took:.2f} s passed between start and progress")
    if found >= before:
        raise Differs(f"{before} frames before, {found} right after the second start")
    return f"{before} frames before, {found} after the second start"


def part_frame(bench: Bench) -> str:
    """Check that a stop closes the generator's frame in progress, with the ticks that it has."""
    ticks = bench.ticks(_PART)
    bench.begin(FRAMES, _PART)
    complete = bench.wait(1, _PART)
    bench.sleep(_PART / 5)
    bench.stop()
    found = bench.settled(complete + 1)
    if found >= FRAMES:
        raise Inconclusive("the burst was over before it could be stopped")
    last = bench.scalers(found - 1, 1)[0, 0, Scaler.ticks]
    if last >= ticks - _TICKS:
        raise Differs(f"{found} frames are readable, the last is a whole one of {last} ticks")
    return f"frame {found - 1} has {last} of {ticks} ticks"


def software_frames(bench: Bench) -> str:
    """Check that pause closes a software frame, continue opens the next, stop closes the last."""
    bench.begin_software()
    found = [bench.progress().frames]
    for _ in range(2):
        bench.handle.resume()
        bench.sleep(EXPOSURE)
        bench.handle.pause()
        found.append(bench.settled(len(found)))
    bench.handle.resume()
    bench.sleep(EXPOSURE)
    bench.stop()
    found.append(bench.settled(3))
    if found != [0, 1, 2, 3]:
        raise Differs(f"progress {found} instead of 0, 1, 2, 3")
    ticks = bench.scalers(0, 3)[:, 0, Scaler.total_ticks]
    if (ticks < 0.9 * bench.ticks(EXPOSURE)).any():
        raise Differs(f"open for {EXPOSURE} s, the frames have {ticks.tolist()} ticks")
    return f"{ticks.tolist()} ticks for {EXPOSURE} s each"


def software_start(bench: Bench) -> str:
    """Check that the software-triggered generator takes its first frame when it is started instead of armed."""
    bench.begin(3, EXPOSURE, trigger=ItfgTrigger.software)
    bench.sleep(5 * EXPOSURE)
    found = bench.settled(1)
    bench.stop()
    if found != 1:
        raise Differs(f"{found} frames without a trigger")
    return "1 frame without a trigger"


def lost_triggers(bench: Bench) -> str:
    """Check that triggers during a frame are forgotten, not kept for the next."""
    bench.begin(3, _PART, trigger=ItfgTrigger.software, arm=True)
    began = bench.clock()
    for _ in range(3):
        bench.handle.trigger()
    took = bench.clock() - began
    bench.sleep(3 * _PART)
    first = bench.settled(1)
    bench.handle.trigger()
    bench.sleep(1.5 * _PART)
    second = bench.settled(first + 1)
    bench.stop()
    if took > _PART:
        raise Inconclusive(f"{took:.2f} s passed between the triggers")
    if (first, second) != (1, 2):
        raise Differs(f"{first} frames from three triggers within a frame, then {second} with one more")
    return "1 frame from three triggers within it, 2 with one more"


def gap(bench: Bench) -> str:
    """Measure the frame period for each gap mode with the host's clock: exposure plus gap."""
    ticks = bench.ticks(_SHORT)
    frames = min(_GAP_FRAMES, bench.handle.ring)
    found, wrong, scatter = [], False, 0.0
    for mode in GapMode:
        bench.begin(frames, _SHORT, gap=mode)
        points = bench.watch(2 * frames * _SHORT + 1, frames)
        bench.stop()
        period, error = slope([point for point in points if 0 < point.frames < frames])
        cycles = period / bench.period - ticks
        scatter = max(scatter, error / bench.period)
        if mode is GapMode.us1 and error < _PERIOD_OFF * period:
            bench.kept["long period"] = (period, ticks + mode.cycles)
        wrong |= abs(cycles - mode.cycles) > _GAP_CYCLES
        found.append(f"{mode.name} {cycles:.1f}")
    if scatter > _GAP_CYCLES:
        raise NotTestable(f"not testable here: the host's timing scatters by {scatter:.0f} cycles")
    if wrong:
        raise Differs(f"cycles: {', '.join(found)}")
    return f"cycles: {', '.join(found)}"


def clock_period(bench: Bench) -> str:
    """Check by the host's clock that the clock is what the library says."""
    period, ticks = bench["long period"]
    frequency, expected = ticks / period, 1 / bench.period
    text = f"{frequency / 1e6:.3f} MHz measured, {expected / 1e6:.3f} MHz said"
    if abs(frequency / expected - 1) > _PERIOD_OFF:
        raise Differs(text)
    return text


def slope(points: list[Point]) -> tuple[float, float]:
    """Return seconds per frame and how far that may be off, from points that may be late but are never early.

    A busy host is late for many points in a row, so the scatter is that between fits which leave out an eighth of the
    run each; the errors of one fit, which takes its points for independent, would be far too small.
    """
    if len(points) < _FEWEST_POINTS:
        raise NotTestable(f"the progress was seen to move only {len(points)} times")
    time, frames = np.array(points, np.float64).T
    without = []
    for block in np.array_split(np.arange(time.size), _BLOCKS):
        rest = np.delete(np.arange(time.size), block)
        without.append(_fitted(time[rest], frames[rest]))
    variance = (_BLOCKS - 1) * float(np.var(without))
    return _fitted(time, frames), _SIGMAS * variance**0.5


def _fitted(time: NDArray[np.float64], frames: NDArray[np.float64]) -> float:
    """Return the slope of a straight line, without the points that are late."""
    period = 0.0
    for _ in range(4):
        period, start = np.polyfit(frames, time, 1)
        off = np.abs(time - (period * frames + start))
        kept = off <= 3 * max(float(np.median(off)), 1e-9)
        if kept.all() or kept.sum() < _FEWEST_POINTS // 2:
            break
        time, frames = time[kept], frames[kept]
    return float(period)
