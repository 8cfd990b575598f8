"""The command `xsp3ioc`: the server, and what goes with it."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xsp3ioc import __version__
from xsp3ioc.receivers.terminal import INTERRUPTED, drop_output

if TYPE_CHECKING:
    from xsp3ioc.configuration import Configuration
    from xsp3ioc.tango_device import TangoDevice

COMMANDS = {
    "demo": "take 1000 frames with an emulated detector, write and plot them",
    "hardware-check": "look at a real system for the first time, and test what is believed about it",
    "emulator": "build a libxspress3.so that emulates an Xspress3, for other programs",
    "status": "show a running server at a glance",
    "list": "list the PVs of a running server",
    "get": "show all about PVs of a running server",
    "check": "prove that files are complete and right, or say what is missing or wrong",
    "info": "show what is in a file: when, from where, settings, rates, spectra",
    "plot": "draw the summed spectra of a file",
    "replay": "serve the frames of a file as an emulated detector's, or once through and compare",
    "salvage": "make a file that a crash left behind a good one",
    "keys": "make a pair of keys, for sockets that are open to known clients only",
    "screens": "show or copy the screens for CS-Studio Phoebus",
}
"""Each is a module of that name (`_` for `-`) with a `main(arguments) -> exit code`."""
CUT_SHORT = 1
"""The exit code of what could not say all that it had to."""
FORMATS = ("dbl", "table", "tsv")
"""Of a list of PVs."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the server's command line."""
    parser = argparse.ArgumentParser(
        prog="xsp3ioc",
        description="Serve an Xspress3 X-ray detector: Channel Access, data stream, NeXus files.",
        epilog="other commands:\n" + "\n".join(f"  xsp3ioc {name:14} {what}" for name, what in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"xsp3ioc {__version__}")
    hardware = parser.add_mutually_exclusive_group()
    hardware.add_argument("--emulate", action="store_true", default=None, help="an emulated detector, no hardware")
    hardware.add_argument("--library", metavar="PATH", help="the vendor's libxspress3.so")
    parser.add_argument("--replay", metavar="FILE", help="emulate, with the frames of this file")
    parser.add_argument("--replay-pace", choices=("clock", "reader"), help=argparse.SUPPRESS)
    parser.add_argument("--replay-end", choices=("wrap", "stop"), help=argparse.SUPPRESS)
    parser.add_argument("--config", metavar="FILE.toml", help="settings; what is given here wins over the file")
    parser.add_argument("--trace", metavar="FILE", help="record every call of the library in FILE")
    parser.add_argument("--prefix", metavar="P", help="macro P of all PV names (default: XSP3_<channels>Chan:)")
    parser.add_argument("-r", "--detector-prefix", metavar="R", help="macro R, of the detector's own PVs (det1:)")
    parser.add_argument("--channels", type=int, metavar="N", help="channels of the detector (default 4)")
    parser.add_argument("--listen", metavar="ADDR", help="address to serve on (default 127.0.0.1: this host only)")
    parser.add_argument("--ca-port", type=int, metavar="PORT", help="Channel Access port (default 5064)")
    parser.add_argument("--data-port", type=int, metavar="PORT", help="data stream (default 9999; 0: any free one)")
    parser.add_argument("--monitor-port", type=int, metavar="PORT", help="monitor socket (default 9998; 0: any)")
    parser.add_argument(
        "--stream-compression", choices=("none", "bslz4"), help="of the spectra on the data stream (default none)"
    )
    parser.add_argument(
        "--expect", type=lambda names: names.split(","), metavar="NAME,...",
        help="subscribers of the data stream without whom no series begins (writer: the server's own)",
    )
    parser.add_argument(
        "--expect-timeout", type=float, metavar="SECONDS", help="how long a start waits for them (default 10)"
    )
    parser.add_argument(
        "--legacy-port", type=int, metavar="PORT", help="publish for the receivers of xspress3-streamer (default: not)"
    )
    parser.add_argument(
        "--legacy-images", choices=("messages", "parts"),
        help="there a frame is three messages (default), or one of three parts",
    )  # fmt: skip
    parser.add_argument("--stream1-port", type=int, metavar="PORT", help="push as STINS, stream1 (default: not)")
    parser.add_argument("--tango", metavar="DEVICE", help="serve this Tango device too, e.g. test/xspress3/1")
    parser.add_argument("--nodb", action="store_true", default=None, help="serve it without a Tango database")
    parser.add_argument("--tango-port", type=int, metavar="PORT", help="its port (default 10123; 0: any free one)")
    parser.add_argument(
        "--fsync", type=float, metavar="SECONDS",
        help="put files on the disk itself so often, so that they survive a loss of power (default: never)",
    )  # fmt: skip
    parser.add_argument("--log-file", metavar="FILE", help="log here too, rotating")
    saving = parser.add_mutually_exclusive_group()
    saving.add_argument("--autosave", metavar="DIR", help="keep settings there (default: ~/.local/state/xsp3ioc)")
    saving.add_argument("--no-autosave", action="store_true", help="neither restore settings nor save them")
    parser.add_argument(
        "--write-access", metavar="RULE", help="who may write: everyone, host (this one), or [user@]host,..."
    )
    parser.add_argument("--list-pvs", action="store_true", help="list all PVs and end")
    parser.add_argument("--format", choices=FORMATS, help="of that list: names, a table, or all columns with tabs")
    parser.add_argument("-v", "--verbose", action="store_true", help="log to the terminal what happens")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server or one of the commands; return the exit code: 0 stopped, 2 wrong configuration."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if sys.stdout is None:  # closed by the shell, >&-
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        # Before they have handlers of their own. A server has begun nothing; what a command was to say is not said.
        return INTERRUPTED if arguments and arguments[0] in COMMANDS else 0
    except BrokenPipeError:
        # Whoever read our output has enough (head, less).
        drop_output()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # Commands say themselves what becomes of their files.
        drop_output()
        sys.stderr.write(f"xsp3ioc: the output cannot be written: {error.strerror}\n")
        return CUT_SHORT


def _run(arguments: list[str]) -> int:
    if arguments and arguments[0] in COMMANDS:
        return importlib.import_module(f"xsp3ioc.{arguments[0].replace('-', '_')}").main(arguments[1:])
    parser = make_parser()
    options, others = parser.parse_known_args(arguments)
    if others:
        unknown = f"unrecognized arguments: {' '.join(others)}"
        parser.error(unknown if others[0].startswith("-") else f"{unknown} ({_hint(others[0])})")
    from xsp3ioc.configuration import ConfigurationError

    try:
        configuration = configure(options)
        if options.list_pvs:
            configuration.check_values()
            server, detector = configuration.server, configuration.detector
            return _list_pvs(configuration.prefix, server.detector_prefix, detector.channels, options.format)
        from xsp3ioc.service import run

        device = None
        if configuration.server.tango:
            from xsp3ioc.tango_device import TangoDevice

            device = TangoDevice.named(configuration)
            device.configure = lambda: configure(options, device)  # at every Init too
            configuration = device.configure()
        return run(configuration, options.verbose, device)
    except ConfigurationError as error:
        sys.stderr.write(f"xsp3ioc: {error}\n")
        return 2


def configure(options: argparse.Namespace, device: TangoDevice | None = None) -> Configuration:
    """Return the configuration: of a file, then the properties of a device, then the command line."""
    from xsp3ioc.configuration import Configuration, read_configuration

    properties = device.properties() if device is not None else {}
    path = options.config or "".join(properties.get("Configuration", []))
    configuration = read_configuration(path) if path else Configuration()
    if device is not None:
        device.lay_over(configuration, properties)
    for table in (configuration.detector, configuration.server):
        for name in table.__struct_fields__:  # an option has the name of the key
            if (value := getattr(options, name, None)) is not None:
                setattr(table, name, value)
    if options.library:
        configuration.detector.emulate = False
    elif options.emulate:
        configuration.detector.library = ""
    _take_recording(configuration, options)
    if options.autosave:
        configuration.autosave.directory, configuration.autosave.enabled = options.autosave, True
    elif options.no_autosave:
        configuration.autosave.enabled = False
    if options.write_access:
        configuration.access.write = options.write_access
    return configuration


def _hint(word: str) -> str:
    return "a command comes first" if word in COMMANDS else f"commands are {', '.join(COMMANDS)}"


def _take_recording(configuration: Configuration, options: argparse.Namespace) -> None:
    """Let a file say what the emulated detector is like, if one is to be replayed."""
    if options.library:
        configuration.emulator.pop("replay", None)
    for key, value in (
        ("replay", options.replay), ("pace", options.replay_pace), ("replay_end", options.replay_end)
    ):  # fmt: skip
        if value is not None:
            configuration.emulator[key] = value
    if "replay" in configuration.emulator:
        from xsp3ioc.replay_source import take_over

        take_over(configuration)


def _list_pvs(prefix: str, r: str, channels: int, form: str | None) -> int:
    from xsp3ioc.list import write_lines
    from xsp3ioc.records import pv_table
    from xsp3ioc.stream.declared import Declared
    from xsp3ioc.stream.parameter import parameters

    write_lines(pv_table(parameters(Declared).values(), channels, prefix, r), form or "table")
    return 0


if __name__ == "__main__":
    sys.exit(main())
