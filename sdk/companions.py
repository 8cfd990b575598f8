"""The small values that `Xspress3` takes and gives: named tuples, changed with `_replace`."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import (
    DeadtimeFlag,
    ErrorFlag,
    GapMode,
    InPause,
    ItfgTrigger,
    MarkerSource,
    SyncMode,
    TimingSource,
)

STATUS_DTYPE = np.dtype(
    {
        "names": ["state", "time_frame", "markers"],
        "formats": ["<i4", "<i8", "<i4"],
        "offsets": [0, 8, 16],
        "itemsize": 24,
    }
)
"""Memory layout of the library's Xsp3TFStatus."""


class Firmware(NamedTuple):
    """Firmware revision; major numbers from 0 on are an Xspress3's, from 32 on a Mini's, from 48 on an Xspress4's."""

    detector: int
    major: int
    minor: int

    @classmethod
    def of(cls, revision: int) -> "Firmware":
        """Take the library's revision word apart."""
        return cls(revision >> 24 & 0xFF, revision >> 12 & 0xFFF, revision & 0xFFF)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Format(NamedTuple):
    """How the memory of a channel is divided: bins, rows of auxiliary data (1: none), frames that fit."""

    bins: int
    aux1: int
    aux2: int
    frames: int


class Window(NamedTuple):
    """Limits of an in-window scaler in raw bins 0..4095, both inclusive."""

    low: int
    high: int


class Region(NamedTuple):
    """Raw bins low..high, inclusive, that are kept as `bins` bins."""

    low: int
    high: int
    bins: int


class DeadtimeParameters(NamedTuple):
    """The library's process dead times of one channel.

    Offsets in s, gradients in s/keV, rate offsets in s/Hz, rate gradients in s/Hz/keV.
    """

    flags: DeadtimeFlag
    all_event_offset: float
    all_event_gradient: float
    all_event_rate_offset: float
    all_event_rate_gradient: float
    in_window_offset: float
    in_window_gradient: float
    in_window_rate_offset: float
    in_window_rate_gradient: float


class TriggerB(NamedTuple):
    """Settings of a channel's trigger B, under the names of the library's structure and in its order.

    Thresholds in ADC units, times in clock ticks; switches are 0 or 1.
    """

    avemode: int = 0
    two_over_mode: int = 0
    enable: int = 0
    enb_otd_split: int = 0
    disable_split: int = 0
    combined: int = 0
    scaled_thres_mode: int = 0
    arm_thres: int = 0
    end_thres: int = 0
    rearm_thres: int = 0
    sep1: int = 0
    sep2: int = 0
    data_delay: int = 0
    event_time: int = 0
    over_thres_delay: int = 0
    over_thres_stretch: int = 0
    over_thres_trim: int = 0
    enb_fast_otd: int = 0
    fast_avemode: int = 0
    fast_sep1: int = 0
    fast_align: int = 0
    fast_arm_thres: int = 0
    fast_end_thres: int = 0
    enb_variable_width: int = 0
    variable_width_delay: int = 0
    enb_split_touching: int = 0
    enb_fast_diff2: int = 0

    @property
    def event_width(self) -> int:
        """Ticks for which an event blocks the channel; one less than what it is dead for."""
        return self.event_time - (3 if self.enb_variable_width else 0)


class Sync(NamedTuple):
    """Cabling between boxes, and the card that sends the global reset if there is one."""

    mode: SyncMode
    global_reset: bool = False
    reset_card: int = 0


class Timing(NamedTuple):
    """Timing of a whole system: card 0 gets `source`, the others follow it as the cabling (`Sync`) says.

    `debounce` in clock cycles 0..255, for the other cards `other_debounce` unless that is 0; `first_frame` and
    `markers` as in `set_first_frame`; the last two are further bits of the timing registers.
    """

    source: TimingSource
    first_frame: int = 0
    markers: MarkerSource = MarkerSource.ttl
    invert_f0: bool = False
    invert_veto: bool = False
    loop_io: bool = False
    debounce: int = 0
    other_debounce: int = 0
    card0_extra: int = 0
    other_extra: int = 0


class FrameGenerator(NamedTuple):
    """Set-up of the internal time frame generator.

    `frames` 0 is until stopped; `ticks` is the exposure in clock ticks, or, if frames collect in the pauses, the
    number of triggers to a frame.
    """

    frames: int
    ticks: int
    trigger: ItfgTrigger
    gap: GapMode
    in_pause: InPause = InPause.off
    marker_period: int = 0
    marker_frame: int = 0


class TimingState(NamedTuple):
    """What card 0's timing does at this moment; `waiting` is for a trigger, `frame` the one in progress (24 bits)."""

    frame: int
    counting: bool
    running: bool
    waiting: bool
    finished: bool


class Progress(NamedTuple):
    """How far a run is: frames 0..frames-1 are complete everywhere, `furthest` is that of the channel most ahead."""

    frames: int
    furthest: int
    flags: ErrorFlag


class FrameStatus(NamedTuple):
    """What a slot of the circular buffer holds: 64-bit number of the frame, markers; `state` 0 is free, 1 used once."""

    state: int
    time_frame: int
    markers: int


class Frames(NamedTuple):
    """Frames that were read: spectra, scalers and afterwards the status of their slots."""

    first: int
    mca: NDArray[np.uint32]
    """(frames, channels, bins)"""
    scalers: NDArray[np.uint32]
    """(frames, channels, 9)"""
    status: NDArray[Any]
    """`STATUS_DTYPE` (channels, frames)"""

    @property
    def whole(self) -> NDArray[np.bool_]:
        """(frames,): nothing of the frame was overwritten while it was read, and none of its channels is missing."""
        numbers = np.arange(self.first, self.first + len(self.mca))
        return np.asarray((self.status["time_frame"] == numbers).all(axis=0))


class Leaf(NamedTuple):
    """Where a channel is: the handle of its card, and its index on that card."""

    path: int
    channel: int


class Temperatures(NamedTuple):
    """Temperatures in degrees Celsius, card after card; empty where the product has no such sensors."""

    adc: tuple[tuple[float, ...], ...]
    """Sensors of the ADC boards."""
    fem: tuple[tuple[float, ...], ...]
    """Front-end board and FPGA."""
    mid_plane: tuple[float, ...]
