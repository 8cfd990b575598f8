"""Opening a system: library, clocks, settings, format; and how the trigger modes are programmed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from xsp3ioc.sdk import Connection, GapMode, ItfgTrigger, Library, RunFlag, TimingSource, Xspress3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class System:
    """What is connected, as the site has it; constant while the server runs."""

    library: Library
    connection: Connection
    gap: GapMode = GapMode.us1
    """Between two frames of the internal generator."""

    @property
    def channels(self) -> int:
        """Channels that are read out."""
        return self.connection.channels


class Trigger(NamedTuple):
    """What one of the trigger modes means to the hardware."""

    source: TimingSource
    generator: ItfgTrigger | None = None
    """How the internal generator is triggered; None: it makes no frames."""
    armed: bool = False
    """Software makes, or starts, the frames: wait for it instead of counting at once."""

    @property
    def free_running(self) -> bool:
        """Frame follows frame from the start on, without anybody's doing."""
        return self.generator is ItfgTrigger.burst

    @property
    def exposed(self) -> bool:
        """The generator sets the exposure; else the gate or the software that opens and closes the frame does."""
        return self.generator is not None


TRIGGERS = (
    Trigger(TimingSource.software, armed=True),
    Trigger(TimingSource.internal, ItfgTrigger.burst),
    Trigger(TimingSource.idc),
    Trigger(TimingSource.ttl_veto),
    Trigger(TimingSource.ttl_both),
    Trigger(TimingSource.lvds_veto),
    Trigger(TimingSource.lvds_both),
    Trigger(TimingSource.internal, ItfgTrigger.software, armed=True),
    Trigger(TimingSource.internal, ItfgTrigger.software_only_first, armed=True),
    Trigger(TimingSource.internal, ItfgTrigger.hardware),
    Trigger(TimingSource.internal, ItfgTrigger.hardware_only_first),
)
"""By the number of the trigger mode (`declared.TRIGGER_MODES`, then `MORE_TRIGGER_MODES`)."""

ARM_TRIGGERS = {
    "SOFTWARE": (7, 8),
    "EXTERNAL_MULTI": (9, 10),
    "EXTERNAL_MULTI_GATE": (3, 3),
    "INTERNAL": (1, 1),
    "SOFTWARE_GATE": (0, 0),
    "IDC": (2, 2),
    "TTL_BOTH": (4, 4),
    "LVDS_VETO": (5, 5),
    "LVDS_BOTH": (6, 6),
}
"""Tango's words: the trigger mode when each frame has its trigger, and when one trigger starts them all."""


def arm_trigger_mode(name: str, triggers: int) -> int:
    """Return the trigger mode that Tango's `name` means for so many triggers; ValueError names the possible ones."""
    if name not in ARM_TRIGGERS:
        raise ValueError(f"TriggerMode can be {', '.join(ARM_TRIGGERS)}, not {name!r}")
    return ARM_TRIGGERS[name][triggers == 1]


def arm_trigger_name(trigger_mode: int) -> str:
    """Return Tango's name of a trigger mode."""
    return next(name for name, modes in ARM_TRIGGERS.items() if trigger_mode in modes)


def check_settings(directory: str) -> None:
    """Raise NotADirectoryError for a settings directory that is named and is not there."""
    if directory and not os.path.isdir(directory):
        raise NotADirectoryError(f"Settings directory {directory} does not exist; set CONFIG_PATH")


def open_system(
    system: System, frames: int, settings: str, playback: bool = False, go_on: Callable[[], None] = lambda: None
) -> Xspress3:
    """Connect with a circular buffer of `frames` frames, set the clocks, `prepare`.

    `go_on` is asked before each step and raises if the system is not wanted any more. Raises Xspress3Error with the
    library's words.
    """
    sdk = msgspec.structs.replace(system.connection, frames=frames).open(system.library)
    go_on()
    try:
        sdk.setup_clocks()
        go_on()
        prepare(sdk, settings, playback, go_on)
    except Exception:
        go_on()  # not closed if it comes too late: the next connection has the same handle
        sdk.close()
        raise
    log.info("Connected to %s, firmware %s, %d channels", sdk.library_name, sdk.firmware, sdk.channels)
    return sdk


def prepare(sdk: Xspress3, settings: str, playback: bool, go_on: Callable[[], None]) -> None:
    """Restore the settings directory (if one is named), format the memory, choose the streams; as `open_system`."""
    if settings:
        sdk.restore_settings(settings)
        go_on()
    sdk.format()
    go_on()
    flags = RunFlag.scalers | RunFlag.histogram | RunFlag.circular
    sdk.set_run_flags(flags | RunFlag.playback if playback else flags)


def program(
    sdk: Xspress3,
    trigger: Trigger,
    frames: int,
    ticks: int,
    gap: GapMode,
    invert_f0: bool,
    invert_veto: bool,
    debounce: int,
) -> None:
    """Set timing for a series of `frames` frames (0: until stopped) of `ticks` clock ticks each."""
    if trigger.generator is not None:
        sdk.setup_itfg(frames, ticks, trigger.generator, gap)
    sdk.set_timing(trigger.source, invert_f0=invert_f0, invert_veto=invert_veto, debounce=debounce)
    sdk.set_first_frame(0)
