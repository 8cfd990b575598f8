"""Whether a system is there: what it is asked while no frames say so."""

from __future__ import annotations

import logging
from typing import NamedTuple

from xsp3ioc.sdk import MissingFunction, Xspress3, Xspress3Error

log = logging.getLogger(__name__)

MOST_MISSED = 2
"""Beats missed in succession that mean a lost system: one failed reading of a sensor does not."""


class Beat(NamedTuple):
    """What a system has answered."""

    revision: int
    """Of the firmware, as the library's word."""
    temperatures: tuple[float, ...]
    """Of the sensors of the ADC boards, card after card, degrees Celsius; empty where unknown."""

    @property
    def temperature(self) -> float:
        """Of the warmest of them, degrees Celsius; 0 where unknown."""
        return max(self.temperatures, default=0.0)


class Heartbeat:
    """Asks, and counts what was not answered."""

    def __init__(self) -> None:
        self._missed = 0

    def listen(self, sdk: Xspress3) -> Beat | None:
        """Ask every card; None if one did not answer this once, Xspress3Error if it happens again."""
        try:
            beat = _ask(sdk)
        except Xspress3Error as error:
            self._missed += 1
            if self._missed >= MOST_MISSED:
                self._missed = 0
                raise
            log.warning("No sign of life, it is asked again: %s", error)
            return None
        self._missed = 0
        return beat


def _ask(sdk: Xspress3) -> Beat:
    revision = sdk.revision
    try:
        return Beat(revision, tuple(sdk.temperatures()))
    except MissingFunction:
        return Beat(revision, ())
