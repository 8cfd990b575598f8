"""The master of a capture in parts, made anew of the parts that are there: after a crash it does not show them all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py

from xsp3ioc.receivers.facts import write_end_time
from xsp3ioc.receivers.holders import writer_of
from xsp3ioc.receivers.layout import DETECTOR, END_TIME
from xsp3ioc.receivers.master import Part, Template, is_master, put
from xsp3ioc.receivers.opening import FAILURES, text
from xsp3ioc.receivers.rows_left import frames_before
from xsp3ioc.receivers.salvage import BusyError, Finding, Tell, check_room, examine, note, salvage
from xsp3ioc.receivers.superblock import Mended, NotHdf5Error
from xsp3ioc.receivers.survey import NothingLeftError, NotOursError, per_frame
from xsp3ioc.stream.messages import part_name

UNEXPECTED = (*FAILURES, NotHdf5Error, NotOursError)
"""What a file answers that is no part."""


@dataclass
class PartFound:
    """A part of the capture."""

    shown: Part
    """As the master shows it, or will; `name` and `rows` change when it is salvaged."""
    there: bool = True
    """If not, its frames have a place and are missing."""
    finding: Finding | None = None
    """What is to be done to it; None: nothing."""


@dataclass
class MasterFinding:
    """What a master shows, and what it could."""

    path: Path
    parts: list[PartFound] = field(default_factory=list)
    """In the order of their frames."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Files with the names of parts that cannot be shown -> why."""
    end_time: str = ""
    """When the capture was closed; empty if it never was."""
    done: list[str] = field(default_factory=list)
    """What is to be done, or was, in words."""

    @property
    def well(self) -> bool:
        """Nothing is to be done."""
        return not self.done

    @property
    def frames(self) -> int:
        """Places of frames in all parts."""
        return sum(part.shown.frames for part in self.parts)

    @property
    def gone(self) -> list[str]:
        """Parts that are not there."""
        return [part.shown.name for part in self.parts if not part.there]


def shows_parts(path: Path) -> bool:
    """Whether `path` is a master, or is damaged or not there and has parts beside it."""
    try:
        with _readable(path) as file:
            return is_master(file)
    except UNEXPECTED:
        return bool(_beside(path))


def examine_parts(path: Path, tell: Tell = lambda what, done, of: None) -> MasterFinding:
    """Look at the master at `path` and at its parts, and change nothing.

    A part that was closed properly is believed; others are read from end to end. Errors as `examine` has them:
    BusyError also for a part that is being written, NothingLeftError if no part is there.
    """
    found = MasterFinding(path)
    files = _files(path)
    before, template = _shown_before(path, found)
    latest = 0.0
    known = {part.name for part in before}
    others = [] if found.end_time else [name for name in _beside(path) if name not in known]
    for old in before:
        file = path.with_name(old.name)
        if not file.is_file():
            found.parts.append(PartFound(old, there=False))
            continue
        try:
            part, latest = _look(file, template, latest, tell)
        except (NothingLeftError, NotOursError) as error:
            found.left_out[old.name] = f"its frames cannot be read: {error}"
            found.parts.append(PartFound(old, there=False))
            continue
        if part.shown != old or part.finding:
            found.done.append(f"show {old.name} as it is: {part.shown.frames} frames")
        found.parts.append(part)
    for name in others:
        try:
            _add(found, path.with_name(name), template, latest, tell)
        except (NothingLeftError, NotOursError) as error:
            found.left_out[name] = str(error)
            continue
        latest = _times(path.with_name(name))[1] or latest
    if _files(path) != files:
        raise BusyError("is not complete: its parts are still being written, one after the other")
    if not any(part.there for part in found.parts):
        raise NothingLeftError("none of its parts is there, or has a frame")
    if not found.end_time:
        found.done.append("write the end of the last part as end_time")
    return found


def salvage_parts(
    found: MasterFinding, target: Path, copy: Callable[[Path], Path] | None, author: str,
    tell: Tell = lambda what, done, of: None,
) -> None:
    """Make the master `target`, beside its parts, as `found` says; first salvage the parts that need it.

    `copy` names the copy of a part that is salvaged; None: in place, and the master is replaced. Errors as `salvage`.
    """
    if target.parent.resolve() != found.path.parent.resolve():
        raise OSError(errno.EXDEV, f"a master has to lie beside its parts, in {found.path.parent}", str(target))
    if copy is not None and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "exists already", str(target))
    check_room(target.parent)
    made: list[Path] = []
    try:
        for part in found.parts:
            if part.finding is not None:
                file = part.finding.path if copy is None else copy(part.finding.path)
                salvage(part.finding, file, author, tell)
                if copy is not None:
                    made.append(file)
                part.shown = replace(part.shown, name=file.name)
        template = _template(found)
        _count_rows(found, template)
        content = template.master([part.shown for part in found.parts], lambda file: _finish(file, found, author))
        put(content, str(target), copy is None)
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise


def _shown_before(path: Path, found: MasterFinding) -> tuple[list[Part], Template | None]:
    """Return what the master shows now, if it can be read; its template if it shows anything."""
    try:
        content = path.read_bytes()
        template = Template(content)
        parts = template.parts()
        with h5py.File(path, "r", locking="best-effort") as file:
            found.end_time = text(file.get(END_TIME))
    except FAILURES:
        found.done.append("make the master anew, as it is not there" if not path.exists() else
                          "make the master anew, as it is damaged")  # fmt: skip
        return [], None
    return parts, template if parts else None


def _add(found: MasterFinding, file: Path, template: Template | None, latest: float, tell: Tell) -> None:
    """Add a part that the master does not show, if its frames come next; NothingLeftError says why they do not."""
    part, _ = _look(file, template, 0.0, tell)
    with _readable(file) as opened:
        number = frames_before(opened[DETECTOR])
    began = _times(file)[0]
    if number < found.frames:
        raise NothingLeftError(f"its frames are others: it begins with frame {number}, and not with {found.frames}")
    if began and began < latest:
        raise NothingLeftError("its frames are older than those before: it is a part of another capture")
    if number > found.frames:
        # A part in between is gone, of which the master says nothing.
        name = _missing_name(found, file)
        found.parts.append(PartFound(Part(name, number - found.frames), there=False))
        found.done.append(f"keep a place for {found.parts[-1].shown.frames} frames of {name}, which is not there")
    found.parts.append(part)
    found.done.append(f"show {file.name}: {part.shown.frames} frames")


def _look(file: Path, template: Template | None, latest: float, tell: Tell) -> tuple[PartFound, float]:
    """Return what a part has, and the time of its last frame or `latest`."""
    with open(file, "rb") as raw:
        if writer := writer_of(raw):
            raise BusyError(f"is not complete: its part {file.name} is still being written: {writer}")
    with contextlib.suppress(*FAILURES):
        with h5py.File(file, "r", locking="best-effort") as opened:
            lengths = {len(dataset) for dataset in per_frame(opened).values()}
            if len(lengths) == 1 and lengths != {0} and text(opened.get(END_TIME)):
                (frames,) = lengths
                rows = (template or Template.of(opened)).rows(opened, frames)
                return PartFound(Part(file.name, frames, rows)), _times(file)[1] or latest
    finding = examine(file, lambda what, done, of: tell(f"{what} {file.name}", done, of))
    if not finding.survey.frames:
        raise NothingLeftError("it has no frames")
    part = Part(file.name, finding.survey.frames)
    return PartFound(part, finding=None if finding.well else finding), finding.survey.last_time or latest


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[h5py.File]:
    """Open a file as it would be when mended."""
    with open(path, "rb") as raw, h5py.File(Mended(raw), "r") as file:
        yield file


def _times(path: Path) -> tuple[float, float]:
    """Return when a part's first and last frames were taken, s since 1970; 0: not known."""
    try:
        with _readable(path) as file:
            times = file[f"{DETECTOR}/time_stamp"][()]
    except UNEXPECTED:
        return 0.0, 0.0
    known = times[times > 0]
    return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)


def _missing_name(found: MasterFinding, file: Path) -> str:
    """Return the name of the part that should be before `file`: one that no file has, if there is one."""
    taken = {part.shown.name for part in found.parts}
    last = _number(file.name, found.path)
    names = [os.path.basename(part_name(found.path.name, number)) for number in range(1, last)]
    free = [name for name in names if name not in taken and not file.with_name(name).exists()]
    return free[-1] if free else f"{file.stem}_before{file.suffix}"


def _template(found: MasterFinding) -> Template:
    """Return the old master's tree if it shows anything, or that of the first part."""
    with contextlib.suppress(*FAILURES):
        template = Template(found.path.read_bytes())
        if template.parts():
            return template
    first = next(part for part in found.parts if part.there)
    with h5py.File(found.path.with_name(first.shown.name), "r", locking="best-effort") as file:
        return Template.of(file)


def _count_rows(found: MasterFinding, template: Template) -> None:
    """Take note which datasets of the parts have not a row for each frame."""
    for part in found.parts:
        if not part.there and not part.shown.rows:
            # Nobody knows how many series there were.
            part.shown = replace(part.shown, rows={path: 0 for path in template.datasets if "/series/" in path})
        elif part.there:
            with h5py.File(found.path.with_name(part.shown.name), "r", locking="best-effort") as file:
                part.shown = replace(part.shown, rows=template.rows(file, part.shown.frames))


def _finish(file: h5py.File, found: MasterFinding, author: str) -> None:
    """Write what a master has at its end, and what was done."""
    if not found.end_time:
        last = [part for part in found.parts if part.there][-1]
        with h5py.File(found.path.with_name(last.shown.name), "r", locking="best-effort") as part:
            write_end_time(file, text(part.get(END_TIME)))
    note(file, found.path.name, found.done, found.frames, author)


def _beside(path: Path) -> list[str]:
    """Return the files beside `path` that have the names of its parts, by their numbers."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return []
    return sorted((name for name in names if _number(name, path)), key=lambda name: _number(name, path))


def _files(path: Path) -> dict[str, tuple[int, int, int]]:
    """Return what the master and the files with the names of its parts are, so that a change can be told."""
    found = {}
    for name in (path.name, *_beside(path)):
        with contextlib.suppress(OSError):
            status = path.with_name(name).stat()
            found[name] = status.st_ino, status.st_size, status.st_mtime_ns
    return found


def _number(name: str, path: Path) -> int:
    """Return the number in the name of a part of `path`; 0 if it has not such a name."""
    found = re.fullmatch(rf"{re.escape(path.stem)}_part(\d{{4,}}){re.escape(path.suffix)}", name)
    return int(found[1]) if found else 0
