"""The content of frames: a pool of drawn spectra per channel, and which of them each frame shows.

Frame k of channel c is a function of the settings, the exposure and k alone, so that any process can say what a frame
must hold. Reading a block is one copy from the pool into the reader's memory.
"""

import threading
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from xsp3ioc.sdk.constants import BINS, SCALERS, Scaler
from xsp3ioc.sdk.emulator.faults import Faults
from xsp3ioc.sdk.emulator.hashing import hashed
from xsp3ioc.sdk.emulator.physics import draw, lose_packets, sources
from xsp3ioc.sdk.emulator.settings import EmulatorSettings

ENTRIES = 64
GOOD_THRESHOLD = 50
WINDOWS = ((0, BINS - 1), (0, BINS - 1))

_SHOWN_TOGETHER = 8
_FRAMES_PER_STEP = 4
_CHUNK = 4096  # frames whose pool rows are worked out at once
_POOLED, _TIMED, _DROPPED = 0, 1, 3  # first word of the random seeds

_expecting = threading.Lock()  # the pools of `expected_frames` are shared


class Regions(NamedTuple):
    """Where the scalers look: `threshold` int64 (channels,), `windows` int64 (channels, 2, 2) of inclusive limits."""

    threshold: NDArray[np.int64]
    windows: NDArray[np.int64]

    @classmethod
    def of(cls, channels: int, threshold: ArrayLike = GOOD_THRESHOLD, windows: ArrayLike = WINDOWS) -> "Regions":
        """Spread a threshold, () or (channels,), and windows, (2, 2) or (channels, 2, 2), over all channels."""
        return cls(
            np.array(np.broadcast_to(np.asarray(threshold, np.int64), (channels,))),
            np.array(np.broadcast_to(np.asarray(windows, np.int64), (channels, 2, 2))),
        )

    def count_in(self, channel: int, raw: NDArray[np.uint32], scalers: NDArray[np.uint32]) -> None:
        """Set AllGood and both InWindow in `scalers` (..., 9) from the spectra `raw` (..., 4096) of one channel."""
        scalers[..., Scaler.all_good] = raw[..., self.threshold[channel] :].sum(axis=-1)
        for scaler, (low, high) in zip((Scaler.window0, Scaler.window1), self.windows[channel], strict=True):
            scalers[..., scaler] = raw[..., low : high + 1].sum(axis=-1)


class FramePool:
    """The frames of one exposure: `channels` x 64 spectra with their scalers, each drawn when it is first shown."""

    def __init__(self, settings: EmulatorSettings, ticks: int, regions: Regions, bits: int = 12) -> None:
        self.ticks = ticks
        self.bits = bits
        self._settings = settings
        self._channels = settings.channels
        self._sources = sources(settings)
        self._regions = regions
        rows = self._channels * ENTRIES
        self._raw = np.zeros((rows, BINS), np.uint32)
        self._shown = self._raw if bits == 12 else np.zeros((rows, 1 << bits), np.uint32)
        self._scalers = np.zeros((rows, SCALERS), np.uint32)
        self._drawn = np.zeros(rows, bool)
        self._missing = rows
        self._chunks: dict[int, NDArray[np.intp]] = {}
        self._lock = threading.Lock()

    def set_regions(self, regions: Regions) -> None:
        """Count AllGood and InWindow anew, in all spectra."""
        with self._lock:
            self._regions = regions
            for channel in range(self._channels):
                rows = channel * ENTRIES + np.flatnonzero(self._drawn[channel * ENTRIES : (channel + 1) * ENTRIES])
                counted = self._scalers[rows]
                regions.count_in(channel, self._raw[rows], counted)
                self._scalers[rows] = counted

    def mca(self, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out` (frames, channels, bins) with the spectra from frame `first` on."""
        rows = self._rows(first, len(out))
        # Rows are in range by construction; any other mode than "clip" would copy through a buffer.
        self._shown.take(rows, axis=0, out=out.reshape(len(rows), -1), mode="clip")
        for frame, channel in self._dropped(first, len(out)):
            out[frame, channel] = rebin(self._half(first, frame, channel)[0], self.bits)

    def scalers(self, first: int, out: NDArray[np.uint32]) -> None:
        """Fill `out` (frames, channels, 9) with the scalers from frame `first` on."""
        rows = self._rows(first, len(out))
        self._scalers.take(rows, axis=0, out=out.reshape(len(rows), SCALERS), mode="clip")
        for frame, channel in self._dropped(first, len(out)):
            out[frame, channel] = self._half(first, frame, channel)[1]

    def _dropped(self, first: int, frames: int) -> list[list[int]]:
        """Pairs of frame, counted from `first`, and channel of which some packets were dropped."""
        picked = self._settings.faults.dropped_packets
        if picked is None:
            return []
        mask: list[list[int]] = np.argwhere(picked.mask(self._settings.seed, self._channels, first, frames)).tolist()
        return mask

    def _half(self, first: int, frame: int, channel: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        row = self._rows(first + frame, 1)[channel]
        return _half_lost(self._settings, self._regions, self._raw[row], self._scalers[row], first + frame, channel)

    def _rows(self, first: int, frames: int) -> NDArray[np.intp]:
        """Row of the pool for each frame and channel, drawn if need be: (frames * channels,)."""
        chunk, offset = divmod(first, _CHUNK)
        end = offset + frames
        if end <= _CHUNK:
            rows = self._chunk(chunk)[offset * self._channels : end * self._channels]
        else:
            pieces = [self._chunk(chunk + i) for i in range(-(-end // _CHUNK))]
            rows = np.concatenate(pieces)[offset * self._channels : end * self._channels]
        if self._missing:
            self._draw(rows)
        return rows

    def _chunk(self, chunk: int) -> NDArray[np.intp]:
        rows = self._chunks.get(chunk)
        if rows is None:
            if len(self._chunks) > 4:
                self._chunks = {}
            rows = entries(self._settings.seed, self._channels, chunk * _CHUNK, _CHUNK)
            rows += np.arange(self._channels) * ENTRIES
            rows = rows.ravel()
            self._chunks[chunk] = rows
        return rows

    def _draw(self, rows: NDArray[np.intp]) -> None:
        with self._lock:
            for row in sorted(set(rows[~self._drawn[rows]].tolist())):
                channel, entry = divmod(row, ENTRIES)
                rng = np.random.default_rng((_POOLED, self._settings.seed, self.ticks, channel, entry))
                raw, scalers = draw(self._sources[channel], self.ticks + late(self._settings, channel), rng)
                self._regions.count_in(channel, raw, scalers)
                self._raw[row] = raw
                self._scalers[row] = scalers
                if self.bits != 12:
                    self._shown[row] = rebin(raw, self.bits)
                self._drawn[row] = True
                self._missing -= 1


def late(settings: EmulatorSettings, channel: int) -> int:
    """Return by how many ticks a frame is longer on a channel's card than on card 0, whose veto it follows."""
    card = channel // settings.channels_per_card
    return 2 - card % 2 if card else 0


def entries(seed: int, channels: int, first: int, frames: int) -> NDArray[np.intp]:
    """Which pool entry each frame and channel shows, 0..63: (frames, channels).

    Frames near each other show few of the entries, which stay in the processor's cache; which few goes round.
    """
    chosen = hashed(seed, channels, first, frames) % np.uint64(_SHOWN_TOGETHER)
    around = np.arange(first, first + frames) // _FRAMES_PER_STEP
    return (chosen.astype(np.intp) + around[:, np.newaxis]) % ENTRIES


def _half_lost(
    settings: EmulatorSettings,
    regions: Regions,
    raw: NDArray[np.uint32],
    scalers: NDArray[np.uint32],
    frame: int,
    channel: int,
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return spectrum and scalers of a frame's channel of which half the packets were dropped."""
    rng = np.random.default_rng((_DROPPED, settings.seed, channel, frame))
    raw, scalers = lose_packets(raw, scalers, rng)
    regions.count_in(channel, raw, scalers)
    return raw, scalers


def rebin(raw: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    """Spectra (..., 4096) with the lowest 12 - bits bits of the energy dropped: (..., 2**bits)."""
    return raw.reshape(*raw.shape[:-1], 1 << bits, -1).sum(axis=-1, dtype=np.uint32)


def expected_frames(
    settings: EmulatorSettings,
    exposure_ticks: int,
    first: int,
    n: int,
    *,
    good_threshold: ArrayLike = GOOD_THRESHOLD,
    windows: ArrayLike = WINDOWS,
    bits: int = 12,
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return what frames first .. first+n-1 of a run with this exposure hold, in any process.

    Spectra uint32 (n, channels, 2**bits) and scalers uint32 (n, channels, 9). `good_threshold` is one bin or one per
    channel, `windows` are ((low, high), (low, high)), inclusive, or those per channel. For frames whose exposure is
    fixed beforehand; see `timed_frame` for the others. Of the faults, `dropped_packets` are in what they hold; a frame
    that is `missing` would have held this.
    """
    mca = np.empty((n, settings.channels, 1 << bits), np.uint32)
    scalers = np.empty((n, settings.channels, SCALERS), np.uint32)
    with _expecting:
        pool = _pool(_content(settings), exposure_ticks, bits)
        pool.set_regions(Regions.of(settings.channels, good_threshold, windows))
        pool.mca(first, mca)
        pool.scalers(first, scalers)
    return mca, scalers


def _content(settings: EmulatorSettings) -> bytes:
    """Write down the settings without the faults that do not change what a frame holds."""
    faults = Faults(dropped_packets=settings.faults.dropped_packets)
    return msgspec.json.encode(msgspec.structs.replace(settings, faults=faults))


@lru_cache(maxsize=4)
def _pool(settings: bytes, ticks: int, bits: int) -> FramePool:
    decoded = msgspec.json.decode(settings, type=EmulatorSettings)
    return FramePool(decoded, ticks, Regions.of(decoded.channels), bits)


def timed_frame(
    settings: EmulatorSettings,
    ticks: int,
    frame: int,
    *,
    good_threshold: ArrayLike = GOOD_THRESHOLD,
    windows: ArrayLike = WINDOWS,
    bits: int = 12,
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return what one frame holds whose exposure was not fixed beforehand: software-timed, or cut short by a stop.

    `ticks` is what it lasted on card 0. Spectra uint32 (channels, 2**bits) and scalers uint32 (channels, 9).
    """
    regions = Regions.of(settings.channels, good_threshold, windows)
    dropped = settings.faults.dropped_packets
    raw = np.empty((settings.channels, BINS), np.uint32)
    scalers = np.empty((settings.channels, SCALERS), np.uint32)
    for channel, source in enumerate(sources(settings)):
        rng = np.random.default_rng((_TIMED, settings.seed, ticks, channel, frame))
        raw[channel], scalers[channel] = draw(source, ticks + late(settings, channel), rng)
        regions.count_in(channel, raw[channel], scalers[channel])
        if dropped is not None and dropped.mask(settings.seed, settings.channels, frame, 1)[0, channel]:
            raw[channel], scalers[channel] = _half_lost(
                settings, regions, raw[channel], scalers[channel], frame, channel
            )
    return rebin(raw, bits), scalers
