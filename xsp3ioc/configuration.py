"""The server's settings: built-in, then the configuration file, then the command line."""

from __future__ import annotations

import ipaddress
import re
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from xsp3ioc.access import EVERYONE, WriteAccess
from xsp3ioc.sdk import PRODUCTS, Connection, EmulatorSettings, GapMode
from xsp3ioc.stream.messages import COMPRESSIONS
from xsp3ioc.stream.subscriber import LONGEST_NAME

MOST_CARDS = 16
LONGEST_WAIT = 60
"""s for subscribers that are expected: no other command is done meanwhile."""

GAPS = {"25 ns": GapMode.ns25, "200 ns": GapMode.ns200, "500 ns": GapMode.ns500, "1 us": GapMode.us1}
"""Between two frames that the detector times itself."""
REPLAY = ("replay", "replay_end")
"""Keys of `[emulator]` that say whose frames it shows, and what comes after the last one: wrap or stop."""

MESSAGES, PARTS = IMAGES = ("messages", "parts")
"""Of a frame: three messages, or one of three parts."""


class ConfigurationError(ValueError):
    """The server cannot start with these settings; the message is one line for its user."""


class Serve(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`[server]`: what is served where."""

    prefix: str = ""
    """Macro P; empty: XSP3_<channels>Chan:"""
    detector_prefix: str = "det1:"
    """Macro R."""
    legacy_names: bool = False
    """Records answer to the names of the vendor's server of before 2017 too."""
    listen: str = "127.0.0.1"
    ca_port: int | None = None
    data_port: int = 9999
    monitor_port: int = 9998
    stream_compression: str = "none"
    """Of the spectra on the data socket, one of `COMPRESSIONS`; each subscriber may ask for another."""
    expect: list[str] = []
    """Subscribers of the data stream without whom no series begins, by name; `writer` is the server's own."""
    expect_timeout: float = 10.0
    """s in which they have to come."""
    legacy_port: int | None = None
    """Of a publisher for the receivers of xspress3-streamer; none: there is none."""
    legacy_images: str | None = None
    """How it sends a frame, one of `IMAGES`; none: as `MESSAGES`."""
    stream1_port: int | None = None
    """Of a PUSH of STINS ("stream1"); none: there is none."""
    curve_key: str = ""
    """File with the secret key of the data and monitor sockets, which are encrypted then; empty: they are not."""
    curve_clients: str = ""
    """Directory with the public keys of all clients that they take."""
    tango: str = ""
    """Name of the Tango device to serve too."""
    tango_port: int = 10123
    nodb: bool = False
    """Serve it without a Tango database, even if there is one (TANGO_HOST)."""
    channel_access: bool = True
    return_counters: bool = False
    """Keep the window counts of every frame of a series, for Tango's commands that return them."""
    pool: int = 1024
    """MiB of memory for frames that wait for the file or a subscriber."""
    fsync: float = 0.0
    """s between two times that what was written is put on the disk itself, for a loss of power; 0: never."""
    connect: bool = True
    """Open the system at start. Nothing ever starts to acquire by itself."""
    log_file: str = ""


class Access(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`[access]`: who may write through Channel Access."""

    write: str | list[str] = EVERYONE


class Autosave(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`[autosave]`: settings that outlive the server."""

    enabled: bool = True
    directory: str = ""
    """Empty: xsp3ioc in XDG_STATE_HOME."""
    restore_calibration: bool = False
    """What was put over the calibration's windows, thresholds and event widths is put over them again at CONNECT."""


class Hardware(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`[detector]`: the library and the system behind it."""

    library: str = ""
    emulate: bool = False
    channels: int = 4
    cards: int = 1
    ring_frames: int = 16384
    settings: str = ""
    """Directory of the calibration (CONFIG_PATH)."""
    event_widths: list[int] = []
    """Of each channel, in ticks, over the calibration's; used only if there are as many as channels."""
    gap: str = ""
    """Between two frames, a key of `GAPS`; empty: 1 us, and 25 ns where Tango is served, as its clients know it."""
    base_ip: str | None = None
    base_port: int = -1
    base_mac: str | None = None
    module_name: str | None = None
    debug: int = 0
    trace: str = ""
    """Record every call of the library in this file."""

    @property
    def connection(self) -> Connection:
        """How the system is opened."""
        return Connection(
            cards=self.cards,
            frames=self.ring_frames,
            channels=self.channels,
            base_ip=self.base_ip,
            base_port=self.base_port,
            base_mac=self.base_mac,
            module_name=self.module_name,
            debug=self.debug,
        )


class Configuration(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """All of it."""

    server: Serve = msgspec.field(default_factory=Serve)
    detector: Hardware = msgspec.field(default_factory=Hardware)
    access: Access = msgspec.field(default_factory=Access)
    autosave: Autosave = msgspec.field(default_factory=Autosave)
    emulator: dict[str, Any] = {}
    """Fields of `EmulatorSettings`, where `channels` and `cards` are the detector's; and those of `REPLAY`."""
    parameters: dict[str, Any] = {}
    """First values of the detector's parameters, by name."""

    @property
    def gap(self) -> GapMode:
        """Gap between two frames."""
        return GAPS[self.detector.gap or ("25 ns" if self.server.tango else "1 us")]

    @property
    def prefix(self) -> str:
        """Macro P."""
        return self.server.prefix or f"XSP3_{self.detector.channels}Chan:"

    def check(self) -> None:
        """Raise ConfigurationError for what no server could start with."""
        self.check_values()
        hardware = self.detector
        if hardware.emulate and hardware.library:
            raise ConfigurationError("Choose one: --emulate or --library, not both")
        if not hardware.emulate and not hardware.library:
            raise ConfigurationError("Say what to serve: --emulate (no hardware) or --library PATH of libxspress3.so")

    def check_values(self) -> None:
        """Raise ConfigurationError for a number or name that makes no sense, whatever is served."""
        hardware = self.detector
        for what, value, low, high in (
            ("channels", hardware.channels, 1, 256),
            ("cards", hardware.cards, 1, MOST_CARDS),
            ("ring_frames", hardware.ring_frames, 4, 1 << 20),
            ("pool", self.server.pool, 1, 1 << 20),
            ("fsync", self.server.fsync, 0, 3600),
            ("expect_timeout", self.server.expect_timeout, 0, LONGEST_WAIT),
        ):
            if not low <= value <= high:
                raise ConfigurationError(f"{what} = {value} is outside {low}..{high}")
        try:
            ipaddress.IPv4Address(self.server.listen)
        except ValueError:
            raise ConfigurationError(
                f"listen = {self.server.listen!r} is no IPv4 address: 127.0.0.1 (this host only), 0.0.0.0 (every "
                "network), or one of this host's own"
            ) from None
        if not all(self.server.expect):
            raise ConfigurationError("expect has an empty name: give names of subscribers, as in --expect writer,map")
        if long := [name for name in self.server.expect if len(name) > LONGEST_NAME]:
            raise ConfigurationError(f"expect: {long[0]} is longer than {LONGEST_NAME} letters, no subscriber is")
        if hardware.gap not in ("", *GAPS):
            raise ConfigurationError(f"gap = {hardware.gap} is none of {', '.join(GAPS)}")
        if self.server.stream_compression not in COMPRESSIONS:
            raise ConfigurationError(
                f"stream_compression = {self.server.stream_compression} is none of {', '.join(COMPRESSIONS)}"
            )
        for macro in ("prefix", "detector_prefix"):
            if re.search(r"[\s,]|[^ -~]", name := getattr(self.server, macro)):
                raise ConfigurationError(f"{macro} = {name!r} cannot begin the name of a record: no spaces or commas")
        if self.server.tango and not re.fullmatch(r"[^/\s,#:*-][^/\s,#:*]*(/[^/\s,#:*]+){2}", self.server.tango):
            raise ConfigurationError(f"tango = {self.server.tango} is no device name like test/xspress3/1")
        images = self.server.legacy_images
        if images is not None and images not in IMAGES:
            raise ConfigurationError(f"legacy_images = {images} is none of {', '.join(IMAGES)}")
        if images is not None and self.server.legacy_port is None:
            raise ConfigurationError(
                f"legacy_images = {images} is of no effect without a port: "
                "add --legacy-port PORT, or legacy_port = PORT under [server]"
            )
        for name in ("data_port", "monitor_port", "legacy_port", "stream1_port", "tango_port"):
            port = getattr(self.server, name)
            if port is not None and not 0 <= port <= 65535:
                raise ConfigurationError(f"{name} = {port} is outside 0..65535 (0: any free port)")
        if self.server.ca_port is not None and not 0 < self.server.ca_port <= 65535:
            raise ConfigurationError(f"ca_port = {self.server.ca_port} is outside 1..65535: clients must know it")

    def _check_cards(self, name: str) -> None:
        """Raise ConfigurationError if a product's cards cannot have so many channels: how many they have to be."""
        channels, cards = self.detector.channels, self.detector.cards
        each = PRODUCTS[name].channels_per_card if name in PRODUCTS else channels
        needed = -(-channels // each)
        if needed > MOST_CARDS:
            raise ConfigurationError(
                f"channels = {channels} is outside 1..{MOST_CARDS * each} "
                f"({MOST_CARDS} cards of {name}, {each} channels each)"
            )
        if not cards <= channels <= cards * each:
            raise ConfigurationError(
                f"channels = {channels} is outside {cards}..{cards * each}, as cards = {cards} ({each} per card "
                f"of {name}): write cards = {needed} under [detector] in the file of --config FILE.toml"
            )

    def write_access(self) -> WriteAccess:
        """Return who may write; names of hosts are looked up now. ConfigurationError: there is no such host."""
        try:
            return WriteAccess(self.access.write)
        except ValueError as error:
            raise ConfigurationError(f"write access: {error}") from None

    def emulator_settings(self) -> EmulatorSettings:
        """Return the emulator's settings; ConfigurationError names the wrong key or value."""
        for key in ("channels", "cards"):
            if key in self.emulator:
                raise ConfigurationError(f"[emulator]: {key} belongs in [detector]")
        told = {key: value for key, value in self.emulator.items() if key not in REPLAY}
        self._check_cards(str(told.get("product", "xspress3")))
        raw = {"channels": self.detector.channels, "cards": self.detector.cards} | told
        try:
            return msgspec.convert(raw, EmulatorSettings)
        except (msgspec.ValidationError, ValueError) as error:
            raise ConfigurationError(f"[emulator]: {error}{_known(EmulatorSettings, error)}") from None


def read_configuration(path: str) -> Configuration:
    """Read a TOML file; ConfigurationError names the file and the wrong key."""
    try:
        raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    try:
        return msgspec.convert(raw, Configuration)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}{_known(Configuration, error)}") from None


def _known(table: type[msgspec.Struct], error: Exception) -> str:
    """Say which keys there are in the table that has an unknown one."""
    if "unknown field" not in str(error):
        return ""
    place = re.search(r" at `\$\.([\w.]+)", str(error))
    for name in place[1].split(".") if place else ():
        table = _struct_in(get_type_hints(table).get(name)) or table
    return f"; known are {', '.join(table.__struct_fields__)}"


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    inner = get_args(hint)
    if inner:
        return next((found for found in map(_struct_in, inner) if found), None)
    return hint if isinstance(hint, type) and issubclass(hint, msgspec.Struct) else None
