"""Saved settings of a core with one value per ROI: by name of the record, and only those that are another's."""

from __future__ import annotations

import pytest

from xsp3ioc.autosave_settings import DetectorSettings
from xsp3ioc.stream.channel_commands import ChannelCommands
from xsp3ioc.stream.parameter import Parameter


class Core(ChannelCommands):
    """The real store and queue, without hardware."""

    roi_name = Parameter("", "Name", pv="/MCA{chan}ROI:{roi}:Title", per_channel=True, per="roi")
    roi_first = Parameter(0, "First bin", pv="/MCA{chan}ROI:{roi}:First", low=0, high=4095, per_channel=True, per="roi")
    roi_used = Parameter(True, "Used", pv="/MCA{chan}ROI:{roi}:On", choices=("No", "Yes"), per_channel=True, per="roi")
    roi_total = Parameter(0.0, "Sum", pv="/MCA{chan}ROI:{roi}:Sum", per_channel=True, per="roi", writable=False)
    hidden = Parameter(0, "Has no record")

    channels = 2

    def __init__(self):
        super().__init__(2)

    sdk = None

    def _stop(self, command):
        """Nothing runs."""

    def _let_close(self):
        """Nothing is written."""


@pytest.fixture
def core():
    return Core()


CHANGED = {
    "MCA1ROI:2:Title": "Fe Ka",
    "MCA2ROI:48:Title": "Cu Ka",
    "MCA2ROI:48:First": 800,
    "MCA1ROI:1:On": "No",
    "hidden": 3,
    "C2:EnergySlope": 9.5,
}


def change(core):
    for name, value, index in (
        ("roi_name", "Fe Ka", (0, 1)),
        ("roi_name", "Cu Ka", (1, 47)),
        ("roi_first", 800, (1, 47)),
        ("roi_used", 0, (0, 0)),
        ("hidden", 3, None),
        ("energy_slope", 9.5, 1),
        ("roi_first", 5, (0, 3)),
        ("roi_first", 0, (0, 3)),  # as it was
    ):
        core.put(name, value, index).result(60)


def test_what_is_changed_is_saved(core):
    kept = DetectorSettings(core, False)
    told = []
    kept.watch(lambda: told.append(1))
    assert kept.settings() == {}
    change(core)
    assert kept.settings() == CHANGED
    assert len(told) == 8
    core.update("roi_total", 5.0, index=(0, 0))
    core.show_refused("roi_first", (0, 0))
    assert len(told) == 8


def test_it_is_restored(core):
    kept = DetectorSettings(core, False)
    assert all(kept.knows(name) for name in CHANGED)
    assert not kept.knows("MCA3ROI:1:Title")
    assert not kept.knows("MCA1ROI:1:Sum")
    assert not kept.knows("C1:EventWidth")
    assert kept.restore(CHANGED | {"MCA1ROI:4:First": 9999}) == 1
    assert kept.settings() == CHANGED


class Coupled(Core):
    """Each of two settings writes the other, as NumImages does with NumCapture."""

    def _put_roi_first(self, value, index):
        self.update("roi_first", value, index=index)
        self.update("hidden", value)


def test_settings_that_write_others_come_back_as_they_were():
    core = Coupled()
    kept = DetectorSettings(core, False)
    # The other one was set back to its first value afterwards.
    assert kept.restore({"MCA1ROI:1:First": 7}) == 0
    assert kept.settings() == {"MCA1ROI:1:First": 7}
    # And to another.
    assert kept.restore({"MCA1ROI:1:First": 8, "hidden": 2}) == 0
    assert kept.settings() == {"MCA1ROI:1:First": 8, "hidden": 2}


@pytest.mark.parametrize("restores", [False, True])
def test_the_calibration(core, restores):
    core.preset("good_threshold", [10, None])
    kept = DetectorSettings(core, restores)
    # CONNECT reads those of the calibration, all channels at once, and puts the configured ones over them.
    core.update("good_threshold", [1, 2])
    core.update("event_width", [6.0, 6.0])
    core.update("good_threshold", 10, index=0)
    assert kept.calibration() == {}
    core.update("good_threshold", 33, index=1)
    core.update("event_width", 7.0, index=0)
    saved = {"det1:C2_SCA4_THRESHOLD": 33, "C1:EventWidth": 7.0}
    assert kept.calibration() == saved
    assert kept.settings() == {}

    other = Core()
    other.preset("good_threshold", [10, None])
    kept = DetectorSettings(other, restores)
    assert kept.restore_calibration(saved | {"C3:EventWidth": 1.0, "C1:EnergySlope": 1.0, "C2:EventWidth": -1}) == 3
    assert kept.calibration() == saved
    expected = {"good_threshold": [10, 33], "event_width": [7.0, None]} if restores else {"good_threshold": [10, None]}
    assert other.presets == expected
