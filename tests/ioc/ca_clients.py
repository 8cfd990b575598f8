"""What the tests' clients have in common; runs in the clients' processes only."""

from __future__ import annotations

import ctypes
import threading
import time

TIMEOUT = 60
"""Seconds after which a client has waited in vain; a machine that does much else takes long."""


def pvs(prefix, *names, **options):
    import epics

    found = [epics.PV(prefix + name, form="time", **options) for name in names]
    for pv in found:
        assert pv.wait_for_connection(TIMEOUT), pv.pvname
        pv.get_with_metadata = patient(pv.get_with_metadata)
    return found[0] if len(found) == 1 else found


def found(prefix, names):
    """Whether each of `names` is there; their values say whether it should be: it is waited for, or not for long."""
    import epics

    asked = [(epics.PV(prefix + name), there) for name, there in names.items()]
    return [pv.wait_for_connection(TIMEOUT if there else 1.0) for pv, there in asked]


def patient(get):
    """A get that does not give up after a second, and have no value then."""

    def ask(*arguments, timeout=None, **options):
        return get(*arguments, timeout=TIMEOUT if timeout is None else timeout, **options)

    return ask


def wait_until(condition, what="it"):
    import epics

    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        epics.ca.poll(0.001, 0.01)


class Put:
    """A put with ca_put_callback that shows the status which libca gives to C programs."""

    kept: list = []

    def __init__(self, pv, value, as_text=False):
        import epics
        from epics import dbr

        self.status = None
        self.ended = threading.Event()
        self.seconds = None
        start = time.monotonic()

        def done(arguments):
            self.status, self.seconds = arguments.status, time.monotonic() - start
            self.ended.set()

        self.callback = dbr.make_callback(done, dbr.event_handler_args)
        self.kept.append(self)
        kind = dbr.STRING if as_text else pv.chid and epics.ca.field_type(pv.chid)
        data = (1 * dbr.Map[kind])()
        if as_text:
            data[0].value = value.encode()
        else:
            data[0] = value
        status = epics.ca.libca.ca_array_put_callback(kind, 1, pv.chid, data, self.callback, ctypes.py_object(None))
        assert status == dbr.ECA_NORMAL
        epics.ca.libca.ca_flush_io()

    def wait(self):
        assert self.ended.wait(TIMEOUT), "the put-callback did not come"
        return self.status


ECA_NORMAL = 1
ECA_PUTFAIL = 160
ECA_NOWTACCESS = 376
INVALID, WRITE = 3, 2
