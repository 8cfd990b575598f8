"""The library's own dead-time correction: its parameters, factors, and corrected spectra and scalers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.calls import c_array, check_array
from xsp3ioc.sdk.cdef import ffi
from xsp3ioc.sdk.companions import DeadtimeParameters
from xsp3ioc.sdk.constants import SCALERS, DeadtimeFlag
from xsp3ioc.sdk.errors import MissingFunction
from xsp3ioc.sdk.readout import Readout


class Correction(Readout):
    """Raw spectra and scalers stay what they are; what is corrected is asked for by its own methods."""

    def dead_time_parameters(self, channel: int) -> DeadtimeParameters:
        """Return the process dead times of a channel; rate terms are 0 where the library is older than they are."""
        flags = ffi.new("int *")
        terms = [ffi.new("double *") for _ in range(8)]
        if self._lib.has("xsp3_getDeadtimeCorrectionParameters2"):
            self._call("xsp3_getDeadtimeCorrectionParameters2", channel, flags, *terms)
        else:  # gradient, offset, offset, gradient: this function's own order
            plain = (terms[1], terms[0], terms[4], terms[5])
            self._call("xsp3_getDeadtimeCorrectionParameters", channel, flags, *plain)
        return DeadtimeParameters(DeadtimeFlag(flags[0]), *(term[0] for term in terms))

    def set_dead_time_parameters(self, channel: int, parameters: DeadtimeParameters) -> None:
        """Set the process dead times of a channel, -1: of all; `MissingFunction` for rate terms in an older library."""
        flags, *terms = parameters
        newer = "xsp3_setDeadtimeCorrectionParameters2"
        if self._lib.has(newer):
            self._call(newer, channel, int(flags), *terms)
            return
        if any(terms[2:4]) or any(terms[6:8]):
            raise MissingFunction(newer, self._lib.library_name)
        plain = (terms[1], terms[0], terms[4], terms[5])
        self._call("xsp3_setDeadtimeCorrectionParameters", channel, int(flags), *plain)

    def dead_time_flags(self, channel: int) -> DeadtimeFlag:
        """Return how the correction treats a channel."""
        return DeadtimeFlag(self._get("xsp3_getDeadtimeCorrectionFlags", channel, kind="int *"))

    @property
    def dead_time_energy(self) -> float:
        """Energy in keV for which the correction is calculated; can be set."""
        return float(self._call("xsp3_getDeadtimeCalculationEnergy"))

    @dead_time_energy.setter
    def dead_time_energy(self, energy: float) -> None:
        self._call("xsp3_setDeadtimeCalculationEnergy", energy)

    def dead_time_factors(
        self,
        scalers: NDArray[np.uint32],
        out_factors: NDArray[np.float64] | None = None,
        out_input: NDArray[np.float64] | None = None,
        first_channel: int = 0,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Calculate dead-time factors and estimated input counts from raw scalers, uint32 (frames, channels, 9).

        Both are float64 (frames, channels), for so many channels from `first_channel` on; they fill the arrays given,
        or new ones, and are returned. Raises ValueError for arrays of another kind.
        """
        check_array(scalers, np.uint32, "frames", "channels", SCALERS)
        frames, channels, _ = scalers.shape
        factors = np.empty((frames, channels)) if out_factors is None else out_factors
        counts = np.empty((frames, channels)) if out_input is None else out_input
        for out in (factors, counts):
            check_array(out, np.float64, frames, channels)
        self._call(
            "xsp3_calculateDeadtimeCorrectionFactors",
            c_array(scalers, writable=False), c_array(factors), c_array(counts), frames, first_channel, channels,
        )  # fmt: skip
        return factors, counts

    def read_corrected(
        self, first: int, out: NDArray[np.float64], out_scalers: NDArray[np.float64] | None = None
    ) -> None:
        """Fill `out`, float64 (frames, channels, bins), with dead-time corrected spectra from frame `first` on.

        `out_scalers`, float64 (frames, channels, 9), gets the corrected scalers. Errors as `read_mca`.
        """
        check_array(out, np.float64, "frames", *self._spectra)
        slot = self._slot(first, len(out))
        scalers: Any = ffi.NULL
        if out_scalers is not None:
            check_array(out_scalers, np.float64, len(out), self.channels, SCALERS)
            scalers = c_array(out_scalers)
        extent = (self.bins, self.aux, self.channels, len(out))
        self._call("xsp3_hist_dtc_read4d", c_array(out), scalers, 0, 0, 0, slot, *extent)

    def read_corrected_scalers(self, first: int, out: NDArray[np.float64]) -> None:
        """Fill `out`, float64 (frames, channels, 9), with corrected scalers from frame `first` on."""
        check_array(out, np.float64, "frames", self.channels, SCALERS)
        slot = self._slot(first, len(out))
        self._call("xsp3_scaler_dtc_read", c_array(out), 0, 0, slot, SCALERS, self.channels, len(out))
