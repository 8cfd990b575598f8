"""Where the events of a raw spectrum go in the memory.

The emulator draws spectra of 4096 raw bins. What a format makes of them is worked out from the spectrum and its scalers
alone: every event goes to one place, so that the rows of a channel add up to its spectrum without them, exactly.
"""

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import BINS, Scaler
from xsp3ioc.sdk.emulator.layout import (
    GRADES,
    TICKS_PER_GRADE,
    ChannelFormat,
    edges,
)
from xsp3ioc.sdk.options import Aux1Mode

Counts = NDArray[np.int64]


def lay_out(form: ChannelFormat, raw: NDArray[np.uint32], scalers: NDArray[np.uint32], first: int, rows: int) -> Counts:
    """Return rows first..first+rows-1 of frames with spectra `raw` (frames, 4096) and scalers (frames, 9).

    int64 (frames, rows, bins).
    """
    kept = _kept(form, seen(form, raw), scalers)
    wanted = range(first, first + rows)
    aux1 = _aux1(form, kept, scalers, {row % form.aux1_rows for row in wanted})
    found = [_every_nth(aux1[row % form.aux1_rows], form.aux2_rows, row // form.aux1_rows) for row in wanted]
    return _binned(form, np.stack(found, axis=1))


def recounted(
    form: ChannelFormat,
    raw: NDArray[np.uint32],
    scalers: NDArray[np.uint32],
    threshold: int,
    windows: NDArray[np.int64],
) -> NDArray[np.uint32]:
    """Return the scalers (frames, 9) with AllGood and the windows (2, 2) counted among the events that they see."""
    result = scalers.copy()
    spectra = seen(form, raw)
    result[:, Scaler.all_good] = spectra[:, threshold:].sum(axis=1)
    if form.rejects_pileup:
        spectra = spectra - _piled_up(spectra, scalers)
    for scaler, (low, high) in zip((Scaler.window0, Scaler.window1), windows, strict=True):
        result[:, scaler] = spectra[:, low : high + 1].sum(axis=1)
    return result


def sub_frame_scalers(
    form: ChannelFormat,
    raw: NDArray[np.uint32],
    scalers: NDArray[np.uint32],
    threshold: int,
    windows: NDArray[np.int64],
) -> NDArray[np.uint32]:
    """Return the scalers of every sub-frame, uint32 (frames, sub-frames, 9), which add up to those of the frame."""
    if not form.sub_frames:
        return recounted(form, raw, scalers, threshold, windows)[:, np.newaxis]
    edges = _sub_frame_edges(form, scalers).astype(np.uint64)
    ticks = np.maximum(edges[:, -1:], 1)
    share = edges[..., np.newaxis] * scalers[:, np.newaxis, :].astype(np.uint64) // ticks[..., np.newaxis]
    share[:, -1] = scalers
    result = np.diff(share, axis=1).astype(np.uint32)
    whole = seen(form, raw)
    parts = set(range(form.sub_frames))
    good = within = _aux1(form, whole, scalers, parts)
    if form.rejects_pileup:
        within = _aux1(form, whole - _piled_up(whole, scalers), scalers, parts)
    for part in parts:
        result[:, part, Scaler.all_good] = good[part][:, threshold:].sum(axis=1)
        for scaler, (low, high) in zip((Scaler.window0, Scaler.window1), windows, strict=True):
            result[:, part, scaler] = within[part][:, low : high + 1].sum(axis=1)
    return result


def seen(form: ChannelFormat, raw: NDArray[np.uint32]) -> Counts:
    """Spectra with the channel's energy gain applied: int64 (frames, 4096); what goes beyond the last bin is lost."""
    counts = raw.astype(np.int64)
    if form.gain == 1:
        return counts
    running = _running(counts)
    place = np.minimum(np.arange(BINS + 1) / form.gain, BINS)
    below = np.minimum(place.astype(np.intp), BINS - 1)
    between = running[:, below] + np.floor((place - below) * counts[:, below]).astype(np.int64)
    return np.diff(between, axis=1)


def _kept(form: ChannelFormat, counts: Counts, scalers: NDArray[np.uint32]) -> Counts:
    if form.rejects_pileup:
        counts = counts - _piled_up(counts, scalers)
    if form.aux1_mode == Aux1Mode.good_grade:
        bad = min(-(-form.aux1_threshold // TICKS_PER_GRADE), GRADES - 1)
        counts = counts - _thinned(counts, 1 - (1 - _share_per_grade(scalers)) ** bad)
    return counts


def _aux1(form: ChannelFormat, counts: Counts, scalers: NDArray[np.uint32], wanted: set[int]) -> dict[int, Counts]:
    """Return the wanted rows of auxiliary data 1, or the wanted sub-frames."""
    if form.aux1_rows == 1:
        return {0: counts}
    if form.aux1_mode in (Aux1Mode.charge_sharing, Aux1Mode.charge_sharing_encoded):  # the elements share none
        return {row: counts if row == 0 else np.zeros_like(counts) for row in wanted}
    if form.aux1_mode == Aux1Mode.pileup and not form.sub_frames:
        piled = np.zeros_like(counts) if form.rejects_pileup else _piled_up(counts, scalers)
        return {0: counts - piled, 1: piled}
    shares = _sub_frame_shares(form, scalers) if form.sub_frames else _grade_shares(scalers)
    found = {}
    for row in range(max(wanted) + 1):
        part = counts if row == form.aux1_rows - 1 else _thinned(counts, shares[:, row])
        counts = counts - part
        if row in wanted:
            found[row] = part
    return found


def _share_per_grade(scalers: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Probability that the nearest other event is less than 8 ticks further off: float64 (frames,)."""
    rate = scalers[:, Scaler.all_event] / np.maximum(scalers[:, Scaler.total_ticks], 1)
    share: NDArray[np.float64] = -np.expm1(-2.0 * rate * TICKS_PER_GRADE)
    return share


def _grade_shares(scalers: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Of the events that are not in rows before, the share in each row: float64 (frames, rows)."""
    return np.repeat(_share_per_grade(scalers)[:, np.newaxis], GRADES, axis=1)


def _sub_frame_edges(form: ChannelFormat, scalers: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Ticks at which each sub-frame begins, and the last ends: int64 (frames, sub-frames + 1)."""
    ticks = scalers[:, Scaler.total_ticks, np.newaxis].astype(np.int64)
    edges = np.minimum(np.arange(form.sub_frames + 1) * form.ticks_per_sub_frame, ticks)
    edges[:, -1:] = ticks  # the last one holds what comes later
    return edges


def _sub_frame_shares(form: ChannelFormat, scalers: NDArray[np.uint32]) -> NDArray[np.float64]:
    edges = _sub_frame_edges(form, scalers)
    remaining = edges[:, -1:] - edges[:, :-1]
    return np.diff(edges, axis=1) / np.maximum(remaining, 1)


def _piled_up(counts: Counts, scalers: NDArray[np.uint32]) -> Counts:
    """Choose the events that are pile-up, as many as the scaler says: most where two of the others add up."""
    total = counts.sum(axis=1)
    number = np.minimum(scalers[:, Scaler.pileup].astype(np.int64), total)
    spectrum = np.fft.rfft(counts, 2 * BINS, axis=1)
    double = np.rint(np.fft.irfft(spectrum * spectrum, 2 * BINS, axis=1)[:, :BINS]) * (counts > 0)
    running = np.cumsum(double, axis=1)
    running *= (number / np.maximum(running[:, -1], 1))[:, np.newaxis]
    taken: Counts = np.minimum(np.diff(np.floor(running).astype(np.int64), axis=1, prepend=0), counts)
    left, missing = counts - taken, number - taken.sum(axis=1)
    running_left = np.cumsum(left, axis=1)
    running_more: Counts = running_left * missing[:, np.newaxis] // np.maximum(running_left[:, -1:], 1)
    taken += np.diff(running_more, axis=1, prepend=0)
    return taken


def _thinned(counts: Counts, share: NDArray[np.float64]) -> Counts:
    """Return a share (frames,) of the events, evenly over the spectrum."""
    chosen: Counts = np.floor(_running(counts) * share[:, np.newaxis]).astype(np.int64)
    return chosen[:, 1:] - chosen[:, :-1]


def _every_nth(counts: Counts, n: int, which: int) -> Counts:
    """Every n-th event in the order of energy, from number `which` on."""
    return counts if n == 1 else np.diff((_running(counts) + (n - 1 - which)) // n, axis=1)


def _running(counts: Counts) -> Counts:
    """Return the counts below each bin, and altogether: (frames, 4097)."""
    return np.concatenate([np.zeros_like(counts[:, :1]), np.cumsum(counts, axis=1)], axis=1)


def _binned(form: ChannelFormat, counts: Counts) -> Counts:
    """Bring (frames, rows, 4096) into the format's bins."""
    if not form.regions:
        return counts.reshape(*counts.shape[:-1], form.bins, -1).sum(axis=-1)
    running = np.concatenate([np.zeros_like(counts[..., :1]), np.cumsum(counts, axis=-1)], axis=-1)
    regions = np.concatenate([np.diff(running[..., edges(region)], axis=-1) for region in form.regions], axis=-1)
    result = np.zeros((*counts.shape[:-1], form.bins), np.int64)
    used = min(regions.shape[-1], form.bins - 1)  # a format of less bits may have followed the regions
    result[..., :used] = regions[..., :used]
    result[..., -1] = running[..., -1] - result.sum(axis=-1)
    return result
