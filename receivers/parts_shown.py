"""What a file that is read says of parts: those whose frames it shows, or which part of a capture it is itself."""

from __future__ import annotations

import errno
import os
import re
import resource
from dataclasses import dataclass

import h5py

from xsp3ioc.receivers.findings import ERROR, Check
from xsp3ioc.receivers.holders import writer_of
from xsp3ioc.receivers.master import parts_beside, parts_of

OTHERS = 64
"""Files that a program has open besides parts."""
_PART = re.compile(r"(.+)_part0*(\d+)(\.[^.]*)?")


@dataclass(frozen=True)
class ShownPart:
    """A file whose frames a master shows; counted from 0, as they stand in the master."""

    name: str
    first: int
    frames: int
    there: bool

    def __str__(self) -> str:
        return f"{self.name} (frames {self.first}..{self.first + self.frames - 1})"


def parts_shown(file: h5py.File, path: str) -> list[ShownPart]:
    """Return the parts that an open master shows, none of any other file; so many files may be open from then on.

    ValueError if one lies elsewhere; OSError if so many may not be open: HDF5 would show zeros, and say nothing.
    """
    found, first = [], 0
    for part in parts_of(file):
        there = os.path.isfile(os.path.join(os.path.dirname(path), part.name))
        found.append(ShownPart(part.name, first, part.frames, there))
        first += part.frames
    _allow(len(found) + OTHERS)
    return found


def _allow(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY in (soft, max(soft, files)):
        return
    if hard != resource.RLIM_INFINITY and hard < files:
        reason = f"it shows {files - OTHERS} parts, and only {hard} files may be open at once: raise ulimit -n"
        raise OSError(errno.EMFILE, reason)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, files), hard))


def size_of(path: str, parts: list[ShownPart]) -> int:
    """Return the bytes of a file, and of the parts that it shows."""
    directory = os.path.dirname(path)
    names = [os.path.join(directory, part.name) for part in parts if part.there]
    return sum(os.stat(name).st_size for name in (path, *names))


def writer_of_parts(path: str) -> str:
    """Say who writes the last part of the master at `path`; empty if nobody does."""
    for name in parts_beside(path)[-1:]:
        with open(name, "rb") as file:
            return writer_of(file)
    return ""


def in_words(path: str, parts: list[ShownPart], number: int, frames: int) -> str:
    """Say which parts it shows, or which part it is by its name; `number` is that of its first of `frames` frames."""
    if parts:
        return f"a master of {len(parts)} {'part' if len(parts) == 1 else 'parts'}"
    named = _PART.fullmatch(os.path.basename(path))
    if named:
        where = f"part {named[2]} of {named[1]}{named[3] or ''}"
    elif number:
        where = "a part of a capture"
    else:
        return ""
    return f"{where}: frames {number:,}..{number + frames - 1:,} of the capture" if frames else where


def parts_check(words: str, parts: list[ShownPart]) -> Check:
    """Return whether all parts of a master are there."""
    found = Check("parts", "all parts are beside the master")
    gone = [part for part in parts if not part.there]
    found.done = words + (", all there" if parts and not gone else "")
    for part in gone:
        found.find(ERROR, f"{part} is not there: it reads as zeros, and all else that is said of it follows from that")
    return found
