"""What is set once and kept: registers of channels and cards that have no part in the frames' content."""

from dataclasses import dataclass, field
from typing import NamedTuple

from xsp3ioc.sdk.emulator.system_log import SystemLog

REGISTERS = 64
FAN_WORDS = 12
MARKER_CHANNELS = 2


class ClockChoice(NamedTuple):
    """Arguments of xsp3_clocks_setup."""

    source: int
    flags: int
    test_pulse: int


class Ringing(NamedTuple):
    """Ringing removal of a channel's trigger B."""

    scale_a: float = 0.0
    delay_a: int = 3
    scale_b: float = 0.0
    delay_b: int = 3


@dataclass
class ChannelRegisters:
    """Control registers of one channel."""

    control: int = 0
    control2: int = 0
    ringing: Ringing = Ringing()


@dataclass
class CardRegisters:
    """Settings of one card."""

    clock: ClockChoice | None = None
    memory_layout: int = 0
    temperature_limit: int = 85
    """Degrees Celsius."""
    fan: list[int] = field(default_factory=lambda: [1, 64, 0, 0, 0, 0, 255, 90, 8, 1, 128, 0])
    """By XSP3_FAN_OFFSET_*; temperatures and set point in half degrees. What is measured is worked out when read."""
    readout_mode: int = 0
    timestamp_sync: int = 0
    playback_times: int = 0
    """Samples per stream in the playback memory."""
    playback_check: int = 0
    """Checksum of what is in the playback memory, 0 when it is empty."""


@dataclass
class Electronics:
    """Everything of this kind that belongs to one system."""

    channels: list[ChannelRegisters]
    cards: list[CardRegisters]
    markers: list[list[int]]
    """Registers of the marker channels."""
    energy: float = 0.0
    """Nominal energy of the dead-time model, keV."""
    disable_threading: int = 0
    log: SystemLog | None = None

    @classmethod
    def of(cls, channels: int, cards: int) -> "Electronics":
        """Make them as they are after power-up."""
        return cls(
            [ChannelRegisters() for _ in range(channels)],
            [CardRegisters() for _ in range(cards)],
            [[0] * REGISTERS for _ in range(MARKER_CHANNELS)],
        )
