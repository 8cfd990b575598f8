"""Scalers through the core: the last frame's, their sums and their time series, against the emulator's own frames."""

import numpy as np
import pytest
from stream_core import running_core

from xsp3ioc.sdk import Faults
from xsp3ioc.sdk.emulator.faults import Picked
from xsp3ioc.stream.formulas import dead_time_factors, dead_time_percent

FRAMES = 40


@pytest.fixture
def core():
    with running_core(seed=5) as core:
        yield core


def expected(core, scalers):
    """(frames, channels, 11)."""
    widths = core.get("event_width")
    return np.concatenate(
        [
            scalers[..., :8],
            np.broadcast_to(np.array(widths)[:, None], (*scalers.shape[:2], 1)),
            dead_time_factors(scalers, widths)[..., None],
            dead_time_percent(scalers, widths)[..., None],
        ],
        axis=-1,
    )


def test_the_last_frame_and_the_sums(core):
    core.set(erase_on_start=0)
    core.acquire(FRAMES)
    core.put("event_width", 9.0, 1)
    before = core.get("scaler_sum").copy()
    core.acquire(FRAMES)
    _, scalers = core.frames(FRAMES)
    values = expected(core, scalers)
    np.testing.assert_array_equal(core.get("scaler"), values[-1])
    np.testing.assert_array_equal(core.get("scaler_sum")[:, :9], (before + values.sum(axis=0))[:, :9])
    np.testing.assert_array_equal(before[:, :8], scalers.sum(axis=0)[:, :8])
    np.testing.assert_allclose(core.get("scaler_sum"), before + values.sum(axis=0))
    assert core.get("dt_factor") == values[-1, :, 9].tolist()
    assert core.get("dead_time") == values[-1, :, 10].tolist()
    assert core.get("mean_dead_time") == pytest.approx(values[-1, :, 10].mean())
    assert core.get("max_dead_time") == values[-1, :, 10].max()
    assert all(core.last(name) < core.last("acquire") for name in ("scaler", "scaler_sum", "max_dead_time"))


def test_zeroed(core):
    core.acquire(5)
    core.put("scaler_reset", 1, 2)
    assert core.get("scaler_sum").any(axis=1).tolist() == [True, True, False, True]
    assert core.get("scaler").any(axis=1).tolist() == [True, True, False, True]
    core.updates.clear()
    core.put("erase", 1)
    assert not core.said("scaler_sum")[0].value.any()
    assert core.said("scaler")[0].value.tolist() == [[0] * 8 + [6, 1, 0]] * 4
    core.acquire(3)
    core.acquire(3)
    _, scalers = core.frames(3)
    np.testing.assert_array_equal(core.get("scaler_sum")[:, :8], scalers.sum(axis=0)[:, :8])


def test_acquire_is_done_when_the_series_is_full(core):
    core.set(scaler_series_length=50)
    puts = [core.detector.put("scaler_series_acquire", 1, channel) for channel in range(4)]
    core.acquire(FRAMES)
    assert core.get("scaler_series_points") == [FRAMES] * 4
    assert core.get("scaler_series_acquire") == core.get("scaler_series_running") == [True] * 4
    assert not any(put.done() for put in puts)
    core.updates.clear()
    core.acquire(FRAMES)
    for put in puts:
        put.result(10)
    assert core.get("scaler_series_points") == [50] * 4
    assert core.get("scaler_series_acquire") == core.get("scaler_series_running") == [False] * 4
    order = [core.last(name) for name in ("scaler_series", "scaler_series_acquire", "acquire")]
    assert order == sorted(order)
    _, scalers = core.frames(FRAMES)
    values = np.concatenate([expected(core, scalers)] * 2)[:50]
    for channel in range(4):
        for k in range(11):
            np.testing.assert_array_equal(core.get("scaler_series", (channel, k)), values[:, channel, k])
    times = core.get("scaler_series_times", 1)
    assert len(times) == 50
    # The second series begins after the first; within each the frames come a millisecond and the gap apart.
    np.testing.assert_allclose(np.diff(times[:FRAMES]), 0.001001, atol=1e-6)
    assert times[FRAMES] > times[FRAMES - 1]


def test_stopped(core):
    put = core.detector.put("scaler_series_acquire", 1, 1)
    core.acquire(5)
    assert not put.done()
    core.put("scaler_series_acquire", 0, 1)
    put.result(10)
    core.acquire(5)
    assert core.get("scaler_series_points") == [0, 5, 0, 0]
    core.put("scaler_series_control", "Start", 1)  # goes on
    core.acquire(5)
    assert core.get("scaler_series_points")[1] == 10
    put = core.detector.put("scaler_series_acquire", 1, 1)  # begins anew
    core.wait(lambda: core.get("scaler_series_points")[1] == 0)
    core.put("scaler_series_control", "Stop", 1)
    put.result(10)
    assert core.get("scaler_series_acquire")[1] is False


def test_a_circular_one_keeps_the_last(core):
    core.put("scaler_series_circular", "Circ. buffer", 0)
    core.set(scaler_series_length=30)
    core.set(scaler_series_control=0)
    core.acquire(FRAMES)
    _, scalers = core.frames(FRAMES)
    assert core.get("scaler_series_running") == [True, False, False, False]
    assert core.get("scaler_series_points") == [30] * 4
    np.testing.assert_array_equal(core.get("scaler_series", (0, 3)), scalers[-30:, 0, 3])
    np.testing.assert_array_equal(core.get("scaler_series", (1, 3)), scalers[:30, 1, 3])


def test_points_of_several_frames(core):
    core.put("scaler_series_averaging_time", 0.52, 0)
    assert core.get("scaler_series_average") == [5, 1, 1, 1]
    assert core.get("scaler_series_averaging_time")[0] == 0.5
    core.put("scaler_series_point_link", 0.05, 1)
    assert core.get("scaler_series_point_time")[1] == 0.05
    assert core.get("scaler_series_average")[1] == 2
    core.set(scaler_series_control=0)
    core.acquire(FRAMES)
    _, scalers = core.frames(FRAMES)
    assert core.get("scaler_series_points") == [8, 20, 40, 40]
    means = scalers[:, 0, 3].reshape(8, 5).mean(axis=1)
    np.testing.assert_allclose(core.get("scaler_series", (0, 3)), means)
    core.put("scaler_series_length", 4, 0)
    np.testing.assert_allclose(core.get("scaler_series_axis", 0), [0, 0.5, 1, 1.5])
    with pytest.raises(ValueError, match="C1SCA:TS:TSAveragingTime = 1e.06 s are .* frames of 0.1 s; 16384 at most"):
        core.put("scaler_series_averaging_time", 1e6, 0)


def test_elapsed_time(core):
    core.put("scaler_series_acquire", 0, 0)
    assert core.get("scaler_series_elapsed") == [0.0] * 4
    core.put("scaler_series_control", 0, 0)
    core.acquire(100)
    elapsed = core.get("scaler_series_elapsed")[0]
    assert elapsed > 0.05
    core.put("scaler_series_control", 2, 0)
    stopped = core.get("scaler_series_elapsed")[0]
    core.acquire(50)
    assert core.get("scaler_series_elapsed")[0] == stopped >= 0


def test_missing_frames_have_no_value():
    with running_core(seed=5, faults=Faults(missing=Picked(frames=(3, 7), channels=(1,)))) as core:
        core.set(scaler_series_control=0)
        core.acquire(10)
        _, scalers = core.frames(10)
        events = scalers[:, 1, 3].astype(float)
        events[[3, 7]] = np.nan
        np.testing.assert_array_equal(core.get("scaler_series", (1, 3)), events)
        assert core.get("scaler_sum")[1, 3] == np.nansum(events)
        assert core.get("scaler_sum")[1, 8] == 8 * 6
        np.testing.assert_array_equal(core.get("scaler_series", (0, 3)), scalers[:, 0, 3])


def test_nothing_is_allocated_before_it_is_used(core):
    series = core.detector._scalers.series._series + core.detector._rois.series._series
    assert [one._chunks for one in series] == [[]] * 8
    core.acquire(20)
    assert [one._chunks for one in series] == [[]] * 8
