"""Readers that know a path and use h5py: ophyd-async, NanoMAX's scripts, contrast; and what else is in the file."""

from __future__ import annotations

import json

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from readers_session import CHANNELS, FRAMES, SERIES

from xsp3ioc.receivers.layout import READERS

KINDS = ["plain", "gzip", "corrected", "swmr", "remote"]
EVERY = pytest.mark.parametrize("kind", KINDS)
STREAMER = {
    "data": ("u4", None),
    "output_count_rate": ("f8", None),
    "all_events": ("u4", 3),
    "all_good": ("u4", 4),
    "clock_ticks": ("u4", 0),
    "total_ticks": ("u4", 8),
    "reset_ticks": ("u4", 1),
    "event_width": ("i4", None),
    "dead_time_correction": ("f8", None),
}
"""The nine datasets of xspress3-streamer: type, and which scaler they are."""


@EVERY
@pytest.mark.parametrize("group", ["/entry/instrument/xspress3", "/entry/measurement/xspress3"])
def test_the_names_of_xspress3_streamer(files, kind, group):
    taken = files[kind]
    with h5py.File(taken.path) as file:
        for name, (dtype, scaler) in STREAMER.items():
            dataset = file[f"{group}/{name}"]
            assert dataset.dtype == ("f8" if (name, kind) == ("data", "corrected") else dtype)
            assert dataset.shape[:2] == (FRAMES, CHANNELS)
            if scaler is not None:
                np.testing.assert_array_equal(dataset, taken.scalers[..., scaler])
        np.testing.assert_array_equal(file[f"{group}/dead_time_correction"], taken.factors)
        # One frame of one channel, as NanoMAX's analysis takes it.
        np.testing.assert_array_equal(file[f"{group}/data"][FRAMES - 1, 3, :], taken.data[-1, 3])


@EVERY
def test_an_external_link_to_the_group(files, tmp_path, kind):
    """As contrast's scan files have it."""
    scan = tmp_path / "scan.h5"
    with h5py.File(scan, "w") as file:
        file["/entry/measurement/xspress3"] = h5py.ExternalLink(files[kind].path, "/entry/instrument/xspress3")
    with h5py.File(scan) as file:
        np.testing.assert_array_equal(file["/entry/measurement/xspress3/data"], files[kind].data)
        assert list(file["/entry/measurement/xspress3/series/frames"]) == list(SERIES)


@EVERY
def test_the_paths_of_ophyd_async(files, kind):
    with h5py.File(files[kind].path) as file:
        np.testing.assert_array_equal(file["/entry/data/data"], files[kind].data)
        for channel in range(CHANNELS):
            factor = file[f"/entry/instrument/NDAttributes/CHAN{channel + 1}DTFactor"]
            assert factor.dtype == np.float64
            np.testing.assert_array_equal(factor, files[kind].factors[:, channel])


@pytest.mark.parametrize("kind", [*KINDS, "empty"])
def test_every_path_of_every_reader_is_there(files, kind):
    with h5py.File(files[kind].path) as file:
        assert [path for _, paths, _ in READERS for path in paths if path not in file] == []


@EVERY
def test_where_the_data_come_from(files, kind):
    with h5py.File(files[kind].path) as file:
        detector = file["/entry/instrument/xspress3"]
        config = detector["config"]
        told = {name: item.asstr()[()] for name, item in config.items() if name in ("command_line", "server", "writer")}
        assert "xsp3ioc" in told["command_line"]
        assert "--config" in told["command_line"]
        assert told["writer"].startswith(told["server"])
        assert detector["simulated"][()]
        assert config["parameters/exposure_time"][()] == 0.001
        assert config["parameters/exposure_time"].attrs["units"] == "s"
        (settings,) = (item for name, item in config["settings_files"].items() if "clock" not in name)
        assert len(json.loads(settings.asstr()[()])["channels"]) == CHANNELS
        series = {name: list(dataset[()]) for name, dataset in detector["series"].items()}
        assert series["frames"] == series["acquired"] == list(SERIES)
        assert series["end_reason"] == [b"complete"] * len(SERIES)
        assert series["first_frame"] == [0, SERIES[0]]
        assert file["/entry/end_time"].asstr()[()] >= file["/entry/start_time"].asstr()[()]


def test_counts_corrected_keep_the_raw_ones(files):
    with h5py.File(files["corrected"].path) as file:
        raw = file["/entry/instrument/xspress3/data_raw"][()]
    np.testing.assert_array_equal(raw, files["plain"].data)
