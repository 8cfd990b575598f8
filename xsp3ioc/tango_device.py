"""The Tango device that a configuration asks for: found in the database, if there is one, and served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from xsp3ioc.assembly import take_over
from xsp3ioc.configuration import Configuration, ConfigurationError
from xsp3ioc.stream.detector import Detector
from xsp3ioc.tango_properties import lay_over

if TYPE_CHECKING:
    from xsp3ioc.tango.face import TangoFace
    from xsp3ioc.tango.registration import Place

FIXED = ("listen", "data_port", "monitor_port", "legacy_port", "legacy_images", "stream1_port")
"""Keys of `[server]` that are for the life of the server."""


class TangoDevice:
    """A device, before there is anything to serve."""

    def __init__(self, place: Place, options: Sequence[str] = (), asks_channels: bool = False) -> None:
        """`options` are Tango's own; `asks_channels`: the system is asked how many it has if nobody says it."""
        self.place = place
        self.asks_channels = asks_channels
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

    def lay_over(self, configuration: Configuration) -> Configuration:
        """Return a configuration after its properties have won over it; ConfigurationError: they cannot."""
        properties = self.properties()
        lay_over(configuration, self.place.device, properties)
        configuration.server.tango = self.place.device
        if properties.keys() & {"Channels", "Configuration"}:
            self.asks_channels = False
        return configuration

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

        server = configuration.server

        def renew() -> None:
            now = self.configure()
            for key in FIXED:
                if getattr(now.server, key) != getattr(server, key):
                    raise ConfigurationError(f"Init cannot change {key}: start the server again")
            detector.put("config_path", now.detector.settings, who="Init").result(2)
            take_over(now, detector)

        try:
            face = TangoFace(detector, self.place, server.listen, server.tango_port, ended, renew, self._options)
            face.start()
        except OSError as error:
            detector.shut_down(2.0)
            where = f"{server.listen}:{server.tango_port}"
            raise ConfigurationError(f"Cannot serve Tango on {where}: {error.strerror or error}") from None
        return face


def import_tango(who: str = "--tango") -> None:
    """Raise ConfigurationError that says what to install if PyTango is missing, which `who` needs."""
    try:
        import xsp3ioc.tango.face  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(f"{who} needs PyTango: pip install 'xsp3ioc[tango]' ({error})") from None
