"""Every function of the library that clients use is reached through the handle, by the method that the page names."""

import inspect
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from sdk_bench import connect
from sdk_recorder import Recorder

from xsp3ioc.sdk import (
    STATUS_DTYPE,
    Aux1Mode,
    DeadtimeFlag,
    DeadtimeParameters,
    EmulatedLibrary,
    EmulatorSettings,
    InitFlag,
    InPause,
    MarkerSource,
    Region,
    SyncMode,
    ThreadingFlag,
    Timing,
    TimingSource,
    TtlOut,
    Xspress3,
    Xspress3Error,
    absent,
)
from xsp3ioc.sdk.absences import DISABLED
from xsp3ioc.sdk.cdef import prototypes

PAGE = Path(__file__).parents[2] / "docs" / "sdk.md"

CLIENTS_USE = """
    config config_init close get_error_message get_revision get_generation get_num_chan get_max_num_chan get_num_cards
    get_chans_per_card get_bins_per_mca get_clock_period has_itfg resolve_path is_xsp3m_plus
    clocks_setup restore_settings restore_settings_and_clock save_settings set_sync_mode
    format_run get_format init_roi set_roi set_window get_window set_good_thres get_good_thres get_trigger_b
    set_trigger_b_ringing get_chan_cont set_chan_cont set_chan_cont2 read_reg bram_init read_marker_chan
    setup_marker_chan
    set_run_flags get_run_flags set_glob_timeA set_glob_timeFixed set_timing itfg_setup itfg_setup2 itfg_stop itfg_start
    set_glob_trigger_select
    histogram_start histogram_arm histogram_continue histogram_pause histogram_stop histogram_clear
    histogram_is_any_busy system_start_count_enb
    scaler_check_progress scaler_check_progress_details histogram_circ_ack histogram_get_circ_overrun
    histogram_read4d histogram_read3d scaler_read
    setDeadtimeCorrectionParameters getDeadtimeCorrectionParameters setDeadtimeCorrectionParameters2
    getDeadtimeCorrectionParameters2 getDeadtimeCorrectionFlags setDeadtimeCalculationEnergy
    getDeadtimeCalculationEnergy calculateDeadtimeCorrectionFactors hist_dtc_read4d
    i2c_read_adc_temp i2c_read_fem_temp i2c_set_adc_temp_limit write_fan_cont read_fan_cont playback_load_x3
    scope_settings_from_mod scope_wait read_scope_data
""".split()
"""Class P1 of the reference: called by at least one of the known clients."""

THE_MANUAL_HAS = """
    get_num_chan_used dma_config_memory dma_get_memory_config get_disable_threading set_disable_threading
    format_sub_frames read_format
    get_glob_timeA get_glob_timeFixed get_glob_time_statA itfg_get_setup set_alt_ttl_out set_trig_in_term
    set_trig_out_term get_trig_in_term get_trig_out_term
    scaler_check_desc scaler_get_num_tf histogram_get_tf_status histogram_get_tf_status_block histogram_get_tf_markers
    histogram_read_chan calib_histogram_read3d diag_histogram_read3d scaler_read_sf
    calculateDeadtimeCorrectionFactors_sf scaler_dtc_read scaler_dtc_read_sf hist_dtc_read4d_sf hist_dtc_read3d
    i2c_read_mid_plane_temp read_xadc sys_log_start sys_log_continue sys_log_stop sys_log_pause write_playback_data
""".split()
"""Class P2: in the manual, called by none of them."""

NOT_IN_THE_HANDLE = {
    "format_sub_frames", "scaler_read_sf", "calculateDeadtimeCorrectionFactors_sf", "scaler_dtc_read_sf",
    "hist_dtc_read4d_sf", "hist_dtc_read3d", "calib_histogram_read3d", "diag_histogram_read3d",
}  # fmt: skip
"""Sub-frames, and histograms that no client reads."""

MORE = {"set_trigger_b", "get_sync_mode", "get_glob_trigger_select"}
"""Class P3, the other half of a function that clients use."""

PARAMETERS = DeadtimeParameters(DeadtimeFlag(0), 100e-9, 0.0, 0.0, 0.0, 50e-9, 0.0, 0.0, 0.0)


def _u32(*shape):
    return np.zeros(shape, np.uint32)


CALLS = {
    "config": ("configure", lambda h, d: Xspress3.configure(h._lib, frames=64)),
    "config_init": ("configure", lambda h, d: Xspress3.configure(h._lib, frames=64, init=InitFlag.none)),
    "close": ("close", lambda h, d: h.close()),
    "get_error_message": ("configure", lambda h, d: Xspress3.configure(h._lib, frames=0)),
    "get_revision": ("revision", lambda h, d: h.firmware),
    "get_generation": ("generation", lambda h, d: h.generation),
    "get_num_chan": ("channels", lambda h, d: h.channels),
    "get_max_num_chan": ("available_channels", lambda h, d: h.available_channels),
    "get_num_cards": ("cards", lambda h, d: h.cards),
    "get_chans_per_card": ("channels_per_card", lambda h, d: h.channels_per_card),
    "get_num_chan_used": ("channels_on", lambda h, d: h.channels_on(0)),
    "get_bins_per_mca": ("bins_per_mca", lambda h, d: h.bins_per_mca),
    "get_clock_period": ("clock_period", lambda h, d: h.clock_period()),
    "has_itfg": ("has_itfg", lambda h, d: h.has_itfg),
    "resolve_path": ("leaf", lambda h, d: h.leaf(0)),
    "is_xsp3m_plus": ("is_mark2", lambda h, d: h.is_mark2),
    "clocks_setup": ("setup_clocks", lambda h, d: h.setup_clocks()),
    "restore_settings": ("restore_settings", lambda h, d: h.restore_settings(d)),
    "restore_settings_and_clock": ("restore_settings", lambda h, d: h.restore_settings(d, clock=True)),
    "save_settings": ("save_settings", lambda h, d: h.save_settings(d)),
    "dma_config_memory": ("set_memory_layout", lambda h, d: h.set_memory_layout(0)),
    "dma_get_memory_config": ("memory_layout", lambda h, d: h.memory_layout()),
    "get_disable_threading": ("threading_flags", lambda h, d: h.threading_flags()),
    "set_disable_threading": ("set_threading_flags", lambda h, d: h.set_threading_flags(ThreadingFlag.no_scope)),
    "set_sync_mode": ("set_sync_mode", lambda h, d: h.set_sync_mode(SyncMode.lemo_radial)),
    "get_sync_mode": ("sync_mode", lambda h, d: h.sync_mode()),
    "format_run": ("format", lambda h, d: h.format()),
    "get_format": ("memory_format", lambda h, d: h.memory_format()),
    "read_format": ("hardware_format", lambda h, d: h.hardware_format()),
    "init_roi": ("clear_regions", lambda h, d: h.clear_regions()),
    "set_roi": ("set_regions", lambda h, d: h.set_regions(0, [Region(0, 99, 100)])),
    "set_window": ("set_window", lambda h, d: h.set_window(0, 1, 2, 3)),
    "get_window": ("window", lambda h, d: h.window(0, 1)),
    "set_good_thres": ("set_good_threshold", lambda h, d: h.set_good_threshold(0, 70)),
    "get_good_thres": ("good_threshold", lambda h, d: h.good_threshold(0)),
    "get_trigger_b": ("trigger_b", lambda h, d: h.trigger_b(0)),
    "set_trigger_b": ("set_trigger_b", lambda h, d: h.set_trigger_b(0, h.trigger_b(0))),
    "set_trigger_b_ringing": ("set_ringing", lambda h, d: h.set_ringing(0, 0.1, 3, -0.1, 4)),
    "get_chan_cont": ("channel_control", lambda h, d: h.channel_control(0)),
    "set_chan_cont": ("set_channel_control", lambda h, d: h.set_channel_control(-1, 0)),
    "set_chan_cont2": ("set_channel_control2", lambda h, d: h.set_channel_control2(-1, 0)),
    "read_reg": ("read_registers", lambda h, d: h.read_registers(0, 0, 2, 1)),
    "bram_init": ("init_bram", lambda h, d: h.init_bram()),
    "read_marker_chan": ("read_marker_channel", lambda h, d: h.read_marker_channel(0, 2)),
    "setup_marker_chan": ("setup_marker_channel", lambda h, d: h.setup_marker_channel(0, 0)),
    "set_run_flags": ("set_run_flags", lambda h, d: h.set_run_flags(h.run_flags())),
    "get_run_flags": ("run_flags", lambda h, d: h.run_flags()),
    "set_glob_timeA": ("set_timing", lambda h, d: h.set_timing(TimingSource.internal)),
    "get_glob_timeA": ("timing_register", lambda h, d: h.timing_register()),
    "set_glob_timeFixed": ("set_first_frame", lambda h, d: h.set_first_frame(0)),
    "get_glob_timeFixed": ("first_frame", lambda h, d: h.first_frame()),
    "get_glob_time_statA": ("timing_state", lambda h, d: h.timing_state()),
    "set_timing": ("apply_timing", lambda h, d: h.apply_timing(Timing(TimingSource.internal))),
    "itfg_setup": ("setup_itfg", lambda h, d: h.setup_itfg(10, 1000)),
    "itfg_setup2": ("setup_itfg", lambda h, d: h.setup_itfg(10, 1000, marker_period=5)),
    "itfg_get_setup": ("itfg", lambda h, d: h.itfg()),
    "itfg_stop": ("stop_itfg", lambda h, d: h.stop_itfg()),
    "itfg_start": ("start_itfg", lambda h, d: h.start_itfg()),
    "set_alt_ttl_out": ("set_ttl_out", lambda h, d: h.set_ttl_out(TtlOut.veto)),
    "set_trig_in_term": ("set_input_termination", lambda h, d: h.set_input_termination(1)),
    "set_trig_out_term": ("set_output_termination", lambda h, d: h.set_output_termination(1)),
    "get_trig_in_term": ("input_termination", lambda h, d: h.input_termination()),
    "get_trig_out_term": ("output_termination", lambda h, d: h.output_termination()),
    "set_glob_trigger_select": ("set_trigger_inputs", lambda h, d: h.set_trigger_inputs()),
    "get_glob_trigger_select": ("trigger_inputs", lambda h, d: h.trigger_inputs()),
    "histogram_start": ("start", lambda h, d: h.start()),
    "histogram_arm": ("arm", lambda h, d: h.arm()),
    "histogram_continue": ("resume", lambda h, d: h.resume()),
    "histogram_pause": ("pause", lambda h, d: h.pause()),
    "histogram_stop": ("stop", lambda h, d: h.stop()),
    "histogram_clear": ("clear", lambda h, d: h.clear(10)),
    "histogram_is_any_busy": ("busy", lambda h, d: h.busy),
    "system_start_count_enb": ("start_scope", lambda h, d: h.start_scope()),
    "scaler_check_progress": ("progress", lambda h, d: h.progress()),
    "scaler_check_progress_details": ("progress", lambda h, d: h.progress()),
    "scaler_check_desc": ("progress_of", lambda h, d: h.progress_of(0)),
    "scaler_get_num_tf": ("scaler_frames", lambda h, d: h.scaler_frames),
    "histogram_circ_ack": ("acknowledge", lambda h, d: h.acknowledge(0, 1)),
    "histogram_get_circ_overrun": ("overrun", lambda h, d: h.overrun()),
    "histogram_get_tf_status": ("slot_status", lambda h, d: h.slot_status(0)),
    "histogram_get_tf_status_block": ("frame_status", lambda h, d: h.frame_status(0, np.zeros(1, STATUS_DTYPE))),
    "histogram_get_tf_markers": ("read_markers", lambda h, d: h.read_markers(0, np.zeros(2, np.int32))),
    "histogram_read4d": ("read_mca", lambda h, d: h.read_mca(0, _u32(1, h.channels, 4096))),
    "histogram_read3d": ("read_part", lambda h, d: h.read_part(0, _u32(1, 1, 100), 1, 50)),
    "histogram_read_chan": ("read_channel", lambda h, d: h.read_channel(0, _u32(1, 4096), 1)),
    "scaler_read": ("read_scalers", lambda h, d: h.read_scalers(0, _u32(1, h.channels, 9))),
    "setDeadtimeCorrectionParameters": (
        "set_dead_time_parameters", lambda h, d: h.set_dead_time_parameters(0, PARAMETERS)),
    "setDeadtimeCorrectionParameters2": (
        "set_dead_time_parameters", lambda h, d: h.set_dead_time_parameters(0, PARAMETERS)),
    "getDeadtimeCorrectionParameters": ("dead_time_parameters", lambda h, d: h.dead_time_parameters(0)),
    "getDeadtimeCorrectionParameters2": ("dead_time_parameters", lambda h, d: h.dead_time_parameters(0)),
    "getDeadtimeCorrectionFlags": ("dead_time_flags", lambda h, d: h.dead_time_flags(0)),
    "setDeadtimeCalculationEnergy": ("dead_time_energy", lambda h, d: setattr(h, "dead_time_energy", 8.0)),
    "getDeadtimeCalculationEnergy": ("dead_time_energy", lambda h, d: h.dead_time_energy),
    "calculateDeadtimeCorrectionFactors": (
        "dead_time_factors", lambda h, d: h.dead_time_factors(_u32(1, h.channels, 9))),
    "scaler_dtc_read": (
        "read_corrected_scalers", lambda h, d: h.read_corrected_scalers(0, np.zeros((1, h.channels, 9)))),
    "hist_dtc_read4d": ("read_corrected", lambda h, d: h.read_corrected(0, np.zeros((1, h.channels, 4096)))),
    "i2c_read_adc_temp": ("temperatures", lambda h, d: h.temperatures()),
    "i2c_read_fem_temp": ("board_temperatures", lambda h, d: h.board_temperatures()),
    "i2c_read_mid_plane_temp": ("board_temperatures", lambda h, d: h.board_temperatures()),
    "i2c_set_adc_temp_limit": ("set_temperature_limit", lambda h, d: h.set_temperature_limit(60)),
    "read_xadc": ("monitors", lambda h, d: h.monitors()),
    "write_fan_cont": ("write_fan", lambda h, d: h.write_fan(7, [80])),
    "read_fan_cont": ("read_fan", lambda h, d: h.read_fan(7)),
    "sys_log_start": ("start_log", lambda h, d: h.start_log(d / "log")),
    "sys_log_continue": ("continue_log", lambda h, d: h.continue_log()),
    "sys_log_stop": ("stop_log", lambda h, d: h.stop_log()),
    "sys_log_pause": ("pause_log", lambda h, d: h.pause_log()),
    "playback_load_x3": ("load_playback", lambda h, d: h.load_playback(_playback(d), [0, 1])),
    "write_playback_data": ("write_playback", lambda h, d: h.write_playback(_u32(16))),
    "scope_settings_from_mod": ("setup_scope", lambda h, d: h.setup_scope()),
    "scope_wait": ("wait_scope", lambda h, d: h.wait_scope()),
    "read_scope_data": ("read_scope", lambda h, d: h.read_scope()),
}  # fmt: skip
"""Function without xsp3_ -> the method that calls it, and such a call: of a handle, with an empty directory."""

BEFORE = {
    "restore_settings": lambda h, d: h.save_settings(d),
    "restore_settings_and_clock": lambda h, d: h.save_settings(d),
    "set_roi": lambda h, d: h.format(bits=9),
    "itfg_stop": lambda h, d: _started(h),
    "itfg_start": lambda h, d: (_started(h), h.stop_itfg()),
    "scaler_check_progress": lambda h, d: _started(h),
    "scaler_check_progress_details": lambda h, d: _started(h),
    "scaler_check_desc": lambda h, d: _started(h),
    "histogram_circ_ack": lambda h, d: _started(h),
    "sys_log_continue": lambda h, d: (h.start_log(d / "log"), h.pause_log()),
    "sys_log_stop": lambda h, d: h.start_log(d / "log"),
    "sys_log_pause": lambda h, d: h.start_log(d / "log"),
}
"""What has to be done first."""

OLDER_THAN = {
    "scaler_check_progress": {"xsp3_scaler_check_progress_details"},
    "setDeadtimeCorrectionParameters": {"xsp3_setDeadtimeCorrectionParameters2"},
    "getDeadtimeCorrectionParameters": {"xsp3_getDeadtimeCorrectionParameters2"},
}
"""What a library lacks when the handle uses the older function instead."""

REFUSED = {"get_error_message", "read_scope_data"}
"""A failure is what is asked for, or there are no data of a scope."""

PRODUCT = {"i2c_read_mid_plane_temp": "xspress4", "set_sync_mode": "x3x2", "read_marker_chan": "x3x2",
           "setup_marker_chan": "x3x2", "set_trig_in_term": "mini", "set_trig_out_term": "mini",
           "get_trig_in_term": "mini", "get_trig_out_term": "mini"}  # fmt: skip


def _nothing(handle, directory):
    """Nothing has to be done first."""


def _started(handle):
    handle.setup_itfg(0, 1000)
    handle.set_timing(TimingSource.internal)
    handle.start()


def _playback(directory):
    file = directory / "playback.dat"
    file.write_bytes(bytes(4096))
    return file


@pytest.fixture
def recorded(request):
    """Connects for a function: a handle, and the library behind it."""

    def connected(function):
        handle, library = connect_for(function)
        request.addfinalizer(handle.close)  # the library's threads end
        return handle, library

    return connected


def connect_for(function):
    """A handle and the library behind it."""
    product = PRODUCT.get(function, "xspress3")
    library = None

    def record(emulator):
        nonlocal library
        library = Recorder(emulator, without=OLDER_THAN.get(function, ()))
        return library

    handle, _, _ = connect(library=record, product=product, channels=2)
    return handle, library


def test_the_lists_are_whole():
    assert len(CLIENTS_USE) == len(set(CLIENTS_USE)) == 80
    assert len(THE_MANUAL_HAS) == len(set(THE_MANUAL_HAS)) == 37
    assert {*CLIENTS_USE, *THE_MANUAL_HAS} - NOT_IN_THE_HANDLE | MORE == CALLS.keys()
    assert {f"xsp3_{name}" for name in [*CALLS, *NOT_IN_THE_HANDLE]} <= prototypes().keys()


@pytest.mark.parametrize("function", CALLS)
def test_the_method_calls_the_function(function, recorded, tmp_path):
    handle, library = recorded(function)
    with suppress(Xspress3Error):  # what the emulator makes of it is another test's
        BEFORE.get(function, _nothing)(handle, tmp_path)
    library.calls.clear()
    with suppress(Xspress3Error):
        CALLS[function][1](handle, tmp_path)
    assert f"xsp3_{function}" in library.names
    assert hasattr(Xspress3, CALLS[function][0])


@pytest.mark.parametrize("function", CLIENTS_USE)
def test_the_emulator_answers(function, recorded, tmp_path):
    handle, _ = recorded(function)
    BEFORE.get(function, _nothing)(handle, tmp_path)
    if function in REFUSED:
        with pytest.raises(Xspress3Error) as caught:
            CALLS[function][1](handle, tmp_path)
        assert f"xsp3_{function} is not emulated" not in str(caught.value)
    else:
        CALLS[function][1](handle, tmp_path)


def meaning(method):
    """The first sentence, or more, of what a method says of itself."""
    found = inspect.getattr_static(Xspress3, method)
    found = getattr(found, "fget", None) or getattr(found, "func", None) or getattr(found, "__func__", found)
    return inspect.getdoc(found).split("\n\n")[0].replace("\n", " ")


def table():
    """The table of the page: method, functions, meaning."""
    rows = {}
    for function, (method, _) in CALLS.items():
        rows.setdefault(method, []).append(f"`xsp3_{function}`")
    head = ["| method | function | |", "| --- | --- | --- |"]
    return head + [f"| `{method}` | {', '.join(names)} | {meaning(method)} |" for method, names in rows.items()]


def test_the_page_names_them():
    text = PAGE.read_text()
    assert text[text.index("| method | function |") :].splitlines() == table()


def test_the_example_of_the_page(tmp_path):
    example, shown = (re.search(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]
                      for kind in ("python", "text"))  # fmt: skip
    result = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    found, told = result.stdout.splitlines(), shown.splitlines()
    assert found[:-1] == told[:-1]
    for line in (found[-1], told[-1]):
        assert re.fullmatch(r"dead time \d\.\d %", line)


def test_what_absent_functions_disable():
    names = [f"xsp3_{name}" for name in [*CLIENTS_USE, *THE_MANUAL_HAS]]
    assert sorted(DISABLED) == sorted(names)
    _, emulator, _ = connect()
    assert absent(emulator) == []
    old = Recorder(emulator, without={"xsp3_itfg_setup2", "xsp3_get_format"})
    assert dict(absent(old)) == {
        "xsp3_itfg_setup2": "generator markers, collecting between triggers",
        "xsp3_get_format": "formats with auxiliary data",
    }


def test_arguments_are_in_the_librarys_order():
    library = None

    def record(emulator):
        nonlocal library
        library = Recorder(emulator, xsp3_itfg_setup2=lambda *_: 0, xsp3_set_timing=kept.append_timing,
                           xsp3_set_trigger_b_ringing=lambda *_: 0, xsp3_format_run=lambda *_: 64,
                           xsp3_get_format=kept.four_numbers)  # fmt: skip
        return library

    kept = _Kept()
    handle, _, _ = connect(library=record)
    handle.setup_itfg(10, 3, in_pause=InPause.all_but_first, marker_period=5, marker_frame=2)
    assert library.last("xsp3_itfg_setup2") == (0, 10, 3, 0, 3, 2, 5, 2)
    handle.set_first_frame(7)
    assert library.last("xsp3_set_glob_timeFixed") == (-1, 7 | 2 << 30)
    handle.set_first_frame(7, MarkerSource.software)
    assert library.last("xsp3_set_glob_timeFixed") == (-1, 7 | 1 << 30)
    handle.apply_timing(Timing(TimingSource.ttl_both, 5, MarkerSource.itfg, True, False, True, 80, 10, 1, 2))
    assert kept.timing == (5, 5 | 2 << 30, 1, 0, 1, 80, 10, 1, 2)
    handle.set_ringing(1, 0.25, 3, -0.5, 34)
    assert library.last("xsp3_set_trigger_b_ringing") == (1, 0.25, 3, -0.5, 34)
    handle.set_ringing(-1, 0.25, 3, -0.5, 34)
    assert [arguments[0] for name, arguments in library.calls[-4:]] == [0, 1, 2, 3]
    assert handle.format(2, 10, aux1=Aux1Mode.minimum_div8, aux1_threshold=9, aux2_bits=8) == 64
    assert library.last("xsp3_format_run") == (2, 1, 9, 3, 0, 0, 10)
    assert handle.aux == 16 * 3 and library.last("xsp3_get_format")[0] == 2


class _Kept:
    """Functions that look into structures while they are valid, and fill numbers."""

    def append_timing(self, path, setup):
        self.timing = (setup.t_src, setup.fixed, setup.inv_f0, setup.inv_veto, setup.loop_io, setup.debounce,
                       setup.override_debounce_other, setup.card0_a_extra, setup.cardn_a_extra)  # fmt: skip
        return 0

    def four_numbers(self, path, channel, eng, aux1, aux2, frames):
        eng[0], aux1[0], aux2[0], frames[0] = 1024, 16, 3, 64
        return 0


def test_a_number_that_is_not_whole_is_refused_at_the_call():
    """As a C library does; the emulator would take it, and stumble over it much later."""
    with Xspress3.configure(EmulatedLibrary(EmulatorSettings())) as xspress3:
        with pytest.raises(TypeError, match="xsp3_itfg_setup: an integer is required, not 100.5"):
            xspress3.setup_itfg(frames=1, ticks=100.5)
        with pytest.raises(ValueError, match="99 is not a valid TimingSource"):
            xspress3.set_timing(99)
        xspress3.dead_time_energy = 6.4
        assert xspress3.dead_time_energy == 6.4
