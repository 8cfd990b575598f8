"""What is really there of a file that may be damaged: which frames, in which series, and what of them is unreadable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import h5py
import numpy as np
from numpy.typing import NDArray

from xsp3ioc.receivers.layout import ATTRIBUTES, DETECTOR, END_TIME, LINKS, SERIES
from xsp3ioc.receivers.opening import FAILURES, decoded
from xsp3ioc.receivers.rows_left import SeriesFound, Span, chunks_of, last_written, series_left
from xsp3ioc.stream.messages import FrameStatus

NEEDED = ("data", "frame_status", "frame_number", "series_index", "frame_in_series")
"""Without these nothing can be said of a frame."""

Tell = Callable[[int, int], None]
"""Takes how much of how much is done."""


class NotOursError(ValueError):
    """It is an HDF5 file that this project has not written."""


class NothingLeftError(ValueError):
    """No frame can be read; the message says why."""


@dataclass
class Survey:
    """What a file holds."""

    frames: int = 0
    """Frames that can be kept: each is there in all datasets."""
    extent: int = 0
    """Length of the longest dataset per frame."""
    equal: bool = True
    """All datasets per frame have the same length."""
    limited_by: str = ""
    """The dataset that has fewest frames, where they differ."""
    damaged: dict[str, list[Span]] = field(default_factory=dict)
    """Spans of kept frames that cannot be read, by dataset."""
    lost: list[str] = field(default_factory=list)
    """Datasets per frame of which nothing can be read."""
    broken: bool = False
    """An index of chunks is damaged: the file cannot be mended where it is."""
    series: list[SeriesFound] = field(default_factory=list)
    first_series: int = 0
    """Number of the series in the first row of the table: not 0 in a part of a capture."""
    asked: int = 0
    """Frames per series that were asked for; 0: not known."""
    last_time: float = 0.0
    """End of the last frame that has a time, s since 1970; 0: not known."""
    end_time: str = ""
    """When the file was closed; empty if it never was."""

    @property
    def whole(self) -> bool:
        """Nothing is to be done to the datasets."""
        return self.equal and not self.damaged and not self.lost and not self.broken and bool(self.end_time)


def per_frame(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Return the datasets that have a row per frame, by path; not those that only show others.

    NotOursError if the detector's group is not there.
    """
    try:
        if "frame_status" not in file[DETECTOR] or "data" not in file[DETECTOR]:
            raise NotOursError("is an HDF5 file, but none that xsp3ioc has written")
    except KeyError:
        raise NotOursError("is an HDF5 file, but none that xsp3ioc has written") from None
    found = dict(_found(file, ""))
    if not {f"{DETECTOR}/{name}" for name in NEEDED} <= found.keys():
        raise NotOursError("has no frames of its own: it shows those of other files, which can be salvaged one by one")
    return found


def _found(group: h5py.Group, path: str) -> Iterator[tuple[str, h5py.Dataset]]:
    # Not by `visititems`: that looks at each dataset's index of chunks, which may be damaged.
    for key in group:
        name = f"{path}/{key}"
        # A table of the series has a row for each of them.
        if name in (*LINKS, SERIES) or not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue
        thing = group[key]
        if isinstance(thing, h5py.Group):
            yield from _found(thing, name)
        elif thing.chunks and thing.maxshape[0] is None and not thing.is_virtual:
            yield name, thing


def survey(file: h5py.File, size: int, tell: Tell = lambda done, of: None) -> Survey:
    """Read all of `file`, of which the first `size` bytes are there, and say what can be kept.

    NotOursError and NothingLeftError as the classes say.
    """
    try:
        datasets = per_frame(file)
    except FAILURES as error:
        if isinstance(error, NotOursError):
            raise
        raise NothingLeftError(f"its structure cannot be read: {_short(error)}") from None
    found = Survey(extent=max(len(dataset) for dataset in datasets.values()))
    found.equal = len({len(dataset) for dataset in datasets.values()}) == 1
    steps = sum(-(-len(dataset) // dataset.chunks[0]) for dataset in datasets.values())
    done = 0
    bad: dict[str, list[Span]] = {}
    limits: dict[str, int] = {}
    status = _status(datasets, size)
    spectra = spectra_of(datasets)
    for name, dataset in datasets.items():
        spans = []
        for span in chunks_of(dataset):
            try:
                stored = _stored(dataset, span, size)
            except FAILURES:
                stored, found.broken = False, True
            if stored is None:
                # Never written: frames that are missing, and attributes that had no value.
                is_there = name.startswith(ATTRIBUTES) or (name in spectra and _missing(status, span))
            else:
                is_there = stored and _readable(dataset, span)
            if not is_there:
                spans.append(span)
            done += 1
            tell(done, steps)
        if spans and spans[0].first == 0 and len(spans) == -(-len(dataset) // dataset.chunks[0]):
            if name.rpartition("/")[2] in NEEDED:
                raise NothingLeftError(f"nothing of {name} can be read")
            found.lost.append(name)
            continue
        bad[name], limits[name] = spans, _end(spans, len(dataset))
    found.frames = min(limits.values())
    if len(set(limits.values())) > 1:
        found.limited_by = min(limits, key=lambda name: limits[name])
    while (fewer := min(_end(spans, found.frames) for spans in bad.values())) < found.frames:
        found.frames = fewer
    found.frames = last_written(file[DETECTOR], found.frames)
    for name, spans in bad.items():
        inside = [Span(span.first, min(span.last, found.frames - 1)) for span in spans if span.first < found.frames]
        if inside:
            found.damaged[name] = inside
    found.series, found.first_series, found.last_time = series_left(file[DETECTOR], found.frames)
    found.asked = _number(file, f"{DETECTOR}/config/parameters/frames")
    try:
        found.end_time = decoded(file[END_TIME][()])
    except (*FAILURES, AttributeError):
        found.end_time = ""
    return found


def spectra_of(datasets: dict[str, h5py.Dataset]) -> list[str]:
    """Return the names of those datasets per frame that are spectra."""
    return [name for name in datasets if name in (f"{DETECTOR}/data", f"{DETECTOR}/data_raw")]


def _status(datasets: dict[str, h5py.Dataset], size: int) -> NDArray[np.uint8]:
    """Return the status of every frame; those that cannot be read are not missing."""
    dataset = datasets[f"{DETECTOR}/frame_status"]
    status = np.zeros(len(dataset), np.uint8)
    for span in chunks_of(dataset):
        try:
            if _stored(dataset, span, size):
                status[span.first : span.last + 1] = dataset[span.first : span.last + 1]
        except FAILURES:
            continue
    return status


def _stored(dataset: h5py.Dataset, span: Span, size: int) -> bool | None:
    """Whether a chunk's bytes are in the file; None if it never was written. One of FAILURES: nobody knows."""
    info = dataset.id.get_chunk_info_by_coord((span.first,) + (0,) * (dataset.ndim - 1))
    if info.byte_offset is None:
        return None
    return bool(info.byte_offset + info.size <= size)


def _missing(status: NDArray[np.uint8], span: Span) -> bool:
    """Whether all frames of a span are marked as missing."""
    of = status[span.first : span.last + 1]
    return len(of) == span.last + 1 - span.first and bool((of == FrameStatus.missing).all())


def _readable(dataset: h5py.Dataset, span: Span) -> bool:
    try:
        dataset[span.first : span.last + 1]
    except FAILURES:
        return False
    return True


def _end(spans: list[Span], length: int) -> int:
    """Return how many of `length` frames are left when unreadable ones at the end are dropped."""
    for span in reversed(spans):
        if span.first < length:
            if span.last < length - 1:
                break
            length = span.first
    return length


def _number(file: h5py.File, name: str) -> int:
    try:
        return int(file[name][()])
    except (*FAILURES, TypeError):
        return 0


def _short(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
