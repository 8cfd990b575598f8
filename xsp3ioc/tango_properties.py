"""A Tango device's properties, laid over the configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from xsp3ioc.configuration import Configuration, ConfigurationError

USUAL_SETTINGS = "/home/xspress3/settings"
"""Calibration of a system whose ConfigPath is not set, if there is that directory."""


def _text_or_none(value: str) -> str | None:
    return value or None


def _number(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError("is not a whole number") from None


def _numbers(value: str) -> list[int]:
    return [_number(one) for one in value.split()]


def _yes(value: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if value.strip().lower() not in known:
        raise ValueError("is neither true nor false")
    return known[value.strip().lower()]


PLACES: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "Name": ("detector", "module_name", _text_or_none),
    "ConfigPath": ("detector", "settings", str),
    "StreamerPort": ("server", "data_port", _number),
    "MonitorPort": ("server", "monitor_port", _number),
    "BaseIP": ("detector", "base_ip", _text_or_none),
    "BasePort": ("detector", "base_port", _number),
    "BaseMAC": ("detector", "base_mac", _text_or_none),
    "ReturnCounters": ("server", "return_counters", _yes),
    "EventWidths": ("detector", "event_widths", _numbers),
    "Library": ("detector", "library", str),
    "Emulate": ("detector", "emulate", _yes),
    "Channels": ("detector", "channels", _number),
    "Listen": ("server", "listen", str),
}
"""Table and key that a property stands for, and how its text is understood."""


def lay_over(configuration: Configuration, device: str, properties: Mapping[str, list[str]]) -> None:
    """Have the properties of a device win over the configuration; ConfigurationError names one that makes no sense."""
    for name, (table, key, convert) in PLACES.items():
        if name not in properties:
            continue
        text = " ".join(properties[name])
        try:
            setattr(getattr(configuration, table), key, convert(text))
        except ValueError as error:
            raise ConfigurationError(f"Property {name} of {device} = {text!r} {error}") from None
    hardware = configuration.detector
    if hardware.emulate and hardware.library and "Library" in properties and "Emulate" in properties:
        raise ConfigurationError(f"Choose one of the properties of {device}: Library or Emulate, not both")
    if "Library" in properties and "Emulate" not in properties:
        hardware.emulate = False
    if hardware.emulate and "Emulate" in properties:
        hardware.library = ""
    if not hardware.settings and os.path.isdir(USUAL_SETTINGS) and not hardware.emulate:
        hardware.settings = USUAL_SETTINGS
