"""Second views of a file's data under the names that other programs read: virtual datasets, one channel each.

They are made when the file is opened, with an unlimited mapping, and follow their sources. (Tried with h5py 3.16 and
HDF5 2.0, libver earliest: the mapping has to be declared with one frame on both sides; it is right inside the writing
process, in a file that was never closed, and after a plain reopening. HDF5 1.10 or later reads them.)
"""

from __future__ import annotations

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t
from numpy.typing import DTypeLike

from xsp3ioc.receivers.entries import tell
from xsp3ioc.receivers.layout import DETECTOR, INSTRUMENT

UNLIMITED = h5s.UNLIMITED

VIEWS = {"data": "data", "live_time": "live_time", "elapsed_time": "real_time"}
"""Name in the group of a channel -> dataset of the detector, with one value or spectrum per frame and channel."""
COPIED = ("units", "long_name", "interpretation")
"""Attributes that a view has of its source."""


def add_channel_groups(file: h5py.File, channels: int) -> None:
    """Make a group `mca_NN` per channel, N from 0, that shows what the detector has of it: as PyMca looks for it."""
    detector = file[DETECTOR]
    for channel in range(channels):
        group = file[INSTRUMENT].require_group(f"mca_{channel:02}")
        group.attrs["NX_class"] = "NXdetector"
        for name, origin in VIEWS.items():
            source = detector[origin]
            view = one_channel(group, name, source, channel, source.dtype)
            tell(view, **{key: source.attrs[key] for key in COPIED if key in source.attrs})
        energy = detector["energy"]
        layout = h5py.VirtualLayout(energy.shape[1:], energy.dtype)
        layout[...] = h5py.VirtualSource(".", energy.name, energy.shape)[channel]
        tell(group.create_virtual_dataset("energy", layout), **dict(energy.attrs))


def one_channel(group: h5py.Group, name: str, source: h5py.Dataset, channel: int, dtype: DTypeLike) -> h5py.Dataset:
    """Make the dataset `name`, (frames, ...), that shows one channel of `source`, (frames, channels, ...)."""
    channels, *rest = source.shape[1:]
    # h5py's own VirtualLayout makes the same, and takes several times as long.
    here, there = h5s.create_simple((1, *rest)), h5s.create_simple((1, channels, *rest))
    here.select_hyperslab((0, *(0 for _ in rest)), (UNLIMITED, *rest))
    there.select_hyperslab((0, channel, *(0 for _ in rest)), (UNLIMITED, 1, *rest))
    mapping = h5p.create(h5p.DATASET_CREATE)
    mapping.set_layout(h5d.VIRTUAL)
    mapping.set_virtual(here, b".", source.name.encode(), there)
    space = h5s.create_simple((1, *rest), (UNLIMITED, *rest))
    kind = h5t.py_create(np.dtype(dtype), logical=True)
    return h5py.Dataset(h5d.create(group.id, name.encode(), kind, space, mapping))
