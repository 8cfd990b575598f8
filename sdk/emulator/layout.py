"""What the format of a channel is: energy bins, regions, rows of auxiliary data, time sub-frames, energy gain."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.companions import Region
from xsp3ioc.sdk.constants import BINS
from xsp3ioc.sdk.options import Aux1Mode, FormatFlag

GRADES = 16
TICKS_PER_GRADE = 8
"""The resolution grade of an event: how far off the nearest other event is, in these ticks."""

AUX1_ROWS: dict[int, int] = {
    Aux1Mode.none: 1,
    Aux1Mode.minimum_div8: GRADES,
    Aux1Mode.pileup: 2,
    Aux1Mode.charge_sharing: 16,
    Aux1Mode.charge_sharing_encoded: 8,
    Aux1Mode.good_grade: 1,
    Aux1Mode.list: 1,
}
"""Rows that each mode of auxiliary data 1 makes; what the other modes make is not published."""
AUX2_BITS = (0, 4, 6, 8, 10, 12, 14, 16)

CHARGE_SHARING = FormatFlag.mark_charge_sharing | FormatFlag.delete_charge_sharing
"""Of these flags there is one at most."""


def edges(region: Region) -> NDArray[np.int64]:
    """Return the first raw bin of each kept bin, and the one after the last: int64 (bins + 1,)."""
    width = region.high - region.low + 1
    return region.low + -(-np.arange(region.bins + 1) * width // region.bins)


def region_fault(regions: Sequence[Region], bins: int) -> str:
    """Say why regions cannot be kept in `bins` bins, of which the last is for what is outside; empty if they can."""
    covered: set[int] = set()
    for low, high, kept in regions:
        if not 0 <= low <= high < BINS:
            return f"lhs = {low}, rhs = {high} is not within 0..{BINS - 1}"
        if not 1 <= kept <= high - low + 1:
            return f"out_bins = {kept} of lhs = {low}, rhs = {high} is outside 1..{high - low + 1}"
        if not covered.isdisjoint(range(low, high + 1)):
            return f"lhs = {low}, rhs = {high} overlaps another region"
        covered.update(range(low, high + 1))
    used = sum(region.bins for region in regions)
    return f"{used} bins are more than {bins - 1}, and one for the rest, of the format" if used >= bins else ""


class ChannelFormat(NamedTuple):
    """What format_run, format_sub_frames, set_roi and bram_init have made of one channel."""

    bits: int = 12
    aux1_mode: int = Aux1Mode.none
    aux1_threshold: int = 0
    aux2_code: int = 0
    aux2_mode: int = 0
    flags: int = 0
    sub_frames: int = 0
    ticks_per_sub_frame: int = 1
    regions: tuple[Region, ...] = ()
    gain: float = 1.0

    @property
    def bins(self) -> int:
        """Bins per row."""
        return 1 << self.bits

    @property
    def aux1_rows(self) -> int:
        """Rows of auxiliary data 1, or time sub-frames."""
        return self.sub_frames or AUX1_ROWS[self.aux1_mode]

    @property
    def aux2_rows(self) -> int:
        """Rows of auxiliary data 2."""
        return 1 << AUX2_BITS[self.aux2_code]

    @property
    def rows(self) -> int:
        """Rows per frame; the row is aux2 * aux1_rows + aux1."""
        return self.aux1_rows * self.aux2_rows

    @property
    def rejects_pileup(self) -> bool:
        """Whether pile-up is kept out of spectra and windows."""
        return bool(self.flags & FormatFlag.pileup_reject)

    @property
    def recounts(self) -> bool:
        """Whether the scalers see other events than the drawn ones."""
        return self.rejects_pileup or self.gain != 1

    @property
    def table(self) -> NDArray[np.int64]:
        """Where each raw bin goes: int64 (4096,)."""
        if not self.regions:
            return np.arange(BINS) >> 12 - self.bits
        found, used = np.full(BINS, self.bins - 1), 0
        for region in self.regions:
            widths = np.diff(edges(region))
            found[region.low : region.high + 1] = np.repeat(np.arange(used, used + region.bins), widths)
            used += region.bins
        return np.minimum(found, self.bins - 1)

    @property
    def plain(self) -> bool:
        """Whether a frame is its drawn spectrum, with less bits of energy at most."""
        masked = self.aux1_mode == Aux1Mode.good_grade
        return self.rows == 1 and not (masked or self.sub_frames or self.regions or self.recounts)


class Layouts(NamedTuple):
    """The formats of all channels; never changed, only replaced."""

    formats: tuple[ChannelFormat, ...]
    words: int = BINS
    """Words of memory that a frame of the largest channel takes."""
    plain: bool = True
    """All channels are plain, and alike."""

    @classmethod
    def of(cls, formats: Iterable[ChannelFormat]) -> "Layouts":
        """Put formats together."""
        found = tuple(formats)
        plain = all(form.plain for form in found) and len({form.bits for form in found}) == 1
        return cls(found, max(form.bins * form.rows for form in found), plain)

    def replace(self, channels: Iterable[int], **changes: Any) -> "Layouts":
        """Return these with some channels changed."""
        formats = list(self.formats)
        for channel in channels:
            formats[channel] = formats[channel]._replace(**changes)
        return Layouts.of(formats)

    @property
    def drawn_bits(self) -> int:
        """Bits of energy to draw spectra with; 12 where something else is made of them."""
        return self.formats[0].bits if self.plain else 12
