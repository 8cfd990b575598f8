"""xraylarch's own reader of Xspress3 files."""

from __future__ import annotations

import numpy as np
import pytest


def read(path):
    from larch.io.xsp3_hdf5 import read_xsp3_hdf5

    found = read_xsp3_hdf5(path)
    return found.counts, found.realTime, found.outputCounts, found.inputCounts


@pytest.mark.parametrize("kind", ["plain", "gzip", "corrected", "swmr", "remote"])
def test_larch(files, session, kind):
    taken = files[kind]
    counts, real_time, output, inputs = session.run(read, taken.path)
    np.testing.assert_array_equal(counts, taken.data)
    np.testing.assert_allclose(real_time, taken.scalers[..., 0] * 12.5e-3)  # µs
    sums = taken.data[..., 1:-1].sum(axis=-1)
    np.testing.assert_allclose(output, sums)
    np.testing.assert_allclose(inputs, sums * taken.factors)
