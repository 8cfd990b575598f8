"""The calibration as the library keeps it: the text of its settings files, to be written beside the data."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from xsp3ioc.stream.disk import ask
from xsp3ioc.stream.orders import SettingsFiles

log = logging.getLogger(__name__)

LARGEST = 64 << 10
"""Bytes of a file that is taken; of larger ones only their sum is told."""
MOST_BYTES = 256 << 10
"""Bytes of all files that are taken: every header carries them."""
MOST_FILES = 256
"""Files that are looked at."""
LARGEST_SUMMED = 16 << 20
"""Bytes of a file that is read for its sum."""


def read_settings_files(directory: str) -> SettingsFiles:
    """Return the files of `directory` (empty: none); where they cannot be read, that is said in their place."""
    if not directory:
        return SettingsFiles()
    try:
        return ask(lambda: _read(directory), directory)
    except OSError as error:
        log.warning("The settings in %s are not kept with the data: %s", directory, error)
        return SettingsFiles(directory, left_out=[str(error)])


def _read(directory: str) -> SettingsFiles:
    texts: dict[str, str] = {}
    left_out: list[str] = []
    room = MOST_BYTES
    paths = sorted(path for path in Path(directory).iterdir() if path.is_file())
    for path in paths[:MOST_FILES]:
        size = path.stat().st_size
        if size > LARGEST_SUMMED:
            left_out.append(f"{path.name}, {size} bytes")
            continue
        content = path.read_bytes()
        text = _text(content)
        if text is None or len(content) > min(LARGEST, room):
            left_out.append(f"{path.name}, {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
        else:
            texts[path.name] = text
            room -= len(content)
    if len(paths) > MOST_FILES:
        left_out.append(f"{len(paths) - MOST_FILES} more files")
    return SettingsFiles(os.path.abspath(directory), texts, left_out)


def _text(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
