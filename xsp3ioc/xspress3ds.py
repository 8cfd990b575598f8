"""The command `Xspress3DS`: the Tango device alone, started as every Tango server is, by hand or by a Starter."""

from __future__ import annotations

import ctypes.util
import re
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from xsp3ioc.__main__ import configure, make_parser
from xsp3ioc.configuration import Configuration, ConfigurationError
from xsp3ioc.tango_device import TangoDevice, import_tango

if TYPE_CHECKING:
    import argparse

    from xsp3ioc.tango.registration import Place

USAGE = """usage: Xspress3DS INSTANCE [-v[LEVEL]] [options of xsp3ioc]
       Xspress3DS INSTANCE -nodb -dlist a/b/c [-ORBendPoint giop:tcp:HOST:PORT] [options of xsp3ioc]

Serve the Xspress3 to Tango only. The device is the one registered for Xspress3DS/INSTANCE in the database that
TANGO_HOST names; its properties say the rest. With -nodb there is no database. xsp3ioc --help has the other options,
--emulate and --config among them.
"""
ENDPOINT = re.compile(r"giop:tcp:([^:]*):(\d*)")


class Words(NamedTuple):
    """What Tango's own words on the command line say."""

    instance: str
    nodb: bool
    devices: list[str]
    endpoint: re.Match[str] | None
    options: list[str]
    """For Tango."""
    rest: list[str]
    """For the server."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal or Kill; return the exit code: 0 stopped, 2 it cannot start like this."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in ("-?", "-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if arguments else 2
    try:
        return _run(_read(arguments))
    except ConfigurationError as error:
        sys.stderr.write(f"Xspress3DS: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 0  # before there are handlers: nothing has begun


def _read(arguments: Sequence[str]) -> Words:
    """Sort what is Tango's from what is ours; ConfigurationError if it makes no sense."""
    instance, *left = arguments
    if instance.startswith("-"):
        raise ConfigurationError("the name of the instance comes first: Xspress3DS INSTANCE ...")
    nodb, devices, endpoint = False, "", None
    options: list[str] = []
    rest: list[str] = []
    while left:
        word = left.pop(0)
        if word in ("-nodb", "--nodb"):
            nodb = True
        elif re.fullmatch(r"-v\d*", word):
            options.append(word)
            rest.append("-v")
        elif word == "-dlist" or word.startswith("-ORB"):
            if not left:
                raise ConfigurationError(f"{word} needs a value behind it")
            value = left.pop(0)
            if word == "-dlist":
                devices = value
            elif word != "-ORBendPoint":
                options += [word, value]
            elif (endpoint := ENDPOINT.fullmatch(value)) is None:
                raise ConfigurationError(f"-ORBendPoint {value} is not like giop:tcp:HOST:PORT")
        elif word.startswith("-file"):
            raise ConfigurationError(f"{word}: properties are in the database, or in the file of --config")
        else:
            rest.append(word)
    return Words(instance, nodb, [name for name in devices.split(",") if name], endpoint, options, rest)


def _run(words: Words) -> int:
    import_tango("Xspress3DS")
    options = make_parser().parse_args(words.rest)
    device = TangoDevice(_place(words), words.options, options.channels is None and not options.config)
    device.configure = lambda: _configure(options, words, device)
    from xsp3ioc.service import run

    return run(device.configure(), options.verbose, device)


def _place(words: Words) -> Place:
    from xsp3ioc.tango.registration import Place, RegistrationError, known_database, place_of_instance

    if words.nodb:
        if len(words.devices) != 1:
            raise ConfigurationError("-nodb needs the name of one device: -nodb -dlist a/b/c")
        return Place(words.devices[0], words.instance)
    if words.devices:
        raise ConfigurationError("-dlist goes with -nodb; with a database, the device is the one registered there")
    database = known_database()
    if not database:
        raise ConfigurationError(
            "TANGO_HOST names no database: export TANGO_HOST=host:10000, or serve without one: -nodb -dlist a/b/c"
        )
    try:
        return place_of_instance(words.instance, database)
    except RegistrationError as error:
        raise ConfigurationError(str(error)) from None


def _configure(options: argparse.Namespace, words: Words, device: TangoDevice) -> Configuration:
    """Return the configuration, with the defaults of a Tango server where nobody says otherwise."""
    configuration = configure(options, device)
    server, hardware = configuration.server, configuration.detector
    server.channel_access = False
    if not options.autosave:
        configuration.autosave.enabled = False  # the database memorizes what is to be memorized
    if words.endpoint is not None:
        server.listen, server.tango_port = words.endpoint[1] or "0.0.0.0", int(words.endpoint[2] or 0)
    else:
        server.tango_port = options.tango_port or 0
        if options.listen is None and "Listen" not in device.said and not _on_this_host(device.place.database):
            server.listen = "0.0.0.0"  # as its database, it is there for other hosts
    if not hardware.library and not hardware.emulate:
        hardware.library = ctypes.util.find_library("xspress3") or ""
        if not hardware.library:
            raise ConfigurationError(
                "libxspress3 is not where the linker looks: set the property Library to its path, or --library PATH; "
                "without hardware, the property Emulate to true, or --emulate"
            )
    return configuration


def _on_this_host(database: str) -> bool:
    """Whether others cannot reach it; true if there is none."""
    if not database:
        return True
    try:
        return socket.gethostbyname(database.rpartition(":")[0]).startswith("127.")
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
