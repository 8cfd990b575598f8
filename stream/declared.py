"""The detector's parameters: the one table that both faces, the configuration file and the documents are made from."""

from __future__ import annotations

import numpy as np

from xsp3ioc.stream.messages import DEAD_TIME_MODELS
from xsp3ioc.stream.parameter import Parameter, Severity

BINS = 4096
MAX_FRAMES = 0xFFFFFF
"""The internal time frame generator counts to 24 bits."""

NO_YES = ("No", "Yes")
DISABLE_ENABLE = ("Disable", "Enable")
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


def _threshold(pv: str, doc: str) -> Parameter:
    return Parameter(0, doc, pv=pv, unit="bin", low=0, high=BINS - 1, per_channel=True)


def _scaler(index: int, doc: str) -> Parameter:
    return Parameter(
        0.0, doc, pv=f"/C{{chan}}SCA:{index}:Value_RBV", precision=4, writable=False, per_channel=True
    )


class Declared:
    """Parameters of the detector, in the order in which the tables show them."""

    values: dict

    # the detector
    manufacturer = Parameter("Quantum Detectors", "Maker", pv="Manufacturer_RBV", writable=False)
    model = Parameter("Xspress3", "Model; says so when it is emulated", pv="Model_RBV", writable=False)
    firmware_version = Parameter("", "Firmware of card 0", pv="FirmwareVersion_RBV", writable=False)
    sdk_version = Parameter("", "The library in use", pv="SDKVersion_RBV", writable=False)
    driver_version = Parameter("", "Version of this server", pv="DriverVersion_RBV", writable=False)
    adcore_version = Parameter(
        "3.14.0", "areaDetector version whose records these are", pv="ADCoreVersion_RBV", writable=False
    )
    port_name = Parameter("XSP3", "asyn port name of the areaDetector driver", pv="PortName_RBV", writable=False)
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
    auto_reconnect = Parameter(
        False, "Connect again by itself when a lost system comes back", pv="AutoReconnect", choices=NO_YES
    )
    dead_time_model = Parameter(
        0, "Dead time from event width and reset ticks, or from the library's own calibrated model",
        pv="DeadTimeModel", choices=DEAD_TIME_MODELS,
    )  # fmt: skip
    heartbeat = Parameter(False, "Ask the idle system whether it is there", command=True)
    temperature = Parameter(
        0.0, "Warmest sensor of the ADC boards", pv="TemperatureActual", unit="C", precision=1, writable=False
    )
    detector_state = Parameter(
        9, "What the detector does", pv="DetectorState_RBV", choices=DETECTOR_STATES, writable=False,
        severity={5: Severity.minor, 6: Severity.major, 9: Severity.invalid, 10: Severity.minor},
    )  # fmt: skip
    status_message = Parameter(
        "Init. System Disconnected.", "Last event, refusal or fault in words", pv="StatusMessage_RBV",
        tango="Status", length=256, writable=False,
    )  # fmt: skip
    channels = Parameter(4, "Channels read out", pv="NUM_CHANNELS_RBV", tango="nChannels", writable=False)
    max_channels = Parameter(4, "Channels of the system", pv="MAX_NUM_CHANNELS_RBV", writable=False)
    cards = Parameter(1, "Cards of the system", pv="NUM_CARDS_RBV", writable=False)
    ring_frames = Parameter(
        16384, "Frames that the circular buffer holds", pv="MAX_FRAMES_RBV", unit="frames", writable=False
    )
    config_path = Parameter(
        "", "Directory of the calibration, restored by CONNECT", pv="CONFIG_PATH", length=256
    )
    size_x = Parameter(BINS, "Bins of a spectrum", pv="ArraySizeX_RBV", writable=False)
    size_y = Parameter(4, "Channels of a frame", pv="ArraySizeY_RBV", writable=False)
    size_z = Parameter(0, "Not used", pv="ArraySizeZ_RBV", writable=False)

    # acquisition
    acquire = Parameter(
        False, "Start (1) or stop (0) a series", pv="Acquire", choices=("Done", "Acquire"),
        readback_choices=("Done", "Acquiring"), command=True,
    )  # fmt: skip
    exposure_time = Parameter(
        0.25, "Counting time of one frame", pv="AcquireTime", unit="s", low=1e-6, high=53.687, precision=3
    )
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
    stop_on_overrun = Parameter(
        True, "An overrun ends the series; else the gap is marked and it goes on", pv="StopOnOverrun", choices=NO_YES
    )

    # progress
    frames_read = Parameter(0, "Frames read in this series", pv="ArrayCounter_RBV", writable=False)
    frames_done = Parameter(0, "Frames that the hardware has finished", pv="FRAME_COUNT_RBV", writable=False)
    frame_rate = Parameter(0.0, "Frames per second", pv="ArrayRate_RBV", unit="Hz", precision=2, writable=False)
    frames_acquired = Parameter(
        0, "Frames acquired in this series", pv="FramesAcquired", aliases=("FramesAcquired_RBV",),
        tango="nFramesAcquired", writable=False,
    )  # fmt: skip
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
    ring_headroom = Parameter(
        100.0, "Room left in the pool and the circular buffer before frames are lost", pv="RingHeadroom",
        aliases=("RingHeadroom_RBV",), unit="%", precision=1, writable=False,
    )  # fmt: skip
    seconds_to_overrun = Parameter(
        0.0, "How long that room lasts if nothing more is taken out", pv="SecondsToOverrun", unit="s", precision=1,
        writable=False,
    )  # fmt: skip

    # per channel: settings
    good_threshold = _threshold("C{chan}_SCA4_THRESHOLD", "Lowest bin that counts as good event")
    window1_low = _threshold("C{chan}_SCA5_LLM", "Window 1, lowest bin")
    window1_high = _threshold("C{chan}_SCA5_HLM", "Window 1, highest bin")
    window2_low = _threshold("C{chan}_SCA6_LLM", "Window 2, lowest bin")
    window2_high = _threshold("C{chan}_SCA6_HLM", "Window 2, highest bin")
    event_width = Parameter(
        5.0, "Dead ticks per event, less one", pv="/C{chan}:EventWidth", unit="ticks", low=0, high=1023, precision=1,
        per_channel=True, readback=False,
    )  # fmt: skip
    energy_offset = Parameter(
        0.0, "Energy at bin 0", pv="/C{chan}:EnergyOffset", unit="eV", precision=2, per_channel=True
    )
    energy_slope = Parameter(
        10.0, "Energy per bin", pv="/C{chan}:EnergySlope", unit="eV", low=1e-3, precision=4, per_channel=True
    )

    # per channel: the latest frame
    mca = Parameter(
        np.zeros(0), "Spectrum of the latest frame", pv="/MCA{chan}:ArrayData", unit="", length=BINS,
        writable=False, per_channel=True,
    )  # fmt: skip
    mca_sum = Parameter(
        np.zeros(0), "Sum of the spectra since the last erase", pv="/MCASUM{chan}:ArrayData", length=BINS,
        writable=False, per_channel=True,
    )  # fmt: skip
    clock_ticks = _scaler(0, "Live clock ticks")
    reset_ticks = _scaler(1, "Ticks lost to resets")
    reset_count = _scaler(2, "Resets")
    all_events = _scaler(3, "All events")
    all_good = _scaler(4, "Events above the threshold")
    window1 = _scaler(5, "Events in window 1")
    window2 = _scaler(6, "Events in window 2")
    pileup = _scaler(7, "Events seen as pile-up")
    event_width_used = _scaler(8, "Event width in use, ticks")
    scaler_dt_factor = _scaler(9, "Dead-time correction factor")
    scaler_dt_percent = _scaler(10, "Dead time, percent")
    total_ticks = Parameter(
        0.0, "Total clock ticks", pv="/C{chan}:TotalTicks_RBV", writable=False, per_channel=True
    )
    dead_time = Parameter(
        0.0, "Dead time of the latest frame", pv="/C{chan}:DeadTime_RBV", unit="%", precision=5, writable=False,
        per_channel=True,
    )  # fmt: skip
    dt_factor = Parameter(
        1.0, "Dead-time correction factor of the latest frame", pv="/C{chan}:DTFactor_RBV", precision=5,
        writable=False, per_channel=True,
    )  # fmt: skip
    output_rate = Parameter(
        0.0, "Output count rate of the latest frame", pv="/C{chan}:OCR_RBV", unit="cps", precision=1, writable=False,
        per_channel=True,
    )  # fmt: skip
    input_rate = Parameter(
        0.0, "Input count rate of the latest frame", pv="/C{chan}:ICR_RBV", unit="cps", precision=1, writable=False,
        per_channel=True,
    )  # fmt: skip

    # the file
    file_plugin = Parameter(
        "NDFileHDF5 ver1.14.6", "Kind of plugin that these records stand for", pv="/HDF1:PluginType_RBV", writable=False
    )
    file_enabled = Parameter(
        True, "Do frames reach the file", pv="/HDF1:EnableCallbacks", choices=DISABLE_ENABLE,
        severity={0: Severity.minor},
    )  # fmt: skip
    file_path = Parameter("", "Directory of the file", pv="/HDF1:FilePath", length=256)
    file_path_exists = Parameter(
        False, "Does the directory exist", pv="/HDF1:FilePathExists_RBV", choices=NO_YES, writable=False,
        severity={0: Severity.major},
    )  # fmt: skip
    file_name = Parameter("", "Name of the file, without number and ending", pv="/HDF1:FileName", length=256)
    file_template = Parameter(
        "%s%s%d.hdf5", "C format of path, name and number", pv="/HDF1:FileTemplate", length=256
    )
    file_number = Parameter(0, "Number in the file's name", pv="/HDF1:FileNumber", low=0, high=2**31 - 1)
    file_auto_increment = Parameter(
        True, "Each file takes the next number", pv="/HDF1:AutoIncrement", choices=NO_YES
    )
    file_create_directory = Parameter(
        0, "Missing levels of directories that may be made; negative: from the leaf", pv="/HDF1:CreateDirectory",
        low=-32, high=32,
    )  # fmt: skip
    file_overwrite = Parameter(
        False, "An existing file is replaced; else the capture is refused", pv="/HDF1:Overwrite", choices=NO_YES
    )
    file_write_mode = Parameter(
        2, "Stream: written as frames come", pv="/HDF1:FileWriteMode", choices=("Single", "Capture", "Stream")
    )
    file_compression = Parameter(
        5, "Compression of the spectra", pv="/HDF1:Compression",
        choices=("None", "N-bit", "szip", "zlib", "Blosc", "BSLZ4", "LZ4", "JPEG"),
    )  # fmt: skip
    file_chunk_frames = Parameter(
        0, "Frames per chunk; 0: chosen for speed", pv="/HDF1:NumFramesChunks", low=0, high=65536
    )
    capture_frames = Parameter(16000, "Frames per file; 0: until stopped", pv="/HDF1:NumCapture", low=0, high=2**31 - 1)
    capture = Parameter(
        False, "Open (1) or close (0) a file", pv="/HDF1:Capture", choices=("Done", "Capture"),
        readback_choices=("Done", "Capturing"), command=True,
    )  # fmt: skip
    captured = Parameter(0, "Frames in the file", pv="/HDF1:NumCaptured_RBV", writable=False)
    full_file_name = Parameter("", "The file last opened", pv="/HDF1:FullFileName_RBV", length=512, writable=False)
    writing = Parameter(
        False, "Is a file open", pv="/HDF1:WriteFile_RBV", choices=("Done", "Writing"), writable=False,
        severity={1: Severity.minor},
    )  # fmt: skip
    write_status = Parameter(
        False, "Outcome of the last file", pv="/HDF1:WriteStatus", choices=("Write OK", "Write error"),
        writable=False, severity={1: Severity.major},
    )  # fmt: skip
    write_message = Parameter(
        "", "What went wrong with the file", pv="/HDF1:WriteMessage", length=256, writable=False
    )
