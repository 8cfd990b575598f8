"""What strangers send, in the log, but not as often as they send it."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)


class Complaints:
    """Log lines about what strangers send: one a second at most, with the number of those left out."""

    def __init__(self) -> None:
        self._last = 0.0
        self._left_out = 0

    def say(self, text: str) -> None:
        """Log it, or count it."""
        if time.monotonic() - self._last < 1.0:
            self._left_out += 1
            return
        log.warning("%s%s", text, f" ({self._left_out} more like it before)" if self._left_out else "")
        self._last, self._left_out = time.monotonic(), 0
