"""The master file of a capture in parts: the tree of one part, with all frames of all parts as virtual datasets.

It is made as a whole in memory and put in its place at once: a full disk, or a reader, finds the one before. What one
part shows of itself (`virtual`), the master shows of its own datasets. (Tried with h5py 3.16 and HDF5 2.0: virtual
datasets of virtual datasets of the same file are right, and as fast. Whoever reads all frames has all parts open; a
part that is not there, or one too many to be opened, reads as the fill value without an error.)
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import h5py
import numpy as np

from xsp3ioc.receivers.layout import DETECTOR
from xsp3ioc.receivers.paths import hidden, keep
from xsp3ioc.stream.messages import FrameStatus, part_name

STATUS = f"{DETECTOR}/frame_status"
DATA = f"{DETECTOR}/data"
MARK = "parts"
"""Attribute of a master's root: how many parts it shows."""


@dataclass(frozen=True)
class Part:
    """A file of frames that a master shows; all its datasets have `frames` rows, but for those in `rows`."""

    name: str
    """In the directory of the master."""
    frames: int
    rows: dict[str, int] = field(default_factory=dict)


def is_master(file: h5py.File) -> bool:
    """Whether an open file is the master of parts."""
    return MARK in file.attrs


def parts_of(file: h5py.File) -> list[Part]:
    """Return the parts that an open master shows, in the order of their frames; none of any other file.

    ValueError if it names a file elsewhere.
    """
    data = file[DATA] if is_master(file) else None
    if data is None or not data.is_virtual:
        return []
    found = []
    for name, frames in _mapped(data):
        if name != os.path.basename(name) or name in ("", ".", ".."):
            raise ValueError(f"{file.filename} shows frames of {name}, which does not lie beside it")
        found.append(Part(name, frames))
    return found


def parts_beside(path: str) -> list[str]:
    """Return the files that have the names of the parts of the master `path`, up to the first that is not there.

    They are those that a master shows, and the one that was being written when its writer was killed.
    """
    names: list[str] = []
    for number in count(1):
        name = part_name(path, number)
        if not os.path.isfile(name):
            return names
        names.append(name)
    raise AssertionError("unreachable")


class Template:
    """What all masters of a capture have, whatever parts they show: a file without frames, in memory.

    `content` is that, or any master.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        with h5py.File(io.BytesIO(content)) as file:
            self._places = _places(file)

    @property
    def datasets(self) -> list[str]:
        """The paths of those that show rows of parts."""
        return list(self._places)

    @classmethod
    def of(cls, part: h5py.File) -> Template:
        """Return that of an open part."""
        with h5py.File("master", "w", driver="core", backing_store=False, libver="earliest") as file:
            _Copy().group(part, file)
            file.attrs[MARK] = 0
            file.flush()
            return cls(file.id.get_file_image())

    def rows(self, part: h5py.File, frames: int) -> dict[str, int]:
        """Return the datasets of an open part that do not have `frames` rows, and how many they have.

        One that is not there reads as the fill value, row by row.
        """
        there = (path for path in self._places if path in part)
        return {path: rows for path in there if (rows := len(part[path])) != frames}

    def parts(self) -> list[Part]:
        """Return the parts that are shown, in the order of their frames."""
        with h5py.File(io.BytesIO(self._content)) as file:
            found = parts_of(file)
            for path in self._places:
                rows = dict(_mapped(file[path])) if file[path].is_virtual else {}
                for part in found:
                    if rows.get(part.name, 0) != part.frames:
                        part.rows[path] = rows.get(part.name, 0)
        return found

    def master(self, parts: Sequence[Part], finish: Callable[[h5py.File], object] | None = None) -> bytes:
        """Return the content of the master that shows `parts`; `finish` does what else is to be done to it."""
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_fapl_core(1 << 20, False)
        access.set_file_image(self._content)
        with h5py.File(h5py.h5f.open(b"master", h5py.h5f.ACC_RDWR, fapl=access)) as file:
            for path, names in self._places.items():
                shown = _shown(file, path, parts)
                for name in names:
                    del file[name]
                    file[name] = shown
            file.attrs[MARK] = len(parts)
            if finish is not None:
                finish(file)
            file.flush()
            return file.id.get_file_image()


def put(content: bytes, path: str, overwrite: bool) -> None:
    """Have a file of this content at `path`, at once and as a whole.

    FileExistsError if there is one that may not be overwritten; OSError as the file system has it.
    """
    name = hidden(os.path.realpath(path))
    try:
        with open(name, "xb") as file:
            file.write(content)
        keep(name, path, overwrite)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def keep_parts(held: str, path: str, overwrite: bool) -> None:
    """Give the master `held`, which may lie elsewhere, the name `path`, and its parts the names that go with it.

    OSError, also for what may not be replaced: all is as it was then.
    """
    with open(held, "rb") as master:
        template = Template(master.read())
    names = {os.path.basename(name): part_name(path, number) for number, name in enumerate(parts_beside(held), 1)}
    renamed = template.master([replace(part, name=os.path.basename(names[part.name])) for part in template.parts()])
    moved: list[tuple[str, str]] = []
    try:
        for name, new in names.items():
            old = os.path.join(os.path.dirname(held), name)
            keep(old, new, overwrite)
            moved.append((old, new))
        put(renamed, path, overwrite)
    except BaseException:
        for old, new in moved:
            keep(new, old, False)
        raise
    os.unlink(held)


class _Copy:
    """One copy of a tree in which several names of an object stay one object; datasets that grow are empty in it."""

    def __init__(self) -> None:
        self._made: dict[int, h5py.Group | h5py.Dataset] = {}

    def group(self, source: h5py.Group, target: h5py.Group) -> None:
        _copy_attributes(source, target)
        for name in source:
            link = source.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                target[name] = link
                continue
            item = source[name]
            address = h5py.h5o.get_info(item.id).addr
            if (made := self._made.get(address)) is not None:
                target[name] = made
            elif isinstance(item, h5py.Group):
                self._made[address] = made = target.create_group(name)
                self.group(item, made)
            else:
                self._made[address] = self._dataset(item, target, name)

    def _dataset(self, source: h5py.Dataset, target: h5py.Group, name: str) -> h5py.Dataset:
        if not _grows(source):
            source.file.copy(source, target, name)
            return target[name]
        tail = source.shape[1:]
        space = h5py.h5s.create_simple((0, *tail), (h5py.h5s.UNLIMITED, *tail))
        creation = source.id.get_create_plist()
        made = h5py.Dataset(h5py.h5d.create(target.id, name.encode(), source.id.get_type(), space, creation))
        _copy_attributes(source, made)
        return made


def _places(file: h5py.File) -> dict[str, list[str]]:
    """Return all the names of each dataset that grows, but for those that show others of the same file."""
    first: dict[int, str] = {}
    found: dict[str, list[str]] = {}

    def walk(group: h5py.Group, path: str) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item, place = group[name], f"{path}/{name}"
            address = h5py.h5o.get_info(item.id).addr
            if address not in first:
                first[address] = place
                if isinstance(item, h5py.Group):
                    walk(item, place)
                elif _grows(item) and not _own(item):
                    found[place] = [place]
            elif first[address] in found:
                found[first[address]].append(place)

    walk(file, "")
    return found


def _shown(file: h5py.File, path: str, parts: Sequence[Part]) -> h5py.Dataset:
    """Make a dataset without a name that shows the rows of all parts, and is like that at `path` otherwise."""
    like = file[path]
    tail = like.shape[1:]
    rows = [part.rows.get(path, part.frames) for part in parts]
    space = h5py.h5s.create_simple((sum(rows), *tail), (h5py.h5s.UNLIMITED, *tail))
    creation = like.id.get_create_plist()
    if sum(rows):
        creation = _plain(creation)
        if like == file[STATUS]:
            # What cannot be read because its part is not there is missing.
            creation.set_fill_value(np.array(FrameStatus.missing, like.dtype))
    first = 0
    for part, length in zip(parts, rows, strict=True):
        if length:
            space.select_hyperslab((first, *(0,) * len(tail)), (length, *tail))
            # In both names HDF5 takes % for the begin of a number.
            name, dataset = (text.replace("%", "%%").encode() for text in (part.name, path))
            creation.set_virtual(space, name, dataset, h5py.h5s.create_simple((length, *tail)))
            first += length
    space.select_all()
    made = h5py.Dataset(h5py.h5d.create(file.id, None, like.id.get_type(), space, creation))
    _copy_attributes(like, made)
    return made


def _mapped(dataset: h5py.Dataset) -> Iterator[tuple[str, int]]:
    """Yield the files that a virtual dataset shows, and how many rows of each."""
    row = int(np.prod(dataset.shape[1:]))
    for source in dataset.virtual_sources():
        yield source.file_name.replace("%%", "%"), source.vspace.get_select_npoints() // row


def _grows(dataset: h5py.Dataset) -> bool:
    return bool(dataset.maxshape) and dataset.maxshape[0] is None


def _own(dataset: h5py.Dataset) -> bool:
    """Whether it shows other datasets of its own file."""
    return dataset.is_virtual and dataset.id.get_create_plist().get_virtual_filename(0) == "."


def _plain(creation: h5py.h5p.PropDCID) -> h5py.h5p.PropDCID:
    """Return the same without what only a dataset with chunks, or with other parts, can have."""
    creation = creation.copy()
    for _ in range(creation.get_nfilters()):
        creation.remove_filter(creation.get_filter(0)[0])
    creation.set_layout(h5py.h5d.CONTIGUOUS)
    return creation


def _copy_attributes(source: h5py.Group | h5py.Dataset, target: h5py.Group | h5py.Dataset) -> None:
    # There are hundreds, and h5py's own way costs several times as much.
    for number in range(h5py.h5a.get_num_attrs(source.id)):
        old = h5py.h5a.open(source.id, index=number)
        new = h5py.h5a.create(target.id, old.name, old.get_type(), old.get_space())
        if (shape := old.shape) is not None and old.get_storage_size():
            value = np.empty(shape, old.dtype)
            old.read(value)
            new.write(value)
