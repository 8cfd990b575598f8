"""The Tango device that a configuration asks for: found in the database, if there is one, and served."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from xsp3ioc.assembly import renew_event_widths, take_over
from xsp3ioc.configuration import Configuration, ConfigurationError
from xsp3ioc.stream.detector import Detector
from xsp3ioc.tango_properties import PLACES, lay_over

if TYPE_CHECKING:
    from xsp3ioc.stream.commands import Put
    from xsp3ioc.tango.face import TangoFace
    from xsp3ioc.tango.registration import Place

FIXED = {
    "server": ("listen", "data_port", "monitor_port", "legacy_port", "legacy_images", "stream1_port"),
    "detector": (
        "library", "emulate", "channels", "cards", "ring_frames", "gap", "base_ip", "base_port", "base_mac",
        "module_name",
    ),
}  # fmt: skip
"""Tables and keys that are for the life of the server."""


class TangoDevice:
    """A device, before there is anything to serve."""

    def __init__(self, place: Place, options: Sequence[str] = (), asks_channels: bool = False) -> None:
        """`options` are Tango's own; `asks_channels`: the system is asked how many it has if nobody says it."""
        self.place = place
        self.said: frozenset[str] = frozenset()
        """Properties that were set when the configuration was last made."""
        self._may_ask = asks_channels
        self.configure: Callable[[], Configuration] = Configuration
        """Returns the configuration as it would be now."""
        self._options = options

    @classmethod
    def named(cls, configuration: Configuration) -> TangoDevice:
        """Return the device of a configuration; ConfigurationError: it cannot be served."""
        import_tango()
        from xsp3ioc.tango.registration import RegistrationError, known_database, place_of_device

        configuration.check_values()
        server = configuration.server
        try:
            return cls(place_of_device(server.tango, "" if server.nodb else known_database()))
        except RegistrationError as error:
            raise ConfigurationError(str(error)) from None

    @property
    def notes(self) -> list[str]:
        """What is to be said about it when it is served."""
        place = self.place
        return [f"  NOTE: registered in the Tango database, as Xspress3DS/{place.instance}"] if place.new else []

    def lay_over(self, configuration: Configuration, properties: Mapping[str, list[str]]) -> None:
        """Have its properties win over a configuration; ConfigurationError: they cannot."""
        lay_over(configuration, self.place.device, properties)
        configuration.server.tango = self.place.device
        self.said = frozenset(properties)

    @property
    def asks_channels(self) -> bool:
        """Whether nobody says how many channels there are."""
        return self._may_ask and self.said.isdisjoint({"Channels", "Configuration"})

    def properties(self) -> dict[str, list[str]]:
        """Return its properties in the database; ConfigurationError if that does not answer."""
        from xsp3ioc.tango.registration import RegistrationError

        try:
            return self.place.properties()
        except RegistrationError as error:
            raise ConfigurationError(str(error)) from None

    def start(self, configuration: Configuration, detector: Detector, ended: Callable[[], object]) -> TangoFace:
        """Serve it; `ended` is called when a client has ended the server. ConfigurationError: it cannot be served."""
        from xsp3ioc.tango.face import TangoFace

        server, was = configuration.server, configuration

        def renew() -> list[Put]:
            nonlocal was
            now = self.configure()
            if self.asks_channels:
                now.detector.channels = was.detector.channels
            now.check()
            refuse_fixed(was, now)
            take_over(now, detector)
            if was.detector.event_widths and len(now.detector.event_widths) != detector.channels:
                renew_event_widths(now, detector)
            was, before = now, was
            settings = now.detector.settings
            if not settings and not before.detector.settings:
                return []  # nobody but a client has said it
            return [detector.put("config_path", settings, who="Init")]

        try:
            face = TangoFace(detector, self.place, server.listen, server.tango_port, ended, renew, self._options)
            face.start()
        except OSError as error:
            detector.shut_down(2.0)
            where = f"{server.listen}:{server.tango_port}"
            raise ConfigurationError(f"Cannot serve Tango on {where}: {error.strerror or error}") from None
        return face


def refuse_fixed(was: Configuration, now: Configuration) -> None:
    """Raise ConfigurationError that names what only a new start can change, as it is called where it is set."""
    names = {(table, key): name for name, (table, key, _) in PLACES.items()}
    changed = [
        names.get((table, key), key)
        for table, keys in FIXED.items()
        for key in keys
        if getattr(getattr(now, table), key) != getattr(getattr(was, table), key)
    ]
    if changed:
        raise ConfigurationError(f"Init cannot change {', '.join(changed)}: start the server again")


def import_tango(who: str = "--tango") -> None:
    """Raise ConfigurationError that says what to install if PyTango is missing, which `who` needs."""
    try:
        import xsp3ioc.tango.face  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(f"{who} needs PyTango: pip install 'xsp3ioc[tango]' ({error})") from None
