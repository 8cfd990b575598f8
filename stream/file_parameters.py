"""Parameters of the file: the records `HDF1:`."""

from __future__ import annotations

from xsp3ioc.stream.parameter import DISABLE_ENABLE, NO_YES, Parameter, Severity


class FileParameters:
    """Name, format, progress and outcome of a file."""

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
