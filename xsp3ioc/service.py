"""The server: core and faces in one process, from the first log line to the last."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

import msgspec

from xsp3ioc import log_lines
from xsp3ioc.access import WriteAccess
from xsp3ioc.assembly import count_channels, make_detector
from xsp3ioc.autosave import Autosave
from xsp3ioc.configuration import Configuration, ConfigurationError
from xsp3ioc.opening import open_library
from xsp3ioc.stream.detector import Detector

if TYPE_CHECKING:
    from xsp3ioc.server import Address
    from xsp3ioc.tango.face import TangoFace
    from xsp3ioc.tango_device import TangoDevice

log = logging.getLogger(__name__)

RESTART = 75
"""Exit code that asks the supervisor to start the server anew (EX_TEMPFAIL)."""
IMPATIENT = 0.5
"""Seconds after which another signal means that somebody does not want to wait."""
SHUTDOWN = 8.0
"""Seconds for the core to stop, close its file and say the end on the stream."""


def run(configuration: Configuration, verbose: bool = False, device: TangoDevice | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code. ConfigurationError: it cannot start like this.

    `device`: what is served to Tango; None: nothing.
    """
    # Until the loop has handlers of its own; the writer ends by itself when we do.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    configuration.check()
    access = configuration.write_access()
    _set_up_logging(configuration.server.log_file, verbose)
    # With the default of 5 ms a busy main thread takes the acquisition thread's turns: 35,800 frames/s became 4,400.
    sys.setswitchinterval(0.001)
    with open_library(configuration, {"command": "server"}) as library:
        if device is not None and device.asks_channels:
            configuration.detector.channels = count_channels(configuration, library)
        detector = make_detector(configuration, library)
        autosave = Autosave(configuration, detector)
        try:
            return asyncio.run(_serve(configuration, detector, access, autosave, device))
        finally:
            autosave.close()
            logging.shutdown()


def _set_up_logging(log_file: str, verbose: bool) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    # What there is below is for the PV LogLevel to say.
    handlers[0].setLevel(logging.NOTSET if verbose else logging.WARNING)
    if log_file:
        try:
            handlers.append(RotatingFileHandler(log_file, maxBytes=10_000_000, backupCount=5))
        except OSError as error:
            raise ConfigurationError(f"Cannot write the log file {log_file}: {error.strerror}") from None
    for handler in handlers:
        handler.setFormatter(log_lines.Formatter())
    logging.basicConfig(level=logging.INFO, handlers=handlers)
    logging.getLogger("caproto").setLevel(logging.WARNING)
    # Any client can make it log, as often as it likes.
    logging.getLogger("caproto.circ").addFilter(log_lines.WithoutTraceback())


def _reopen_log() -> None:
    """Go on in a new file, after logrotate has taken the old one."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RotatingFileHandler):
            handler.close()
            # It opens its file again for the next line; only a closed stream of None tells it to.
            handler.stream = None
    log.info("SIGHUP: log file opened again")


async def _serve(
    configuration: Configuration,
    detector: Detector,
    access: WriteAccess,
    autosave: Autosave,
    device: TangoDevice | None,
) -> int:
    # Imported here: what only lists PVs or finds its configuration wrong does not pay for it.
    from xsp3ioc.attribute_client import OwnRecords, RecordClient
    from xsp3ioc.ioc import serve

    loop = asyncio.get_running_loop()
    asked, over = asyncio.Event(), asyncio.Event()

    # Before our handlers: PyTango would take SIGINT away from them.
    tango = None
    if device is not None:
        tango = device.start(configuration, detector, lambda: loop.call_soon_threadsafe(asked.set))

    first = 0.0

    def end(signum: int) -> None:
        nonlocal first
        if asked.is_set() and time.monotonic() - first < IMPATIENT:
            return  # `timeout` and terminals signal the process and then its group
        if asked.is_set():
            log.error("%s again: leaving at once", signal.Signals(signum).name)
            os._exit(1)
        log.info("%s: stopping", signal.Signals(signum).name)
        first = time.monotonic()
        asked.set()

    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, end, signum)
    loop.add_signal_handler(signal.SIGHUP, _reopen_log)
    detector.on_restart = lambda: loop.call_soon_threadsafe(asked.set)

    async def shut_down() -> None:
        await asked.wait()
        # The clients see the end of the series and of the file before their server goes.
        await loop.run_in_executor(None, detector.shut_down, SHUTDOWN)
        over.set()

    def started(address: Address | None) -> None:
        autosave.start()
        if address is not None:
            _answer_about_pvs(configuration, detector, address)
        if configuration.server.connect:
            detector.put("connect", True, who="server")
        # What lives as long as the server is not looked through again: that took all threads' turns for 40 ms.
        gc.freeze()
        _say_hello(configuration, detector, address, tango, device.notes if device is not None else ())

    ending = asyncio.create_task(shut_down())
    server = configuration.server
    own = OwnRecords(detector, configuration.prefix, server.detector_prefix, detector.record_values.show)
    records = RecordClient(detector.record_values, own)
    detector.put("attributes_file", detector.attributes_file, who="server")  # there may be such a file
    try:
        if server.channel_access:
            await serve(
                detector,
                prefix=configuration.prefix,
                r=server.detector_prefix,
                listen=server.listen,
                port=server.ca_port,
                access=access,
                keep=autosave.restore,
                legacy=server.legacy_names,
                started=started,
                stop=over,
            )
        else:
            started(None)
            await over.wait()
    except OSError as error:
        detector.shut_down(2.0)
        ending.cancel()
        raise ConfigurationError(f"Cannot serve Channel Access on {server.listen}: {error}") from None
    finally:
        await records.close()
        if tango is not None:
            tango.close()
    await ending
    return RESTART if detector.restarting else 0


def _answer_about_pvs(configuration: Configuration, detector: Detector, address: Address) -> None:
    """Have the monitor socket say what `xsp3ioc list` and `xsp3ioc get` ask."""
    from xsp3ioc.get import Place
    from xsp3ioc.ioc import pv_table
    from xsp3ioc.list import Lines

    prefix, r = configuration.prefix, configuration.server.detector_prefix
    place = msgspec.json.encode(Place(address.tcp_port, prefix, r))

    @functools.cache
    def lines() -> bytes:
        # Megabytes that are kept: to make them takes all threads' turns for up to a second, and anybody may ask.
        table = pv_table(detector.parameters.values(), detector.channels, prefix, r)
        return msgspec.json.encode(Lines(table))

    detector.answers.of_faces |= {"address": lambda: [place], "records": lambda: [lines()]}


def _neighbour(address: Address | None) -> list[str]:
    if address is None or address.tcp_port == address.search_port:
        return []
    return [
        f"  NOTE: another server has port {address.search_port}, this one has {address.tcp_port}; clients find both.",
        "        They must not have the same --prefix.",
    ]


def _say_hello(
    configuration: Configuration,
    detector: Detector,
    address: Address | None,
    tango: TangoFace | None,
    notes: Iterable[str],
) -> None:
    """Tell a person what is served, where, and how to reach it; `notes`: about Tango's device."""
    hardware = configuration.detector
    what = "an emulated Xspress3" if hardware.emulate else f"the Xspress3 behind {hardware.library}"
    p, r = configuration.prefix, configuration.server.detector_prefix
    listen = configuration.server.listen
    pvs = f"{p}{r}Acquire, {p}HDF1:Capture, {p}MCA1:ArrayData ...   (all: --list-pvs)"
    lines = [
        f"Serving {what}: {hardware.channels} channels, {detector.values['size_x']} bins",
        *([f"  Channel Access  {pvs}"] if address else []),
        *([f"  Tango           {tango.device_name('127.0.0.1' if listen == '0.0.0.0' else listen)}"] if tango else []),
        *notes,
        *_neighbour(address),
        f"  data stream     {detector.data.endpoint}   (xsp3-print, xsp3-write)",
        f"  monitor         {detector.monitor.endpoint}",
        *(f"  {name + ' stream':15} {stream.endpoint}" for name, stream in detector.beside.items()),
    ]
    if address:
        lines.append("To reach it from this host:")
        lines += [f"  export {name}={value}" for name, value in address.environment().items()]
    if listen.startswith("127."):
        lines.append("Other hosts cannot reach it; --listen 0.0.0.0 lets them.")
    else:
        others = address.environment(local=False) if address else {}
        lines.append(f"To reach it from another host ({socket.gethostname()}):")
        lines += [f"  export {name}={value}" for name, value in others.items()]
        lines += [f"  Tango device {tango.device_name(socket.gethostname())}"] if tango else []
    lines.append("Ctrl-C stops it.")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
