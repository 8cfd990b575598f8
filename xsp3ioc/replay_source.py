"""A file in the place of the emulated detector: the server's configuration from it, and its frames for the emulator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.configuration import Configuration, ConfigurationError
from xsp3ioc.sdk import BINS, Recording

if TYPE_CHECKING:
    from xsp3ioc.receivers.recorded import Origin, RecordedFile

PER_CARD = 9
"""Channels on a card of the emulated Xspress3."""
MOST_FRAMES = 0xFFFFFF
"""Of one series: what the hardware's frame generator can count."""


def take_over(configuration: Configuration) -> None:
    """Let the file `[emulator] replay`, if one is named, say what the detector is like; the user's own words win.

    ConfigurationError says why it cannot be used. Doing it twice is doing it once.
    """
    if "replay" not in configuration.emulator:
        return
    with _opened(configuration) as file:
        hardware, origin = configuration.detector, file.origin
        hardware.emulate, hardware.library = True, ""
        hardware.channels = file.channels
        hardware.cards = max(hardware.cards, -(-file.channels // PER_CARD))
        for name, value in _emulated(origin).items():
            configuration.emulator.setdefault(name, value)
        for name, value in first_values(file).items():
            configuration.parameters.setdefault(name, value)


def first_values(file: RecordedFile) -> dict[str, Any]:
    """Return the values of the detector's parameters that the file tells."""
    origin = file.origin
    values: dict[str, Any] = {"frames": min(file.frames, MOST_FRAMES)}
    exposure = origin.exposure or float(np.median(file.ticks()) * origin.clock_period)
    values["exposure_time"] = max(exposure, 1e-6)
    for name, found in (
        ("event_width", origin.event_widths),
        ("energy_offset", origin.energy_offset),
        ("energy_slope", origin.energy_slope),
        ("good_threshold", origin.good_thresholds),
    ):
        if found:
            values[name] = found
    if origin.windows:
        for number in (1, 2):
            for place, end in enumerate(("low", "high")):
                values[f"window{number}_{end}"] = [int(each[number - 1][place]) for each in origin.windows]
    return values


@contextlib.contextmanager
def open_recording(configuration: Configuration) -> Iterator[Recording | None]:
    """Yield the frames of the file `[emulator] replay`, while it is open; None if no file is named."""
    if "replay" not in configuration.emulator:
        yield None
        return
    with _opened(configuration) as file:
        wrap = configuration.emulator.get("replay_end", "wrap") == "wrap"
        yield Recording(Path(file.path).name, file.ticks(), _reader(file), wrap)


def _reader(file: RecordedFile) -> Any:
    def read(first: int, count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        mca, scalers = file.read(first, count)
        if file.bins == BINS:
            return mca, scalers
        whole = np.zeros((*mca.shape[:2], BINS), np.uint32)
        whole[..., : file.bins] = mca
        return whole, scalers

    return read


@contextlib.contextmanager
def _opened(configuration: Configuration) -> Iterator[RecordedFile]:
    # Not before it is needed: a server that replays nothing has no business with HDF5.
    from xsp3ioc.receivers.opening import UnreadableError
    from xsp3ioc.receivers.recorded import RecordedFile, UnreplayableError

    path, end = configuration.emulator["replay"], configuration.emulator.get("replay_end", "wrap")
    if not isinstance(path, str):
        raise ConfigurationError(f"[emulator]: replay = {path!r} is no file name")
    if end not in ("wrap", "stop"):
        raise ConfigurationError(f"[emulator]: replay_end = {end!r} is neither wrap nor stop")
    try:
        file = RecordedFile(path)
    except UnreplayableError as error:
        raise ConfigurationError(f"{path} cannot be replayed: {error}") from None
    except UnreadableError as error:
        raise ConfigurationError(f"Cannot replay: {error}") from None
    with file:
        if file.bins > BINS:
            raise ConfigurationError(f"{path} cannot be replayed: it has {file.bins} bins, more than {BINS}")
        yield file


def _emulated(origin: Origin) -> dict[str, Any]:
    values: dict[str, Any] = {"clock_period": origin.clock_period}
    if origin.event_widths:
        values["event_width"] = [max(0, round(width)) for width in origin.event_widths]
    return values
