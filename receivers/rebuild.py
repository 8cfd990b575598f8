"""A new file with all that can be read of one whose indexes are damaged: HDF5 could not even shorten that one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import h5py
import hdf5plugin

from xsp3ioc.receivers.layout import LINKS
from xsp3ioc.receivers.nexus import claim, version
from xsp3ioc.receivers.opening import FAILURES
from xsp3ioc.receivers.rows_left import Span
from xsp3ioc.receivers.survey import Survey, per_frame

ITS_OWN = 3
"""Values that bitshuffle puts before those that it was given, each time a dataset is made."""

Tell = Callable[[int, int], None]


def rebuild(source: h5py.File, path: str, found: Survey, swmr: bool, tell: Tell = lambda done, of: None) -> None:
    """Make the file `path` of the frames of `source` that `found` says can be kept.

    Chunks are copied as they are. Frames that cannot be read have no chunk, and read as the fill value; datasets that
    are lost are left out. `swmr`: in the format of files that are read while they are written. OSError.
    """
    datasets = per_frame(source)
    total, done = sum(min(len(dataset), found.frames) for dataset in datasets.values()), 0

    def fill(group: h5py.Group, target: h5py.Group, place: str) -> None:
        nonlocal done
        target.attrs.update(group.attrs)
        for key in group:
            name = f"{place}/{key}"
            link = group.get(key, getlink=True)
            if name in LINKS or name in found.lost:
                continue
            if not isinstance(link, h5py.HardLink):
                target[key] = link
            elif name in datasets:
                _copy_rows(datasets[name], target, key, found.frames, found.damaged.get(name, []))
                done += found.frames
                tell(done, total)
            elif isinstance(group[key], h5py.Group):
                fill(group[key], target.create_group(key), name)
            else:
                with contextlib.suppress(*FAILURES):  # what cannot be read is no row of a frame, and left out
                    group.copy(key, target, key)

    claim(path)
    with h5py.File(path, "w", libver=version(swmr), locking="best-effort") as file:
        fill(source, file, "")
        for name, thing in LINKS.items():
            if name in source and thing in file:
                file[name] = file[thing]


def _copy_rows(source: h5py.Dataset, group: h5py.Group, key: str, frames: int, damaged: list[Span]) -> None:
    """Copy the first `frames` rows of a dataset, but for the spans that are damaged."""
    space = h5py.h5s.create_simple((frames, *source.shape[1:]), (h5py.h5s.UNLIMITED, *source.shape[1:]))
    made = h5py.h5d.create(group.id, key.encode(), source.id.get_type(), space, _properties(source))
    target = h5py.Dataset(made)
    target.attrs.update(source.attrs)
    step = source.chunks[0]
    gone = {span.first for span in damaged}
    for first in range(0, frames, step):
        if first in gone:
            continue
        origin = (first,) + (0,) * (source.ndim - 1)
        try:
            if source.id.get_chunk_info_by_coord(origin).byte_offset is None:
                continue
        except FAILURES:
            continue
        if first + step > frames:
            # What stands behind the last frame is not copied.
            target[first:frames] = source[first:frames]
        else:
            mask, chunk = source.id.read_direct_chunk(origin)
            made.write_direct_chunk(origin, chunk, mask)


def _properties(source: h5py.Dataset) -> h5py.h5p.PropDCID:
    """Return how a dataset was made, for another one like it."""
    properties = source.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        code, flags, values, _ = properties.get_filter(number)
        if code == hdf5plugin.BSHUF_ID:
            properties.remove_filter(code)
            properties.set_filter(code, flags, values[ITS_OWN:])
    return properties
