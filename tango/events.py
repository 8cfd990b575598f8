"""The core's changes as Tango's events: one queue, one thread that empties it, each change in its order."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import numpy as np
import tango
from tango import AttrQuality, DevState

from xsp3ioc.stream.parameter import Severity, Update
from xsp3ioc.tango.attributes import Walked, walk
from xsp3ioc.tango.channel_attributes import OfChannel, channel_attributes

log = logging.getLogger(__name__)

WAITING = 5_000
"""Events that wait for a slow client before Tango drops some; its own 1000 are full after one storm of commands. More
would be much memory for a client that stands still: a spectrum of each channel ten times a second."""
HANDING_OVER = 0.2
"""Seconds that a new device has to take over the subscribers of the one before."""
QUALITIES = {
    Severity.good: AttrQuality.ATTR_VALID,
    Severity.minor: AttrQuality.ATTR_WARNING,
    Severity.major: AttrQuality.ATTR_ALARM,
    # With ATTR_INVALID there would be no value.
    Severity.invalid: AttrQuality.ATTR_ALARM,
}


class Events:
    """Pushes change and archive events of all walked attributes, of State and of Status.

    Every change is pushed, in the order in which the core makes them; of a derived value and of one that changes
    faster than it can be made, the last. A value that nobody has subscribed to is not even converted.
    """

    def __init__(self, core: Any, find_device: Callable[[], Any], state: Callable[[], DevState]) -> None:
        """`find_device`: the device that is served now, or DevFailed; `state`: its state, asked with each change."""
        self._core, self._find_device, self._state = core, find_device, state
        self.walked = walk(core.parameters.values(), core.channels)
        of_channels = channel_attributes(core.parameters, core.channels)
        self.attributes: dict[str, Walked | OfChannel] = {walked.name: walked for walked in self.walked.values()}
        self.attributes |= {part.name: part for part in of_channels}
        self._of_channels: dict[str, list[OfChannel]] = {}
        """What shows a parameter channel by channel, by the one that changes last."""
        for part in of_channels:
            self._of_channels.setdefault(part.kind.sources[-1], []).append(part)
        self.stamps: dict[str, tuple[float, AttrQuality]] = {}
        """Time, s since 1970, and quality of the last change of each parameter."""
        self._changes: SimpleQueue[tuple[Update, DevState | None] | None] = SimpleQueue()
        self._waiting: Counter[str] = Counter()
        """Changes of derived parameters in the queue."""
        self._lock = threading.Lock()
        self._new_device = True
        self._values: dict[str, Any] = {}
        """What was pushed last; a list, or an array of our own, where the core may change one element of it."""
        self._parts: dict[str, Any] = {}
        """The same of attributes of one channel."""
        self._shown: dict[str, Any] = {}
        """The same of State and Status."""
        self._device_stays = threading.Lock()
        """Taken by a push, and while there is no device to push."""
        self._held = False
        self._over = threading.Event()
        # The process can end even if Tango does not.
        self._thread = threading.Thread(target=self._push_changes, name="tango events", daemon=True)

    def start(self) -> None:
        """Hear the core, and push from now on: the server is ready."""
        # First listen, then look: a change in between is seen twice rather than never.
        self._core.subscribe(self._hear)
        for name, walked in self.walked.items():
            if not walked.parameter.derived:
                self._values[name] = _own(walked, self._core.get(name))
        self._thread.start()

    def close(self, patience: float) -> None:
        """Push what is still waiting, for `patience` seconds at most."""
        self._changes.put(None)
        if self._thread.is_alive():
            self._thread.join(patience)
        self._over.set()

    def stop(self) -> None:
        """Push no more: the server is gone."""
        self._over.set()
        self.go_on()

    def hold(self, patience: float) -> None:
        """Let changes wait from now on; when this returns, or after `patience` seconds, none is being pushed.

        Tango frees a device's memory in DevRestart, RestartServer and Kill, whoever pushes by it just then.
        """
        self._held = self._device_stays.acquire(timeout=patience) or self._held

    def go_on(self) -> None:
        """Push what has waited since `hold`."""
        if self._held:
            self._held = False
            self._device_stays.release()

    def go_on_soon(self) -> None:
        """Push again when a new device has had the time for that, HANDING_OVER."""
        if self._held:
            wait = threading.Timer(HANDING_OVER, self.go_on)
            wait.daemon = True
            wait.start()

    def meet(self) -> None:
        """Tell a new device what is set, which it does not know, and push by it when it has its subscribers."""
        self._new_device = True
        # Tango hands the old device's subscribers over after this, and says nothing when it is done.
        self.go_on_soon()

    def stamp(self, name: str) -> tuple[float, AttrQuality]:
        """Time and quality to show with a value that is read now."""
        return self.stamps.get(name) or (time.time(), AttrQuality.ATTR_VALID)

    def _hear(self, update: Update) -> None:
        """Queue what is to be pushed; the core holds its lock meanwhile, so its state belongs to this update."""
        if update.refused:
            return  # an attribute shows what is, not what was asked
        state = self._state() if update.name == "detector_state" else None
        self.stamps[update.name] = (update.time, QUALITIES[update.severity])
        walked = self.walked.get(update.name)
        if walked is not None and walked.parameter.derived:
            with self._lock:
                self._waiting[update.name] += 1
        elif walked is not None and update.index is None:
            update = replace(update, value=_own(walked, update.value))
        self._changes.put((update, state))

    def _push_changes(self) -> None:
        """Push one change after the other; this one thread does it, without any lock of the core."""
        with tango.EnsureOmniThread():
            while (change := self._changes.get()) is not None:
                update, state = change
                try:
                    with self._device_stays:
                        if not self._over.is_set():
                            self._push(update, state)
                except tango.DevFailed as error:
                    log.warning("Cannot push %s: %s", update.name, error.args[0].desc)
                except Exception:  # the next one must not wait for ever
                    log.exception("Cannot push %s", update.name)

    def _push(self, update: Update, state: DevState | None) -> None:
        # Asked each time: RestartServer makes a new device, Kill leaves none.
        device = self._find_device()
        if state is not None:
            self._push_built_in(device, "State", state)
        if update.name == "status_message":
            self._push_built_in(device, "Status", update.value)
        walked = self.walked.get(update.name)
        known = walked is not None and self._is_new(walked, update)
        if self._new_device:
            self._new_device = False
            for one in self.attributes.values():
                self._set(device, one)
        if walked is not None and known:
            self._push_value(device, walked, update)
        for part in self._of_channels.get(update.name, ()):
            if update.covers(part.channel) and self._is_new_part(part):
                self._push_value(device, part, update)

    def _push_value(self, device: Any, walked: Walked | OfChannel, update: Update) -> None:
        self._set(device, walked)
        attribute = device.get_device_attr().get_attr_by_name(walked.name)
        pushes = []
        if attribute.change_event_subscribed():
            pushes.append(device.push_change_event)
        if attribute.archive_event_subscribed():
            pushes.append(device.push_archive_event)
        if pushes:
            value = self._value(walked)
            for push in pushes:
                push(walked.name, value, update.time, QUALITIES[update.severity])

    def _set(self, device: Any, walked: Walked | OfChannel) -> None:
        """Have Tango show what is set, whoever has set it, as what was written last."""
        if walked.writable:
            with tango.AutoTangoMonitor(device):
                device.get_device_attr().get_w_attr_by_name(walked.name).set_write_value(self._value(walked))

    def _value(self, walked: Walked | OfChannel) -> Any:
        """Return its value at the change that is being pushed; a derived one's of now."""
        if isinstance(walked, OfChannel):
            return walked.shown(self._values)
        name = walked.parameter.name
        return walked.read(self._core) if walked.parameter.derived else walked.shown(self._values[name])

    def _is_new(self, walked: Walked, update: Update) -> bool:
        """Take over a change; whether it is one."""
        name, index = update.name, update.index
        if walked.parameter.derived:
            with self._lock:
                self._waiting[name] -= 1
                return not self._waiting[name]
        old: Any = self._values.get(name)
        if index is None:
            self._values[name] = update.value
            return walked.is_array or not _equal(old, update.value)
        if walked.is_array:
            # Rows of a list, or of an array that the core has shown to others as well.
            rows: Any = list(old)
            rows[index] = update.value
            self._values[name] = rows
            return True
        if old[index] == update.value:
            return False
        old[index] = update.value
        return True

    def _is_new_part(self, part: OfChannel) -> bool:
        if part.is_array:
            return True
        old, value = self._parts.get(part.name), self._value(part)
        self._parts[part.name] = value
        return not _equal(old, value)

    def _push_built_in(self, device: Any, name: str, value: Any) -> None:
        if self._shown.get(name) != value:
            self._shown[name] = value
            device.push_built_in(name, value)


def _own(walked: Walked, value: Any) -> Any:
    """Return a value of which the core may change elements as one of our own; it never changes a spectrum."""
    if isinstance(value, list):
        return list(value)
    return value.copy() if isinstance(value, np.ndarray) and not walked.is_array else value


def _equal(one: Any, other: Any) -> bool:
    return np.array_equal(one, other) if isinstance(other, np.ndarray) else one == other
