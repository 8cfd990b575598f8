"""The file of settings that outlive the server: TOML, one line per setting, replaced as a whole, with older copies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import msgspec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from xsp3ioc import __version__
from xsp3ioc.records import DETECTOR

log = logging.getLogger(__name__)

FORMAT = 1
COPIES = 3
ROTATE = 600.0
"""Seconds between two copies; the first save of a server makes one too."""
LOCK_PATIENCE = 2.0
"""Seconds for a server that is just ending."""
END = "# end of the settings"
"""What was cut has no such line."""


class FileError(ValueError):
    """It is damaged, or not this server's."""


class Settings(msgspec.Struct, kw_only=True):
    """What is in a file; names are those of the records, without macro P, and with `det1:` for macro R."""

    format: int
    prefix: str
    saved: datetime
    settings: dict[str, Any] = {}
    calibration: dict[str, Any] = {}
    """What somebody has put over what the calibration directory says."""

    @property
    def when(self) -> str:
        """The time at which it was saved."""
        return self.saved.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def default_directory() -> Path:
    """Return where a user's programs keep what they want to find again; RuntimeError if he has no home."""
    state = os.environ.get("XDG_STATE_HOME", "")
    # The XDG specification: what is not absolute is to be ignored.
    return (Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state") / "xsp3ioc"


@dataclass(frozen=True)
class Found:
    """What a look at the file and its copies has brought."""

    settings: Settings | None = None
    problem: str = ""
    """What was wrong with the file, and what was taken in its place."""


class SettingsFile:
    """The file of one prefix; OSError of its methods says what the disk said."""

    def __init__(self, directory: Path, prefix: str, simulated: bool) -> None:
        """Nothing is touched yet; an emulated detector has a file of its own."""
        name = quote(prefix, safe=":{}[]()@+=,") + (".emulated" if simulated else "")
        # Not hidden, and nothing that means a directory.
        self.path = directory / f"{re.sub('^[.]', '%2E', name)}.toml"
        self._prefix = prefix
        self._lock: IO[str] | None = None
        self._copied = -ROTATE
        self._content: str | None = None
        """What was read or written last, without its time."""

    def claim(self) -> bool:
        """Keep other servers off it, until `release` or our end; False if another one has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = self.path.with_suffix(".lock").open("a")
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self.release()
                    return False
                time.sleep(0.05)

    def release(self) -> None:
        """Leave it to the next server."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def load(self) -> Found:
        """Read it; if it is damaged or not ours put it aside, and read the newest good copy in its place."""
        try:
            return self._found(self._read(self.path), "")
        except FileNotFoundError:
            # Nothing is to be written for nothing.
            self._content = _content({}, {})
            return Found()
        except (FileError, OSError) as error:
            problem = f"{self.path.name} is ignored: {_reason(error)}"
            log.error("%s is ignored: %s", self.path, _reason(error))
        for copy in self._copies():
            try:
                settings = self._read(copy)
            except FileNotFoundError:
                continue
            except (FileError, OSError) as error:
                problem += f"; so is {copy.suffix}"
                log.error("%s is ignored: %s", copy, _reason(error))
                continue
            self._put_aside(copy)
            return self._found(settings, f"{problem}; restored {copy.suffix} of {settings.when}")
        self._put_aside(None)
        return Found(None, problem)

    def save(self, settings: Mapping[str, Any], calibration: Mapping[str, Any]) -> bool:
        """Write it, if it has changed; afterwards it is on the disk, whatever happens to the server."""
        content = _content(settings, calibration)
        if content == self._content:
            return False
        head = (
            f"# Settings of {self._prefix} ({DETECTOR} stands for macro R), saved by xsp3ioc {__version__}.\n"
            "# What is not here is as it is built in or configured.\n"
            f"format = {FORMAT}\n"
            f"prefix = {_toml(self._prefix)}\n"
            f"saved = {datetime.now(timezone.utc).isoformat(timespec='seconds')}\n"
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(head + content)
                file.flush()
                os.fsync(file.fileno())
            if time.monotonic() - self._copied >= ROTATE:
                self._rotate()
                self._copied = time.monotonic()
            new.replace(self.path)
            _sync(self.path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        self._content = content
        return True

    def _copies(self) -> Iterator[Path]:
        for number in range(1, COPIES + 1):
            yield Path(f"{self.path}.{number}")

    def _read(self, path: Path) -> Settings:
        try:
            text = path.read_text(encoding="utf-8")
            raw = tomllib.loads(text)
        except ValueError as error:
            raise FileError(f"it is not TOML: {error}") from None
        if raw.get("format") != FORMAT:
            raise FileError(f"its format is {raw.get('format')!r}, not {FORMAT}")
        if raw.get("prefix") != self._prefix:
            raise FileError(f"it is that of {raw.get('prefix')!r}")
        if not text.rstrip().endswith(END):
            raise FileError("its end is missing")
        try:
            return msgspec.convert(raw, Settings)
        except msgspec.ValidationError as error:
            raise FileError(str(error)) from None

    def _found(self, settings: Settings, problem: str) -> Found:
        self._content = _content(settings.settings, settings.calibration)
        return Found(settings, problem)

    def _put_aside(self, copy: Path | None) -> None:
        """Leave a bad file for somebody to look at, and a good copy in its place: without it all would begin anew."""
        aside = Path(f"{self.path}.bad")
        try:
            if copy is None or not self.path.is_file():
                self.path.replace(aside)
            else:
                # There is a file at every moment.
                aside.unlink(missing_ok=True)
                _link(self.path, aside)
            if copy is None:
                return
            new = self.path.with_suffix(".new")
            shutil.copyfile(copy, new)
            new.replace(self.path)
        except OSError as error:
            log.error("%s cannot be put aside: %s", self.path, error.strerror)

    def _rotate(self) -> None:
        if not self.path.exists():
            return
        *rest, last = self._copies()
        for older, newer in zip((last, *reversed(rest)), (*reversed(rest), self.path), strict=True):
            if newer is self.path:
                older.unlink(missing_ok=True)
                _link(newer, older)
            elif newer.exists():
                newer.replace(older)


def _link(path: Path, other: Path) -> None:
    """Give the file a second name; where the filesystem cannot, copy it."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copy2(path, other)


def _sync(directory: Path) -> None:
    """Have the new name on the disk too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def _content(settings: Mapping[str, Any], calibration: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for title, table in (("settings", settings), ("calibration", calibration)):
        lines += ["", f"[{title}]", *(f"{_toml(name)} = {_toml(value)}" for name, value in table.items())]
    return "\n".join([*lines, "", END, ""])


def _toml(value: Any) -> str:
    """Return a bool, number, text or list of them as TOML, which has them as JSON does."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
