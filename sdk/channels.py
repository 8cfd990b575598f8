"""Settings of single channels: windows, thresholds, trigger B, regions, control registers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.calls import c_array
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import Region, TriggerB, Window
from xsp3ioc.sdk.identity import Identity
from xsp3ioc.sdk.options import BramRegion


class ChannelSettings(Identity):
    """Settings per channel; where a channel is set, -1 stands for all of them."""

    def _chosen(self, channel: int) -> Sequence[int]:
        """Channels that are meant, for functions that are not said to take -1 themselves."""
        return range(self.channels) if channel < 0 else (channel,)

    def set_window(self, channel: int, window: int, low: int, high: int) -> None:
        """Limits of in-window scaler 0 or 1, inclusive, in raw bins 0..4095; channel -1: of all."""
        self._call("xsp3_set_window", channel, window, low, high)

    def window(self, channel: int, window: int) -> Window:
        """Limits (low, high) of in-window scaler 0 or 1, inclusive, in raw bins."""
        low, high = ffi.new("uint32_t *"), ffi.new("uint32_t *")
        self._call("xsp3_get_window", channel, window, low, high)
        return Window(low[0], high[0])

    def set_good_threshold(self, channel: int, bin: int) -> None:  # noqa: A002
        """Lowest bin that AllGood counts; channel -1: of all."""
        self._call("xsp3_set_good_thres", channel, bin)

    def good_threshold(self, channel: int) -> int:
        """Lowest bin that AllGood counts."""
        return self._get("xsp3_get_good_thres", channel)

    def trigger_b(self, channel: int) -> TriggerB:
        """Return the trigger-B settings of a channel."""
        settings = ffi.new("Xspress3_TriggerB *")
        self._call("xsp3_get_trigger_b", channel, settings)
        return TriggerB(*(getattr(settings, name) for name in TriggerB._fields))

    def set_trigger_b(self, channel: int, settings: TriggerB) -> None:
        """Set trigger B, for instance to `trigger_b(0)._replace(event_time=12)`; older libraries cannot."""
        for number in self._chosen(channel):
            self._call("xsp3_set_trigger_b", number, ffi.new("Xspress3_TriggerB *", settings._asdict()))

    def event_width(self, channel: int) -> int:
        """Clock ticks for which an event blocks the channel; one less than what it is dead for."""
        return self.trigger_b(channel).event_width

    def set_ringing(self, channel: int, scale_a: float, delay_a: int, scale_b: float, delay_b: int) -> None:
        """Remove ringing: two scales of about -0.5..0.5, and delays of 3..34 clock ticks."""
        for number in self._chosen(channel):
            self._call("xsp3_set_trigger_b_ringing", number, scale_a, delay_a, scale_b, delay_b)

    def set_regions(self, channel: int, regions: Sequence[Region]) -> int:
        """Keep 1..8 regions of the spectrum, one behind the other; all else goes to the last bin.

        After `format` with less than 12 bits. Returns the bins used; channel -1: of each.
        """
        table = ffi.new("XSP3Roi[]", [tuple(region) for region in regions])
        return max([self._call("xsp3_set_roi", number, len(regions), table) for number in self._chosen(channel)])

    def clear_regions(self, channel: int = -1) -> None:
        """Keep whole spectra again, after `format` with 12 bits."""
        self._call("xsp3_init_roi", channel)

    def channel_control(self, channel: int) -> int:
        """Channel control register; its low three bits are the `DataSource`."""
        return self._get("xsp3_get_chan_cont", channel)

    def set_channel_control(self, channel: int, value: int) -> None:
        """Write the channel control register; channel -1: of all."""
        self._call("xsp3_set_chan_cont", channel, value)

    def set_channel_control2(self, channel: int, value: int) -> None:
        """Write the second channel control register; channel -1: of all."""
        for number in self._chosen(channel):
            self._call("xsp3_set_chan_cont2", number, value)

    def read_registers(self, channel: int, region: int, offset: int, words: int) -> NDArray[np.uint32]:
        """Read `words` words of a channel's registers (region 0) or of one of its memories (1..13): uint32 (words,)."""
        found = np.zeros(max(words, 1), np.uint32)
        self._call("xsp3_read_reg", channel, region, offset, words, c_array(found))
        return found[:words]

    def init_bram(self, channel: int = -1, region: int = -1, scaling: float = -1.0) -> None:
        """Fill a channel's memories with their defaults; -1: all channels, all memories, no scaling."""
        self._call("xsp3_bram_init", channel, region, scaling)

    def set_energy_gain(self, channel: int, gain: float) -> None:
        """Scale the energy of a channel's events by 0.5..2; channel -1: of all."""
        self.init_bram(channel, BramRegion.quotient, gain)

    def read_marker_channel(self, marker: int, register: int, words: int = 1) -> NDArray[np.uint32]:
        """Read registers of marker channel 0 or 1 of an Xspress 3X Mk2: uint32 (words,)."""
        found = np.zeros(max(words, 1), np.uint32)
        self._call("xsp3_read_marker_chan", marker, register, words, c_array(found))
        return found[:words]

    def setup_marker_channel(
        self, marker: int, control: int, rise: bool = True, fall: bool = True, ttl_input: int = 0
    ) -> None:
        """Let marker channel 0 or 1 of an Xspress 3X Mk2 note the edges of TTL input 0 or 1."""
        self._call("xsp3_setup_marker_chan", marker, control, int(rise), int(fall), ttl_input)
