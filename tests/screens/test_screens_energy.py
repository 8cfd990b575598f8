"""The axis that the spectra are plotted over follows the calibration."""

import numpy as np
import pytest
from ca_processes import Client

BINS = 4096


def watch(prefix):
    """The axis at the beginning, and what a monitor says of it after a put of slope and offset."""
    import threading

    import epics

    seen, came = [], threading.Event()

    def hear(value, **_):
        seen.append(value)
        if value[0] == 50.0:
            came.set()

    axis = epics.PV(f"{prefix}C2:Energy_RBV", auto_monitor=True)
    first = axis.get(timeout=60)
    axis.add_callback(hear)
    assert epics.caput(f"{prefix}C2:EnergySlope", 5.0, wait=True, timeout=60) == 1
    assert epics.caput(f"{prefix}C2:EnergyOffset", 50.0, wait=True, timeout=60) == 1
    assert came.wait(60), "no update of the axis"
    other = epics.caget(f"{prefix}C1:Energy_RBV", timeout=60, connection_timeout=60)
    return first, seen[-1], other, axis.units


@pytest.fixture(scope="module")
def axes(server):
    return Client(server.environment, watch, server.prefix).result()


def test_it_begins_as_the_calibration_does(axes):
    assert np.array_equal(axes[0], 10.0 * np.arange(BINS))


def test_it_follows_the_calibration_of_its_channel(axes):
    assert np.array_equal(axes[1], 50.0 + 5.0 * np.arange(BINS))
    assert np.array_equal(axes[2], axes[0])


def test_it_has_a_unit(axes):
    assert axes[3] == "eV"
