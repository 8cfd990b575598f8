"""Shared memory that a killed process has left behind: found, and removed if it is surely nobody's."""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

SHARED_MEMORY = Path("/dev/shm")
PATTERN = "xsp3*"
"""Names of the library's segments; xsp3_scalers0 is the one that is known."""

_PROCESSES = Path("/proc")
_MAPS_FIELDS = 6
_ENDED = ("Z", "X")  # states of a process that only waits to be reaped


class Segment(NamedTuple):
    """A segment of shared memory, and the live processes that are seen to use it."""

    path: Path
    size: int
    owner: int
    users: tuple[int, ...]
    unknown: tuple[int, ...] = ()
    """Live processes of our own user that may use it: they do not let us look into them, nor does the kernel say."""

    @property
    def ours(self) -> bool:
        """Whether it belongs to the user of this process."""
        return self.owner == os.geteuid()

    @property
    def stale(self) -> bool:
        """Whether it was left behind: ours, and surely used by nobody."""
        return self.ours and not self.users and not self.unknown

    def __str__(self) -> str:
        owner = "our own" if self.ours else f"of user {self.owner}"
        users = f"used by process {_listed(self.users)}" if self.users else "not seen in use"
        if self.unknown:
            users += f", process {_listed(self.unknown)} cannot be looked into"
        return f"{self.path} ({self.size} bytes, {owner}, {users})"


def _listed(processes: tuple[int, ...]) -> str:
    return ", ".join(map(str, processes))


class _Use(NamedTuple):
    """What one process has mapped or open: paths, and pairs of device and inode."""

    pid: int
    paths: frozenset[str]
    files: frozenset[tuple[int, int]]
    hidden: bool
    """It is our own user's, and not all could be looked at."""


def segments(directory: Path = SHARED_MEMORY, pattern: str = PATTERN) -> list[Segment]:
    """List the segments of the library in a directory, with the processes that have them open or mapped.

    What cannot be looked at is logged and left out. Processes of other users can be looked into by root only.
    """
    found = []
    try:
        paths = sorted(directory.glob(pattern))
    except OSError as error:
        log.warning("Cannot look for shared memory in %s: %s", directory, error.strerror)
        return []
    uses = list(_uses()) if paths else []
    unknown = tuple(use.pid for use in uses if use.hidden)
    for path in paths:
        try:
            status = path.lstat()
        except OSError as error:
            log.warning("Cannot look at shared memory %s: %s", path, error.strerror)
            continue
        if stat.S_ISREG(status.st_mode):
            names, file = {str(path), os.path.realpath(path)}, (status.st_dev, status.st_ino)
            users = tuple(use.pid for use in uses if file in use.files or not use.paths.isdisjoint(names))
            hidden = () if unknown and _unused(path) else unknown
            found.append(Segment(path, status.st_size, status.st_uid, users, hidden))
    return found


def _unused(path: Path) -> bool:
    """Whether the kernel says that nobody has a file of ours open or mapped; False if it does not say so.

    It grants a lease for writing only where no other has the file open (fcntl(2), F_SETLEASE), and a mapping does.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def remove_stale_segments(directory: Path = SHARED_MEMORY, pattern: str = PATTERN) -> list[Path]:
    """Remove the library's segments that are ours and used by nobody; returns their paths.

    Others' are left alone, and so is what a process uses; everything is logged, and no error raised.
    """
    removed = []
    for segment in segments(directory, pattern):
        if not segment.stale:
            log.info("Shared memory %s is left alone", segment)
            continue
        try:
            segment.path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("Cannot remove shared memory %s, left by an earlier process: %s", segment.path, error.strerror)
            continue
        log.warning("Removed shared memory %s (%d bytes), left by an earlier process", segment.path, segment.size)
        removed.append(segment.path)
    return removed


def _uses() -> Iterator[_Use]:
    """Look into each process that can be looked into."""
    for process in _PROCESSES.glob("[0-9]*"):
        paths, files, hidden = set(), set(), False
        for look in (_mapped, _open):
            try:
                for path, file in look(process):
                    paths.add(path)
                    files.add(file)
            except (FileNotFoundError, ProcessLookupError):  # ended
                continue
            except OSError:
                hidden = hidden or _is_ours(process)
        yield _Use(int(process.name), frozenset(paths), frozenset(files), hidden)


def _is_ours(process: Path) -> bool:
    """Whether a process runs as our user, and has not ended."""
    try:
        lines = (process / "status").read_text(errors="replace").splitlines()
    except OSError:
        return False
    fields = {name: values.split() for name, _, values in (line.partition(":") for line in lines)}
    return str(os.geteuid()) in fields.get("Uid", []) and fields.get("State", [""])[0] not in _ENDED


def _mapped(process: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for line in (process / "maps").read_text(errors="replace").splitlines():
        fields = line.split(maxsplit=_MAPS_FIELDS - 1)
        if len(fields) == _MAPS_FIELDS and fields[5].startswith("/"):
            major, minor = (int(number, 16) for number in fields[3].split(":"))
            yield fields[5], (os.makedev(major, minor), int(fields[4]))


def _open(process: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for entry in list((process / "fd").iterdir()):
        try:
            status = entry.stat()
            yield os.readlink(entry), (status.st_dev, status.st_ino)
        except FileNotFoundError:  # closed meanwhile
            continue
