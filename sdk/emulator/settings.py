"""What an emulated Xspress3 is made of: product, channels, sample, pace and the faults to show."""

from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import Generation
from xsp3ioc.sdk.emulator.faults import Faults
from xsp3ioc.sdk.emulator.pulses import Pulses

_SPREAD = 2  # first word of the random seeds; see pool.py for the others
_MOST_GAIN, _MOST_OFFSET = 0.3, 500.0
_WIDEST_SPREAD = 3  # standard deviations


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

PER_CHANNEL = {
    "count_rate": 1e9,
    "event_width": 1e6,
    "pileup_window": 1.0,
    "reset_rate": 1e9,
    "counts_per_reset": 1e12,
    "reset_width": 1e9,
    "gain_spread": _MOST_GAIN,
    "offset_spread": _MOST_OFFSET,
}
"""Settings that are one for all channels or one for each, with the most that each may be."""

_SPREADS = ("gain_spread", "offset_spread")


class EmulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the emulator; the content of every frame is a function of these and of the frame's number.

    Rates are in counts or resets per second, widths and dead times in clock ticks, times in seconds. What describes
    the detector is one value for all channels, or one for each. Raises ValueError for settings that no product could
    have.
    """

    product: Literal["xspress3", "mini", "xspress4", "x3x2"] = "xspress3"
    channels: int = 4
    """Channels altogether."""
    cards: int = 1
    per_card: int = 0
    """Channels on every card but the last ones; 0: they are shared out evenly."""
    seed: int = 0
    pace: Literal["clock", "reader"] = "clock"
    """clock: frames come in real time and overrun if nobody reads; reader: the next comes as one is acknowledged."""
    clock_period: float = 0.0
    """Seconds per tick; 0: the product's."""
    ahead: int = 256
    """Reader pace: how many frames are ready beyond the first that is not acknowledged."""
    memory: bool = False
    """Keep all spectra in memory from the connection on, for programs that copy them without asking where they are."""
    spectrum: str = ""
    """Path of an EPICS MCA text file; empty for the packaged measurement."""
    count_rate: float | tuple[float, ...] = 100_000.0
    """True input rate."""
    event_width: int | tuple[int, ...] = 6
    """Each event is dead for one tick more than this."""
    pileup_window: float | tuple[float, ...] = 40e-9
    """Two photons closer than this are counted as one of their summed energy."""
    reset_rate: float | tuple[float, ...] = 20.0
    """Resets by leakage alone."""
    counts_per_reset: float | tuple[float, ...] = 20_000.0
    """Input counts that make another reset; 0 for none."""
    reset_width: int | tuple[int, ...] = 400
    """Ticks lost to one reset."""
    gain_spread: float | tuple[float, ...] = 0.0
    """Standard deviation of the channels' relative gains, drawn from the seed; or how far each is off."""
    offset_spread: float | tuple[float, ...] = 0.0
    """Standard deviation of the channels' offsets in bins, drawn from the seed; or each one's offset."""
    pulses: Pulses = Pulses()
    """What is cabled to the trigger inputs."""
    faults: Faults = Faults()

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
        if self.per_card and not -(-self.channels // self.cards) <= self.per_card <= product.channels_per_card:
            raise ValueError(
                f"per_card = {self.per_card} is outside {-(-self.channels // self.cards)}..{product.channels_per_card}"
            )
        if self.clock_period and not 1e-9 <= self.clock_period <= 1e-6:
            raise ValueError(f"clock_period = {self.clock_period} is outside 1e-09..1e-06 s and not 0")
        if self.seed < 0 or self.ahead < 1:
            raise ValueError(f"seed = {self.seed} cannot be negative, ahead = {self.ahead} is at least 1")
        for name, most in PER_CHANNEL.items():
            self._check(name, most)
        if product.compulsory_acknowledge and self.faults.overwrite is not None:
            raise ValueError(f"faults.overwrite: {self.product} stops instead of overwriting frames")

    def _check(self, name: str, most: float) -> None:
        value = getattr(self, name)
        if isinstance(value, tuple) and len(value) != self.channels:
            raise ValueError(f"{name} = {value} needs one value, or {self.channels}")
        low = 0.0
        if name in _SPREADS:
            low, most = (-most, most) if isinstance(value, tuple) else (0.0, round(most / _WIDEST_SPREAD, 9))
        found = np.atleast_1d(np.asarray(value, np.float64))
        if not np.all((found >= low) & (found <= most)):
            raise ValueError(f"{name} = {value} is outside {low:g}..{most:g}")

    def per_channel(self, name: str) -> NDArray[np.float64]:
        """Value of one of the `PER_CHANNEL` settings for every channel, spreads not yet drawn: float64 (channels,)."""
        return np.broadcast_to(np.asarray(getattr(self, name), np.float64).reshape(-1), (self.channels,))

    @property
    def gains(self) -> NDArray[np.float64]:
        """Bins per 10 eV, per channel: float64 (channels,); 1 without spread."""
        return 1 + self._deviations("gain_spread")

    @property
    def offsets(self) -> NDArray[np.float64]:
        """Bin of zero energy, per channel: float64 (channels,); 0 without spread."""
        return self._deviations("offset_spread")

    def _deviations(self, name: str) -> NDArray[np.float64]:
        found = self.per_channel(name)
        if isinstance(getattr(self, name), tuple) or not found.any():
            return found
        seeds = [(_SPREAD, self.seed, _SPREADS.index(name), channel) for channel in range(self.channels)]
        drawn = [np.random.default_rng(seed).normal() for seed in seeds]
        return found * np.clip(drawn, -_WIDEST_SPREAD, _WIDEST_SPREAD)

    @property
    def event_widths(self) -> list[int]:
        """Event width per channel."""
        return [int(width) for width in self.per_channel("event_width")]

    def narrowed(self, channels: int, cards: int, first: int = 0) -> "EmulatorSettings":
        """Return the settings of so many channels from `first` on, on so many cards."""
        fewer = {name: getattr(self, name) for name in PER_CHANNEL}
        if first:
            fewer |= {name: tuple(self._deviations(name).tolist()) for name in _SPREADS}
        for name, value in fewer.items():
            if isinstance(value, tuple):
                fewer[name] = value[first : first + channels]
        fewer |= {"channels": channels, "cards": cards, "per_card": self.channels_per_card}
        return msgspec.structs.replace(self, **fewer, faults=self.faults.narrowed(channels, first))

    @property
    def channels_per_card(self) -> int:
        """Channels on every card but perhaps the last ones."""
        return self.per_card or -(-self.channels // self.cards)

    @property
    def family(self) -> Product:
        """The emulated product's properties."""
        product = PRODUCTS[self.product]
        return product._replace(clock_period=self.clock_period) if self.clock_period else product
