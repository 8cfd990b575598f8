"""How a system is reached and how large it is: what a configuration says, and `Xspress3.configure` is given."""

import msgspec

from xsp3ioc.sdk.binding import Library
from xsp3ioc.sdk.handle import Xspress3


class Connection(msgspec.Struct, kw_only=True):
    """The arguments of `Xspress3.configure` that a site chooses."""

    cards: int = 1
    frames: int = 16384
    """Frames of circular buffer."""
    channels: int = -1
    """-1: all that there are."""
    base_ip: str | None = None
    base_port: int = -1
    base_mac: str | None = None
    module_name: str | None = None
    debug: int = 0

    def open(self, library: Library) -> Xspress3:
        """Connect; errors as `Xspress3.configure`."""
        return Xspress3.configure(
            library,
            cards=self.cards,
            frames=self.frames,
            channels=self.channels,
            base_ip=self.base_ip,
            base_port=self.base_port,
            base_mac=self.base_mac,
            module_name=self.module_name,
            debug=self.debug,
        )
