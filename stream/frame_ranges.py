"""What is said to those who ask for frames that are not there."""

from __future__ import annotations


class NotKept(LookupError):  # noqa: N818
    """Frames that are not there, or not any more; the message counts them from 1, as those who ask for them do."""

    def __init__(self, why: str, kept: range) -> None:
        """`kept`: those that can be asked for, numbers from 0."""
        self.kept = kept
        there = f"there are {spell(kept)}, counted from 1" if kept else "there are none"
        super().__init__(f"{why}; {there}")


def spell(frames: range) -> str:
    """Name frames, numbers from 0, as those know them who count from 1."""
    one = len(frames) == 1
    return f"frame {frames.start + 1}" if one else f"frames {frames.start + 1}..{frames.stop}"
