"""Spectra in other forms: corrected for dead time, differently compressed, readable while they are written."""

import subprocess
import sys

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from receivers_feed import CHANNELS, capture, frames, header

from xsp3ioc.receivers.nexus import NexusFile

DETECTOR = "/entry/instrument/xspress3"
OPTIONS = [
    ("gzip", {"level": 6}, 1, (6,)),
    ("szip", {"pixels": 8}, 4, None),
    ("blosc", {"codec": "zstd", "level": 3, "shuffle": "bit"}, 32001, (3, 2, 5)),
    ("blosc", {"codec": "snappy", "level": 9, "shuffle": "none"}, 32001, (9, 0, 3)),
    ("lz4", {}, 32004, None),
]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "x.h5")


def fill(path, *blocks, **changes):
    file = NexusFile(capture(path, **changes), path)
    file.begin(header())
    for block in blocks:
        file.write(block)
    file.close()


@pytest.mark.parametrize(("compression", "options", "number", "values"), OPTIONS)
def test_filters_have_their_options(path, compression, options, number, values):
    block = frames(0, 5)
    fill(path, block, compression=compression, compression_options=options, chunk_frames=4)
    with h5py.File(path) as file:
        dataset = file[DETECTOR]["data"]
        np.testing.assert_array_equal(dataset[()], block.mca)
        found, _, settings, _ = dataset.id.get_create_plist().get_filter(0)
    assert found == number
    if compression == "szip":
        assert settings[1] == options["pixels"]
    elif values is not None:
        assert tuple(settings[-len(values) :]) == values


@pytest.mark.parametrize("compression", ["bslz4", "gzip", "none", "szip", "blosc", "lz4"])
def test_corrected_spectra_stand_beside_the_raw_ones(path, compression):
    blocks = frames(0, 3), frames(3, 6), frames(12, 2)
    fill(path, *blocks, corrected=True, compression=compression, chunk_frames=4)
    with h5py.File(path) as file:
        data, raw = file["/entry/data/data"], file[DETECTOR]["data_raw"]
        assert (data.dtype, raw.dtype, data.shape, raw.shape) == ("f8", "u4", raw.shape, data.shape)
        for block in blocks:
            here = slice(block.first, block.end)
            np.testing.assert_array_equal(raw[here], block.mca)
            np.testing.assert_array_equal(data[here], block.mca * block.factors[..., np.newaxis])
        assert not data[9:12].any()  # they never came
        for channel in range(CHANNELS):
            one = file[f"/entry/instrument/mca_{channel:02}/data"]
            assert one.dtype == "f8"
            np.testing.assert_array_equal(one[()], data[:, channel])
        assert file["/entry/instrument/detector/data"] == data
        assert {dataset.attrs["units"] for dataset in (data, raw)} == {"counts"}


def test_without_correction_there_is_one_set_of_spectra(path):
    fill(path, frames(0, 2))
    with h5py.File(path) as file:
        assert file[DETECTOR]["data"].dtype == "u4"
        assert "data_raw" not in file[DETECTOR]


READER = """
import sys, h5py, hdf5plugin
with h5py.File(sys.argv[1], swmr=True) as file:
    data, time = file[sys.argv[2]], file["/entry/instrument/detector/time_stamp"]
    print("ready", flush=True)
    for _ in sys.stdin:
        for dataset in (data, time):
            dataset.refresh()
        print(len(data), len(time), data[()].sum(dtype="u8"), time[()].sum(), flush=True)
"""


# Not both in one reader: HDF5 2.0 then reads the wrong chunks after a refresh.
@pytest.mark.parametrize("name", ["/entry/data/data", "/entry/instrument/mca_01/data"])
@pytest.mark.parametrize("compression", ["bslz4", "gzip", "none", "blosc"])
def test_others_read_while_it_is_written(path, compression, name):
    file = NexusFile(capture(path, swmr=True, compression=compression, chunk_frames=4), path)
    assert not file.swmr
    file.begin(header())
    assert file.swmr
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, path, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout.readline() == "ready\n"
    seen = slice(None) if "mca" not in name else 1
    for first, count in ((0, 1), (1, 2), (3, 6), (9, 1), (10, 3000)):
        file.write(frames(first, count))
        file.flush()
        written = frames(0, first + count)
        reader.stdin.write("look\n")
        reader.stdin.flush()
        *lengths, counts, seconds = reader.stdout.readline().split()
        assert lengths == [str(len(written))] * 2
        assert int(counts) == written.mca[:, seen].sum(dtype=np.uint64)
        assert float(seconds) == pytest.approx(written.frames["time"].sum())
    reader.stdin.close()
    assert reader.wait(60) == 0
    reader.stdout.close()
    file.close()
    with h5py.File(path) as h5:
        np.testing.assert_array_equal(h5[name][()], written.mca[:, seen])
        assert h5["/entry/end_time"][()]


def test_the_length_is_never_more_than_there_is(path):
    # Without SWMR the dataset is longer in between; nobody can see that.
    file = NexusFile(capture(path, swmr=True, chunk_frames=4), path)
    file.begin(header())
    for first in range(0, 30, 3):
        file.write(frames(first, 3))
        with h5py.File(path, swmr=True) as reader:
            assert len(reader[DETECTOR]["data"]) <= first + 3
    file.close()
