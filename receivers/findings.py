"""What a check of a file finds: what is wrong, what may be, and in which frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

OK, SKIPPED, WARNING, ERROR = RESULTS = ("ok", "not checked", "warning", "error")
"""How a check can end, from good to bad."""
RUNS = 20
"""Runs of frames that a finding names."""
SHOWN_RUNS = 3


@dataclass
class Finding:
    """One kind of fault or doubt, wherever in the file it is."""

    severity: str
    text: str
    example: str = ""
    """The first one, with its numbers."""
    frames: int = 0
    """How many are concerned; 0: it is not about frames."""
    runs: list[tuple[int, int]] = field(default_factory=list)
    """First and last frame of the first `RUNS` runs of them, from 0."""
    channels: set[int] = field(default_factory=set)
    """From 0; empty if it is not about channels."""
    cut: bool = False
    """The begin or the end of a series is not in the file."""

    @property
    def where(self) -> str:
        """Return which frames and channels, in words; channels are counted from 1, as in PVs."""
        if not self.frames:
            return ""
        shown = [f"{first}" if first == last else f"{first}..{last}" for first, last in self.runs[:SHOWN_RUNS]]
        named = sum(last - first + 1 for first, last in self.runs[:SHOWN_RUNS])
        words = f"{'frame' if self.frames == 1 else 'frames'} {', '.join(shown)}"
        if named < self.frames:
            words += f", ... ({self.frames} in all)"
        if self.channels:
            numbers = ", ".join(str(channel + 1) for channel in sorted(self.channels))
            words += f", {'channel' if len(self.channels) == 1 else 'channels'} {numbers}"
        return words

    def mark(self, first: int, flags: NDArray[np.bool_]) -> None:
        """Add the frames whose `flags`, (frames,) or (frames, channels), are true; the first of them is `first`."""
        if flags.ndim > 1:
            self.channels.update(np.flatnonzero(flags.any(axis=0)).tolist())
            flags = np.asarray(flags.any(axis=1))
        true = np.flatnonzero(flags)
        self.frames += len(true)
        for run in np.split(true, np.flatnonzero(np.diff(true) > 1) + 1):
            begin, end = first + int(run[0]), first + int(run[-1])
            if self.runs and self.runs[-1][1] + 1 == begin:
                self.runs[-1] = self.runs[-1][0], end
            elif len(self.runs) < RUNS:
                self.runs.append((begin, end))
            else:
                break

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON; channels are counted from 1, as in PVs."""
        return {
            "severity": self.severity,
            "text": self.text,
            "where": self.where,
            "example": self.example,
            "frames": self.frames,
            "runs": self.runs,
            "channels": [channel + 1 for channel in sorted(self.channels)],
            "cut": self.cut,
        }


@dataclass
class Check:
    """What is looked at under one heading, and what came of it."""

    name: str
    title: str
    done: str = ""
    """What has been looked at, in words; why not, if it was `SKIPPED`."""
    skipped: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def result(self) -> str:
        """One of `RESULTS`."""
        severities = {finding.severity for finding in self.findings}
        return next((one for one in (ERROR, WARNING) if one in severities), SKIPPED if self.skipped else OK)

    def skip(self, why: str) -> None:
        """Say why it could not be done."""
        self.skipped, self.done = True, why

    def find(self, severity: str, text: str, example: str = "") -> Finding:
        """Add a finding, or return the one with this text."""
        for finding in self.findings:
            if (finding.severity, finding.text) == (severity, text):
                return finding
        finding = Finding(severity, text, example)
        self.findings.append(finding)
        return finding

    def mark(
        self,
        severity: str,
        text: str,
        first: int,
        flags: NDArray[np.bool_],
        example: Callable[..., str] | None = None,
    ) -> Finding | None:
        """Find `text` in the frames whose `flags`, (frames,) or (frames, channels), are true; None: there are none.

        `example(frame)` or `example(frame, channel)` says it of the first one; its arguments are places in `flags`.
        """
        if not flags.any():
            return None
        place = np.unravel_index(int(np.argmax(flags)), flags.shape)
        known = any(finding.text == text and finding.severity == severity for finding in self.findings)
        said = "" if known or example is None else example(*(int(index) for index in place))
        finding = self.find(severity, text, said)
        finding.mark(first, flags)
        return finding

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "name": self.name,
            "result": self.result,
            "done": self.done,
            "findings": [finding.as_dict() for finding in self.findings],
        }
