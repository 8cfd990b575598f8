"""The detector as it is configured: its library's system, its sockets, its first settings."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import msgspec

from xsp3ioc.configuration import PARTS, Configuration, ConfigurationError
from xsp3ioc.sdk import Library, Xspress3Error
from xsp3ioc.stream.channel_commands import HELD_BY_HARDWARE
from xsp3ioc.stream.connection import System
from xsp3ioc.stream.curve import Curve
from xsp3ioc.stream.detector import Detector
from xsp3ioc.stream.parameter import SLOTS, Index, Parameter
from xsp3ioc.stream.places import Places

log = logging.getLogger(__name__)


def make_detector(configuration: Configuration, library: Library) -> Detector:
    """Make it, not connected yet; ConfigurationError says what cannot be."""
    hardware, server = configuration.detector, configuration.server
    system = System(library, hardware.connection, configuration.gap)
    try:
        curve = Curve(server.curve_key, server.curve_clients) if server.curve_key or server.curve_clients else None
        places = Places(
            server.listen, server.data_port, server.monitor_port, server.stream_compression, server.expect,
            server.expect_timeout, server.legacy_port, server.legacy_images == PARTS, server.stream1_port, curve,
        )  # fmt: skip
        detector = Detector(system, places, server.pool << 20, server.fsync)
    except OSError as error:
        raise ConfigurationError(str(error)) from None
    try:
        for name, value in ({"config_path": hardware.settings} | configuration.parameters).items():
            _put_first(detector, name, value)
        take_over(configuration, detector)
    except ConfigurationError:
        detector.shut_down(1.0)
        raise
    return detector


def count_channels(configuration: Configuration, library: Library) -> int:
    """Ask the system how many channels it has; ConfigurationError if it does not answer."""
    try:
        with msgspec.structs.replace(configuration.detector.connection, channels=-1).open(library) as sdk:
            return sdk.channels
    except (Xspress3Error, OSError) as error:
        raise ConfigurationError(
            f"The system cannot be asked how many channels it has ({error}); if it is off, set the property Channels, "
            "or --channels, and Init connects it later"
        ) from None


def take_over(configuration: Configuration, detector: Detector) -> None:
    """Take over what a Tango device's Init takes over anew: event widths, whether window counts are kept."""
    detector.window_counts.enabled = configuration.server.return_counters
    widths = configuration.detector.event_widths
    if widths and len(widths) != detector.channels:
        log.warning("Event widths are not used: there are %d, not %d", len(widths), detector.channels)
    elif widths:
        try:
            detector.preset("event_width", widths)
        except ValueError as error:
            raise ConfigurationError(f"event_widths: {error}") from None


def renew_event_widths(configuration: Configuration, detector: Detector) -> None:
    """Have event widths, which nobody puts over the calibration's any more, read from that again at CONNECT."""
    if "event_width" in configuration.parameters:
        _put_first(detector, "event_width", configuration.parameters["event_width"])
    else:
        detector.presets.pop("event_width", None)


def _put_first(detector: Detector, name: str, value: object) -> None:
    parameter = detector.parameters.get(name)
    if parameter is None or parameter.command or not parameter.writable:
        settings = sorted(known.name for known in detector.parameters.values() if known.writable and not known.command)
        raise ConfigurationError(f"[parameters]: {name} is no setting; known are {', '.join(settings)}")
    try:
        places = list(_places(parameter, value, detector.channels))
        if name in HELD_BY_HARDWARE:
            detector.preset(name, [one for _, one in places])
            return
        for index, one in places:
            detector.put(name, one, index, who="configuration").result(5)
    except ConfigurationError:
        raise
    except (ValueError, RuntimeError, OSError) as error:
        raise ConfigurationError(f"[parameters]: {name}: {error}") from None


def _places(parameter: Parameter, value: Any, channels: int) -> Iterator[tuple[Index, Any]]:
    """Whose values are meant: one for all, or a list of one per channel; of ROIs, one for all or a list per channel."""
    if not parameter.per_channel:
        yield None, value
        return
    values = value if isinstance(value, list) else [value]
    if len(values) == 1:
        values = values * channels
    if len(values) != channels:
        raise ConfigurationError(f"[parameters]: {parameter.name} has {len(values)} values, not 1 or {channels}")
    for channel, one in enumerate(values):
        if not parameter.per:
            yield channel, one
            continue
        slots = SLOTS[parameter.per]
        # A list may end early: most ROIs are not used.
        ones = one if isinstance(one, list) else [one] * slots
        if len(ones) > slots:
            raise ConfigurationError(f"[parameters]: {parameter.name} has {len(ones)} values, more than {slots}")
        yield from (((channel, slot), each) for slot, each in enumerate(ones))
