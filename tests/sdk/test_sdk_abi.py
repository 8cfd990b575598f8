"""The emulated functions are the declared ones, and can be called through C."""

import inspect

import pytest
from sdk_bench import connect, internal, read, same, status

from xsp3ioc.sdk import DeadtimeParameters, EmulatedLibrary, EmulatorSettings, RunFlag, expected_frames
from xsp3ioc.sdk import constants as names
from xsp3ioc.sdk.cdef import ffi, prototypes
from xsp3ioc.sdk.readout import STATUS_DTYPE


class ThroughC:
    """Every emulated function behind a C function pointer: cffi checks and converts all arguments, as for a library."""

    def __init__(self, emulator):
        self.library_name, self.simulated, self.has = emulator.library_name, True, emulator.has
        self._emulator = emulator

    def __getattr__(self, name):
        function = ffi.callback(prototypes()[name].pointer_type, getattr(self._emulator, name))
        setattr(self, name, function)
        return function


def test_every_declared_function_is_there_with_its_parameters():
    emulator = EmulatedLibrary(EmulatorSettings())
    declared = prototypes()
    exported = {name for name in dir(ffi.dlopen(None)) if name.startswith(("xsp3_", "xsp3m_"))}
    assert declared.keys() == exported
    for name, prototype in declared.items():
        arguments = [None] * len(prototype.parameters)
        assert len(ffi.typeof(prototype.pointer_type).args) == len(arguments)
        inspect.signature(getattr(emulator, name)).bind(*arguments)
    assert {name for name in dir(EmulatedLibrary) if name.startswith("xsp3")} == declared.keys()


def test_what_is_not_emulated_says_so():
    emulator = EmulatedLibrary(EmulatorSettings())
    library = ThroughC(emulator)
    for name, arguments in {
        "xsp3_playback_generate": (0, 0, ffi.NULL),
        "xsp3_playback_generate_est_counts": (0, 0, 0, ffi.NULL, 0, 0, ffi.NULL, ffi.NULL),
    }.items():
        assert getattr(library, name)(*arguments) == -1
        assert ffi.string(library.xsp3_get_error_message()).decode() == f"{name} is not emulated"


@pytest.mark.parametrize("product, channels", [("xspress3", 4), ("x3x2", 2)])
def test_a_whole_acquisition_through_c(tmp_path, product, channels):
    handle, emulator, _ = connect(library=ThroughC, pace="reader", product=product, channels=channels)
    handle.setup_clocks()
    handle.save_settings(tmp_path)
    handle.restore_settings(tmp_path, force=True)
    handle.set_window(-1, 0, 100, 200)
    handle.set_good_threshold(0, 70)
    assert handle.window(0, 0) == (100, 200) and handle.good_threshold(0) == 70
    assert handle.clock_period() == emulator.settings.family.clock_period
    assert isinstance(handle.dead_time_parameters(0), DeadtimeParameters)
    assert handle.event_width(1) == 6 and len(handle.temperatures()) == 4
    handle.set_first_frame(0)
    internal(handle, 100, 80_000)
    handle.clear(handle.ring)
    handle.arm()
    handle.resume()
    handle.pause()
    assert handle.run_flags() & RunFlag.circular
    expected = {"good_threshold": [70] + [50] * (channels - 1), "windows": ((100, 200), (0, 4095))}
    for first in range(0, 96, 32):
        assert handle.progress().frames >= first + 32
        found = read(handle, first, 32)
        assert same(found, expected_frames(emulator.settings, 80_000, first, 32, **expected))
        assert status(handle, first, 32)["time_frame"].tolist() == list(range(first, first + 32))
        handle.acknowledge(first, 32)
    assert handle.overrun() == (0, -1)
    handle.stop()
    handle.close()


def test_parts_of_frames_through_c():
    handle, emulator, _ = connect(pace="reader")
    internal(handle, 0, 800_000)
    handle.start()
    whole, scalers = read(handle, 0, 6)
    library = ThroughC(emulator)
    part = ffi.new("uint32_t[]", 3 * 2 * 100)
    assert library.xsp3_histogram_read4d(0, part, 780, 0, 1, 2, 100, 1, 2, 3) == 0
    assert list(part) == whole[2:5, 1:3, 780:880].ravel().tolist()
    assert library.xsp3_histogram_read3d(0, part, 780, 1, 2, 100, 2, 3) == 0
    assert list(part) == whole[2:5, 1:3, 780:880].ravel().tolist()
    assert library.xsp3_scaler_read(0, part, 3, 2, 1, 2, 2, 5) == 0
    assert list(part)[:20] == scalers[1:6, 2:4, 3:5].ravel().tolist()
    assert library.xsp3_histogram_read4d(0, part, 4000, 0, 0, 0, 100, 1, 1, 1) == -6
    assert library.xsp3_scaler_read(0, part, 0, 3, 0, 9, 2, 1) == -6


def test_the_status_layout_is_the_declared_one():
    declared = dict(ffi.typeof("Xsp3TFStatus").fields)
    assert {name: field.offset for name, field in declared.items()} == {
        name: STATUS_DTYPE.fields[name][1] for name in STATUS_DTYPE.names
    }
    assert ffi.sizeof("Xsp3TFStatus") == STATUS_DTYPE.itemsize == 24


def test_status_codes_are_the_declared_ones():
    shortened = {"invalid_scope_module": "INVALID_SCOPE_MOD", "device_not_found": "ERR_DEV_NOT_FOUND"}
    library = ffi.dlopen(None)
    for code in names.Status:
        assert getattr(library, f"XSP3_{shortened.get(code.name, code.name.upper())}") == code


@pytest.mark.parametrize(
    "enumeration, prefix",
    [
        (names.TimingSource, "XSP3_GTIMA_SRC_"),
        (names.ItfgTrigger, "XSP3_ITFG_TRIG_MODE_"),
        (names.RunFlag, "XSP3_RUN_FLAGS_"),
        (names.Scaler, "XSP_SW_SCALER_"),
        (names.GapMode, "XSP3_ITFG_GAP_MODE_"),
        (names.ErrorFlag, "Xsp3ErrFlag_"),
        (names.SyncMode, "XSP3_SYNC_"),
        (names.DeadtimeFlag, "XSP3_DTC_"),
        (names.Generation, "XspressGen"),
    ],
)
def test_enumerations_hold_declared_values(enumeration, prefix):
    library = ffi.dlopen(None)
    declared = {getattr(library, name) for name in dir(library) if name.startswith(prefix)}
    assert declared
    assert {int(member) for member in enumeration} <= declared
