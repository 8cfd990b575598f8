"""What the connected system is: channels, cards, generation, firmware, clock."""

from functools import cached_property

from xsp3ioc.sdk.calls import LibraryCalls
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import Firmware, Leaf
from xsp3ioc.sdk.constants import Generation
from xsp3ioc.sdk.errors import Xspress3Error

XSPRESS3_CLOCK_PERIOD = 12.5e-9


class Identity(LibraryCalls):
    """Properties of the system that do not change while it is open."""

    @property
    def library_name(self) -> str:
        """Path of the library, or "emulator"."""
        return self._lib.library_name

    @property
    def simulated(self) -> bool:
        """Whether an emulator answers instead of hardware."""
        return self._lib.simulated

    @cached_property
    def channels(self) -> int:
        """Number of channels."""
        return self._call("xsp3_get_num_chan")

    @cached_property
    def cards(self) -> int:
        """Number of cards."""
        return self._call("xsp3_get_num_cards")

    @property
    def available_channels(self) -> int:
        """Channels that the electronics have, used or not."""
        return self._call("xsp3_get_max_num_chan")

    @property
    def channels_per_card(self) -> int:
        """Channels that a card has."""
        return self._call("xsp3_get_chans_per_card")

    def channels_on(self, card: int) -> int:
        """Channels in use on a card."""
        return self._call("xsp3_get_num_chan_used", card)

    def leaf(self, channel: int) -> Leaf:
        """Where a channel is: the handle of its own card, and its index there."""
        path, index = ffi.new("int *"), ffi.new("int *")
        self._call("xsp3_resolve_path", channel, path, index)
        return Leaf(path[0], index[0])

    @cached_property
    def bins_per_mca(self) -> int:
        """Bins of an unreduced spectrum, 4096."""
        return self._call("xsp3_get_bins_per_mca")

    @cached_property
    def generation(self) -> Generation:
        """Hardware generation of card 0."""
        return self.generation_of(0)

    def generation_of(self, card: int) -> Generation:
        """Hardware generation of a card."""
        return Generation(self._call("xsp3_get_generation", card))

    @cached_property
    def is_mark2(self) -> bool:
        """Whether this is an Xspress 3X Mk2, which reports itself as a Mini; False where the library cannot say."""
        return self._lib.has("xsp3_is_xsp3m_plus") and self._call("xsp3_is_xsp3m_plus") == 1

    @property
    def model(self) -> str:
        """Name of the product."""
        names = {Generation.mini: "Xspress3 Mini", Generation.xspress4: "Xspress4"}
        return "Xspress3X Mk2" if self.is_mark2 else names.get(self.generation, "Xspress3")

    @property
    def must_acknowledge(self) -> bool:
        """Whether the system stops at a frame that was not acknowledged in time, instead of writing over it.

        Such a system (Mini, 3X) takes each acknowledgement once and for whole cards, and has no progress to report
        before the first arm or start; the others count what they write over and go on.
        """
        return self.generation is Generation.mini

    @property
    def revision(self) -> int:
        """Firmware revision word: detector in bits 31..24, major 23..12, minor 11..0. Asked anew each time."""
        return self._call("xsp3_get_revision")

    @property
    def firmware_revision(self) -> Firmware:
        """Firmware revision, taken apart."""
        return Firmware.of(self.revision)

    @property
    def firmware(self) -> str:
        """Firmware revision as "major.minor"."""
        return str(self.firmware_revision)

    @cached_property
    def has_itfg(self) -> bool:
        """Whether card 0 has an internal time frame generator."""
        return self._call("xsp3_has_itfg", 0) > 0

    def clock_period(self, card: int = 0) -> float:
        """Duration of a clock tick in seconds, after `setup_clocks`.

        Libraries that cannot say are older than any hardware with another clock than the Xspress3's 80 MHz.
        """
        name = "xsp3_get_clock_period"
        if not self._lib.has(name):
            return XSPRESS3_CLOCK_PERIOD
        period = float(self._call(name, card))
        if not period > 0:
            raise Xspress3Error(name, 0, f"card {card} has a clock period of {period} s: call setup_clocks first")
        return period
