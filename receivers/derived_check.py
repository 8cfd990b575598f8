"""A check of what was computed when a file was written: it is computed again, by the same table of columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.checked_rows import CheckedRows, Settings
from xsp3ioc.receivers.findings import ERROR, Check
from xsp3ioc.receivers.layout import DETECTOR_COLUMNS
from xsp3ioc.receivers.rows import Frames
from xsp3ioc.stream.formulas import Scaler
from xsp3ioc.stream.messages import EVENT_WIDTH, FRAME_DTYPE, LIBRARY

RELATIVE = 1e-14
"""Of two float64 that were computed alike, on other processors perhaps."""
SOURCES = {
    *(scaler.name for scaler in Scaler), "dead_time_correction", "time_stamp", "markers",
    "frame_status", "series_index", "frame_in_series", "frame_number",
}  # fmt: skip
"""Columns that do not follow from others."""


class DerivedCheck:
    """Columns that follow from others do."""

    def __init__(self, settings: Settings) -> None:
        self.check = Check("derived", "rates and times follow from the scalers")
        self._settings = settings
        self._names: set[str] = set()

    def frames_of(self, rows: CheckedRows) -> Frames | None:
        """Return the rows as the writer had them; None if something that it takes is not there."""
        values, clock = rows.values, self._settings.clock_period
        widths = rows.widths(self._settings)
        if clock is None or widths is None or not SOURCES <= values.keys():
            return None
        frames = np.zeros(rows.count, FRAME_DTYPE)
        frames["time"], frames["markers"], frames["status"] = (
            values[name] for name in ("time_stamp", "markers", "frame_status")
        )
        return Frames(
            rows.scalers, values["dead_time_correction"], frames, values["frame_in_series"].astype(np.uint64),
            values["series_index"], np.arange(rows.count, dtype=np.uint64) + np.uint64(rows.number + rows.first), clock,
            widths, EVENT_WIDTH if self._settings.event_width_model else LIBRARY,
        )  # fmt: skip

    def rows(self, rows: CheckedRows, frames: Frames | None) -> None:
        """Look at the next rows; `frames` are the same."""
        if frames is None:
            return
        for column in DETECTOR_COLUMNS:
            found = rows.values.get(column.name)
            if column.name in SOURCES or found is None:
                continue
            self._names.add(column.name)
            expected = np.asarray(column.values(frames)).astype(column.dtype)
            differs = ~same(found, expected)
            rows.mark(self.check, ERROR, f"{column.name} is not what follows from the scalers", differs,
                      lambda *at, found=found, expected=expected: f"{found[at]:.9g} instead of {expected[at]:.9g}",
                      )  # fmt: skip

    def end(self, frames: int) -> None:
        """Sum up."""
        if self._names:
            self.check.done = ", ".join(sorted(self._names))
        elif frames:
            self.check.skip("the file does not say all that they are made of")


def same(found: NDArray, expected: NDArray) -> NDArray[np.bool_]:
    """Return where numbers are the same but for rounding, NaN being the same as NaN; texts exactly."""
    if found.dtype.kind == "f":
        relative = RELATIVE if found.itemsize > 4 else 1e-6
        return np.asarray(np.isclose(found, expected, rtol=relative, atol=0, equal_nan=True))
    return np.asarray(found == expected)
