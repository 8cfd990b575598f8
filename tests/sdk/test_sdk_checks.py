"""Every function refuses what cannot be: handles, cards, channels, NULL pointers, wild numbers; nothing crashes."""

import random

import pytest
from sdk_bench import connect, internal

from xsp3ioc.sdk import EmulatedLibrary, EmulatorSettings
from xsp3ioc.sdk.cdef import ffi, prototypes

INVALID_PATH, ILLEGAL_CARD, ILLEGAL_CHANNEL, RANGE_CHECK = -2, -3, -4, -6

WITH_PATH = [name for name, prototype in prototypes().items() if "path" in prototype.parameters]
CARDS = [name for name in WITH_PATH if "card" in prototypes()[name].parameters]
CHANNEL_NAMES = ("chan", "first_chan", "detector")
CHANNELS = [name for name in WITH_PATH if set(CHANNEL_NAMES) & set(prototypes()[name].parameters)]

OPTIONAL = {
    ("xsp3_scaler_check_progress_details", "flagsP"),
    ("xsp3_scaler_check_progress_details", "furthest_frame"),
    ("xsp3_histogram_get_circ_overrun", "firstP"),
    ("xsp3_hist_dtc_read4d", "scal_buff"),
    ("xsp3_hist_dtc_read4d_sf", "scal_buff"),
    ("xsp3_histogram_set_new_frame_callback", "new_frame"),
    ("xsp3_histogram_set_new_frame_callback", "user_ptr"),
}
NOT_EMULATED = {name for name in WITH_PATH if getattr(EmulatedLibrary, name).__doc__ is None}
PRODUCTS = {
    "xsp3_i2c_read_mid_plane_temp": "xspress4",
    "xsp3_read_marker_chan": "x3x2",
    "xsp3_setup_marker_chan": "x3x2",
    "xsp3_diag_histogram_read3d": "mini",
    "xsp3m_histogram_read_frames": "mini",
    "xsp3m_scaler_read": "mini",
    "xsp3m_get_readout_mode": "mini",
    "xsp3m_set_readout_mode": "mini",
    "xsp3_get_trig_in_term": "mini",
    "xsp3_get_trig_out_term": "mini",
    "xsp3_set_trig_in_term": "mini",
    "xsp3_set_trig_out_term": "mini",
}
"""Functions that other products refuse."""

USUAL = {
    "nbits_eng": 10, "col_time": 1000, "num_energies": 4096, "num_eng": 8, "num_aux": 1, "num_chan": 1, "num_tf": 1,
    "ntf": 1, "dx": 8, "dy": 1, "dt": 1, "n_scalers": 9, "n_chan": 1, "n_sf": 1, "size": 1, "num": 1, "num_roi": 1,
    "num_sub_frames": 1, "ts_divide": 100, "scaling": 1.0, "region": 3, "clk_src": 1, "delay_a": 3, "delay_b": 3,
    "high": 9, "file_streams": 1, "nbytes": 64, "marker_period": 0, "critTemp": 80, "num_frames": 1, "offset": 0,
}  # fmt: skip
"""Values of parameters, by name, that everything accepts; others are 0."""

MEMORY = 1 << 16
WILD = (-0x80000000, -7, -1, 0, 1, 2, 9, 100, 4096, 0x7FFFFFFF)


def signature(name):
    prototype = prototypes()[name]
    return zip(prototype.parameters, ffi.typeof(prototype.pointer_type).args, strict=True)


def points(kind):
    return kind.kind in ("pointer", "function")


def usual(name, tmp_path, keep):
    """Arguments that a function accepts; what they point to is kept in the list."""
    arguments = {}
    for parameter, kind in signature(name):
        if kind.kind == "function":
            value = ffi.NULL
        elif parameter in ("dir_name", "fname", "filename"):
            file = tmp_path / "file"
            file.write_bytes(bytes(64))
            value = ffi.new("char[]", str(tmp_path if parameter == "dir_name" else file).encode())
        elif parameter == "roi":
            value = ffi.new("XSP3Roi[]", [(0, 9, 10)])
        elif parameter == "trig_mux":
            value = ffi.new("Xsp3TriggerMux *", {"trig_sel": [0, 1, 2, 3]})
        elif points(kind):
            keep.append(ffi.new("char[]", MEMORY))
            value = ffi.cast(kind, keep[-1])
        else:
            value = USUAL.get(parameter, 0)
        arguments[parameter] = value
        if points(kind):
            keep.append(value)
    return arguments


def library(name, tmp_path):
    """An emulator in which the function has all it needs."""
    product = PRODUCTS.get(name, "xspress3")
    handle, emulator, _ = connect(product=product, channels=2, pace="reader", frames=64)
    if name == "xsp3_set_roi":
        emulator.xsp3_format_run(0, -1, 0, 0, 0, 0, 0, 8)
    if "restore" in name:
        handle.save_settings(tmp_path)
    internal(handle, 0, 1000)
    handle.start()
    if name.startswith("xsp3_sys_log_") and name != "xsp3_sys_log_start":
        log = ffi.new("char[]", str(tmp_path / "log").encode())
        assert emulator.xsp3_sys_log_start(0, log, 100, 0, 0) == 0
    return emulator


def call(emulator, name, arguments):
    """Call with C's own conversion of every argument, but without a C function that would swallow exceptions."""
    converted = [
        value if points(kind) else int(ffi.cast(kind, value)) if kind.kind == "enum" else as_c(kind, value)
        for (_, kind), value in zip(signature(name), arguments.values(), strict=True)
    ]
    return getattr(emulator, name)(*converted)


def as_c(kind, value):
    return ffi.new(f"{kind.cname}[1]", [ffi.cast(kind, value)])[0]


def refused(result):
    """Whether a function's answer is that of a failure."""
    return result == ffi.NULL if isinstance(result, ffi.CData) else result < 0


def end_log(emulator):
    if 0 in emulator._systems and emulator.system(0).electronics.log is not None:
        emulator.system(0).electronics.log.stop()


def message(emulator):
    return ffi.string(emulator.xsp3_get_error_message()).decode()


def test_every_prototype_is_walked():
    assert len(WITH_PATH) == len(prototypes()) - 3  # config, config_init, get_error_message
    assert len(CARDS) > 40 and len(CHANNELS) > 45
    unknown_types = {"xsp3_playback_generate", "xsp3_playback_generate_est_counts"}  # of a structure not described
    direct_access = {"xsp3_histogram_get_data_ptr", "xsp3_histogram_set_new_frame_callback"}
    assert unknown_types <= NOT_EMULATED <= unknown_types | direct_access


@pytest.mark.parametrize("name", WITH_PATH)
def test_usual_arguments_are_accepted(name, tmp_path):
    """So that the refusals of the other tests are for what they change."""
    keep = []
    emulator = library(name, tmp_path)
    result = call(emulator, name, usual(name, tmp_path, keep))
    end_log(emulator)
    if name in NOT_EMULATED:
        assert refused(result) and message(emulator) == f"{name} is not emulated"
    elif name != "xsp3_read_scope_data":
        assert not refused(result), message(emulator)


@pytest.mark.parametrize("path", [-5, 99, 1, -0x80000000, 0x7FFFFFFF])
def test_a_bad_handle_is_refused_everywhere(path, tmp_path):
    keep = []
    emulator = EmulatedLibrary(EmulatorSettings(channels=2))
    assert emulator.xsp3_config(1, 64, ffi.NULL, -1, ffi.NULL, -1, 1, ffi.NULL, 0, 0) == 0
    for name in WITH_PATH:
        for arguments in (usual(name, tmp_path, keep), nulls(name)):
            result = call(emulator, name, arguments | {"path": path})
            assert refused(result), name
            if not isinstance(result, ffi.CData) and name not in NOT_EMULATED:
                expected = -1 if name == "xsp3_get_generation" and result == -1 else INVALID_PATH
                assert result == expected, name
                assert message(emulator) == f"path {path} is not open"
        keep.clear()


def nulls(name):
    return {parameter: ffi.NULL if points(kind) else 0 for parameter, kind in signature(name)}


@pytest.mark.parametrize("name", sorted(set(CARDS) - NOT_EMULATED))
@pytest.mark.parametrize("card", [1, 99, 0x7FFFFFFF])
def test_a_card_that_is_not_there(name, card, tmp_path):
    keep = []
    emulator = library(name, tmp_path)
    result = call(emulator, name, usual(name, tmp_path, keep) | {"card": card})
    assert result == (-1 if name == "xsp3_get_generation" else ILLEGAL_CARD)
    assert f"card {card} is outside 0..0" in message(emulator)


@pytest.mark.parametrize("name", sorted(set(CHANNELS) - NOT_EMULATED))
@pytest.mark.parametrize("channel", [2, 9999, 0x7FFFFFFF])
def test_a_channel_that_is_not_there(name, channel, tmp_path):
    keep = []
    emulator = library(name, tmp_path)
    arguments = usual(name, tmp_path, keep)
    parameter = next(parameter for parameter in CHANNEL_NAMES if parameter in arguments)
    result = call(emulator, name, arguments | {parameter: channel})
    assert refused(result)
    if not isinstance(result, ffi.CData):
        assert result == (RANGE_CHECK if "marker_chan" in name else ILLEGAL_CHANNEL)
    assert str(channel) in message(emulator)


POINTERS = [
    (name, parameter)
    for name in WITH_PATH
    for parameter, kind in signature(name)
    if points(kind) and (name, parameter) not in OPTIONAL and name not in NOT_EMULATED
]


@pytest.mark.parametrize("name, parameter", POINTERS)
def test_a_null_pointer_that_is_needed(name, parameter, tmp_path):
    keep = []
    emulator = library(name, tmp_path)
    result = call(emulator, name, usual(name, tmp_path, keep) | {parameter: ffi.NULL})
    assert result == RANGE_CHECK
    assert "is NULL" in message(emulator)


@pytest.mark.parametrize("name, parameter", sorted(pair for pair in OPTIONAL if pair[0] not in NOT_EMULATED))
def test_a_null_pointer_that_is_not_needed(name, parameter, tmp_path):
    keep = []
    emulator = library(name, tmp_path)
    result = call(emulator, name, usual(name, tmp_path, keep) | {parameter: ffi.NULL})
    assert not refused(result), message(emulator)


def test_wild_numbers_do_not_crash_and_are_answered(tmp_path):
    """Pointers are NULL, so that no number of frames makes the emulator write where it may not."""
    rng = random.Random(1)
    emulators = [library("xsp3_get_num_chan", tmp_path), library("xsp3m_scaler_read", tmp_path)]
    for name in WITH_PATH:
        if name == "xsp3_close":
            continue
        needs = any(function == name for function, _ in POINTERS)
        for _ in range(40):
            arguments = {
                parameter: 0 if parameter == "path" else ffi.NULL if points(kind) else wild(rng, kind)
                for parameter, kind in signature(name)
            }
            for emulator in emulators:
                result = call(emulator, name, arguments)
                assert isinstance(result, int | float | ffi.CData), name
                if needs or name in NOT_EMULATED:
                    assert refused(result), (name, arguments)
                if refused(result):
                    assert message(emulator), name
                    if not isinstance(result, ffi.CData):
                        assert -20 <= result < 0, (name, result)
    assert all(emulator.xsp3_get_num_chan(0) == 2 for emulator in emulators)


def wild(rng, kind):
    if kind.cname == "double":
        return rng.choice([float("nan"), float("inf"), -1e300, -1.0, 0.0, 1.0, 1e300])
    return rng.choice(WILD)


EXTENTS = {
    "xsp3_histogram_read4d": {"num_eng": 4097, "num_aux": 2, "num_chan": 3, "num_tf": 65},
    "xsp3_histogram_read3d": {"dx": 4097, "dy": 3, "dt": 65},
    "xsp3_histogram_read_chan": {"num_eng": 4097, "num_aux": 2, "num_tf": 65},
    "xsp3_calib_histogram_read3d": {"dx": 4097, "dy": 3, "dt": 65},
    "xsp3_scaler_read": {"n_scalers": 10, "n_chan": 3, "dt": 65},
    "xsp3_scaler_read_sf": {"n_scalers": 10, "n_sf": 2, "n_chan": 3, "dt": 65},
    "xsp3_scaler_dtc_read": {"n_scalers": 10, "n_chan": 3, "dt": 65},
    "xsp3_scaler_dtc_read_sf": {"n_scalers": 10, "n_sf": 2, "n_chan": 3, "dt": 65},
    "xsp3_hist_dtc_read4d": {"num_eng": 4097, "num_aux": 2, "num_chan": 3, "num_tf": 65},
    "xsp3_hist_dtc_read4d_sf": {"num_eng": 4097, "num_aux": 2, "num_chan": 3, "num_tf": 65},
    "xsp3_hist_dtc_read3d": {"num_eng": 4097, "dy": 3, "num_tf": 65},
    "xsp3_calculateDeadtimeCorrectionFactors": {"num_tf": (1 << 20) + 1, "num_chan": 3},
    "xsp3_calculateDeadtimeCorrectionFactors_sf": {"num_tf": (1 << 20) + 1, "num_chan": 3, "num_sub_frames": -1},
    "xsp3m_histogram_read_frames": {"num_eng": 4097, "num_chan": 3, "num_tf": 65},
    "xsp3m_scaler_read": {"n_scalers": 10, "n_chan": 3, "dt": 65},
}


@pytest.mark.parametrize("name, parameter", [(name, parameter) for name in EXTENTS for parameter in EXTENTS[name]])
def test_more_than_there_is_and_nothing_at_all(name, parameter, tmp_path):
    keep = []
    emulator = library(name, tmp_path)
    arguments = usual(name, tmp_path, keep)
    memories = [memory for memory in keep if ffi.sizeof(memory) == MEMORY]
    for wrong in (EXTENTS[name][parameter], 0):
        assert call(emulator, name, arguments | {parameter: wrong}) == RANGE_CHECK
    largest = as_c(dict(signature(name))[parameter], -1)
    assert call(emulator, name, arguments | {parameter: largest}) == RANGE_CHECK
    assert memories and not any(bytes(ffi.buffer(memory)).strip(b"\0") for memory in memories)
