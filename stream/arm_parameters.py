"""Parameters of Arm: what a client of Tango asks for before it starts a series, and what it then does and sees."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from xsp3ioc.stream.detector_parameters import LONGEST_EXPOSURE, MAX_FRAMES
from xsp3ioc.stream.parameter import NO_YES, Parameter

LONGEST_PERIOD = 2 * LONGEST_EXPOSURE


def _arm(default: Any, name: str, doc: str, **more: Any) -> Parameter:
    record = f"/Tango:{name}" if more.get("writable", True) else f"/Tango:{name}_RBV"
    return Parameter(default, doc, pv=record, tango=name, **more)


def _window(number: int) -> Parameter:
    return Parameter(
        np.zeros(2, np.int64), f"Window {number}: lowest and highest bin; values beyond the spectrum are its ends",
        unit="bins", length=2, per_channel=True, derived=True, command=True,
    )  # fmt: skip


class ArmParameters:
    """A series of Arm: `triggers` x `frames_per_trigger` frames, one every `frame_time`.

    They follow AcquireTime, NumImages and TriggerMode, and these follow them.
    """

    frame_time = _arm(
        0.1, "ExposureTime", "Frame period: counting time, latency and readout time", unit="s", low=1e-6,
        high=LONGEST_PERIOD, precision=6, format="%e", command=True,
    )  # fmt: skip
    latency_time = _arm(
        0.0, "LatencyTime", "Part of the frame period in which nothing is counted, beside the readout time", unit="s",
        low=0.0, high=LONGEST_PERIOD, precision=9, format="%.2e",
    )  # fmt: skip
    gap_time = _arm(
        1e-6, "ReadoutTime", "Gap between two frames", unit="s", precision=9, format="%.2e", writable=False
    )
    triggers = _arm(1, "nTriggers", "Triggers of a series", low=1, high=MAX_FRAMES, command=True)
    frames_per_trigger = _arm(
        1, "nFramesPerTrigger", "Frames that a trigger starts; more than 1 only with nTriggers = 1", low=1,
        high=MAX_FRAMES, command=True,
    )  # fmt: skip
    arm_trigger = _arm(
        "SOFTWARE", "TriggerMode", "What triggers: SOFTWARE, EXTERNAL_MULTI (edges), EXTERNAL_MULTI_GATE, or others",
        command=True,
    )  # fmt: skip
    destination = _arm(
        f"{tempfile.gettempdir()}/temp.h5", "DestinationFileName", "File of the series that Arm starts; empty: none",
        length=1024, memorized=True,
    )  # fmt: skip
    destination_overwritable = _arm(
        False, "DestinationFileOverwritable", "An existing file is replaced; else _ is put before its ending",
        choices=NO_YES,
    )  # fmt: skip
    write_destination = _arm(
        True, "WriteHdf5", "Does Arm open DestinationFileName", choices=NO_YES
    )
    arm = Parameter(
        False, "Start a series into DestinationFileName, as asked for by these parameters", pv="/Tango:Arm",
        choices=("Done", "Arm"), readback=False, command=True,
    )  # fmt: skip
    send_trigger = Parameter(
        False, "Start the next frame, or the first of all", pv="/Tango:SoftwareTrigger", choices=("Done", "Trigger"),
        readback=False, command=True,
    )  # fmt: skip
    ready_for_trigger = _arm(
        False, "ReadyForSwTrigger", "Will a software trigger start the next frame", choices=NO_YES, writable=False,
        derived=True,
    )  # fmt: skip
    window1 = _window(1)
    window2 = _window(2)


