"""The header of a series: what a late or remote reader has to know, from the parameters at its start."""

from __future__ import annotations

import shlex
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from xsp3ioc import __version__
from xsp3ioc.stream.connection import TRIGGERS
from xsp3ioc.stream.declared import BINS
from xsp3ioc.stream.messages import DEAD_TIME_MODELS, Capture, Header, SettingsFiles
from xsp3ioc.stream.parameter import Parameter
from xsp3ioc.stream.rois import named_rois

SINGLE, MULTIPLE, CONTINUOUS = range(3)
"""Image modes."""


def make_header(
    series_id: int,
    values: Mapping[str, Any],
    parameters: Mapping[str, Parameter],
    file: Capture | None,
    clock_period: float,
    simulated: bool,
    settings_files: SettingsFiles | None = None,
) -> Header:
    """Return the header of a series that begins now; `file` is what it is written to, `clock_period` in s."""
    trigger = TRIGGERS[values["trigger_mode"]]
    channels = range(values["channels"])
    kept = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.writable and not parameter.command and not parameter.per
    }
    return Header(
        msg_number=0,
        series_id=series_id,
        capture_id=file.capture_id if file else 0,
        filename=file.filename if file else "",
        frames=frames_asked(values),
        channels=values["channels"],
        bins=BINS,
        exposure=values["exposure_time"] if trigger.exposed else 0.0,
        gap=values["gap_time"] if trigger.exposed else 0.0,
        clock_period=clock_period,
        trigger_mode=parameters["trigger_mode"].text(values["trigger_mode"]),
        time=time.time(),
        times="ticks" if trigger.free_running else "read-out",
        event_widths=list(values["event_width"]),
        energy_offset=list(values["energy_offset"]),
        energy_slope=list(values["energy_slope"]),
        windows=[
            [[values[f"window{number}_{end}"][channel] for end in ("low", "high")] for number in (1, 2)]
            for channel in channels
        ],
        good_thresholds=list(values["good_threshold"]),
        rois=[named_rois(values, channel) for channel in channels],
        simulated=simulated,
        detector=values["model"],
        host=socket.gethostname(),
        server=f"xsp3ioc {__version__}",
        library=values["sdk_version"],
        firmware=values["firmware_version"],
        dead_time_model=DEAD_TIME_MODELS[values["dead_time_model"]],
        parameters={
            name: list(values[name]) if parameter.per_channel else values[name]
            for name, parameter in kept.items()
        },
        units={name: parameter.unit for name, parameter in kept.items() if parameter.unit},
        command=shlex.join(sys.argv),
        settings_files=settings_files or SettingsFiles(),
    )


def frames_asked(values: Mapping[str, Any]) -> int:
    """Frames of a series with these values of the parameters; 0: until it is stopped."""
    return int({SINGLE: 1, MULTIPLE: values["frames"], CONTINUOUS: 0}[values["image_mode"]])
