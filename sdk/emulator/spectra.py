"""Measured spectra, from EPICS MCA text files or from the packaged measurement, and what they look like in our bins."""

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xsp3ioc.sdk.constants import BINS

KEV_PER_BIN = 0.01
_MEASURED = Path(__file__).parent.parent / "data" / "srm1832.npz"


class Spectra(NamedTuple):
    """Spectra of some detector elements with their energy calibration.

    `counts` is uint32 (elements, channels of the file); `calibration` float64 (elements, 3): offset, slope and
    quadratic term in keV, keV/channel, keV/channel^2.
    """

    counts: NDArray[np.uint32]
    calibration: NDArray[np.float64]


def parse_mca(text: str) -> Spectra:
    """Read the text of an EPICS MCA file; raises ValueError that says which line is wrong."""
    header: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), 1))
    for _number, line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "DATA":
            break
        header[key.strip()] = value.strip()
    else:
        raise ValueError("no DATA: line, so this is not an EPICS MCA text file")
    elements = int(header.get("ELEMENTS", "1"))
    rows = []
    for number, line in lines:
        if not line.strip():
            continue
        row = line.split()
        if len(row) != elements or not all(word.isdigit() for word in row):
            raise ValueError(f"line {number}: expected {elements} counts, found {line.strip()!r}")
        rows.append([int(word) for word in row])
    if len(rows) < 2:
        raise ValueError("fewer than two channels of data")
    terms = [_numbers(header, key, elements) for key in ("CAL_OFFSET", "CAL_SLOPE", "CAL_QUAD")]
    return Spectra(np.array(rows, np.uint32).T.copy(), np.array(terms, np.float64).T.copy())


def _numbers(header: dict[str, str], key: str, elements: int) -> list[float]:
    default = {"CAL_SLOPE": "0.01"}.get(key, "0")
    words = header.get(key, " ".join([default] * elements)).split()
    if len(words) != elements:
        raise ValueError(f"{key}: expected {elements} numbers, found {len(words)}")
    return [float(word) for word in words]


@cache
def probabilities(path: str | os.PathLike[str] = "") -> NDArray[np.float64]:
    """Probability of each of our 4096 bins of 10 eV, per element of the file: float64 (elements, 4096), rows sum to 1.

    An empty path stands for the packaged measurement (NIST SRM 1832, four elements). Raises OSError when the file
    cannot be read, ValueError when it is no EPICS MCA file or holds no counts in range.
    """
    spectra = parse_mca(Path(path).read_text(encoding="utf-8", errors="replace")) if path else _measured()
    found = np.stack([_rebinned(*element) for element in zip(*spectra, strict=True)])
    found.flags.writeable = False
    return found


def _measured() -> Spectra:
    with np.load(_MEASURED, allow_pickle=False) as stored:
        return Spectra(stored["counts"], stored["calibration"])


def _rebinned(counts: NDArray[np.uint32], calibration: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share the counts out over our bins by interpolating their running sum between the channels' edges."""
    edges = np.arange(len(counts) + 1) - 0.5
    energies = np.polynomial.polynomial.polyval(edges, calibration)
    if not np.all(np.diff(energies) > 0):
        raise ValueError("the energy calibration does not rise with the channel")
    running = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)])
    shares = np.diff(np.interp(np.arange(BINS + 1) * KEV_PER_BIN, energies, running))
    total = shares.sum()
    if total <= 0:
        raise ValueError(f"no counts between 0 and {BINS * KEV_PER_BIN:.2f} keV")
    return shares / total
