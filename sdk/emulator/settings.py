"""What an emulated Xspress3 is made of: product, channels, sample, pace and the faults to show."""

from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import prototypes
from xsp3ioc.sdk.constants import Generation


class Product(NamedTuple):
    """What tells one member of the family from another, seen through the library."""

    generation: Generation
    revision: int  # detector 31..24, major 23..12, minor 11..0
    channels_per_card: int
    clock_period: float  # seconds
    compulsory_acknowledge: bool  # an un-acknowledged frame stops the run instead of being overwritten
    is_mark2: bool = False


PRODUCTS = {
    "xspress3": Product(Generation.xspress3, 2 << 12 | 7, 9, 12.5e-9, False),
    "mini": Product(Generation.mini, 34 << 12 | 1, 2, 12.5e-9, True),
    "xspress4": Product(Generation.xspress4, 50 << 12 | 3, 16, 10e-9, False),
    "x3x2": Product(Generation.mini, 36 << 12 | 2, 2, 12.5e-9, True, True),
}


class EmulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the emulator; the content of every frame is a function of these and of the frame's number.

    Rates are in counts or resets per second, widths and dead times in clock ticks, times in seconds. Raises
    ValueError for settings that no product could have.
    """

    product: Literal["xspress3", "mini", "xspress4", "x3x2"] = "xspress3"
    channels: int = 4
    """Channels altogether, shared out evenly over the cards."""
    cards: int = 1
    seed: int = 0
    pace: Literal["clock", "reader"] = "clock"
    """clock: frames come in real time and overrun if nobody reads; reader: the next comes as one is acknowledged."""
    ahead: int = 256
    """Reader pace: how many frames are ready beyond the first that is not acknowledged."""
    spectrum: str = ""
    """Path of an EPICS MCA text file; empty for the packaged measurement."""
    count_rate: float | tuple[float, ...] = 100_000.0
    """True input rate, for all channels or for each."""
    event_width: int = 6
    """Each event is dead for one tick more than this."""
    pileup_window: float = 40e-9
    """Two photons closer than this are counted as one of their summed energy."""
    reset_rate: float = 20.0
    """Resets by leakage alone."""
    counts_per_reset: float = 20_000.0
    """Input counts that make another reset; 0 for none."""
    reset_width: int = 400
    """Ticks lost to one reset."""
    slow_read: float = 0.0
    """Sleep this long in the middle of every read of spectra."""
    fail: dict[str, int] = {}
    """Library function: which of its calls, counted from 1, answers XSP3_ERROR."""
    hang: dict[str, tuple[int, float]] = {}
    """Library function: which of its calls, counted from 1, sleeps first, and how long."""

    def __post_init__(self) -> None:
        product = PRODUCTS.get(self.product)
        if product is None:
            raise ValueError(f"product = {self.product!r} is none of {', '.join(PRODUCTS)}")
        if self.pace not in ("clock", "reader"):
            raise ValueError(f"pace = {self.pace!r} is neither clock nor reader")
        if not 1 <= self.cards <= 16:
            raise ValueError(f"cards = {self.cards} is outside 1..16")
        if not self.cards <= self.channels <= self.cards * product.channels_per_card:
            raise ValueError(
                f"channels = {self.channels} is outside {self.cards}..{self.cards * product.channels_per_card} "
                f"({product.channels_per_card} per card of {self.product})"
            )
        if self.seed < 0 or self.event_width < 0 or self.reset_width < 0 or self.ahead < 1:
            raise ValueError("seed, event_width and reset_width cannot be negative, ahead is at least 1")
        if min(self.pileup_window, self.reset_rate, self.counts_per_reset, self.slow_read) < 0:
            raise ValueError("pileup_window, reset_rate, counts_per_reset and slow_read cannot be negative")
        if np.size(self.count_rate) not in (1, self.channels) or np.min(self.count_rate) < 0:
            raise ValueError(f"count_rate needs one rate, or {self.channels}, not negative")
        unknown = sorted((self.fail.keys() | self.hang.keys()) - prototypes().keys())
        if unknown:
            raise ValueError(f"fail, hang: no such library function: {', '.join(unknown)}")

    @property
    def channels_per_card(self) -> int:
        """Channels on every card but perhaps the last."""
        return -(-self.channels // self.cards)

    @property
    def rates(self) -> NDArray[np.float64]:
        """True input rate per channel, counts per second: float64 (channels,)."""
        return np.broadcast_to(np.asarray(self.count_rate, np.float64).reshape(-1), (self.channels,))

    @property
    def family(self) -> Product:
        """The emulated product's properties."""
        return PRODUCTS[self.product]
