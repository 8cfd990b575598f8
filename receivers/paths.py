"""Where files go: directories that may be made, names that may be used, and what to tell when neither works."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What file systems without hard links answer."""
MOST_BYTES = 255
"""Of a file name, on any file system."""
MOST_SHOWN = 200
"""Characters of a name that are told."""
_HDF5_ERRNO = re.compile(r"errno = (\d+)")


def prepare(path: str | os.PathLike[str], overwrite: bool = False, levels: int = 0) -> None:
    """Make sure that a file can be created at `path`, with up to abs(`levels`) new directories above it.

    FileExistsError if there is one already and it may not be overwritten; FileNotFoundError if more directories
    are missing; OSError as the system has it.
    """
    path = Path(path)
    missing = [parent for parent in path.parents if not parent.exists()]
    if len(missing) > abs(levels):
        raise FileNotFoundError(errno.ENOENT, "no such directory", str(missing[0]))
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
    if not path.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "exists already", str(path))


def provisional(path: str, overwrite: bool) -> str:
    """Return the name under which to make the file `path`: another one beside it if it is to replace a file.

    So the old file is still there when the new one cannot be made; `replace` puts the new one in its place. OSError
    for what is no file, for one that may not be written, and for one that somebody else is writing.
    """
    target = os.path.realpath(path)
    if not overwrite:
        return path
    if not os.path.exists(target):
        return target
    if not os.path.isfile(target):
        raise OSError(errno.EINVAL, "not a regular file", path)
    descriptor = os.open(target, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(errno.EBUSY, "another program is writing it", path) from error
    except OSError:
        # Not every file system has locks.
        log.debug("%s cannot be locked", path, exc_info=True)
    finally:
        os.close(descriptor)
    return hidden(target)


def hidden(path: str) -> str:
    """Return a name beside `path` that nobody has, and that directory listings leave out."""
    return os.path.join(os.path.dirname(path), f".{uuid.uuid4().hex}.h5")


def replace(path: str, name: str) -> None:
    """Put the file `name`, from `provisional`, in the place of `path`, which keeps its mode and the links to it."""
    target = os.path.realpath(path)
    if name not in (path, target):
        shutil.copymode(target, name)
        os.replace(name, target)


def in_place(path: str, descriptor: int) -> bool:
    """Return whether the open file `descriptor` is still what `path` leads to: nobody has removed or replaced it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # It cannot be seen from here, now; that does not say that it is gone.
        log.debug("%s cannot be looked for", path, exc_info=True)
        return True


def keep(held: str, path: str, overwrite: bool) -> None:
    """Give the file `held`, which may lie elsewhere, the name `path`; OSError, also for what may not be replaced."""
    target = os.path.realpath(path)
    if provisional(path, overwrite) not in (path, target):
        shutil.copymode(target, held)
    rename = os.replace if overwrite else _rename_to_new
    try:
        rename(held, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_across(held, target, rename)


def _rename_to_new(name: str, target: str) -> None:
    """Rename a file, but never over another one, even one that was made a moment ago: FileExistsError."""
    try:
        try:
            os.link(name, target)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            _rename_to_reserved(name, target)
            return
    except FileExistsError as error:
        raise FileExistsError(errno.EEXIST, "exists already", target) from error
    with contextlib.suppress(OSError):
        os.unlink(name)


def _rename_to_reserved(name: str, target: str) -> None:
    """Do so where there are no hard links: who makes the empty file first has the name."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    try:
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(target)
        raise


def _move_across(held: str, target: str, rename: Callable[[str, str], None]) -> None:
    """Copy a file to another file system, under its name only when it is whole."""
    copy = hidden(target)
    try:
        shutil.copyfile(held, copy)
        shutil.copymode(held, copy)
        rename(copy, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(copy)
        raise
    os.unlink(held)


def describe(error: BaseException, path: str) -> str:
    """Return what went wrong with the file at `path`, in one line for a person."""
    name = path
    if found := _HDF5_ERRNO.search(str(error)):
        reason = os.strerror(int(found[1]))
    elif isinstance(error, OSError) and error.strerror:
        name, reason = str(error.filename or path), error.strerror
    else:
        reason = str(error).partition("\n")[0] or type(error).__name__
    # "x.h5 exists already" reads as it is; other reasons follow a colon.
    return f"{name} {reason}" if reason == "exists already" else f"{name}: {reason}"


def confined(root: Path, name: str) -> Path:
    """Return the path in the directory `root` for a file name that came over the wire: only its last part counts.

    PermissionError for a name with `..` in it, for one that is no file name, that is hidden, or that cannot be shown
    in a line of text, and for a symbolic link that leads out of `root`; OSError for one that is too long.
    """
    path = Path(name)
    if not path.name or ".." in path.parts:
        raise PermissionError(errno.EPERM, "not a name for a file here", shown(name))
    if not path.name.isprintable():
        raise PermissionError(errno.EPERM, "a name with control characters is not taken", shown(name))
    if path.name.startswith("."):
        raise PermissionError(errno.EPERM, "a name that begins with a dot is not taken: it is hidden", shown(name))
    if len(os.fsencode(path.name)) > MOST_BYTES:
        raise OSError(errno.ENAMETOOLONG, f"a name of more than {MOST_BYTES} bytes", shown(name))
    root = root.resolve()
    path = root / path.name
    if not path.resolve().is_relative_to(root):
        raise PermissionError(errno.EPERM, f"leads out of {root}", str(path))
    return path


def shown(name: str) -> str:
    """Return a name that came over the wire as it can stand in a line of text, shortened if it is very long."""
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name) or '""'
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}... ({len(name)} characters)"


def underscored(path: str) -> str:
    """Return `path` with `_` before its extension: the file name alone counts, whatever dots the directories have."""
    whole = Path(path)
    return str(whole.with_name(f"{whole.stem}_{whole.suffix}"))


def numbered(path: Path, number: int) -> Path:
    """Return `path` with `_number` before its extension; number 0 is `path` itself."""
    return path if number == 0 else path.with_name(f"{path.stem}_{number}{path.suffix}")
