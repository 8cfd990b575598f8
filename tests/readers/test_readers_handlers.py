"""The handlers of databroker and of area-detector-handlers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from readers_session import BINS, CHANNELS, FRAMES

EVERY = pytest.mark.parametrize("kind", ["plain", "gzip", "corrected", "swmr", "remote"])


def read_without_plugins(path):
    """What the portable compression is for: nothing but the handler and h5py."""
    from area_detector_handlers._xspress3 import Xspress3HDF5Handler

    handler = Xspress3HDF5Handler(path)
    spectrum = handler(frame=2, channel=3)
    handler.close()
    return spectrum, "hdf5plugin" in sys.modules


def test_gzip_needs_no_plugin(files, session):
    spectrum, plugin = session.run(read_without_plugins, files["gzip"].path)
    assert not plugin
    np.testing.assert_array_equal(spectrum, files["gzip"].data[2, 2])


def read_with(where, path):
    import importlib

    import hdf5plugin  # noqa: F401

    handler = importlib.import_module(where).Xspress3HDF5Handler(path)
    spectra = [[handler(frame=frame, channel=channel + 1) for channel in range(CHANNELS)] for frame in range(FRAMES)]
    files = handler.get_file_list([])
    handler.close()
    return np.array(spectra), list(files)


@pytest.mark.parametrize("where", ["area_detector_handlers._xspress3", "databroker.assets.handlers"])
@EVERY
def test_xsp3(files, session, kind, where):
    spectra, names = session.run(read_with, where, files[kind].path)
    np.testing.assert_array_equal(spectra, files[kind].data)
    assert names == [files[kind].path]


def sum_roi(path):
    import hdf5plugin  # noqa: F401
    from databroker.assets.handlers import Xspress3HDF5Handler

    handler = Xspress3HDF5Handler(path)
    total = handler.get_roi(2, 600, 700)
    handler.close()
    return total


def test_roi_of_databroker(files, session):
    found = session.run(sum_roi, files["plain"].path)
    np.testing.assert_array_equal(found, files["plain"].data[:, 1, 600:700].sum(axis=-1))


def read_flight(path, names):
    import hdf5plugin  # noqa: F401
    from area_detector_handlers._xspress3 import BulkXSPRESS

    handler = BulkXSPRESS(path)
    found = {name: handler(target=name) for name in names}
    found["data"] = handler()
    handler.close()
    return found


@EVERY
def test_xsp3_fly(files, session, kind):
    taken = files[kind]
    scalers = {f"CHAN{channel + 1}SCA{number}": (channel, number) for channel in range(CHANNELS) for number in range(8)}
    factors = {f"CHAN{channel + 1}DTFactor": channel for channel in range(CHANNELS)}
    found = session.run(read_flight, taken.path, [*scalers, *factors, "ArrayCounter"])
    assert found["data"].shape == (FRAMES, CHANNELS, BINS)
    np.testing.assert_array_equal(found["data"], taken.data)
    for name, (channel, number) in scalers.items():
        np.testing.assert_array_equal(found[name], taken.scalers[:, channel, number])
    for name, channel in factors.items():
        np.testing.assert_array_equal(found[name], taken.factors[:, channel])
    np.testing.assert_array_equal(found["ArrayCounter"], np.arange(FRAMES) + 1)
