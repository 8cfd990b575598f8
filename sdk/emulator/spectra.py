"""Measured spectra, from EPICS MCA text files or from the packaged measurement, and what they look like in our bins."""

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import BINS

KEV_PER_BIN = 0.01
_MEASURED = Path(__file__).parent.parent / "data" / "srm1832.npz"
_TERMS = ("CAL_OFFSET", "CAL_SLOPE", "CAL_QUAD")
_MOST_ELEMENTS = 1024
_NOT_FOUND = "no DATA: line, so this is not an EPICS MCA text file"


class Spectra(NamedTuple):
    """Spectra of some detector elements with their energy calibration.

    `counts` is uint32 (elements, channels of the file); `calibration` float64 (elements, 3): offset, slope and
    quadratic term in keV, keV/channel, keV/channel^2.
    """

    counts: NDArray[np.uint32]
    calibration: NDArray[np.float64]


def parse_mca(text: str) -> Spectra:
    """Read the text of an EPICS MCA file; raises ValueError that says which line is wrong.

    Of the header, the number of elements and of channels and the energy calibration are used; anything else (times,
    regions, environment, comments) may stand there or not, in any order. Without a number of elements the columns
    of the data say it; one calibration serves all elements; a slope of 0, uncalibrated, counts as 10 eV per channel.
    """
    lines = list(enumerate(text.lstrip("\ufeff").splitlines(), 1))
    header, start = _header(lines)
    elements = _count(header, "ELEMENTS", _MOST_ELEMENTS)
    rows = _rows(lines[start:], elements)
    if len(rows) < 2:
        raise ValueError("fewer than two channels of data")
    channels = _count(header, "CHANNELS", len(rows) + (1 << 20))
    if channels is not None and channels != len(rows):
        raise ValueError(f"CHANNELS: {channels} announced, {len(rows)} rows of data found")
    elements = len(rows[0])
    terms = np.array([_numbers(header, key, elements) for key in _TERMS], np.float64).T.copy()
    terms[(terms[:, 1] == 0) & (terms[:, 2] == 0), 1] = KEV_PER_BIN
    return Spectra(np.array(rows, np.uint32).T.copy(), terms)


class _Entry(NamedTuple):
    line: int
    text: str


def _header(lines: list[tuple[int, str]]) -> tuple[dict[str, _Entry], int]:
    """Return the lines "KEY: value" by key, and where the data begin; a first row of them may follow DATA: itself."""
    header: dict[str, _Entry] = {}
    for index, (number, line) in enumerate(lines):
        key, colon, value = line.partition(":")
        key = key.strip().upper()
        if key == "DATA" and colon:
            lines[index] = number, value
            return header, index
        header.setdefault(key, _Entry(number, value.strip()))
    raise ValueError(_NOT_FOUND)


def _words(text: str) -> list[str]:
    """Words between blanks, tabs, commas or semicolons."""
    return re.split(r"[\s,;]+", text.strip(" \t,;"))


def _rows(lines: Iterable[tuple[int, str]], elements: int | None) -> list[list[int]]:
    rows = []
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        row = _words(line)
        elements = elements or len(row)
        counts = [_whole(word) for word in row]
        if len(row) != elements or None in counts:
            raise ValueError(f"line {number}: expected {elements} counts, found {_shown(line)}")
        rows.append([count for count in counts if count is not None])
    return rows


def _whole(word: str) -> int | None:
    """Return a count of 0..2**32 - 1, which may be written as 12, 12. or 1.2e1; None for anything else."""
    try:
        value = float(word)
    except ValueError:
        return None
    return int(value) if 0 <= value < 1 << 32 and value == int(value) else None


def _shown(line: str) -> str:
    text = line.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _count(header: dict[str, _Entry], key: str, most: int) -> int | None:
    if key not in header:
        return None
    line, text = header[key]
    if not re.fullmatch(r"\d+", text) or not 1 <= int(text) <= most:
        raise ValueError(f"line {line}: {key}: expected a number of 1..{most}, found {_shown(text)}")
    return int(text)


def _numbers(header: dict[str, _Entry], key: str, elements: int) -> list[float]:
    if key not in header or not header[key].text:
        return [0.0] * elements
    line, text = header[key]
    words = _words(text)
    if len(words) not in (1, elements):
        raise ValueError(f"line {line}: {key}: expected {elements} numbers, found {len(words)}")
    try:
        found = [float(word) for word in words]
    except ValueError:
        raise ValueError(f"line {line}: {key}: {_shown(text)} are not numbers") from None
    if not np.all(np.isfinite(found)):
        raise ValueError(f"line {line}: {key}: {_shown(text)} are not all finite")
    return found * (elements // len(found))


@cache
def _spectra(path: str) -> Spectra:
    return parse_mca(Path(path).read_text(encoding="utf-8", errors="replace")) if path else _measured()


def _measured() -> Spectra:
    with np.load(_MEASURED, allow_pickle=False) as stored:
        return Spectra(stored["counts"], stored["calibration"])


def element_count(path: str | os.PathLike[str] = "") -> int:
    """Return how many detector elements a file holds; errors as `probabilities`."""
    return len(_spectra(os.fspath(path)).counts)


@cache
def probabilities(path: str | os.PathLike[str] = "", gain: float = 1.0, offset: float = 0.0) -> NDArray[np.float64]:
    """Probability of each of our 4096 bins, per element of the file: float64 (elements, 4096), rows sum to 1.

    A bin is 10 eV / `gain` wide and zero energy is at bin `offset`. An empty path stands for the packaged measurement
    (NIST SRM 1832, four elements). Raises OSError when the file cannot be read, ValueError when it is no EPICS MCA
    file or holds no counts in range.
    """
    found = np.stack([_rebinned(*element, gain, offset) for element in zip(*_spectra(os.fspath(path)), strict=True)])
    found.flags.writeable = False
    return found


def _rebinned(
    counts: NDArray[np.uint32], calibration: NDArray[np.float64], gain: float, offset: float
) -> NDArray[np.float64]:
    """Share the counts out over our bins by interpolating their running sum between the channels' edges."""
    edges = np.arange(len(counts) + 1) - 0.5
    energies = np.polynomial.polynomial.polyval(edges, calibration)
    if not np.all(np.diff(energies) > 0):
        raise ValueError("the energy calibration does not rise with the channel")
    running = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)])
    limits = (np.arange(BINS + 1) - offset) * (KEV_PER_BIN / gain)
    shares = np.diff(np.interp(limits, energies, running))
    total = shares.sum()
    if total <= 0:
        raise ValueError(f"no counts between {limits[0]:.2f} and {limits[-1]:.2f} keV")
    return shares / total
