"""Faults that the emulator shows when its configuration asks for them."""

import math
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import prototypes
from xsp3ioc.sdk.constants import Status
from xsp3ioc.sdk.emulator.hashing import happens

Forever = Literal["ever"]
_MOST_CARDS, _MOST_CHANNELS = 16, 256


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A library function answers with an error instead of doing anything."""

    call: int = 1
    """The first of its calls, counted from 1, that fails."""
    times: int = 1
    """How many calls in succession fail."""
    status: int = Status.error
    message: str = ""
    """What xsp3_get_error_message says; empty: that the settings asked for it."""

    def __post_init__(self) -> None:
        _at_least("fail.call", self.call, 1)
        _at_least("fail.times", self.times, 1)
        if self.status >= 0:
            raise ValueError(f"fail.status = {self.status} is no error: it has to be negative")


class Picked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Some frames of some channels; which of them follows from the emulator's seed."""

    frames: tuple[int, ...] = ()
    rate: float = 0.0
    """Probability of every other frame, for each channel by itself."""
    channels: tuple[int, ...] = ()
    """Empty: all channels."""

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate = {self.rate} is outside 0..1")
        if min(self.frames, default=0) < 0:
            raise ValueError("frames are counted from 0")
        if not all(0 <= channel < _MOST_CHANNELS for channel in self.channels):
            raise ValueError(f"channels = {self.channels} are not all in 0..{_MOST_CHANNELS - 1}")

    def mask(self, seed: int, channels: int, first: int, frames: int) -> NDArray[np.bool_]:
        """Which of `frames` frames from `first` on are picked: bool (frames, channels)."""
        picked = happens(self.rate, seed, channels, first, frames)
        for frame in self.frames:
            if first <= frame < first + frames:
                picked[frame - first] = True
        if self.channels:
            others = np.setdiff1d(np.arange(channels), self.channels)
            picked[:, others] = False
        return picked

    def narrowed(self, channels: int, first: int) -> "Picked | None":
        """Return the same for so many channels from `first` on, which are counted from 0; None if none is picked."""
        if not self.channels:
            return self
        fewer = tuple(channel - first for channel in self.channels if first <= channel < first + channels)
        return msgspec.structs.replace(self, channels=fewer) if fewer else None


class PowerCycle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The box is switched off and on: all that was set is forgotten, and nothing works until it is configured again."""

    frame: int | None = None
    """As soon as this frame of a run has begun."""
    after: float | None = None
    """Seconds after the first successful xsp3_config."""

    def __post_init__(self) -> None:
        if (self.frame is None) == (self.after is None):
            raise ValueError("give either frame or after")
        _at_least("frame", self.frame or 0, 0)
        _at_least("after", self.after or 0, 0)


class CardLost(PowerCycle, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A card does not answer any more, and counts no more frames."""

    card: int = 0
    back: float | None = None
    """Seconds until the card answers again, to a new xsp3_config; none: never."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_card(self.card)
        _at_least("back", self.back or 0, 0)


class Overheat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A card gets hot, steadily; at the limit set by xsp3_i2c_set_adc_temp_limit it switches itself off."""

    card: int = 0
    after: float = 0.0
    """Seconds after the first successful xsp3_config."""
    temperature: float = 100.0
    """Degrees Celsius that it comes to."""
    within: float = 10.0
    """Seconds from normal to there."""

    def __post_init__(self) -> None:
        _check_card(self.card)
        _at_least("after", self.after, 0)
        if self.within <= 0:
            raise ValueError(f"within = {self.within} has to be above 0")


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What goes wrong; nothing by default. Frames are counted from 0, times are in seconds.

    What happens at a frame or at a time happens once, to the first run that gets there; `missing`,
    `duplicated` and `dropped_packets` happen in every run. Raises ValueError for what cannot be asked for.
    """

    fail: dict[str, int | Failure] = {}
    """Library function: which of its calls, counted from 1, answers XSP3_ERROR; or a `Failure`."""
    hang: dict[str, tuple[int, float | Forever]] = {}
    """Library function: which of its calls, counted from 1, waits before it does its work, and how long."""
    slow_read: float = 0.0
    """Sleep this long in the middle of every read of spectra."""
    config_refused: int = 0
    """How many attempts to connect find no box."""
    card_lost: CardLost | None = None
    power_cycle: PowerCycle | None = None
    overheat: Overheat | None = None
    overrun: int | None = None
    """The frame that finds its slot in use although it was acknowledged."""
    overwrite: int | None = None
    """The frame that is overwritten while its spectra are read; not for products that stop instead."""
    missing: Picked | None = None
    """Frames that never come: their slots keep what they held."""
    duplicated: Picked | None = None
    """Frames in whose slots the frame before stands once more, with its number; not the first of a run."""
    dropped_packets: Picked | None = None
    """Frames of which half comes: scaler 0 is below scaler 8, and there are fewer counts."""
    stuck_busy: float | Forever = 0.0
    """How long the receivers still say that they are busy after a stop."""
    settings: Literal["", "missing", "unreadable", "mismatch"] = ""
    """What is wrong with every settings directory that is to be restored; a mismatch can be forced."""
    leak: int = 0
    """How many attempts to connect run out of memory after a close."""
    leak_segment: str = ""
    """File in /dev/shm that a close leaves behind; while it exists, connecting runs out of memory."""
    clock_period: float | None = None
    """Seconds that xsp3_get_clock_period says, whatever the clock is."""

    def __post_init__(self) -> None:
        for name, failure in self.fail.items():
            if isinstance(failure, int):
                _at_least(f"fail.{name}", failure, 1)
        for name, (call, seconds) in self.hang.items():
            _at_least(f"hang.{name}", call, 1)
            _check_duration(f"hang.{name}", seconds)
        unknown = sorted((self.fail.keys() | self.hang.keys()) - prototypes().keys())
        if unknown:
            raise ValueError(f"fail, hang: no such library function: {', '.join(unknown)}")
        _check_duration("stuck_busy", self.stuck_busy)
        for what in ("slow_read", "config_refused", "overrun", "overwrite", "leak"):
            _at_least(what, getattr(self, what) or 0, 0)

    def narrowed(self, channels: int, first: int) -> "Faults":
        """Return the same for so many channels from `first` on, which are counted from 0; cards stay as they are."""
        picked = {name: getattr(self, name) for name in ("missing", "duplicated", "dropped_packets")}
        fewer = {name: pick and pick.narrowed(channels, first) for name, pick in picked.items()}
        return msgspec.structs.replace(self, **fewer)

    @property
    def any(self) -> bool:
        """Whether anything can go wrong."""
        return self != Faults()


def _at_least(name: str, value: float, low: float) -> None:
    if not value >= low:
        raise ValueError(f"{name} = {value} is below {low}")


def _check_card(card: int) -> None:
    if not 0 <= card < _MOST_CARDS:
        raise ValueError(f"card = {card} is outside 0..{_MOST_CARDS - 1}")


def _check_duration(name: str, seconds: float | Forever) -> None:
    if seconds != "ever" and not 0 <= seconds < math.inf:
        raise ValueError(f'{name} = {seconds} is neither a number of seconds from 0 on nor "ever"')
