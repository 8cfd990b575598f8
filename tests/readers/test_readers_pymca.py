"""PyMca: stacks of spectra, and the MCAs that its file browser offers."""

from __future__ import annotations

import numpy as np
import pytest
from readers_session import CHANNELS, EXPOSURE, OFFSET, SLOPE

EVERY = pytest.mark.parametrize("kind", ["plain", "gzip", "corrected", "swmr", "remote"])


def stack(path, channel):
    from PyMca5.PyMcaIO.HDF5Stack1D import HDF5Stack1D

    found = HDF5Stack1D([path], {"y": f"/instrument/mca_{channel:02}/data", "x": None, "m": None}, scanlist=["/entry"])
    return found.data, found.info["McaCalib"], found.info["McaLiveTime"]


@EVERY
def test_stack(files, session, kind):
    taken = files[kind]
    for channel in (0, CHANNELS - 1):
        data, calibration, live = session.run(stack, taken.path, channel)
        np.testing.assert_allclose(np.squeeze(data), taken.data[:, channel])
        # keV
        np.testing.assert_allclose(calibration, [OFFSET[channel] / 1000, SLOPE[channel] / 1000, 0])
        np.testing.assert_allclose(np.squeeze(live), EXPOSURE / taken.factors[:, channel], rtol=0.01)


def browse(path):
    import h5py
    import hdf5plugin  # noqa: F401
    from PyMca5.PyMcaCore import NexusTools

    with h5py.File(path) as file:
        names = NexusTools.getMcaList(file, "/entry")
        return {name: sorted(NexusTools.getMcaObjectPaths(file, name)) for name in names}


def test_what_the_browser_offers(files, session):
    found = session.run(browse, files["plain"].path)
    channels = {f"/entry/instrument/mca_{channel:02}/data" for channel in range(CHANNELS)}
    assert channels == {name for name in found if "mca" in name}
    for name in channels:
        assert found[name] == ["calibration", "channels", "counts", "elapsed_time", "live_time", "target"]


def add(path, channel, how):
    """As the browser does when one of them is added to the plot."""
    from PyMca5.PyMcaCore.NexusDataSource import NexusDataSource

    source = NexusDataSource([path])
    place = f"/instrument/mca_{channel:02}/data"
    chosen = {
        "sourcename": path, "entry": "/entry", "mca": [0], "mcalist": [place], "mcaselectiontype": how,
    }  # fmt: skip
    found = source.getDataObject("1.1", selection=chosen)
    return found.x[0], found.y[0], found.info["McaCalib"], found.info["McaLiveTime"]


@EVERY
def test_one_channel(files, session, kind):
    taken = files[kind]
    bins, counts, calibration, live = session.run(add, taken.path, 1, "sum")
    np.testing.assert_array_equal(bins, np.arange(taken.data.shape[-1]))
    np.testing.assert_allclose(counts, taken.data[:, 1].sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(calibration, [OFFSET[1] / 1000, SLOPE[1] / 1000, 0])
    np.testing.assert_allclose(live, (EXPOSURE / taken.factors[:, 1]).sum(), rtol=0.01)
