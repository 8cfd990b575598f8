"""silx: what `silx view` plots at first, and data by their addresses."""

from __future__ import annotations

import numpy as np
import pytest
from readers_session import BINS, CHANNELS, energies


def plot(path):
    import hdf5plugin  # noqa: F401  as `silx view` does
    import silx.io
    from silx.io import nxdata

    with silx.io.open(path) as file:
        found = nxdata.get_default(file)
        return {
            "valid": found.is_valid,
            "signal": found.signal[()],
            "path": found.signal.name,
            "axes": [axis if axis is None else axis[()] for axis in found.axes],
            "names": found.axes_dataset_names,
            "labels": found.axes_names,
            "kind": found.interpretation,
        }


@pytest.mark.parametrize("kind", ["plain", "gzip", "corrected", "swmr", "remote"])
def test_the_default_plot(files, session, kind):
    found = session.run(plot, files[kind].path)
    np.testing.assert_array_equal(found["signal"], files[kind].data)
    _, channel, energy = found["axes"]
    assert found["valid"]
    assert (found["kind"], found["names"]) == ("spectrum", [None, "channel", "energy"])
    assert list(channel) == list(range(CHANNELS))
    assert energy.shape == (BINS,)
    np.testing.assert_allclose(energy, energies().mean(axis=0))


def by_address(path):
    import hdf5plugin  # noqa: F401
    from silx.io.utils import get_data

    channel = get_data(f"silx:{path}::/entry/instrument/mca_02/data")
    return channel, get_data(f"silx:{path}?path=/entry/data/data&slice=1")


def test_data_by_address(files, session):
    channel, frame = session.run(by_address, files["plain"].path)
    np.testing.assert_array_equal(channel, files["plain"].data[:, 2])
    np.testing.assert_array_equal(frame, files["plain"].data[1])


def open_empty(path):
    import silx.io

    with silx.io.open(path) as file:
        return file["/entry/data/data"].shape, file["/entry/title"][()]


def test_a_capture_without_a_series(files, session):
    shape, title = session.run(open_empty, files["empty"].path)
    assert shape == (0, CHANNELS, BINS)
    assert title == b"Xspress3 spectra"
