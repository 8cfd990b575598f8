"""A Python object in the place of libxspress3: the vendor's functions, with an emulated Xspress3 behind them."""

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.cdef import prototypes
from xsp3ioc.sdk.constants import SCALERS
from xsp3ioc.sdk.emulator.cabling import CablingFunctions
from xsp3ioc.sdk.emulator.calls import not_emulated
from xsp3ioc.sdk.emulator.connect import ConnectFunctions
from xsp3ioc.sdk.emulator.deadtime_calls import DeadtimeFunctions
from xsp3ioc.sdk.emulator.engineering import EngineeringFunctions
from xsp3ioc.sdk.emulator.formats import FormatFunctions
from xsp3ioc.sdk.emulator.memory import MemoryFunctions
from xsp3ioc.sdk.emulator.monitoring import MonitoringFunctions
from xsp3ioc.sdk.emulator.playback import PlaybackFunctions
from xsp3ioc.sdk.emulator.registers import RegisterFunctions
from xsp3ioc.sdk.emulator.run_control import RunFunctions
from xsp3ioc.sdk.emulator.saved import SavedFunctions
from xsp3ioc.sdk.emulator.timing import TimingFunctions


class EmulatedLibrary(
    MemoryFunctions,
    ConnectFunctions,
    SavedFunctions,
    FormatFunctions,
    RegisterFunctions,
    TimingFunctions,
    CablingFunctions,
    RunFunctions,
    DeadtimeFunctions,
    EngineeringFunctions,
    MonitoringFunctions,
    PlaybackFunctions,
):
    """`EmulatedLibrary(settings)` takes the place of `load(path)`.

    Its methods xsp3_* take and return what the C functions do, pointers as cffi pointers; those that are not emulated
    answer XSP3_ERROR and say so. `recording` has frames to show instead of drawn ones.
    `clock` (nanoseconds) and `sleep` (seconds) can be replaced, to make time pass as a test wants it.
    """

    simulated = True

    @property
    def library_name(self) -> str:
        """What it calls itself; with a recording, of what its frames are."""
        return "emulator" if self.recording is None else f"emulator, replay of {self.recording.name}"

    def has(self, name: str) -> bool:
        """Whether this is a function of the library; the emulator has all of them."""
        return name in prototypes()

    def frames(self, first: int, n: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Return what frames first .. first+n-1 of the present run hold, whether or not they have been taken yet.

        Spectra uint32 (n, channels, bins) and scalers uint32 (n, channels, 9). Frames of a software-timed run are zero
        until they are complete. Raises ValueError before the first start.
        """
        system = self.system(0)
        run = system.run
        if run is None:
            raise ValueError("nothing has been started yet")
        mca = np.empty((n, system.channels, system.bins), np.uint32)
        scalers = np.empty((n, system.channels, SCALERS), np.uint32)
        run.frames("mca", first, mca)
        run.frames("scalers", first, scalers)
        return mca, scalers


def _add_missing() -> None:
    for name, prototype in prototypes().items():
        if not hasattr(EmulatedLibrary, name):
            setattr(EmulatedLibrary, name, not_emulated(prototype))


_add_missing()
