"""Whether somebody has a file open to write: asked of its lock, of the kernel, and of the clock."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import BinaryIO

SETTLED = 10.0
"""Seconds without a change after which nobody writes, where only the clock can tell."""


def locked(file: BinaryIO) -> bool:
    """Whether a program that writes the file, which is open here, lets no others read it."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        pass  # a file system without locks
    return False


def writer_of(file: BinaryIO) -> str:
    """Say who writes the file, which is open here to read only; empty if nobody does.

    HDF5 locks what it writes, but not in SWMR mode. On this host the kernel knows who has it open (a lease is
    granted only if nobody has it open to write); where it cannot be asked (another user's file, a network), the
    processes that can be seen are looked through, and a file that has just changed counts as being written.
    """
    if locked(file):
        return "it is locked by a program that writes it"
    descriptor = file.fileno()
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        asked = True
    except BlockingIOError:
        return f"a program has it open to write{_named(descriptor)}"
    except OSError:
        asked = False
    if asked and not _remote(descriptor):
        return ""
    if named := _named(descriptor):
        return f"a program has it open to write{named}"
    age = time.time() - os.fstat(descriptor).st_mtime
    if age < SETTLED:
        return f"it changed {max(age, 0):.0f} s ago, and who writes it cannot be told; try again in {SETTLED:.0f} s"
    return ""


def _named(descriptor: int) -> str:
    """Return ` (process N)` of a process that has the file open to write, as far as we may look."""
    ours = os.fstat(descriptor)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            there = link.stat()
            if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
                continue
            flags = (link.parents[1] / "fdinfo" / link.name).read_text().split("flags:")[1].split()[0]
        except (OSError, IndexError):
            continue
        if int(flags, 8) & os.O_ACCMODE != os.O_RDONLY:
            return f" (process {link.parts[2]})"
    return ""


def _remote(descriptor: int) -> bool:
    """Whether other hosts may have the file open, too: its file system is not of a device here."""
    return os.major(os.fstat(descriptor).st_dev) == 0 and not _in_memory(descriptor)


def _in_memory(descriptor: int) -> bool:
    """Whether it is in tmpfs, or on Btrfs, overlay or the like: without a device of one number, and here."""
    device = os.fstat(descriptor).st_dev
    place = f" {os.major(device)}:{os.minor(device)} "
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    kinds = {line.partition(" - ")[2].split()[0] for line in mounts if place in line.partition(" - ")[0]}
    return bool(kinds & {"tmpfs", "btrfs", "overlay", "zfs", "bcachefs"})
