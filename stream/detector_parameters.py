"""Parameters of the detector as a whole: the system, the acquisition and its progress."""

from __future__ import annotations

import numpy as np

from xsp3ioc.stream.messages import DEAD_TIME_MODELS
from xsp3ioc.stream.parameter import NO_YES, Parameter, Severity

BINS = 4096
MOST_SENSORS = 80
"""Sensors of the ADC boards of 16 cards."""
MAX_FRAMES = 0xFFFFFF
"""The internal time frame generator counts to 24 bits."""
LONGEST_EXPOSURE = 53.687
"""Seconds: 32 bits of clock ticks."""

TRIGGER_MODES = (
    "Software",
    "Internal",
    "IDC",
    "TTL Veto Only",
    "TTL Both",
    "LVDS Veto Only",
    "LVDS Both",
    "Software + Internal",
)
MORE_TRIGGER_MODES = (("Software Train", 7), ("Hardware", 3), ("Hardware Train", 3))
"""What the internal generator can do beyond EPICS' menu, and what the menu shows then: one trigger for all frames;
each frame, or all, by the rising edge of the veto input."""
DETECTOR_STATES = (
    "Idle",
    "Acquire",
    "Readout",
    "Correct",
    "Saving",
    "Aborting",
    "Error",
    "Waiting",
    "Initializing",
    "Disconnected",
    "Aborted",
)


class DetectorParameters:
    """The system, acquisition, progress."""

    # the detector
    manufacturer = Parameter("Quantum Detectors", "Maker", pv="Manufacturer_RBV", writable=False)
    model = Parameter("Xspress3", "Model; says so when it is emulated", pv="Model_RBV", writable=False)
    firmware_version = Parameter("Unknown", "Firmware of card 0", pv="FirmwareVersion_RBV", writable=False)
    sdk_version = Parameter("Unknown", "The library in use", pv="SDKVersion_RBV", writable=False)
    driver_version = Parameter("", "Version of this server", pv="DriverVersion_RBV", writable=False, expert=True)
    adcore_version = Parameter(
        "3.14.0", "areaDetector version whose records these are", pv="ADCoreVersion_RBV", writable=False, expert=True
    )
    port_name = Parameter(
        "XSP3", "asyn port name of the areaDetector driver", pv="PortName_RBV", writable=False, expert=True
    )
    connect = Parameter(
        False, "Open the system, restore its settings", pv="CONNECT", choices=("Connect", "Connect"),
        readback=False, command=True,
    )  # fmt: skip
    disconnect = Parameter(
        False, "Close the system", pv="DISCONNECT", choices=("Disconnect", "Disconnect"), readback=False, command=True
    )
    connected = Parameter(
        False, "Is the system open", pv="CONNECTED", choices=("Disconnected", "Connected"), writable=False
    )
    reset = Parameter(
        False, "Leave the fault state", pv="RESET", choices=("Done", "Reset"), readback=False, command=True
    )
    restart = Parameter(
        False, "End the server with exit code 75, so that its supervisor starts it anew", pv="RESTART",
        choices=("Done", "Restart"), readback=False, command=True,
    )  # fmt: skip
    log_level = Parameter(
        1, "Least important messages that go to the log", pv="LogLevel", choices=("Debug", "Info", "Warning", "Error")
    )
    autosave_status = Parameter(
        0, "Do settings outlive the server", pv="AutosaveStatus_RBV", choices=("Off", "On", "Failed"), writable=False,
        severity={2: Severity.major},
    )  # fmt: skip
    autosave_message = Parameter(
        "", "What was restored, or why settings are not saved", pv="AutosaveMessage_RBV", length=256, writable=False
    )
    auto_reconnect = Parameter(
        False, "Connect again by itself when a lost system comes back", pv="AutoReconnect", choices=NO_YES
    )
    dead_time_model = Parameter(
        0, "Dead time from event width and reset ticks, or from the library's own calibrated model",
        pv="DeadTimeModel", choices=DEAD_TIME_MODELS,
    )  # fmt: skip
    heartbeat = Parameter(False, "Ask the idle system whether it is there", command=True)
    beats = Parameter(
        0, "Seconds that the server has worked; it counts as long as it works", pv="Heartbeat_RBV", unit="s",
        writable=False,
    )  # fmt: skip
    temperature = Parameter(
        0.0, "Warmest sensor of the ADC boards", pv="TemperatureActual", unit="C", precision=1, writable=False
    )
    temperatures = Parameter(
        np.zeros(0), "All sensors of the ADC boards, card after card", pv="Temperatures_RBV", unit="C", precision=1,
        length=MOST_SENSORS, writable=False,
    )  # fmt: skip
    detector_state = Parameter(
        9, "What the detector does", pv="DetectorState_RBV", choices=DETECTOR_STATES, writable=False,
        severity={5: Severity.minor, 6: Severity.major, 9: Severity.invalid, 10: Severity.minor},
    )  # fmt: skip
    status_message = Parameter(
        "Init. System Disconnected.", "Last event, refusal or fault in words", pv="StatusMessage_RBV",
        tango="Status", length=256, writable=False,
    )  # fmt: skip
    channels = Parameter(
        4, "Channels read out: as many as the server was started for", pv="NUM_CHANNELS", tango="nChannels", low=1,
        command=True,
    )  # fmt: skip
    max_channels = Parameter(4, "Channels of the system", pv="MAX_NUM_CHANNELS_RBV", writable=False)
    cards = Parameter(1, "Cards of the system", pv="NUM_CARDS_RBV", writable=False)
    ring_frames = Parameter(
        16384, "Frames that the circular buffer holds", pv="MAX_FRAMES_RBV", unit="frames", writable=False
    )
    frames_config = Parameter(
        16384, "Frames of circular buffer that the next CONNECT asks for", pv="NUM_FRAMES_CONFIG", low=4, high=1 << 20
    )
    playback = Parameter(
        False, "From the next CONNECT or RESTORE_SETTINGS on, play a recording back instead of measuring",
        pv="RUN_FLAGS", choices=("SCALERS & HIST", "PLAYB, SCALERS & HIST"),
    )  # fmt: skip
    config_path = Parameter(
        "", "Directory of the calibration, restored by CONNECT", pv="CONFIG_PATH", length=256
    )
    config_save_path = Parameter(
        "", "Empty directory that SAVE_SETTINGS writes to; a blank when it is done", pv="CONFIG_SAVE_PATH", length=256
    )
    save_settings = Parameter(
        False, "Write all settings of the hardware to CONFIG_SAVE_PATH", pv="SAVE_SETTINGS", choices=("Save", "Save"),
        readback=False, command=True,
    )  # fmt: skip
    restore_settings = Parameter(
        False, "Load the settings of the hardware from CONFIG_PATH again", pv="RESTORE_SETTINGS",
        choices=("Restore", "Restore"), readback=False, command=True,
    )  # fmt: skip

    # acquisition
    acquire = Parameter(
        False, "Start (1) or stop (0) a series", pv="Acquire", choices=("Done", "Acquire"),
        readback_choices=("Done", "Acquiring"), command=True,
    )  # fmt: skip
    acquire_busy = Parameter(
        False, "Does a series run", pv="AcquireBusy", choices=("Done", "Acquiring"), readback=False, command=True,
        severity={1: Severity.minor},
    )  # fmt: skip
    wait_for_plugins = Parameter(
        False, "Without effect: Acquire always ends when the file and the stream have the last frame",
        pv="WaitForPlugins", choices=NO_YES, readback=False,
    )  # fmt: skip
    exposure_time = Parameter(
        0.25, "Counting time of one frame", pv="AcquireTime", unit="s", low=1e-6, high=LONGEST_EXPOSURE, precision=3
    )
    frame_period = Parameter(
        0.0, "Without effect: the next frame begins a readout time after the last", pv="AcquirePeriod", low=0,
        precision=3,
    )  # fmt: skip
    exposures = Parameter(1, "Exposures per frame", pv="NumExposures", low=1, high=1)
    frames = Parameter(16000, "Frames per series", pv="NumImages", low=1, high=MAX_FRAMES)
    image_mode = Parameter(
        1, "One frame, NumImages frames, or until stopped", pv="ImageMode", choices=("Single", "Multiple", "Continuous")
    )
    trigger_mode = Parameter(
        1, "What makes frames", pv="TriggerMode", choices=TRIGGER_MODES, more_choices=MORE_TRIGGER_MODES
    )
    invert_f0 = Parameter(0, "Invert the frame zero input", pv="INVERT_F0", low=0, high=1)
    invert_veto = Parameter(0, "Invert the veto input", pv="INVERT_VETO", low=0, high=1)
    debounce = Parameter(0, "Shortest pulse on the inputs", pv="DEBOUNCE", unit="cycles", low=0, high=255)
    erase_on_start = Parameter(
        True, "Start of a series zeroes sums and displays", pv="EraseOnStart", choices=NO_YES, readback=False
    )
    erase = Parameter(
        False, "Zero spectra, scalers, sums and counters", pv="ERASE", choices=("Done", "Erase"),
        readback=False, command=True,
    )  # fmt: skip
    soft_trigger = Parameter(
        False, "1 opens or triggers a frame, 0 closes it", pv="SoftTrigger", choices=("Idle", "Trigger"), command=True
    )
    trigger = Parameter(
        False, "1 opens the next frame, on all cards", pv="TRIGGER", choices=("Do Nothing", "Trigger"),
        readback=False, command=True,
    )  # fmt: skip
    stop_on_overrun = Parameter(
        True, "An overrun ends the series; else the gap is marked and it goes on", pv="StopOnOverrun", choices=NO_YES
    )

    # progress
    frames_read = Parameter(0, "Frames read in this series", pv="ArrayCounter", low=0, high=2**31 - 1, command=True)
    frames_done = Parameter(0, "Frames that the hardware has finished", pv="FRAME_COUNT_RBV", writable=False)
    exposures_done = Parameter(
        0, "Exposures of the latest frame that are done", pv="NumExposuresCounter_RBV", writable=False
    )
    time_remaining = Parameter(
        0.0, "Until the last frame of this series is over; 0 where a gate or software makes frames",
        pv="TimeRemaining_RBV", unit="s", precision=3, writable=False,
    )  # fmt: skip
    frame_rate = Parameter(0.0, "Frames per second", pv="ArrayRate_RBV", unit="Hz", precision=2, writable=False)
    frames_acquired = Parameter(
        0, "Frames acquired in this series", pv="FramesAcquired",
        aliases=("FramesAcquired_RBV",), tango="nFramesAcquired", writable=False,
    )  # fmt: skip
    images_done = Parameter(0, "Frames read in this series", pv="NumImagesCounter_RBV", writable=False)
    frames_streamed = Parameter(
        0, "Frames of this series sent to every subscriber", pv="FramesStreamed", aliases=("FramesStreamed_RBV",),
        writable=False,
    )  # fmt: skip
    frames_written = Parameter(
        0, "Frames of this series in the file", pv="FramesWritten", aliases=("FramesWritten_RBV",), writable=False
    )
    frames_missing = Parameter(
        0, "Frames of this series that are lost", pv="FramesMissing", aliases=("FramesMissing_RBV",), writable=False
    )
    subscribers = Parameter(0, "Subscribers of the data socket", pv="Subscribers", writable=False)
    legacy_dropped = Parameter(
        0, "Frames of this series that the xspress3-streamer compatible publisher dropped, at least",
        pv="LegacyDropped", writable=False,
    )  # fmt: skip
    stream1_dropped = Parameter(
        0, "Frames of this series that the stream1 socket dropped", pv="Stream1Dropped", writable=False
    )
    ring_headroom = Parameter(
        100.0, "Room left in the pool and the circular buffer before frames are lost", pv="RingHeadroom",
        aliases=("RingHeadroom_RBV",), unit="%", precision=1, writable=False,
    )  # fmt: skip
    seconds_to_overrun = Parameter(
        0.0, "How long that room lasts if nothing more is taken out", pv="SecondsToOverrun", unit="s", precision=1,
        writable=False,
    )  # fmt: skip
