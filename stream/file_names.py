"""Names of files from areaDetector's C format, the directories above them, and the size of their chunks: pure."""

from __future__ import annotations

import re
from pathlib import Path

CHUNK_BYTES = 1 << 20
"""Spectra per chunk of the file, before compression."""
_WIDEST = 99
_WIDE = re.compile(r"%[^a-zA-Z%]*\d{3}")
_CONVERSION = re.compile(r"%(?:%|[^a-zA-Z%]*[hlL]*[a-zA-Z])")


def full_file_name(template: str, path: str, name: str, number: int) -> str:
    """Apply the C format `template` to path, name and number, as areaDetector does; ValueError if it does not fit."""
    if _WIDE.search(template):
        raise ValueError(f"FileTemplate {template!r} asks for a field of more than {_WIDEST} characters")
    wanted = template.replace("%%", "").count("%")
    try:
        return template % (path, name, number)[:wanted]
    except (TypeError, ValueError) as error:
        raise ValueError(f"FileTemplate {template!r} does not fit path, name and number: {error}") from None


def number_pattern(template: str, path: str, name: str) -> str:
    """Return the C format that makes the same names of a number alone; empty if the template has no place for one.

    `template` fits, as `full_file_name` has found.
    """
    given = iter((path, name))
    numbers = 0

    def fill(found: re.Match[str]) -> str:
        nonlocal numbers
        conversion = found[0]
        if conversion == "%%":
            return conversion
        text = next(given, None)
        if text is None:
            numbers += 1
            return conversion
        return (conversion % text).replace("%", "%%")

    pattern = _CONVERSION.sub(fill, template)
    return pattern if numbers else ""


def chunk_frames(explicit: int, channels: int, bins: int, exposure: float, capture_frames: int) -> int:
    """Frames per chunk: what is asked for, else the least of 1 MiB, the frames of a second, and the capture."""
    if explicit:
        return explicit
    largest = max(1, CHUNK_BYTES // (channels * bins * 4))
    return max(1, min(largest, int(1 / exposure), capture_frames or largest))


def missing_levels(create_directory: int, filename: str) -> int:
    """How many levels of directories may be made, counted from the leaf.

    areaDetector: -n is n levels from the leaf; 1 is all of them below the root, 2 all but the first, and so on.
    """
    if create_directory <= 0:
        return -create_directory
    depth = len(Path(filename).parent.parts) - 1
    return max(0, depth - create_directory + 1)
