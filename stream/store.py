"""The values of all parameters, and who hears of their changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from xsp3ioc.stream.declared import Declared
from xsp3ioc.stream.life import StoppedError
from xsp3ioc.stream.parameter import SLOTS, Index, Parameter, Severity, Update, parameters

log = logging.getLogger(__name__)


LEVELS = {Severity.good: logging.INFO, Severity.minor: logging.WARNING}
"""Of what is said, in the log; what is worse is an error."""


def shorten(text: str, longest: int) -> str:
    """Return `text` with at most `longest` characters: what is too much is left out in the middle of it.

    The beginning names the thing, the end says what is wrong with it.
    """
    if len(text) <= longest:
        return text
    half = (longest - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


class Store(Declared):
    """`update` is the one way in which a value reaches a client; `subscribe` hears of every change, in order."""

    def __init__(self, channels: int) -> None:
        self.parameters: dict[str, Parameter] = parameters(type(self))
        self.values: dict[str, Any] = {
            name: _first_value(parameter, channels) for name, parameter in self.parameters.items()
        }
        self.values["channels"] = channels
        self._listeners: list[Callable[[Update], None]] = []
        self._event = (self.values["status_message"], Severity.good)
        self._refusing = False
        """StatusMessage shows a refusal instead of the last event."""
        self._lock = threading.RLock()
        """Guards the values and the state; never held while the library is called."""

    def subscribe(self, listener: Callable[[Update], None]) -> None:
        """Call `listener` with every change, from any thread; it must not wait."""
        with self._lock:
            self._listeners.append(listener)

    def update(
        self,
        name: str,
        value: Any,
        *,
        index: Index = None,
        at: float | None = None,
        severity: Severity | None = None,
    ) -> None:
        """Set and show a value: of `index`, or of the whole parameter; `at` is its time, s since 1970."""
        with self._lock:
            if index is None:
                self.values[name] = value
            else:
                self.values[name][index] = value
            if severity is None:
                severity = self._severity(self.parameters[name], value)
            self._tell(Update(name, value, time.time() if at is None else at, index, severity))

    def update_all(self, values: Mapping[str, Any], at: float | None = None) -> None:
        """Set and show several values of one moment."""
        with self._lock:
            for name, value in values.items():
                self.update(name, value, at=at)

    def update_changed(self, values: Mapping[str, Any], at: float | None = None) -> None:
        """Show those that differ from what is shown already."""
        with self._lock:
            self.update_all({name: value for name, value in values.items() if self._differs(name, value)}, at)

    def _differs(self, name: str, value: Any) -> bool:
        shown = self.values[name]
        return not np.array_equal(shown, value) if isinstance(shown, np.ndarray) else shown != value

    def get(self, name: str, index: Index = None) -> Any:
        """Return a value as it is now: of `index`, or of the whole parameter; what is derived is made for this."""
        parameter = self.parameters[name]
        if parameter.derived:
            return getattr(self, f"_get_{name}")(index)
        value = self.values[name]
        return value if index is None else value[index]

    def renew(self, name: str, index: Index = None, at: float | None = None) -> None:
        """Say that a derived parameter has a new value."""
        self._tell(Update(name, None, time.time() if at is None else at, index))

    def say(self, text: str, severity: Severity = Severity.good, level: int | None = None) -> None:
        """Show what happened, in words, and log it; `level`: in the log, if it is not that of the severity."""
        log.log(LEVELS.get(severity, logging.ERROR) if level is None else level, text)
        with self._lock:
            self._event, self._refusing = (text, severity), False
            self._show_message(text, severity)

    @property
    def event(self) -> str:
        """What happened last, in words, whatever has been refused since."""
        return self._event[0]

    def refuse(self, name: str, index: Index, error: Exception) -> None:
        """Show the old value again, as not accepted; say why, until the next event or `forget_refusal`."""
        log.log(logging.INFO if isinstance(error, StoppedError) else logging.ERROR, "%s", error)
        with self._lock:
            self._refusing = True
            self._show_message(str(error), Severity.minor)
        self.show_refused(name, index)

    def forget_refusal(self) -> None:
        """Show the last event again, after a put that was good."""
        with self._lock:
            if self._refusing:
                self._refusing = False
                self._show_message(*self._event)

    def _show_message(self, text: str, severity: Severity) -> None:
        longest = self.parameters["status_message"].length - 1
        self.update("status_message", shorten(text, longest), severity=severity)

    def show_refused(self, name: str, index: Index = None) -> None:
        """Show the value again, its setpoint INVALID until the next good put."""
        with self._lock:
            value = self.get(name, index)
            self._tell(Update(name, value, time.time(), index, Severity.invalid, refused=True))

    def _tell(self, update: Update) -> None:
        for listener in self._listeners:
            try:
                listener(update)
            except Exception:  # a face that fails must not stop the detector
                log.exception("Update of %s cannot be shown", update.name)

    @staticmethod
    def _severity(parameter: Parameter, value: Any) -> Severity:
        if parameter.severity and isinstance(value, int):
            return Severity(parameter.severity.get(int(value), Severity.good))
        return Severity.good


def _first_value(parameter: Parameter, channels: int) -> Any:
    if parameter.derived:
        return None
    if parameter.per:
        kind = object if isinstance(parameter.default, str) else type(parameter.default)
        return np.full((channels, SLOTS[parameter.per]), parameter.default, kind)
    return [parameter.default] * channels if parameter.per_channel else parameter.default
