"""What is in an ROI: by hand, and against loops that are as plain as the definition."""

import numpy as np
import pytest

from xsp3ioc.stream.rois import STATISTICS, Rois

BINS = 4096


def rois(*regions, bins=BINS):
    """From (first, size, width) each."""
    first, size, width = np.array(regions, np.int64).reshape(-1, 3).T
    return Rois(np.ones(len(regions), bool), first, size, width, bins)


def plain(spectrum, first, size, width):
    """The definition, one bin after the other."""
    inside = [int(count) for count in spectrum[first : first + size]]
    total = sum(inside)
    width = min(width, len(inside))
    background = inside[:width] + inside[len(inside) - width :]
    net = total - sum(background) / len(background) * len(inside) if background else total
    return total, net, min(inside), max(inside), total / len(inside)


def test_a_worked_example():
    # Bins 2..7 are 3 5 10 12 6 4. Total 40 in 6 bins, mean 6.666..., from 3 to 12.
    # One bin of background inside each end: 3 and 4, 3.5 on average; net = 40 - 3.5 * 6 = 19.
    # Two: 3, 5, 6 and 4, 4.5 on average; net = 40 - 4.5 * 6 = 13. Without: 40.
    spectrum = np.array([[9, 9, 3, 5, 10, 12, 6, 4, 9, 9]], np.uint32)
    found = rois((2, 6, 1), (2, 6, 2), (2, 6, 0), bins=10).statistics(spectrum)[0]
    assert found[:, STATISTICS.index("net")].tolist() == [19, 13, 40]
    for one in found:
        assert dict(zip(STATISTICS, one, strict=True)) | {"net": 0} == {
            "total": 40, "net": 0, "min_value": 3, "max_value": 12, "mean_value": 40 / 6,
        }  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_any_rois_side_by_side_within_each_other_and_across(seed):
    random = np.random.default_rng(seed)
    count = random.integers(1, 49)
    first = random.integers(0, BINS, count)
    size = random.choice([1, 2, 30, 500, BINS], count)
    width = random.choice([0, 0, 1, 7, 400, BINS], count)
    spectra = random.integers(0, 2**32, (3, 2, BINS), dtype=np.uint32)
    regions = rois(*zip(first, size, width, strict=True))
    assert regions.slots == list(range(count))
    found, totals = regions.statistics(spectra), regions.totals(spectra)
    for frame in range(3):
        for channel in range(2):
            expected = np.array([plain(spectra[frame, channel], *one) for one in zip(first, size, width, strict=True)])
            np.testing.assert_allclose(found[frame, channel], expected, rtol=1e-12, atol=1e-3)
            np.testing.assert_array_equal(found[frame, channel, :, 0], expected[:, 0])
            np.testing.assert_array_equal(totals[frame, channel], expected[:, 0])


def test_the_fullest_spectrum_is_summed_exactly():
    spectrum = np.full((1, BINS), 2**32 - 1, np.uint32)
    full = BINS * (2**32 - 1)
    found = rois((0, BINS, 0), (1, BINS - 1, 1)).statistics(spectrum)[0]
    assert found[:, 0].tolist() == [full, full - (2**32 - 1)]
    assert found[1, 1] == 0  # all of it is background


def test_only_those_in_use_that_have_bins():
    use = np.array([True, False, True, True, True])
    first, size = np.array([10, 10, 10, 4090, 4000]), np.array([0, 5, 5, 100, BINS])
    regions = Rois(use, first, size, np.zeros(5, np.int64), BINS)
    assert regions.slots == [2, 3, 4]
    assert (regions.first.tolist(), regions.sizes.tolist()) == ([10, 4090, 4000], [5, 6, 96])
    assert regions.totals(np.ones((2, BINS), np.uint32)).tolist() == [[5, 6, 96]] * 2


def test_none_at_all():
    regions = rois((0, 0, 3))
    assert regions.statistics(np.ones((7, 4, BINS), np.uint32)).shape == (7, 4, 0, 5)
    assert regions.totals(np.ones((7, BINS), np.uint32)).shape == (7, 0)
