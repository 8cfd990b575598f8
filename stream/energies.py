"""The energy of each bin, which follows from a channel's calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.stream.commands import Commanded
from xsp3ioc.stream.detector_parameters import BINS
from xsp3ioc.stream.parameter import Index


class Energies(Commanded):
    """Offset and slope are of use to whoever plots a spectrum only as an array as long as the spectrum."""

    def _put_energy_offset(self, value: float, channel: int) -> None:
        self._calibrate("energy_offset", value, channel)

    def _put_energy_slope(self, value: float, channel: int) -> None:
        self._calibrate("energy_slope", value, channel)

    def _calibrate(self, name: str, value: float, channel: int) -> None:
        self.update(name, value, index=channel)
        self.renew("energy", index=channel)

    def _get_energy(self, index: Index = None) -> NDArray[np.float64]:
        """Return the energy in the middle of each bin, eV: (bins,) of a channel, or (channels, bins)."""
        offset, slope = (np.array(self.values[name], dtype=float) for name in ("energy_offset", "energy_slope"))
        if index is not None:
            offset, slope = offset[index], slope[index]
        return offset[..., None] + slope[..., None] * np.arange(BINS)
