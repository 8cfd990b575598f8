"""Which of the detector's settings are saved: those that somebody has changed, by the names of their records."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from xsp3ioc.records import DETECTOR, full_name, indices
from xsp3ioc.stream.channel_commands import CALIBRATED, HELD_BY_HARDWARE
from xsp3ioc.stream.detector import Detector
from xsp3ioc.stream.parameter import Index, Parameter, Update

log = logging.getLogger(__name__)

NOT_KEPT = ("config_save_path", "playback")
"""Settings that are not for the next server: where to write once, and that a recording is played back."""
WHO = "autosave"
PATIENCE = 10.0
"""Seconds for one setting."""


class DetectorSettings:
    """A source of `Autosave`; made when the detector has its first values, before anybody else puts."""

    def __init__(self, detector: Detector, restores_calibration: bool) -> None:
        """`restores_calibration`: what was put over the calibration is put over it at every CONNECT."""
        self._detector = detector
        self._restores = restores_calibration
        settings = [
            known
            for known in detector.parameters.values()
            if known.writable and not known.command and known.name not in NOT_KEPT
        ]
        self._settings = [parameter for parameter in settings if parameter.name not in CALIBRATED]
        self._places: dict[str, tuple[Parameter, Index]] = {
            _name(parameter, index): (parameter, index)
            for parameter in settings
            for index in indices(parameter, detector.channels)
        }
        self._first = {known.name: copy.deepcopy(detector.values[known.name]) for known in self._settings}
        self._configured = copy.deepcopy(detector.presets)
        self._own: dict[str, list[Any]] = {}
        """What somebody has put over the calibration, per channel; None: nothing."""
        self._names = {known.name for known in settings}
        self._changed: Callable[[], None] = lambda: None
        detector.subscribe(self._hear)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` when a setting has changed; from any thread."""
        self._changed = changed

    def knows(self, name: str) -> bool:
        """Whether it is a setting of the detector."""
        return name in self._places and self._places[name][0].name not in CALIBRATED

    def settings(self) -> dict[str, Any]:
        """Return what differs from the built-in and configured values."""
        return {_name(parameter, index): self._value(parameter, index) for parameter, index in self._differing()}

    def _differing(self) -> Iterator[tuple[Parameter, Index]]:
        for parameter in self._settings:
            now, first = self._detector.values[parameter.name], self._first[parameter.name]
            if parameter.per:
                for channel, slot in np.argwhere(now != first):
                    yield parameter, (int(channel), int(slot))
            elif parameter.per_channel:
                for channel in range(self._detector.channels):
                    if now[channel] != first[channel]:
                        yield parameter, channel
            elif now != first:
                yield parameter, None

    def _value(self, parameter: Parameter, index: Index) -> Any:
        value = self._detector.values[parameter.name]
        return as_saved(parameter, value if index is None else value[index])

    def restore(self, settings: Mapping[str, Any]) -> int:
        """Put the values; what is refused is logged and left out. The number of those."""
        refused = self._put(settings)
        # Some settings write others: NumImages does with NumCapture. What these were before has the last word.
        good = {name: value for name, value in settings.items() if name not in refused}
        now = self.settings()
        for name in now.keys() - settings.keys():
            parameter, index = self._places[name]
            first = self._first[parameter.name]
            good[name] = as_saved(parameter, first if index is None else first[index])
        self._put({name: value for name, value in good.items() if self._value(*self._places[name]) != value})
        return len(refused)

    def _put(self, settings: Mapping[str, Any]) -> set[str]:
        detector, waiting, refused = self._detector, {}, set()
        for name, value in settings.items():
            parameter, index = self._places[name]
            try:
                if parameter.name in HELD_BY_HARDWARE:
                    detector.preset(parameter.name, [value])
                else:
                    waiting[name] = detector.put(parameter.name, value, index, who=WHO)
            except ValueError as error:
                refused.add(name)
                log.error("Saved setting %s: %s", name, error)
        for name, put in waiting.items():
            try:
                put.result(PATIENCE)
            except Exception as error:
                refused.add(name)
                log.error("Saved setting %s: %s", name, error or type(error).__name__)
        return refused

    # over the calibration

    def calibration(self) -> dict[str, Any]:
        """Return what somebody has put over the calibration, and the configuration did not."""
        return {
            _name(self._detector.parameters[name], channel): value
            for name, values in list(self._own.items())
            for channel, value in enumerate(values)
            if value is not None
        }

    def restore_calibration(self, settings: Mapping[str, Any]) -> int:
        """Have the values put over the calibration at CONNECT, if that is wanted; the number of refused ones.

        If it is not they are kept, until somebody puts others: whoever misses them can still ask for them.
        """
        if not self._restores:
            log.info("%d saved thresholds, windows and event widths are left to the calibration", len(settings))
        refused = 0
        for name, value in settings.items():
            parameter, channel = self._places.get(name, (None, None))
            if parameter is None or parameter.name not in CALIBRATED or not isinstance(channel, int):
                log.warning("Saved setting %s is none of this server's: it is left out", name)
                refused += 1
                continue
            try:
                self._keep(parameter.name, channel, parameter.convert(value))
            except ValueError as error:
                log.error("Saved setting %s: %s", name, error)
                refused += 1
        return refused

    def _hear(self, update: Update) -> None:
        if update.refused or update.name not in self._names:
            return
        if update.name in CALIBRATED:
            # All channels at once is what CONNECT has read from the calibration.
            if not isinstance(update.index, int):
                return
            self._keep(update.name, update.index, update.value)
        self._changed()

    def _keep(self, name: str, channel: int, value: Any) -> None:
        nothing = [None] * self._detector.channels
        configured = self._configured.get(name, nothing)
        own = self._own.setdefault(name, list(nothing))
        own[channel] = None if value == configured[channel] else value
        if self._restores:
            # The latest, for the next CONNECT of this server too.
            both = zip(own, configured, strict=True)
            self._detector.preset(name, [first if mine is None else mine for mine, first in both])


def _name(parameter: Parameter, index: Index) -> str:
    return full_name(parameter.pv or f"/{parameter.name}", index, "", DETECTOR)


def as_saved(parameter: Parameter, value: Any) -> Any:
    """Return a value as the file has it: a choice by its name, where no other has the same."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if parameter.choices and not isinstance(value, list):
        name = parameter.names[int(value)]
        return name if parameter.names.count(name) == 1 and name and not name.isdigit() else int(value)
    return value
