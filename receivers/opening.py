"""Opening a file to read it: whose it is, or in one line why it cannot be read."""

from __future__ import annotations

import os
import re
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filters of the spectra

from xsp3ioc.receivers.holders import locked, writer_of
from xsp3ioc.receivers.layout import DETECTOR, INSTRUMENT

OURS, STREAMER, AREA_DETECTOR = LAYOUTS = ("xsp3ioc", "xspress3-streamer", "areaDetector")
"""Whose files can be read."""
AREA_DETECTOR_GROUP = f"{INSTRUMENT}/detector"
USUAL_PERIOD = 12.5e-9
"""Seconds per tick where a file does not say it: that of all products but the Xspress4."""
CACHE = 1 << 18
"""Bytes of chunks kept per dataset, of which there are a hundred: whole chunks are read, each once."""
FAILURES = (OSError, RuntimeError, ValueError, KeyError)
"""What h5py raises for what cannot be read, or is not there."""
_TRUNCATED = re.compile(r"truncated file: eof = (\d+).*stored_eof = (\d+)", re.DOTALL)


def decoded(value: Any) -> str:
    """Return a text as it stands in a file, whether of fixed length or not."""
    return value.decode("utf-8", "replace").rstrip("\0") if isinstance(value, bytes) else str(value)


def text(dataset: h5py.Dataset | None) -> str:
    """Return the text that stands in a dataset; empty if there is none."""
    if not isinstance(dataset, h5py.Dataset) or dataset.shape != ():
        return ""
    return decoded(dataset[()])


class UnreadableError(Exception):
    """The file cannot be read, or is none of those that are known; the message says why, in one line."""


def look(path: str) -> tuple[bool, str]:
    """Return whether the file is locked, and who writes it, as `writer_of` says it.

    UnreadableError if it cannot be opened, or is no HDF5.
    """
    if not path:
        raise UnreadableError("the name of the file is empty")
    if os.path.isdir(path):
        raise UnreadableError(f"{path} is a directory: give a file in it")
    try:
        with open(path, "rb") as file:
            begin = file.read(8)
            shut, writer = locked(file), writer_of(file)
    except OSError as error:
        raise UnreadableError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not begin:
        raise UnreadableError(f"{path} is empty: 0 bytes")
    if not shut and not h5py.is_hdf5(path):
        raise UnreadableError(f"{path} is no HDF5 file: it begins with {begin!r}")
    return shut, writer


def open_to_read(path: str, locking: Any) -> tuple[h5py.File, bool]:
    """Return the file, and whether it is open for SWMR."""
    try:
        return h5py.File(path, "r", locking=locking, rdcc_nbytes=CACHE), False
    except OSError as error:
        if found := _TRUNCATED.search(str(error)):
            raise UnreadableError(
                f"{path} is truncated: {int(found[1]):,} of {int(found[2]):,} bytes are there; copy it again, or try "
                "xsp3ioc salvage"
            ) from None
        first = str(error)
    try:
        return h5py.File(path, "r", swmr=True, rdcc_nbytes=CACHE), True
    except OSError:
        raise UnreadableError(f"{path} cannot be opened as HDF5: {first}") from None


def detector_of(file: h5py.File, path: str) -> tuple[str, h5py.Group]:
    """Return whose file it is, and the group of its detector; UnreadableError if it is nobody's."""
    for group in (DETECTOR, AREA_DETECTOR_GROUP):
        try:
            detector = file.get(group)
            data = detector.get("data") if isinstance(detector, h5py.Group) else None
        except FAILURES as error:
            raise UnreadableError(f"{path} is damaged: {group} cannot be read: {error}") from None
        if isinstance(detector, h5py.Group) and isinstance(data, h5py.Dataset) and len(data.shape) == 3:
            if group == AREA_DETECTOR_GROUP:
                return AREA_DETECTOR, detector
            return OURS if "frame_status" in detector else STREAMER, detector
    raise UnreadableError(
        f"{path} is an HDF5 file of another layout: neither {DETECTOR}/data nor {AREA_DETECTOR_GROUP}/data "
        "(frames, channels, bins) is there"
    )


def require_filters(dataset: h5py.Dataset, path: str) -> None:
    """Raise UnreadableError if a filter that the dataset's chunks need is not installed."""
    properties = dataset.id.get_create_plist()
    for index in range(properties.get_nfilters()):
        number, _, _, name = properties.get_filter(index)
        if not h5py.h5z.filter_avail(number):
            name = decoded(name) or "of no name"
            raise UnreadableError(
                f"{path}: its spectra are compressed with HDF5 filter {number} ({name}), which is not installed: put "
                "its plugin where HDF5_PLUGIN_PATH says"
            )
