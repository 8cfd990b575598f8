"""A Tango client of attributes, run in a `Desk`, and of many threads at once."""

from __future__ import annotations

import threading
import time

from tango_client import TIMEOUT, TangoClient


class TangoWalker(TangoClient):
    """Arrays are lists; what is refused is returned as (reason, words)."""

    def __init__(self, name):
        super().__init__(name)
        self._name = name

    def names(self):
        return list(self._proxy.get_attribute_list())

    def read(self, name):
        """Value, what was written last, quality, time."""
        got = self._proxy.read_attribute(name)
        return plain(got.value), plain(got.w_value), str(got.quality), got.time.totime()

    def value(self, name):
        return plain(self._proxy.read_attribute(name).value)

    def values(self, *names):
        return [plain(got.value) for got in self._proxy.read_attributes(names)]

    def write(self, name, value):
        """Empty, or why not."""
        return self._write(name, value)

    def write_as(self, name, kind, value):
        """The same, as a client does that takes the attribute for one of another type."""
        import tango

        info = self._proxy.get_attribute_config(name)
        info.data_type = getattr(tango.CmdArgType, kind)
        return self._write(info, value)

    def _write(self, name, value):
        import tango

        try:
            self._proxy.write_attribute(name, value)
        except tango.DevFailed as refused:
            return refused.args[0].reason, refused.args[0].desc
        return ()

    def configuration(self, *names):
        """What Tango's clients are told about attributes."""
        infos = self._proxy.get_attribute_config_ex(list(names) or self.names())
        return {info.name: describe(info) for info in infos}

    def wait_for_value(self, name, value):
        deadline = time.monotonic() + TIMEOUT
        while (found := self.value(name)) != value:
            assert time.monotonic() < deadline, (name, found, value)
            time.sleep(0.01)

    # events

    def listen(self, kind, *names):
        """Keep values, qualities and times of all events of a kind (change, archive) from now on."""
        import tango

        self._events |= {(kind, name): [] for name in names}
        for name in names:
            event_type = getattr(tango.EventType, f"{kind.upper()}_EVENT")
            self._proxy.subscribe_event(name, event_type, Listener(self._events[kind, name]))

    def heard(self, kind, name, last, least=1, seconds=TIMEOUT):
        """All that was pushed since, the first value included, once `last` is the last of `least` or more."""
        events = self._events[kind, name]
        deadline = time.monotonic() + seconds
        while len(events) < least or events[-1][0] != last:
            assert time.monotonic() < deadline, f"{last!r} did not come: {len(events)} events, {events[-3:]}"
            time.sleep(0.01)
        return events[:]

    # storms

    def storm(self, calls, threads, names):
        """So many calls from all threads together, State and attributes in turn; their times, s, and refusals."""
        import tango

        taken, refusals = [], []

        def call(first):
            with tango.EnsureOmniThread():
                proxy = tango.DeviceProxy(self._name)
                proxy.set_timeout_millis(1000 * TIMEOUT)
                for number in range(first, calls, threads):
                    name = names[number // threads % len(names)]
                    begun = time.perf_counter()
                    try:
                        proxy.state() if name == "State" else proxy.read_attribute(name)
                    except tango.DevFailed as refused:
                        refusals.append(refused.args[0].desc)
                    taken.append(time.perf_counter() - begun)

        run_all([threading.Thread(target=call, args=(first,)) for first in range(threads)])
        return taken, refusals

    def write_series(self, last, names):
        """Write 1..last to each of these, all at once, a thread for each; refusals."""
        import tango

        refusals = []

        def write(name):
            with tango.EnsureOmniThread():
                proxy = tango.DeviceProxy(self._name)
                proxy.set_timeout_millis(1000 * TIMEOUT)
                for number in range(1, last + 1):
                    try:
                        proxy.write_attribute(name, number)
                    except tango.DevFailed as refused:
                        refusals.append((name, number, refused.args[0].desc))

        run_all([threading.Thread(target=write, args=(name,)) for name in names])
        return refusals


class Listener:
    """Keeps what is pushed; PyTango calls it in a thread of its own."""

    def __init__(self, events):
        self._events = events

    def push_event(self, event):
        if event.err:
            self._events.append((event.errors[0].desc, "", 0.0))
        else:
            got = event.attr_value
            self._events.append((plain(got.value), str(got.quality), got.time.totime()))


def describe(info):
    import tango

    return {
        "type": str(tango.CmdArgType(info.data_type)),
        "format": str(info.data_format).rpartition(".")[2],
        "access": str(info.writable).rpartition(".")[2],
        "size": (info.max_dim_x, info.max_dim_y),
        "unit": info.unit,
        "limits": (info.min_value, info.max_value),
        "label": info.label,
        "doc": info.description,
        "display": info.format,
        "level": str(info.disp_level).rpartition(".")[2],
        "labels": list(info.enum_labels),
        "memorized": str(info.memorized).rpartition(".")[2],
    }


def plain(value):
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return str(value) if type(value).__name__ == "DevState" else value


def run_all(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
