"""Settings that outlive the server: restored before it serves, saved soon after they change and at its end."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from xsp3ioc.autosave_file import Found, SettingsFile, default_directory
from xsp3ioc.autosave_settings import DetectorSettings
from xsp3ioc.configuration import Configuration
from xsp3ioc.stream.detector import Detector
from xsp3ioc.stream.parameter import Severity
from xsp3ioc.stream.store import shorten

log = logging.getLogger(__name__)

DELAY = 3.0
"""Seconds from a change to its being saved, with all others of that time."""
RETRY = 5.0
"""Seconds until what could not be saved is tried again."""
END = 2.0
"""Seconds for the last save: a disk that hangs must not hold the server."""
OFF, ON, FAILED = range(3)


class Source(Protocol):
    """Something that has settings."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` when one has changed; from any thread."""

    def knows(self, name: str) -> bool:
        """Whether a setting of that name (without macro P, `det1:` for R) is its own."""

    def restore(self, settings: Mapping[str, Any]) -> int:
        """Take values; the number of those that it has refused, and logged."""

    def settings(self) -> dict[str, Any]:
        """Return what differs from its first values: bool, int, float, str or list by name."""


class Autosave:
    """Nothing that happens to the file keeps the server from starting, or stops it."""

    def __init__(self, configuration: Configuration, detector: Detector) -> None:
        """Find what was saved, and restore the detector's part of it."""
        self._detector = detector
        self._sources: list[Source] = []
        self._dirty, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False
        self._refused = 0
        self._restored = 0
        self._shown: tuple[int, str, Severity] = (OFF, "", Severity.good)
        self._kept = DetectorSettings(detector, configuration.autosave.restore_calibration)
        self._file = self._claim(configuration)
        readable = self._file is not None and (not self._failing or os.path.exists(self._file.path))
        self._found = self._file.load() if self._file is not None and readable else Found()
        settings = self._found.settings
        self._waiting: dict[str, Any] = dict(settings.settings) if settings else {}
        if settings is not None and settings.calibration:
            self._refused += self._kept.restore_calibration(settings.calibration)
        self.restore(self._kept)

    def _claim(self, configuration: Configuration) -> SettingsFile | None:
        options = configuration.autosave
        if not options.enabled:
            self._show(OFF, "Settings are not saved: autosave is switched off")
            return None
        try:
            directory = Path(options.directory).expanduser() if options.directory else default_directory()
            file = SettingsFile(directory, configuration.prefix, configuration.detector.emulate)
        except RuntimeError as error:
            self._refrain(f"no directory for them is known ({error})")
            return None
        try:
            if not file.claim():
                self._refrain(f"another server has {file.path}")
                return None
        except OSError as error:
            self._fail(file, error)
        return file

    def restore(self, source: Source) -> None:
        """Give a source its part of what was saved; from now on its settings are saved."""
        own = {name: value for name, value in self._waiting.items() if source.knows(name)}
        for name in own:
            del self._waiting[name]
        self._restored += len(own)
        if own:
            self._refused += source.restore(own)
        self._sources.append(source)

    def start(self) -> None:
        """Say what was restored, and save from now on."""
        if self._file is None:
            self._show(*self._shown)  # the faces that show it are there only now
            return
        for name in self._waiting:
            log.warning("Saved setting %s is none of this server's: it is left out", name)
        if self._failing:
            self._show(*self._shown)
            self._dirty.set()
        else:
            self._show(ON, *self._report(self._file))
        for source in self._sources:
            source.watch(self.changed)
        self._thread = threading.Thread(target=self._run, name="autosave", daemon=True)
        self._thread.start()

    def _report(self, file: SettingsFile) -> tuple[str, Severity]:
        found, left_out = self._found, self._refused + len(self._waiting)
        if found.problem:
            return found.problem, Severity.minor if found.settings else Severity.major
        if found.settings is None:
            return f"Nothing was saved before in {file.path}", Severity.good
        text = f"Restored {self._restored} settings of {found.settings.when}"
        if not left_out:
            return text, Severity.good
        return f"{text}; {left_out} could not be (see the log)", Severity.minor

    def changed(self) -> None:
        """Have it saved soon; from any thread, at once."""
        self._dirty.set()

    def close(self) -> None:
        """Save what has changed, once more."""
        self._ended.set()
        self._dirty.set()
        if self._thread is not None:
            self._thread.join(END)
            if self._thread.is_alive():
                log.error("The settings are not saved within %g s, left behind", END)
                return
        if self._file is not None:
            self._file.release()

    def _run(self) -> None:
        pause = DELAY
        while not self._ended.is_set():
            self._dirty.wait()
            if not self._ended.wait(pause):
                pause = DELAY if self._save() else RETRY
        self._save()

    def _save(self) -> bool:
        file = self._file
        if file is None:
            return True
        self._dirty.clear()
        settings: dict[str, Any] = {}
        try:
            for source in self._sources:
                settings |= source.settings()
            if file.save(settings, self._kept.calibration()):
                log.debug("Settings saved in %s", file.path)
        except Exception as error:
            self._dirty.set()
            if not isinstance(error, OSError):
                log.exception("Settings cannot be saved")
            self._fail(file, error)
            return False
        if self._failing:
            self._failing = False
            self._show(ON, f"Saved again in {file.path}")
        return True

    def _fail(self, file: SettingsFile, error: Exception) -> None:
        if self._failing:
            return
        self._failing = True
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        text = f"Settings cannot be saved in {file.path}: {reason}"
        self._show(FAILED, text, Severity.major)
        self._detector.say(text, Severity.major)

    def _refrain(self, why: str) -> None:
        log.warning("Settings are not saved: %s", why)
        self._show(OFF, f"Settings are not saved: {why}", Severity.major)

    def _show(self, status: int, text: str, severity: Severity = Severity.good) -> None:
        self._shown = status, text, severity
        self._detector.update("autosave_status", status)
        longest = self._detector.parameters["autosave_message"].length - 1
        self._detector.update("autosave_message", shorten(text, longest), severity=severity)
