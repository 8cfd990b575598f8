"""`Xspress3`: one connected system."""

from pathlib import Path
from types import TracebackType

from xsp3ioc.sdk.binding import Library
from xsp3ioc.sdk.calls import c_text, last_message
from xsp3ioc.sdk.channels import ChannelSettings
from xsp3ioc.sdk.controls import RunControls
from xsp3ioc.sdk.correction import Correction
from xsp3ioc.sdk.errors import OutOfRange, Xspress3Error, error_for
from xsp3ioc.sdk.monitoring import Monitoring
from xsp3ioc.sdk.options import DummySystem, InitFlag, MiniReadout
from xsp3ioc.sdk.playback import Playback
from xsp3ioc.sdk.shared_memory import SHARED_MEMORY, remove_stale_segments


class Xspress3(ChannelSettings, RunControls, Correction, Monitoring, Playback):
    """A connected system of cards, made by `Xspress3.configure`; a context manager that closes it.

    Every method raises an `Xspress3Error` with the library's own message when the library refuses, and ValueError for
    arrays that the library would write beyond. Channels and cards are counted from 0, channels across all cards. A
    method may be called while another thread is in one.
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
        init: InitFlag = InitFlag.normal,
        mini_readout: MiniReadout = MiniReadout.auto,
        dummy: DummySystem = DummySystem.real,
        shared_memory: Path | None = SHARED_MEMORY,
    ) -> "Xspress3":
        """Connect to `cards` cards and give them memory for `frames` frames of 4096 bins.

        `channels` -1 is all of them; `base_ip`, `base_port` and `base_mac` are the library's defaults unless given.
        `init` `none` looks at a system that another process runs. Before a library initialises hardware, what a
        killed process of the same user has left in `shared_memory` is removed; None leaves it.
        """
        if shared_memory is not None and init and not lib.simulated:
            remove_stale_segments(shared_memory)
        ip, mac, module = c_text(base_ip), c_text(base_mac), c_text(module_name)
        name = "xsp3_config"
        arguments = [cards, frames, ip, base_port, mac, channels, 1, module, debug, card_index]
        if (init, mini_readout, dummy) != (InitFlag.normal, MiniReadout.auto, DummySystem.real):
            name += "_init"
            arguments += [int(init), int(mini_readout), int(dummy)]
        try:
            path = getattr(lib, name)(*arguments)
        except OverflowError as error:  # a number that its C type cannot hold
            raise OutOfRange(name, -6, str(error)) from None
        if path < 0:
            raise error_for(path)(name, path, last_message(lib))
        handle = cls(lib, path)
        handle._ring = frames
        return handle

    def close(self) -> None:
        """Close the handle; its methods are refused from then on. Closing it again does nothing."""
        if not self._closed:
            self._call("xsp3_close")
            self._closed = True

    def __enter__(self) -> "Xspress3":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return f"<Xspress3 closed, {self.library_name}>"
        try:
            size = f"{self.model}: {self.channels} channels on {self.cards} card{'s' if self.cards > 1 else ''}"
        except (Xspress3Error, ValueError) as error:
            size = str(error)
        return f"<Xspress3 {size}; path {self.path} of {self.library_name}>"
