"""The length of the gaps, measured on hosts with more or less time for it."""

from types import SimpleNamespace

import numpy as np
import pytest

from xsp3ioc.hardware_bench import Bench, Differs, NotTestable, Point
from xsp3ioc.hardware_runs import clock_period, gap
from xsp3ioc.sdk import GapMode

CYCLE = 12.5e-9
EXPOSURE_TICKS = 8000
POLL = 0.00115
PHASE = 0.15


class Host(Bench):
    """A bench whose program is held up, in `phases` of its time, between asking and looking at the clock."""

    def __init__(self, seed, phases, gaps=None):
        self.handle = SimpleNamespace(ring=4096)
        self.period = CYCLE
        self.kept = {}
        self._random, self._phases = np.random.default_rng(seed), phases
        self._gaps = gaps or {mode: mode.cycles for mode in GapMode}

    def begin(self, frames, exposure, *, gap, **_):
        self._frame = (EXPOSURE_TICKS + self._gaps[gap]) * CYCLE

    def watch(self, seconds, until):
        now, points = 0.0, []
        begins = self._random.uniform(0, 0.4, self._phases)
        while not points or points[-1].frames < until:
            frames = min(int(now / self._frame), until)
            now += self._random.uniform(0, 2e-5)
            if ((begins <= now) & (now < begins + PHASE)).any():
                now += self._random.uniform(0, 0.03)
            points.append(Point(now, frames))
            now += POLL
        return points

    def stop(self):
        pass


def outcome(host):
    try:
        return gap(host)
    except (Differs, NotTestable) as error:
        return error


def test_a_quiet_host_tells_the_gaps_apart():
    for seed in range(10):
        host = Host(seed, 0)
        assert outcome(host).startswith("cycles: ns25 ")
        assert clock_period(host).endswith("80.000 MHz said")


def test_another_gap_is_found():
    gaps = {mode: mode.cycles for mode in GapMode} | {GapMode.ns200: GapMode.ns500.cycles}
    with pytest.raises(Differs, match=r"ns200 (39|40)\.\d, ns500 (39|40)\.\d"):
        gap(Host(1, 0, gaps))


def test_a_busy_host_says_that_it_cannot_tell():
    outcomes = [outcome(Host(seed, 3)) for seed in range(60)]
    refused = [str(one) for one in outcomes if isinstance(one, NotTestable)]
    assert sum("not testable here: the host's timing scatters by " in one for one in refused) >= 25
    assert not [str(one) for one in outcomes if isinstance(one, Differs)]
