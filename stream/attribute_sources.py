"""The parameters that an NDAttribute may name: those of the areaDetector driver, and all of ours."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import numpy as np

from xsp3ioc.stream.attributes import CHANNEL_COLUMNS, FRAME_TYPES, TEXT, DataType, Value
from xsp3ioc.stream.parameter import Parameter

OURS = {
    "MANUFACTURER": "manufacturer",
    "MODEL": "model",
    "FIRMWARE_VERSION": "firmware_version",
    "SDK_VERSION": "sdk_version",
    "DRIVER_VERSION": "driver_version",
    "ADCORE_VERSION": "adcore_version",
    "PORT_NAME_SELF": "port_name",
    "ARRAY_SIZE_X": "size_x",
    "ARRAY_SIZE_Y": "size_y",
    "ARRAY_SIZE_Z": "size_z",
    "ARRAY_SIZE": "array_bytes",
    "MAX_SIZE_X": "most_x",
    "MAX_SIZE_Y": "most_y",
    "DATA_TYPE": "data_type",
    "COLOR_MODE": "color_mode",
    "ARRAY_CALLBACKS": "array_callbacks",
    "ACQUIRE": "acquire",
    "ACQ_TIME": "exposure_time",
    "ACQ_PERIOD": "frame_period",
    "NIMAGES": "frames",
    "NEXPOSURES": "exposures",
    "NUM_IMAGES": "frames",
    "NUM_EXPOSURES": "exposures",
    "IMAGE_MODE": "image_mode",
    "TRIGGER_MODE": "trigger_mode",
    "TIME_REMAINING": "time_remaining",
    "STATUS": "detector_state",
    "STATUS_MESSAGE": "status_message",
    "TEMPERATURE_ACTUAL": "temperature",
    "FILE_PATH": "file_path",
    "FILE_NAME": "file_name",
    "FILE_NUMBER": "file_number",
    "FILE_TEMPLATE": "file_template",
    "FULL_FILE_NAME": "full_file_name",
    "NUM_CAPTURE": "capture_frames",
    "NUM_CAPTURED": "captured",
    "XSP3_TRIGGER_MODE": "trigger_mode",
    "XSP3_INVERT_F0": "invert_f0",
    "XSP3_INVERT_VETO": "invert_veto",
    "XSP3_DEBOUNCE": "debounce",
    "XSP3_NUM_CHANNELS": "channels",
    "XSP3_MAX_NUM_CHANNELS": "max_channels",
    "XSP3_NUM_CARDS": "cards",
    "XSP3_MAX_FRAMES": "ring_frames",
    "XSP3_NUM_FRAMES_CONFIG": "frames_config",
    "XSP3_FRAME_COUNT": "frames_done",
    "XSP3_CONFIG_PATH": "config_path",
    "XSP3_CONNECTED": "connected",
    "XSP3_CTRL_DTC": "corrected",
    "XSP3_CHAN_SCA4_THRESHOLD": "good_threshold",
    "XSP3_CHAN_SCA5_LLM": "window1_low",
    "XSP3_CHAN_SCA5_HLM": "window1_high",
    "XSP3_CHAN_SCA6_LLM": "window2_low",
    "XSP3_CHAN_SCA6_HLM": "window2_high",
}
"""What the driver calls a parameter: ours of the same meaning."""


def find_type(
    source: str, addr: int, datatype: DataType | None, parameters: Mapping[str, Parameter], channels: int
) -> DataType:
    """Return the type in which the parameter `source` is written: `datatype`, or its own.

    ValueError says what is wrong, without the name of the attribute.
    """
    of_channels = source in CHANNEL_COLUMNS
    if of_channels or source in FRAME_TYPES:
        if datatype == TEXT:
            raise ValueError(f"{source} is a number, not a STRING")
        if of_channels:
            _check_channel(source, addr, channels)
        return datatype or FRAME_TYPES.get(source, "f8")
    parameter = parameters.get(parameter_name(source))
    if parameter is None:
        known = sorted({*CHANNEL_COLUMNS, *FRAME_TYPES, *OURS, *parameters})
        near = difflib.get_close_matches(source, known, 3, 0.5)
        raise ValueError(f"there is no parameter {source[:60]!r}" + (f"; there is {', '.join(near)}" if near else ""))
    if parameter.per or parameter.derived or isinstance(parameter.default, np.ndarray):
        raise ValueError(f"{source} is not one value; use type EPICS_PV and the name of its record")
    if parameter.per_channel:
        _check_channel(source, addr, channels)
    if isinstance(parameter.default, str):
        if datatype not in (None, TEXT):
            raise ValueError(f"{source} is text: datatype STRING")
        return TEXT
    return datatype or ("f8" if isinstance(parameter.default, float) else "i4")


def parameter_name(source: str) -> str:
    """Return what we call a parameter."""
    return OURS.get(source, source)


def as_written(parameter: Parameter, value: Any, as_text: bool) -> Value:
    """Return one value of a parameter as it is written; `as_text`: of a choice its name."""
    if as_text:
        return parameter.text(value) if parameter.choices else str(value)
    number: Value = value.item() if isinstance(value, np.generic) else value
    return number


def _check_channel(source: str, addr: int, channels: int) -> None:
    if not 0 <= addr < channels:
        raise ValueError(f"addr={addr} is no channel; {source} has 0..{channels - 1}")
