"""The vendor library of the Xspress3 family: binding, handle, and an emulator that takes the library's place."""

from xsp3ioc.sdk.binding import Library, VendorLibrary, load
from xsp3ioc.sdk.constants import (
    BINS,
    SCALERS,
    ErrorFlag,
    GapMode,
    Generation,
    ItfgTrigger,
    RunFlag,
    Scaler,
    TimingSource,
)
from xsp3ioc.sdk.emulator.library import EmulatedLibrary
from xsp3ioc.sdk.emulator.pool import expected_frames, timed_frame
from xsp3ioc.sdk.emulator.settings import EmulatorSettings
from xsp3ioc.sdk.errors import (
    DeviceNotFound,
    IllegalCard,
    InvalidPath,
    LibraryNotLoaded,
    MissingFunction,
    OutOfRange,
    SettingsFileError,
    Xspress3Error,
)
from xsp3ioc.sdk.handle import Xspress3
from xsp3ioc.sdk.identity import DeadtimeParameters
from xsp3ioc.sdk.readout import STATUS_DTYPE, Progress

__all__ = [
    "BINS",
    "SCALERS",
    "STATUS_DTYPE",
    "DeadtimeParameters",
    "DeviceNotFound",
    "EmulatedLibrary",
    "EmulatorSettings",
    "ErrorFlag",
    "GapMode",
    "Generation",
    "IllegalCard",
    "InvalidPath",
    "ItfgTrigger",
    "Library",
    "LibraryNotLoaded",
    "MissingFunction",
    "OutOfRange",
    "Progress",
    "RunFlag",
    "Scaler",
    "SettingsFileError",
    "TimingSource",
    "VendorLibrary",
    "Xspress3",
    "Xspress3Error",
    "expected_frames",
    "load",
    "timed_frame",
]
