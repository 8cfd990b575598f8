"""What is made of the blocks on their way: every analysis sees each frame once, and shows what the last one said."""

from __future__ import annotations

from typing import Protocol

from xsp3ioc.stream.messages import Block


class Analysis(Protocol):
    """Sums, ROIs, time series: one object each, known to the detector in its list of analyses."""

    def add(self, block: Block) -> None:
        """Take a block; called in the acquisition thread for each, in order. It must cost little per frame."""

    def erase(self) -> None:
        """Begin again: ERASE, or the start of a series that erases."""

    def show(self, block: Block, at: float) -> None:
        """Update the parameters that show the last frame of `block`, whose time is `at`; ten times a second at most."""
