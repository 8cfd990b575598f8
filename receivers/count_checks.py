"""Checks of a file's counts: scalers against spectra and against one another, and dead time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.checked_rows import CheckedRows, Settings
from xsp3ioc.receivers.derived_check import RELATIVE
from xsp3ioc.receivers.findings import ERROR, WARNING, Check
from xsp3ioc.stream.formulas import Scaler, dead_time_factors, dead_time_percent

TICKS = 2
"""By which the two tick counters may differ."""
EXPOSURE_TICKS = 4
"""By which a frame may be longer or shorter than asked for: cards follow the first one."""
NEGATIVE = 0.1
"""Share of the events that may be below zero energy, and so in no spectrum."""
TRUSTED = 10.0
"""Dead-time factors above it correct for more than is known."""
MARKERS = 3
"""Bits of the two markers."""
RESET_SPREAD = 8.0
"""By which a frame's ticks per reset may differ from those of all frames."""


@dataclass(frozen=True)
class SpectrumSums:
    """Of each spectrum of some rows, (rows, channels); 0 where `read` is not set."""

    read: NDArray[np.bool_]
    """(rows,)."""
    total: NDArray[np.uint64]
    good: NDArray[np.uint64]
    """From the good threshold on."""
    windows: NDArray[np.uint64]
    """(2, rows, channels)."""

    @classmethod
    def empty(cls, rows: int, channels: int) -> SpectrumSums:
        """Return it for rows that are still to be read."""
        shape = rows, channels
        return cls(np.zeros(rows, np.bool_), *(np.zeros(one, np.uint64) for one in (shape, shape, (2, *shape))))

    def fill(self, first: int, spectra: NDArray, settings: Settings) -> None:
        """Sum `spectra`, (frames, channels, bins), from row `first` on."""
        here = slice(first, first + len(spectra))
        self.read[here] = True
        for channel in range(spectra.shape[1]):
            one = spectra[:, channel]
            self.total[here, channel] = one.sum(axis=1, dtype=np.uint64)
            if settings.thresholds is not None:
                self.good[here, channel] = _sum(one, int(settings.thresholds[channel]), one.shape[1])
            if settings.windows is not None:
                for window, (low, high) in enumerate(settings.windows[channel]):
                    self.windows[window, here, channel] = _sum(one, int(low), int(high) + 1)


def _both(left: NDArray, right: NDArray) -> Callable[[int, int], str]:
    return lambda i, channel: f"{left[i, channel]} and {right[i, channel]}"


def _sum(spectra: NDArray, low: int, stop: int) -> NDArray[np.uint64]:
    return np.asarray(spectra[:, max(low, 0) : stop].sum(axis=1, dtype=np.uint64))


class CountCheck:
    """Spectra hold what the scalers say."""

    def __init__(self, settings: Settings, corrected: bool) -> None:
        """Take whether there are only spectra that were corrected for dead time."""
        self.check = Check("counts", "spectra hold what the scalers say")
        self._corrected = corrected
        self._settings = settings
        self._spectra = 0
        self._compared = {"their totals"}

    def rows(self, rows: CheckedRows, sums: SpectrumSums) -> None:
        """Look at the next rows and their spectra."""
        values, settings, severity = rows.values, self._settings, self._settings.severity
        read = sums.read[:, np.newaxis]
        self._spectra += int(sums.read.sum()) * sums.total.shape[1]
        events, good = (
            values[name].astype(np.int64) if name in values else None for name in ("all_events", "all_good")
        )
        total = sums.total.astype(np.int64)
        mark = self.check.mark

        if events is not None:
            rows.mark(self.check, ERROR, "events, and an empty spectrum", read & (events > 2) & (total == 0))
        if events is not None and not self._corrected:
            mark(severity, "more counts in the spectrum than AllEvent", rows.first, read & (total > events + 2),
                 _both(total, events))  # fmt: skip
            few = read & (total > 0) & (total < (1 - NEGATIVE) * events - 10)
            text = f"over {NEGATIVE:.0%} of AllEvent are not in the spectrum"
            mark(WARNING, text, rows.first, few, _both(total, events))
            if good is not None:
                mark(severity, "AllGood is above AllEvent", rows.first, good > events, _both(good, events))
        if good is not None and settings.thresholds is not None:
            self._compared.add("AllGood")
            text = "AllGood is not the sum of the bins from the good threshold on"
            summed = sums.good.astype(np.int64)
            rows.mark(self.check, severity, text, read & (good != summed), _both(good, summed))
        for window in range(2):
            inside = values.get(f"window{window + 1}")
            if inside is None or settings.windows is None:
                continue
            self._compared.add("windows")
            inside, summed = inside.astype(np.int64), sums.windows[window].astype(np.int64)
            text = f"window {window + 1} is not the sum of its bins"
            rows.mark(self.check, severity, text, read & (inside != summed), _both(inside, summed))
            if events is not None:
                text = f"window {window + 1} is above AllEvent"
                mark(severity, text, rows.first, inside > events, _both(inside, events))

    def end(self, frames: int) -> None:
        """Sum up."""
        what = "corrected for dead time, and not compared" if self._corrected else ", ".join(sorted(self._compared))
        self.check.done = f"{self._spectra:,} spectra: {what}"


class ScalerCheck:
    """Scalers agree with one another and with the exposure."""

    def __init__(self, settings: Settings) -> None:
        self.check = Check("scalers", "scalers agree with one another and with the exposure")
        self._settings = settings
        self._resets: NDArray[np.float64] = np.zeros(1)
        self._reset_ticks: NDArray[np.float64] = np.zeros(1)

    def rows(self, rows: CheckedRows) -> None:
        """Look at the next rows."""
        if "clock_ticks" not in rows.values:
            return
        scalers = rows.scalers.astype(np.int64)
        severity, mark, valid = self._settings.severity, self.check.mark, rows.valid[:, np.newaxis]
        ticks, total = scalers[..., Scaler.clock_ticks], scalers[..., Scaler.total_ticks]
        reset_ticks = scalers[..., Scaler.reset_ticks]

        mark(ERROR, "valid, and no channel has a tick", rows.first, rows.valid & (ticks == 0).all(axis=1))
        mark(ERROR, "packets were lost: fewer clock ticks than total ticks", rows.first, ticks < total - TICKS,
             _both(ticks, total))  # fmt: skip
        mark(severity, "more clock ticks than total ticks", rows.first, ticks > total + TICKS, _both(ticks, total))
        mark(severity, "more reset ticks than clock ticks", rows.first, reset_ticks > ticks, _both(reset_ticks, ticks))
        if "pileup" in rows.values:
            pileup, events = scalers[..., Scaler.pileup], scalers[..., Scaler.all_events]
            mark(severity, "more pile-up than events", rows.first, pileup > events, _both(pileup, events))
        if "reset_count" in rows.values:
            self._compare_resets(rows, scalers[..., Scaler.reset_count], reset_ticks)
        if self._settings.clock_period:
            asked = np.rint(rows.exposure(self._settings) / self._settings.clock_period)[:, np.newaxis]
            off = valid & (total > 0) & (asked > 0) & (np.abs(total - asked) > EXPOSURE_TICKS)
            # A stop may cut the last frame short.
            off &= ~(rows.ends_series[:, np.newaxis] & (total < asked))
            mark(WARNING, "not as long as the exposure", rows.first, off,
                 lambda i, channel: f"{total[i, channel]} ticks instead of {asked[i, 0]:.0f}")  # fmt: skip
        if "markers" in rows.values:
            markers = rows.values["markers"]
            mark(WARNING, "bits that no marker has", rows.first, markers > MARKERS, lambda i: f"{markers[i]:#x}")

    def _compare_resets(self, rows: CheckedRows, resets: NDArray[np.int64], ticks: NDArray[np.int64]) -> None:
        """Compare how long a reset takes with how long it has taken so far, on each channel."""
        self._resets = self._resets + resets.sum(axis=0)
        self._reset_ticks = self._reset_ticks + ticks.sum(axis=0)
        width = np.divide(self._reset_ticks, self._resets, out=np.zeros(resets.shape[1]), where=self._resets > 0)
        expected = resets * width
        odd = (ticks > RESET_SPREAD * (expected + width)) | (ticks * RESET_SPREAD < expected - RESET_SPREAD * width)
        if self._settings.exact:
            # Where frames lost packets both were halved.
            odd |= np.abs(ticks - expected) > 0.75 * width + 0.02 * expected
            odd |= (resets > 0) & (ticks == 0)  # how long one takes is not known where none is right
        self.check.mark(
            WARNING, "resets and reset ticks do not go together", rows.first, odd,
            lambda i, channel: f"{resets[i, channel]} resets, {ticks[i, channel]} ticks",
        )  # fmt: skip

    def end(self, frames: int) -> None:
        """Sum up."""
        asked = self._settings.exposure
        self.check.done = "ticks, resets, pile-up" + (f", exposure of {asked:g} s" if asked else "")


class DeadTimeCheck:
    """Factors are what the formula says, and such as may be believed."""

    def __init__(self, settings: Settings, ours: bool) -> None:
        self.check = Check("dead time", "dead-time factors are those of the formula")
        self._settings = settings
        self._ours = ours
        self._range: tuple[float, float] | None = None
        self._widths: tuple[int, NDArray] | None = None

    def rows(self, rows: CheckedRows) -> None:
        """Look at the next rows."""
        factors, widths = rows.values.get("dead_time_correction"), rows.widths(self._settings)
        if factors is None:
            return
        mark = self.check.mark
        wrong = ~(np.isfinite(factors) & (factors >= 1))
        mark(ERROR, "a factor below 1, or none", rows.first, wrong, lambda i, channel: f"{factors[i, channel]}")
        if wrong.all():
            return
        shown = ~wrong & rows.valid[:, np.newaxis]
        if shown.any():
            low, high = float(factors[shown].min()), float(factors[shown].max())
            before = self._range or (low, high)
            self._range = min(low, before[0]), max(high, before[1])
        mark(WARNING, f"corrected by more than {TRUSTED:g}: hardly to be believed", rows.first,
             ~wrong & (factors > TRUSTED), lambda i, channel: f"{factors[i, channel]:.1f}")  # fmt: skip
        if widths is None or "all_events" not in rows.values or "clock_ticks" not in rows.values:
            return
        scalers = rows.scalers
        if self._settings.event_width_model:
            expected = dead_time_factors(scalers, widths)
            differs = ~wrong & ~np.isclose(factors, expected, rtol=RELATIVE if self._ours else 1e-6, atol=0)
            if not self._ours:
                # The areaDetector driver computes none for frames of 10 ticks or less.
                differs &= scalers[..., Scaler.clock_ticks] > 10
            rows.mark(self.check, ERROR if self._ours else WARNING, "not the factor of the scalers and the event width",
                      differs, lambda i, channel: f"{factors[i, channel]:.9g} instead of {expected[i, channel]:.9g}",
                      )  # fmt: skip
            blind = dead_time_percent(scalers, widths) >= 100
            mark(WARNING, "dead all the time: no correction is possible", rows.first, blind)
        self._compare_widths(rows, widths)

    def _compare_widths(self, rows: CheckedRows, widths: NDArray) -> None:
        """One width per series, and in the first that of the file's settings."""
        series = rows.values.get("series_index")
        if series is None or not self._ours:
            return
        before = np.concatenate([[self._widths[1] if self._widths else widths[0]], widths[:-1]])
        last = np.concatenate([[self._widths[0] if self._widths else series[0]], series[:-1]])
        changed = (series == last)[:, np.newaxis] & (widths != before)
        self.check.mark(ERROR, "event_width changes within a series", rows.first, changed,
                        lambda i, channel: f"{widths[i, channel]:g} after {before[i, channel]:g}")  # fmt: skip
        self._widths = int(series[-1]), widths[-1]
        if (own := self._settings.event_widths) is not None and len(own) == widths.shape[1]:
            differs = ~rows.later[:, np.newaxis] & (widths != own)
            self.check.mark(ERROR, "event_width is not that of the settings", rows.first, differs,
                            lambda i, channel: f"{widths[i, channel]:g} instead of {own[channel]:g}")  # fmt: skip

    def end(self, frames: int) -> None:
        """Sum up."""
        if self._range is None:
            if not self.check.findings:
                self.check.skip("there are no factors of valid frames")
            return
        self.check.done = f"factors {self._range[0]:.4f} to {self._range[1]:.4f}"
        if not self._settings.event_width_model:
            self.check.done += ", made by the vendor's library: their formula is not known"
