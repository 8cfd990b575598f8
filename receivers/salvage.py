"""Saving what a crash has left of a file: its marks cleared, its datasets cut to the frames that are there."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from xsp3ioc.receivers.facts import iso, write_end_time
from xsp3ioc.receivers.holders import writer_of
from xsp3ioc.receivers.layout import DETECTOR, SALVAGED, SERIES
from xsp3ioc.receivers.opening import FAILURES
from xsp3ioc.receivers.paths import hidden, keep, replace
from xsp3ioc.receivers.rebuild import rebuild
from xsp3ioc.receivers.series_table import RUNNING
from xsp3ioc.receivers.superblock import Mended, NotHdf5Error, mend
from xsp3ioc.receivers.survey import NothingLeftError, NotOursError, Survey, per_frame, spectra_of, survey
from xsp3ioc.stream.messages import FrameStatus

CRASHED = "crash"
"""Why a series ended that was not complete in the file, or had not ended."""
COPY_BYTES = 64 << 20
SPARE = 4 << 20
"""Bytes that must be free on the disk: HDF5 ends the process when it cannot write."""
ALL_FILTERS = 0xFFFFFFFF
"""A chunk with this mask has not been through any filter."""
NO_RANGES = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})
"""What answers where ranges cannot be copied."""

Tell = Callable[[str, int, int], None]
"""Takes what is being done, and how much of how much of it is."""


class BusyError(RuntimeError):
    """Somebody writes the file."""


@dataclass
class Finding:
    """What is wrong with a file, and what it holds."""

    path: Path
    survey: Survey
    marks: int
    """What the superblock says: open to write, SWMR."""
    cut: int
    """Bytes that should be there and are not."""
    beyond: int
    """Bytes that are there and were not said to be."""
    done: list[str] = field(default_factory=list)
    """What is to be done, or was, in words."""

    @property
    def well(self) -> bool:
        """Nothing is to be done."""
        return not self.marks and not self.cut and self.survey.whole


def examine(path: str | os.PathLike[str], tell: Tell = lambda what, done, of: None) -> Finding:
    """Read the file at `path` from end to end, as it would be when mended, and change nothing.

    BusyError if it is being written, NotOursError if it is not a file of ours, NothingLeftError if no frame can be
    read; OSError as the file system has it.
    """
    if os.path.isdir(path):
        raise NotOursError("is a directory: give a file in it")
    with open(path, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise NotOursError("is no regular file")
        if writer := writer_of(file):
            raise BusyError(f"is still being written: {writer}")
        return _examine(Path(path), file, tell)


def _examine(path: Path, file: BinaryIO, tell: Tell) -> Finding:
    try:
        mended = Mended(file)
    except NotHdf5Error as error:
        raise NotOursError(str(error)) from None
    try:
        opened = h5py.File(mended, "r")
    except FAILURES as error:
        raise NothingLeftError(f"HDF5 cannot open it: {str(error).partition(chr(10))[0]}") from None
    block = mended.superblock
    with opened:
        try:
            found = survey(opened, mended.size, lambda done, of: tell("Reading", done, of))
        except NotOursError as error:
            if block.end <= mended.size:
                raise
            cut = f"{block.end - mended.size:,} bytes of it are cut off"
            raise NothingLeftError(f"{cut}; what is left {error}") from None
    finding = Finding(
        path, found, block.marks, max(0, block.end - mended.size), max(0, mended.size - block.end) if block.marks else 0
    )
    if not found.frames and not finding.well:
        raise NothingLeftError("no frame of it is there")
    finding.done = _work(finding)
    return finding


def salvage(finding: Finding, target: Path, author: str, tell: Tell = lambda what, done, of: None) -> None:
    """Save what `finding` found, into a new file `target`, or in place if that is the file itself.

    `author` is the program that does it. FileExistsError if there is another file `target`; BusyError and OSError as
    `examine`. A file that cannot be finished is not left behind, but for one that is salvaged in place: that can be
    salvaged again.
    """
    in_place = target == finding.path
    if in_place:
        _check_writer(target)
    elif os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "exists already", str(target))
    check_room(target.parent)
    if in_place and not finding.survey.broken:
        mend(target)
        _finish(finding, target, author)
        return
    held = hidden(os.path.realpath(target))
    try:
        if finding.survey.broken:
            _rebuild(finding, held, tell)
        else:
            _copy(finding.path, held, tell)
            mend(held)
        _finish(finding, Path(held), author)
        if in_place:
            replace(str(target), held)
        else:
            keep(held, str(target), overwrite=False)
    except BaseException:
        Path(held).unlink(missing_ok=True)
        raise


def _check_writer(path: Path) -> None:
    with open(path, "rb") as file:
        if writer := writer_of(file):
            raise BusyError(f"is still being written: {writer}")


def check_room(directory: Path) -> None:
    """OSError if there is less free than HDF5 needs to write."""
    free = shutil.disk_usage(directory).free
    if free < SPARE:
        raise OSError(errno.ENOSPC, f"only {free} bytes are free there, {SPARE} are needed", str(directory))


def _rebuild(finding: Finding, target: str, tell: Tell) -> None:
    with open(finding.path, "rb") as file:
        mended = Mended(file)
        with h5py.File(mended, "r") as opened:
            swmr = mended.superblock.version > 0
            rebuild(opened, target, finding.survey, swmr, lambda done, of: tell("Copying", done, of))
    shutil.copymode(finding.path, target)


def _work(finding: Finding) -> list[str]:
    found, done = finding.survey, []
    if finding.marks:
        done.append("cleared the marks of a file that is open to write")
    if found.broken:
        done.append("made the file anew, as the index of a dataset is damaged")
    elif finding.cut:
        done.append(f"filled up {finding.cut:,} bytes that are cut off its end, with zeros")
    if not found.equal or found.extent > found.frames:
        done.append(f"cut all datasets to {found.frames:,} frames")
    done += [f"removed {name}, of which nothing can be read" for name in found.lost]
    for name, spans in found.damaged.items():
        done.append(f"marked frames {', '.join(map(str, spans))} as missing: {name} cannot be read there")
    if not found.end_time:
        done.append("wrote the end of the last frame as end_time" if found.last_time else "left end_time empty")
    return done


def _copy(source: Path, target: str, tell: Tell) -> None:
    size = source.stat().st_size
    done = 0
    with open(source, "rb") as old, open(target, "xb") as new:
        while done < size:
            copied = _copy_some(old.fileno(), new.fileno())
            if not copied:
                break
            done += copied
            tell("Copying", done, size)
    shutil.copymode(source, target)


def _copy_some(old: int, new: int) -> int:
    """Copy bytes between two files, each from where it stands; return how many."""
    try:
        # File systems that can do so copy nothing, and note that the bytes are shared.
        return os.copy_file_range(old, new, COPY_BYTES)
    except OSError as error:
        if error.errno not in NO_RANGES:
            raise
    data = os.read(old, COPY_BYTES)
    written = os.write(new, data)
    os.lseek(old, written - len(data), os.SEEK_CUR)  # what was not taken comes again
    return written


def _finish(finding: Finding, path: Path, author: str) -> None:
    """Cut the datasets of a file that HDF5 can open, and note what was done."""
    with h5py.File(path, "r+", locking="best-effort") as file:
        _cut(file, finding.survey)
        _note(file, finding, author)
        file.flush()
    with open(path, "rb") as saved:
        os.fsync(saved.fileno())


def _cut(file: h5py.File, found: Survey) -> None:
    """Give all datasets per frame the same length, and the frames that cannot be read the mark of missing ones."""
    for name in found.lost:
        if name in file:
            del file[name]
    datasets = per_frame(file)
    spectra = spectra_of(datasets)
    # Before they are cut: the chunk at the new end is read for that. A file made anew has no such chunks.
    for name, spans in ({} if found.broken else found.damaged).items():
        dataset = datasets[name]
        if dataset.dtype.hasobject:
            continue
        step = dataset.chunks[0]
        zeros = np.zeros(dataset.chunks, dataset.dtype).tobytes()
        for span in spans:
            for first in range(span.first, span.last + 1, step):
                origin = (first,) + (0,) * (dataset.ndim - 1)
                dataset.id.write_direct_chunk(origin, zeros, ALL_FILTERS if name in spectra else 0)
    for dataset in datasets.values():
        if len(dataset) != found.frames:
            dataset.resize(found.frames, axis=0)
    _correct_series(file, found)
    status = file[f"{DETECTOR}/frame_status"]
    for spans in found.damaged.values():
        for span in spans:
            status[span.first : span.last + 1] = FrameStatus.missing


def _correct_series(file: h5py.File, found: Survey) -> None:
    """Let the table of the series, if there is one, say what is left of each."""
    if SERIES not in file:
        return
    table = file[SERIES]
    left = {one.index - found.first_series: one for one in found.series}
    for row in range(len(table["frames"])):
        frames, missing = (left[row].frames, left[row].missing) if row in left else (0, 0)
        if frames != table["frames"][row] or table["end_reason"][row] == RUNNING.encode():
            table["end_reason"][row] = CRASHED.encode()
        table["frames"][row], table["acquired"][row] = frames, frames - missing


def _note(file: h5py.File, finding: Finding, author: str) -> None:
    found = finding.survey
    if not found.end_time and found.last_time:
        write_end_time(file, iso(found.last_time))
    note(file, finding.path.name, finding.done, found.frames, author)


def note(file: h5py.File, name: str, done: list[str], frames: int, author: str) -> None:
    """Let a file say that it was made of the file `name` by `author`, what was done, and how many frames it has."""
    number = 0
    place = SALVAGED
    while place in file:
        number += 1
        place = f"{SALVAGED}_{number}"
    group = file.create_group(place)
    group.attrs["NX_class"] = "NXnote"
    group["author"] = author
    group["date"] = iso()
    group["file_name"] = name
    group["description"] = "Salvaged after a crash: " + "; ".join(done)
    group["frames_kept"] = frames
