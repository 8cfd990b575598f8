"""Where the device is registered in a Tango database, if there is one, and the properties that it has there."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import tango

CLASS = "Xspress3DS"
PROPERTIES: dict[str, tuple[str, Any, str]] = {
    "HeaderPath": ("DevString", "/opt/xspress3-sdk/include", "Not used: the library's constants are built in"),
    "Name": ("DevString", "", "Name of the system's module"),
    "ConfigPath": ("DevString", "/home/xspress3/settings", "Directory of the calibration, restored by Init"),
    "StreamerPort": ("DevLong64", 9999, "Port of the data stream"),
    "MonitorPort": ("DevLong64", 9998, "Port of the monitor socket"),
    "BaseIP": ("DevString", "", "First IP address of the system; empty: the library's"),
    "BasePort": ("DevLong64", -1, "First port of the system; -1: the library's"),
    "BaseMAC": ("DevString", "", "First MAC address of the system; empty: the library's"),
    "ReturnCounters": ("DevBoolean", False, "Are window counts of every frame kept, for the commands Read..Counts"),
    "EventWidths": ("DevVarLong64Array", [], "Event width of each channel, over the calibration's; ticks"),
    "Library": ("DevString", "", "Path of the vendor's libxspress3.so; empty: where the linker looks"),
    "Emulate": ("DevBoolean", False, "Serve an emulated detector"),
    "Channels": ("DevLong64", 0, "Channels that are read out; not set: all that there are"),
    "Listen": ("DevString", "", "Address to serve on; not set: this host only, unless the database is elsewhere"),
    "Configuration": ("DevString", "", "Path of a configuration file (TOML), for all other settings"),
}
"""Tango type, value if it is not set, and meaning of each."""
PING = 3000
"""Milliseconds for a database, or another server of the device, to answer."""


class RegistrationError(ValueError):
    """The device cannot be served like this; says what to do."""


class Place(NamedTuple):
    """As what a device is served."""

    device: str
    instance: str
    database: str = ""
    """`host:port`; empty: there is none."""
    new: bool = False
    """It was registered there for this."""

    def properties(self) -> dict[str, list[str]]:
        """Return those that are defined, as the database has them; RegistrationError if it does not answer."""
        if not self.database:
            return {}
        try:
            found = _database(self.database).get_device_property(self.device, list(PROPERTIES))
        except tango.DevFailed as error:
            raise RegistrationError(_down(self.database, error)) from None
        return {name: list(values) for name, values in found.items() if len(values)}


def known_database() -> str:
    """Return the database that TANGO_HOST names, in the environment or in a tangorc file; empty if it does not."""
    # As an answer PyTango has None, or the text of an error, depending on what is missing.
    found = os.environ.get("TANGO_HOST") or tango.ApiUtil.get_env_var("TANGO_HOST") or ""
    return found.strip()


def place_of_device(device: str, database: str) -> Place:
    """Return where a device is registered, if it is not: after that; RegistrationError if that cannot be."""
    if not database:
        return Place(device, device.replace("/", "-"))
    try:
        db = _database(database)
        try:
            info = db.get_device_info(device)
        except tango.DevFailed as error:
            if error.args[0].reason != "DB_DeviceNotDefined":
                raise
            instance = device.replace("/", "-")
            new = tango.DbDevInfo()
            new.name, new.server = device, f"{CLASS}/{instance}"
            new._class = CLASS  # noqa: SLF001  PyTango's name for what is a keyword
            db.add_device(new)
            return _free(Place(device, instance, database, new=True))
        if info.class_name != CLASS:
            raise RegistrationError(
                f"{device} is registered as a device of class {info.class_name} in the Tango database at {database}; "
                f"choose another name, or delete it there"
            )
        return place_of_instance(info.ds_full_name.partition("/")[2], database)
    except tango.DevFailed as error:
        raise RegistrationError(_down(database, error)) from None


def place_of_instance(instance: str, database: str) -> Place:
    """Return the one device that is registered for a server of that name; RegistrationError if it is not one."""
    server = f"{CLASS}/{instance}"
    try:
        devices = list(_database(database).get_device_name(server, CLASS))
    except tango.DevFailed as error:
        raise RegistrationError(_down(database, error)) from None
    if len(devices) != 1:
        raise RegistrationError(
            f"{server} has {len(devices)} devices in the Tango database at {database}, not 1: "
            + (
                f"give {', '.join(devices[1:])} servers of their own; a process holds one detector"
                if devices
                else f"register one, e.g. tango_admin --add-server {server} {CLASS} test/xspress3/1"
            )
        )
    return _free(Place(devices[0], instance, database))


def _free(place: Place) -> Place:
    """Raise RegistrationError if another process serves the device."""
    info = _database(place.database).get_device_info(place.device)
    if info.exported and _alive(f"tango://{place.database}/{place.device}"):
        host = tango.DeviceProxy(f"tango://{place.database}/{place.device}").info().server_host
        raise RegistrationError(f"{place.device} is served already, by process {info.pid} on {host}: end that first")
    return place


def _alive(name: str) -> bool:
    try:
        device = tango.DeviceProxy(name)
        device.set_timeout_millis(PING)
        device.ping()
    except tango.DevFailed:
        return False
    return True


def _database(database: str) -> tango.Database:
    host, _, port = database.partition(",")[0].rpartition(":")
    if not host or not port.isdigit():
        raise RegistrationError(f"TANGO_HOST = {database} is not like host:10000")
    return tango.Database(host, int(port))


def _down(database: str, error: tango.DevFailed) -> str:
    why = error.args[0].desc.strip().splitlines()[0]
    return f"The Tango database at {database} does not answer: start it, or serve without one by --nodb ({why})"
