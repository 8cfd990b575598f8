"""ROIs through the core: what is shown of the last frame, and their time series, against the emulator's own frames."""

import numpy as np
import pytest
from stream_core import running_core

from xsp3ioc.sdk import Faults
from xsp3ioc.sdk.emulator.faults import Picked
from xsp3ioc.stream.blocks import FRAME_DTYPE, Block
from xsp3ioc.stream.heading import make_header
from xsp3ioc.stream.messages import decode_from_server, encode
from xsp3ioc.stream.rois import STATISTICS
from xsp3ioc.stream.series import SeriesError

ROIS = 48


@pytest.fixture
def core():
    with running_core(seed=5) as core:
        yield core


def define(core, count=ROIS, size=60):
    """The same ROIs in all channels but the last, which has one of its own."""
    for channel in range(4):
        for slot in range(count):
            core.roi(channel, slot, 300 + 78 * slot, size, background=slot % 3)
    core.roi(3, count - 1, 0, 4096)


def regions(core, count=ROIS):
    """First bin, end and background of each slot, (channels, slots, 3)."""
    first, size, width = (core.get(f"roi_{name}")[:, :count] for name in ("min_x", "size_x", "background"))
    return np.stack([first, np.minimum(first + size, 4096), width], axis=-1)


def expected(core, mca, count=ROIS):
    """(frames, channels, slots, 5) by the definition."""
    where = regions(core, count)
    found = np.zeros((*mca.shape[:2], count, 5))
    for channel in range(mca.shape[1]):
        for slot, (first, end, width) in enumerate(where[channel]):
            inside = mca[:, channel, first:end].astype(np.int64)
            total, size = inside.sum(axis=1), end - first
            edges = np.concatenate([inside[:, :width], inside[:, size - width :]], axis=1) if width else None
            net = total if edges is None else total - edges.mean(axis=1) * size
            found[:, channel, slot] = np.stack(
                [total, net, inside.min(axis=1), inside.max(axis=1), inside.mean(axis=1)], axis=-1
            )
    return found


def shown(core, count=ROIS):
    return np.stack([core.get(f"roi_{name}")[:, :count] for name in STATISTICS], axis=-1)


def test_the_last_frame_is_shown_before_the_end(core):
    define(core)
    core.set(roi_series_control=0)
    core.updates.clear()
    core.acquire(1)
    mca, _ = core.frames(1)
    found = expected(core, mca)[0]
    np.testing.assert_allclose(shown(core), found)
    np.testing.assert_array_equal(core.get("roi_total"), found[..., 0])
    over = core.last("acquire")
    assert core.updates[over].value is False
    for name in (*(f"roi_{name}" for name in STATISTICS), *(f"roi_series_{name}" for name in STATISTICS), "mca_sum"):
        assert core.last(name) < over, name
    assert core.said("roi_series_points")[-1].value == [1] * 4
    assert {update.time for update in core.said("roi_total")[1:]} == {core.detector.latest_frame[1].frames["time"][0]}


def test_a_point_per_frame_and_the_next_series_goes_on(core):
    define(core, 5)
    core.set(roi_series_length=150, roi_series_control="Erase/Start")
    core.acquire(60)
    assert core.get("roi_series_running") == [True] * 4  # it is shorter than the time series
    core.acquire(60)
    assert core.get("roi_series_points") == [120] * 4
    mca, _ = core.frames(60)
    frames = np.concatenate([expected(core, mca, 5)] * 2)
    for channel in range(4):
        for slot in range(5):
            for kind, name in enumerate(STATISTICS):
                found = core.get(f"roi_series_{name}", (channel, slot))
                np.testing.assert_allclose(found, frames[:, channel, slot, kind], err_msg=name)
        assert core.get("roi_series_total", (channel, 5)).tolist() == [0] * 120
    times = core.get("roi_series_times", (2, 3)) + 631152000
    assert times[-1] == pytest.approx(core.detector.latest_frame[1].frames["time"][-1], abs=1e-6)
    assert (np.diff(times) > 0).all()
    core.acquire(60)
    assert core.get("roi_series_points") == [150] * 4
    assert core.get("roi_series_running") == [False] * 4
    assert len(core.get("roi_series_total", (0, 0))) == 150
    with pytest.raises(RuntimeError, match="has all its 150 points"):
        core.put("roi_series_control", "Start", 1)
    core.put("roi_series_control", 0, 1)
    assert (core.get("roi_series_points"), core.get("roi_series_running")[1]) == ([150, 0, 150, 150], True)


def test_stop_go_on_erase(core):
    define(core, 1)
    core.put("roi_series_control", 0, 0)
    core.acquire(5)
    core.put("roi_series_control", "Stop", 0)
    assert core.get("roi_series_running")[0] is False
    core.acquire(5)
    core.put("roi_series_control", "Start", 0)
    core.acquire(5)
    assert core.get("roi_series_points") == [10, 0, 0, 0]
    mca, _ = core.frames(5)
    totals = mca[:, 0, 300:360].sum(axis=1).tolist()
    assert core.get("roi_series_total", (0, 0)).tolist() == totals * 2
    core.updates.clear()
    core.put("roi_series_control", "Read", 0)
    assert [update.index for update in core.said("roi_series_total")] == [0]
    core.put("roi_series_read", 3, 0)
    assert len(core.said("roi_series_total")) == 2
    core.put("roi_series_control", "Erase", 0)
    assert core.get("roi_series_total", (0, 0)).size == core.get("roi_series_points")[0] == 0
    assert core.get("roi_series_running")[0] is True


def test_another_length_begins_anew(core):
    define(core, 1)
    core.set(roi_series_control=0)
    core.acquire(5)
    core.put("roi_series_length", 2048, 0)  # which it is
    core.put("roi_series_length", 3, 1)
    assert core.get("roi_series_points") == [5, 0, 5, 5]
    core.acquire(5)
    assert core.get("roi_series_points") == [10, 3, 10, 10]
    core.put("roi_series_length", 20_000, 2)
    assert core.get("roi_series_length")[2] == 16384
    assert "MCA3ROI:TSNumPoints = 20000 is more than 16384" in core.get("status_message")
    with pytest.raises(ValueError, match="MCA3ROI:TSNumPoints = 0 is below 1"):
        core.put("roi_series_length", 0, 2)


def test_it_is_published_as_often_as_asked_for(core):
    define(core, 1)
    core.put("roi_series_period", ".1 second", 0)
    core.put("roi_series_period", "Passive", 1)
    core.set(roi_series_control=0)
    core.updates.clear()
    core.acquire(600)
    often, never, second = ([u for u in core.said("roi_series_total") if u.index == channel] for channel in range(3))
    assert len(never) == 1  # at the end
    assert len(never) <= len(second) < len(often)
    points = [update.value[0] for update in core.said("roi_series_points")]
    assert points == sorted(set(points))
    assert len(points) < 60


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("roi_min_x", 5000, "MCA2ROI:40:MinX = 5000 is above 4095 bin"),
        ("roi_min_x", -1, "MCA2ROI:40:MinX = -1 is below 0 bin"),
        ("roi_size_x", -1, "MCA2ROI:40:SizeX = -1 is below 0 bins"),
        ("roi_size_x", 4097, "MCA2ROI:40:SizeX = 4097 is above 4096 bins"),
        ("roi_background", -1, "MCA2ROI:40:BgdWidth = -1 is below 0 bins"),
        ("roi_use", 2, r"MCA2ROI:40:Use = 2 is none of No \(0\), Yes \(1\)"),
        ("roi_name", "x" * 40, "MCA2ROI:40:Name has 40 characters, more than 39"),
    ],
)
def test_refused(core, name, value, message):
    before = core.get(name, (1, 39))
    with pytest.raises(ValueError, match=message):
        core.put(name, value, (1, 39))
    assert core.get(name, (1, 39)) == before
    assert core.said(name)[-1].refused
    assert core.said(name)[-1].index == (1, 39)


def test_every_roi_is_its_own(core):
    # The reference has the 40th at the address of the 30th.
    core.roi(0, 29, 300, 50)
    core.roi(0, 39, 1000, 700)
    core.acquire(1)
    mca, _ = core.frames(1)
    total = core.get("roi_total")
    assert total[0, 29] == mca[0, 0, 300:350].sum()
    assert total[0, 39] == mca[0, 0, 1000:1700].sum()
    assert np.count_nonzero(total) == 2


def test_what_is_not_in_use_is_not_counted(core):
    define(core, 3)
    core.put("roi_use", "No", (1, 0))
    core.put("roi_size_x", 0, (1, 1))
    core.put("roi_enabled", "Disable", 2)
    core.set(roi_series_control=0)
    core.acquire(3)
    total = core.get("roi_total")
    assert (total[0, :3] > 0).all()
    assert (total[1, :3] > 0).tolist() == [False, False, True]
    assert not total[2].any()
    assert core.get("roi_series_points") == [3, 3, 0, 3]
    assert core.get("roi_series_total", (1, 0)).tolist() == [0, 0, 0]
    core.put("roi_enabled", "Disable", 0)
    core.set(erase_on_start=0)
    core.acquire(5)
    assert core.get("roi_total")[0].tolist() == total[0].tolist()


def test_erased_at_once(core):
    define(core, 2)
    core.acquire(3)
    for act in (lambda: core.put("erase", 1), lambda: core.put("acquire", 1)):
        core.updates.clear()
        act()
        for name in (*(f"roi_{name}" for name in STATISTICS), "mca_sum", "mca"):
            first = core.said(name)[0]
            assert not np.any(first.value), name
            assert first.index is None
    core.set(erase_on_start=0)
    core.acquire(3)
    core.updates.clear()
    core.put("acquire", 1)
    assert np.any(core.said("roi_total")[0].value)
    core.put("roi_reset", 1, (1, 0))
    core.put("roi_reset_all", 1, 2)
    total = core.get("roi_total")
    assert (total[:, :2] > 0).tolist() == [[True, True], [False, True], [False, False], [True, True]]
    assert core.said("roi_net")[-2].index == (1, 0)


def test_the_sum_of_the_spectra_begins_anew(core):
    core.set(erase_on_start=0)
    core.acquire(3)
    core.acquire(3)
    mca, _ = core.frames(3)
    np.testing.assert_array_equal(core.get("mca_sum"), 2 * mca.sum(axis=0))
    core.updates.clear()
    core.put("sum_reset", 1)
    assert not core.said("mca_sum")[0].value.any()
    core.acquire(3)
    np.testing.assert_array_equal(core.get("mca_sum"), mca.sum(axis=0))
    core.set(erase_on_start=1)
    core.acquire(1)
    np.testing.assert_array_equal(core.get("mca_sum"), mca[0])


def test_corrected_for_dead_time(core):
    define(core, 3)
    core.set(erase_on_start=0, roi_series_control=0)
    core.acquire(4)
    core.put("corrected", "Enable")
    core.acquire(4)
    mca, _ = core.frames(4)
    factors = core.get("scaler")[:, 9]
    assert (factors > 1).all()
    raw = expected(core, mca, 3)
    np.testing.assert_allclose(shown(core, 3), raw[-1] * factors[:, None, None])
    total = core.get("roi_series_total", (1, 2))
    np.testing.assert_array_equal(total[:4], raw[:, 1, 2, 0])
    assert (total[4:] > raw[:, 1, 2, 0]).all()
    assert total[-1] == pytest.approx(raw[-1, 1, 2, 0] * factors[1])
    whole = core.get("mca_sum").sum(axis=1)
    assert (whole > 2 * mca.sum(axis=(0, 2))).all()
    assert (whole < 2 * mca.sum(axis=(0, 2)) * factors.max() * 1.1).all()
    np.testing.assert_allclose(core.get("mca"), mca[-1] * factors[:, None])
    np.testing.assert_array_equal(core.detector.sum.value(), 2 * mca.sum(axis=0))  # the monitor socket's are counts
    core.set(corrected=0, erase_on_start=1)
    core.acquire(4)
    np.testing.assert_array_equal(core.get("mca_sum"), mca.sum(axis=0))


def test_missing_frames_have_their_points():
    missing = Picked(frames=(3, 7, 8), channels=(1,))
    with running_core(seed=5, faults=Faults(missing=missing)) as core:
        for channel in range(4):
            core.roi(channel, 0, 100, 500)
        core.set(roi_series_control=0)
        core.acquire(10)
        mca, _ = core.frames(10)
        whole = mca[:, :, 100:600].sum(axis=2).astype(float)
        np.testing.assert_array_equal(core.get("roi_series_total", (0, 0)), whole[:, 0])
        whole[[3, 7, 8], 1] = np.nan
        np.testing.assert_array_equal(core.get("roi_series_total", (1, 0)), whole[:, 1])
        assert core.get("frames_missing") == 3


@pytest.mark.parametrize("stops", [0, 1])
def test_overwritten_frames_have_their_points(stops):
    with running_core(seed=5, faults=Faults(overwrite=6)) as core:
        core.set(stop_on_overrun=stops, roi_series_control=0, scaler_series_control=0)
        for channel in range(4):
            core.roi(channel, 0, 100, 500)
        if stops:
            with pytest.raises(SeriesError, match="Overrun: frame"):
                core.acquire(40)
        else:
            core.acquire(40)
        mca, _ = core.frames(40)
        acquired, missing = core.get("frames_acquired"), core.get("frames_missing")
        assert missing > 0
        assert core.get("roi_series_points") == core.get("scaler_series_points") == [acquired + missing] * 4
        found = core.get("roi_series_total", (3, 0))
        there = ~np.isnan(found)
        assert np.count_nonzero(there) == acquired
        np.testing.assert_array_equal(found[there], mca[: len(found), 3, 100:600].sum(axis=1)[there])
        assert there.tolist() == (~np.isnan(core.get("scaler_series", (3, 9)))).tolist()


def test_frames_in_no_block_have_their_points_too(core):
    define(core, 1)
    core.set(roi_series_control=0, scaler_series_control=0)
    header = make_header(1, core.detector.values, core.detector.parameters, None, 12.5e-9, True)
    mca, scalers = core.frames(20)
    frames = np.zeros(20, FRAME_DTYPE)
    for analysis in core.detector._analyses:
        analysis.begin(header)
        for part in (slice(0, 6), slice(9, 14)):
            block = Block(1, part.start, mca[part], scalers[part], np.ones(scalers[part].shape[:2]), frames[part])
            analysis.add(block)
        analysis.end(20)
        analysis.show(block, 0.0, True)
    assert core.get("roi_series_points") == core.get("scaler_series_points") == [20] * 4
    kept = np.r_[0:6, 9:14]
    for found, truth in (
        (core.get("roi_series_total", (2, 0)), mca[:, 2, 300:360].sum(axis=1)),
        (core.get("scaler_series", (2, 3)), scalers[:, 2, 3]),
    ):
        whole = np.full(20, np.nan)
        whole[kept] = truth[kept]
        np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("frames", [3000, pytest.param(40_000, marks=pytest.mark.slow)])
def test_none_is_missing_however_fast_they_come(frames):
    with running_core(seed=9, pace="reader") as core:
        define(core)
        core.set(roi_series_length=16384, scaler_series_length=16384)
        core.set(roi_series_control=0, scaler_series_control=0)
        core.acquire(frames)
        kept = min(frames, 16384)
        assert core.get("roi_series_points") == core.get("scaler_series_points") == [kept] * 4
        totals = [core.get("roi_series_total", (channel, 7)) for channel in range(4)]
        events = [core.get("scaler_series", (channel, 3)) for channel in range(4)]
        for first in range(0, kept, 500):
            mca, scalers = core.frames(min(500, kept - first), first)
            part = slice(first, first + len(mca))
            np.testing.assert_array_equal([total[part] for total in totals], mca[:, :, 846:906].sum(axis=2).T)
            np.testing.assert_array_equal([event[part] for event in events], scalers[..., 3].T)


def test_the_header_names_the_rois(core):
    core.roi(0, 0, 100, 50, name="Fe Ka")
    core.roi(0, 5, 4000, 500)
    core.roi(2, 1, 7, 8, name="é")
    core.put("roi_use", 0, (2, 1))
    core.roi(2, 2, 0, 1)
    header = make_header(1, core.detector.values, core.detector.parameters, None, 12.5e-9, True)
    heard = decode_from_server(encode(header))
    assert heard.rois == [[("Fe Ka", 100, 50), ("", 4000, 96)], [], [("", 0, 1)], []]


@pytest.mark.parametrize(("channels", "cards"), [(1, 1), (16, 2)])
def test_any_number_of_channels(channels, cards):
    with running_core(seed=2, channels=channels, cards=cards) as core:
        last = channels - 1
        core.roi(last, 0, 300, 100)
        core.roi(last, 47, 600, 300)
        core.set(roi_series_control=0, scaler_series_control=0)
        core.acquire(10)
        mca, scalers = core.frames(10)
        assert core.get("roi_total").shape == (channels, ROIS)
        assert core.get("roi_total")[last, 47] == mca[-1, last, 600:900].sum()
        np.testing.assert_array_equal(core.get("roi_series_total", (last, 0)), mca[:, last, 300:400].sum(axis=1))
        np.testing.assert_array_equal(core.get("scaler_series", (last, 3)), scalers[:, last, 3])
        np.testing.assert_array_equal(core.get("scaler_sum")[:, :8], scalers[..., :8].sum(axis=0))
        assert core.get("roi_series_points") == core.get("scaler_series_points") == [10] * channels
        assert core.get("roi_max_size_y", (0, 0)) == channels
