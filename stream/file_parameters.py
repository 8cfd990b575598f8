"""Parameters of the file: the records `HDF1:`."""

from __future__ import annotations

from typing import Any

import numpy as np

from xsp3ioc import __version__
from xsp3ioc.stream.array_parameters import COLOR_MODES, DATA_TYPES, DIMENSIONS, UINT32
from xsp3ioc.stream.detector_parameters import BINS
from xsp3ioc.stream.parameter import DISABLE_ENABLE, NO_YES, Parameter, Severity

SINGLE, CAPTURE, STREAM = range(3)
"""Write modes."""
OFF_ON = ("Off", "On")
BLOSC_CODECS = ("BloscLZ", "LZ4", "LZ4HC", "SNAPPY", "ZLIB", "ZSTD")
BLOSC_SHUFFLES = ("None", "Byte", "Bit")
COMPRESSION_CHOICES = ("None", "N-bit", "szip", "zlib", "Blosc", "BSLZ4", "LZ4", "JPEG")


def _plugin(default: Any, doc: str, **more: Any) -> Parameter:
    return Parameter(default, doc, expert=True, **more)


class FileSettings:
    """Where, when and how a file is written."""

    file_enabled = Parameter(True, "Do frames reach the file", pv="/HDF1:EnableCallbacks", choices=DISABLE_ENABLE)
    file_path = Parameter("", "Directory of the file", pv="/HDF1:FilePath", length=256)
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
    file_next_free = Parameter(
        False, "A number whose file exists is passed over; else the capture is refused", pv="/HDF1:NextFreeNumber",
        choices=NO_YES,
    )  # fmt: skip
    file_write_mode = Parameter(
        STREAM, "A file per frame; a file that gets its name by WriteFile; frames written as they come",
        pv="/HDF1:FileWriteMode", choices=("Single", "Capture", "Stream"),
    )  # fmt: skip
    file_auto_save = Parameter(
        False, "Single: each frame of the next series is written; Capture: what is captured is named at once",
        pv="/HDF1:AutoSave", choices=NO_YES,
    )  # fmt: skip
    file_lazy_open = Parameter(
        False, "Stream: the file is opened when the next series begins", pv="/HDF1:LazyOpen", choices=NO_YES
    )
    file_close_on_abort = Parameter(
        False, "A series that is stopped closes the file", pv="/HDF1:CloseOnAbort", choices=NO_YES
    )
    capture_frames = Parameter(16000, "Frames per file; 0: until stopped", pv="/HDF1:NumCapture", low=0, high=2**31 - 1)
    capture_frames_apart = Parameter(
        0, "1: NumImages is not copied to NumCapture", pv="/HDF1:NumCapture_CALC.DISA", low=-32768, high=32767,
        readback=False,
    )  # fmt: skip
    capture_frames_copy = Parameter(
        16000.0, "NumImages, when it was last copied to NumCapture; a put copies it", pv="/HDF1:NumCapture_CALC",
        readback=False, command=True,
    )  # fmt: skip
    file_compression = Parameter(
        5, "Compression of the spectra", pv="/HDF1:Compression", choices=COMPRESSION_CHOICES
    )
    zlib_level = Parameter(1, "Level of zlib", pv="/HDF1:ZLevel", low=0, high=9)
    szip_pixels = Parameter(16, "Pixels per block of szip, even", pv="/HDF1:SZipNumPixels", low=2, high=32)
    blosc_compressor = Parameter(0, "Codec of Blosc", pv="/HDF1:BloscCompressor", choices=BLOSC_CODECS)
    blosc_shuffle = Parameter(1, "Shuffle of Blosc", pv="/HDF1:BloscShuffle", choices=BLOSC_SHUFFLES)
    blosc_level = Parameter(5, "Level of Blosc", pv="/HDF1:BloscLevel", low=0, high=9)
    file_chunk_frames = Parameter(
        0, "Frames per chunk; 0: chosen for speed", pv="/HDF1:NumFramesChunks", low=0, high=65536
    )
    file_flush_frames = Parameter(
        0, "Frames after which they are flushed; 0: once a second only", pv="/HDF1:NumFramesFlush", low=0,
        high=2**31 - 1,
    )  # fmt: skip
    file_part_frames = Parameter(
        0, "Frames per part of a longer file; 0: no limit", pv="/HDF1:FramesPerPart", low=0, high=2**31 - 1
    )
    file_part_gigabytes = Parameter(
        0.0, "Size of a part of a longer file, on the disk; 0: no limit", pv="/HDF1:GigabytesPerPart", unit="GB",
        precision=3, low=0.0, high=1e6,
    )  # fmt: skip
    file_swmr = Parameter(
        False, "Others may read the file while it is written; a crash then leaves it to `swmr=True` readers",
        pv="/HDF1:SWMRMode", choices=OFF_ON,
    )  # fmt: skip
    file_extra_dimensions = Parameter(
        0, "Frames are in one row, whatever the scan's dimensions", pv="/HDF1:NumExtraDims", low=0, high=0
    )
    file_position_mode = Parameter(
        False, "Frames are written in the order in which they come", pv="/HDF1:PositionMode", choices=OFF_ON
    )
    file_layout = Parameter(
        "", "Layout of the file in XML: it is not used", pv="/HDF1:XMLFileName", length=2048, lines=True
    )


class FileCommandParameters:
    """What can be done with a file."""

    capture = Parameter(
        False, "Open (1) or close (0) a file", pv="/HDF1:Capture", choices=("Done", "Capture"),
        readback_choices=("Done", "Capturing"), command=True,
    )  # fmt: skip
    writing = Parameter(
        False, "Single: write the latest frame; Capture: give the file that was captured its name; shows whether a "
        "file is open", pv="/HDF1:WriteFile", choices=("Done", "Write"), readback_choices=("Done", "Writing"),
        command=True,
    )  # fmt: skip
    file_flush = Parameter(
        False, "Put all frames so far into the file", pv="/HDF1:FlushNow", choices=("Done", "Flush"), readback=False,
        command=True,
    )  # fmt: skip
    file_free = Parameter(
        False, "Delete what was captured and not named", pv="/HDF1:FreeCapture", choices=("Done", "Free"),
        readback=False, command=True,
    )  # fmt: skip
    file_read = Parameter(
        False, "Files are not read", pv="/HDF1:ReadFile", choices=("Done", "Read"),
        readback_choices=("Done", "Reading"), command=True,
    )  # fmt: skip
    file_handed = Parameter(
        0, "Frames given to the file since it was set to 0", pv="/HDF1:ArrayCounter", low=0, high=2**31 - 1,
        command=True,
    )  # fmt: skip
    file_dropped = Parameter(
        0, "Frames that should be in files and are not, since it was set to 0", pv="/HDF1:DroppedArrays", low=0,
        high=2**31 - 1, command=True,
    )  # fmt: skip


class FileProgress:
    """What has become of it."""

    captured = Parameter(0, "Frames in the file", pv="/HDF1:NumCaptured_RBV", writable=False)
    full_file_name = Parameter("", "The file last opened", pv="/HDF1:FullFileName_RBV", length=512, writable=False)
    file_path_exists = Parameter(
        False, "Does the directory exist", pv="/HDF1:FilePathExists_RBV", choices=NO_YES, writable=False,
        severity={0: Severity.major},
    )  # fmt: skip
    write_status = Parameter(
        False, "Outcome of the last file", pv="/HDF1:WriteStatus", choices=("Write OK", "Write error"),
        writable=False, severity={1: Severity.major},
    )  # fmt: skip
    write_message = Parameter(
        "", "What went wrong with the file", pv="/HDF1:WriteMessage", length=256, writable=False
    )
    disk_free = Parameter(
        0.0, "Room on the disk of the directory", pv="/HDF1:DiskFree_RBV", unit="GB", precision=3, writable=False
    )
    frames_left = Parameter(
        0, "Frames for which there is room, compressed as those so far", pv="/HDF1:FramesLeft_RBV", writable=False
    )
    seconds_left = Parameter(
        0.0, "How long that lasts at the settings' frame rate", pv="/HDF1:SecondsLeft_RBV", unit="s", precision=0,
        writable=False,
    )  # fmt: skip
    file_swmr_supported = Parameter(
        True, "Can files be read while they are written", pv="/HDF1:SWMRSupported_RBV",
        choices=("Not Supported", "Supported"), writable=False,
    )  # fmt: skip
    file_swmr_active = Parameter(
        False, "Can the file be read now, while it is written", pv="/HDF1:SWMRActive_RBV", choices=("Off", "Active"),
        writable=False,
    )  # fmt: skip
    file_swmr_frames = Parameter(
        0, "Frames in it that others can read", pv="/HDF1:SWMRCbCounter_RBV", writable=False
    )
    file_layout_valid = Parameter(
        True, "Is the layout that of the file", pv="/HDF1:XMLValid_RBV", choices=NO_YES, writable=False,
        severity={0: Severity.major},
    )  # fmt: skip
    file_layout_message = Parameter(
        "Default layout selected", "What is wrong with the layout", pv="/HDF1:XMLErrorMsg_RBV", length=256,
        writable=False,
    )  # fmt: skip
    file_run_time = Parameter(
        0.0, "Time from the last file's first frame to its end", pv="/HDF1:RunTime", unit="s", precision=3,
        writable=False,
    )  # fmt: skip
    file_speed = Parameter(
        0.0, "Its spectra, before compression, per time", pv="/HDF1:IOSpeed", unit="Mbit/s", precision=1,
        writable=False,
    )  # fmt: skip
    file_rate = Parameter(
        0.0, "Frames per second that are given to the file", pv="/HDF1:ArrayRate_RBV", unit="Hz", precision=2,
        writable=False,
    )  # fmt: skip
    file_queue_size = Parameter(
        512, "Length of the scale of QueueFree and QueueUse", pv="/HDF1:QueueSize", low=1, high=2**31 - 1
    )
    file_queue_free = Parameter(
        512, "Memory for frames that is free, as part of QueueSize", pv="/HDF1:QueueFree", writable=False
    )
    file_queue_used = Parameter(
        0, "Memory for frames that is in use, as part of QueueSize", pv="/HDF1:QueueUse", writable=False
    )


class FilePluginIdentity:
    """What a client of areaDetector expects to know of the plugin and its arrays, before the first frame."""

    file_plugin = _plugin(
        "NDFileHDF5", "Kind of plugin that these records stand for", pv="/HDF1:PluginType_RBV", writable=False
    )
    file_port_name = _plugin("FileHDF1", "asyn port of the plugin", pv="/HDF1:PortName_RBV", writable=False)
    file_adcore_version = _plugin(
        "3.14.0", "areaDetector version whose records these are", pv="/HDF1:ADCoreVersion_RBV", writable=False
    )
    file_driver_version = _plugin(
        __version__, "Version of this server", pv="/HDF1:DriverVersion_RBV", writable=False
    )
    file_size_x = _plugin(BINS, "Bins of a spectrum", pv="/HDF1:ArraySizeX_RBV", writable=False)
    file_size_y = _plugin(4, "Channels of a frame", pv="/HDF1:ArraySizeY_RBV", writable=False)
    file_size_z = _plugin(0, "Not used", pv="/HDF1:ArraySizeZ_RBV", writable=False)
    file_dimension0 = _plugin(BINS, "Bins of a spectrum", pv="/HDF1:ArraySize0_RBV", writable=False)
    file_dimension1 = _plugin(4, "Channels of a frame", pv="/HDF1:ArraySize1_RBV", writable=False)
    file_dimension2 = _plugin(0, "Not used", pv="/HDF1:ArraySize2_RBV", writable=False)
    file_array_bytes = _plugin(
        0, "Bytes of the spectra of a frame", pv="/HDF1:ArraySize_RBV", unit="bytes", writable=False
    )
    file_dimension_count = _plugin(2, "Bins, channels", pv="/HDF1:NDimensions_RBV", writable=False)
    file_dimensions = _plugin(
        np.zeros(DIMENSIONS), "Bins, channels", pv="/HDF1:Dimensions_RBV", length=DIMENSIONS, writable=False
    )
    file_data_type = _plugin(
        UINT32, "Type of the spectra", pv="/HDF1:DataType_RBV", choices=DATA_TYPES, writable=False
    )
    file_color_mode = _plugin(
        0, "Spectra have no colours", pv="/HDF1:ColorMode_RBV", choices=COLOR_MODES, writable=False
    )
    file_unique_id = _plugin(
        0, "Number of the frame last given to the file, from 1 in its series", pv="/HDF1:UniqueId_RBV", writable=False
    )


class FileParameters(FilePluginIdentity, FileProgress, FileCommandParameters, FileSettings):
    """Settings, commands, progress and outcome of files."""
