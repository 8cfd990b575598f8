"""The picture of a file in docs/files.md: a small file is written, and walked."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h5py

from xsp3ioc.receivers.layout import GROUPS, LINKS, SERIES
from xsp3ioc.receivers.nexus import NexusFile
from xsp3ioc.stream.messages import Capture, Header

# No two of them alike, nor like other lengths in the file.
CHANNELS, BINS = 7, 11
LENGTHS = {CHANNELS: "channels", BINS: "bins"}
CHANNEL_DOC = "One channel, NN from 00 on: views of the above"


def tree() -> str:
    """Every group, dataset and link: type, shape, unit, meaning."""
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "x.h5")
        made = NexusFile(Capture(capture_id=1, filename=path, channels=CHANNELS, bins=BINS), path)
        made.begin(_header())
        made.close()
        with h5py.File(path) as file:
            attributes = ", ".join(f"@{name}" for name in file.attrs if name != "NX_class")
            lines = [f"/  NXroot  {attributes}", *_group(file["/"], 1)]
    return "```\n" + "".join(f"{line.rstrip()}\n" for line in lines) + "```\n"


def _group(group: h5py.Group, depth: int) -> list[str]:
    lines, below = [], []
    for name, item in group.items():
        path = f"{group.name.rstrip('/')}/{name}"
        if path in LINKS:
            lines.append(_line(depth, name, f"= {LINKS[path]}"))
        elif isinstance(item, h5py.Dataset):
            if _shown(name):
                lines.append(_line(depth, name.replace("CHAN1", "CHANn"), _dataset(group, item), _doc(item)))
        elif _shown(name):
            doc = GROUPS[path].doc if path in GROUPS else CHANNEL_DOC
            below.append(_line(depth, name.replace("mca_00", "mca_NN") + "/", item.attrs["NX_class"], doc))
            below += _group(item, depth + 1)
    return lines + below


def _shown(name: str) -> bool:
    """Whether it is not just the same for another channel."""
    first = ("CHAN1", "mca_00")
    return not name.startswith(("CHAN", "mca_")) or name.startswith(first)


def _dataset(group: h5py.Group, dataset: h5py.Dataset) -> str:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        length = h5py.check_string_dtype(dataset.dtype).length
        kind = f"text[{length}]" if length else "text"
    else:
        kind = "bool" if dataset.dtype == bool else dataset.dtype.name
    shape = [LENGTHS.get(length, str(length)) for length in dataset.shape]
    if dataset.maxshape and dataset.maxshape[0] is None:
        shape[0] = "series" if group.name == SERIES else "frames"
    elif dataset.shape == (0,):
        shape[0] = "n"
    unit = dataset.attrs.get("units", "")
    return f"{kind}{' (' + ', '.join(shape) + ')' if shape else ''}{' ' + unit if unit else ''}"


def _doc(dataset: h5py.Dataset) -> str:
    return dataset.attrs.get("NDAttrDescription", dataset.attrs.get("long_name", "")).replace("CHAN1", "CHANn")


def _line(depth: int, name: str, kind: str, doc: str = "") -> str:
    return f"{'  ' * depth + name:<33} {kind:<36} {doc}"


def _header() -> Header:
    return Header(
        msg_number=0, series_id=1, capture_id=1, filename="", frames=0, channels=CHANNELS, bins=BINS, exposure=1.0,
        gap=0.0, clock_period=1.0, trigger_mode="", time=0.0, times="ticks", event_widths=[0.0] * CHANNELS,
        energy_offset=[0.0] * CHANNELS, energy_slope=[0.0] * CHANNELS, windows=[[[0, 0]] * 2] * CHANNELS,
        good_thresholds=[0] * CHANNELS, simulated=False, detector="", host="", server="xsp3ioc 0", library="",
        firmware="", parameters={},
    )  # fmt: skip
