"""Tests of the library's own dead-time correction.

Each takes a `Bench`, returns what was found as it should be, and raises `Differs`, `NotTestable` or `Inconclusive`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.hardware_bench import Bench, Differs, NotTestable
from xsp3ioc.hardware_runs import EXPOSURE
from xsp3ioc.sdk import SCALERS, DeadtimeFlag, DeadtimeParameters, Scaler
from xsp3ioc.sdk.deadtime import Correction, correct

_ENERGY = 12.0
_TEST_PARAMETERS = DeadtimeParameters(
    DeadtimeFlag(0), 200e-9, 2e-9, 0.0, 0.0, 120e-9, 1e-9, 0.0, 0.0
)  # fmt: skip
_CLOSE = 1e-6


def live_ticks(bench: Bench) -> str:
    """Check that live time is made of scaler 0, not 8: the library works on made-up scalers, with known parameters."""
    _synthetic_factors(bench)
    factors, inputs = bench["synthetic"]
    expected, other = _expected(bench, Scaler.ticks), _expected(bench, Scaler.total_ticks)
    text = f"factor {factors[0]:.6f}, input {inputs[0]:.1f}"
    if np.allclose(factors, expected.factors[0], rtol=_CLOSE) or np.allclose(inputs, expected.inputs[0], rtol=_CLOSE):
        return text
    if np.allclose(factors, other.factors[0], rtol=_CLOSE):
        raise Differs(f"{text}: live time is made of scaler 8")
    raise Differs(f"{text}; expected {expected.factors[0, 0]:.6f}, {expected.inputs[0, 0]:.1f}")


def factor_composition(bench: Bench) -> str:
    """Check that the factor is ticks/(ticks - resetTicks) * exp(2 * Tp_win * rate_in)."""
    return _same("factor", bench["synthetic"][0], _expected(bench, Scaler.ticks).factors[0])


def input_composition(bench: Bench) -> str:
    """Check that the estimated input counts are the input rate times the exposure."""
    return _same("input", bench["synthetic"][1], _expected(bench, Scaler.ticks).inputs[0])


def _same(what: str, found: NDArray[np.float64], expected: NDArray[np.float64]) -> str:
    text = f"{what} {found[0]:.6f}"
    if not np.allclose(found, expected, rtol=_CLOSE):
        raise Differs(f"{text}; expected {expected[0]:.6f}")
    return text


def _scalers(bench: Bench) -> NDArray[np.uint32]:
    one = np.zeros(SCALERS, np.uint32)
    one[[Scaler.ticks, Scaler.reset_ticks, Scaler.resets]] = 8_000_000, 400_000, 100
    one[[Scaler.all_event, Scaler.all_good, Scaler.total_ticks]] = 50_000, 45_000, 10_000_000
    return np.tile(one, (1, bench.handle.channels, 1))


def _expected(bench: Bench, ticks: Scaler) -> Correction:
    scalers = _scalers(bench)
    scalers[..., Scaler.ticks] = scalers[..., ticks]
    return correct(scalers, [_TEST_PARAMETERS] * bench.handle.channels, _ENERGY, bench.period)


def _synthetic_factors(bench: Bench) -> None:
    """Let the library work on made-up scalers; its parameters are put back."""
    handle = bench.handle
    before = [handle.dead_time_parameters(channel) for channel in range(handle.channels)]
    energy = handle.dead_time_energy
    try:
        handle.set_dead_time_parameters(-1, _TEST_PARAMETERS)
        handle.dead_time_energy = _ENERGY
        factors, inputs = handle.dead_time_factors(_scalers(bench))
        bench.kept["synthetic"] = (factors[0], inputs[0])
    finally:
        for channel, parameters in enumerate(before):
            handle.set_dead_time_parameters(channel, parameters)
        handle.dead_time_energy = energy


def corrected_spectra(bench: Bench) -> str:
    """Check that corrected spectra are spectra times the frame's factor."""
    handle = bench.handle
    bench.begin(2, EXPOSURE)
    bench.wait(2, 2 * EXPOSURE)
    bench.stop()
    frames, corrected = bench.read(0, 2), np.zeros((2, handle.channels, handle.bins))
    factors, _ = handle.dead_time_factors(frames.scalers)
    with bench.whole():
        handle.read_corrected(0, corrected)
    if not frames.mca.any():
        raise NotTestable("no counts")
    if not np.allclose(corrected, frames.mca * factors[..., np.newaxis], rtol=_CLOSE):
        ratio = corrected.sum(axis=-1) / np.maximum(frames.mca.sum(axis=-1), 1)
        raise Differs(f"sums are {ratio[0].tolist()} times the raw ones, factors are {factors[0].tolist()}")
    return f"factors {factors.min():.6f}..{factors.max():.6f}"
