"""What is made of the blocks on their way: every analysis sees each frame once, and shows what the last one said."""

from __future__ import annotations

from typing import Protocol

from xsp3ioc.stream.messages import Block, Header


class Analysis(Protocol):
    """Sums, ROIs, time series: one object each, known to the detector in its list of analyses."""

    def begin(self, header: Header) -> None:
        """Hear that a series begins; all blocks up to `end` are of this one."""

    def add(self, block: Block) -> None:
        """Take a block; called in the acquisition thread for each, in order. It must cost little per frame."""

    def end(self, frames: int) -> None:
        """Hear that no more blocks come: the series has had so many frames, those in no block included."""

    def erase(self, disabled: bool) -> None:
        """Begin again: ERASE, or the start of a series that erases, which leaves alone what is `disabled`."""

    def show(self, block: Block, at: float, last: bool) -> None:
        """Update the parameters that show the last frame of `block`, whose time is `at`; ten times a second at most.

        `last`: nothing comes after it in this series.
        """
