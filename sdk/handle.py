"""`Xspress3`: one connected system."""

from types import TracebackType

from xsp3ioc.sdk.binding import Library
from xsp3ioc.sdk.calls import c_text, last_message
from xsp3ioc.sdk.errors import error_for
from xsp3ioc.sdk.readout import Readout


class Xspress3(Readout):
    """A connected system of cards, made by `Xspress3.configure`; a context manager that closes it.

    Every method raises an `Xspress3Error` with the library's own message when the library refuses.
    """

    @classmethod
    def configure(
        cls,
        lib: Library,
        *,
        cards: int = 1,
        frames: int = 16384,
        channels: int = -1,
        base_ip: str | None = None,
        base_port: int = -1,
        base_mac: str | None = None,
        module_name: str | None = None,
        debug: int = 0,
        card_index: int = 0,
    ) -> "Xspress3":
        """Connect to `cards` cards and give them memory for `frames` frames of 4096 bins.

        `channels` -1 is all of them; `base_ip`, `base_port` and `base_mac` are the library's defaults unless given.
        """
        ip, mac, module = c_text(base_ip), c_text(base_mac), c_text(module_name)
        path = lib.xsp3_config(cards, frames, ip, base_port, mac, channels, 1, module, debug, card_index)
        if path < 0:
            raise error_for(path)("xsp3_config", path, last_message(lib))
        handle = cls(lib, path)
        handle._ring = frames
        return handle

    def close(self) -> None:
        """Close the handle; nothing but its properties may be used after."""
        self._call("xsp3_close")

    def __enter__(self) -> "Xspress3":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
