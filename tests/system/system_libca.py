"""A libca client (pyepics), run in a `Desk`; ca_clients has what libca says of a put-callback."""

from __future__ import annotations

import time
from typing import NamedTuple

from ca_clients import TIMEOUT, Put


class Reading(NamedTuple):
    """What a record shows."""

    value: object
    status: int
    severity: int
    time: float


class LibcaClient:
    """Names are relative to the prefix; values of enumerations are numbers."""

    def __init__(self, prefix: str):
        self._prefix = prefix
        self._pvs: dict = {}
        self._puts: dict = {}
        self._seen: dict = {}

    def _pv(self, name):
        import epics

        pv = self._pvs.get(name)
        if pv is None:
            pv = self._pvs[name] = epics.PV(self._prefix + name, form="time", auto_monitor=False)
            assert pv.wait_for_connection(TIMEOUT), pv.pvname
        return pv

    def begin(self, name, value, key=None):
        """Begin a put with callback; `put_status` says how it ended."""
        pv = self._pv(name)
        if pv.type.endswith("char"):
            self._puts[key or name] = PutText(pv, value)
        else:
            self._puts[key or name] = Put(pv, value, isinstance(value, str))

    def put_status(self, key):
        """How a put ended: ECA status."""
        return self._puts.pop(key).wait()

    def is_open(self, key):
        return not self._puts[key].ended.is_set()

    def put(self, name, value):
        """Put and wait for the callback: ECA status and seconds."""
        self.begin(name, value)
        put = self._puts.pop(name)
        return put.wait(), put.seconds

    def set(self, **values):
        """Puts that must succeed; `__` stands for `:`."""
        for name, value in values.items():
            name = name.replace("__", ":")
            name = name if ":" in name else f"det1:{name}"
            status, _ = self.put(name, value)
            assert status == 1, (name, value, status, self.get("det1:StatusMessage_RBV"))

    def throw(self, name, values):
        """Puts without callback, as fast as they go."""
        self.throw_all([(name, value) for value in values])

    def throw_all(self, puts):
        """The same to several records, (name, number)."""
        import epics

        pvs = [self._pv(name) for name, _ in puts]
        for pv, (_, value) in zip(pvs, puts, strict=True):
            number = epics.ca.ctypes.c_double(value)
            epics.ca.libca.ca_array_put(epics.dbr.DOUBLE, 1, pv.chid, epics.ca.ctypes.byref(number))
        epics.ca.libca.ca_flush_io()

    def get(self, name):
        """The value now, long text as text."""
        pv = self._pv(name)
        value = pv.get(use_monitor=False, as_string=pv.type.endswith(("char", "string")), timeout=TIMEOUT)
        assert value is not None, f"no answer for {name}"
        return value

    def gets(self, *names):
        return [self.get(name) for name in names]

    def read(self, name):
        pv = self._pv(name)
        found = pv.get_with_metadata(use_monitor=False, timeout=TIMEOUT)
        assert found is not None, f"no answer for {name}"
        return Reading(found["value"], found["status"], found["severity"], found["timestamp"])

    def monitor(self, *names):
        """Remember all updates of these from now on."""
        import epics

        for name in names:
            seen = self._seen[name] = []

            def hear(seen=seen, **update):
                seen.append(Reading(update["value"], update["status"], update["severity"], update["timestamp"]))

            pv = self._pvs["monitor " + name] = epics.PV(self._prefix + name, callback=hear, form="time")
            assert pv.wait_for_connection(TIMEOUT), pv.pvname
            self.wait(lambda seen=seen: seen, name)

    def seen(self, name):
        """All updates since `monitor`, or since this was asked last."""
        seen = self._seen[name]
        taken = seen[:]
        del seen[: len(taken)]
        return taken

    def last(self, *names):
        """What the monitors of these have brought last."""
        return [self._seen[name][-1] for name in names]

    def wait_for(self, name, value, seconds=TIMEOUT):
        """Until a record shows a value."""
        self.wait(lambda: self.get(name) == value, f"{name} = {value}", seconds)

    def wait_for_severity(self, name, severity, seconds=TIMEOUT):
        self.wait(lambda: self.read(name).severity == severity, f"{name} of severity {severity}", seconds)

    def wait_above(self, name, value, seconds=TIMEOUT):
        self.wait(lambda: self.get(name) > value, f"{name} > {value}", seconds)

    def wait(self, condition, what, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{what} did not come; {self.get('det1:StatusMessage_RBV')}"
            time.sleep(0.01)


class PutText(Put):
    """The same for long text: an array of characters."""

    def __init__(self, pv, value):
        import ctypes
        import threading

        import epics
        from epics import dbr

        self.status = self.seconds = None
        self.ended = threading.Event()
        start = time.monotonic()

        def done(arguments):
            self.status, self.seconds = arguments.status, time.monotonic() - start
            self.ended.set()

        self.callback = dbr.make_callback(done, dbr.event_handler_args)
        self.kept.append(self)
        data = ctypes.create_string_buffer(value.encode())
        status = epics.ca.libca.ca_array_put_callback(
            dbr.CHAR, len(data), pv.chid, data, self.callback, ctypes.py_object(None)
        )
        assert status == dbr.ECA_NORMAL
        epics.ca.libca.ca_flush_io()
