"""Calling any function of the emulated library with arguments drawn by name and type, as a careless C program would."""

import math

import numpy as np
from hypothesis import strategies as st

from xsp3ioc.sdk.cdef import ffi, prototypes

LIMITS = {"int": (-0x80000000, 0x7FFFFFFF), "unsigned int": (0, 0xFFFFFFFF), "uint32_t": (0, 0xFFFFFFFF),
          "size_t": (0, 0x1000)}  # fmt: skip
BORDERS = (0, 1, 2, 3, 4, 7, 8, 9, 11, 12, 13, 15, 16, 17, 31, 64, 100, 800, 1023, 1024, 4095, 4096, 4097, 0x7FFFFFFF,
           0xFFFFFFFF, -1, -2, -0x80000000, 0x80000000, 0xFFFFFFFE)  # fmt: skip
GUARD = 64
"""Bytes before and after the memory that a function may write."""
_PATTERN = 0xA5
MOST_ELEMENTS = 1 << 16

WITHOUT_HOST_EFFECT = sorted(
    name
    for name in prototypes()
    # A log makes files from a thread, callbacks come from one, unknown structures cannot be handed over.
    if not name.startswith(("xsp3_sys_log", "xsp3_playback_generate"))
    and name not in ("xsp3_histogram_set_new_frame_callback", "xsp3_get_error_message")
)

WRITTEN = {
    "xsp3_histogram_read4d": {"buffer": ("num_eng", "num_aux", "num_chan", "num_tf")},
    "xsp3_histogram_read3d": {"buffer": ("dx", "dy", "dt")},
    "xsp3_calib_histogram_read3d": {"buffer": ("dx", "dy", "dt")},
    "xsp3_diag_histogram_read3d": {"buffer": ("dx", "dy", "dt")},
    "xsp3_histogram_read_chan": {"buffer": ("num_eng", "num_aux", "num_tf")},
    "xsp3m_histogram_read_frames": {"buffer": ("num_eng", "num_chan", "num_tf")},
    "xsp3_scaler_read": {"dest": ("n_scalers", "n_chan", "dt")},
    "xsp3m_scaler_read": {"dest": ("n_scalers", "n_chan", "dt")},
    "xsp3_scaler_read_sf": {"dest": ("n_scalers", "n_sf", "n_chan", "dt")},
    "xsp3_scaler_dtc_read": {"dest": ("n_scalers", "n_chan", "dt")},
    "xsp3_scaler_dtc_read_sf": {"dest": ("n_scalers", "n_sf", "n_chan", "dt")},
    "xsp3_hist_dtc_read4d": {
        "hist_buff": ("num_eng", "num_aux", "num_chan", "num_tf"),
        "scal_buff": (9, "num_aux", "num_chan", "num_tf"),
    },
    "xsp3_hist_dtc_read4d_sf": {
        "hist_buff": ("num_eng", "num_aux", "num_chan", "num_tf"),
        "scal_buff": (9, "num_aux", "num_chan", "num_tf"),
    },
    "xsp3_hist_dtc_read3d": {"hist_buff": ("num_eng", "dy", "num_tf")},
    "xsp3_histogram_get_tf_status_block": {"tf_status": ("ntf",)},
    "xsp3_histogram_get_tf_markers": {"markers": ("num_tf",)},
    "xsp3_read_reg": {"value": ("size",)},
    "xsp3_read_marker_chan": {"value": ("size",)},
    "xsp3_read_fan_cont": {"value": ("size",)},
    "xsp3_write_fan_cont": {"value": ("size",)},
    "xsp3_read_xadc": {"data": ("num",)},
    "xsp3_set_roi": {"roi": ("num_roi",)},
    "xsp3_write_playback_data": {"buffer": ("nbytes",)},
    "xsp3_calculateDeadtimeCorrectionFactors": {
        "hardwareScalerReadings": (9, "num_tf", "num_chan"),
        "dtcFactors": ("num_tf", "num_chan"),
        "inpEst": ("num_tf", "num_chan"),
    },
    "xsp3_calculateDeadtimeCorrectionFactors_sf": {
        "hardwareScalerReadings": (9, "num_tf", "num_chan", "num_sub_frames"),
        "dtcFactors": ("num_tf", "num_chan", "num_sub_frames"),
        "inpEst": ("num_tf", "num_chan", "num_sub_frames"),
    },
    "xsp3_i2c_read_adc_temp": {"temp": (5 * 16,)},
    "xsp3_i2c_read_fem_temp": {"temp": (2 * 16,)},
    "xsp3_i2c_read_mid_plane_temp": {"temp": (3,)},
    "xsp3_playback_load_x3": {"src": (16,)},
}
"""How many elements a function reads or writes through a pointer, by its parameters; 1 of those not named."""

HONEST = {"num_tf", "num_chan", "num_sub_frames"}
"""Counts that only the caller can check, where they say how much memory was handed over for a calculation."""


def signature(name):
    """Pairs of parameter and C type."""
    prototype = prototypes()[name]
    return list(zip(prototype.parameters, ffi.typeof(prototype.pointer_type).args, strict=True))


class Guarded:
    """Memory of so many elements behind a C pointer, with a pattern on both sides."""

    def __init__(self, kind, elements):
        size = max(ffi.sizeof(kind.item), 1) * elements
        self.memory = np.full(size + 2 * GUARD, _PATTERN, np.uint8)
        self.pointer = ffi.cast(kind, ffi.cast("char *", ffi.from_buffer(self.memory)) + GUARD)
        self.inside = self.memory[GUARD : GUARD + size]

    @property
    def untouched_around(self):
        return (self.memory[:GUARD] == _PATTERN).all() and (self.memory[-GUARD:] == _PATTERN).all()


def numbers(kind):
    """Any number that a C argument of this type can be, those on borders most."""
    if kind.kind == "enum":
        return st.sampled_from((0, 1, 2, 3, 4, 0x100, 0x10000, 0x7FFFFFFF))
    if kind.cname == "double":
        return st.sampled_from((0.0, 1.0, 0.5, -1.0, 2.0, 5.9, 1e300, -1e-300, math.inf, -math.inf, math.nan))
    low, high = LIMITS[kind.cname]
    return st.sampled_from([value for value in BORDERS if low <= value <= high]) | st.integers(low, high)


@st.composite
def calls(draw, names=tuple(WITHOUT_HOST_EFFECT), paths=(0, 0, 0, 0, 0, 1, -1, 5, 0x7FFFFFFF)):
    """A function's name and a value for each parameter: a number, or for a pointer whether it is there."""
    name = draw(st.sampled_from(names))
    values = {}
    for parameter, kind in signature(name):
        if parameter == "path":
            values[parameter] = draw(st.sampled_from(paths))
        elif kind.kind == "pointer":
            values[parameter] = draw(st.sampled_from((True, True, True, False)))
        elif "calculate" in name and parameter in HONEST:
            values[parameter] = draw(st.integers(-2, 4))
        elif parameter in ("chan", "card", "win", "scaler", "aux", "num_aux", "eng", "x", "y", "t", "tf") or (
            parameter.startswith(("num_", "n_", "d")) and kind.cname != "double"
        ):
            values[parameter] = draw(st.integers(0, 4) | numbers(kind))
        else:
            values[parameter] = draw(numbers(kind))
    return name, values


def make_call(emulator, name, values, texts):
    """Call; returns the answer, and the guarded memory by parameter.

    `texts` are values for char pointers by parameter. Where a count is more than can be meant, there is memory for few:
    the function has to refuse it before it touches any.
    """
    arguments, memory = [], {}
    for parameter, kind in signature(name):
        value = values[parameter]
        if kind.kind != "pointer":
            arguments.append(value)
        elif not value:
            arguments.append(ffi.NULL)
        elif parameter in texts:
            memory[parameter] = ffi.new("char[]", texts[parameter])
            arguments.append(memory[parameter])
        else:
            counts = [values.get(count, count) for count in WRITTEN.get(name, {}).get(parameter, (1,))]
            elements = math.prod(max(count, 0) for count in counts)
            memory[parameter] = Guarded(kind, elements if elements <= MOST_ELEMENTS else 1)
            arguments.append(memory[parameter].pointer)
    answer = getattr(emulator, name)(*arguments)
    return answer, {parameter: found for parameter, found in memory.items() if isinstance(found, Guarded)}


def refused(answer):
    """Whether an answer is that of a failure."""
    return answer == ffi.NULL if isinstance(answer, ffi.CData) else answer < 0


def message(emulator):
    """Text of the last failure."""
    return ffi.string(emulator.xsp3_get_error_message()).decode()
