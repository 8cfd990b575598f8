"""nexusformat, which makes a tree of the classes, and chexus, which checks them."""

from __future__ import annotations

import numpy as np
import pytest
from readers_session import BINS, CHANNELS, FRAMES, energies

KINDS = ["plain", "gzip", "corrected", "swmr", "remote"]


def load(path):
    import nexusformat.nexus as nx

    root = nx.nxload(path)
    plot = root.plottable_data
    found = {
        "classes": {item.nxpath: item.nxclass for item in root.walk() if isinstance(item, nx.NXgroup)},
        "path": plot.nxpath,
        "signal": plot.nxsignal.nxdata,
        "axes": [axis.nxdata for axis in plot.nxaxes],
        "units": plot.energy.attrs["units"],
        "energy": root.entry.instrument.xspress3.energy.nxdata,
        "title": str(root.entry.title),
        "tree": root.tree,
    }
    root.nxfile.close()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_nexusformat(files, session, kind):
    found = session.run(load, files[kind].path)
    assert (found["path"], found["units"], found["title"]) == ("/entry/data", "eV", "Xspress3 spectra (simulated)")
    np.testing.assert_array_equal(found["signal"], files[kind].data)
    assert [len(axis) for axis in found["axes"]] == [FRAMES, CHANNELS, BINS]
    np.testing.assert_allclose(found["axes"][2], energies().mean(axis=0))
    np.testing.assert_allclose(found["energy"], energies())
    assert found["classes"]["/entry/instrument/xspress3"] == "NXdetector"
    assert found["classes"]["/entry/instrument/NDAttributes"] == "NXcollection"
    assert "NXgroup" not in found["classes"].values()
    assert "event_width = int32(8x4)" in found["tree"]


def check(path):
    import chexus

    reader = chexus.read_hdf5(path)
    group = next(reader)
    results = chexus.validate(group, validators=chexus.validators.base_validators(has_scipp=False))
    return {kind.__name__: [one.name for one in result.violations] for kind, result in results.items()}


@pytest.mark.parametrize("kind", [*KINDS, "empty"])
def test_chexus(files, session, kind):
    found = session.run(check, files[kind].path)
    # A server knows nothing of the detector's place: where it is, is for the beamline to say.
    found.pop("depends_on_missing")
    assert {name: places for name, places in found.items() if places} == {}


def test_nexusformat_opens_a_capture_without_a_series(files, session):
    found = session.run(load, files["empty"].path)
    assert found["signal"].shape == (0, CHANNELS, BINS)
